#include "consensus/telemetry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include "consensus/pbft/cores_test.h"
#include "consensus/protocols.h"
#include "consensus/replica_rig_test.h"

namespace clew::consensus {
namespace {

using ::testing::ElementsAre;

class TelemetryTest : public testing::Test {
 protected:
  explicit TelemetryTest(TelemetryOptions options = {.cluster = 7, .self = NodeId{1}, .append_one_in = 1})
      : telemetry_(clock_, options, [this](SpanValue span) { spans_.push_back(std::move(span)); }) {}

  void fact(FactKind kind, Position position = 0, uint64_t value = 0, std::string_view reason = {}) {
    scheduler_.run_for(kMillisecond);
    Fact fact;
    fact.kind = kind;
    fact.at = clock_.mono_ns();
    fact.epoch = epoch_;
    fact.position = position;
    fact.value = value;
    fact.reason = reason;
    telemetry_.on_fact(fact);
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    for (const SpanValue& span : spans_) {
      all.push_back(span.name + " " + std::string(span.result) + " " + std::string(span.epoch_name) + "=" +
                    (span.ballot.empty() ? std::to_string(span.epoch) : span.ballot) + " " +
                    std::string(span.position_name) + "=" + std::to_string(span.position) +
                    " ms=" + std::to_string((span.end_ns - span.start_ns) / kMillisecond));
    }
    return all;
  }
  double value(std::string_view name, std::string_view labels = {}) const {
    for (const MetricValue& metric : telemetry_.metrics(nullptr, nullptr)) {
      if (metric.name == name && metric.labels == labels) return metric.value;
    }
    return -1;
  }

  sim::Scheduler scheduler_;
  sim::SimClock clock_{scheduler_, 1'000'000 * kSecond};
  Epoch epoch_ = 3;
  std::vector<SpanValue> spans_;
  Telemetry telemetry_;
};

class PaxosTelemetryTest : public TelemetryTest {
 protected:
  PaxosTelemetryTest()
      : TelemetryTest({.protocol = "multipaxos", .cluster = 7, .self = NodeId{1}, .append_one_in = 1}) {}
};

TEST_F(PaxosTelemetryTest, phasesAreCalledAsInThePapers) {
  fact(FactKind::kElectionStarted, 0, 1);
  fact(FactKind::kElectionStarted);
  fact(FactKind::kBecameLeader, 10);
  fact(FactKind::kAppended, 11, 1);
  fact(FactKind::kCommitted, 11, 1);
  fact(FactKind::kSteppedDown);
  EXPECT_THAT(lines(),
              ElementsAre("paxos_ask gone on ballot=3.1 slot=0 ms=1", "paxos_prepare won ballot=3.1 slot=0 ms=1",
                          "paxos_accept chosen ballot=3.1 slot=11 ms=1", "become_leader done ballot=3.1 slot=10 ms=2",
                          "paxos_step_down done ballot=3.1 slot=0 ms=0"));
}

TEST_F(PaxosTelemetryTest, aBallotNamesItsProposerWhichAFollowerKnowsOnceItHasHeardOfIt) {
  epoch_ = 4;
  fact(FactKind::kEpochRaised);
  fact(FactKind::kAppended, 1, 1);
  fact(FactKind::kCommitted, 1, 1);
  telemetry_.on_fact({FactKind::kBecameFollower, clock_.mono_ns(), epoch_, 0, NodeId{3}, 0, {}});
  fact(FactKind::kAppended, 2, 1);
  fact(FactKind::kCommitted, 2, 1);
  EXPECT_THAT(lines(),
              ElementsAre("paxos_accept chosen ballot=4 slot=1 ms=1", "paxos_accept chosen ballot=4.3 slot=2 ms=1"));
}

TEST_F(TelemetryTest, thePhasesOfADecreeAreSpansWithItsNameWhateverTheProtocolOfTheLog) {
  using Phase = paxos::PhaseEnd::Phase;
  scheduler_.run_for(kSecond);
  const Time at = clock_.mono_ns();
  telemetry_.on_decree_phase(
      "colour", {Phase::kPrepare, {2, NodeId{1}, 1}, at - 9 * kMillisecond, at - 7 * kMillisecond, "refused", true, 1});
  telemetry_.on_decree_phase(
      "colour",
      {Phase::kPrepare, {4, NodeId{1}, 3}, at - 5 * kMillisecond, at - 4 * kMillisecond, "promised", false, 2});
  telemetry_.on_decree_phase("colour",
                             {Phase::kAccept, {4, NodeId{1}, 3}, at - 4 * kMillisecond, at, "chosen", false, 2});
  EXPECT_THAT(lines(),
              ElementsAre("paxos_prepare refused ballot=2.1 =0 ms=2", "paxos_prepare promised ballot=4.1(3) =0 ms=1",
                          "paxos_accept chosen ballot=4.1(3) =0 ms=4"));
  for (const SpanValue& span : spans_) {
    EXPECT_EQ(span.decree, "colour");
    EXPECT_EQ(span.trace_id, spans_[0].trace_id);
  }
  EXPECT_TRUE(spans_[0].failed);
  EXPECT_FALSE(spans_[2].failed);
  EXPECT_EQ(value("clew_decree_phases_total", "phase=\"prepare\",result=\"refused\""), 1);
  EXPECT_EQ(value("clew_decree_phases_total", "phase=\"accept\",result=\"chosen\""), 1);
  telemetry_.on_decree_fact({.kind = FactKind::kVoteRefused, .reason = "a higher ballot is promised"});
  EXPECT_EQ(value("clew_decree_refusals_total", "reason=\"a higher ballot is promised\""), 1);
}

TEST(SpanNames, eachProtocolHasItsOwn) {
  for (const ProtocolKind& kind : protocols()) EXPECT_EQ(span_names(kind.name).protocol, kind.name);
}

class ZabTelemetryTest : public TelemetryTest {
 protected:
  ZabTelemetryTest() : TelemetryTest({.protocol = "zab", .cluster = 7, .self = NodeId{1}, .append_one_in = 1}) {}
  void with(FactKind kind, uint64_t peer, std::string_view how = {}) {
    scheduler_.run_for(kMillisecond);
    telemetry_.on_fact({kind, clock_.mono_ns(), epoch_, 4, NodeId{peer}, 0, how});
  }
};

TEST_F(ZabTelemetryTest, theWayToAReignIsElectionDiscoverySynchronisationBroadcast) {
  fact(FactKind::kElectionStarted);
  with(FactKind::kDiscoveryStarted, 1);
  epoch_ = 4;
  with(FactKind::kSyncStarted, 2, "diff");
  with(FactKind::kSynchronised, 2);
  fact(FactKind::kBecameLeader, 4);
  fact(FactKind::kAppended, 5, 1);
  fact(FactKind::kCommitted, 5, 1);
  EXPECT_THAT(lines(),
              ElementsAre("zab_election won epoch=3 position=0 ms=1", "zab_discovery done epoch=4 position=4 ms=1",
                          "zab_sync done epoch=4 position=4 ms=1", "zab_propose committed epoch=4 position=5 ms=1",
                          "become_leader done epoch=4 position=4 ms=2"));
  EXPECT_EQ(spans_[1].trace_id, spans_[2].trace_id);
  EXPECT_DOUBLE_EQ(value("clew_consensus_election_seconds"), 0.004);  // until somebody led
}

TEST_F(ZabTelemetryTest, whoeverFollowsInVainGivesTheDiscoveryUp) {
  fact(FactKind::kElectionStarted);
  with(FactKind::kDiscoveryStarted, 2);
  fact(FactKind::kElectionStarted);
  with(FactKind::kDiscoveryStarted, 3);
  with(FactKind::kVoteGranted, 3);
  fact(FactKind::kBecameFollower);
  EXPECT_THAT(
      lines(),
      ElementsAre("zab_election followed epoch=3 position=0 ms=1", "zab_discovery given up epoch=3 position=4 ms=1",
                  "zab_election followed epoch=3 position=0 ms=1", "zab_discovery done epoch=3 position=4 ms=1"));
}

TEST_F(ZabTelemetryTest, eachSynchronisationOfAFollowerIsASpan) {
  with(FactKind::kSyncStarted, 2, "diff");
  with(FactKind::kSyncStarted, 3, "snap");
  with(FactKind::kSynchronised, 2);
  with(FactKind::kSyncStarted, 2, "trunc");
  fact(FactKind::kSteppedDown);
  EXPECT_THAT(lines(),
              ElementsAre("zab_sync done epoch=3 position=4 ms=2", "zab_sync given up epoch=3 position=4 ms=1",
                          "zab_sync given up epoch=3 position=4 ms=3", "zab_step_down done epoch=3 position=0 ms=0"));
  EXPECT_EQ(spans_[0].reason, "diff");
  EXPECT_EQ(value("clew_consensus_synchronisations_total", "by=\"snap\""), 1);
}

class PbftTelemetryTest : public TelemetryTest {
 protected:
  PbftTelemetryTest() : TelemetryTest({.protocol = "pbft", .cluster = 7, .self = NodeId{2}, .append_one_in = 1}) {}
};

TEST_F(PbftTelemetryTest, eachOfSeveralBatchesInFlightEndsByItself) {
  fact(FactKind::kPrePrepared, 5, 2);
  fact(FactKind::kPrePrepared, 6, 1);
  fact(FactKind::kPrepared, 6);
  fact(FactKind::kPrepared, 5);
  fact(FactKind::kCommittedLocal, 5, 2);
  fact(FactKind::kCommitted, 41, 2);  // of entries: other numbers
  fact(FactKind::kCommittedLocal, 6, 1);
  EXPECT_THAT(
      lines(),
      ElementsAre("pbft_prepare prepared view=3 sequence=6 ms=1", "pbft_prepare prepared view=3 sequence=5 ms=3",
                  "pbft_commit committed view=3 sequence=5 ms=1", "pbft_commit committed view=3 sequence=6 ms=4"));
  EXPECT_EQ(spans_[1].count, 2u);
  EXPECT_EQ(spans_[2].count, 2u);
  EXPECT_EQ(spans_[1].trace_id, spans_[2].trace_id);
  EXPECT_NE(spans_[0].trace_id, spans_[1].trace_id);
  EXPECT_DOUBLE_EQ(value("clew_consensus_commit_seconds"), 0.004 + 0.005);
  EXPECT_EQ(value("clew_consensus_entries_appended_total"), 3);
  EXPECT_EQ(value("clew_consensus_entries_committed_total"), 2);
}

TEST_F(PbftTelemetryTest, aProofThatComesFromOthersCommitsABatchThatWasNotPrepared) {
  fact(FactKind::kPrePrepared, 5, 2);
  fact(FactKind::kCommittedLocal, 5, 2);
  EXPECT_THAT(lines(), ElementsAre("pbft_prepare committed view=3 sequence=5 ms=1"));
}

TEST_F(PbftTelemetryTest, aViewChangeThatLeadsToTheViewIsNoFailureOfABackup) {
  epoch_ = 4;
  fact(FactKind::kElectionStarted, 128, 0, "a request waits too long");
  fact(FactKind::kBecameFollower, 20, 130);
  fact(FactKind::kCommittedLocal, 129, 1);
  fact(FactKind::kCommittedLocal, 130, 1);
  EXPECT_THAT(lines(), ElementsAre("pbft_view_change entered view=4 sequence=128 ms=1",
                                   "pbft_new_view done view=4 sequence=130 ms=2"));
  EXPECT_FALSE(spans_[0].failed);
  EXPECT_EQ(spans_[0].trace_id, spans_[1].trace_id);
}

TEST_F(PbftTelemetryTest, aViewChangeAfterWhichAnotherFollowsIsOne) {
  epoch_ = 4;
  fact(FactKind::kElectionStarted, 128);
  fact(FactKind::kElectionLost, 0, 0, "the new view did not come in time");
  epoch_ = 5;
  fact(FactKind::kElectionStarted, 128);
  fact(FactKind::kBecameLeader, 20);
  EXPECT_THAT(lines(), ElementsAre("pbft_view_change lost view=4 sequence=128 ms=1",
                                   "pbft_view_change won view=5 sequence=128 ms=1",
                                   "pbft_new_view done view=5 sequence=0 ms=0"));
  EXPECT_TRUE(spans_[0].failed);
  EXPECT_EQ(spans_[0].reason, "the new view did not come in time");
  EXPECT_FALSE(spans_[1].failed);
  EXPECT_EQ(value("clew_consensus_elections_lost_total"), 1);
}

TEST_F(PbftTelemetryTest, whatIsInFlightWhenTheViewChangesIsTimedUntilItIsCommittedAfterAll) {
  fact(FactKind::kPrePrepared, 5, 1);
  fact(FactKind::kPrePrepared, 6, 1);
  fact(FactKind::kPrepared, 5);
  epoch_ = 4;
  fact(FactKind::kElectionStarted);
  fact(FactKind::kBecameFollower, 20, 6);
  spans_.clear();
  fact(FactKind::kPrePrepared, 5, 1);
  fact(FactKind::kTruncated, 6);
  fact(FactKind::kPrePrepared, 6, 0);  // the null request
  fact(FactKind::kCommittedLocal, 5, 1);
  fact(FactKind::kCommittedLocal, 6, 0);
  EXPECT_DOUBLE_EQ(value("clew_consensus_commit_seconds"), 0.008 + 0.002);
  EXPECT_THAT(lines(), ElementsAre("pbft_prepare committed view=4 sequence=5 ms=3",
                                   "pbft_prepare committed view=4 sequence=6 ms=2",
                                   "pbft_new_view done view=4 sequence=6 ms=5"));
}

TEST_F(PbftTelemetryTest, theAgreementThatAViewChangeInterruptsIsGivenUp) {
  fact(FactKind::kPrePrepared, 5, 1);
  fact(FactKind::kPrepared, 5);
  fact(FactKind::kPrePrepared, 6, 1);
  fact(FactKind::kElectionStarted);
  EXPECT_THAT(lines(),
              ElementsAre("pbft_prepare prepared view=3 sequence=5 ms=1", "pbft_commit given up view=3 sequence=5 ms=2",
                          "pbft_prepare given up view=3 sequence=6 ms=1"));
  EXPECT_TRUE(spans_[1].failed);
  EXPECT_EQ(spans_[1].reason, "another view");
}

TEST_F(PbftTelemetryTest, aMembershipChangeLastsUntilItIsInForce) {
  fact(FactKind::kMembershipProposed, 10);
  fact(FactKind::kCommitted, 10, 1);
  fact(FactKind::kCommitted, 300, 290);
  fact(FactKind::kMembershipTaken, 300);
  EXPECT_THAT(lines(), ElementsAre("pbft_membership_change done view=3 position=10 ms=3"));
}

TEST_F(PbftTelemetryTest, aCheckpointLastsUntilItIsStableOrALaterOneIs) {
  fact(FactKind::kCheckpointTaken, 128);
  fact(FactKind::kCheckpointTaken, 256);
  fact(FactKind::kCheckpointTaken, 384);
  fact(FactKind::kPrePrepared, 200, 1);  // and never committed here: the state was fetched
  fact(FactKind::kCheckpointStable, 256);
  EXPECT_THAT(lines(), ElementsAre("pbft_checkpoint overtaken view=3 sequence=128 ms=4",
                                   "pbft_checkpoint stable view=3 sequence=256 ms=3",
                                   "pbft_prepare overtaken view=3 sequence=200 ms=1"));
  fact(FactKind::kCheckpointStable, 384);
  EXPECT_EQ(spans_.size(), 4u);
}

TEST_F(PbftTelemetryTest, phasesThatNeverEndAreBounded) {
  for (Position sequence = 1; sequence <= 1'000; ++sequence) {
    fact(FactKind::kPrePrepared, sequence, 1);
    fact(FactKind::kCheckpointTaken, sequence);
  }
  EXPECT_EQ(value("clew_consensus_spans_dropped_total"), 2 * (1'000 - 256));
  EXPECT_TRUE(spans_.empty());
}

// What the cores themselves say, on each member.
class PbftGroupTelemetryTest : public testing::Test {
 protected:
  struct Told {
    std::vector<SpanValue> spans;
    std::unique_ptr<Telemetry> telemetry;
    double value(std::string_view name, MetricType type = MetricType::kCounter, std::string_view labels = {}) const {
      for (const MetricValue& metric : telemetry->metrics(nullptr, nullptr)) {
        if (metric.name == name && metric.type == type && metric.labels == labels) return metric.value;
      }
      return -1;
    }
    size_t spans_of(std::string_view name, std::string_view result, Epoch view, Position at) const {
      return std::count_if(spans.begin(), spans.end(), [&](const SpanValue& span) {
        return span.name == name && span.result == result && span.epoch == view && span.position == at;
      });
    }
    size_t failed() const {
      return std::count_if(spans.begin(), spans.end(), [](const SpanValue& span) { return span.failed; });
    }
  };
  PbftGroupTelemetryTest() {
    for (uint64_t i = 1; i <= 5; ++i) {
      Told& told = told_[NodeId{i}];
      told.telemetry = std::make_unique<Telemetry>(
          clock_, TelemetryOptions{.protocol = "pbft", .cluster = 7, .self = NodeId{i}, .append_one_in = 1},
          [&told](SpanValue span) { told.spans.push_back(std::move(span)); });
    }
    cores_.facts_to([this](NodeId id, const Fact& fact) { told_.at(id).telemetry->on_fact(fact); });
    for (uint64_t i = 1; i <= 5; ++i) {
      pbft::Options options;
      options.self = NodeId{i};
      options.founding = Membership::of_voters({NodeId{1}, NodeId{2}, NodeId{3}, NodeId{4}});
      options.checkpoint_every = 4;
      cores_.add(options);
    }
    cores_.settle();
  }
  ~PbftGroupTelemetryTest() override { EXPECT_EQ(cores_.failure(), std::nullopt); }
  void propose(uint64_t to, const std::string& command) {
    cores_.propose(NodeId{to}, command);
    cores_.settle();
  }

  sim::Scheduler scheduler_;
  sim::SimClock clock_{scheduler_, 1'000'000 * kSecond};
  std::map<NodeId, Told> told_;
  pbft::Cores cores_{1};
};

TEST_F(PbftGroupTelemetryTest, everyMemberTellsOfEveryBatchAndCheckpoint) {
  for (const char* command : {"a", "b", "c", "d"}) propose(2, command);
  for (uint64_t i = 1; i <= 4; ++i) {
    const Told& told = told_.at(NodeId{i});
    EXPECT_EQ(told.value("clew_consensus_entries_appended_total"), 4) << i;
    EXPECT_EQ(told.value("clew_consensus_entries_committed_total"), 4) << i;
    EXPECT_EQ(told.value("clew_consensus_commit_seconds", MetricType::kHistogramCount), 4) << i;
    for (Position n = 1; n <= 4; ++n) {
      EXPECT_EQ(told.spans_of("pbft_prepare", "prepared", 1, n), 1u) << i;
      EXPECT_EQ(told.spans_of("pbft_commit", "committed", 1, n), 1u) << i;
    }
    EXPECT_EQ(told.spans_of("pbft_checkpoint", "stable", 1, 4), 1u) << i;
    EXPECT_EQ(told.failed(), 0u) << i;
  }
}

TEST_F(PbftGroupTelemetryTest, aViewChangeIsASuccessOnAllWhoEnterTheView) {
  propose(2, "a");
  cores_.crash(NodeId{1});
  propose(3, "b");
  cores_.run(kSecond);
  EXPECT_EQ(cores_.leader(), NodeId{2});
  for (uint64_t i = 2; i <= 4; ++i) {
    const Told& told = told_.at(NodeId{i});
    EXPECT_EQ(told.spans_of("pbft_view_change", i == 2 ? "won" : "entered", 2, 0), 1u) << i;
    EXPECT_EQ(told.value("clew_consensus_elections_lost_total"), 0) << i;
    EXPECT_EQ(told.value("clew_consensus_votes_total", MetricType::kCounter, "answer=\"granted\""), i == 2 ? 0 : 1)
        << i;
    EXPECT_EQ(told.value("clew_consensus_election_seconds", MetricType::kHistogramCount), 1) << i;
    EXPECT_EQ(told.spans_of("pbft_commit", "committed", 2, 2), 1u) << i;
  }
  EXPECT_EQ(told_.at(NodeId{2}).value("clew_consensus_reigns_total"), 1);
}

TEST_F(PbftGroupTelemetryTest, aViewWhosePrimaryIsDeadTooIsLost) {
  cores_.crash(NodeId{2});
  cores_.transfer(NodeId{1}, NodeId{2});
  cores_.run(2 * kSecond);
  EXPECT_EQ(cores_.leader(), NodeId{3});
  for (const uint64_t i : {1, 3, 4}) {
    const Told& told = told_.at(NodeId{i});
    EXPECT_EQ(told.spans_of("pbft_view_change", "lost", 2, 0), 1u) << i;
    EXPECT_EQ(told.spans_of("pbft_view_change", i == 3 ? "won" : "entered", 3, 0), 1u) << i;
    EXPECT_EQ(told.value("clew_consensus_elections_lost_total"), 1) << i;
  }
}

TEST_F(PbftGroupTelemetryTest, aPrimaryThatGivesWaySaysSo) {
  cores_.transfer(NodeId{1}, NodeId{3});
  cores_.settle();
  cores_.run(kSecond);
  EXPECT_EQ(cores_.leader(), NodeId{3});
  EXPECT_EQ(told_.at(NodeId{1}).spans_of("pbft_step_down", "done", 1, 0), 1u);
  for (uint64_t i = 2; i <= 4; ++i) EXPECT_EQ(told_.at(NodeId{i}).spans_of("pbft_step_down", "done", 1, 0), 0u) << i;
}

TEST_F(PbftGroupTelemetryTest, aMembershipChangeEndsAtTheCheckpointThatPutsItInForce) {
  std::vector<Member> members;
  for (uint64_t i = 1; i <= 5; ++i) members.push_back({.id = NodeId{i}});
  cores_.reconfigure(NodeId{2}, Membership::make(std::move(members)).value());
  cores_.settle();
  propose(2, "a");
  const auto ended = [&](uint64_t member) {
    return told_.at(NodeId{member}).spans_of("pbft_membership_change", "done", 1, 1);
  };
  for (uint64_t i = 1; i <= 4; ++i)
    EXPECT_EQ(ended(i), cores_.core(NodeId{i}).governing().voters() == 5 ? 1u : 0u) << i;
  cores_.run(2 * kSecond);
  for (uint64_t i = 1; i <= 4; ++i) {
    EXPECT_EQ(cores_.core(NodeId{i}).governing().voters(), 5u) << i;
    EXPECT_EQ(ended(i), 1u) << i;
  }
}

TEST_F(TelemetryTest, anElectionAndTheReignThatFollowsAreSpansOfOneTrace) {
  fact(FactKind::kElectionStarted, 0, 1);
  fact(FactKind::kElectionStarted);
  fact(FactKind::kBecameLeader, 10);
  fact(FactKind::kCommitted, 10, 5);  // of earlier reigns
  fact(FactKind::kCommitted, 11, 1);
  EXPECT_THAT(lines(), ElementsAre("raft_pre_vote gone on term=3 index=0 ms=1", "raft_election won term=3 index=0 ms=1",
                                   "become_leader done term=3 index=10 ms=2"));
  for (const SpanValue& span : spans_) EXPECT_EQ(span.trace_id, spans_[0].trace_id);
  EXPECT_EQ(spans_[0].start_ns, 1'000'000 * kSecond + kMillisecond);
  std::set<uint64_t> ids;
  for (const SpanValue& span : spans_) ids.insert(span.span_id);
  EXPECT_EQ(ids.size(), 3u);
  EXPECT_EQ(value("clew_consensus_reigns_total"), 1);
  EXPECT_EQ(value("clew_consensus_entries_committed_total"), 6);
}

TEST_F(TelemetryTest, aLostElectionSaysWhy) {
  fact(FactKind::kElectionStarted);
  fact(FactKind::kElectionLost, 0, 0, "refused by too many");
  ASSERT_EQ(spans_.size(), 1u);
  EXPECT_TRUE(spans_[0].failed);
  EXPECT_EQ(spans_[0].reason, "refused by too many");
  EXPECT_EQ(value("clew_consensus_elections_lost_total"), 1);
}

TEST_F(TelemetryTest, anAppendEndsWithItsCommitOrIsOverwritten) {
  fact(FactKind::kAppended, 5, 5);
  fact(FactKind::kAppended, 9, 4);
  fact(FactKind::kAppended, 12, 3);
  fact(FactKind::kCommitted, 6, 6);
  fact(FactKind::kTruncated, 10);
  fact(FactKind::kCommitted, 9, 3);
  EXPECT_THAT(lines(),
              ElementsAre("raft_append committed term=3 index=5 ms=3", "raft_append overwritten term=3 index=12 ms=2",
                          "raft_append committed term=3 index=9 ms=4"));
  EXPECT_EQ(spans_[0].count, 5u);
  EXPECT_DOUBLE_EQ(value("clew_consensus_commit_seconds"), 0.007);  // the sum: 3 and 4 ms
}

TEST_F(TelemetryTest, membersChooseTheSameAppendsAndTheSameTraces) {
  std::vector<SpanValue> here, there;
  const TelemetryOptions options{.cluster = 7, .self = NodeId{1}, .append_one_in = 10};
  TelemetryOptions others = options;
  others.self = NodeId{2};
  Telemetry one(clock_, options, [&](SpanValue span) { here.push_back(std::move(span)); });
  Telemetry two(clock_, others, [&](SpanValue span) { there.push_back(std::move(span)); });
  for (Position position = 1; position <= 500; ++position) {
    for (Telemetry* telemetry : {&one, &two}) {
      telemetry->on_fact({.kind = FactKind::kAppended, .position = position, .value = 1});
      telemetry->on_fact({.kind = FactKind::kCommitted, .position = position, .value = 1});
    }
  }
  ASSERT_EQ(here.size(), there.size());
  EXPECT_GT(here.size(), 20u);
  EXPECT_LT(here.size(), 100u);
  for (size_t i = 0; i < here.size(); ++i) {
    EXPECT_EQ(here[i].trace_id, there[i].trace_id);
    EXPECT_NE(here[i].span_id, there[i].span_id);
  }
}

TEST_F(TelemetryTest, spansThatNeverEndAreBounded) {
  for (Position position = 1; position <= 1'000; ++position) fact(FactKind::kAppended, position, 1);
  EXPECT_EQ(value("clew_consensus_spans_dropped_total"), 1'000 - 256);
  EXPECT_TRUE(spans_.empty());
}

TEST_F(TelemetryTest, refusedMessagesAreCountedByReason) {
  fact(FactKind::kMessageRefused, 0, 0, "stale instance");
  fact(FactKind::kMessageRefused, 0, 0, "stale instance");
  fact(FactKind::kMessageRefused, 0, 0, "malformed");
  EXPECT_EQ(value("clew_consensus_messages_refused_total", "reason=\"stale instance\""), 2);
  EXPECT_EQ(value("clew_consensus_messages_refused_total", "reason=\"malformed\""), 1);
}

TEST(TelemetryMetrics, everyNameIsDocumentedAndEveryDocumentedNameExists) {
  sim::SimDisk disk;
  Life life(disk, solo_options());
  Telemetry telemetry(life.loop.clock(), {}, {});
  telemetry.on_fact({.kind = FactKind::kMessageRefused, .reason = "malformed"});
  telemetry.on_fact({.kind = FactKind::kSyncStarted, .reason = "diff"});
  telemetry.on_decree_fact({.kind = FactKind::kMessageRefused, .reason = "malformed"});
  telemetry.on_decree_phase("colour", {});
  PeerTransportStats transport;
  std::set<std::string> made;
  for (const MetricValue& metric : telemetry.metrics(life.replica.get(), &transport)) made.emplace(metric.name);
  made.insert("clew_consensus_peer_lag");  // of leaders with followers
  std::ifstream file(std::string(CLEW_SOURCE_DIR) + "/docs/consensus-metrics.md");
  ASSERT_TRUE(file.is_open());
  std::set<std::string> documented;
  for (std::string line; std::getline(file, line);) {
    // The store and its clients stand in the same document, and are control's.
    if (line.starts_with("| `clew_consensus_") || line.starts_with("| `clew_decree_") ||
        line.starts_with("| `clew_peer_"))
      documented.insert(line.substr(3, line.find('`', 3) - 3));
  }
  EXPECT_EQ(made, documented);
}

TEST(TelemetryMetrics, areWrittenAsPrometheusReadsThem) {
  DurationCounts durations;
  durations.add(150 * kMicrosecond);
  durations.add(3 * kMillisecond);
  EXPECT_EQ(durations.counts[1], 1u);
  const std::string text = to_prometheus({
      {"a_total", "Help.", MetricType::kCounter, "why=\"x\"", 2},
      {"a_total", "Help.", MetricType::kCounter, "why=\"y\"", 3},
      {"b", "Other.", MetricType::kHistogramBucket, "le=\"+Inf\"", 4},
      {"b", "Other.", MetricType::kHistogramSum, "", 0.5},
  });
  EXPECT_EQ(text,
            "# HELP a_total Help.\n# TYPE a_total counter\na_total{why=\"x\"} 2\na_total{why=\"y\"} 3\n"
            "# HELP b Other.\n# TYPE b histogram\nb_bucket{le=\"+Inf\"} 4\nb_sum 0.5\n");
}

}  // namespace
}  // namespace clew::consensus

#include "consensus/telemetry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

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

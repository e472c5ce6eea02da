#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>

#include "consensus/raft/raft.h"

namespace clew::consensus::raft {
namespace {

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};
constexpr NodeId kThree{3};
constexpr NodeId kFour{4};

Options options_for(NodeId id, const Membership& founding) {
  Options options;
  options.self = id;
  options.founding = founding;
  return options;
}

const Membership kThreeVoters = Membership::of_voters({kOne, kTwo, kThree});

// A lone core of a group of three, fed by hand.
class Alone : public testing::Test {
 protected:
  Alone() {
    options_ = options_for(kOne, kThreeVoters);
    start();
  }
  void start() {
    core_ = std::make_unique<Raft>(options_, 1);
    for (LogSeq seq = 1; seq <= durable_; ++seq) ASSERT_TRUE(core_->recover(seq, records_[seq - 1]).ok());
    records_.resize(durable_);
    core_->start(now_, durable_ + 1, true);
    collect();
  }
  void collect() {
    effects_.clear();
    core_->collect(now_, effects_);
    records_.insert(records_.end(), effects_.records.begin(), effects_.records.end());
    ASSERT_TRUE(core_->check_invariants().ok()) << core_->check_invariants().message();
  }
  void receive(NodeId from, const Message& message) {
    core_->receive(now_, from, encode(message));
    collect();
  }
  void write() {
    durable_ = records_.size();
    core_->durable(now_, durable_);
    collect();
  }
  static AppendRequest append(Epoch term, Position prev, Epoch prev_epoch, Position commit,
                              std::initializer_list<Epoch> epochs) {
    AppendRequest request{term, false, prev, prev_epoch, commit, {}};
    for (Epoch epoch : epochs) request.entries.push_back({epoch, EntryKind::kCommand, Payload(std::string("x"))});
    return request;
  }
  template <typename T>
  std::vector<T> sent() const {
    std::vector<T> found;
    for (const Send& send : effects_.sends) {
      const Message message = decode(send.frame).value();
      if (const T* wanted = std::get_if<T>(&message)) found.push_back(*wanted);
    }
    return found;
  }
  bool has_fact(FactKind kind, std::string_view reason = {}) const {
    return std::any_of(effects_.facts.begin(), effects_.facts.end(), [&](const Fact& fact) {
      return fact.kind == kind && (reason.empty() || fact.reason == reason);
    });
  }
  // Patience with the leader that was heard runs out.
  void wait() {
    now_ += kSecond;
    core_->connection(now_, kTwo, false);
  }

  Options options_;
  std::unique_ptr<Raft> core_;
  Time now_ = kSecond;
  Effects effects_;
  std::vector<std::string> records_;
  LogSeq durable_ = 0;
};

// --- Votes ---

TEST_F(Alone, aVoteWaitsForItsRecord) {
  receive(kTwo, VoteRequest{5, false, false, 0, 0});
  ASSERT_EQ(sent<VoteReply>().size(), 1u);
  EXPECT_TRUE(sent<VoteReply>()[0].granted);
  EXPECT_EQ(effects_.sends[0].after, records_.size());
}

TEST_F(Alone, aVoteGivenIsKeptAcrossACrash) {
  receive(kTwo, VoteRequest{5, false, false, 0, 0});
  write();
  start();
  now_ += kSecond;
  receive(kThree, VoteRequest{5, false, false, 9, 4});
  ASSERT_EQ(sent<VoteReply>().size(), 1u);
  EXPECT_FALSE(sent<VoteReply>()[0].granted);
  receive(kTwo, VoteRequest{5, false, false, 0, 0});
  EXPECT_TRUE(sent<VoteReply>()[0].granted);  // the same one may ask again
}

TEST_F(Alone, aVoteThatIsNotDurableWasNeverGiven) {
  write();
  receive(kTwo, VoteRequest{5, false, false, 0, 0});
  start();
  now_ += kSecond;
  EXPECT_EQ(core_->state().term, 0u);
  receive(kThree, VoteRequest{5, false, false, 0, 0});
  EXPECT_TRUE(sent<VoteReply>()[0].granted);
}

TEST_F(Alone, aCandidateWhoseLogIsBehindGetsNoVote) {
  receive(kTwo, append(3, 0, 0, 0, {1, 3}));
  wait();
  receive(kThree, VoteRequest{4, false, false, 9, 2});  // longer, but older
  EXPECT_FALSE(sent<VoteReply>()[0].granted);
  receive(kThree, VoteRequest{4, false, false, 1, 3});  // as new, but shorter
  EXPECT_FALSE(sent<VoteReply>()[0].granted);
  receive(kThree, VoteRequest{4, false, false, 2, 3});
  EXPECT_TRUE(sent<VoteReply>()[0].granted);
}

TEST_F(Alone, votesAndTermsAreWithheldWhileTheLeaderLives) {
  receive(kTwo, append(3, 0, 0, 0, {3}));
  receive(kThree, VoteRequest{9, false, false, 9, 8});
  EXPECT_TRUE(effects_.sends.empty());
  EXPECT_EQ(core_->state().term, 3u);
  receive(kThree, VoteRequest{9, true, false, 9, 8});
  EXPECT_FALSE(sent<VoteReply>()[0].granted);
  // The leader itself asked for this one.
  receive(kThree, VoteRequest{9, false, true, 9, 8});
  EXPECT_TRUE(sent<VoteReply>()[0].granted);
}

TEST_F(Alone, aPreVoteChangesNothing) {
  receive(kTwo, VoteRequest{5, true, false, 0, 0});
  EXPECT_TRUE(sent<VoteReply>()[0].granted);
  EXPECT_EQ(core_->state().term, 0u);
  EXPECT_EQ(core_->state().vote, kNobody);
  EXPECT_EQ(effects_.records.size(), 0u);
}

TEST_F(Alone, aBrokenConnectionEndsPatienceButNotALease) {
  receive(kTwo, append(3, 0, 0, 0, {3}));
  core_->connection(now_, kTwo, false);
  receive(kThree, VoteRequest{4, true, false, 9, 3});
  EXPECT_TRUE(sent<VoteReply>()[0].granted);
  receive(kTwo, Heartbeat{3, 0, 0, 1, static_cast<uint64_t>(100 * kMillisecond), true});
  core_->connection(now_, kTwo, false);
  receive(kThree, VoteRequest{4, true, false, 9, 3});
  EXPECT_FALSE(sent<VoteReply>()[0].granted);
  now_ += 101 * kMillisecond;
  receive(kThree, VoteRequest{4, true, false, 9, 3});
  EXPECT_TRUE(sent<VoteReply>()[0].granted);
}

TEST_F(Alone, afterARestartALeaseIsWaitedFor) {
  write();
  start();
  receive(kThree, VoteRequest{4, true, false, 9, 3});
  EXPECT_FALSE(sent<VoteReply>()[0].granted);
  now_ += options_.election_min;
  receive(kThree, VoteRequest{4, true, false, 9, 3});
  EXPECT_TRUE(sent<VoteReply>()[0].granted);
}

TEST_F(Alone, theElectionTimeoutIsDrawnAnewEachTime) {
  std::set<Time> drawn;
  for (int i = 0; i < 20; ++i) {
    const Time before = now_;
    now_ = core_->deadline();
    EXPECT_GE(now_ - before, options_.election_min);
    EXPECT_LT(now_ - before, options_.election_max);
    drawn.insert(now_ - before);
    core_->tick(now_);
    collect();
  }
  EXPECT_GT(drawn.size(), 10u);
}

TEST_F(Alone, aCandidateYieldsToTheLeaderOfItsTerm) {
  now_ = core_->deadline();
  core_->tick(now_);
  collect();
  receive(kTwo, VoteReply{1, true, true});
  ASSERT_EQ(core_->state().term, 1u);
  EXPECT_EQ(core_->report().standing, Standing::kCandidate);
  receive(kThree, Heartbeat{1, 0, 0, 1, 0, true});
  EXPECT_EQ(core_->report().standing, Standing::kFollower);
  EXPECT_EQ(core_->report().leader, kThree);
}

TEST_F(Alone, twoVotesOfOnePeerAreOne) {
  options_.founding = Membership::of_voters({kOne, kTwo, kThree, kFour, NodeId{5}});
  start();
  now_ = core_->deadline();
  core_->tick(now_);
  collect();
  receive(kTwo, VoteReply{1, true, true});
  receive(kTwo, VoteReply{1, true, true});
  EXPECT_EQ(core_->state().term, 0u);
  receive(kThree, VoteReply{1, true, true});
  ASSERT_EQ(core_->state().term, 1u);
  receive(kTwo, VoteReply{1, false, true});
  receive(kTwo, VoteReply{1, false, true});
  receive(NodeId{77}, VoteReply{1, false, true});  // nobody's voter
  EXPECT_NE(core_->report().standing, Standing::kLeader);
  receive(kThree, VoteReply{1, false, true});
  EXPECT_EQ(core_->report().standing, Standing::kLeader);
}

// --- Appending ---

TEST_F(Alone, anAcknowledgementWaitsForTheRecordOfItsEntries) {
  receive(kTwo, append(3, 0, 0, 0, {3, 3}));
  ASSERT_EQ(sent<AppendReply>().size(), 1u);
  EXPECT_EQ(sent<AppendReply>()[0].match, 2u);
  EXPECT_EQ(effects_.sends[0].after, records_.size());
  write();
  receive(kTwo, append(3, 0, 0, 0, {3, 3}));  // repeated: nothing to write, nothing to wait for
  EXPECT_EQ(effects_.sends[0].after, 0u);
  EXPECT_TRUE(effects_.records.empty());
}

TEST_F(Alone, severalMessagesOfATurnAreOneRecordAndOneAnswer) {
  core_->receive(now_, kTwo, encode(append(3, 0, 0, 0, {3, 3})));
  core_->receive(now_, kTwo, encode(append(3, 2, 3, 0, {3})));
  collect();
  EXPECT_EQ(effects_.records.size(), 1u);
  ASSERT_EQ(sent<AppendReply>().size(), 1u);
  EXPECT_EQ(sent<AppendReply>()[0].match, 3u);
}

TEST_F(Alone, aLateShorterAppendCutsNothing) {
  receive(kTwo, append(3, 0, 0, 0, {3, 3, 3}));
  receive(kTwo, append(3, 0, 0, 0, {3}));
  EXPECT_EQ(core_->log().last(), 3u);
  EXPECT_EQ(sent<AppendReply>()[0].match, 1u);
}

TEST_F(Alone, commitsOnlyWhatTheMessageVerified) {
  receive(kTwo, append(3, 0, 0, 0, {1, 1, 1, 1}));
  // The new leader has verified 1..2 only; 3 and 4 are of another history.
  receive(kThree, append(5, 1, 1, 9, {1}));
  EXPECT_EQ(core_->report().committed, 2u);
}

TEST_F(Alone, aConflictCutsTheSuffixAndTellsWhatWasLost) {
  receive(kTwo, append(3, 0, 0, 1, {1, 2, 2}));
  receive(kThree, append(4, 1, 1, 1, {4}));
  EXPECT_TRUE(has_fact(FactKind::kTruncated));
  EXPECT_EQ(core_->log().last(), 2u);
  EXPECT_EQ(core_->log().last_epoch(), 4u);
  write();
  start();
  EXPECT_EQ(core_->log().last(), 2u);
  EXPECT_EQ(core_->log().last_epoch(), 4u);
}

TEST_F(Alone, entriesWithoutTheOneBeforeThemAreRejectedWithAHint) {
  receive(kTwo, append(3, 0, 0, 0, {1, 1, 2}));
  receive(kTwo, append(3, 7, 3, 0, {3}));
  ASSERT_EQ(sent<AppendReply>().size(), 1u);
  EXPECT_EQ(sent<AppendReply>()[0].outcome, AppendReply::Outcome::kRejected);
  EXPECT_EQ(sent<AppendReply>()[0].match, 7u);
  EXPECT_EQ(sent<AppendReply>()[0].hint, 3u);
  receive(kTwo, append(3, 3, 1, 0, {3}));  // 3 is of epoch 2 here: what may agree is of 1
  EXPECT_EQ(sent<AppendReply>()[0].hint, 2u);
  EXPECT_EQ(sent<AppendReply>()[0].hint_epoch, 1u);
}

TEST_F(Alone, theLeaderOfAnOlderTermIsToldAndTakenNothingFrom) {
  receive(kTwo, append(5, 0, 0, 0, {5}));
  receive(kThree, append(3, 0, 0, 0, {3, 3}));
  ASSERT_EQ(sent<AppendReply>().size(), 1u);
  EXPECT_EQ(sent<AppendReply>()[0].outcome, AppendReply::Outcome::kStale);
  EXPECT_EQ(sent<AppendReply>()[0].term, 5u);
  EXPECT_EQ(core_->log().last(), 1u);
}

TEST_F(Alone, deliveriesOfATurnAreBounded) {
  options_.max_delivery_bytes = 100;
  start();
  receive(kTwo, append(3, 0, 0, 5, {3, 3, 3, 3, 3}));
  EXPECT_EQ(effects_.deliveries.size(), 2u);
  EXPECT_LE(core_->deadline(), now_);
  collect();
  EXPECT_EQ(effects_.deliveries.size(), 2u);
  collect();
  EXPECT_EQ(effects_.deliveries.size(), 1u);
  EXPECT_GT(core_->deadline(), now_);
}

TEST_F(Alone, aFullMemoryRefusesEntriesUntilASnapshotLetsThemGo) {
  options_.max_log_bytes = 200;
  options_.keep_tail_bytes = 0;
  start();
  receive(kTwo, append(3, 0, 0, 4, {3, 3, 3, 3}));
  receive(kTwo, append(3, 4, 3, 4, {3}));
  EXPECT_TRUE(has_fact(FactKind::kMessageRefused, "the log's memory is full"));
  EXPECT_EQ(core_->log().last(), 4u);
  core_->snapshot_saved(now_, {4, 3, {}, 0, {}});
  collect();
  receive(kTwo, append(3, 4, 3, 4, {3}));
  EXPECT_EQ(core_->log().last(), 5u);
}

// --- Strangers and garbage ---

TEST_F(Alone, garbageIsRefusedAndChangesNothing) {
  receive(kTwo, append(3, 0, 0, 0, {3}));
  const State before = core_->state();
  const std::vector<std::string> garbage = {"", "x", std::string(1'000, '\xff'), std::string("\x01\x02\x03", 3),
                                            encode(append(9, 0, 0, 0, {9})).substr(0, 9)};
  for (const std::string& frame : garbage) {
    core_->receive(now_, kTwo, frame);
    collect();
    EXPECT_TRUE(has_fact(FactKind::kMessageRefused));
    EXPECT_TRUE(effects_.sends.empty());
  }
  EXPECT_EQ(core_->state().term, before.term);
  EXPECT_EQ(core_->log().last(), 1u);
}

TEST_F(Alone, aMessageFromMyselfIsRefused) {
  receive(kOne, VoteRequest{5, false, false, 0, 0});
  EXPECT_TRUE(has_fact(FactKind::kMessageRefused, "from nobody or myself"));
}

TEST_F(Alone, aMemberWithDataTakesNoEntriesWithoutCommands) {
  AppendRequest request = append(3, 0, 0, 0, {3});
  request.without_commands = true;
  receive(kTwo, request);
  EXPECT_TRUE(has_fact(FactKind::kMessageRefused));
  EXPECT_EQ(core_->log().last(), 0u);
}

TEST_F(Alone, halvesOfAFetchThatNobodyWaitsForAreIgnored) {
  core_->snapshot_fetched(now_, {9, 3, kThreeVoters, 0, {}}, true);
  collect();
  EXPECT_FALSE(effects_.install.has_value());
  EXPECT_TRUE(effects_.records.empty());
}

// --- Records ---

TEST_F(Alone, aTermThatFallsFromRecordToRecordIsRefused) {
  const auto state = [](Epoch term) {
    std::string bytes;
    append_header(bytes, {RecordKind::kState, term, kNobody, 0, 0, 0, 0});
    return bytes;
  };
  Raft core(options_, 1);
  EXPECT_TRUE(core.recover(1, state(5)).ok());
  EXPECT_EQ(core.recover(2, state(4)).code(), Code::kDataLoss);
}

TEST_F(Alone, lostRecordsThatHeldATruncationMakeWhatStoodThereDoubtful) {
  receive(kTwo, append(3, 0, 0, 1, {1, 2, 2, 2}));  // record 2
  receive(kThree, append(4, 2, 2, 1, {4}));         // record 3 cuts 3..4
  receive(kThree, append(4, 3, 4, 1, {4, 4}));      // record 4
  Raft core(options_, 1);
  ASSERT_TRUE(core.recover(1, records_[0]).ok());
  ASSERT_TRUE(core.recover(2, records_[1]).ok());
  ASSERT_TRUE(core.recover_gap(3, 3).ok());
  ASSERT_TRUE(core.recover(4, records_[3]).ok());
  core.start(now_, 5, true);
  EXPECT_EQ(core.log().last(), 1u);  // what was committed for certain
  EXPECT_EQ(core.log().true_last(), 5u);
  EXPECT_EQ(core.report().standing, Standing::kRecovering);
}

TEST_F(Alone, lostRecordsWithoutATruncationLeaveWhatStoodBeforeThem) {
  receive(kTwo, append(3, 0, 0, 0, {1, 2}));
  receive(kTwo, append(3, 2, 2, 0, {2}));
  receive(kTwo, append(3, 3, 2, 0, {3}));
  Raft core(options_, 1);
  ASSERT_TRUE(core.recover(1, records_[0]).ok());
  ASSERT_TRUE(core.recover(2, records_[1]).ok());
  ASSERT_TRUE(core.recover_gap(3, 3).ok());
  ASSERT_TRUE(core.recover(4, records_[3]).ok());
  core.start(now_, 5, true);
  EXPECT_EQ(core.log().last(), 2u);
  EXPECT_EQ(core.log().true_last(), 4u);
  EXPECT_EQ(core.state().term, 3u);
}

TEST_F(Alone, aLostBeginningOfTheLogIsAHoleAndNotTheEnd) {
  receive(kTwo, append(3, 0, 0, 0, {1, 2}));
  receive(kTwo, append(3, 2, 2, 0, {2}));
  Raft core(options_, 1);
  ASSERT_TRUE(core.recover_gap(1, 2).ok());
  ASSERT_TRUE(core.recover(3, records_[2]).ok());
  core.start(now_, 4, true);
  EXPECT_EQ(core.log().last(), 0u);
  EXPECT_EQ(core.log().true_last(), 3u);
  EXPECT_TRUE(core.membership().empty());
  EXPECT_EQ(core.report().standing, Standing::kRecovering);
}

// The records of the entries that the snapshot contradicted were released; one of a vote, which names the end that the
// log had, is still there.
TEST_F(Alone, whatASnapshotTookAlongStaysGoneWhenTheHeadOfTheLogIsReleased) {
  receive(kTwo, append(5, 0, 0, 1, {1, 4, 5, 5}));
  receive(kThree, VoteRequest{7, false, true, 9, 6});
  const SnapshotMeta meta{2, 3, kThreeVoters, 10, {}};
  receive(kThree, SnapshotOffer{7, false, meta});
  core_->snapshot_fetched(now_, meta, true);
  collect();
  ASSERT_EQ(core_->log().true_last(), 2u);
  const LogSeq base = records_.size();
  ASSERT_EQ(effects_.records.size(), 1u);

  Raft core(options_, 1);
  ASSERT_TRUE(core.recover(base - 1, records_[base - 2]).ok());
  const Status recovered = core.recover(base, records_[base - 1]);
  ASSERT_TRUE(recovered.ok()) << recovered.message();
  core.start(now_, base + 1, true);
  EXPECT_EQ(core.log().true_last(), 2u);
  EXPECT_EQ(core.log().true_last_epoch(), 3u);
}

}  // namespace
}  // namespace clew::consensus::raft

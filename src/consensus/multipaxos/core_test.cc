#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "consensus/multipaxos/multipaxos.h"
#include "consensus/multipaxos/records.h"

namespace clew::consensus::multipaxos {
namespace {

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};
constexpr NodeId kThree{3};

Acceptance value(const Ballot& ballot, std::string text) {
  return {ballot, {ballot.round, EntryKind::kCommand, Payload(std::move(text))}, false};
}

// A lone core of a group of three, fed by hand.
class MultiPaxosAlone : public testing::Test {
 protected:
  MultiPaxosAlone() {
    options_.self = kOne;
    options_.founding = Membership::of_voters({kOne, kTwo, kThree});
    start();
  }
  void start() {
    core_ = std::make_unique<MultiPaxos>(options_, 1);
    for (LogSeq seq = 1; seq <= durable_; ++seq) {
      if (seq == damaged_) {
        ASSERT_TRUE(core_->recover_gap(seq, seq).ok());
        continue;
      }
      ASSERT_TRUE(core_->recover(seq, records_[seq - 1]).ok());
    }
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
  // What was sent in the last turn, of one kind.
  template <typename M>
  std::vector<M> sent() const {
    std::vector<M> all;
    for (const Send& send : effects_.sends) {
      const Message message = decode(send.frame).value();
      if (const auto* const one = std::get_if<M>(&message)) all.push_back(*one);
    }
    return all;
  }
  LogSeq after() const { return effects_.sends.empty() ? 0 : effects_.sends.front().after; }
  // Of three members, by node 2's vote for it in slot 2; nobody has promised for what comes after.
  void replace_the_third() {
    core_->reconfigure(now_, ProposalId{1}, Membership::of_voters({kOne, kTwo, NodeId{4}}));
    collect();
    write();
    receive(kTwo, Accepted{core_->state().promise, 2, 0, false});
    ASSERT_EQ(core_->report().committed, 2u);
  }
  // Asks, prepares and wins with node 2's answer.
  void lead(const std::vector<std::pair<Position, Acceptance>>& told = {}, Position commit = 0) {
    now_ = std::max(now_, core_->deadline());
    core_->tick(now_);
    collect();
    const Ballot ballot = sent<Prepare>().at(0).ballot;
    receive(kTwo, Promise{ballot, true, commit_ + 1, kMaxNumber, 0, 0, {}, {}});
    write();
    receive(kTwo, Promise{ballot, false, commit_ + 1, kMaxNumber, commit, 0, {}, told});
  }

  Options options_;
  std::unique_ptr<MultiPaxos> core_;
  std::vector<std::string> records_;
  LogSeq durable_ = 0;
  LogSeq damaged_ = 0;
  Time now_ = kSecond;
  Position commit_ = 0;
  Effects effects_;
};

TEST_F(MultiPaxosAlone, aPromiseWaitsForItsRecordAndTellsOfEveryVote) {
  write();
  const Ballot first{3, kTwo, 1};
  receive(kTwo, Accept{first, false, 2, 0, {value(first, "b")}});
  now_ += kSecond;
  const Ballot second{4, kThree, 1};
  receive(kThree, Prepare{second, false, {}, 1, {}});
  ASSERT_EQ(sent<Promise>().size(), 1u);
  EXPECT_EQ(after(), records_.size()) << "nothing is told before it is durable";
  const Promise promise = sent<Promise>()[0];
  ASSERT_EQ(promise.votes.size(), 1u);
  EXPECT_EQ(promise.votes[0].first, 2u);
  EXPECT_EQ(promise.votes[0].second.ballot, first);
  EXPECT_EQ(promise.upto, kMaxNumber);
}

TEST_F(MultiPaxosAlone, aFoundingListThatContradictsTheChosenOne_haltsAndSaysSo) {
  std::vector<Member> members = Membership::of_voters({kOne, kTwo}).members();
  members.push_back({.id = kThree, .role = Role::kWitness});
  options_.founding = Membership::make(members).value();
  records_.clear();
  start();
  write();
  const Ballot ballot{3, kTwo, 1};
  std::string others;
  Membership::of_voters({kOne, kTwo, kThree}).append_to(others);
  receive(kTwo, Accept{ballot, false, 1, 0, {{ballot, {3, EntryKind::kMembership, Payload(others)}, false}}});
  write();
  ASSERT_FALSE(effects_.halt.has_value());
  const auto says_so = [&] {
    receive(kTwo, Heartbeat{ballot, 1, 0, 0, 0, 1, 0, true});
    return effects_.halt.has_value() && effects_.halt->find("1,2,w3") != std::string::npos &&
           effects_.halt->find("same list") != std::string::npos;
  };
  EXPECT_TRUE(says_so());
  start();
  EXPECT_TRUE(says_so());
}

TEST_F(MultiPaxosAlone, toAcceptIsToPromise) {
  const Ballot high{5, kTwo, 1};
  receive(kTwo, Accept{high, false, 1, 0, {value(high, "a")}});
  EXPECT_EQ(core_->state().promise, high);
  ASSERT_EQ(sent<Accepted>().size(), 1u);
  EXPECT_EQ(after(), records_.size());
  // An older ballot gets nothing any more, neither before nor after a restart.
  const Ballot low{4, kThree, 1};
  receive(kThree, Accept{low, false, 1, 0, {value(low, "b")}});
  ASSERT_EQ(sent<Refused>().size(), 1u);
  EXPECT_EQ(sent<Refused>()[0].ballot, high);
  write();
  start();
  receive(kThree, Accept{low, false, 1, 0, {value(low, "b")}});
  EXPECT_EQ(sent<Refused>().size(), 1u);
  EXPECT_EQ(core_->slots().find(1)->entry.payload.view(), "a");
}

TEST_F(MultiPaxosAlone, theValueOfTheHighestBallotIsProposedAgainAndGapsAreFilled) {
  write();
  const Ballot low{3, kTwo, 1}, high{3, kThree, 1};
  receive(kTwo, Accept{low, false, 1, 0, {value(low, "mine")}});
  write();
  now_ += kSecond;
  lead({{1, value(high, "theirs")}, {3, value(low, "later")}});
  ASSERT_TRUE(core_->state().leading);
  EXPECT_EQ(core_->slots().find(1)->entry.payload.view(), "theirs");
  EXPECT_EQ(core_->slots().find(1)->entry.epoch, 3u) << "the round of its first proposal is part of a value";
  EXPECT_EQ(core_->slots().find(2)->entry.kind, EntryKind::kNoop);
  EXPECT_EQ(core_->slots().find(3)->entry.payload.view(), "later");
  for (Position p = 1; p <= 3; ++p) EXPECT_EQ(core_->slots().find(p)->ballot, core_->state().promise);
  core_->propose(now_, ProposalId{1}, Payload(std::string("new")));
  collect();
  ASSERT_EQ(effects_.placed.size(), 1u);
  EXPECT_EQ(effects_.placed[0].position, 4u);
}

// A witness takes the place of another one: what it is given has no commands, and the membership that says what it is
// comes last.
TEST_F(MultiPaxosAlone, aNewcomerWithoutCommandsHasNothingToDeliver) {
  options_.founding = {};
  durable_ = 0;
  records_.clear();
  start();
  const Ballot ballot{5, kTwo, 1};
  Acceptance bare = value(ballot, "");
  bare.bare = true;
  receive(kTwo, Accept{ballot, true, 1, 2, {bare, bare}});
  EXPECT_EQ(core_->report().committed, 2u);
  EXPECT_TRUE(effects_.deliveries.empty());
  EXPECT_EQ(core_->report().standing, Standing::kWitness);
  write();
  start();
  receive(kTwo, Heartbeat{ballot, 2, 2, 0, 1, 0, 0, true});
  EXPECT_TRUE(effects_.deliveries.empty());
  EXPECT_EQ(core_->report().standing, Standing::kWitness);
}

// Node 4, a witness, accepted a value whose commands only node 3 may have, which is away. In a group of four these two
// are no quorum, so that nothing was chosen; in one of three they are.
TEST_F(MultiPaxosAlone, whatOnlyAWitnessTellsOf_isNothingWhereItCannotHaveBeenChosen) {
  for (const bool four : {true, false}) {
    SCOPED_TRACE(four);
    constexpr NodeId kWitness{4};
    std::vector<Member> members{{.id = kOne}, {.id = kThree}, {.id = kWitness, .role = Role::kWitness}};
    if (four) members.push_back({.id = kTwo});
    options_.founding = Membership::make(members).value();
    durable_ = 0;
    records_.clear();
    start();
    write();
    const Ballot older{1, kThree, 1}, old{1, kThree, 2};
    receive(kThree, Accept{older, false, 1, 0, {value(older, "a")}});
    write();
    now_ = core_->deadline() + kSecond;
    core_->tick(now_);
    collect();
    const Ballot asked = sent<Prepare>().at(0).ballot;
    std::vector<NodeId> others{kWitness};
    if (four) others.push_back(kTwo);
    for (const NodeId other : others) receive(other, Promise{asked, true, 1, kMaxNumber, 0, 0, {}, {}});
    write();
    if (four) receive(kTwo, Promise{asked, false, 1, kMaxNumber, 0, 0, {}, {}});
    Acceptance first = value(older, ""), second = value(old, "");
    first.bare = second.bare = true;
    ASSERT_LT(old, asked);
    receive(kWitness, Promise{asked, false, 1, kMaxNumber, 0, 0, {}, {{1, first}, {2, second}}});
    EXPECT_EQ(core_->state().leading, four);
    if (!four) continue;
    const auto proposed = sent<Accept>();
    ASSERT_FALSE(proposed.empty());
    ASSERT_EQ(proposed[0].values.size(), 2u);
    EXPECT_EQ(proposed[0].values[0].entry, value(older, "a").entry) << "this member has it";
    EXPECT_EQ(proposed[0].values[1].entry.kind, EntryKind::kNoop);
  }
}

// The oldest record that is left was written before a hole, the base after it: it tells of more as chosen than the
// state from which the member went on. What it was told again stands behind.
TEST_F(MultiPaxosAlone, aLogWhoseBaseGoesBackIsOfOnePiece) {
  const Ballot ballot{3, kTwo, 1};
  const auto record = [&](RecordHeader head, Position first, std::vector<std::string> values) {
    head.promise = ballot;
    std::string bytes;
    append_header(bytes, head);
    append_varint(bytes, 1);
    append_run_head(bytes, ballot, first, values.size());
    for (const std::string& text : values) append_entry(bytes, value(ballot, text).entry, false);
    return bytes;
  };
  records_ = {record({.kind = RecordKind::kVotes, .commit = 11, .high = 12}, 12, {"l"})};
  std::string base;
  append_header(base, {.kind = RecordKind::kBase, .promise = ballot, .commit = 9, .high = 12, .lost_to = 11});
  append_base(base, SnapshotMeta{9, 2, options_.founding, 0, {}}, false, {});
  records_.push_back(base);
  records_.push_back(record({.kind = RecordKind::kVotes, .commit = 12, .high = 12}, 10, {"j", "k"}));
  durable_ = records_.size();
  core_ = std::make_unique<MultiPaxos>(options_, 1);
  for (LogSeq seq = 1; seq <= durable_; ++seq) ASSERT_TRUE(core_->recover(seq, records_[seq - 1]).ok()) << seq;
  core_->start(now_, durable_ + 1, true);
  collect();
  EXPECT_EQ(core_->report().committed, 12u);
  EXPECT_EQ(core_->report().standing, Standing::kFollower);
  for (Position p = 10; p <= 12; ++p) EXPECT_NE(core_->slots().find(p), nullptr) << p;
}

TEST_F(MultiPaxosAlone, aRefusalIsNoPromise) {
  write();
  now_ = std::max(now_, core_->deadline());
  core_->tick(now_);
  collect();
  const Ballot ballot = sent<Prepare>().at(0).ballot;
  receive(kTwo, Refused{Ballot{}, ballot, true});
  receive(kThree, Refused{Ballot{}, ballot, true});
  EXPECT_FALSE(core_->state().leading);
  EXPECT_EQ(core_->state().promise, Ballot{}) << "asking raises nothing";
}

TEST_F(MultiPaxosAlone, aBallotIsNeverDrawnTwice) {
  write();
  now_ = std::max(now_, core_->deadline());
  core_->tick(now_);
  collect();
  receive(kTwo, Promise{sent<Prepare>().at(0).ballot, true, 1, kMaxNumber, 0, 0, {}, {}});
  ASSERT_EQ(sent<Prepare>().size(), 2u);
  const Ballot told = sent<Prepare>()[0].ballot;
  EXPECT_EQ(after(), records_.size()) << "nobody hears of it before it is durable";
  write();
  start();
  now_ = std::max(now_, core_->deadline());
  core_->tick(now_);
  collect();
  EXPECT_GT(sent<Prepare>().at(0).ballot, told);
}

TEST_F(MultiPaxosAlone, anOlderVoteIsNotTakenForTheChosenValue) {
  write();
  const Ballot low{1, kThree, 1}, high{2, kTwo, 1};
  receive(kThree, Accept{low, false, 1, 0, {value(low, "not chosen")}});
  write();
  // The leader of the higher ballot says that slot 1 is chosen; this node has another value there.
  receive(kTwo, Heartbeat{high, 1, kMaxNumber, 0, 0, 1, 0, true});
  EXPECT_EQ(core_->report().committed, 0u);
  receive(kTwo, Accept{high, false, 1, 1, {value(high, "chosen")}});
  EXPECT_EQ(core_->report().committed, 1u);
  ASSERT_EQ(effects_.deliveries.size(), 1u);
  EXPECT_EQ(effects_.deliveries[0].entry.payload.view(), "chosen");
}

TEST_F(MultiPaxosAlone, votesOfAnotherBallotDoNotCount) {
  write();
  lead();
  write();
  const Position last = core_->report().last;
  const Ballot older{1, kOne, 0};
  ASSERT_NE(core_->state().promise, older);
  receive(kTwo, Accepted{older, last, 0, false});
  EXPECT_EQ(core_->report().committed, 0u);
  receive(kTwo, Accepted{core_->state().promise, last, 0, false});
  EXPECT_EQ(core_->report().committed, last);
}

// The second one may have been elected by members of a configuration that is over: its wish says nothing of the lease
// of the first one.
TEST_F(MultiPaxosAlone, aWishForAnotherLeaderLiftsTheLeaseOfItsOwnReignOnly) {
  write();
  const Ballot first{3, kTwo, 1}, second{4, kThree, 1}, third{5, kTwo, 2};
  const auto lease = static_cast<uint64_t>(100 * kMillisecond);
  receive(kTwo, Heartbeat{first, 0, 0, 0, 0, 1, lease, true});
  now_ += 50 * kMillisecond;
  receive(kThree, Heartbeat{second, 0, 0, 0, 0, 1, lease, true});
  ASSERT_EQ(core_->state().promise, second);
  const Prepare request{third, false, second, 1, {}};
  receive(kTwo, request);
  EXPECT_TRUE(sent<Promise>().empty());
  receive(kThree, TimeoutNow{second});
  EXPECT_EQ(core_->state().promise, second) << "its own vote is a promise as well";
  now_ += 60 * kMillisecond;
  receive(kTwo, request);
  EXPECT_EQ(sent<Promise>().size(), 1u);
}

// It may have been elected by members of a configuration that is over, and asks for slots above it within its reign.
TEST_F(MultiPaxosAlone, aLeaderFollowedUnderTheLeaseOfAnotherIsPromisedNothingBeforeThatEnds) {
  write();
  const Ballot first{3, kTwo, 1}, second{4, kThree, 1};
  const auto lease = static_cast<uint64_t>(100 * kMillisecond);
  receive(kTwo, Heartbeat{first, 0, 0, 0, 0, 1, lease, true});
  now_ += 50 * kMillisecond;
  receive(kThree, Heartbeat{second, 0, 0, 0, 0, 1, lease, true});
  ASSERT_EQ(core_->state().promise, second);
  write();
  const Prepare request{second, false, {}, 1, {}};
  receive(kThree, request);
  EXPECT_TRUE(sent<Promise>().empty());
  now_ += 60 * kMillisecond;
  receive(kThree, request);
  EXPECT_EQ(sent<Promise>().size(), 1u) << "its own lease is not in its way";
}

TEST_F(MultiPaxosAlone, forgottenVotesAreNotDenied) {
  write();
  const Ballot ballot{3, kTwo, 1};
  receive(kTwo, Accept{ballot, false, 1, 0, {value(ballot, "a")}});
  write();
  damaged_ = records_.size();
  receive(kTwo, Accept{ballot, false, 2, 0, {value(ballot, "b")}});
  write();
  start();
  EXPECT_EQ(core_->report().standing, Standing::kRecovering);
  now_ += kSecond;
  const Ballot next{4, kThree, 1};
  receive(kThree, Prepare{next, false, {}, 1, {}});
  EXPECT_EQ(sent<Promise>().size(), 0u) << "it would say that nothing was accepted in slot 1";
  EXPECT_EQ(sent<Refused>().size(), 1u);
  // Everything that it may have voted on is chosen and known again.
  receive(kTwo, Accept{ballot, false, 1, 2, {value(ballot, "a"), value(ballot, "b")}});
  EXPECT_EQ(core_->report().committed, 2u);
  now_ += kSecond;
  receive(kThree, Prepare{next, false, {}, 3, {}});
  EXPECT_EQ(sent<Promise>().size(), 1u);
}

TEST_F(MultiPaxosAlone, slotsTooFarAheadAreDropped) {
  const Ballot ballot{3, kTwo, 1};
  const Position far = options_.max_open_slots + 2;
  receive(kTwo, Accept{ballot, false, far, 0, {value(ballot, "a")}});
  EXPECT_EQ(core_->slots().high(), 0u);
  EXPECT_EQ(effects_.facts.back().reason, "slots too far ahead");
}

TEST_F(MultiPaxosAlone, anothersBallotIsNotSpokenUnder) {
  receive(kThree, Heartbeat{Ballot{3, kTwo, 1}, 0, 0, 0, 0, 1, 0, true});
  EXPECT_EQ(core_->report().leader, kNobody);
  receive(kThree, Prepare{Ballot{3, kTwo, 1}, false, {}, 1, {}});
  EXPECT_EQ(core_->state().promise, Ballot{});
}

// Who was deposed before it knew that the next members know of the change takes no word for that of a leader that does
// not know it either: the operator, who is told when it is delivered, switches off the member that is out.
TEST_F(MultiPaxosAlone, aDeposedLeaderHoldsAChangeBackUntilALeaderIsSure) {
  write();
  lead();
  write();
  receive(kTwo, Accepted{core_->state().promise, 1, 0, false});
  replace_the_third();
  Heartbeat beat;
  beat.ballot = Ballot{core_->state().promise.round + 1, kTwo, 1};
  beat.commit = 2;
  receive(kTwo, beat);
  EXPECT_EQ(core_->report().leader, kTwo);
  EXPECT_TRUE(effects_.deliveries.empty());
  beat.told = true;
  receive(kTwo, beat);
  ASSERT_EQ(effects_.deliveries.size(), 1u);
  EXPECT_EQ(effects_.deliveries[0].position, 2u);
}

// Behind a stop-sign: a heartbeat asks again, and an answer may have more pages than fit between two of them.
TEST_F(MultiPaxosAlone, whatIsAskedForAgainIsThePageThatIsAwaited) {
  write();
  lead();
  write();
  const Ballot ballot = core_->state().promise;
  receive(kTwo, Accepted{ballot, 1, 0, false});
  ASSERT_EQ(core_->report().committed, 1u);
  replace_the_third();
  receive(kTwo, Promise{ballot, false, 3, 5, 2, 0, {}, {}});
  ASSERT_EQ(sent<Prepare>().size(), 1u);
  EXPECT_EQ(sent<Prepare>()[0].from, 6u);
  now_ = core_->deadline();
  core_->tick(now_);
  collect();
  std::vector<Position> asked;
  for (const Prepare& request : sent<Prepare>()) asked.push_back(request.from);
  std::sort(asked.begin(), asked.end());
  EXPECT_EQ(asked, (std::vector<Position>{3, 6}));  // of node 4, which is silent, and of node 2
}

TEST_F(MultiPaxosAlone, anAnswerOfManyPagesIsNoSilence) {
  write();
  now_ = std::max(now_, core_->deadline());
  core_->tick(now_);
  collect();
  const Ballot ballot = sent<Prepare>().at(0).ballot;
  receive(kTwo, Promise{ballot, true, 1, kMaxNumber, 0, 0, {}, {}});
  write();
  for (Position page = 1; page <= 20; ++page) {
    now_ += options_.election_min / 2;
    ASSERT_LT(now_, core_->deadline()) << page;
    receive(kTwo, Promise{ballot, false, page, page, 0, 0, {}, {}});
    ASSERT_EQ(sent<Prepare>().size(), 1u);
    EXPECT_EQ(sent<Prepare>()[0].from, page + 1);
  }
  receive(kTwo, Promise{ballot, false, 21, kMaxNumber, 0, 0, {}, {}});
  EXPECT_TRUE(core_->state().leading);
}

TEST_F(MultiPaxosAlone, promisesComeInPages) {
  options_.max_message_bytes = 100;
  start();
  write();
  const Ballot ballot{3, kTwo, 1};
  receive(kTwo, Accept{ballot, false, 1, 0, {value(ballot, "a"), value(ballot, "b"), value(ballot, "c")}});
  now_ += kSecond;
  const Ballot next{4, kThree, 1};
  receive(kThree, Prepare{next, false, {}, 1, {}});
  ASSERT_EQ(sent<Promise>().size(), 1u);
  EXPECT_EQ(sent<Promise>()[0].votes.size(), 1u);
  EXPECT_EQ(sent<Promise>()[0].upto, 1u);
  receive(kThree, Prepare{next, false, {}, 2, {{3, 3, ballot}}});
  ASSERT_EQ(sent<Promise>().size(), 1u);
  EXPECT_EQ(sent<Promise>()[0].votes.size(), 1u) << "what the proposer holds need not come";
  EXPECT_EQ(sent<Promise>()[0].upto, kMaxNumber);
}

}  // namespace
}  // namespace clew::consensus::multipaxos

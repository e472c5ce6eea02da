#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "consensus/zab/zab.h"

namespace clew::consensus::zab {
namespace {

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};
constexpr NodeId kThree{3};

const Membership kThreeVoters = Membership::of_voters({kOne, kTwo, kThree});

std::string encoded(const Membership& membership) {
  std::string bytes;
  membership.append_to(bytes);
  return bytes;
}

// A lone core of a group of three, fed by hand.
class ZabAlone : public testing::Test {
 protected:
  ZabAlone() {
    options_.self = kOne;
    options_.founding = kThreeVoters;
    start();
  }
  void start() {
    core_ = std::make_unique<Zab>(options_, 1);
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
  void wait(Time time) {
    now_ += time;
    core_->tick(now_);
    collect();
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
  LogSeq after_of(size_t at) const { return effects_.sends.at(at).after; }
  bool has_fact(FactKind kind) const {
    return std::any_of(effects_.facts.begin(), effects_.facts.end(),
                       [&](const Fact& fact) { return fact.kind == kind; });
  }
  static Notification vote_for(NodeId leader, uint64_t round, Credentials credentials = {}) {
    Notification m;
    m.hears_you = true;
    m.round = round;
    m.ballot = {credentials, 1, leader};
    return m;
  }
  // Node 1 follows node 2, as far as having promised it `epoch`.
  void follow_two(Epoch epoch) {
    Ping invitation;
    invitation.epoch = epoch;
    invitation.established = true;
    receive(kTwo, invitation);
    ASSERT_EQ(sent<FollowerInfo>().size(), 1u);
    receive(kTwo, NewEpoch{epoch});
  }
  // With a history of `epochs` that node 2 brought, from `prev` on.
  static Propose propose(Epoch epoch, bool diff, Point prev, std::vector<Epoch> epochs, Position commit = 0) {
    Propose m{epoch, diff, prev, commit, {}};
    for (const Epoch e : epochs) m.entries.push_back({e, EntryKind::kCommand, Payload(std::string("x"))});
    return m;
  }

  Options options_;
  std::unique_ptr<Zab> core_;
  Time now_ = kSecond;
  Effects effects_;
  std::vector<std::string> records_;
  LogSeq durable_ = 0;
};

// --- Election ---

TEST_F(ZabAlone, whoIsReplacedVotesForNobodyWhoWouldStepBackForIt) {
  std::vector<Member> members = Membership::of_voters({kTwo, kThree}).members();
  members.push_back({.id = kOne, .role = Role::kLearner, .incoming = false});
  options_.founding = Membership::make(members).value();
  records_.clear();
  durable_ = 0;
  start();
  write();
  follow_two(5);
  write();
  receive(kTwo, NewLeader{5, {}});
  write();
  ASSERT_EQ(core_->state().current, 5u);
  const auto votes_for_three = [&](Epoch current) {
    wait(options_.election_max);  // nobody is heard any more
    receive(kThree, vote_for(kThree, 100 * current, {current, {current, 1}}));
    const auto said = sent<Notification>();
    return std::any_of(said.begin(), said.end(), [](const Notification& m) { return m.ballot.leader == kThree; });
  };
  EXPECT_FALSE(votes_for_three(4));
  EXPECT_TRUE(votes_for_three(5));
}

// A snapshot that it had begun to fetch before it lost its leader says that it is no voter any more.
TEST_F(ZabAlone, whoLearnsWhileItLooksThatItIsNoVoterWaitsQuietly) {
  follow_two(3);
  SnapshotMeta meta;
  meta.position = 9;
  meta.epoch = 2;
  meta.membership = Membership::of_voters({kTwo, kThree});
  receive(kTwo, Snap{3, 1, meta});
  ASSERT_TRUE(effects_.fetch.has_value());
  write();
  now_ = std::max(now_, core_->deadline());
  core_->tick(now_);
  collect();
  ASSERT_EQ(core_->report().standing, Standing::kCandidate);
  core_->snapshot_fetched(now_, meta, true);
  collect();
  ASSERT_EQ(core_->report().standing, Standing::kLearner);
  for (int i = 0; i < 5 && core_->deadline() != kNever; ++i) {
    now_ = std::max(now_, core_->deadline());
    core_->tick(now_);
    collect();
    EXPECT_GT(core_->deadline(), now_);
  }
}

TEST_F(ZabAlone, itVotesForTheMoreRecentHistoryAndSaysSo) {
  receive(kTwo, vote_for(kTwo, 1, {0, {0, 0}}));
  const auto votes = sent<Notification>();
  ASSERT_FALSE(votes.empty());
  EXPECT_EQ(votes.back().ballot.leader, kOne);  // of equal histories the preference, then the id
  receive(kTwo, vote_for(kTwo, 1, {1, {1, 1}}));
  EXPECT_EQ(sent<Notification>().back().ballot.leader, kTwo);
}

TEST_F(ZabAlone, aLaterCurrentEpochBeatsALongerHistory) {
  receive(kTwo, vote_for(kTwo, 1, {2, {2, 1}}));
  receive(kThree, vote_for(kThree, 1, {1, {1, 900}}));
  EXPECT_EQ(core_->state().leader, kNobody);  // a better one may still be heard of
  wait(options_.heartbeat);
  EXPECT_EQ(core_->state().leader, kTwo);
}

TEST_F(ZabAlone, whoDoesNotHearItIsNotVotedFor) {
  Notification deaf = vote_for(kTwo, 1, {1, {1, 1}});
  deaf.hears_you = false;
  receive(kTwo, deaf);
  EXPECT_EQ(sent<Notification>().back().ballot.leader, kOne);
  EXPECT_TRUE(sent<Notification>().back().hears_you);
  // That answer lets it say so, and then it has the vote.
  deaf.hears_you = true;
  receive(kTwo, deaf);
  EXPECT_EQ(sent<Notification>().back().ballot.leader, kTwo);
}

TEST_F(ZabAlone, aQuorumForItselfMakesItLookForFollowers) {
  receive(kTwo, vote_for(kOne, 1));
  wait(options_.heartbeat / 2);
  EXPECT_TRUE(core_->state().leading);
  EXPECT_FALSE(core_->state().established);
  EXPECT_EQ(sent<Ping>().size(), 2u);
}

TEST_F(ZabAlone, votesOfAnEarlierRoundDoNotCount) {
  wait(options_.election_max);
  wait(options_.election_max);
  receive(kTwo, vote_for(kOne, 1));
  wait(options_.heartbeat / 2);
  EXPECT_FALSE(core_->state().leading);
}

// --- Discovery: the follower ---

TEST_F(ZabAlone, aPromiseWaitsForItsRecord) {
  follow_two(5);
  ASSERT_EQ(sent<AckEpoch>().size(), 1u);
  EXPECT_EQ(after_of(0), records_.size());
  EXPECT_EQ(core_->state().accepted, 5u);
  EXPECT_EQ(core_->state().current, 0u);
}

TEST_F(ZabAlone, anEpochIsPromisedOnceAlsoAcrossACrash) {
  follow_two(5);
  write();
  start();
  now_ += kSecond;
  Ping other;
  other.epoch = 5;
  other.established = true;
  receive(kThree, other);
  receive(kThree, NewEpoch{5});
  EXPECT_TRUE(sent<AckEpoch>().empty());
  ASSERT_EQ(sent<FollowerInfo>().size(), 1u);  // so that node 3 takes a later one
  EXPECT_EQ(sent<FollowerInfo>()[0].promised_to, kTwo);
  receive(kThree, NewEpoch{6});
  EXPECT_EQ(sent<AckEpoch>().size(), 1u);
}

TEST_F(ZabAlone, anEpochIsNotPromisedToWhomItDoesNotFollow) {
  follow_two(5);
  receive(kThree, NewEpoch{9});
  EXPECT_EQ(core_->state().accepted, 5u);
}

TEST_F(ZabAlone, underALeaseNothingIsPromisedToAnother) {
  follow_two(5);
  write();
  receive(kTwo, NewLeader{5, {}});
  write();
  Ping lease;
  lease.epoch = 5;
  lease.established = true;
  lease.lease_ns = static_cast<uint64_t>(100 * kMillisecond);
  receive(kTwo, lease);
  Ping other;
  other.epoch = 6;
  other.established = true;
  receive(kThree, other);
  receive(kThree, NewEpoch{6});
  EXPECT_EQ(core_->state().accepted, 5u);
  now_ += 101 * kMillisecond;
  receive(kThree, NewEpoch{6});
  EXPECT_EQ(core_->state().accepted, 6u);
}

TEST_F(ZabAlone, afterARestartALeaseIsWaitedFor) {
  write();
  start();
  follow_two(5);
  EXPECT_EQ(core_->state().accepted, 0u);
  now_ += options_.election_min;
  receive(kTwo, NewEpoch{5});
  EXPECT_EQ(core_->state().accepted, 5u);
}

// --- Synchronisation: the follower ---

TEST_F(ZabAlone, newLeaderIsAcknowledgedAfterTheHistoryAndThenTheEpoch) {
  follow_two(5);
  write();
  receive(kTwo, propose(5, true, {}, {1, 2}));
  EXPECT_EQ(core_->state().current, 2u);  // with its transactions, not before and not beyond
  receive(kTwo, NewLeader{5, {2, {2, 1}}});
  const auto acks = sent<Ack>();
  ASSERT_EQ(acks.size(), 1u);
  EXPECT_EQ(acks[0].kind, Ack::Kind::kHistory);
  EXPECT_EQ(after_of(0), records_.size());
  EXPECT_EQ(core_->state().current, 5u);
}

TEST_F(ZabAlone, newLeaderIsNotAcknowledgedWithAPartOfTheHistory) {
  follow_two(5);
  write();
  receive(kTwo, propose(5, true, {}, {1}));
  receive(kTwo, NewLeader{5, {2, {2, 1}}});
  EXPECT_TRUE(sent<Ack>().empty());
  EXPECT_EQ(sent<FollowerInfo>().size(), 1u);  // it begins again
  EXPECT_EQ(core_->state().current, 1u);
}

TEST_F(ZabAlone, whatTheLeaderLacksIsCut) {
  follow_two(5);
  write();
  receive(kTwo, propose(5, true, {}, {1, 1, 2}));
  write();
  start();
  now_ += options_.election_min;
  follow_two(6);
  ASSERT_EQ(sent<AckEpoch>().size(), 1u);
  const std::vector<End> ends = {{2, 3}, {1, 2}};
  EXPECT_EQ(sent<AckEpoch>()[0].ends, ends);
  write();
  receive(kTwo, Trunc{6, {2, {1, 2}}});
  EXPECT_EQ(core_->report().last, 2u);
  receive(kTwo, NewLeader{6, {2, {1, 2}}});
  write();
  // Late, and repeated: the history is the leader's by now.
  receive(kTwo, propose(6, false, {2, {1, 2}}, {6}));
  receive(kTwo, Trunc{6, {2, {1, 2}}});
  EXPECT_EQ(core_->report().last, 3u);
}

TEST_F(ZabAlone, aTruncThatWasOvertakenByItsDiffCutsNothing) {
  follow_two(5);
  write();
  receive(kTwo, propose(5, true, {}, {1, 1, 2}));
  write();
  receive(kTwo, NewEpoch{6});
  write();
  receive(kTwo, propose(6, true, {1, {1, 1}}, {3}));
  write();
  ASSERT_EQ(core_->report().last, 2u);
  receive(kTwo, Trunc{6, {1, {1, 1}}});
  EXPECT_EQ(core_->report().last, 2u);  // it was acknowledged
}

TEST_F(ZabAlone, whatIsCommittedIsNeverCut) {
  follow_two(5);
  write();
  receive(kTwo, propose(5, true, {}, {1, 1}));
  receive(kTwo, NewLeader{5, {2, {1, 2}}});
  write();
  receive(kTwo, UpToDate{5, 2});
  now_ += kSecond;
  Ping other;
  other.epoch = 6;
  other.established = true;
  receive(kThree, other);
  receive(kThree, NewEpoch{6});
  write();
  core_->receive(now_, kThree, encode(Trunc{6, {1, {1, 1}}}));
  core_->collect(now_, effects_);
  ASSERT_TRUE(effects_.halt.has_value());
  EXPECT_NE(effects_.halt->find("is committed"), std::string::npos);
}

// --- Broadcast: the follower ---

TEST_F(ZabAlone, aProposalBehindAGapIsRejected) {
  follow_two(5);
  receive(kTwo, NewLeader{5, {}});
  write();
  receive(kTwo, propose(5, false, {2, {5, 2}}, {5}));
  ASSERT_EQ(sent<Ack>().size(), 1u);
  EXPECT_EQ(sent<Ack>()[0].kind, Ack::Kind::kRejected);
  EXPECT_EQ(sent<Ack>()[0].last, 0u);
  EXPECT_EQ(core_->report().last, 0u);
}

TEST_F(ZabAlone, aCounterThatDoesNotFollowIsRejected) {
  follow_two(5);
  receive(kTwo, NewLeader{5, {}});
  receive(kTwo, propose(5, false, {}, {5, 5}));
  write();
  receive(kTwo, propose(5, false, {2, {5, 1}}, {5}));
  EXPECT_EQ(core_->report().last, 2u);
}

TEST_F(ZabAlone, proposalsThatOvertakeNewLeaderAreNotTaken) {
  follow_two(5);
  write();
  receive(kTwo, propose(5, false, {}, {5}));
  EXPECT_EQ(core_->report().last, 0u);
}

TEST_F(ZabAlone, proposalsAreAcknowledgedWhenTheyAreDurable) {
  follow_two(5);
  receive(kTwo, NewLeader{5, {}});
  write();
  receive(kTwo, propose(5, false, {}, {5}));
  ASSERT_EQ(sent<Ack>().size(), 1u);
  EXPECT_EQ(after_of(0), records_.size());
}

TEST_F(ZabAlone, commitsAreLearntOnlyWithTheHistoryOfTheEpoch) {
  follow_two(5);
  write();
  receive(kTwo, propose(5, true, {}, {1, 1}));
  write();
  receive(kTwo, Commit{5, 2});
  EXPECT_EQ(core_->report().committed, 0u);
  receive(kTwo, NewLeader{5, {2, {1, 2}}});
  receive(kTwo, UpToDate{5, 2});
  EXPECT_EQ(core_->report().committed, 2u);
  EXPECT_EQ(effects_.deliveries.size(), 2u);
  EXPECT_EQ(core_->report().leader, kTwo);
}

TEST_F(ZabAlone, messagesOfAnEarlierEpochChangeNothing) {
  follow_two(5);
  receive(kTwo, NewLeader{5, {}});
  write();
  receive(kTwo, NewEpoch{6});
  receive(kTwo, NewLeader{6, {}});
  write();
  receive(kTwo, propose(5, false, {}, {5}));
  EXPECT_EQ(core_->report().last, 0u);
}

TEST_F(ZabAlone, aMembershipWithAWitnessIsNotTaken) {
  follow_two(5);
  receive(kTwo, NewLeader{5, {}});
  write();
  std::vector<Member> members = kThreeVoters.members();
  members.push_back({.id = NodeId{4}, .role = Role::kWitness});
  Propose m = propose(5, false, {}, {5});
  m.entries[0] = {5, EntryKind::kMembership, Payload(encoded(Membership::make(members).value()))};
  receive(kTwo, m);
  EXPECT_EQ(core_->report().last, 0u);
  EXPECT_TRUE(has_fact(FactKind::kMessageRefused));
}

// --- The leader ---

class ZabLeads : public ZabAlone {
 protected:
  void elect() {
    receive(kTwo, vote_for(kOne, 1));
    wait(options_.heartbeat / 2);
  }
  void discover(Epoch epoch_of_two) {
    elect();
    receive(kTwo, FollowerInfo{epoch_of_two});
  }
};

TEST_F(ZabLeads, theEpochIsLaterThanWhatAQuorumAccepted) {
  elect();
  EXPECT_EQ(core_->state().reign, 0u);
  receive(kTwo, FollowerInfo{7});
  EXPECT_EQ(core_->state().reign, 8u);
  ASSERT_EQ(sent<NewEpoch>().size(), 1u);
  EXPECT_EQ(effects_.sends.back().after, records_.size());  // its own promise first
}

TEST_F(ZabLeads, itStepsBackBehindAMoreRecentFollower) {
  discover(7);
  write();
  receive(kTwo, AckEpoch{8, {7, {7, 1}}, 1, false, true, {{7, 1}}});
  EXPECT_FALSE(core_->state().leading);
  EXPECT_TRUE(has_fact(FactKind::kSteppedDown));
}

TEST_F(ZabLeads, aReignNeedsTheHistoryAtAQuorum) {
  discover(0);
  write();
  receive(kTwo, AckEpoch{1, {0, {}}, 0, false, true, {}});
  EXPECT_EQ(core_->state().current, 1u);
  ASSERT_EQ(sent<NewLeader>().size(), 1u);
  EXPECT_FALSE(core_->state().established);
  write();
  EXPECT_FALSE(core_->state().established);
  receive(kTwo, Ack{1, Ack::Kind::kHistory, 0, 0});
  EXPECT_TRUE(core_->state().established);
  EXPECT_EQ(core_->report().standing, Standing::kLeader);
  EXPECT_EQ(core_->report().last, 1u);  // the founding membership
}

TEST_F(ZabLeads, aMemberWithALaterPromiseMakesItTakeALaterEpoch) {
  discover(0);
  write();
  receive(kTwo, AckEpoch{1, {0, {}}, 0, false, true, {}});
  write();
  receive(kTwo, Ack{1, Ack::Kind::kHistory, 0, 0});
  write();
  ASSERT_TRUE(core_->state().established);
  receive(kThree, FollowerInfo{4, kTwo});
  EXPECT_TRUE(core_->state().leading);
  EXPECT_FALSE(core_->state().established);
  EXPECT_EQ(core_->state().reign, 5u);
  EXPECT_EQ(sent<NewEpoch>().size(), 2u);
  EXPECT_EQ(core_->report().last, 1u);
}

// A ping before broadcast grants nothing, however its answer comes: a follower that leaves owes nothing for it. An
// epoch that is renewed begins anew.
TEST_F(ZabLeads, aLeaseIsCountedFromPingsOfBroadcastOnly) {
  options_.leases = true;
  records_.clear();
  durable_ = 0;
  start();
  const auto reads_at_once = [&] {
    core_->read(now_, ReadId{1}, ReadBarrier::kLease);
    collect();
    return !effects_.reads.empty();
  };
  const auto answered = [&](Epoch epoch) {
    const auto pings = sent<Ping>();
    ASSERT_FALSE(pings.empty());
    receive(kTwo, Pong{epoch, 0, pings[0].stamp, 0, false, false});
  };
  const auto synchronise = [&](Epoch epoch) {
    write();
    receive(kTwo, AckEpoch{epoch, {epoch - 1, {}}, 0, false, true, {}});
    const Position all = core_->report().last;
    receive(kTwo, Ack{epoch, Ack::Kind::kHeld, all, all});
    write();
    wait(options_.heartbeat);
    ASSERT_EQ(sent<Ping>().at(0).lease_ns, 0u);
    answered(epoch);
    receive(kTwo, Ack{epoch, Ack::Kind::kHistory, all, all});
    ASSERT_TRUE(core_->state().established);
  };
  discover(0);
  synchronise(1);
  EXPECT_FALSE(reads_at_once());
  EXPECT_EQ(core_->state().lease_until, 0);
  wait(options_.heartbeat);
  EXPECT_GT(sent<Ping>().at(0).lease_ns, 0u);
  answered(1);
  EXPECT_TRUE(reads_at_once());

  wait(options_.heartbeat);
  receive(kThree, FollowerInfo{1, kTwo});
  ASSERT_EQ(core_->state().reign, 2u);
  synchronise(2);
  EXPECT_FALSE(reads_at_once());
  wait(options_.heartbeat);
  answered(2);
  EXPECT_TRUE(reads_at_once());
}

TEST_F(ZabLeads, itGivesUpWithoutAQuorum) {
  elect();
  for (int i = 0; i < 10 && core_->state().leading; ++i) wait(options_.heartbeat);
  EXPECT_FALSE(core_->state().leading);
}

TEST_F(ZabLeads, witnessesAreRefused) {
  discover(0);
  write();
  receive(kTwo, AckEpoch{1, {0, {}}, 0, false, true, {}});
  write();
  receive(kTwo, Ack{1, Ack::Kind::kHistory, 0, 0});
  write();
  receive(kTwo, Ack{1, Ack::Kind::kHeld, 1, 1});
  ASSERT_EQ(core_->report().committed, 1u);
  std::vector<Member> members = kThreeVoters.members();
  members.push_back({.id = NodeId{4}, .role = Role::kWitness});
  core_->reconfigure(now_, ProposalId{9}, Membership::make(members).value());
  collect();
  ASSERT_EQ(effects_.refused.size(), 1u);
  EXPECT_EQ(effects_.refused[0].why, Refusal::kInvalid);
  Options options = options_;
  options.founding = Membership::make(members).value();
  EXPECT_EQ(options.check().code(), Code::kInvalidArgument);
}

// --- Records ---

TEST_F(ZabAlone, aCurrentEpochAboveTheAcceptedOneIsRefused) {
  std::string record;
  append_header(record, {RecordKind::kState, 3, kTwo, 4, 0, 0, {}});
  Zab core(options_, 1);
  EXPECT_EQ(core.recover(1, record).code(), Code::kDataLoss);
}

TEST_F(ZabAlone, aPromiseTakenBackIsRefused) {
  std::string first;
  append_header(first, {RecordKind::kState, 3, kTwo, 1, 0, 0, {}});
  std::string other;
  append_header(other, {RecordKind::kState, 3, kThree, 1, 0, 0, {}});
  Zab core(options_, 1);
  ASSERT_TRUE(core.recover(1, first).ok());
  EXPECT_EQ(core.recover(2, other).code(), Code::kDataLoss);
}

TEST_F(ZabAlone, aDamagedEndIsRefused) {
  Zab core(options_, 1);
  ASSERT_TRUE(core.recover_gap(1, 2).ok());
  core.start(now_, 3, true);
  Effects effects;
  core.collect(now_, effects);
  EXPECT_TRUE(effects.halt.has_value());
}

}  // namespace
}  // namespace clew::consensus::zab

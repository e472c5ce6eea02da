#include "consensus/raft/raft.h"

#include <gtest/gtest.h>

#include "consensus/raft/cores_test.h"

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

void found(Cores& cores, const Membership& founding, const std::function<void(Options&)>& change = {}) {
  for (const Member& member : founding.members()) {
    Options options = options_for(member.id, founding);
    if (change) change(options);
    cores.add(options);
  }
  cores.settle();
}

const Membership kThreeVoters = Membership::of_voters({kOne, kTwo, kThree});

// --- Groups ---

TEST(Raft, electsALeaderAndCommits) {
  Cores cores;
  found(cores, kThreeVoters);
  cores.run(kSecond);
  const NodeId leader = cores.leader();
  ASSERT_NE(leader, kNobody);
  cores.propose(leader, "a");
  cores.propose(leader, "b");
  cores.run(kSecond);
  for (NodeId id : {kOne, kTwo, kThree}) EXPECT_EQ(cores.node(id).state, "a,b,") << number(id);
  EXPECT_EQ(cores.failure(), std::nullopt);
}

TEST(Raft, anEntryOfAnEarlierTermIsNotCommittedByCounting) {
  Cores cores;
  found(cores, Membership::of_voters({kOne, kTwo, kThree, kFour, NodeId{5}}));
  cores.timeout(kOne);
  cores.settle();
  const Position committed = cores.core(kOne).report().committed;
  // An entry reaches node 2 only; node 1 is elected again and brings it to 3: a majority has it, of an earlier term.
  for (NodeId id : {kThree, kFour, NodeId{5}}) cores.cut(kOne, id);
  cores.propose(kOne, "old");
  cores.settle();
  cores.crash(kOne);
  cores.heal();
  cores.network().clear();
  cores.start(kOne);
  cores.advance(kSecond);
  cores.timeout(kOne);
  cores.deliver(kOne, kNobody);
  cores.deliver(kNobody, kOne);
  cores.write(kOne);
  cores.deliver(kOne, kNobody);
  for (NodeId id : {kTwo, kThree, kFour, NodeId{5}}) cores.write(id);
  cores.deliver(kNobody, kOne);
  ASSERT_EQ(cores.leader(), kOne);
  const Position old = committed + 1;
  ASSERT_EQ(cores.core(kOne).log().at(old).epoch, 1u);
  // Acknowledgements of the old entry alone, by hand.
  for (NodeId id : {kTwo, kThree, kFour}) {
    cores.turn(kOne, [&](Raft& core) {
      core.receive(cores.now(), id, encode(AppendReply{2, AppendReply::Outcome::kAccepted, old, 0, 0}));
    });
  }
  EXPECT_EQ(cores.core(kOne).report().committed, committed);
  cores.settle();
  EXPECT_GT(cores.core(kOne).report().committed, old);
  EXPECT_EQ(cores.failure(), std::nullopt);
}

// Found by the simulator (swarm 606858): under duplicates and delays messages multiplied without end.
TEST(Raft, anAnswerThatTellsNothingNewDoesNotSendTheProbeAgain) {
  Cores cores;
  found(cores, kThreeVoters);
  cores.timeout(kOne);
  cores.deliver(kOne, kNobody);
  cores.deliver(kNobody, kOne);
  cores.write(kOne);
  cores.deliver(kOne, kNobody);
  for (NodeId id : {kTwo, kThree}) cores.write(id);
  cores.deliver(kNobody, kOne);
  ASSERT_EQ(cores.leader(), kOne);
  const size_t under_way = cores.network().size();
  ASSERT_GT(under_way, 0u);
  const auto accepts = [&](Position match) {
    cores.turn(kOne, [&](Raft& core) {
      core.receive(cores.now(), kTwo, encode(AppendReply{1, AppendReply::Outcome::kAccepted, match, 0, 0}));
    });
  };
  for (int i = 0; i < 10; ++i) accepts(0);
  EXPECT_EQ(cores.network().size(), under_way);
  cores.settle();
  cores.propose(kOne, "a");
  cores.settle();
  EXPECT_EQ(cores.node(kTwo).state, "a,");
  EXPECT_EQ(cores.failure(), std::nullopt);
}

TEST(Raft, aHintIsNoAcknowledgement) {
  Cores cores;
  found(cores, kThreeVoters);
  cores.timeout(kOne);
  cores.settle();
  cores.cut(kOne, kTwo);
  cores.cut(kOne, kThree);
  cores.propose(kOne, "a");
  cores.write(kOne);
  const Position committed = cores.core(kOne).report().committed;
  for (NodeId id : {kTwo, kThree}) {
    cores.turn(kOne, [&](Raft& core) {
      core.receive(cores.now(), id,
                   encode(AppendReply{1, AppendReply::Outcome::kRejected, committed + 1, committed + 1, 1}));
    });
  }
  EXPECT_EQ(cores.core(kOne).report().committed, committed);
}

TEST(Raft, proposalsOfOneTurnAreOneRecordAndOneMessageToEachPeer) {
  Cores cores;
  found(cores, kThreeVoters);
  cores.timeout(kOne);
  cores.settle();
  const size_t records = cores.node(kOne).next;
  cores.turn(kOne, [&](Raft& core) {
    for (uint64_t i = 0; i < 100; ++i) core.propose(cores.now(), ProposalId{1000 + i}, Payload(std::string("x")));
  });
  EXPECT_EQ(cores.node(kOne).next, records + 1);
  EXPECT_EQ(cores.network().size(), 2u);
  cores.settle();
  EXPECT_EQ(cores.node(kTwo).state.size(), 200u);
}

TEST(Raft, proposalsThatAnotherReignWroteOverAreToldAsLost) {
  Cores cores;
  found(cores, kThreeVoters);
  cores.timeout(kOne);
  cores.settle();
  cores.cut(kOne, kTwo);
  cores.cut(kOne, kThree);
  const ProposalId lost = cores.propose(kOne, "lost");
  cores.advance(kSecond);
  cores.timeout(kTwo);
  cores.settle();
  cores.heal();
  cores.propose(kTwo, "kept");
  cores.run(kSecond);
  ASSERT_EQ(cores.node(kOne).refused.size(), 1u);
  EXPECT_EQ(cores.node(kOne).refused[0].id, lost);
  EXPECT_EQ(cores.node(kOne).refused[0].why, Refusal::kLost);
  EXPECT_EQ(cores.node(kOne).state, "kept,");
}

TEST(Raft, roleChangesToAndFromAWitnessAreInvalid) {
  Cores cores;
  found(cores, kThreeVoters);
  cores.timeout(kOne);
  cores.settle();
  std::vector<Member> members = kThreeVoters.members();
  members[2].role = Role::kWitness;
  cores.reconfigure(kOne, Membership::make(members).value());
  ASSERT_EQ(cores.node(kOne).refused.size(), 1u);
  EXPECT_EQ(cores.node(kOne).refused[0].why, Refusal::kInvalid);
}

TEST(Raft, aWitnessDropsItsLogByItself) {
  Cores cores;
  std::vector<Member> members = kThreeVoters.members();
  members[2].role = Role::kWitness;
  found(cores, Membership::make(members).value(), [](Options& options) { options.witness_log_entries = 10; });
  cores.timeout(kOne);
  cores.settle();
  for (int i = 0; i < 50; ++i) {
    cores.propose(kOne, "x");
    cores.settle();
  }
  EXPECT_GT(cores.core(kThree).log().first(), 30u);
  EXPECT_LT(cores.node(kThree).disk.size(), 30u);  // its records went, too
  EXPECT_EQ(cores.node(kThree).applied, 0u);
  cores.crash(kThree, 100);
  cores.start(kThree);
  EXPECT_EQ(cores.core(kThree).report().standing, Standing::kWitness);
  cores.propose(kOne, "y");
  cores.run(kSecond);
  EXPECT_EQ(cores.core(kThree).report().last, cores.core(kOne).report().last);
  EXPECT_EQ(cores.failure(), std::nullopt);
}

TEST(Raft, aNewcomerThatIsAWitnessNeverSeesACommand) {
  Cores cores;
  found(cores, Membership::of_voters({kOne, kTwo}));
  cores.add(options_for(kThree, {}));
  cores.timeout(kOne);
  cores.settle();
  cores.propose(kOne, "secret");
  cores.settle();
  std::vector<Member> members = Membership::of_voters({kOne, kTwo, kThree}).members();
  members[2].role = Role::kWitness;
  cores.reconfigure(kOne, Membership::make(members).value());
  cores.run(kSecond);
  EXPECT_EQ(cores.core(kThree).report().standing, Standing::kWitness);
  EXPECT_EQ(cores.core(kThree).report().last, cores.core(kOne).report().last);
  for (const auto& [seq, record] : cores.node(kThree).disk) EXPECT_EQ(record.find("secret"), std::string::npos);
  EXPECT_EQ(cores.node(kThree).applied, 0u);
}

TEST(Raft, recordsOfEntriesAboveTheSnapshotStay) {
  Cores cores;
  found(cores, Membership::of_voters({kOne}), [](Options& options) { options.keep_tail_bytes = 0; });
  cores.tick(kOne);
  cores.settle();
  cores.propose(kOne, "a");
  cores.settle();
  // One record holds the last entry below the snapshot and the first above it.
  cores.turn(kOne, [&](Raft& core) {
    core.propose(cores.now(), ProposalId{500}, Payload(std::string("b")));
    core.propose(cores.now(), ProposalId{501}, Payload(std::string("c")));
  });
  cores.settle();
  const SnapshotMeta meta{3, 1, {}, 0, {}};
  cores.turn(kOne, [&](Raft& core) { core.snapshot_saved(cores.now(), meta); });
  cores.node(kOne).snapshots[3] = {cores.core(kOne).report().snapshot, "a,b,"};
  cores.settle();
  EXPECT_LT(cores.node(kOne).disk.size(), 4u);
  cores.crash(kOne);
  cores.start(kOne);
  cores.tick(kOne);
  cores.settle();
  EXPECT_EQ(cores.node(kOne).state, "a,b,c,");
  EXPECT_EQ(cores.failure(), std::nullopt);
}

TEST(Raft, aMembershipThatIsTruncatedAwayIsUndone) {
  Cores cores;
  found(cores, kThreeVoters);
  cores.timeout(kOne);
  cores.settle();
  cores.cut(kOne, kTwo);
  cores.cut(kOne, kThree);
  cores.reconfigure(kOne, Membership::of_voters({kOne, kTwo, kThree, kFour}));
  EXPECT_TRUE(cores.core(kOne).membership().joint());
  cores.advance(kSecond);
  cores.timeout(kTwo);
  cores.settle();
  cores.heal();
  cores.propose(kTwo, "a");
  cores.run(kSecond);
  EXPECT_EQ(cores.core(kOne).membership(), kThreeVoters);
}

TEST(Raft, aLearnerIsAskedForNothing) {
  Cores cores;
  std::vector<Member> members = Membership::of_voters({kOne}).members();
  members.push_back({.id = kTwo, .role = Role::kLearner, .incoming = false});
  found(cores, Membership::make(members).value());
  cores.tick(kOne);
  cores.cut(kOne, kTwo);
  cores.propose(kOne, "a");
  cores.settle();
  EXPECT_EQ(cores.node(kOne).state, "a,");
  cores.advance(10 * kSecond);
  cores.timeout(kTwo);
  EXPECT_EQ(cores.core(kTwo).report().standing, Standing::kLearner);
  EXPECT_EQ(cores.core(kTwo).report().epoch, 0u);
}

TEST(Raft, waitingReadsAreBounded) {
  Cores cores;
  found(cores, kThreeVoters, [](Options& options) { options.max_waiting_reads = 2; });
  cores.timeout(kOne);
  cores.settle();
  for (NodeId id : {kOne, kTwo}) {
    for (int i = 0; i < 3; ++i) cores.read(id);
    ASSERT_EQ(cores.node(id).reads_refused.size(), 1u) << number(id);
    EXPECT_EQ(cores.node(id).reads_refused[0].why, Refusal::kOverloaded);
  }
  cores.settle();
  EXPECT_EQ(cores.node(kOne).reads.size(), 2u);
}

TEST(Raft, aLostQuestionOfAFollowerIsAskedAgain) {
  Cores cores;
  found(cores, kThreeVoters);
  cores.timeout(kOne);
  cores.settle();
  cores.read(kTwo);
  cores.drop(kTwo, kOne);
  cores.run(200 * kMillisecond);
  EXPECT_EQ(cores.node(kTwo).reads.size(), 1u);
}

TEST(Raft, readsOfAFollowerAreRefusedWhenTheLeaderChanges) {
  Cores cores;
  found(cores, kThreeVoters);
  cores.timeout(kOne);
  cores.settle();
  cores.read(kTwo);
  cores.crash(kOne);
  cores.advance(kSecond);
  cores.timeout(kTwo);
  EXPECT_EQ(cores.node(kTwo).reads_refused.size(), 1u);
}

TEST(Raft, theLessEagerCampaignsLater) {
  Cores cores;
  for (uint64_t i = 1; i <= 3; ++i) {
    Options options = options_for(NodeId{i}, kThreeVoters);
    options.priority = i == 3 ? 0 : 2;
    cores.add(options);
  }
  cores.run(2 * kSecond);
  EXPECT_EQ(cores.leader(), kThree);
}

TEST(Raft, afterItsLeaderDiedAGroupElectsAnotherWithinAFewTimeouts) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Cores cores(seed);
    found(cores, kThreeVoters);
    cores.run(kSecond);
    const NodeId first = cores.leader();
    ASSERT_NE(first, kNobody);
    cores.crash(first);
    cores.run(3 * Options().election_max);
    const NodeId second = cores.leader();
    ASSERT_NE(second, kNobody) << "seed " << seed;
    EXPECT_NE(second, first);
  }
}

}  // namespace
}  // namespace clew::consensus::raft

#include "consensus/zab/zab.h"

#include <gtest/gtest.h>

#include "consensus/zab/cores_test.h"

namespace clew::consensus::zab {
namespace {

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};
constexpr NodeId kThree{3};
constexpr NodeId kFour{4};

void found(Cores& cores, const Membership& founding, const std::function<void(Options&)>& change = {}) {
  for (const Member& member : founding.members()) {
    Options options;
    options.self = member.id;
    options.founding = founding;
    if (change) change(options);
    cores.add(options);
  }
  cores.run(300 * kMillisecond);
}

const Membership kThreeVoters = Membership::of_voters({kOne, kTwo, kThree});

TEST(Zab, electsALeaderAndCommits) {
  Cores cores;
  found(cores, kThreeVoters);
  const NodeId leader = cores.leader();
  ASSERT_NE(leader, kNobody);
  cores.propose(leader, "a");
  cores.propose(leader, "b");
  cores.run(kSecond);
  for (NodeId id : {kOne, kTwo, kThree}) EXPECT_EQ(cores.node(id).state, "a,b,") << number(id);
  EXPECT_EQ(cores.failure(), std::nullopt);
}

TEST(Zab, theMemberWithTheMostRecentHistoryLeads) {
  Cores cores;
  found(cores, kThreeVoters);
  ASSERT_EQ(cores.leader(), kThree);
  cores.crash(kOne);
  cores.propose(kThree, "a");
  cores.settle();
  cores.crash(kThree);
  cores.start(kOne);
  cores.run(2 * kSecond);
  EXPECT_EQ(cores.leader(), kTwo);
  EXPECT_EQ(cores.node(kOne).state, "a,");
  EXPECT_EQ(cores.failure(), std::nullopt);
}

TEST(Zab, whatAMinorityHasIsCutWhenOthersWentOn) {
  Cores cores;
  found(cores, kThreeVoters);
  ASSERT_EQ(cores.leader(), kThree);
  cores.cut(kThree, kOne);
  cores.cut(kThree, kTwo);
  const ProposalId lost = cores.propose(kThree, "lost");
  cores.write(kThree);
  cores.cut(kOne, kThree);
  cores.cut(kTwo, kThree);
  cores.run(kSecond);
  ASSERT_NE(cores.leader(), kThree);
  cores.propose(cores.leader(), "kept");
  cores.run(kSecond);
  cores.heal();
  cores.run(kSecond);
  for (NodeId id : {kOne, kTwo, kThree}) EXPECT_EQ(cores.node(id).state, "kept,") << number(id);
  const auto& refused = cores.node(kThree).refused;
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].id, lost);
  EXPECT_EQ(refused[0].why, Refusal::kLost);
  EXPECT_EQ(cores.failure(), std::nullopt);
}

TEST(Zab, aCounterThatIsUsedUpBeginsANewEpochWithoutAnElection) {
  Cores cores;
  found(cores, kThreeVoters, [](Options& options) { options.max_counter = 4; });
  const NodeId leader = cores.leader();
  const Epoch before = cores.core(leader).report().epoch;
  for (int i = 0; i < 20; ++i) {
    cores.propose(leader, std::to_string(i));
    cores.run(10 * kMillisecond);
  }
  EXPECT_EQ(cores.leader(), leader);
  EXPECT_GE(cores.core(leader).report().epoch, before + 4);
  EXPECT_LE(cores.core(leader).state().last.zxid.counter, 4u);
  EXPECT_TRUE(cores.node(leader).refused.empty());
  EXPECT_EQ(cores.node(kOne).state, cores.node(kThree).state);
  EXPECT_EQ(cores.failure(), std::nullopt);
}

TEST(Zab, aMemberThatFailedToLeadComesBackUnderALaterEpoch) {
  Cores cores;
  found(cores, kThreeVoters);
  const NodeId leader = cores.leader();
  // Node 1 alone: it promises nothing to anybody, for it never sees a quorum.
  for (NodeId id : {kTwo, kThree}) {
    cores.cut(kOne, id);
    cores.cut(id, kOne);
  }
  cores.propose(leader, "a");
  cores.run(3 * kSecond);
  EXPECT_EQ(cores.leader(), leader);
  cores.heal();
  cores.run(kSecond);
  EXPECT_EQ(cores.leader(), leader);
  EXPECT_EQ(cores.node(kOne).state, "a,");
  EXPECT_EQ(cores.failure(), std::nullopt);
}

TEST(Zab, aLeaderThatHearsNobodyIsReplacedForGood) {
  Cores cores;
  found(cores, kThreeVoters);
  ASSERT_EQ(cores.leader(), kThree);
  cores.cut(kOne, kThree);
  cores.cut(kTwo, kThree);
  cores.run(2 * kSecond);
  const NodeId second = cores.leader();
  ASSERT_NE(second, kThree);
  ASSERT_NE(second, kNobody);
  const Epoch epoch = cores.core(second).report().epoch;
  cores.run(5 * kSecond);
  EXPECT_EQ(cores.core(second).report().epoch, epoch);
  EXPECT_EQ(cores.core(second).report().standing, Standing::kLeader);
  EXPECT_EQ(cores.failure(), std::nullopt);
}

TEST(Zab, leadershipGoesWhereItIsSent) {
  Cores cores;
  found(cores, kThreeVoters);
  for (const NodeId to : {kOne, kTwo, kThree, kOne}) {
    cores.transfer(cores.leader(), to);
    cores.run(400 * kMillisecond);
    EXPECT_EQ(cores.leader(), to);
  }
  EXPECT_EQ(cores.failure(), std::nullopt);
}

TEST(Zab, aMembershipNeedsBothQuorums) {
  Cores cores;
  found(cores, kThreeVoters);
  Options joiner;
  for (const NodeId id : {kFour, NodeId{5}}) {
    joiner.self = id;
    cores.add(joiner);
    for (const NodeId other : {kOne, kTwo, kThree}) cores.cut(id, other);  // they hear, and are not heard
  }
  const Position before = cores.core(kThree).report().committed;
  cores.reconfigure(kThree, Membership::of_voters({kThree, kFour, NodeId{5}}));
  cores.run(100 * kMillisecond);
  EXPECT_EQ(cores.core(kThree).report().committed, before);
  cores.heal();
  cores.run(kSecond);
  EXPECT_GT(cores.core(cores.leader()).report().committed, before);
  EXPECT_EQ(cores.core(cores.leader()).membership().to_string(), "3,4,5");
  EXPECT_EQ(cores.failure(), std::nullopt);
}

TEST(Zab, syncSeesWhatWasCommittedBeforeIt) {
  Cores cores;
  found(cores, kThreeVoters);
  cores.propose(kThree, "a");
  cores.settle();
  const Position committed = cores.core(kThree).report().committed;
  cores.read(kOne);
  cores.settle();
  ASSERT_EQ(cores.node(kOne).reads.size(), 1u);
  EXPECT_GE(cores.node(kOne).reads[0].position, committed);
  // Without a quorum it is not answered.
  cores.cut(kOne, kThree);
  cores.cut(kTwo, kThree);
  cores.read(kThree);
  cores.settle();
  EXPECT_TRUE(cores.node(kThree).reads.empty());
}

// Node 2 answers a ping before broadcast and makes the quorum; then its connection breaks. It owes no lease to node 3,
// which has not heard that it is alone.
TEST(Zab, whoLeftBeforeItGrantedALeaseMakesNoReadStale) {
  Cores cores;
  cores.cut(kOne, kThree);
  cores.cut(kThree, kOne);
  for (const NodeId id : {kOne, kTwo, kThree}) {
    Options options;
    options.self = id;
    options.founding = kThreeVoters;
    options.leases = true;
    cores.add(options);
  }
  cores.settle();
  for (int i = 0; i < 10 && !cores.core(kThree).state().leading; ++i) cores.timeout(kThree);
  const auto exchange = [&] {
    cores.write(kThree);
    cores.deliver(kThree, kTwo);
    cores.write(kTwo);
  };
  for (int i = 0; i < 10 && cores.core(kThree).state().current == 0; ++i) {
    exchange();
    cores.deliver(kTwo, kThree);
  }
  cores.advance(Options().heartbeat);
  cores.tick(kThree);
  exchange();
  cores.advance(kMillisecond);
  cores.deliver(kTwo, kThree);
  ASSERT_TRUE(cores.core(kThree).state().established);
  cores.write(kThree);
  ASSERT_GT(cores.drop(kThree, kTwo), 0u);
  cores.cut(kTwo, kThree);
  cores.cut(kThree, kTwo);
  cores.connection(kTwo, kThree, false);
  const Time left = cores.now();
  while (cores.leader() == kThree && cores.now() - left < kSecond) cores.run(kMillisecond);
  const NodeId second = cores.leader();
  ASSERT_NE(second, kThree);
  cores.propose(second, "new");
  cores.settle();
  ASSERT_EQ(cores.node(kTwo).state, "new,");
  ASSERT_EQ(cores.core(kThree).report().standing, Standing::kLeader) << "it has to be too early for it to know";
  cores.read(kThree, ReadBarrier::kLease);
  EXPECT_TRUE(cores.node(kThree).reads.empty());
  EXPECT_EQ(cores.failure(), std::nullopt);
}

TEST(Zab, aSnapshotStandsForWhatIsCompacted) {
  Cores cores;
  found(cores, kThreeVoters, [](Options& options) { options.keep_tail_bytes = 0; });
  cores.crash(kOne);
  for (int i = 0; i < 5; ++i) cores.propose(kThree, std::to_string(i));
  cores.settle();
  cores.save_snapshot(kThree);
  cores.settle();
  cores.propose(kThree, "after");
  cores.start(kOne);
  cores.run(kSecond);
  EXPECT_EQ(cores.node(kOne).state, "0,1,2,3,4,after,");
  cores.crash(kOne);
  cores.start(kOne);
  cores.run(kSecond);
  EXPECT_EQ(cores.node(kOne).state, "0,1,2,3,4,after,");
  EXPECT_EQ(cores.failure(), std::nullopt);
}

TEST(Zab, aGroupOfOneAndItsObserver) {
  Cores cores;
  found(cores, Membership::of_voters({kOne}));
  ASSERT_EQ(cores.leader(), kOne);
  Options joiner;
  joiner.self = kTwo;
  cores.add(joiner);
  std::vector<Member> members = {{.id = kOne}, {.id = kTwo, .role = Role::kLearner, .incoming = false}};
  cores.reconfigure(kOne, Membership::make(members).value());
  cores.run(200 * kMillisecond);
  cores.propose(kOne, "a");
  cores.run(200 * kMillisecond);
  EXPECT_EQ(cores.node(kTwo).state, "a,");
  cores.crash(kTwo);
  cores.propose(kOne, "b");
  cores.run(200 * kMillisecond);
  EXPECT_EQ(cores.node(kOne).state, "a,b,");
  EXPECT_EQ(cores.failure(), std::nullopt);
}

}  // namespace
}  // namespace clew::consensus::zab

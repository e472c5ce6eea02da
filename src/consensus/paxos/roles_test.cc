#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "consensus/paxos/acceptor.h"
#include "consensus/paxos/decrees_test.h"
#include "consensus/paxos/learner.h"
#include "consensus/paxos/proposer.h"

namespace clew::consensus::paxos {
namespace {

using ::testing::HasSubstr;

Ballot ballot(uint64_t round, uint64_t proposer, uint64_t incarnation = 1) {
  return {round, NodeId{proposer}, incarnation};
}
const std::vector<NodeId> kThree = {NodeId{1}, NodeId{2}, NodeId{3}};

Message promise(const Ballot& at, Proposal accepted = {}) {
  Message message;
  message.kind = MessageKind::kPromise;
  message.ballot = at;
  message.accepted = std::move(accepted);
  return message;
}
Message accepted(const Ballot& at, std::string value) {
  Message message;
  message.kind = MessageKind::kAccepted;
  message.ballot = at;
  message.value = std::move(value);
  return message;
}
Message refusal(const Ballot& of, const Ballot& promised) {
  Message message;
  message.kind = MessageKind::kRefusal;
  message.ballot = of;
  message.promised = promised;
  return message;
}

// --- Acceptor ---

TEST(PaxosAcceptor, promisesTheHighestAndRefusesWithWhatItPromised) {
  Acceptor acceptor;
  EXPECT_EQ(acceptor.on_prepare(ballot(2, 1)).kind, MessageKind::kPromise);
  const Message refused = acceptor.on_prepare(ballot(1, 3));
  EXPECT_EQ(refused.kind, MessageKind::kRefusal);
  EXPECT_EQ(refused.ballot, ballot(1, 3));
  EXPECT_EQ(refused.promised, ballot(2, 1));
  EXPECT_EQ(acceptor.on_prepare(ballot(2, 1)).kind, MessageKind::kPromise) << "an answer that was lost is given again";
}

TEST(PaxosAcceptor, toAcceptAtABallotIsToPromiseIt) {
  Acceptor acceptor;
  EXPECT_EQ(acceptor.on_accept(ballot(5, 1), "blue").kind, MessageKind::kAccepted);
  EXPECT_EQ(acceptor.on_prepare(ballot(4, 2)).kind, MessageKind::kRefusal);
  EXPECT_EQ(acceptor.on_accept(ballot(4, 2), "red").kind, MessageKind::kRefusal);
  EXPECT_TRUE(acceptor.check_invariants().ok());
  const Message told = acceptor.on_prepare(ballot(6, 2));
  EXPECT_EQ(told.accepted, (Proposal{ballot(5, 1), "blue"}));
}

TEST(PaxosAcceptor, aBallotOfAnEarlierIncarnationIsLower) {
  Acceptor acceptor;
  acceptor.on_prepare(ballot(1, 1, 2));
  EXPECT_EQ(acceptor.on_accept(ballot(1, 1, 1), "blue").kind, MessageKind::kRefusal);
  EXPECT_EQ(acceptor.on_accept(ballot(1, 1, 2), "blue").kind, MessageKind::kAccepted);
}

// --- Proposer ---

class PaxosProposer : public testing::Test {
 protected:
  PaxosProposer() : proposer_(options(), 1) {}
  static ProposerOptions options() {
    ProposerOptions options;
    options.self = NodeId{1};
    options.acceptors = kThree;
    options.quorum = FlexibleQuorum::of_majorities(3);
    return options;
  }
  Message first_order() {
    const auto orders = proposer_.take_orders();
    EXPECT_EQ(orders.size(), 3u);
    return orders.empty() ? Message{} : orders.front().message;
  }
  Proposer proposer_;
};

TEST_F(PaxosProposer, withoutEarlierProposalsItsWishIsChosen) {
  proposer_.propose(0, "blue");
  EXPECT_EQ(first_order().kind, MessageKind::kPrepare);
  proposer_.receive(0, NodeId{1}, promise(ballot(1, 1)));
  proposer_.receive(0, NodeId{1}, promise(ballot(1, 1)));
  EXPECT_TRUE(proposer_.take_orders().empty()) << "one acceptor counts once";
  proposer_.receive(0, NodeId{2}, promise(ballot(1, 1)));
  const Message accept = first_order();
  EXPECT_EQ(accept.kind, MessageKind::kAccept);
  EXPECT_EQ(accept.value, "blue");
  proposer_.receive(0, NodeId{3}, accepted(ballot(1, 1), "blue"));
  EXPECT_FALSE(proposer_.chosen());
  proposer_.receive(0, NodeId{2}, accepted(ballot(1, 1), "blue"));
  EXPECT_EQ(proposer_.chosen()->value, "blue");
  EXPECT_EQ(proposer_.attempts().back().end, Attempt::End::kChosen);
}

TEST_F(PaxosProposer, theValueOfTheHighestBallotIsTakenNotTheHighestValue) {
  proposer_.go_on_from(8);
  proposer_.propose(0, "blue");
  (void)first_order();
  proposer_.receive(0, NodeId{2}, promise(ballot(9, 1), {ballot(1, 2), "zebra"}));
  proposer_.receive(0, NodeId{3}, promise(ballot(9, 1), {ballot(3, 3), "ant"}));
  EXPECT_EQ(first_order().value, "ant");
}

TEST_F(PaxosProposer, aRefusalIsNoPromiseAndTheNextBallotGoesBeyondIt) {
  proposer_.propose(0, "blue");
  (void)first_order();
  proposer_.receive(0, NodeId{1}, promise(ballot(1, 1)));
  proposer_.receive(0, NodeId{2}, refusal(ballot(1, 1), ballot(7, 3)));
  EXPECT_TRUE(proposer_.take_orders().empty());
  EXPECT_EQ(proposer_.attempts().back().end, Attempt::End::kRefused);
  EXPECT_EQ(proposer_.attempts().back().refused_for, ballot(7, 3));
  proposer_.receive(0, NodeId{3}, promise(ballot(1, 1)));
  EXPECT_TRUE(proposer_.take_orders().empty()) << "the ballot was given up";
  proposer_.tick(proposer_.deadline());
  EXPECT_EQ(first_order().ballot, ballot(8, 1));
}

TEST_F(PaxosProposer, silenceIsAnsweredByAnotherBallot) {
  proposer_.propose(0, "blue");
  (void)first_order();
  const Time patience = proposer_.deadline();
  proposer_.tick(patience - 1);
  EXPECT_EQ(proposer_.attempts().back().end, Attempt::End::kUnderWay);
  proposer_.tick(patience);
  EXPECT_EQ(proposer_.attempts().back().end, Attempt::End::kUnanswered);
  proposer_.tick(proposer_.deadline());
  EXPECT_EQ(first_order().ballot, ballot(2, 1));
}

TEST_F(PaxosProposer, strangersAreNotCounted) {
  proposer_.propose(0, "blue");
  (void)first_order();
  proposer_.receive(0, NodeId{4}, promise(ballot(1, 1)));
  proposer_.receive(0, NodeId{5}, promise(ballot(1, 1)));
  EXPECT_TRUE(proposer_.take_orders().empty());
}

TEST_F(PaxosProposer, whatIsKeptOfItsAttemptsIsBounded) {
  proposer_.propose(0, "blue");
  for (int i = 0; i < 100; ++i) proposer_.tick(proposer_.deadline());
  EXPECT_EQ(proposer_.attempts().size(), Proposer::kMaxAttempts);
  EXPECT_GT(proposer_.attempts_made(), 40u);
}

// --- Learner ---

TEST(PaxosLearner, votesUnderDifferentBallotsAreNotAddedUp) {
  Learner learner(kThree, 2);
  learner.accepted(NodeId{1}, ballot(1, 1), "blue");
  learner.accepted(NodeId{2}, ballot(2, 2), "blue");
  EXPECT_FALSE(learner.chosen());
  learner.accepted(NodeId{2}, ballot(2, 2), "blue");
  learner.accepted(NodeId{9}, ballot(2, 2), "blue");
  EXPECT_FALSE(learner.chosen());
  learner.accepted(NodeId{3}, ballot(2, 2), "blue");
  EXPECT_EQ(learner.chosen(), (Proposal{ballot(2, 2), "blue"}));
}

TEST(PaxosLearner, anOldVoteOfAnAcceptorDoesNotReplaceItsNewerOne) {
  Learner learner(kThree, 2);
  learner.accepted(NodeId{1}, ballot(2, 2), "red");
  learner.accepted(NodeId{1}, ballot(1, 1), "blue");
  learner.accepted(NodeId{2}, ballot(1, 1), "blue");
  EXPECT_FALSE(learner.chosen());
}

// --- All of them: Decrees ---

TEST(PaxosDecrees, aDecreeHasItsAcceptorsForEver) {
  Synod synod(3);
  ASSERT_TRUE(synod.propose(NodeId{1}, "colour", "blue").ok());
  synod.settle();
  const Status other = synod.node(NodeId{2}).core->propose(0, "colour", {NodeId{2}, NodeId{4}, NodeId{5}}, "red");
  EXPECT_EQ(other.code(), Code::kFailedPrecondition);
  Frame frame{"colour", {NodeId{2}, NodeId{4}}, {}};
  frame.message.ballot = ballot(99, 4);
  synod.node(NodeId{2}).core->receive(0, NodeId{4}, encode(frame));
  Effects effects;
  synod.node(NodeId{2}).core->collect(effects);
  EXPECT_TRUE(effects.sends.empty());
  ASSERT_EQ(effects.facts.size(), 1u);
  EXPECT_EQ(effects.facts[0].reason, "a decree among other acceptors");
}

TEST(PaxosDecrees, theirNumberAndTheSizeOfValuesAreBounded) {
  DecreesOptions options;
  options.max_decrees = 2;
  Synod synod(3, options);
  EXPECT_TRUE(synod.propose(NodeId{1}, "a", "1").ok());
  EXPECT_TRUE(synod.propose(NodeId{1}, "b", "1").ok());
  EXPECT_EQ(synod.propose(NodeId{1}, "c", "1").code(), Code::kResourceExhausted);
  EXPECT_EQ(synod.propose(NodeId{1}, "a", std::string(kMaxValueBytes + 1, 'x')).code(), Code::kInvalidArgument);
  EXPECT_EQ(synod.propose(NodeId{1}, "", "1").code(), Code::kInvalidArgument);
  synod.settle();
  EXPECT_EQ(synod.chosen(NodeId{3}, "b")->value, "1");
}

TEST(PaxosDecrees, oneMemberAloneIsAQuorumOfItself) {
  Synod synod(1);
  ASSERT_TRUE(synod.propose(NodeId{1}, "colour", "blue").ok());
  synod.settle();
  EXPECT_EQ(synod.chosen(NodeId{1}, "colour")->value, "blue");
}

TEST(PaxosDecrees, theLogIsWrittenAnewBeforeItGrowsWithoutBound) {
  Synod synod(3);
  const NodeId one{1};
  for (int i = 0; i < 3'000; ++i) {  // a proposer that never gets an answer of the others prepares again and again
    (void)synod.propose(one, "colour", "blue");
    synod.write(one);
    while (synod.drop(one, NodeId{2}) + synod.drop(one, NodeId{3}) + synod.deliver(one, one) != 0) synod.write(one);
    synod.node(one).core->give_up(synod.now(), "colour");
  }
  EXPECT_LT(synod.node(one).disk.size(), 4'300u);
  synod.crash(one);
  synod.start(one);
  EXPECT_EQ(synod.failure(), std::nullopt);
  ASSERT_TRUE(synod.propose(one, "colour", "green").ok());
  synod.settle();
  EXPECT_FALSE(synod.chosen(one, "colour")) << "its own promise, of the life before, is far ahead";
  synod.timeout(one);
  synod.settle();
  ASSERT_TRUE(synod.chosen(NodeId{2}, "colour"));
  EXPECT_EQ(synod.chosen(NodeId{2}, "colour")->value, "green");
}

TEST(PaxosDecrees, aMemberWithAGapInItsLogNeitherVotesNorProposes) {
  Synod synod(3);
  synod.settle();
  synod.damage(NodeId{3});
  EXPECT_THAT(synod.propose(NodeId{3}, "colour", "red").message(), HasSubstr("is damaged"));
  ASSERT_TRUE(synod.propose(NodeId{1}, "colour", "blue").ok());
  synod.write(NodeId{1});
  synod.drop(NodeId{1}, NodeId{2});
  synod.settle();
  EXPECT_FALSE(synod.chosen(NodeId{1}, "colour")) << "one vote of three, and one who may not vote";
  synod.timeout(NodeId{1});
  synod.timeout(NodeId{1});
  synod.settle();
  ASSERT_TRUE(synod.chosen(NodeId{3}, "colour"));
  EXPECT_EQ(synod.chosen(NodeId{3}, "colour")->value, "blue");
}

}  // namespace
}  // namespace clew::consensus::paxos

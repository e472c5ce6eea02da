#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

#include "consensus/config_timeline.h"
#include "consensus/in_flight.h"
#include "consensus/membership.h"
#include "consensus/quorum.h"
#include "consensus/read_gate.h"
#include "consensus/snapshot.h"

namespace clew::consensus {
namespace {

Membership voters(std::initializer_list<uint64_t> ids) {
  std::vector<NodeId> nodes;
  for (uint64_t id : ids) nodes.push_back(NodeId{id});
  return Membership::of_voters(nodes);
}

Member member(uint64_t id, Role role, bool votes = true) {
  return {.id = NodeId{id}, .role = role, .incoming = votes && role != Role::kLearner, .address = ""};
}

TEST(Membership, refusesWhatCannotWork) {
  EXPECT_FALSE(Membership::make({}).ok());
  EXPECT_FALSE(Membership::make({member(1, Role::kWitness)}).ok());
  EXPECT_FALSE(Membership::make({member(1, Role::kVoter), member(1, Role::kVoter)}).ok());
  EXPECT_FALSE(Membership::make({member(0, Role::kVoter)}).ok());
  Member voting_learner = member(2, Role::kLearner);
  voting_learner.incoming = true;
  EXPECT_FALSE(Membership::make({member(1, Role::kVoter), voting_learner}).ok());
  EXPECT_TRUE(Membership::make({member(1, Role::kVoter), member(2, Role::kWitness), member(3, Role::kLearner)}).ok());
}

TEST(Membership, jointHasBothElectoratesAndLeavingItGivesTheTarget) {
  const Membership old = voters({1, 2, 3});
  const Membership target =
      Membership::make({member(1, Role::kVoter), member(4, Role::kVoter), member(3, Role::kLearner)}).value();
  const Membership joint = old.enter_joint(target);
  EXPECT_TRUE(joint.joint());
  EXPECT_EQ(joint.to_string(), "(1,2,3)->(1,4)");
  EXPECT_TRUE(joint.votes(NodeId{2}));
  EXPECT_TRUE(joint.votes(NodeId{4}));
  EXPECT_TRUE(joint.votes(NodeId{3}));  // until the joint electorate is left
  EXPECT_EQ(joint.leave_joint(), target);
}

TEST(Membership, aVoterCannotTurnIntoAWitness) {
  const Membership target = Membership::make({member(1, Role::kVoter), member(2, Role::kWitness)}).value();
  EXPECT_FALSE(voters({1, 2}).can_become(target).ok());
  EXPECT_TRUE(voters({1}).can_become(target).ok());
}

TEST(Membership, addingALearnerNeedsNoJointElectorate) {
  const Membership target = Membership::make({member(1, Role::kVoter), member(2, Role::kVoter), member(3, Role::kVoter),
                                              member(4, Role::kLearner)})
                                .value();
  EXPECT_FALSE(voters({1, 2, 3}).enter_joint(target).joint());
}

RC_GTEST_PROP(MembershipProperty, bytesAreCanonicalAndComeBack,
              (const std::set<uint8_t>& ids, const std::set<uint8_t>& other)) {
  const auto make = [](const std::set<uint8_t>& from) {
    std::vector<NodeId> nodes{NodeId{1000}};
    for (uint8_t id : from) {
      if (nodes.size() < kMaxMembers / 2) nodes.push_back(NodeId{id + 1ull});
    }
    return Membership::of_voters(nodes);
  };
  const Membership joint = make(ids).enter_joint(make(other));
  std::string bytes;
  joint.append_to(bytes);
  const auto back = Membership::parse(bytes);
  RC_ASSERT(back.ok());
  RC_ASSERT(back.value() == joint);
  RC_ASSERT(!Membership::parse(bytes + "x").ok());
  RC_ASSERT(!Membership::parse(std::string_view(bytes).substr(0, bytes.size() - 1)).ok());
  RC_ASSERT((joint.joint() ? joint.leave_joint() : joint) == make(other));
}

TEST(Quorum, sizes) {
  for (size_t n = 1; n <= kMaxMembers; n++) {
    EXPECT_GT(2 * majority(n), n);        // two majorities meet
    EXPECT_LE(2 * (majority(n) - 1), n);  // and nothing smaller would do
    const size_t f = byzantine_faults(n);
    EXPECT_LE(3 * f + 1, n);
    EXPECT_GE(2 * byzantine_quorum(n), n + f + 1);  // two quorums share f + 1 members: one is honest
    EXPECT_LE(byzantine_quorum(n), n - f);          // the honest alone make one
  }
  EXPECT_TRUE((FlexibleQuorum{4, 1}.valid(4)));
  EXPECT_FALSE((FlexibleQuorum{2, 2}.valid(4)));
}

TEST(Quorum, fourNeedThree) {
  std::set<uint64_t> have{1, 2};
  const auto has = [&](NodeId id) { return have.contains(number(id)); };
  EXPECT_FALSE(has_quorum(voters({1, 2, 3, 4}), has));
  have.insert(4);
  EXPECT_TRUE(has_quorum(voters({1, 2, 3, 4}), has));
  EXPECT_FALSE(has_quorum(Membership(), has));
}

TEST(Quorum, jointNeedsBoth) {
  const Membership joint = voters({1, 2, 3}).enter_joint(voters({3, 4, 5}));
  const auto with = [&](std::set<uint64_t> have) {
    return has_quorum(joint, [&](NodeId id) { return have.contains(number(id)); });
  };
  EXPECT_FALSE(with({1, 2}));
  EXPECT_FALSE(with({4, 5}));
  EXPECT_TRUE(with({1, 3, 4}));
  std::map<NodeId, Position> at{{NodeId{1}, 9}, {NodeId{2}, 8}, {NodeId{3}, 1}, {NodeId{4}, 4}, {NodeId{5}, 2}};
  EXPECT_EQ(quorum_position(joint, [&](NodeId id) { return at[id]; }), 2u);
}

TEST(Quorum, lostOnlyWhenNoQuorumIsLeft) {
  std::map<NodeId, Vote> votes{{NodeId{1}, Vote::kGranted}, {NodeId{2}, Vote::kRefused}};
  const auto vote = [&](NodeId id) { return votes[id]; };
  EXPECT_EQ(tally(voters({1, 2, 3}), vote), Tally::kPending);
  votes[NodeId{3}] = Vote::kRefused;
  EXPECT_EQ(tally(voters({1, 2, 3}), vote), Tally::kLost);
  votes[NodeId{3}] = Vote::kGranted;
  EXPECT_EQ(tally(voters({1, 2, 3}), vote), Tally::kWon);
}

RC_GTEST_PROP(QuorumProperty, quorumPositionIsTheHighestThatAQuorumReached, (std::vector<uint8_t> reached)) {
  RC_PRE(!reached.empty() && reached.size() <= kMaxMembers);
  std::vector<NodeId> ids;
  for (size_t i = 0; i < reached.size(); i++) ids.push_back(NodeId{i + 1});
  const Membership membership = Membership::of_voters(ids);
  const auto position = [&](NodeId id) -> Position { return reached[number(id) - 1]; };
  const Position result = quorum_position(membership, position);
  RC_ASSERT(has_quorum(membership, [&](NodeId id) { return position(id) >= result; }));
  RC_ASSERT(!has_quorum(membership, [&](NodeId id) { return position(id) > result; }));
}

TEST(ConfigTimeline, truncationUndoesAndCompactionKeepsWhatGoverns) {
  ConfigTimeline timeline;
  timeline.reset(0, voters({1}));
  timeline.append(5, voters({1, 2}));
  timeline.append(9, voters({1, 2, 3}));
  EXPECT_EQ(timeline.at(4).membership, voters({1}));
  EXPECT_EQ(timeline.at(5).membership, voters({1, 2}));
  EXPECT_FALSE(timeline.truncate(10));
  EXPECT_TRUE(timeline.truncate(9));
  EXPECT_EQ(timeline.newest().position, 5u);
  timeline.append(12, voters({2}));
  timeline.compact(7);
  EXPECT_EQ(timeline.size(), 2u);
  EXPECT_EQ(timeline.at(7).membership, voters({1, 2}));
  timeline.truncate(1);
  EXPECT_EQ(timeline.newest().membership, voters({1, 2}));  // the base stays
}

TEST(InFlightWindow, isBoundedInMessagesAndBytesAndAdmitsOneOfAnySize) {
  InFlightWindow window({.messages = 2, .bytes = 100});
  EXPECT_FALSE(window.full());
  window.sent(5, 1000);
  EXPECT_TRUE(window.full());
  window.acknowledged(4);
  EXPECT_TRUE(window.full());
  window.acknowledged(7);
  EXPECT_FALSE(window.full());
  window.sent(8, 1);
  window.sent(9, 1);
  EXPECT_TRUE(window.full());
  EXPECT_EQ(window.bytes(), 2u);
}

TEST(ReadGate, aReadWaitsForARoundThatBeganAfterIt) {
  ReadGate gate(3);
  EXPECT_EQ(gate.start_round(), 0u);
  ASSERT_TRUE(gate.add({ReadId{1}, kNobody, 7}));
  const uint64_t first = gate.start_round();
  ASSERT_TRUE(gate.add({ReadId{2}, kNobody, 8}));
  const auto ready = gate.confirmed(first);
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_EQ(ready[0].id, ReadId{1});
  EXPECT_TRUE(gate.confirmed(first).empty());
  EXPECT_TRUE(gate.confirmed(first + 5).empty());  // the second has no round yet
  const uint64_t second = gate.start_round();
  EXPECT_GT(second, first);
  EXPECT_EQ(gate.confirmed(second).size(), 1u);
  EXPECT_FALSE(gate.waiting());
}

TEST(ReadGate, isBounded) {
  ReadGate gate(1);
  EXPECT_TRUE(gate.add({ReadId{1}, kNobody, 0}));
  EXPECT_FALSE(gate.add({ReadId{2}, kNobody, 0}));
  EXPECT_EQ(gate.clear().size(), 1u);
  EXPECT_TRUE(gate.add({ReadId{3}, kNobody, 0}));
}

TEST(SnapshotMeta, comesBackAndLeavesWhatFollows) {
  SnapshotMeta meta{.position = 7, .epoch = 3, .membership = voters({1, 2}), .bytes = 9, .digest = sha256("state")};
  std::string bytes;
  meta.append_to(bytes);
  for (size_t cut = 0; cut < bytes.size(); cut++) {
    std::string_view part = std::string_view(bytes).substr(0, cut);
    EXPECT_FALSE(SnapshotMeta::parse(part).ok());
  }
  bytes += "rest";
  std::string_view in = bytes;
  const auto back = SnapshotMeta::parse(in);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back.value(), meta);
  EXPECT_EQ(in, "rest");
}

}  // namespace
}  // namespace clew::consensus

#include "consensus/raft/invariants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace clew::consensus::raft {
namespace {

using testing::HasSubstr;

// A leader of term 1 whose log has four entries of it.
class LeaderInvariants : public testing::Test {
 protected:
  LeaderInvariants() {
    for (int i = 0; i < 4; ++i) log_.append({1, EntryKind::kNoop, {}});
    state_.self = state_.vote = state_.leader = NodeId{1};
    state_.leading = true;
    state_.term = 1;
    state_.reign_start = 1;
    state_.membership_position = 1;
    state_.commit = 1;
  }
  std::string check() { return std::string(transitions_.check(state_, log_).message()); }

  Log log_;
  State state_;
  TransitionCheck transitions_;
};

TEST_F(LeaderInvariants, aChangeOfMembershipFollowsTheCommitOfTheOneBefore) {
  EXPECT_EQ(check(), "");
  state_.membership_position = 2;
  EXPECT_EQ(check(), "");
  state_.commit = 2;
  state_.membership_position = 3;  // in one event, as the final entry of a joint change comes about
  EXPECT_EQ(check(), "");
}

TEST_F(LeaderInvariants, aChangeOfMembershipBeforeTheOneBeforeIsCommittedIsSeen) {
  state_.membership_position = 2;
  EXPECT_EQ(check(), "");
  state_.membership_position = 3;
  EXPECT_THAT(check(), HasSubstr("a change of membership begins before the one before it is committed"));
}

TEST_F(LeaderInvariants, aNewLeaderMayHoldSeveralThatItDoesNotKnowAsCommitted) {
  state_.leading = false;
  state_.leader = kNobody;
  state_.membership_position = 2;
  EXPECT_EQ(check(), "");
  state_.membership_position = 3;
  EXPECT_EQ(check(), "");
  state_.leading = true;
  state_.leader = NodeId{1};
  EXPECT_EQ(check(), "");
}

}  // namespace
}  // namespace clew::consensus::raft

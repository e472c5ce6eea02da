#include "app/status_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

namespace clew::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

control::MemberStatus member(uint64_t id, control::MemberRole role, control::MemberState state) {
  control::MemberStatus status;
  status.record.id = consensus::NodeId{id};
  status.record.name = "n" + std::to_string(id);
  status.record.client_address = "10.0.0." + std::to_string(id) + ":4331";
  status.role = role;
  status.state = state;
  return status;
}

control::GroupStatus group() {
  control::GroupStatus status;
  status.cluster = 7;
  status.self = consensus::NodeId{1};
  status.protocol = "raft";
  status.consensus.leader = consensus::NodeId{2};
  status.leader_view = true;
  status.members = {member(1, control::MemberRole::kSecondary, control::MemberState::kOnline),
                    member(2, control::MemberRole::kPrimary, control::MemberState::kOnline),
                    member(3, control::MemberRole::kSecondary, control::MemberState::kOnline)};
  return status;
}

TEST(StatusReport, aHealthyGroup_isSaidInOneLine) {
  const StatusReport report = judge(group());
  EXPECT_TRUE(report.healthy);
  EXPECT_EQ(report.verdict, "healthy: 3 of 3 voters up, node 2 (n2) leads");
  EXPECT_THAT(report.problems, IsEmpty());
  const std::string page = status_page(group(), false);
  EXPECT_THAT(page, HasSubstr("* 1 "));
  EXPECT_THAT(page, HasSubstr("primary"));
  EXPECT_THAT(page, Not(HasSubstr("problem")));
}

TEST(StatusReport, aDeadMember_isNamedWithWhatToDo) {
  control::GroupStatus status = group();
  status.members[2].state = control::MemberState::kOffline;
  const StatusReport report = judge(status);
  EXPECT_FALSE(report.healthy);
  EXPECT_EQ(report.verdict, "DEGRADED: it works, 2 of 3 voters up, and the next loss stops it");
  EXPECT_THAT(report.problems, ElementsAre("node 3 (n3) is offline: start it; if its machine is gone, `clew member "
                                           "remove 3` and add another"));
}

// Five of whom one may lie decide by four, four by three.
TEST(StatusReport, whereMembersMayLie_moreAreNeeded) {
  control::GroupStatus status = group();
  status.protocol = "pbft";
  for (uint64_t id = 4; id <= 5; ++id) {
    status.members.push_back(status.members[0]);
    status.members.back().record.id = consensus::NodeId{id};
  }
  status.members[2].state = control::MemberState::kOffline;
  EXPECT_EQ(judge(status).verdict, "DEGRADED: it works, 4 of 5 voters up, and the next loss stops it");
  status.members[0].state = control::MemberState::kOffline;
  EXPECT_EQ(judge(status).verdict, "NO QUORUM: nothing can be written, 3 of 5 voters up, 4 needed");
}

TEST(StatusReport, withoutALeader_thatIsTheFirstThing) {
  control::GroupStatus status = group();
  status.consensus.leader = consensus::kNobody;
  status.members[1].state = status.members[2].state = control::MemberState::kOffline;
  const StatusReport report = judge(status);
  EXPECT_EQ(report.verdict, "NO LEADER: nothing can be written, 1 of 3 voters up");
  ASSERT_EQ(report.problems.size(), 3);
  EXPECT_THAT(report.problems[0], HasSubstr("1 of 3 voters can be reached, 2 are needed"));
}

TEST(StatusReport, problemsOfTheGroupComeBeforeThoseOfMembers_andErrorsBeforeOfflineOnes) {
  control::GroupStatus status = group();
  status.problems = {"the group's own words"};
  status.alarms = {{consensus::NodeId{3}, control::AlarmKind::kNoSpace}};
  status.members[0].state = control::MemberState::kOffline;
  status.members[1].problem = "its disk fails";
  status.members[1].state = control::MemberState::kError;
  const StatusReport report = judge(status);
  ASSERT_EQ(report.problems.size(), 4);
  EXPECT_EQ(report.problems[0], "the group's own words");
  EXPECT_THAT(report.problems[1], HasSubstr("no space: writes are refused"));
  EXPECT_EQ(report.problems[2], "node 2 (n2): its disk fails");
  EXPECT_THAT(report.problems[3], HasSubstr("node 1 (n1) is offline"));
}

TEST(StatusReport, whatTheLeaderSaysOfAMember_isSaidOnce) {
  control::GroupStatus status = group();
  status.members[2].state = control::MemberState::kOffline;
  status.members[2].problem = "not heard of; look whether it runs";
  status.problems = {"1 of 3 voters cannot be reached", "member 3 (n3): not heard of; look whether it runs"};
  EXPECT_EQ(judge(status).problems, status.problems);
}

TEST(StatusReport, aLearnerThatCatchesUp_isNoProblem_aVoterIs) {
  control::GroupStatus status = group();
  status.members.push_back(member(4, control::MemberRole::kLearner, control::MemberState::kSyncing));
  EXPECT_TRUE(judge(status).healthy);
  EXPECT_THAT(judge(status).verdict, HasSubstr("3 of 3 voters"));
  status.members[0].state = control::MemberState::kSyncing;
  status.members[0].behind = 12'345;
  EXPECT_FALSE(judge(status).healthy);
  EXPECT_THAT(judge(status).problems[0], HasSubstr("12,345 entries behind"));
}

TEST(StatusReport, aFullStore_isSaidBeforeItRefuses) {
  control::GroupStatus status = group();
  status.quota_bytes = 100u << 20;
  status.state_bytes = 79u << 20;
  EXPECT_TRUE(judge(status).healthy);
  status.state_bytes = 81u << 20;
  EXPECT_FALSE(judge(status).healthy);
}

TEST(StatusReport, whatMembersSayOfThemselves_cannotDriveTheTerminal) {
  control::GroupStatus status = group();
  status.members[0].record.name = "\x1b[2J";
  status.members[0].record.version = "\x1b[31m";
  status.members[0].problem = "\x1b]0;title\x07";
  status.problems = {"\x1b[1m"};
  EXPECT_THAT(status_page(status, false), Not(HasSubstr("\x1b")));
}

TEST(StatusReport, json_isWellFormed) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  control::GroupStatus status = group();
  status.alarms = {{consensus::NodeId{3}, control::AlarmKind::kCorrupt}};
  ASSERT_EQ(parser.parse(status_json(status)).get(root), simdjson::SUCCESS);
  EXPECT_FALSE(root["healthy"].get_bool().value());
  EXPECT_EQ(root["members"].get_array().value().size(), 3);
}

}  // namespace
}  // namespace clew::app

// One-shot agreements among the members of a group: control/decree_desk.h.
#include "control/decree_desk.h"

#include <algorithm>
#include <set>

#include "base/hex.h"
#include "control/plane_rig_test.h"

namespace clew::control {
namespace {

using consensus::paxos::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DecreesOfMembers : public Planes {
 protected:
  DecreesOfMembers() { options_.decrees = "/decrees"; }

  std::shared_ptr<Answer<Outcome>> propose(uint64_t at, const std::string& name, const std::string& value) {
    auto answer = std::make_shared<Answer<Outcome>>();
    plane(at).propose_decree(name, value, {}, into(answer));
    return answer;
  }
  std::string chosen(uint64_t at, const std::string& name, const std::string& value) {
    const auto answer = propose(at, name, value);
    EXPECT_TRUE(wait([&] { return answer->came(); }));
    return answer->ok() ? answer->get().chosen.value : answer->text();
  }
};

TEST_F(DecreesOfMembers, rivalsAreToldTheSameValueAndSoIsWhoeverComesLater) {
  found(3);
  const auto one = propose(1, "colour", "blue");
  const auto two = propose(2, "colour", "red");
  ASSERT_TRUE(wait([&] { return one->came() && two->came(); }));
  ASSERT_TRUE(one->ok() && two->ok()) << one->text() << "; " << two->text();
  const std::string& value = one->get().chosen.value;
  EXPECT_TRUE(value == "blue" || value == "red");
  EXPECT_EQ(two->get().chosen.value, value);
  EXPECT_THAT(one->get().acceptors, ElementsAre(NodeId{1}, NodeId{2}, NodeId{3}));
  EXPECT_EQ(chosen(3, "colour", "green"), value);
  EXPECT_EQ(chosen(3, "shape", "round"), "round") << "another name is another agreement";
}

TEST_F(DecreesOfMembers, whoPromisedAndWhoAcceptedIsTold) {
  found(3);
  const auto answer = propose(2, "colour", "blue");
  ASSERT_TRUE(wait([&] { return answer->came(); }));
  ASSERT_TRUE(answer->ok()) << answer->text();
  ASSERT_EQ(answer->get().attempts.size(), 1u);
  const auto& attempt = answer->get().attempts[0];
  EXPECT_EQ(attempt.end, consensus::paxos::Attempt::End::kChosen);
  EXPECT_EQ(attempt.ballot, answer->get().chosen.ballot);
  EXPECT_EQ(number(attempt.ballot.proposer), 2u);
  EXPECT_GE(attempt.promised.size(), 2u);
  EXPECT_EQ(attempt.accepted.size(), 2u);
}

TEST_F(DecreesOfMembers, whatWasChosenOutlivesThePowerOfAllMembers) {
  found(3);
  EXPECT_EQ(chosen(1, "colour", "blue"), "blue");
  for (uint64_t id = 1; id <= 3; ++id) power_cut(id);
  for (uint64_t id = 1; id <= 3; ++id) restart(id);
  leader();
  EXPECT_EQ(chosen(3, "colour", "red"), "blue");
  const auto answer = propose(1, "colour", "green");
  ASSERT_TRUE(wait([&] { return answer->came(); }));
  EXPECT_EQ(answer->get().chosen.value, "blue");
}

TEST_F(DecreesOfMembers, aMinorityAloneDecidesNothingAndAQuorumGoesOn) {
  found(3);
  EXPECT_EQ(chosen(1, "colour", "blue"), "blue");
  const uint64_t alone = follower();
  const uint64_t leads = leader();
  isolate(alone);
  CallOptions brief;
  brief.timeout_ns = kSecond;
  auto answer = std::make_shared<Answer<Outcome>>();
  plane(alone).propose_decree("shape", "round", brief, into(answer));
  EXPECT_TRUE(wait([&] { return answer->came(); }));
  EXPECT_FALSE(answer->ok());
  EXPECT_EQ(chosen(leads, "shape", "square"), "square");
  heal();
  EXPECT_EQ(chosen(alone, "shape", "round"), "square");
}

TEST_F(DecreesOfMembers, theAcceptorsOfANameAreThoseWhoWereVotersWhenItWasFirstUsed) {
  found(3);
  EXPECT_EQ(chosen(1, "colour", "blue"), "blue");
  const auto added = ask<NodeId>([&](auto done) {
    plane(leader()).add_member({peer_address(4), consensus::Role::kVoter, true}, {}, std::move(done));
  });
  ASSERT_TRUE(added->ok()) << added->text();
  ASSERT_TRUE(start(4, true, Membership()).open_status.ok());
  ASSERT_TRUE(wait([&] {  // the change is over, everywhere
    for (uint64_t id = 1; id <= 4; ++id) {
      const consensus::Membership& members = plane(id).replica().protocol().membership();
      if (!members.votes(NodeId{4}) || members.joint()) return false;
    }
    return true;
  }));
  const auto answer = propose(4, "colour", "red");
  ASSERT_TRUE(wait([&] { return answer->came(); }));
  ASSERT_FALSE(answer->ok());
  EXPECT_EQ(answer->error().code, Code::kFailedPrecondition);
  EXPECT_THAT(answer->error().message, HasSubstr("propose through one of 1,2,3"));
  EXPECT_EQ(chosen(4, "shape", "round"), "round");
  EXPECT_EQ(chosen(1, "shape", "square"), "round");
}

TEST_F(DecreesOfMembers, aMemberThatLostItsLogOfDecreesAbstainsAndSaysSo) {
  found(3);
  const uint64_t away = follower();
  const uint64_t leads = leader(), other = 6 - leads - away;
  power_cut(away);
  EXPECT_EQ(chosen(leads, "colour", "blue"), "blue");
  run(kSecond);
  power_cut(other);
  sim::SimDisk& disk = *disks_[other - 1];
  for (const auto& info : disk.files()) {
    if (info.path.starts_with("/decrees/")) ASSERT_TRUE(disk.remove(info.path).ok());
  }
  power_cut(leads);
  restart(other);
  restart(away);
  ASSERT_TRUE(wait([&] { return plane(other).leading() || plane(away).leading(); }));
  const auto answer = propose(away, "colour", "red");
  ASSERT_TRUE(wait([&] { return answer->came(); }));
  EXPECT_FALSE(answer->ok()) << "two values would be chosen";
  const GroupStatus seen = status(other);
  EXPECT_THAT(seen.problems, testing::Contains(HasSubstr("its log of decrees was lost")));
  EXPECT_THAT(seen.members[other - 1].problem, HasSubstr("its log of decrees was lost"));
  EXPECT_EQ(seen.members[other - 1].state, MemberState::kOnline) << "the group's log has lost nothing";
  restart(leads);
  EXPECT_EQ(chosen(away, "colour", "red"), "blue");
}

// --- The cluster's id ---

class Founding : public DecreesOfMembers {
 protected:
  Founding() {
    options_.cluster = 0;
    options_.founders = {NodeId{1}, NodeId{2}, NodeId{3}};
  }
  uint64_t agreed(std::initializer_list<uint64_t> ids) {
    EXPECT_TRUE(wait(
        [&] { return std::all_of(ids.begin(), ids.end(), [&](uint64_t id) { return plane(id).cluster() != 0; }); }));
    std::set<uint64_t> all;
    for (const uint64_t id : ids) all.insert(plane(id).cluster());
    EXPECT_EQ(all.size(), 1u);
    return *all.begin();
  }
};

TEST_F(Founding, theFoundersAgreeOnAnIdWhichNobodyChangesAndEverybodyIsTold) {
  found(3);
  const uint64_t id = agreed({1, 2, 3});
  EXPECT_EQ(status(2).cluster, id);
  EXPECT_EQ(status(2).founding, 7u);
  EXPECT_EQ(chosen(2, std::string(kClusterDecree), "0000000000000001"), hex16(id)) << "a client comes too late";
  for (uint64_t one = 1; one <= 3; ++one) power_cut(one);
  for (uint64_t one = 1; one <= 3; ++one) restart(one);
  EXPECT_EQ(agreed({1, 2, 3}), id);
}

TEST_F(Founding, aFounderThatLostItsLogOfDecreesIsToldTheIdAgain) {
  found(3);
  const uint64_t id = agreed({1, 2, 3});
  run(kSecond);
  power_cut(2);
  for (const auto& info : disks_[1]->files()) {
    if (info.path.starts_with("/decrees/")) ASSERT_TRUE(disks_[1]->remove(info.path).ok());
  }
  restart(2);
  EXPECT_EQ(agreed({2}), id);
}

TEST_F(Founding, aFounderWhoComesLateIsToldWhatTheOthersAgreedOn) {
  founding_ = Membership::make({member_of(1), member_of(2), member_of(3)}).value();
  for (const uint64_t id : {1, 2}) ASSERT_TRUE(start(id, true, founding_).open_status.ok());
  const uint64_t id = agreed({1, 2});
  ASSERT_TRUE(start(3, true, founding_).open_status.ok());
  EXPECT_EQ(agreed({3}), id);
}

TEST_F(Founding, oneFounderAloneAgreesOnNothing) {
  founding_ = Membership::make({member_of(1), member_of(2), member_of(3)}).value();
  ASSERT_TRUE(start(1, true, founding_).open_status.ok());
  run(20 * kSecond);
  EXPECT_EQ(plane(1).cluster(), 0u);
  const auto early = propose(1, std::string(kClusterDecree), "0000000000000001");
  ASSERT_TRUE(wait([&] { return early->came(); }));
  EXPECT_THAT(early->text(), HasSubstr("is for the founders alone"));
  ASSERT_TRUE(start(2, true, founding_).open_status.ok());
  EXPECT_NE(agreed({1, 2}), 1u);
}

TEST_F(DecreesOfMembers, whatIsTooLongIsRefused) {
  found(1);
  EXPECT_THAT(chosen(1, std::string(257, 'x'), "y"), HasSubstr("1 to 256 bytes"));
  EXPECT_THAT(chosen(1, "x", std::string(5'000, 'y')), HasSubstr("at most 4096"));
}

TEST_F(DecreesOfMembers, aMemberWithoutALogOfThemSaysSo) {
  options_.decrees.clear();
  found(1);
  EXPECT_THAT(chosen(1, "x", "y"), HasSubstr("keeps no decrees"));
}

}  // namespace
}  // namespace clew::control

#include "control/bootstrap.h"

#include "control/plane_rig_test.h"

namespace clew::control {
namespace {

using ::testing::HasSubstr;

class Bootstrap : public testing::Test {
 protected:
  BootstrapOptions founding(const std::string& members, uint64_t node) {
    BootstrapOptions options;
    options.directory = "/control";
    options.token = "clew";
    options.founders = parse_founders(members).value();
    options.node = NodeId{node};
    return options;
  }
  sim::SimDisk disk_;
  sim::SimRandom random_{1};
};

TEST(Founders, areReadAndWhatIsWrongIsNamed) {
  const auto members = parse_founders("2=b:1,1=[::1]:2,3=c:3/witness");
  ASSERT_TRUE(members.ok());
  EXPECT_EQ((*members)[1].address, "[::1]:2");
  EXPECT_EQ((*members)[2].role, consensus::Role::kWitness);
  for (const char* text : {"a", "0=h:1", "1=h", "1=h:1,1=i:1", "1=h:1/learner", "1=h:1/witness", "x=h:1", "1=h:1,,"}) {
    const auto bad = parse_founders(text);
    EXPECT_FALSE(bad.ok()) << text;
  }
}

TEST_F(Bootstrap, foundersWithTheSameListAreOneClusterAndOthersAreNot) {
  const auto id = [](const std::string& token, const std::string& list) {
    return founding_of(token, Membership::make(parse_founders(list).value()).value());
  };
  EXPECT_EQ(id("t", "1=a:1,2=b:1"), id("t", "2=b:1,1=a:1"));
  EXPECT_NE(id("t", "1=a:1,2=b:1"), id("t", "1=a:1,2=c:1"));
  EXPECT_NE(id("t", "1=a:1,2=b:1"), id("u", "1=a:1,2=b:1"));
  EXPECT_NE(id("t", "1=a:1,2=b:1"), id("t", "1=a:1,2=b:1/witness"));
}

TEST_F(Bootstrap, whatWasDecidedAtTheFirstStartHoldsForEver) {
  const auto first = belong(disk_, random_, founding("1=a:1,2=b:1,3=c:1", 2)).value().value();
  EXPECT_TRUE(first.is_new);
  EXPECT_EQ(number(first.node), 2u);
  EXPECT_EQ(first.cluster, 0u) << "that is agreed on when they have met";
  Belonging started = first;
  started.is_new = false;
  ASSERT_TRUE(remember(disk_, "/control", started).ok());
  EXPECT_EQ(belong(disk_, random_, founding("3=c:1,1=a:1,2=b:1", 2)).value().value(), started);
  BootstrapOptions silent;
  silent.directory = "/control";
  EXPECT_EQ(belong(disk_, random_, silent).value().value(), started);
  EXPECT_THAT(belong(disk_, random_, founding("1=a:1,2=b:1", 2)).error().message,
              HasSubstr("belongs to a group of the founding"));
  EXPECT_THAT(belong(disk_, random_, founding("1=a:1,2=b:1,3=c:1", 3)).error().message, HasSubstr("is member 2's"));
}

TEST_F(Bootstrap, aListWithoutThisMemberOrWithoutItsNumberIsRefused) {
  EXPECT_THAT(belong(disk_, random_, founding("1=a:1,2=b:1", 4)).error().message, HasSubstr("is not among"));
  EXPECT_THAT(belong(disk_, random_, founding("1=a:1,2=b:1", 0)).error().message, HasSubstr("--node-id"));
}

TEST_F(Bootstrap, groupsOfOneAreDifferentClusters) {
  BootstrapOptions alone;
  alone.directory = "/a";
  alone.own_address = "127.0.0.1:4330";
  const auto a = belong(disk_, random_, alone).value().value();
  alone.directory = "/b";
  const auto b = belong(disk_, random_, alone).value().value();
  EXPECT_NE(a.founding, b.founding);
  EXPECT_EQ(a.cluster, a.founding);
  EXPECT_EQ(number(a.node), 1u);
  alone.joins = true;
  alone.directory = "/c";
  EXPECT_FALSE(belong(disk_, random_, alone).value().has_value());
}

TEST_F(Bootstrap, aDamagedFileIsRefused) {
  Belonging belonging;
  belonging.founding = 5;
  belonging.cluster = 6;
  belonging.node = NodeId{7};
  const std::string good = belonging.encode();
  EXPECT_EQ(*Belonging::parse(good, "f"), belonging);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(Belonging::parse(bad, "f").ok()) << i;
    EXPECT_FALSE(Belonging::parse(good.substr(0, i), "f").ok()) << i;
  }
}

// Found by the simulator (profile nodes-members): through a member that was cut off a machine was given the id of a
// member that had been removed meanwhile.
TEST_F(Planes, aNodeThatJoinsIsNotGivenTheIdOfAMemberThatWasRemoved) {
  found(3);
  run(2 * kSecond);
  const auto joins = [&](uint64_t through) {
    return ask<Belonging>([&](auto done) {
      join(plane(through), peer_address(4), consensus::Role::kVoter, "raft", 2 * kSecond, std::move(done));
    });
  };
  ASSERT_TRUE(joins(1)->ok());
  const uint64_t stale = follower();
  ASSERT_TRUE(wait([&] { return plane(stale).replica().protocol().membership().contains(NodeId{4}); }));
  isolate(stale);
  const uint64_t leads = leader(stale);
  const auto removed = ask<Position>([&](auto done) { plane(leads).remove_member(NodeId{4}, {}, std::move(done)); });
  ASSERT_TRUE(removed->ok()) << removed->text();
  EXPECT_FALSE(joins(stale)->ok());
  heal();
  leader();
  const auto again = joins(stale);
  ASSERT_TRUE(again->ok()) << again->text();
  EXPECT_EQ(number(again->get().node), 5u);
}

TEST_F(Planes, aNodeThatJoinsIsTakenInOnceAndAWipedOneIsToldWhatToDo) {
  found(3);
  run(2 * kSecond);
  const auto joins = [&](const std::string& address) {
    return ask<Belonging>(
        [&](auto done) { join(plane(1), address, consensus::Role::kVoter, "raft", 5 * kSecond, std::move(done)); });
  };
  const auto other = ask<Belonging>([&](auto done) {
    join(plane(1), peer_address(4), consensus::Role::kVoter, "zab", 5 * kSecond, std::move(done));
  });
  EXPECT_THAT(other->text(), HasSubstr("the group runs raft, this node would run zab; set control.consensus"));
  const auto first = joins(peer_address(4));
  ASSERT_TRUE(first->ok()) << first->text();
  EXPECT_EQ(number(first->get().node), 4u);
  EXPECT_EQ(first->get().founding, 7u);
  EXPECT_EQ(first->get().cluster, 9u);
  // It died before it could write that down.
  const auto again = joins(peer_address(4));
  EXPECT_EQ(number(again->get().node), 4u);
  const auto wiped = joins(peer_address(2));
  EXPECT_THAT(wiped->text(), HasSubstr("has been started before; if its disk is gone, remove it first"));
}

}  // namespace
}  // namespace clew::control

#include "consensus/protocols.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace clew::consensus {
namespace {

ProtocolOptions one_member() {
  ProtocolOptions options;
  options.self = NodeId{1};
  Member self;
  self.id = options.self;
  options.founding = Membership::make({self}).value();
  return options;
}

TEST(Protocols, EachNameMakesACoreThatCallsItselfSo) {
  std::set<std::string_view> names;
  for (const ProtocolKind& kind : protocols()) {
    ASSERT_TRUE(kind.check(one_member()).ok()) << kind.name;
    EXPECT_EQ(kind.make(one_member(), 1)->name(), kind.name);
    EXPECT_EQ(protocol_named(kind.name), &kind);
    EXPECT_THAT(protocol_names(), ::testing::HasSubstr(std::string(kind.name)));
    EXPECT_TRUE(names.insert(kind.name).second) << kind.name << " stands twice";
  }
  EXPECT_EQ(protocols().front().name, "raft");
}

TEST(Protocols, UnknownNamesAndUnsoundOptionsAreRefused) {
  EXPECT_EQ(protocol_named("gossip"), nullptr);
  EXPECT_EQ(protocol_named(""), nullptr);
  for (const ProtocolKind& kind : protocols()) {
    ProtocolOptions options = one_member();
    options.election_max = options.election_min;
    EXPECT_EQ(kind.check(options).code(), Code::kInvalidArgument) << kind.name;
    options = one_member();
    options.self = kNobody;
    EXPECT_EQ(kind.check(options).code(), Code::kInvalidArgument) << kind.name;
  }
}

}  // namespace
}  // namespace clew::consensus

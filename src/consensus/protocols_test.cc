#include "consensus/protocols.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace clew::consensus {
namespace {

class NoSigner final : public Signer {
 public:
  std::string sign(std::string_view) const override { return ""; }
};

// The fewest that the kind runs among.
ProtocolOptions fewest(const ProtocolKind& kind) {
  ProtocolOptions options;
  options.self = NodeId{1};
  std::vector<NodeId> members{options.self};
  if (kind.byzantine) {
    for (uint64_t id = 2; id <= 4; ++id) members.push_back(NodeId{id});
    options.signer = std::make_shared<NoSigner>();
  }
  options.founding = Membership::of_voters(members);
  return options;
}

TEST(Protocols, EachNameMakesACoreThatCallsItselfSo) {
  std::set<std::string_view> names;
  for (const ProtocolKind& kind : protocols()) {
    ASSERT_TRUE(kind.check(fewest(kind)).ok()) << kind.name;
    EXPECT_TRUE(kind.founds(fewest(kind).founding).ok()) << kind.name;
    EXPECT_EQ(kind.make(fewest(kind), 1)->name(), kind.name);
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
    ProtocolOptions options = fewest(kind);
    options.election_max = options.heartbeat;
    EXPECT_EQ(kind.check(options).code(), Code::kInvalidArgument) << kind.name;
    options = fewest(kind);
    options.self = kNobody;
    EXPECT_EQ(kind.check(options).code(), Code::kInvalidArgument) << kind.name;
  }
}

TEST(Protocols, WithoutKeysOrThreeFPlusOneMembers_nobodyIsByzantine) {
  const ProtocolKind& pbft = *protocol_named("pbft");
  EXPECT_TRUE(pbft.byzantine);
  ProtocolOptions options = fewest(pbft);
  options.signer = nullptr;
  EXPECT_THAT(pbft.check(options).message(), ::testing::HasSubstr("needs a key"));
  const Status three = pbft.founds(Membership::of_voters({NodeId{1}, NodeId{2}, NodeId{3}}));
  EXPECT_THAT(three.message(), ::testing::HasSubstr("at least 4"));
}

}  // namespace
}  // namespace clew::consensus

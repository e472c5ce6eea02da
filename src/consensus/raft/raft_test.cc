#include "consensus/raft/raft.h"

#include <gtest/gtest.h>

#include "consensus/raft/cores_test.h"

namespace clew::consensus::raft {
namespace {

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};
constexpr NodeId kThree{3};

Options options_for(NodeId id, const Membership& founding) {
  Options options;
  options.self = id;
  options.founding = founding;
  return options;
}

Cores group_of(int size) {
  Cores cores;
  std::vector<NodeId> ids;
  for (int i = 1; i <= size; ++i) ids.push_back(NodeId{static_cast<uint64_t>(i)});
  for (NodeId id : ids) cores.add(options_for(id, Membership::of_voters(ids)));
  return cores;
}

TEST(Raft, ElectsALeaderAndCommits) {
  Cores cores = group_of(3);
  cores.run(kSecond);
  const NodeId leader = cores.leader();
  ASSERT_NE(leader, kNobody);
  cores.propose(leader, "a");
  cores.propose(leader, "b");
  cores.run(kSecond);
  for (NodeId id : {kOne, kTwo, kThree}) EXPECT_EQ(cores.node(id).state, "a,b,") << number(id);
  EXPECT_EQ(cores.failure(), std::nullopt);
}

}  // namespace
}  // namespace clew::consensus::raft

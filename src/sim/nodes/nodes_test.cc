#include <gtest/gtest.h>

#include <cstdlib>

#include "sim/nodes/node_hunt.h"

namespace clew::sim::nodes {
namespace {

// A world of each profile, each with a rerun; tests/sim.sh runs many more.
class Nodes : public testing::TestWithParam<groups::Family> {};

TEST_P(Nodes, aWorldOfEachProfile) {
  for (const NodeProfile& profile : node_profiles()) {
    NodeHunt hunt;
    hunt.family = groups::family_named(GetParam().name);
    hunt.profile = &profile;
    hunt.rerun_one_in = 1;
    const auto finding = hunt.hunt(1);
    EXPECT_FALSE(finding) << to_string(*finding);
  }
}

INSTANTIATE_TEST_SUITE_P(Nodes, Nodes, testing::ValuesIn(groups::families()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace clew::sim::nodes

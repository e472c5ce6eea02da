#include <gtest/gtest.h>

#include <cstdlib>

#include "sim/nodes/node_hunt.h"

namespace clew::sim::nodes {
namespace {

// A few worlds of each profile, each with a rerun; tests/sim.sh runs many more.
TEST(Nodes, AFewWorldsOfEachProfile) {
  for (const NodeProfile& profile : node_profiles()) {
    NodeHunt hunt;
    hunt.profile = &profile;
    hunt.rerun_one_in = 1;
    const auto finding = hunt.hunt(1);
    EXPECT_FALSE(finding) << to_string(*finding);
  }
}

}  // namespace
}  // namespace clew::sim::nodes

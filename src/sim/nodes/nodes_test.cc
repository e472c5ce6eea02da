#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "sim/nodes/node_hunt.h"

namespace clew::sim::nodes {
namespace {

// A world of each profile, each with a rerun; tests/sim.sh runs many more.
class Nodes : public testing::TestWithParam<std::string_view> {};

TEST_P(Nodes, aWorldOfEachProfile) {
  for (const NodeProfile& profile : node_profiles()) {
    NodeHunt hunt;
    hunt.family = groups::family_named(GetParam());
    hunt.profile = &profile;
    hunt.rerun_one_in = 1;
    const auto finding = hunt.hunt(1);
    EXPECT_FALSE(finding) << to_string(*finding);
  }
}

std::vector<std::string_view> family_names() {
  std::vector<std::string_view> names;
  for (const groups::Family& family : groups::families()) names.push_back(family.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(Nodes, Nodes, testing::ValuesIn(family_names()),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace clew::sim::nodes

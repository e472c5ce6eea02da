#include "sim/nodes/node_hunt.h"

namespace clew::sim::nodes {

PlanOptions NodeHunt::options(uint64_t seed) const {
  return node_plan_options(seed, *profile, shape(seed).machines(), operations_per_second);
}

std::unique_ptr<Scenario> NodeHunt::scenario(uint64_t seed) const {
  return std::make_unique<NodeScenario>(*family, *profile, shape(seed), seed, deeds);
}

std::string NodeHunt::command() const {
  std::string text = program;
  if (family != &groups::families().front()) text += " --protocol " + std::string(family->name);
  text += " --profile " + std::string(profile->name);
  if (founders) text += " --nodes " + std::to_string(*founders);
  return text;
}

}  // namespace clew::sim::nodes

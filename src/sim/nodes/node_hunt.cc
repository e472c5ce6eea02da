#include "sim/nodes/node_hunt.h"

namespace clew::sim::nodes {

Plan NodeHunt::plan(uint64_t seed) const {
  const NodeShape shape = draw_node_shape(seed, *profile, founders);
  return draw_plan(seed, node_plan_options(seed, *profile, shape.machines(), operations_per_second));
}

MakeScenario NodeHunt::make() const {
  return [this](uint64_t seed) {
    return std::make_unique<NodeScenario>(*profile, draw_node_shape(seed, *profile, founders), seed, deeds);
  };
}

std::string NodeHunt::command() const {
  std::string text = program + " --profile " + std::string(profile->name);
  if (founders) text += " --nodes " + std::to_string(*founders);
  return text;
}

std::optional<Finding> NodeHunt::hunt(uint64_t seed, RunResult* result) const {
  HuntOptions options;
  options.plan =
      node_plan_options(seed, *profile, draw_node_shape(seed, *profile, founders).machines(), operations_per_second);
  options.command = command();
  options.rerun_one_in = rerun_one_in;
  options.max_shrink_tries = max_shrink_tries;
  return sim::hunt(seed, make(), options, result);
}

}  // namespace clew::sim::nodes

#include "sim/groups/group_hunt.h"

#include <memory>
#include <utility>

namespace clew::sim::groups {

Shape GroupHunt::shape(uint64_t seed) const {
  Shape shape = draw_shape(seed, *profile, nodes);
  family->fit(shape);
  shape.loses_appends = loses_appends;
  return shape;
}

Plan GroupHunt::plan(uint64_t seed) const {
  return draw_plan(seed, plan_options(seed, *profile, shape(seed).nodes, operations_per_second));
}

MakeScenario GroupHunt::make() const {
  return [this](uint64_t seed) { return std::make_unique<GroupScenario>(*family, *profile, shape(seed), seed, deeds); };
}

std::string GroupHunt::command() const {
  std::string text = program;
  if (family != &families().front()) text += " --protocol " + std::string(family->name);
  if (profile != &profiles().front()) text += " --profile " + std::string(profile->name);
  if (nodes) text += " --nodes " + std::to_string(*nodes);
  if (loses_appends) text += " --canary";
  return text;
}

std::optional<Finding> GroupHunt::hunt(uint64_t seed, RunResult* result) const {
  HuntOptions options;
  options.plan = plan_options(seed, *profile, shape(seed).nodes, operations_per_second);
  options.command = command();
  options.rerun_one_in = rerun_one_in;
  options.max_shrink_tries = max_shrink_tries;
  const MakeScenario again = [this](uint64_t one) {
    return std::make_unique<GroupScenario>(*family, *profile, shape(one), one, nullptr);
  };
  bool first = true;
  return sim::hunt(
      seed, [&](uint64_t one) { return std::exchange(first, false) ? make()(one) : again(one); }, options, result);
}

}  // namespace clew::sim::groups

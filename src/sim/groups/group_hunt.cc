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

PlanOptions GroupHunt::options(uint64_t seed) const {
  return plan_options(seed, *profile, shape(seed).nodes, operations_per_second);
}

std::unique_ptr<Scenario> GroupHunt::scenario(uint64_t seed) const {
  return std::make_unique<GroupScenario>(*family, *profile, shape(seed), seed, deeds);
}

std::string GroupHunt::command() const {
  std::string text = program;
  if (family != &families().front()) text += " --protocol " + std::string(family->name);
  if (profile != &profiles().front()) text += " --profile " + std::string(profile->name);
  if (nodes) text += " --nodes " + std::to_string(*nodes);
  if (loses_appends) text += " --canary";
  return text;
}

}  // namespace clew::sim::groups

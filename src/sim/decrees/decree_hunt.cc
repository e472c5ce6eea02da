#include "sim/decrees/decree_hunt.h"

namespace clew::sim::decrees {

PlanOptions DecreeHunt::options(uint64_t seed) const {
  PlanOptions options;
  options.nodes = nodes.value_or(3 + seed % 3);
  options.operations_per_second = operations_per_second;
  // A write that lands elsewhere may be the newest of the log, and then nothing can tell that it is missing.
  options.without = {FaultKind::kMisdirected};
  options.longest_down_ns = 1'000'000'000;  // so that proposers come back to a name that is still open
  return options;
}

std::unique_ptr<Scenario> DecreeHunt::scenario(uint64_t seed) const {
  return std::make_unique<DecreeScenario>(seed, deeds);
}

std::string DecreeHunt::command() const {
  std::string text = program + " --profile " + std::string(kProfile);
  if (nodes) text += " --nodes " + std::to_string(*nodes);
  return text;
}

}  // namespace clew::sim::decrees

// NodeHunt: seeds of whole nodes in one profile: what `clew sim`, the tests and the mutants' runner have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/hunt.h"
#include "sim/nodes/node_profile.h"
#include "sim/nodes/node_scenario.h"

namespace clew::sim::nodes {

struct NodeHunt {
  const NodeProfile* profile = &node_profiles().front();
  std::optional<size_t> founders;  // default: the profile's, or by seed
  double operations_per_second = 50;
  uint64_t rerun_one_in = 20;
  uint64_t max_shrink_tries = 400;
  std::string program = "./dev sim";
  groups::Deeds* deeds = nullptr;  // summed up over all runs, reruns and shrinking included

  Plan plan(uint64_t seed) const;
  MakeScenario make() const;
  // The command that replays a seed of this hunt, before --seed.
  std::string command() const;
  std::optional<Finding> hunt(uint64_t seed, RunResult* result = nullptr) const;
};

}  // namespace clew::sim::nodes

// NodeHunt: seeds of whole nodes in one profile: what `clew sim`, the tests and the mutants' runner have in common.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "sim/hunt.h"
#include "sim/nodes/node_profile.h"
#include "sim/nodes/node_scenario.h"

namespace clew::sim::nodes {

struct NodeHunt final : Campaign {
  const groups::Family* family = &groups::families().front();
  const NodeProfile* profile = &node_profiles().front();
  std::optional<size_t> founders;  // default: the profile's, or by seed
  double operations_per_second = 50;
  groups::Deeds* deeds = nullptr;  // summed up over all runs, reruns and shrinking included

  NodeShape shape(uint64_t seed) const { return draw_node_shape(seed, *profile, *family, founders); }
  PlanOptions options(uint64_t seed) const override;
  std::unique_ptr<Scenario> scenario(uint64_t seed) const override;
  std::string command() const override;
};

}  // namespace clew::sim::nodes

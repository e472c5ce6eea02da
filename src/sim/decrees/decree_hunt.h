// DecreeHunt: seeds of single-decree Paxos: what `clew sim --profile decrees`, the tests and the mutants' runner have
// in common.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sim/decrees/decree_scenario.h"
#include "sim/hunt.h"

namespace clew::sim::decrees {

constexpr std::string_view kProfile = "decrees";

struct DecreeHunt final : Campaign {
  std::optional<size_t> nodes;  // default: 3 to 5, by seed
  double operations_per_second = 20;
  groups::Deeds* deeds = nullptr;  // summed up over all runs, reruns and shrinking included

  PlanOptions options(uint64_t seed) const override;
  std::unique_ptr<Scenario> scenario(uint64_t seed) const override;
  std::string command() const override;
};

}  // namespace clew::sim::decrees

// GroupHunt: seeds of one protocol in one profile: what `clew sim`, the tests and the mutants' runner have in common.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "sim/groups/family.h"
#include "sim/groups/group_scenario.h"
#include "sim/groups/profile.h"
#include "sim/hunt.h"

namespace clew::sim::groups {

struct GroupHunt final : Campaign {
  const Family* family = &families().front();
  const Profile* profile = &profiles().front();
  std::optional<size_t> nodes;  // default: the profile's, or by seed
  double operations_per_second = 50;
  bool loses_appends = false;  // the canary: ledger.h
  Deeds* deeds = nullptr;      // summed up over all runs, reruns and shrinking included

  Shape shape(uint64_t seed) const;  // fitted to the family
  PlanOptions options(uint64_t seed) const override;
  std::unique_ptr<Scenario> scenario(uint64_t seed) const override;
  std::string command() const override;
};

}  // namespace clew::sim::groups

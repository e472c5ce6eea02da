// GroupHunt: seeds of one protocol in one profile: what `clew sim`, the tests and the mutants' runner have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/groups/family.h"
#include "sim/groups/group_scenario.h"
#include "sim/groups/profile.h"
#include "sim/hunt.h"

namespace clew::sim::groups {

struct GroupHunt {
  const Family* family = &families().front();
  const Profile* profile = &profiles().front();
  std::optional<size_t> nodes;  // default: the profile's, or by seed
  double operations_per_second = 50;
  bool loses_appends = false;  // the canary: ledger.h
  uint64_t rerun_one_in = 20;
  uint64_t max_shrink_tries = 400;
  std::string program = "./dev sim";
  Deeds* deeds = nullptr;  // adds what the first run of each seed did

  Shape shape(uint64_t seed) const;  // fitted to the family
  Plan plan(uint64_t seed) const;
  MakeScenario make() const;
  // The command that replays a seed of this hunt, before --seed.
  std::string command() const;
  std::optional<Finding> hunt(uint64_t seed, RunResult* result = nullptr) const;
};

}  // namespace clew::sim::groups

// Hunt: runs seeds of a scenario, and makes of a failure what a person needs: the reason, the smallest plan that still
// fails, and the one command that replays it.
//
// A share of the runs is done twice and their trace hashes compared: a world that looks at anything outside of its seed
// cannot be replayed. Single-threaded; blocking.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/plan.h"
#include "sim/world.h"

namespace clew::sim {

struct HuntOptions {
  PlanOptions plan;
  std::string command = "./dev sim";  // of the replay, before --seed
  uint64_t rerun_one_in = 20;         // of the runs, by seed; 0: none
  uint64_t max_shrink_tries = 400;    // 0: failures are not shrunk
};

// A scenario for one run; new for each.
using MakeScenario = std::function<std::unique_ptr<Scenario>(uint64_t seed)>;

struct Finding {
  uint64_t seed = 0;
  RunResult first;  // of the whole plan
  Plan smallest;
  RunResult again;  // of the smallest plan
  bool nondeterministic = false;
  std::string command;  // "./dev sim --seed 17 --only 3,9-12"
};
std::string to_string(const Finding& finding);

// One run. `play`: its journal, when wanted.
RunResult run_plan(const Plan& plan, const MakeScenario& make, std::string* play = nullptr);
// One seed: nothing, or what was found.
std::optional<Finding> hunt(uint64_t seed, const MakeScenario& make, const HuntOptions& options,
                            RunResult* result = nullptr);

// Campaign: worlds of one kind, one a seed: what `clew sim`, the tests and the mutants' runner hunt in.
class Campaign {
 public:
  virtual ~Campaign() = default;
  virtual PlanOptions options(uint64_t seed) const = 0;
  virtual std::unique_ptr<Scenario> scenario(uint64_t seed) const = 0;
  // That replays a seed, before --seed; begins with `program`.
  virtual std::string command() const = 0;

  Plan plan(uint64_t seed) const { return draw_plan(seed, options(seed)); }
  MakeScenario make() const {  // while this lives
    return [this](uint64_t seed) { return scenario(seed); };
  }
  std::optional<Finding> hunt(uint64_t seed, RunResult* result = nullptr) const;

  uint64_t rerun_one_in = 20;
  uint64_t max_shrink_tries = 400;
  std::string program = "./dev sim";
};

}  // namespace clew::sim

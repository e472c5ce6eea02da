#include "sim/hunt.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "sim/shrink.h"

namespace clew::sim {

RunResult run_plan(const Plan& plan, const MakeScenario& make, std::string* play) {
  const std::unique_ptr<Scenario> scenario = make(plan.seed);
  World world(plan, *scenario);
  if (play != nullptr) world.journal().turn_on();
  RunResult result = world.run();
  if (play != nullptr) *play = world.journal().text();
  return result;
}

std::optional<Finding> hunt(uint64_t seed, const MakeScenario& make, const HuntOptions& options, RunResult* result) {
  const Plan plan = draw_plan(seed, options.plan);
  const RunResult first = run_plan(plan, make);
  if (result != nullptr) *result = first;

  const bool rerun = options.rerun_one_in != 0 && mix64(seed, 0x5e4u) % options.rerun_one_in == 0;
  if (rerun || !first.ok) {
    const RunResult again = run_plan(plan, make);
    if (again.trace_hash != first.trace_hash || again.failure != first.failure) {
      return Finding{.seed = seed,
                     .first = first,
                     .smallest = plan,
                     .again = again,
                     .nondeterministic = true,
                     .command = options.command + " --seed " + std::to_string(seed)};
    }
  }
  if (first.ok) return std::nullopt;

  Finding finding{.seed = seed, .first = first, .smallest = plan, .again = first, .command = {}};
  if (options.max_shrink_tries != 0) {
    const auto fails = [&](const std::vector<uint32_t>& numbers) { return !run_plan(reduce(plan, numbers), make).ok; };
    // What was to come after the failure had no part in it.
    std::vector<uint32_t> numbers;
    for (uint32_t i = 0; i < plan.items.size(); ++i) {
      if (plan.items[i].at_ns <= first.failed_at_ns) numbers.push_back(i);
    }
    if (!fails(numbers)) numbers = plan.kept;
    finding.smallest = reduce(plan, shrink(std::move(numbers), fails, options.max_shrink_tries).items);
    finding.again = run_plan(finding.smallest, make);
  }
  finding.command = options.command + " --seed " + std::to_string(seed);
  if (finding.smallest.items.size() != plan.items.size()) {
    finding.command += " --only " + format_numbers(finding.smallest.kept);
  }
  return finding;
}

std::string to_string(const Finding& finding) {
  std::string text = "seed " + std::to_string(finding.seed);
  if (finding.nondeterministic) {
    return text + ": two runs differ (trace hash " + std::to_string(finding.first.trace_hash) + " and " +
           std::to_string(finding.again.trace_hash) +
           "): something outside of the seed was looked at\n  replay: " + finding.command + "\n";
  }
  text += " failed at " + seconds(finding.first.failed_at_ns) + " s: " + finding.first.failure + "\n";
  if (finding.smallest.items.size() < finding.smallest.drawn) {
    text += "smallest plan that fails, at " + seconds(finding.again.failed_at_ns) + " s: " + finding.again.failure +
            "\n" + to_string(finding.smallest);
  }
  return text + "replay: " + finding.command + "\n";
}

}  // namespace clew::sim

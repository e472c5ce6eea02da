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

namespace {

// The least part of `plan`, and the least amounts in it, with which a run still fails, in whatever way.
Plan smallest(const Plan& plan, int64_t failed_at_ns, const MakeScenario& make, uint64_t max_tries) {
  std::vector<int64_t> amounts(plan.items.size(), Choice::kAsDrawn);
  const auto chosen = [&](const std::vector<uint32_t>& numbers) {
    std::vector<Choice> choices;
    choices.reserve(numbers.size());
    for (const uint32_t number : numbers) choices.push_back({number, amounts[number]});
    return reduce(plan, choices);
  };
  const auto fails = [&](const std::vector<uint32_t>& numbers) { return !run_plan(chosen(numbers), make).ok; };

  std::vector<uint32_t> numbers, all;
  for (uint32_t i = 0; i < plan.items.size(); ++i) {
    all.push_back(i);
    if (plan.items[i].at_ns <= failed_at_ns) numbers.push_back(i);  // what was to come later had no part in it
  }
  uint64_t tries = 1;
  if (!fails(numbers)) numbers = all;
  for (bool changed = true; changed && tries < max_tries;) {
    Shrunk shrunk = shrink(std::move(numbers), fails, max_tries - tries);
    tries += shrunk.tries;
    numbers = std::move(shrunk.items);
    // What strikes at an earlier operation needs fewer operations before it: then more items may go.
    changed = false;
    for (const uint32_t number : numbers) {
      if (!strikes_at_nth(plan.items[number].kind)) continue;
      const int64_t before = amounts[number];
      const int64_t now = before == Choice::kAsDrawn ? plan.items[number].amount : before;
      bool less = false;
      for (int64_t amount = 1; amount < now && !less && tries < max_tries; ++amount, ++tries) {
        amounts[number] = amount;
        less = fails(numbers);
      }
      if (!less) amounts[number] = before;
      changed = changed || less;
    }
  }
  return chosen(numbers);
}

}  // namespace

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
    finding.smallest = smallest(plan, first.failed_at_ns, make, options.max_shrink_tries);
    finding.again = run_plan(finding.smallest, make);
  }
  finding.command = options.command + " --seed " + std::to_string(seed);
  if (finding.smallest.kept != plan.kept) finding.command += " --only " + format_choices(finding.smallest.kept);
  return finding;
}

std::optional<Finding> Campaign::hunt(uint64_t seed, RunResult* result) const {
  HuntOptions with;
  with.plan = options(seed);
  with.command = command();
  with.rerun_one_in = rerun_one_in;
  with.max_shrink_tries = max_shrink_tries;
  return sim::hunt(seed, make(), with, result);
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

// All checkers of histories by name: what the simulator runs at the end of a world, and `clew check-history` on a file.
// A checker is a pure function of the history and the options. Deterministic; any thread.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "sim/check/history.h"
#include "sim/check/result.h"

namespace clew::sim::check {

struct Checker {
  std::string_view name;     // "linearizability"
  std::string_view promise;  // one line for people
  CheckResult (*run)(const History& history, const CheckOptions& options);
};

std::span<const Checker> checkers();
const Checker* find_checker(std::string_view name);  // nullptr when there is none

std::vector<CheckResult> check_all(const History& history, const CheckOptions& options = {});

// Violated when any is, else unknown when any is, else fine when any is, else nothing to check.
Verdict overall(const std::vector<CheckResult>& results);

}  // namespace clew::sim::check

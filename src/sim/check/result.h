// What a checker says, and how much it may spend. Plain values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/check/history.h"

namespace clew::sim::check {

enum class Verdict : uint8_t {
  kFine,
  kNothing,  // the history holds nothing of what this checker looks at
  kUnknown,  // not decided: out of budget, or the history does not say enough. Never "fine"
  kViolated,
};
std::string_view name(Verdict verdict);  // "nothing to check"

struct Violation {
  std::string summary;              // one sentence
  std::vector<OpIndex> operations;  // that contradict each other or the promise
  std::string play;                 // lines for people, each ended by '\n'; may be empty
};

struct CheckResult {
  std::string_view checker;
  Verdict verdict = Verdict::kNothing;
  uint64_t looked_at = 0;             // operations and reports that it judged
  uint64_t steps = 0;                 // of search, where there is one
  std::vector<Violation> violations;  // the first CheckOptions::max_violations
  uint64_t violations_found = 0;
  std::string reason;  // of kUnknown and kNothing
};

// Budgets are counted, not timed, so that the same history gets the same answer everywhere.
struct CheckOptions {
  uint64_t max_steps = 5'000'000;       // tried operations; for each independent part of a history (a key) anew
  uint64_t max_bytes = 512ull << 20;    // remembered configurations of one part
  uint64_t max_shrink_steps = 500'000;  // spent on making an explanation short
  size_t max_violations = 10;
};

// Makes the result kViolated. Beyond the limit a violation is only counted.
void add_violation(CheckResult& result, const CheckOptions& options, Violation violation);

}  // namespace clew::sim::check

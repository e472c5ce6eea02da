#include "sim/check/result.h"

#include <utility>

namespace clew::sim::check {

std::string_view name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kFine:
      return "fine";
    case Verdict::kNothing:
      return "nothing to check";
    case Verdict::kUnknown:
      return "unknown";
    case Verdict::kViolated:
      return "violated";
  }
  return "";
}

void add_violation(CheckResult& result, const CheckOptions& options, Violation violation) {
  result.verdict = Verdict::kViolated;
  ++result.violations_found;
  if (result.violations.size() < options.max_violations) result.violations.push_back(std::move(violation));
}

}  // namespace clew::sim::check

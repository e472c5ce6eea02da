#include "sim/check/check.h"

#include <algorithm>

#include "sim/check/agreement.h"
#include "sim/check/durability.h"
#include "sim/check/linearizability.h"
#include "sim/check/session.h"

namespace clew::sim::check {
namespace {

constexpr Checker kCheckers[] = {
    {"linearizability", "every operation takes effect at one moment between invocation and return",
     check_linearizability},
    {"sequential", "one order agrees with every session and explains every answer", check_sequential},
    {"monotonic-reads", "a read never shows less than an earlier one of its session", check_monotonic_reads},
    {"read-your-writes", "a read shows what its session wrote", check_read_your_writes},
    {"agreement", "nodes have equal commands and equal states at equal positions", check_agreement},
    {"exactly-once", "a command is executed once, however often it was sent", check_exactly_once},
    {"durability", "what was acknowledged shows in the final reads", check_durability},
};

}  // namespace

std::span<const Checker> checkers() { return kCheckers; }

const Checker* find_checker(std::string_view name) {
  const auto* found = std::find_if(std::begin(kCheckers), std::end(kCheckers),
                                   [&](const Checker& checker) { return checker.name == name; });
  return found == std::end(kCheckers) ? nullptr : found;
}

std::vector<CheckResult> check_all(const History& history, const CheckOptions& options) {
  std::vector<CheckResult> results;
  for (const Checker& checker : kCheckers) results.push_back(checker.run(history, options));
  return results;
}

Verdict overall(const std::vector<CheckResult>& results) {
  Verdict worst = Verdict::kNothing;
  const auto weight = [](Verdict verdict) {
    switch (verdict) {
      case Verdict::kNothing:
        return 0;
      case Verdict::kFine:
        return 1;
      case Verdict::kUnknown:
        return 2;
      case Verdict::kViolated:
        return 3;
    }
    return 0;
  };
  for (const CheckResult& result : results) {
    if (weight(result.verdict) > weight(worst)) worst = result.verdict;
  }
  return worst;
}

}  // namespace clew::sim::check

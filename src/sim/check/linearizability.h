// Linearizability (Herlihy & Wing 1990): every operation seems to take effect at one moment between its invocation and
// its return, and each answer is the one of an object that executes them in that order.
//
// Judged for each key alone (the property is local), a bank as one. What is held to it:
//   answered operations of level linearizable         must have an order
//   writes that claim less, and unknown operations    may take effect once, any time after their invocation, or never
//   reads that claim less, failed operations          count for nothing
// Exact as far as the budget goes; beyond it the verdict of that key is kUnknown, and other keys are judged all the
// same. A violation is cut to the first return at which no order is left, and answers that play no part in it are
// left out, before it is told. Pure; deterministic; exponential at worst, near linear for what healthy systems do.
#pragma once

#include "sim/check/history.h"
#include "sim/check/result.h"

namespace clew::sim::check {

CheckResult check_linearizability(const History& history, const CheckOptions& options = {});

}  // namespace clew::sim::check

// Durability of what was acknowledged: it shows in the final reads, those that were made after everything else ended,
// of a healed system. Judged against every operation that returned before the final read was invoked:
//   register   the value is one that was written by an operation which no acknowledged one came after (in the recorded
//              order, among operations of level linearizable; what claims less may be ordered otherwise)
//   list       every acknowledged element is there
//   set        inserted and acknowledged and not erased by anybody since: there; the other way round: not there
//   counter    the initial value and every acknowledged addition, give or take the unknown ones
//   bank       the same for each account; and what all accounts hold together never changes
// Keys that were written and have no final read make the verdict unknown. Says nothing about how it came about:
// linearizability.h does. Pure; O(n log n).
#pragma once

#include "sim/check/history.h"
#include "sim/check/result.h"

namespace clew::sim::check {

CheckResult check_durability(const History& history, const CheckOptions& options = {});

}  // namespace clew::sim::check

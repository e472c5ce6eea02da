// Agreement of nodes, and exactly once: two checkers over what the nodes reported. Pure; O(n log n).
#pragma once

#include "sim/check/history.h"
#include "sim/check/result.h"

namespace clew::sim::check {

// Equal digests at equal positions, and the same command at equal positions, whoever reports and whenever. Judges
// History::digests and History::applied.
CheckResult check_agreement(const History& history, const CheckOptions& options = {});

// A command of a session is executed once, however often it was sent:
//   by History::applied    a (session, sequence) has one position; an acknowledged one was executed somewhere, at the
//                          position that was answered; a failed one nowhere
//   by the reads of lists  no element more often than it can have been appended, none of a failed append only, none
//   that
//                          nobody appended; in final reads every acknowledged one (durability.h tells these losses too)
// What a repeated command does to a counter or a bank shows in check_durability.
CheckResult check_exactly_once(const History& history, const CheckOptions& options = {});

}  // namespace clew::sim::check

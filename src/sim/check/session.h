// What a session may count on (Terry et al., "Session guarantees for weakly consistent replicated data", 1994), and
// sequential consistency (Lamport 1979) per session.
//
// A session is what History's operations call so; a process whose operations name none is a session of its own. In a
// session A comes before B when A returned before B was invoked, so that pipelined operations are not compared.
// Operations of level causal and above are held to the two guarantees, those of sequential and above to the third.
//
// Two ways to judge. By position, where both operations carry one: exact. By value, where one of them lacks it: lists
// by prefix, sets that nobody erases from by inclusion, counters that only grow by size, registers by values that only
// one operation can have written. What neither way decides makes the verdict unknown when the operation claims less
// than linearizable; those that claim it are judged by linearizability.h, which implies all this. Pure; O(n log n) but
// for check_sequential, which searches within the budget.
#pragma once

#include "sim/check/history.h"
#include "sim/check/result.h"

namespace clew::sim::check {

// A read never shows less than an earlier read of its session.
CheckResult check_monotonic_reads(const History& history, const CheckOptions& options = {});

// A read shows the acknowledged writes of its session, or later ones.
CheckResult check_read_your_writes(const History& history, const CheckOptions& options = {});

// There is one order of all operations that agrees with every session's own order and explains every answer.
// When all answers carry positions, that order is the log: positions may not go back within a session, a write's is
// above all that its session saw, and each key's answers must be those of the log at their positions (operations of
// unknown outcome may stand anywhere after their session's past, or nowhere). When none does, an order is searched:
// small histories only, for the property is not local and the search has no real time to lean on.
CheckResult check_sequential(const History& history, const CheckOptions& options = {});

}  // namespace clew::sim::check

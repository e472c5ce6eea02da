// Planted bugs: the mistakes that the field is known for (scenario numbers of docs/mutants.md), each at the line where
// it would be made. A normal build has none: planted() is constantly false and the compiler removes the branch. Only
// the test binary clew_mutants is compiled with CLEW_MUTANTS and chooses one by name; the simulator must find every
// one.
#pragma once

#include <cstdint>
#include <string_view>

namespace clew::consensus {

enum class Bug : uint16_t;

#ifdef CLEW_MUTANTS
bool planted(Bug bug);  // planted.cc; set once before a world is made
#else
constexpr bool planted(Bug) { return false; }
#endif

// One line a bug: enumerator, name on the command line, scenario, what is wrong.
#define CLEW_BUGS(X)                                                                                              \
  X(kNone, "none", 0, "nothing: the clean build")                                                                 \
  X(kVoteBeforeDurable, "vote-before-durable", 4, "a vote is sent before it is durable")                          \
  X(kSendBeforeDurable, "send-before-durable", 4, "the host sends without waiting for the records")               \
  X(kAnswerAtPlacement, "answer-at-placement", 17, "a command is answered as soon as it stands in the local log") \
  X(kSnapshotBeforeLog, "snapshot-before-log", 14, "old log and snapshots go before the new base is durable")     \
  X(kRetryFailedSync, "retry-failed-sync", 18, "a failed sync is tried again, and the success is believed")       \
  X(kMiddleTakenForTail, "middle-taken-for-tail", 19,                                                             \
    "records behind a damaged one are cut as if it were a torn tail")                                             \
  X(kRetryAppliesTwice, "retry-applies-twice", 22, "a repeated command of a session is applied again")            \
  X(kEvictedSessionApplies, "evicted-session-applies", 22, "a command of a session that is gone is applied")      \
  X(kSessionsByLocalClock, "sessions-by-local-clock", 22, "sessions end by the local clock")

enum class Bug : uint16_t {
#define CLEW_BUG_ENUM(id, name, scenario, text) id,
  CLEW_BUGS(CLEW_BUG_ENUM)
#undef CLEW_BUG_ENUM
};

}  // namespace clew::consensus

// StateMachine: what a group replicates. Deterministic: the same commands from the same state give the same state, the
// same results and the same snapshot bytes on every node and build. No clock (use Applied::time), no randomness, no
// iteration order of hash maps.
//
// Called on the replica's loop only, except the function that freeze() returns. Errors of a command are part of its
// result; a state machine that cannot go on (its engine fails) says so through `Status` of restore or aborts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/function.h"
#include "base/hash.h"
#include "base/status.h"
#include "consensus/types.h"

namespace clew::consensus {

struct Applied {
  Position position = 0;
  // Replicated time, nanoseconds since 1970: the largest that a leader proposed so far; never goes back, the same on
  // every node. Not a clock: it stands still while nothing is proposed, and leaps when a leader's clock is set forward
  // (consensus/group_time.h).
  int64_t time_ns = 0;
  Epoch epoch = 0;  // in which it was proposed
};

// Receives the bytes of a snapshot in order. kResourceExhausted and the like stop the writing.
class SnapshotSink {
 public:
  virtual ~SnapshotSink() = default;
  virtual Status write(std::string_view bytes) = 0;
};
class SnapshotSource {
 public:
  virtual ~SnapshotSource() = default;
  // At least one byte, or empty at the end; borrowed until the next call.
  virtual Result<std::string_view> read() = 0;
};

class StateMachine {
 public:
  virtual ~StateMachine() = default;
  virtual std::string apply(const Applied& at, std::string_view command) = 0;
  // A read of the present state; changes nothing.
  virtual std::string query(std::string_view request) const = 0;
  // A function that writes the state as it is now, canonically (equal states, equal bytes), later and on another
  // thread, while apply() goes on. It must not refer to state that apply() changes; copy what cannot be shared.
  virtual UniqueFunction<Status(SnapshotSink&)> freeze() = 0;
  // Replaces the state. kDataLoss: the bytes make no sense; the state is then undefined and the node stops.
  virtual Status restore(SnapshotSource& source) = 0;
  // A state that outlives the process by itself may hold more, after a restart, than this run has applied yet: up to
  // this position. No snapshot is taken and no digest compared before apply() has come there.
  virtual Position ahead() const { return 0; }
  // Of the present state: equal states have equal digests. O(1) or incremental: checkers ask after each batch.
  virtual Hash128 digest() const = 0;
};

}  // namespace clew::consensus

// What a replica does with committed entries: sessions in front of the state machine, replicated time, the committed
// membership, and all of it as one snapshot. A function of the entries alone: two appliers that were given the same
// entries are equal, digest and snapshot bytes included.
//
// No I/O of its own; on the replica's loop, except the function that freeze() returns.
#pragma once

#include <cstdint>
#include <string>

#include "base/function.h"
#include "base/hash.h"
#include "base/status.h"
#include "consensus/effects.h"
#include "consensus/membership.h"
#include "consensus/replica_command.h"
#include "consensus/session_table.h"
#include "consensus/snapshot.h"
#include "consensus/state_machine.h"
#include "env/loop.h"

namespace clew::consensus {

class Applier {
 public:
  // The state after nothing. `clock` serves one planted bug only.
  Applier(StateMachine& machine, SessionLimits limits, const env::Clock& clock)
      : machine_(machine), sessions_(limits), clock_(clock) {}
  // The membership before the first entry that names one.
  void start_from(Membership base) { membership_ = std::move(base); }
  // The state machine's present state stands for everything up to `position`: of a group that begins with one
  // (replica_seed.h).
  void start_from(Membership base, Position position, Epoch epoch, int64_t time_ns) {
    membership_ = std::move(base);
    position_ = position;
    epoch_ = epoch;
    time_ns_ = time_ns;
  }

  struct Outcome {
    EntryKind kind = EntryKind::kNoop;
    // Of a command: what it was and who may wait for it.
    CommandKind command = CommandKind::kApply;
    uint64_t run = 0;
    uint64_t request = 0;
    bool forgotten = false;  // not applied: its session is gone
    std::string result;
  };
  // Entries come gaplessly. An error: this node cannot go on (the entry is beyond it), and must stop.
  Result<Outcome> apply(const Delivery& delivery);

  Position position() const { return position_; }
  int64_t time_ns() const { return time_ns_; }                  // replicated time
  const Membership& membership() const { return membership_; }  // the newest committed one
  Hash128 digest() const;

  // Describes the present state, but for bytes and checksum; and a function that writes it later, elsewhere.
  SnapshotMeta describe() const;
  UniqueFunction<Status(SnapshotSink&)> freeze();
  // Replaces everything. After an error the state is undefined.
  Status restore(const SnapshotMeta& meta, SnapshotSource& source);

 private:
  Outcome apply_command(Position position, Epoch epoch, const DecodedCommand& command);

  StateMachine& machine_;
  SessionTable sessions_;
  Membership membership_;
  const env::Clock& clock_;
  Position position_ = 0;
  Epoch epoch_ = 0;
  int64_t time_ns_ = 0;
};

}  // namespace clew::consensus

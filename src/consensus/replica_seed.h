// seed_replica: the data directory of a founder whose group begins with a state instead of with nothing: a backup that
// is restored. Every founder's directory is made from the same state and says the same, but for its own name. It is
// then as that of a member whose log was cut at a snapshot: Replica::open() without `bootstrap` starts it.
//
// When not to use it: for a member of a group that lives, which would forget what it voted for. A directory whose
// making was interrupted must be thrown away.
//
// On the loop; files are read and written within the call, as at a start. `machine` holds the state and outlives
// `done`, as do the loop and the disk.
#pragma once

#include <cstdint>
#include <string>

#include "base/function.h"
#include "base/status.h"
#include "consensus/membership.h"
#include "consensus/session_table.h"
#include "consensus/snapshot.h"
#include "consensus/state_machine.h"
#include "consensus/types.h"
#include "env/disk.h"
#include "env/loop.h"
#include "env/random.h"

namespace clew::consensus {

struct ReplicaSeed {
  uint64_t cluster = 0;
  NodeId self = kNobody;
  std::string directory;  // absent or empty
  std::string protocol;   // Protocol::name()
  Membership founders;
  Position position = 0;  // of the state, above 0: the group's log goes on behind it
  Epoch epoch = 0;        // not below any that the state names
  int64_t time_ns = 0;    // replicated time
  SessionLimits sessions;
  uint64_t log_file_bytes = 64ull << 20;
};

// `first_record`: what the protocol's log begins with after that snapshot (ProtocolKind::first_record).
void seed_replica(env::Loop& loop, env::Disk& disk, env::Random& random, ReplicaSeed seed, StateMachine& machine,
                  UniqueFunction<std::string(const SnapshotMeta&)> first_record, UniqueFunction<void(Status)> done);

}  // namespace clew::consensus

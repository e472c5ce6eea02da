// Restoring: a new group from what an old one left in a snapshot that was handed out (Service::snapshot()). Each
// founder of the new group is made from the same snapshot by itself, with the same list of founders; they agree because
// they write the same. docs/operations.md has the procedure.
//
// The new group has an id of its own, made of token, founders and the snapshot's checksum, so that members of the old
// one, which may still run somewhere, are strangers to it. What is kept: keys with their revisions and history, leases
// (each gets its whole time again from the first leader), cluster-wide settings, replicated time. What is not: who was
// a member, alarms, sessions.
//
// On the loop; blocking, for a command. Memory: the state.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "consensus/membership.h"
#include "consensus/state_machine.h"
#include "control/bootstrap.h"
#include "env/disk.h"
#include "env/loop.h"
#include "env/random.h"
#include "kv/custom.h"
#include "kv/spaces.h"

namespace clew::control {

// The state of a snapshot, in memory.
class RestoredState {
 public:
  // What Service::snapshot() gave, its checksum included. kDataLoss: it is none, or damaged.
  static Result<std::unique_ptr<RestoredState>> read(consensus::SnapshotSource& source);
  uint64_t checksum() const { return checksum_; }  // of the snapshot; never 0
  const kv::Spaces& spaces() const { return *spaces_; }
  consensus::Position position() const;  // of the newest command
  int64_t time_ns() const;               // replicated time
  // Forgets what was the old group's: members, what was wished for them, alarms.
  void become_new();
  consensus::StateMachine& machine() { return *spaces_; }
  uint64_t reign() const;

 private:
  RestoredState() = default;
  kv::CustomRegistry registry_;
  std::unique_ptr<kv::Spaces> spaces_;
  uint64_t checksum_ = 0;
  consensus::Position forgotten_at_ = 0;
};

struct RestoreOptions {
  std::string directory;  // of the control plane; absent or empty
  std::string token;
  std::vector<consensus::Member> founders;  // with data: a witness joins later
  consensus::NodeId node = consensus::kNobody;
  std::string protocol = "raft";  // that the new group runs on, whatever the old one did
};

// Makes one founder's directory. Interrupted, it leaves one that must be thrown away.
void restore_member(env::Loop& loop, env::Disk& disk, env::Random& random, const RestoreOptions& options,
                    RestoredState& state, UniqueFunction<void(Result<Belonging>)> done);

}  // namespace clew::control

// Invariants of ZAB: of one node's state, and of a transition between two states of it. Of a whole group:
// raft::GroupCheck, which judges what every protocol with leaders and epochs owes (one established leader an epoch,
// its own history append-only, later leaders have everything committed, equal transactions at equal positions).
//
// Incremental: a check costs O(members) and what changed since the last one. Pure; one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "consensus/protocol.h"
#include "consensus/raft/log.h"
#include "consensus/types.h"
#include "consensus/zab/follower_progress.h"
#include "consensus/zab/zxid.h"

namespace clew::consensus::zab {

// What a core believes, for its judges.
struct State {
  NodeId self = kNobody;
  Standing standing = Standing::kFollower;
  bool leading = false;      // from discovery on
  bool established = false;  // in broadcast
  NodeId leader = kNobody;
  Epoch reign = 0;  // of a leader; 0: it has no epoch yet
  Epoch accepted = 0;
  NodeId promised_to = kNobody;
  Epoch current = 0;
  Point last;  // of what was once held
  Position commit = 0;
  Position delivered = 0;
  Position snapshot = 0;
  Position reign_start = 0;  // of a leader: the end of its initial history
  uint64_t max_counter = 0;
  Time lease_until = 0;  // of a leader: reads are answered without asking before it, on its own clock; 0: no lease
  Position membership_position = 0;
  LogSeq next_seq = 1;
  LogSeq durable_seq = 0;
  struct Peer {
    NodeId id = kNobody;
    Step step = Step::kAbsent;
    Position match = 0;
    Position next = 0;
  };
  std::vector<Peer> peers;
};

// One node: each state in itself, and against the one before it.
class TransitionCheck {
 public:
  // kInternal names what is broken.
  Status check(const State& state, const raft::Log& log);

 private:
  bool any_ = false;
  State before_;
  Position before_last_ = 0;
  Epoch before_last_epoch_ = 0;
  uint64_t before_generation_ = 0;
  Epoch led_ = 0;
};

}  // namespace clew::consensus::zab

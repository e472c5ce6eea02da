// Invariants of Raft, in LogCabin's manner: of one node's state, and of a transition between two states of it; and of
// a whole group, for simulators and tests (Raft, Figure 3).
//
// Incremental: a check costs O(members) and what changed since the last one, so that it can run after every event.
// Pure; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "consensus/protocol.h"
#include "consensus/raft/log.h"
#include "consensus/types.h"

namespace clew::consensus::raft {

// What a core believes, for its judges.
struct State {
  NodeId self = kNobody;
  Standing standing = Standing::kFollower;
  bool leading = false;
  bool may_lead = false;
  Epoch term = 0;
  NodeId vote = kNobody;
  NodeId leader = kNobody;
  Position commit = 0;
  Position delivered = 0;
  Position snapshot = 0;
  Position reign_start = 0;  // of a leader
  Time lease_until = 0;      // of a leader: reads are answered without asking before it, on its own clock; 0: no lease
  Position membership_position = 0;
  LogSeq next_seq = 1;
  LogSeq durable_seq = 0;
  struct Peer {
    NodeId id = kNobody;
    Position match = 0;
    Position next = 0;
  };
  std::vector<Peer> peers;
};

// One node: each state in itself, and against the one before it.
class TransitionCheck {
 public:
  // kInternal names what is broken.
  Status check(const State& state, const Log& log);

 private:
  bool any_ = false;
  State before_;
  Position before_last_ = 0;
  Epoch before_last_epoch_ = 0;
  uint64_t before_generation_ = 0;
  Epoch led_term_ = 0;
};

// A group: election safety, leader append-only, log matching, leader completeness, state-machine safety. Feed it after
// each event with the core that the event was given to. Members may crash and restart under the same id.
//
// Remembers what was committed (one EntryId a position) for as long as the check lives: for tests.
class GroupCheck {
 public:
  // kInternal names property, members and position.
  Status check(NodeId id, const Protocol& core);
  void crashed(NodeId id);  // its volatile knowledge is void: what it knew as committed may have to be learnt again

  Position committed() const { return chosen_.size(); }
  const std::vector<EntryId>& chosen() const { return chosen_; }

 private:
  struct Node {
    Position compared = 0;  // committed entries of it up to here agree with chosen_
    Epoch epoch = 0;
    bool leading = false;
    Position led_last = 0;
    EntryId led_entry;  // at led_last
  };
  Status check_leader(NodeId id, Node& node, const Protocol& core, const Report& report);

  std::map<NodeId, Node> nodes_;
  std::map<Epoch, NodeId> leaders_;
  std::vector<EntryId> chosen_;      // by position - 1
  std::vector<Epoch> committed_in_;  // by position - 1: at most this epoch; never falls
};

}  // namespace clew::consensus::raft

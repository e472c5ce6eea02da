// Invariants of Multi-Paxos: of one node's state, of a transition between two states of it, and of a whole group, for
// simulators and tests (PMS §2.2, P1 and P2; PMMC §2, invariants A1 to L1).
//
// Incremental: a check costs O(members) and what changed since the last one. Pure; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "consensus/multipaxos/ballot.h"
#include "consensus/multipaxos/slots.h"
#include "consensus/protocol.h"
#include "consensus/types.h"

namespace clew::consensus::multipaxos {

// What a core believes, for its judges.
struct State {
  NodeId self = kNobody;
  Standing standing = Standing::kFollower;
  bool leading = false;
  bool settled = false;
  bool sure = false;  // of a leader: it knows everything that may have been chosen before, and may serve reads
  Ballot promise;
  NodeId leader = kNobody;
  Position commit = 0;
  Position delivered = 0;
  Position upto = 0;     // chosen, or accepted under `promise`, without a gap
  Position durable = 0;  // of that, what its disk has
  Position snapshot = 0;
  Position last = 0;         // of a leader: the highest slot proposed
  Position reign_start = 0;  // of a leader
  Position stop_sign = 0;    // slot of a membership that is accepted and not known as chosen; 0: none
  Position lost_to = 0;
  Time lease_until = 0;  // of a leader: reads are answered without asking before it, on its own clock; 0: no lease
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
  Status check(const State& state, const Slots& slots);

 private:
  bool any_ = false;
  State before_;
  Ballot led_;
};

// A group: one leader a ballot, one value a slot, promises that never fall (what a member told of itself before a crash
// is given by crashed()), leaders that propose again what was chosen. Feed it after each event with the core that the
// event was given to.
//
// Remembers what was chosen (one EntryId a slot) for as long as the check lives: for tests.
class GroupCheck {
 public:
  // kInternal names property, members and slot.
  Status check(NodeId id, const Protocol& core);  // a MultiPaxos
  void crashed(NodeId id);  // its volatile knowledge is void: what it knew as chosen may have to be learnt again

  Position committed() const { return chosen_.size(); }
  const std::vector<EntryId>& chosen() const { return chosen_; }

 private:
  struct Node {
    Position compared = 0;  // chosen slots of it up to here agree with chosen_
    bool leading = false;
    Ballot ballot;
  };
  std::map<NodeId, Node> nodes_;
  std::map<Ballot, NodeId> leaders_;
  std::vector<EntryId> chosen_;    // by position - 1
  std::vector<Ballot> chosen_by_;  // by position - 1: at most this ballot; never falls
};

}  // namespace clew::consensus::multipaxos

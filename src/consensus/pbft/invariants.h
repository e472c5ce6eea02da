// Invariants of PBFT: of one member's state, and of a transition between two states of it; and of a group, for
// simulators and tests: no two honest members prepare different digests at (view, n), none accepts two, no two commit
// different digests at n in any views, equal entries at equal positions.
//
// Incremental: a check costs O(members) and what changed since the last one. Pure; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/status.h"
#include "consensus/pbft/messages.h"
#include "consensus/pbft/slot.h"
#include "consensus/protocol.h"
#include "consensus/types.h"

namespace clew::consensus::pbft {

// What a core believes, for its judges.
struct State {
  NodeId self = kNobody;
  Standing standing = Standing::kFollower;
  Epoch view = 0;
  bool active = false;
  bool votes = false;
  Sequence base = 0;
  Sequence stable = 0;
  Sequence executed = 0;
  Sequence limit = 0;
  Sequence top = 0;
  Sequence recovering_to = 0;  // it votes when a checkpoint there is stable
  Sequence highest_slot = 0;
  size_t slots = 0;
  uint64_t window = 0;
  Position committed = 0;
  Position delivered = 0;
  Digest history;
  uint64_t reserved = 0;
  uint64_t next_timestamp = 0;
  LogSeq next_seq = 1;
  LogSeq durable_seq = 0;
};

class TransitionCheck {
 public:
  // kInternal names what is broken.
  Status check(const State& state);

 private:
  bool any_ = false;
  State before_;
};

}  // namespace clew::consensus::pbft

namespace clew::consensus {
class Pbft;
}

namespace clew::consensus::pbft {

// Of the honest members; the others are not given to it.
class GroupCheck {
 public:
  // kInternal names property, members and place. Each core after each event that it was given.
  Status check(NodeId id, const Pbft& core);
  void crashed(NodeId id);

  Position committed() const { return chosen_.size(); }

 private:
  struct Node {
    Position compared = 0;
    Sequence executed = 0;
    LogSeq next_seq = 0;  // when its slots were looked at last
    LogSeq durable_seq = 0;
    std::map<std::pair<Epoch, Sequence>, Digest> accepted;  // of all its lives: it never takes back its word
  };
  std::map<NodeId, Node> nodes_;
  std::map<std::pair<Epoch, Sequence>, std::pair<NodeId, Digest>> prepared_;
  std::map<Sequence, std::pair<NodeId, Digest>> committed_;
  std::vector<EntryId> chosen_;  // by position - 1
};

}  // namespace clew::consensus::pbft

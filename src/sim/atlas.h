// FaultAtlas: which copy may be damaged now, so that what a cluster promises to survive it still can survive.
//
// Faults that a cluster of n with quorums of n/2+1 should survive, and that may therefore hit it at any time:
//   - any number of nodes killed or without power, at any moment, if they come back: what was synced is there;
//   - any network between them, and clocks that are wrong within the stated bound;
//   - a torn or lost tail of what was not synced;
//   - up to (n-1)/2 nodes at a time that lost their disk, or whose vote and identity are damaged: whole-node damage;
//   - damaged or unreadable log entries on any number of nodes, as long as every entry that may have been chosen keeps
//     `keep` intact durable copies on other nodes. An entry that nobody else has may be the only trace of a commit:
//     it is never damaged; unless the protocol says that it owes nobody what stands behind a position (Scope::owed_to),
//     as its members know what they forgot and keep silent about it: then as many nodes may forget that at a time as
//     may be lost wholly.
// Not to be survived, and therefore never dealt: damage to the last intact copies; a second disk lost while the first
// has not been refilled; a disk that drops a synced write silently and whole (nothing could notice it).
//
// Pure bookkeeping over intervals of log positions ("items"). The adapter of a protocol says which items a node holds
// durably (`holds`) and when it has repaired what was damaged (`repaired`); who deals damage asks `take` first.
// O(nodes x damaged intervals). One thread.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/trace.h"

namespace clew::sim {

struct ItemRange {
  uint64_t first = 1;  // inclusive; empty when last < first
  uint64_t last = 0;
  bool empty() const { return last < first; }
  friend bool operator==(const ItemRange&, const ItemRange&) = default;
};

// What a damaged region costs its node.
struct Scope {
  enum class Kind : uint8_t {
    kNothing,  // padding, or bytes that no reader trusts: may always be damaged
    kItems,    // copies of these items
    kNode,     // vote, identity, or what cannot be told apart: the node must be refilled or replaced
  };
  Kind kind = Kind::kNode;
  ItemRange items;
  uint64_t owed_to = UINT64_MAX;  // of the items, no copy needs to be left of those behind it
};

class FaultAtlas {
 public:
  // `keep`: intact copies of an item that must remain on other nodes, n/2+1 by default (0).
  explicit FaultAtlas(size_t nodes, size_t keep = 0);

  // How many nodes may be lost wholly at a time, (n-1)/2 unless said: for a group in which not every node votes.
  void tolerate(size_t whole_nodes) { max_whole_ = whole_nodes; }
  // A node with any damage counts among those, until it is repaired: for protocols in which a node that lacks entries
  // cannot lead before a leader has given them back.
  void bound_damaged_nodes() { bound_damaged_ = true; }
  // The node holds exactly these items durably, from now on (a snapshot counts as holding what it covers).
  void holds(NodeIndex node, ItemRange items);
  // Books the damage and returns true if the promise above is kept with it.
  bool take(NodeIndex node, const Scope& scope);
  // Intact again: fetched from peers, or overwritten. All items: the node remembers everything again.
  void repaired(NodeIndex node, ItemRange items);
  void restored(NodeIndex node);  // whole-node damage ended: the node is a full member again

  size_t intact_copies(uint64_t item) const;
  bool damaged(NodeIndex node) const;  // wholly
  bool damaged_partly(NodeIndex node) const;
  size_t damaged_nodes() const;
  uint64_t refused() const { return refused_; }
  uint64_t taken() const { return taken_; }

 private:
  struct Node {
    ItemRange held;
    std::vector<ItemRange> damaged;  // sorted, disjoint
    bool forgot = false;             // items that are owed to nobody
    bool whole = false;
    bool intact() const { return !whole && !forgot && damaged.empty(); }
  };
  size_t intact_elsewhere(NodeIndex node, uint64_t item) const;
  bool can_lose(NodeIndex node, ItemRange items) const;
  bool too_many(NodeIndex node) const;

  std::vector<Node> nodes_;
  size_t keep_;
  size_t max_whole_;
  bool bound_damaged_ = false;
  uint64_t refused_ = 0;
  uint64_t taken_ = 0;
};

}  // namespace clew::sim

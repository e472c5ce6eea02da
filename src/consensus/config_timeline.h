// The memberships that a log holds, by position: which one governs a position, which one is committed, what is undone
// when a suffix of the log is overwritten. Membership takes effect where the protocol says: in Raft and ZAB at append
// (the newest in the log), in Multi-Paxos in the slots above its own, once it is chosen.
//
// Pure; one thread. O(log n) a lookup, n = memberships since the last snapshot.
#pragma once

#include <vector>

#include "consensus/membership.h"
#include "consensus/types.h"

namespace clew::consensus {

class ConfigTimeline {
 public:
  struct Item {
    Position position = 0;
    Membership membership;
  };

  // `base` governs from `position` on: the snapshot's, or the bootstrap one at 0.
  void reset(Position position, Membership base);
  void append(Position position, Membership membership);  // positions rise
  // Forgets everything at or above `from`; true when the newest one changed. The base stays.
  bool truncate(Position from);
  // The one governing `position` becomes the base.
  void compact(Position position);

  const Item& newest() const { return items_.back(); }
  const Item& at(Position position) const;  // the newest at or below `position`; the base when all are above
  size_t size() const { return items_.size(); }

 private:
  std::vector<Item> items_{Item{}};
};

}  // namespace clew::consensus

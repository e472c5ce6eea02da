// Catching up by a snapshot that takes longer to fetch than the next ones take to be made. Would each newer one begin
// the transfer anew, or would the log behind the fetched one be gone by then, the member would never be done. So, in
// every protocol:
//
//   the member  ends the transfer that is under way, whatever its source offers meanwhile: replaces()
//   the leader  keeps the log behind the snapshot that it offered until the member has it: log_begins_at()
//   the host    keeps the file that is being fetched (snapshot_exchange.h)
//
// Bounded: the leader keeps no more than a share of the memory that a log may have, and nothing for a member of which
// nothing is heard; such a member is offered the newest snapshot when it comes back. Not on disk: the records of what
// the newest snapshot covers go as ever, for whoever restarts leads no more. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "consensus/effects.h"
#include "consensus/types.h"

namespace clew::consensus {

// A source that offers a newer snapshot has no less of the log behind the older one; another source may.
inline bool replaces(const FetchSnapshot& under_way, NodeId from, const SnapshotMeta& offered) {
  return from != under_way.from && offered.position > under_way.meta.position;
}

// The snapshot that a peer is known to fetch, kept in mind by its leader while `offered` is repeated with newer ones:
// the first of them, as long as the log goes on from there.
inline void note_offer(Position& offered, Position newest, Position log_base) {
  if (offered < log_base) offered = newest;
}

struct Retention {
  uint64_t tail_bytes = 0;  // before the snapshot, for peers that are a little behind
  uint64_t log_bytes = 0;   // that the log may have in memory: a quarter of it goes to those who fetch
};

// The first position that stays when everything up to `snapshot` may go. `first`: of the log. `offered`: what peers
// fetch now. `cost_at(position)`: bytes of the entry there; nothing when there is none to keep. O(entries that stay).
template <typename CostAt>
Position log_begins_at(Position first, Position snapshot, std::span<const Position> offered, Retention bounds,
                       CostAt&& cost_at) {
  const auto back_from_snapshot = [&](uint64_t bytes) {
    Position begin = snapshot + 1;
    while (begin > first) {
      const std::optional<uint64_t> cost = cost_at(begin - 1);
      if (!cost || *cost > bytes) break;
      bytes -= *cost;
      --begin;
    }
    return begin;
  };
  Position begin = back_from_snapshot(bounds.tail_bytes);
  if (offered.empty()) return begin;
  const Position farthest = back_from_snapshot(bounds.log_bytes / 4);
  for (const Position position : offered) {
    if (position + 1 >= farthest) begin = std::min(begin, position + 1);
  }
  return begin;
}

}  // namespace clew::consensus

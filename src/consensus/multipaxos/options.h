// Settings of one Multi-Paxos core. Plain values; constant once the core is made.
//
// heartbeat, election_min and election_max have to be the same in the whole group: a lease of one member rests on the
// patience of the others.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "consensus/in_flight.h"
#include "consensus/membership.h"
#include "consensus/types.h"

namespace clew::consensus::multipaxos {

struct Options {
  NodeId self = kNobody;
  // The founding members, the same on each of them; looked at only when nothing was recovered. Empty for a node that
  // joins a group which exists already: it waits to be spoken to.
  Membership founding;

  Time heartbeat = 50 * kMillisecond;
  // How long a leader may be silent before another proposer asks: drawn anew from [election_min, election_max) each
  // time, so that duelling proposers fall out of step ("Paxos Made Moderately Complex", §3).
  Time election_min = 150 * kMillisecond;
  Time election_max = 300 * kMillisecond;

  // Whether ReadBarrier::kLease is honoured when this node leads; if not, it asks a quorum.
  bool leases = false;
  // How wrong the rate of any member's monotonic clock may be: 10'000 is one per cent.
  uint32_t clock_error_ppm = 10'000;

  uint64_t max_message_bytes = 1ull << 20;  // of values in one message; a single larger one still goes
  WindowLimits window;                      // to each peer
  uint64_t max_uncommitted_bytes = 64ull << 20;
  // Slots that are proposed and not chosen; how far an acceptor lets slots run ahead of the first that it lacks.
  uint64_t max_open_slots = 65'536;
  // Memory; more is refused until a snapshot lets the prefix go. Up to a quarter of it stays for members that are
  // fetching an older snapshot (consensus/catch_up.h).
  uint64_t max_log_bytes = 512ull << 20;
  uint64_t keep_tail_bytes = 8ull << 20;     // of compacted slots, kept in memory for peers that are a little behind
  uint64_t max_delivery_bytes = 4ull << 20;  // handed over in one turn
  size_t max_waiting_reads = 65'536;
  // A leader calls nothing chosen that fewer members with data (itself included; witnesses have none) hold on disk.
  // Capped by how many there are.
  size_t min_data_copies = 1;
  // A witness drops its log's prefix by itself when it has that many slots.
  size_t witness_log_entries = 4'096;

  // kInvalidArgument with the reason.
  Status check() const {
    if (self == kNobody) return {Code::kInvalidArgument, "multipaxos: self is 0; give every member a number from 1"};
    if (heartbeat <= 0 || election_min < 2 * heartbeat || election_max <= election_min) {
      return {Code::kInvalidArgument,
              "multipaxos: needs 0 < heartbeat <= election_min / 2 and election_min < election_max; widen the election "
              "range"};
    }
    if (clock_error_ppm >= 500'000) {
      return {Code::kInvalidArgument, "multipaxos: a clock error of half and more leaves no lease; turn leases off"};
    }
    if (max_message_bytes == 0 || window.messages == 0 || window.bytes == 0 || max_delivery_bytes == 0 ||
        max_waiting_reads == 0 || witness_log_entries == 0 || max_open_slots == 0) {
      return {Code::kInvalidArgument,
              "multipaxos: limits of messages, windows, slots, deliveries and reads have to be above 0"};
    }
    return {};
  }
};

// Slots that one message may hold beyond what Options::max_open_slots lets it begin with.
constexpr Position kFarthest = 1 << 20;

}  // namespace clew::consensus::multipaxos

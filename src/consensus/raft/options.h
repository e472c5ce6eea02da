// Settings of one Raft core. Plain values; constant once the core is made.
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

namespace clew::consensus::raft {

struct Options {
  NodeId self = kNobody;
  // The founding members, the same on each of them; looked at only when nothing was recovered. Empty for a node that
  // joins a group which exists already: it waits to be spoken to.
  Membership founding;

  Time heartbeat = 50 * kMillisecond;
  // The election timeout is drawn anew from [election_min, election_max) each time (Raft §5.2).
  Time election_min = 150 * kMillisecond;
  Time election_max = 300 * kMillisecond;
  // A node of priority p waits p × (election_max - election_min) longer before it campaigns; 0 is the most eager. A
  // preference, never a bar.
  uint32_t priority = 0;

  // Whether ReadBarrier::kLease is honoured when this node leads; if not, it asks a quorum. Without leases followers
  // may elect a new leader as soon as the connection to the old one breaks; with them they wait for election_min.
  bool leases = false;
  // How wrong the rate of any member's monotonic clock may be: 10'000 is one per cent.
  uint32_t clock_error_ppm = 10'000;

  uint64_t max_message_bytes = 1ull << 20;  // of entries in one message; a single larger entry still goes
  WindowLimits window;                      // to each peer
  uint64_t max_uncommitted_bytes = 64ull << 20;
  // Memory; more is refused until a snapshot lets the prefix go. Up to a quarter of it stays for members that are
  // fetching an older snapshot (consensus/catch_up.h).
  uint64_t max_log_bytes = 512ull << 20;
  uint64_t keep_tail_bytes = 8ull << 20;     // of compacted entries, kept in memory for peers that are a little behind
  uint64_t max_delivery_bytes = 4ull << 20;  // handed over in one turn
  size_t max_waiting_reads = 65'536;
  // A leader commits nothing that fewer members with data (itself included; witnesses have none) hold on disk. Capped
  // by how many there are. 1: what plain Raft with witnesses promises, see raft.h.
  size_t min_data_copies = 1;
  // A witness drops its log's prefix by itself when it has that many entries.
  size_t witness_log_entries = 4'096;

  // kInvalidArgument with the reason.
  Status check() const {
    if (self == kNobody) return {Code::kInvalidArgument, "raft: self is 0; give every member a number from 1"};
    if (heartbeat <= 0 || election_min < 2 * heartbeat || election_max <= election_min) {
      return {
          Code::kInvalidArgument,
          "raft: needs 0 < heartbeat <= election_min / 2 and election_min < election_max; widen the election range"};
    }
    if (clock_error_ppm >= 500'000) {
      return {Code::kInvalidArgument, "raft: a clock error of half and more leaves no lease; turn leases off"};
    }
    if (max_message_bytes == 0 || window.messages == 0 || window.bytes == 0 || max_delivery_bytes == 0 ||
        max_waiting_reads == 0 || witness_log_entries == 0) {
      return {Code::kInvalidArgument, "raft: limits of messages, windows, deliveries and reads have to be above 0"};
    }
    return {};
  }
};

}  // namespace clew::consensus::raft

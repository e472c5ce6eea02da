// Settings of one ZAB core. Plain values; constant once the core is made.
//
// heartbeat, election_min and election_max have to be the same in the whole group: a lease of one member rests on the
// patience of the others.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "consensus/in_flight.h"
#include "consensus/membership.h"
#include "consensus/types.h"

namespace clew::consensus::zab {

struct Options {
  NodeId self = kNobody;
  // The founding members, the same on each of them; looked at only when nothing was recovered. Empty for a node that
  // joins a group which exists already: it waits to be invited.
  Membership founding;

  Time heartbeat = 50 * kMillisecond;
  // For how long a leader may be silent: drawn anew from [election_min, election_max) each time.
  Time election_min = 150 * kMillisecond;
  Time election_max = 300 * kMillisecond;
  // Of members with equally recent histories the one with the lowest number is preferred, then the highest id. A
  // preference, never a bar.
  uint32_t priority = 0;

  // Whether ReadBarrier::kLease is honoured when this node leads; if not, it asks a quorum.
  bool leases = false;
  // How wrong the rate of any member's monotonic clock may be: 10'000 is one per cent.
  uint32_t clock_error_ppm = 10'000;

  // Transactions of one epoch; the leader begins a new one, without an election, when they are used up. ZooKeeper's
  // counters have 32 bits.
  uint64_t max_counter = UINT32_MAX;

  uint64_t max_message_bytes = 1ull << 20;  // of entries in one message; a single larger entry still goes
  WindowLimits window;                      // to each peer
  uint64_t max_uncommitted_bytes = 64ull << 20;
  // Memory; more is refused until a snapshot lets the prefix go. Up to a quarter of it stays for members that are
  // fetching an older snapshot (consensus/catch_up.h).
  uint64_t max_log_bytes = 512ull << 20;
  uint64_t keep_tail_bytes = 8ull << 20;     // of compacted entries, kept in memory for peers that are a little behind
  uint64_t max_delivery_bytes = 4ull << 20;  // handed over in one turn
  size_t max_waiting_reads = 65'536;

  // kInvalidArgument with the reason.
  Status check() const {
    if (self == kNobody) return {Code::kInvalidArgument, "zab: self is 0; give every member a number from 1"};
    if (heartbeat <= 0 || election_min < 2 * heartbeat || election_max <= election_min) {
      return {Code::kInvalidArgument,
              "zab: needs 0 < heartbeat <= election_min / 2 and election_min < election_max; widen the election range"};
    }
    if (clock_error_ppm >= 500'000) {
      return {Code::kInvalidArgument, "zab: a clock error of half and more leaves no lease; turn leases off"};
    }
    if (max_counter < 2) return {Code::kInvalidArgument, "zab: an epoch needs room for 2 transactions and more"};
    if (max_message_bytes == 0 || window.messages == 0 || window.bytes == 0 || max_delivery_bytes == 0 ||
        max_waiting_reads == 0) {
      return {Code::kInvalidArgument, "zab: limits of messages, windows, deliveries and reads have to be above 0"};
    }
    return accepts(founding);
  }

  // A witness would have to acknowledge a history that it does not hold: ZAB's synchronisation makes the history of
  // one member everybody's, so that a member without it can neither be its source nor vouch for it.
  static Status accepts(const Membership& membership) {
    const auto& members = membership.members();
    const bool witness =
        std::any_of(members.begin(), members.end(), [](const Member& member) { return member.role == Role::kWitness; });
    if (!witness) return {};
    return {Code::kInvalidArgument,
            "zab: a witness stores no history, and ZAB's members acknowledge whole histories; make it a voter or a "
            "learner, or run the group on Raft"};
  }
};

}  // namespace clew::consensus::zab

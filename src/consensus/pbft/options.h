// Settings of one PBFT core. Plain values; constant once the core is made.
//
// group, checkpoint_every, snapshot_every_bytes and client_window have to be the same on all members: they decide what
// is signed, and when a state is saved.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/status.h"
#include "consensus/in_flight.h"
#include "consensus/membership.h"
#include "consensus/quorum.h"
#include "consensus/signer.h"
#include "consensus/types.h"

namespace clew::consensus::pbft {

// Says whether a correct member would let this command be ordered now: external validity (Cachin, Kursawe, Petzold &
// Shoup 2001), and what bounds the time that commands carry. Backups ask when a primary proposes a command first; what
// was certified meanwhile is not asked about again. A command from the past has to stay admissible.
using Admissible = std::function<bool(std::string_view command)>;

// Of commands as command_bytes() counts them, in a request and in a batch: a frame holds it and its proof.
constexpr uint64_t kMaxBatchBytes = 8ull << 20;

struct Options {
  NodeId self = kNobody;
  // The founding members, the same on each of them. A member that joins a group which exists is told by its operator
  // which membership to trust: the founding one or a later one, from which signatures lead to the present.
  Membership founding;
  // Stands in everything that is signed: a signature of one group means nothing in another.
  uint64_t group = 0;
  std::shared_ptr<const Signer> signer;  // shared: its owner outlives no core in particular
  Admissible admissible;                 // none: everything is

  Time heartbeat = 50 * kMillisecond;  // how often members tell where they stand, and what was lost is sent again
  // A request that waits for so long deposes the primary; doubled with each view that brings nothing.
  Time request_timeout = 300 * kMillisecond;

  uint64_t checkpoint_every = 128;              // K, in sequence numbers; the window is 2K (OSDI 1999, §4.3)
  uint64_t snapshot_every_bytes = 64ull << 20;  // of commands, to the next checkpoint whose state is saved
  uint64_t client_window = 4'096;               // of a gateway's requests: how far they may overtake each other

  // A batch of fewer commands is not proposed while another is in agreement. 1: every one is.
  size_t full_batch = 1;
  uint64_t max_message_bytes = 1ull << 20;  // of commands in a request, and in a batch; a single larger one still goes
  WindowLimits window{.messages = 8, .bytes = 16ull << 20};  // batches in agreement
  uint64_t max_uncommitted_bytes = 64ull << 20;              // requests of one gateway
  uint64_t max_log_bytes = 512ull << 20;                     // memory; more is not ordered before a snapshot is saved
  uint64_t max_delivery_bytes = 4ull << 20;                  // handed over in one turn
  size_t max_waiting_reads = 65'536;
  size_t max_unverified = 4'096;  // messages of one member whose signatures are being checked
  // In them; a message beyond still goes when it is the only one. Signatures are what keeps the checkers busy: those of
  // honest members wait behind a liar's.
  uint64_t max_unverified_bytes = 64ull << 20;
  size_t max_unverified_signatures = 8'192;

  uint64_t window_length() const { return 2 * checkpoint_every; }  // L

  // kInvalidArgument with the reason.
  Status check() const {
    if (self == kNobody) return {Code::kInvalidArgument, "pbft: self is 0; give every member a number from 1"};
    if (signer == nullptr) return {Code::kInvalidArgument, "pbft: needs a key to sign with; make one for this member"};
    if (heartbeat <= 0 || request_timeout < 2 * heartbeat) {
      return {Code::kInvalidArgument, "pbft: needs 0 < heartbeat <= request_timeout / 2; widen the timeout"};
    }
    if (checkpoint_every < 2 || checkpoint_every > 4'096) {
      return {Code::kInvalidArgument, "pbft: checkpoints have to be 2 to 4096 sequence numbers apart"};
    }
    if (client_window < 2 || max_message_bytes == 0 || window.messages == 0 || max_delivery_bytes == 0 ||
        max_waiting_reads == 0 || max_unverified < 64) {
      return {Code::kInvalidArgument, "pbft: limits of requests, batches, deliveries and reads have to be above 0"};
    }
    if (max_message_bytes > kMaxBatchBytes) return {Code::kInvalidArgument, "pbft: a batch has 8 MiB at most"};
    return accepts(founding);
  }

  // n >= 3f + 1 with f >= 1, and nobody who votes on what he does not store.
  static Status accepts(const Membership& membership) {
    const auto& members = membership.members();
    if (membership.joint()) {
      return {Code::kInvalidArgument, "pbft: members change at a checkpoint, never jointly; name the final membership"};
    }
    if (std::any_of(members.begin(), members.end(), [](const Member& m) { return m.role == Role::kWitness; })) {
      return {Code::kInvalidArgument,
              "pbft: a witness stores no commands and cannot vouch for their effect; make it a voter or a learner"};
    }
    if (membership.voters() < 4) {
      return {Code::kInvalidArgument,
              "pbft: " + std::to_string(membership.voters()) +
                  " voters tolerate no liar: it takes 3f + 1 of them, at least 4; add voters, or run the group on a "
                  "protocol for crashes"};
    }
    return {};
  }
};

}  // namespace clew::consensus::pbft

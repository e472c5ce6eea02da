// Effects: everything that a protocol core wants done, as data. The host (consensus/replica.h, or a test) takes them
// from Protocol::collect() and carries them out; the core never learns how.
//
// The order that matters is in the data itself: a Send, a ReadReady or an InstallSnapshot carries the LogSeq that must
// be durable before it may happen ("persist before you speak"), so that a simulator can prove a violation and a host
// cannot forget it. Carry out: append the records (their order is their numbering), then the rest in any order, each
// after its own `after`.
//
// Plain values; owned by the host and reused between turns (clear() keeps capacity).
#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "consensus/fact.h"
#include "consensus/snapshot.h"
#include "consensus/types.h"

namespace clew::consensus {

// One message. Frames are complete, versioned by the protocol and meaningful to the same protocol only.
struct Send {
  NodeId to = kNobody;
  LogSeq after = 0;
  std::string frame;
};

// A committed entry. Positions rise by one from delivery to delivery, except after an InstallSnapshot. An entry may be
// delivered before it is durable *here* (a quorum has it): state that outlives the process by itself must not be
// written before durable() covers the position that Report::durable_position names.
struct Delivery {
  Position position = 0;
  Entry entry;
};

// The read `id` may be answered from any state that has applied `position`.
struct ReadReady {
  ReadId id{};
  Position position = 0;
};

enum class Refusal : uint8_t {
  kNotLeader,   // ask `leader`; when that is nobody, wait for an election
  kOverloaded,  // a bound is reached: ask again in milliseconds
  kNotReady,    // leader, but not yet sure of its reign or in the middle of another change: ask again
  kInvalid,     // can never work (a member that is unknown, a membership that contradicts itself)
  kLost,        // it was accepted, and another reign wrote over it: it will never take effect
};
std::string_view refusal_name(Refusal refusal);

struct ProposalRefused {
  ProposalId id{};
  Refusal why = Refusal::kNotLeader;
  NodeId leader = kNobody;
};
struct ReadRefused {
  ReadId id{};
  Refusal why = Refusal::kNotLeader;
  NodeId leader = kNobody;
};
// The proposal `id` stands at `position` of this node's log. Tells nothing about commitment: the delivery does.
struct ProposalPlaced {
  ProposalId id{};
  Position position = 0;
};

// Signatures are checked off the core; the answer comes back as Protocol::verified(id, ok).
struct VerifyRequest {
  VerifyId id{};
  NodeId signer = kNobody;
  std::string message;
  std::string signature;
};

// Get this snapshot from `from` (chunked, resumable, checksummed), then call Protocol::snapshot_fetched. A newer fetch
// replaces an older one.
struct FetchSnapshot {
  NodeId from = kNobody;
  SnapshotMeta meta;
};
// Replace the state by the fetched snapshot once `after` is durable; later deliveries start at meta.position + 1.
struct InstallSnapshot {
  SnapshotMeta meta;
  LogSeq after = 0;
};

struct Effects {
  std::vector<std::string> records;
  std::vector<Send> sends;
  std::optional<InstallSnapshot> install;  // before `deliveries`
  std::vector<Delivery> deliveries;
  std::vector<ProposalPlaced> placed;
  std::vector<ProposalRefused> refused;
  std::vector<ReadReady> reads;
  std::vector<ReadRefused> reads_refused;
  std::vector<VerifyRequest> verifications;
  std::optional<FetchSnapshot> fetch;
  bool cancel_fetch = false;
  // The state is to be saved as it stands after exactly this position, which is delivered with these effects or was
  // delivered last: protocols whose members have to save equal states choose the position. When that cannot be done
  // (another is being saved), it is let pass. 0: none. Protocol::snapshot_saved tells that it was.
  Position snapshot_at = 0;
  // Records below it are not needed for recovery any more; only grows. 0: unchanged.
  LogSeq release_below = 0;
  std::vector<Fact> facts;
  // A broken invariant: stop at once, carry nothing else out, say why.
  std::optional<std::string> halt;

  void clear();
};

// What a core remembered, to the end of what it hands over; `from` is empty then and keeps its room.
template <typename T>
void drain_into(std::vector<T>& from, std::vector<T>& to) {
  if (to.empty()) {
    to.swap(from);
  } else {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  }
  from.clear();
}

}  // namespace clew::consensus

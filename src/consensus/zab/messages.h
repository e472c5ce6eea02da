// Messages: what ZAB cores say to each other. One frame is one message:
//
//   frame = version:u8 type:u8 epoch:varint fields
//
// A frame of an unknown version or type is refused whole. Decoding is bounded: no length is believed beyond the bytes
// that are there.
//
// Names follow the paper (Junqueira, Reed & Serafini, DSN 2011, §4) and, for the election, which the paper leaves open,
// ZooKeeper's fast leader election (Medeiros 2012, §4.1). Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "consensus/snapshot.h"
#include "consensus/types.h"
#include "consensus/zab/zxid.h"

namespace clew::consensus::zab {

constexpr uint8_t kMessageVersion = 1;
constexpr size_t kMaxEnds = 32;

// --- Phase 0: election ---

// Whom a member would have lead. Ordered: the better history, then the preference, then the id.
struct Ballot {
  Credentials credentials;
  uint64_t rank = 0;
  NodeId leader = kNobody;
  friend auto operator<=>(const Ballot&, const Ballot&) = default;  // NOLINT(modernize-use-nullptr)
};
// The preference of a member to which the leader hands over.
constexpr uint64_t kHandedOver = uint64_t{1} << 32;

struct Notification {
  enum class State : uint8_t { kLooking = 0, kFollowing = 1, kLeading = 2 };
  Epoch epoch = 0;  // the sender's current one
  State state = State::kLooking;
  bool hears_you = false;  // a notification of the receiver came to the sender lately
  uint64_t round = 0;      // of the election
  Ballot ballot;           // of a member that is not looking: whom it follows
};

// --- Phase 1: discovery ---

struct FollowerInfo {  // CEPOCH
  Epoch epoch = 0;     // accepted
  NodeId promised_to = kNobody;
};
struct NewEpoch {  // NEWEPOCH
  Epoch epoch = 0;
};
// Where the transactions of one epoch end in a history.
struct End {
  Epoch epoch = 0;
  Position position = 0;
  friend bool operator==(const End&, const End&) = default;
};
struct AckEpoch {  // ACK-E
  Epoch epoch = 0;
  Credentials credentials;
  Position last = 0;      // of the history as far as it is whole
  bool hole = false;      // damage took a part: what stands behind `last` stays, and is to be filled up to
  bool complete = false;  // `ends` reach to the beginning of the history
  std::vector<End> ends;  // falling, the newest first
};

// --- Phase 2: synchronisation ---

struct Trunc {
  Epoch epoch = 0;
  Point to;
};
// Repeated with every heartbeat until the receiver has it, or something newer.
struct Snap {
  Epoch epoch = 0;
  uint64_t counter = 0;  // of the transaction at meta.position
  SnapshotMeta meta;
};
struct NewLeader {  // NEWLEADER: this is where the initial history of the epoch ends
  Epoch epoch = 0;
  Point history;
};
struct UpToDate {  // UPTODATE
  Epoch epoch = 0;
  Position commit = 0;
};

// --- Phase 3: broadcast ---

// Transactions prev.position + 1 ... Encoded piecemeal (append_message_head, raft::append_entry). As DIFF in
// synchronisation, as PROPOSE afterwards.
struct Propose {
  Epoch epoch = 0;
  bool diff = false;
  Point prev;
  Position commit = 0;
  std::vector<Entry> entries;
};
struct Ack {
  enum class Kind : uint8_t {
    kHeld = 0,      // I hold, durably, what you have up to `position`
    kRejected = 1,  // I lack `position`, behind which you sent; I have everything up to `last`
    kHistory = 2,   // ACK-LD: the initial history of the epoch is mine, and the epoch my current one
  };
  Epoch epoch = 0;
  Kind kind = Kind::kHeld;
  Position position = 0;
  Position last = 0;
};
struct Commit {
  Epoch epoch = 0;
  Position commit = 0;
};

// --- Signs of life, reads, handing over ---

// Sign of life, commit notice, lease and read round in one; to a member that follows nobody it is an invitation.
struct Ping {
  Epoch epoch = 0;
  bool established = false;
  bool wants_reply = true;
  uint64_t election = 0;  // round that the leader was elected in
  Position commit = 0;
  uint64_t round = 0;  // newest read round (read_gate.h)
  uint64_t stamp = 0;  // when it was sent, on the leader's clock; comes back as it is
  // The receiver promises no epoch to anybody else for so long; 0: the leader relies on no lease.
  uint64_t lease_ns = 0;
};
struct Pong {
  Epoch epoch = 0;
  uint64_t round = 0;
  uint64_t stamp = 0;
  Position last = 0;
  bool hole = false;  // acknowledged entries behind `last` were lost to damage
  bool busy = false;  // gets a snapshot
};
// A follower's reads, up to number `context` of its own counting (ZooKeeper's sync).
struct SyncRequest {
  Epoch epoch = 0;
  uint64_t context = 0;
};
struct SyncReply {
  Epoch epoch = 0;
  uint64_t context = 0;
  bool ok = false;
  Position position = 0;
};
struct Handover {
  Epoch epoch = 0;
};

using Message = std::variant<Notification, FollowerInfo, NewEpoch, AckEpoch, Trunc, Snap, NewLeader, UpToDate, Propose,
                             Ack, Commit, Ping, Pong, SyncRequest, SyncReply, Handover>;

std::string encode(const Message& message);
// Then `count` entries follow by raft::append_entry().
void append_message_head(std::string& out, const Propose& head, size_t count);
// kInvalidArgument; its message is one of a few fixed reasons.
Result<Message> decode(std::string_view frame);
Epoch epoch_of(const Message& message);
// A Propose, by its first bytes.
bool carries_entries(std::string_view frame);
// "epoch=3 propose prev=7/3.2 commit=6 [8/3.3]", for transcripts and kept histories.
std::string to_string(const Message& message);

}  // namespace clew::consensus::zab

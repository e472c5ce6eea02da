// Messages: what Raft cores say to each other. One frame is one message:
//
//   frame = version:u8 type:u8 term:varint fields
//
// A frame of an unknown version or type is refused whole, so that a newer version can be told from garbage and rolled
// out while the old one still runs. Decoding is bounded: no length is believed beyond the bytes that are there.
//
// Names follow the paper (Ongaro & Ousterhout 2014, Figure 2; pre-vote and TimeoutNow: thesis §9.6, §3.10).
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "consensus/snapshot.h"
#include "consensus/types.h"

namespace clew::consensus::raft {

constexpr uint8_t kMessageVersion = 1;

// Asks for a vote, or whether one would be had. `term` of a pre-vote is the term that would be campaigned for.
struct VoteRequest {
  Epoch term = 0;
  bool pre = false;
  bool transfer = false;  // the leader asked for it: nobody withholds the vote on its behalf
  Position last = 0;
  Epoch last_epoch = 0;
};
// `term`: of a granted pre-vote the one asked about, else the voter's.
struct VoteReply {
  Epoch term = 0;
  bool pre = false;
  bool granted = false;
};
// Entries prev+1 .. prev+entries.size(). Encoded piecemeal (append_message_head, append_entry).
struct AppendRequest {
  Epoch term = 0;
  bool without_commands = false;  // the receiver is a witness
  Position prev = 0;
  Epoch prev_epoch = 0;
  Position commit = 0;
  std::vector<Entry> entries;
};
struct AppendReply {
  enum class Outcome : uint8_t {
    kStale = 0,     // your term is over: mine is `term`
    kAccepted = 1,  // I hold, durably, the same as you up to `match`
    kRejected = 2,  // `match` is the `prev` that I lack; look at `hint` and before
    kLost = 3,      // as kRejected, and my disk lost what I had acknowledged behind `hint`; `match` 0: on a heartbeat
  };
  Epoch term = 0;
  Outcome outcome = Outcome::kStale;
  Position match = 0;
  Position hint = 0;  // where our logs may agree: never proof that they do
  Epoch hint_epoch = 0;
};
// Sign of life, commit notice, lease and read round in one.
struct Heartbeat {
  Epoch term = 0;
  Position commit = 0;  // at most what the receiver is known to hold
  uint64_t round = 0;   // newest read round (read_gate.h)
  uint64_t stamp = 0;   // when it was sent, on the leader's clock; comes back as it is
  // The receiver gives no vote against this leader for so long; 0: the leader relies on no lease.
  uint64_t lease_ns = 0;
  bool wants_reply = true;
};
struct HeartbeatReply {
  Epoch term = 0;
  uint64_t round = 0;
  uint64_t stamp = 0;
};
// A follower's reads, up to number `context` of its own counting.
struct ReadRequest {
  Epoch term = 0;
  uint64_t context = 0;
};
struct ReadReply {
  Epoch term = 0;
  uint64_t context = 0;
  bool ok = false;
  Position position = 0;
};
struct TimeoutNow {
  Epoch term = 0;
};
// Repeated with every heartbeat until the receiver has it, or something newer.
struct SnapshotOffer {
  Epoch term = 0;
  bool without_commands = false;
  SnapshotMeta meta;
};

using Message = std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, Heartbeat, HeartbeatReply, ReadRequest,
                             ReadReply, TimeoutNow, SnapshotOffer>;

// Everything except an AppendRequest with entries.
std::string encode(const Message& message);
// Then `count` entries follow by append_entry() (raft/records.h).
void append_message_head(std::string& out, const AppendRequest& head, size_t count);
// kInvalidArgument; its message is one of a few fixed reasons.
Result<Message> decode(std::string_view frame);
Epoch term_of(const Message& message);
// An AppendRequest, by its first bytes.
bool carries_entries(std::string_view frame);
// "vote term=3 last=7/2", for transcripts and kept histories.
std::string to_string(const Message& message);

}  // namespace clew::consensus::raft

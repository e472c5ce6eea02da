// Messages: what Multi-Paxos cores say to each other. One frame is one message:
//
//   frame = version:u8 type:u8 ballot fields
//
// Names follow the papers: prepare and promise are phase 1, accept and accepted phase 2 ("Paxos Made Simple", §2.2);
// what is asked before a phase 1, so that it disturbs nobody, is a prepare with `pre`. A refusal is a message of its
// own: it cannot be counted as a promise.
//
// A frame of an unknown version or type is refused whole. Decoding is bounded: no length is believed beyond the bytes
// that are there. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"
#include "consensus/multipaxos/ballot.h"
#include "consensus/multipaxos/slots.h"
#include "consensus/snapshot.h"
#include "consensus/types.h"

namespace clew::consensus::multipaxos {

constexpr uint8_t kMessageVersion = 1;
constexpr size_t kMaxHeldRuns = 64;

// Phase 1a, for all slots from `from` on at once. Asked again for the next page with a higher `from`.
struct Prepare {
  Ballot ballot;
  bool pre = false;  // would you promise? Raises nothing
  // Of the leader that asked for it, none: nobody did. Promises are not withheld on behalf of it or of an earlier one.
  Ballot reign;
  Position from = 0;
  // Ballots of the proposer's own votes from `from` on, where they are known: votes that are not newer need not come.
  struct Held {
    Position first = 0;
    Position last = 0;
    Ballot ballot;
  };
  std::vector<Held> held;  // by position, at most kMaxHeldRuns
};
// Phase 1b: a page of the votes in [from, upto]. The last page has upto = kMaxNumber.
struct Promise {
  Ballot ballot;  // the one promised
  bool pre = false;
  Position from = 0;
  Position upto = 0;
  Position commit = 0;  // chosen up to here: votes up to it are chosen values
  Position floor = 0;   // compacted up to here: votes up to it cannot be told
  // Of a witness, else none: all of those were chosen under this ballot or a lower one, so that whoever voted in one of
  // them under this ballot or a higher one voted for the chosen value.
  Ballot floor_ballot;
  std::vector<std::pair<Position, Acceptance>> votes;
};
// To a prepare, an accept or a heartbeat of a ballot that cannot be had. `ballot`: what the sender has promised.
struct Refused {
  Ballot ballot;
  Ballot asked;
  bool pre = false;
};
// Phase 2a for the slots first .. first+values-1. Encoded piecemeal (append_accept_head, append_entry).
struct Accept {
  Ballot ballot;
  bool without_commands = false;  // the receiver is a witness
  Position first = 0;
  Position commit = 0;  // chosen up to here
  std::vector<Acceptance> values;
};
// Phase 2b, for many slots at once: every slot up to `upto` is chosen and known, or accepted under `ballot`; durably.
// `beyond`: the next one above that is, 0: none.
struct Accepted {
  Ballot ballot;
  Position upto = 0;
  Position beyond = 0;
  bool lost = false;  // you think that I have more: my disk lost it
};
// Sign of life, news of what is chosen, lease and read round in one.
struct Heartbeat {
  Ballot ballot;
  Position commit = 0;
  // What the receiver is known to have accepted, kMaxNumber: nothing is; it says when that is wrong.
  Position known = 0;
  Position safe = 0;      // every member with data that lives has accepted up to here: a witness may forget
  uint64_t round = 0;     // newest read round (read_gate.h)
  uint64_t stamp = 0;     // when it was sent, on the leader's clock; comes back as it is
  uint64_t lease_ns = 0;  // the receiver promises nothing to others for so long; 0: the leader relies on no lease
  bool wants_reply = true;
  bool told = false;  // a majority of those who govern is known to know that
};
struct HeartbeatReply {
  Ballot ballot;
  uint64_t round = 0;
  uint64_t stamp = 0;
  Position commit = 0;  // chosen, as far as the sender knows
};
// A follower's reads, up to number `context` of its own counting.
struct ReadRequest {
  Ballot ballot;
  uint64_t context = 0;
};
struct ReadReply {
  Ballot ballot;
  uint64_t context = 0;
  bool ok = false;
  Position position = 0;
};
// Prepare a ballot of your own, now.
struct TimeoutNow {
  Ballot ballot;
};
// Chosen slots that the receiver lacks are compacted. `ballot`: what the sender has promised; no claim to lead.
struct SnapshotOffer {
  Ballot ballot;
  bool without_commands = false;
  SnapshotMeta meta;
};

using Message = std::variant<Prepare, Promise, Refused, Accept, Accepted, Heartbeat, HeartbeatReply, ReadRequest,
                             ReadReply, TimeoutNow, SnapshotOffer>;

std::string encode(const Message& message);
// Then `count` entries follow by append_entry() (records.h).
void append_accept_head(std::string& out, const Accept& head, size_t count);
// kInvalidArgument; its message is one of a few fixed reasons.
Result<Message> decode(std::string_view frame);
const Ballot& ballot_of(const Message& message);
// An Accept, by its first bytes.
bool carries_values(std::string_view frame);
// "b=3.1 prepare from=7", for transcripts and kept histories.
std::string to_string(const Message& message);

}  // namespace clew::consensus::multipaxos

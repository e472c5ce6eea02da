// Messages of single-decree Paxos, and the frames that carry them between members: Lamport, "Paxos Made Simple" (2001),
// §2.2 and §2.3. A *decree* is one agreement under a name; a *proposal* is a ballot and a value.
//
//   frame    = version:u8 kind:u8 decree-length decree acceptor_count acceptor* ballot rest
//   ballot   = round proposer incarnation                        (varints; multipaxos/ballot.h)
//   rest     = (nothing)                                         prepare
//            | ballot [length value]                             promise: accepted before; round 0 and no value:
//            nothing | ballot                                            refusal: what is promised | length value
//            accept, accepted, chosen
//
// The acceptors stand in every frame: a decree is agreed on among one fixed set of them, and whoever began it among
// another set is refused instead of counted.
//
// Pure; any thread. parse() takes untrusted bytes; nothing is kept of a frame that is refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/varint.h"
#include "consensus/multipaxos/ballot.h"
#include "consensus/types.h"

namespace clew::consensus::paxos {

using multipaxos::Ballot;

constexpr size_t kMaxDecreeBytes = 256;      // of a name
constexpr size_t kMaxValueBytes = 4u << 10;  // of a value: it is kept for ever, by every acceptor

// "2.3", and "2.3(4)" of a proposer in its fourth life: in a play about restarts that tells ballots apart.
std::string ballot_text(const Ballot& ballot);

struct Proposal {
  Ballot ballot;  // none(): there is no proposal
  std::string value;
  friend bool operator==(const Proposal&, const Proposal&) = default;
};

enum class MessageKind : uint8_t {
  kPrepare = 1,   // phase 1a: a proposer asks for a promise
  kPromise = 2,   // phase 1b: nothing below `ballot` any more; `accepted` is what was accepted before
  kRefusal = 3,   // of `ballot`, of either phase; `promised` is why
  kAccept = 4,    // phase 2a
  kAccepted = 5,  // phase 2b: to the proposer, and to the learners when acceptors tell them
  kChosen = 6,    // to whom it may concern; a refusal of nothing: the agreement is over
};
constexpr uint8_t kMaxMessageKind = 6;
std::string_view message_name(MessageKind kind);  // "prepare"

struct Message {
  MessageKind kind = MessageKind::kPrepare;
  Ballot ballot;
  Ballot promised;    // kRefusal
  Proposal accepted;  // kPromise
  std::string value;  // kAccept, kAccepted, kChosen
  friend bool operator==(const Message&, const Message&) = default;
};
std::string to_string(const Message& message);  // "promise 2.3 accepted 1.1 \"blue\""

struct Frame {
  std::string decree;
  std::vector<NodeId> acceptors;  // by id, each once
  Message message;
  friend bool operator==(const Frame&, const Frame&) = default;
};
std::string encode(const Frame& frame);
Result<Frame> parse_frame(std::string_view bytes);  // kInvalidArgument: malformed, or beyond a bound

// --- Shared with the records (decrees.cc) ---
// By id, each once, at most kMaxMembers and at least one; nobody is not among them.
bool sound(const std::vector<NodeId>& acceptors);
void append_acceptors(std::string& out, const std::vector<NodeId>& acceptors);
bool read_acceptors(ByteReader& in, std::vector<NodeId>& acceptors);
void append_proposal(std::string& out, const Proposal& proposal);
bool read_proposal(ByteReader& in, Proposal& proposal);

}  // namespace clew::consensus::paxos

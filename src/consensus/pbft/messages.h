// Messages: what PBFT replicas say to each other (Castro & Liskov, OSDI 1999, §4; names follow the paper). One frame is
// one message:
//
//   frame = version:u8 type:u8 fields
//
// What others must be able to believe without having heard it themselves is signed: a *statement* is what a signature
// stands for. It names the group, the kind of the statement, view, sequence number, digest and signer, in one canonical
// form, so that no signature can be taken for another one; frames carry fields and signatures, and whoever checks makes
// the statement anew. The rest (STATUS, reads, fetches) concerns only the receiver, who knows its sender from the
// transport.
//
// Decoding is bounded: no length is believed beyond the bytes that are there. Pure; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/sha256.h"
#include "base/status.h"
#include "consensus/pbft/ledger_state.h"
#include "consensus/snapshot.h"
#include "consensus/types.h"

namespace clew {
class ByteReader;
}

namespace clew::consensus::pbft {

constexpr uint8_t kMessageVersion = 2;
constexpr size_t kMaxSignatureBytes = 128;
constexpr size_t kMaxCommandsOfRequest = 1'024;
constexpr uint64_t kCommandCharge = 64;  // bytes that a command is counted with, beside its own
constexpr size_t kMaxCommandsOfBatch = 16'384;
constexpr uint64_t kMaxNumber = uint64_t{1} << 62;  // of views and sequence numbers: sums of them do not wrap

using Sequence = uint64_t;  // n of the paper: the number of a batch, from 1
using Digest = Digest256;

// "1f3a": enough to tell digests apart when reading.
std::string short_hex(const Digest& digest);

// --- Requests ---

// <REQUEST, o, t, c>: what the clients of one gateway asked for in one of its turns, under one signature of the
// gateway's, which takes effect as a whole: together, in this order, and once. No primary can invent one, take a
// command out of one, or order one twice.
struct Request {
  NodeId gateway = kNobody;
  uint64_t timestamp = 0;  // of the gateway's own; never used again
  EntryKind kind = EntryKind::kCommand;
  std::vector<Payload> commands;  // 1 to kMaxCommandsOfRequest; exactly one (its content) when `kind` is another
  std::string signature;
};
// What its commands take of a gateway's room, and of a batch's.
uint64_t command_bytes(const Request& request);

// What is ordered as one. Immutable once it has its bytes, which the digest covers, signatures included.
struct Batch {
  Epoch origin = 0;  // the view in which it was proposed first: the epoch of its entries
  std::vector<Request> requests;
  std::string bytes;
  Digest digest;
  bool null() const { return requests.empty(); }
  size_t commands() const;
};
using BatchPtr = std::shared_ptr<const Batch>;  // shared by the log, the frames and the records
BatchPtr make_batch(Epoch origin, std::vector<Request> requests);
const BatchPtr& null_batch();                     // the null request: of no view, so that everybody makes the same one
Result<BatchPtr> parse_batch(std::string bytes);  // untrusted; canonical only

// --- Statements ---

enum class Claim : uint8_t {
  kRequest = 1,
  kPrePrepare = 2,
  kPrepare = 3,
  kCommit = 4,
  kCheckpoint = 5,
  kSnapshot = 6,  // the file of a state: beside CHECKPOINT, whose digest does not know how a host writes states
  kViewChange = 7,
  kNewView = 8,
};

std::string statement(uint64_t group, Claim claim, Epoch view, Sequence seq, const Digest& digest, NodeId signer);
Digest request_digest(const Request& request);  // of a kRequest statement: everything but the signature

struct Signed {
  NodeId by = kNobody;
  std::string signature;
  friend bool operator==(const Signed&, const Signed&) = default;
};

// Equal statements of distinct members.
struct Certificate {
  Epoch view = 0;
  Sequence seq = 0;
  Digest digest;
  std::vector<Signed> signatures;
};

// That a batch was prepared: the primary's pre-prepare and 2f prepares of others.
struct Prepared {
  Signed pre_prepare;
  Certificate prepares;  // view, seq, digest of both
};

// --- Normal case (§4.2) ---

struct RequestMessage {
  Request request;
};
struct PrePrepare {
  Epoch view = 0;
  Sequence seq = 0;
  BatchPtr batch;
  std::string signature;
};
// PREPARE, COMMIT, and CHECKPOINT or SNAPSHOT (view 0).
struct VoteMessage {
  Claim claim = Claim::kPrepare;
  Epoch view = 0;
  Sequence seq = 0;
  Digest digest;
  std::string signature;
};

// --- View change (§4.4) ---

struct ViewChange {
  Epoch view = 0;  // that it asks for
  NodeId sender = kNobody;
  Certificate stable;              // C: the proof of the stable checkpoint seq (h); no signatures at the beginning
  std::vector<Prepared> prepared;  // P, rising by seq, all above h
  std::string signature;
  Digest digest() const;  // of everything but the signature
};
struct NewView {
  Epoch view = 0;
  std::vector<ViewChange> changes;                    // V, rising by sender
  std::vector<std::pair<Digest, std::string>> order;  // O: from the highest stable checkpoint of V on, without gaps
  Sequence first = 0;                                 // of O
  std::string signature;
  Digest digest() const;
};

// --- Who stands where, and what was missed ---

struct StatusReport {
  Epoch view = 0;
  bool active = false;  // in that view; else asking for it
  Sequence stable = 0;  // h
  Sequence executed = 0;
  Sequence base = 0;      // of its log
  Sequence wants = 0;     // a checkpoint at or above it, to vote again; 0: none
  bool asks = false;      // for what is behind `executed`, now
  bool suspects = false;  // it would leave this view, whose primary orders nothing, or which does not begin
};
// The current primary gives way, of its own accord.
struct Abdicate {
  Epoch view = 0;
  Epoch next = 0;
};
// A batch that is committed, with its proof.
struct Committed {
  Certificate commits;
  BatchPtr batch;
};
struct FetchBatch {
  Sequence seq = 0;
  Digest digest;
};
struct BatchFound {
  Sequence seq = 0;
  BatchPtr batch;
};
// That a checkpoint is stable.
struct Stable {
  Certificate proof;
};
// A state to take over, because what leads to it is compacted.
struct Offer {
  SnapshotMeta meta;
  LedgerState state;       // at the checkpoint
  Certificate checkpoint;  // 2f + 1, of the members before it
  Certificate snapshot;    // f + 1: one of them is honest
  // Checkpoints at which memberships changed before, oldest first: how to get from an older one to this one's.
  std::vector<std::pair<CheckpointHeader, Certificate>> changes;

  // Its parts speak of one state. Says nothing of signatures; O(clients).
  bool of_one_piece() const;
};

// --- Reads (§4.1: read-only requests) ---

struct ReadRequest {
  uint64_t context = 0;
};
struct ReadReply {
  uint64_t context = 0;
  Sequence executed = 0;
};

using Message = std::variant<RequestMessage, PrePrepare, VoteMessage, ViewChange, NewView, StatusReport, Abdicate,
                             Committed, FetchBatch, BatchFound, Stable, Offer, ReadRequest, ReadReply>;

std::string encode(const Message& message);
// Untrusted; payloads share one copy of what they stand in. The error's message is a reason that may be counted.
Result<Message> decode(std::string_view frame);
std::string to_string(const Message& message);  // "PRE-PREPARE v1 n3 [2 requests] 1f3a": for transcripts

// Parts that records share.
void append_certificate(std::string& out, const Certificate& certificate);
Certificate read_certificate(ByteReader& in);  // check in.ok()
void append_view_change(std::string& out, const ViewChange& change);
Result<ViewChange> parse_view_change(std::string_view bytes);
void append_new_view(std::string& out, const NewView& message);
Result<NewView> parse_new_view(std::string_view bytes);
void append_changes(std::string& out, const std::vector<std::pair<CheckpointHeader, Certificate>>& changes);
std::vector<std::pair<CheckpointHeader, Certificate>> read_changes(ByteReader& in);

// Of a kSnapshot statement at a checkpoint of this digest.
Digest snapshot_digest(const Digest& checkpoint, const SnapshotMeta& meta);

}  // namespace clew::consensus::pbft

// Records: what PBFT writes to the replica's log on disk. Every record carries the small state beside its own matter,
// so that damage to one loses certificates and batches, which others have, and never the view, or how far this replica
// has given its word, which nobody else knows:
//
//   record      = version:u8 kind:u8 view:varint active:u8 reserved:varint stable:varint top:varint base:varint body
//   state       = (nothing)
//   accepted    = seq:varint view:varint primary:varint signature batch    the pre-prepare; a prepare rests on it
//   prepared    = certificate                                              a commit rests on it
//   committed   = certificate batch?                                       no batch: that of the accepted record
//   stable      = certificate                                              of a checkpoint
//   view-change = the message
//   new-view    = the message
//   base        = snapshot-meta checkpoint clients certificate certificate changes    an Offer (pbft/messages.h)
//
// Pure; any thread. Checksums are those of the log on disk; the bounds are checked here all the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "consensus/pbft/messages.h"

namespace clew::consensus::pbft {

constexpr uint8_t kRecordVersion = 2;

enum class RecordKind : uint8_t {
  kState = 1,
  kAccepted = 2,
  kPrepared = 3,
  kCommitted = 4,
  kStable = 5,
  kViewChange = 6,
  kNewView = 7,
  kBase = 8,
};

struct RecordHeader {
  RecordKind kind = RecordKind::kState;
  Epoch view = 0;
  bool active = false;
  uint64_t reserved = 0;  // timestamps below it may have been used
  Sequence stable = 0;
  Sequence top = 0;   // the highest sequence number about which this replica gave its word
  Sequence base = 0;  // where the log begins: the checkpoint whose state is saved
  friend bool operator==(const RecordHeader&, const RecordHeader&) = default;
};

struct Record {
  RecordHeader header;
  PrePrepare accepted;
  NodeId primary = kNobody;
  Certificate certificate;  // kPrepared, kCommitted, kStable
  BatchPtr batch;           // kCommitted; none: the accepted one
  ViewChange view_change;
  NewView new_view;
  Offer base;
};

std::string record_of(const RecordHeader& header);
std::string record_of(const RecordHeader& header, const PrePrepare& accepted, NodeId primary);
// kPrepared, kStable, kCommitted (`batch`: none when an accepted record has it).
std::string record_of(const RecordHeader& header, const Certificate& certificate, const Batch* batch = nullptr);
std::string record_of(const RecordHeader& header, const ViewChange& change);
std::string record_of(const RecordHeader& header, const NewView& message);
std::string record_of(const RecordHeader& header, const Offer& base);
// kDataLoss: not a record of this version, or cut short.
Result<Record> parse_record(std::string_view bytes);

}  // namespace clew::consensus::pbft

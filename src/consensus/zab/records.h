// Records: what ZAB writes to the replica's log on disk. Every record carries the whole small state beside its own
// matter, so that damage to one loses entries at most, which peers have, and never an epoch that was promised or the
// length of what was acknowledged, which nobody else has:
//
//   record  = version:u8 kind:u8 header body
//   header  = accepted promised_to current generation commit last last_epoch last_counter     (varints; the state after
//             this record)
//   state   = (nothing)
//   append  = flags:u8 first prev_epoch count entry*              (entries: raft/records.h)
//   base    = counter snapshot-meta
//
// accepted >= current >= last_epoch in every record: acceptedEpoch, currentEpoch and history of the paper cannot
// disagree, because they are never apart. Pure; any thread. Checksums are those of the log on disk; the bounds are
// checked here all the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "consensus/snapshot.h"
#include "consensus/types.h"
#include "consensus/zab/zxid.h"

namespace clew::consensus::zab {

constexpr uint8_t kRecordVersion = 2;

enum class RecordKind : uint8_t { kState = 1, kAppend = 2, kBase = 3 };

struct RecordHeader {
  RecordKind kind = RecordKind::kState;
  Epoch accepted = 0;
  NodeId promised_to = kNobody;
  Epoch current = 0;
  uint64_t generation = 0;  // raft/log.h
  Position commit = 0;
  Point last;  // of what was once held
  friend bool operator==(const RecordHeader&, const RecordHeader&) = default;
};

struct Record {
  RecordHeader header;
  // kAppend
  bool truncates = false;
  Position first = 0;
  Epoch prev_epoch = 0;
  std::vector<Entry> entries;
  // kBase
  uint64_t counter = 0;  // of the transaction at meta.position
  SnapshotMeta meta;
};

void append_header(std::string& out, const RecordHeader& header);
// What follows the header of an append, up to the entries.
void append_entries_head(std::string& out, bool truncates, Position first, Epoch prev_epoch, size_t count);
void append_base(std::string& out, uint64_t counter, const SnapshotMeta& meta);
// What a member's log begins with when its group begins with this state (replica_seed.h): the same on every founder.
std::string first_record(const SnapshotMeta& meta);
// kDataLoss: not a record of this version, or cut short.
Result<Record> parse_record(std::string_view bytes);

}  // namespace clew::consensus::zab

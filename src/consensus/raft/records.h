// Records: what Raft writes to the replica's log on disk. Every record carries the whole small state beside its own
// matter, so that damage to one loses entries at most, which peers have, and never a term, a vote or the length of what
// was acknowledged, which nobody else has:
//
//   record  = version:u8 kind:u8 header body
//   header  = term vote generation commit last last_epoch          (varints; the state after this record)
//   state   = (nothing)
//   append  = flags:u8 first prev_epoch count entry*
//   entry   = epoch kind:u8 length bytes                           (the same bytes as in messages)
//   base    = flags:u8 snapshot-meta
//
// Pure; any thread. Checksums are those of the log on disk; the bounds are checked here all the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/varint.h"
#include "consensus/snapshot.h"
#include "consensus/types.h"

namespace clew::consensus::raft {

constexpr uint8_t kRecordVersion = 2;
// Epochs and positions above it are malformed: nobody gets there, and sums of two stay in range.
constexpr uint64_t kMaxNumber = 1ull << 62;

enum class RecordKind : uint8_t { kState = 1, kAppend = 2, kBase = 3 };

struct RecordHeader {
  RecordKind kind = RecordKind::kState;
  Epoch term = 0;
  NodeId vote = kNobody;
  uint64_t generation = 0;  // raft/log.h
  Position commit = 0;
  Position last = 0;  // true_last
  Epoch last_epoch = 0;
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
  SnapshotMeta meta;
  // Without the bytes of commands: a witness's.
  bool metadata_only = false;
};

void append_header(std::string& out, const RecordHeader& header);
// What follows the header of an append, up to the entries.
void append_entries_head(std::string& out, bool truncates, bool metadata_only, Position first, Epoch prev_epoch,
                         size_t count);
void append_base(std::string& out, const SnapshotMeta& meta, bool metadata_only);
// What a log begins with whose member has that snapshot and nothing else: it took part in no epoch above.
std::string first_record(const SnapshotMeta& meta);
// kDataLoss: not a record of this version, or cut short.
Result<Record> parse_record(std::string_view bytes);

// --- Entries, in records and messages ---
inline size_t encoded_bound(const Entry& entry) { return entry.payload.size() + 2 * kMaxVarintBytes + 1; }
// `without_command`: leaves the bytes of a command out, for a witness.
inline void append_entry(std::string& out, const Entry& entry, bool without_command) {
  append_varint(out, entry.epoch);
  out.push_back(static_cast<char>(entry.kind));
  append_bytes(out, without_command && entry.kind == EntryKind::kCommand ? std::string_view() : entry.payload.view());
}
// `count` entries that follow one of `prev_epoch`: epochs that do not fall and are at most `term`, known kinds,
// memberships that parse. Payloads are parts of one copy of what `in` has left. False: malformed.
bool parse_entries(ByteReader& in, uint64_t count, Epoch prev_epoch, Epoch term, std::vector<Entry>& out);

}  // namespace clew::consensus::raft

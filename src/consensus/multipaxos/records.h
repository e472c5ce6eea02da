// Records: what a Multi-Paxos core writes to the replica's log on disk. Every record carries the small state of the
// acceptor beside its own matter (docs/decisions/0007): damage to one record then loses votes at most, and how far
// they reached is known from the next record.
//
//   record  = version:u8 kind:u8 header body
//   header  = promise incarnation commit high lost_to             (varints; the state after this record)
//   promise = round proposer incarnation
//   state   = (nothing)
//   votes   = run_count run*
//   run     = promise first count entry*                           (one ballot, neighbouring slots)
//   entry   = epoch kind:u8 length bytes                           (kind | 0x80: bare, a command without its bytes)
//   base    = flags:u8 promise snapshot-meta                       (promise: of a witness, when it compacted)
//
// Pure; any thread. Checksums are those of the log on disk; the bounds are checked here all the same.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/varint.h"
#include "consensus/multipaxos/ballot.h"
#include "consensus/multipaxos/slots.h"
#include "consensus/snapshot.h"
#include "consensus/types.h"

namespace clew::consensus::multipaxos {

constexpr uint8_t kRecordVersion = 2;
// Rounds and slots above it are malformed: nobody gets there, and sums of two stay in range.
constexpr uint64_t kMaxNumber = 1ull << 62;

enum class RecordKind : uint8_t { kState = 1, kVotes = 2, kBase = 3 };

struct RecordHeader {
  RecordKind kind = RecordKind::kState;
  Ballot promise;
  uint64_t incarnation = 0;  // of this node's own ballots
  Position commit = 0;       // everything up to it is chosen, and its values were here
  Position high = 0;         // the highest slot that this node voted in
  Position lost_to = 0;      // votes up to this slot may have been lost by damage before this record
  friend bool operator==(const RecordHeader&, const RecordHeader&) = default;
};

struct VoteRun {
  Position first = 0;
  std::vector<Acceptance> votes;  // of one ballot
};

struct Record {
  RecordHeader header;
  std::vector<VoteRun> runs;  // kVotes
  // kBase
  SnapshotMeta meta;
  bool metadata_only = false;  // of a witness: there is no file
  Ballot floor_ballot;         // of a witness
};

void append_header(std::string& out, const RecordHeader& header);
void append_base(std::string& out, const SnapshotMeta& meta, bool metadata_only, const Ballot& floor_ballot);
// What a member's log begins with when its group begins with this state (replica_seed.h): the same on every founder.
std::string first_record(const SnapshotMeta& meta);
// kDataLoss: not a record of this version, or cut short.
Result<Record> parse_record(std::string_view bytes);

// --- Entries, in records and messages ---
inline size_t encoded_bound(const Entry& entry) { return entry.payload.size() + 2 * kMaxVarintBytes + 1; }
void append_run_head(std::string& out, const Ballot& ballot, Position first, size_t count);
// `bare`: the bytes of a command stay out.
void append_entry(std::string& out, const Entry& entry, bool bare);
// What payloads are going to be parts of: a copy of what `in` has left. Read on from the copy, then skip what was read.
inline std::shared_ptr<const std::string> copy_of_rest(const ByteReader& in) {
  return std::make_shared<const std::string>(in.position(), in.remaining());
}
// `count` entries accepted under `ballot`: epochs up to its round, known kinds, memberships that parse. `in` reads from
// `buffer`, which payloads share. False: malformed.
bool parse_entries(ByteReader& in, const std::shared_ptr<const std::string>& buffer, uint64_t count,
                   const Ballot& ballot, std::vector<Acceptance>& out);
// Sound: a round within bounds, and a proposer if there is one.
bool sound(const Ballot& ballot);

}  // namespace clew::consensus::multipaxos

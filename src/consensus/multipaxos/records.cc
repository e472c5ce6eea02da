#include "consensus/multipaxos/records.h"

#include <utility>

#include "consensus/membership.h"

namespace clew::consensus::multipaxos {
namespace {

constexpr uint8_t kFlagMetadataOnly = 1;
constexpr uint8_t kBare = 0x80;
constexpr size_t kSmallestEntry = 3;  // epoch, kind, length
constexpr size_t kSmallestRun = 5;

Status damaged(std::string_view what) {
  return {Code::kDataLoss, "multipaxos: a record on disk " + std::string(what) +
                               "; it was written by another version or is damaged, replace this member"};
}

}  // namespace

bool sound(const Ballot& ballot) {
  return ballot.none() ? ballot == Ballot{} : ballot.round <= kMaxNumber && ballot.proposer != kNobody;
}

void append_header(std::string& out, const RecordHeader& header) {
  out.push_back(static_cast<char>(kRecordVersion));
  out.push_back(static_cast<char>(header.kind));
  append_ballot(out, header.promise);
  append_varint(out, header.incarnation);
  append_varint(out, header.commit);
  append_varint(out, header.high);
  append_varint(out, header.lost_to);
}

void append_run_head(std::string& out, const Ballot& ballot, Position first, size_t count) {
  append_ballot(out, ballot);
  append_varint(out, first);
  append_varint(out, count);
}

void append_entry(std::string& out, const Entry& entry, bool bare) {
  const bool without = bare && entry.kind == EntryKind::kCommand;
  append_varint(out, entry.epoch);
  out.push_back(static_cast<char>(static_cast<uint8_t>(entry.kind) | (without ? kBare : 0)));
  append_bytes(out, without ? std::string_view() : entry.payload.view());
}

void append_base(std::string& out, const SnapshotMeta& meta, bool metadata_only, const Ballot& floor_ballot) {
  out.push_back(static_cast<char>(metadata_only ? kFlagMetadataOnly : 0));
  append_ballot(out, floor_ballot);
  meta.append_to(out);
}

bool parse_entries(ByteReader& in, const std::shared_ptr<const std::string>& buffer, uint64_t count,
                   const Ballot& ballot, std::vector<Acceptance>& out) {
  if (!in.ok() || count > in.remaining() / kSmallestEntry) return false;
  out.reserve(out.size() + count);
  for (uint64_t i = 0; i < count; ++i) {
    Acceptance vote;
    vote.ballot = ballot;
    vote.entry.epoch = in.varint();
    const auto kind = in.fixed<uint8_t>();
    const std::string_view payload = in.prefixed_bytes();
    vote.bare = (kind & kBare) != 0;
    const uint8_t plain = kind & static_cast<uint8_t>(~kBare);
    if (!in.ok() || vote.entry.epoch == 0 || vote.entry.epoch > ballot.round || plain > kMaxEntryKind) return false;
    vote.entry.kind = EntryKind{plain};
    if (vote.bare && (vote.entry.kind != EntryKind::kCommand || !payload.empty())) return false;
    if (vote.entry.kind == EntryKind::kMembership && !Membership::parse(payload).ok()) return false;
    if (!payload.empty()) vote.entry.payload = Payload(buffer, payload);
    out.push_back(std::move(vote));
  }
  return true;
}

// All of them have promised one ballot, under which nobody proposes: whoever leads draws a higher round.
std::string first_record(const SnapshotMeta& meta) {
  RecordHeader header;
  header.kind = RecordKind::kBase;
  header.promise = {meta.epoch, meta.membership.members().front().id, 0};
  header.commit = header.high = meta.position;
  std::string record;
  append_header(record, header);
  append_base(record, meta, false, {});
  return record;
}

Result<Record> parse_record(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.fixed<uint8_t>() != kRecordVersion) return damaged("has an unknown version");
  const auto kind = in.fixed<uint8_t>();
  Record record;
  record.header.kind = RecordKind{kind};
  record.header.promise = read_ballot(in);
  record.header.incarnation = in.varint();
  record.header.commit = in.varint();
  record.header.high = in.varint();
  record.header.lost_to = in.varint();
  const RecordHeader& header = record.header;
  if (!in.ok() || kind < 1 || kind > 3) return damaged("is cut short or of an unknown kind");
  if (!sound(header.promise) || header.high > kMaxNumber || header.commit > header.high ||
      header.lost_to > kMaxNumber) {
    return damaged("contradicts itself");
  }
  if (header.kind == RecordKind::kVotes) {
    const uint64_t runs = in.varint();
    if (!in.ok() || runs > in.remaining() / kSmallestRun) return damaged("is cut short");
    const auto buffer = copy_of_rest(in);
    ByteReader copy(*buffer);
    for (uint64_t i = 0; i < runs; ++i) {
      VoteRun run;
      const Ballot ballot = read_ballot(copy);
      run.first = copy.varint();
      const uint64_t count = copy.varint();
      if (!copy.ok() || ballot.none() || !sound(ballot) || ballot > header.promise || run.first == 0 ||
          run.first > header.high || count > header.high || !parse_entries(copy, buffer, count, ballot, run.votes) ||
          run.first + run.votes.size() - 1 > header.high) {
        return damaged("holds malformed votes");
      }
      record.runs.push_back(std::move(run));
    }
    in.skip(in.remaining() - copy.remaining());
  } else if (header.kind == RecordKind::kBase) {
    record.metadata_only = (in.fixed<uint8_t>() & kFlagMetadataOnly) != 0;
    record.floor_ballot = read_ballot(in);
    if (!sound(record.floor_ballot)) return damaged("holds a malformed ballot");
    std::string_view rest = in.bytes(in.remaining());
    CLEW_ASSIGN(record.meta, SnapshotMeta::parse(rest));
    in = ByteReader(rest);
  }
  if (!in.ok() || !in.at_end()) return damaged("is longer or shorter than it says");
  return record;
}

}  // namespace clew::consensus::multipaxos

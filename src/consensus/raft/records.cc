#include "consensus/raft/records.h"

#include <memory>
#include <utility>

#include "consensus/membership.h"
#include "consensus/planted.h"

namespace clew::consensus::raft {

namespace {
constexpr uint8_t kFlagTruncates = 1;
constexpr uint8_t kFlagMetadataOnly = 2;
constexpr size_t kSmallestEntry = 3;  // epoch, kind, length

Status damaged(std::string_view what) {
  return {Code::kDataLoss, "raft: a record on disk " + std::string(what) +
                               "; it was written by another version or is damaged, replace this member"};
}
}  // namespace

void append_header(std::string& out, const RecordHeader& header) {
  out.push_back(static_cast<char>(kRecordVersion));
  out.push_back(static_cast<char>(header.kind));
  append_varint(out, header.term);
  append_varint(out, planted(Bug::kVoteNotInRecord) ? 0 : number(header.vote));
  append_varint(out, header.generation);
  append_varint(out, header.commit);
  append_varint(out, header.last);
  append_varint(out, header.last_epoch);
}

void append_entries_head(std::string& out, bool truncates, bool metadata_only, Position first, Epoch prev_epoch,
                         size_t count) {
  out.push_back(static_cast<char>((truncates ? kFlagTruncates : 0) | (metadata_only ? kFlagMetadataOnly : 0)));
  append_varint(out, first);
  append_varint(out, prev_epoch);
  append_varint(out, count);
}

void append_base(std::string& out, const SnapshotMeta& meta, bool metadata_only) {
  out.push_back(static_cast<char>(metadata_only ? kFlagMetadataOnly : 0));
  meta.append_to(out);
}

std::string first_record(const SnapshotMeta& meta) {
  RecordHeader header;
  header.kind = RecordKind::kBase;
  header.term = header.last_epoch = meta.epoch;
  header.commit = header.last = meta.position;
  std::string record;
  append_header(record, header);
  append_base(record, meta, false);
  return record;
}

Result<Record> parse_record(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.fixed<uint8_t>() != kRecordVersion) return damaged("has an unknown version");
  const auto kind = in.fixed<uint8_t>();
  Record record;
  record.header = {RecordKind{kind}, in.varint(), NodeId{in.varint()}, in.varint(),
                   in.varint(),      in.varint(), in.varint()};
  const RecordHeader& header = record.header;
  if (!in.ok() || kind < 1 || kind > 3) return damaged("is cut short or of an unknown kind");
  if (header.term > kMaxNumber || header.last > kMaxNumber || header.last_epoch > header.term ||
      header.commit > header.last) {
    return damaged("contradicts itself");
  }
  if (header.kind == RecordKind::kAppend) {
    const auto flags = in.fixed<uint8_t>();
    record.truncates = (flags & kFlagTruncates) != 0;
    record.metadata_only = (flags & kFlagMetadataOnly) != 0;
    record.first = in.varint();
    record.prev_epoch = in.varint();
    const uint64_t count = in.varint();
    if (!in.ok() || record.first == 0 || record.first > kMaxNumber ||
        !parse_entries(in, count, record.prev_epoch, header.term, record.entries)) {
      return damaged("holds malformed entries");
    }
  } else if (header.kind == RecordKind::kBase) {
    record.metadata_only = (in.fixed<uint8_t>() & kFlagMetadataOnly) != 0;
    std::string_view rest = in.bytes(in.remaining());
    CLEW_ASSIGN(record.meta, SnapshotMeta::parse(rest));
    in = ByteReader(rest);
  }
  if (!in.ok() || !in.at_end()) return damaged("is longer or shorter than it says");
  return record;
}

bool parse_entries(ByteReader& in, uint64_t count, Epoch prev_epoch, Epoch term, std::vector<Entry>& out) {
  if (!in.ok() || count > in.remaining() / kSmallestEntry) return false;
  if (count == 0) return true;
  auto buffer = std::make_shared<const std::string>(in.position(), in.remaining());
  ByteReader copy(*buffer);
  out.reserve(out.size() + count);
  for (uint64_t i = 0; i < count; ++i) {
    Entry entry;
    entry.epoch = copy.varint();
    const auto kind = copy.fixed<uint8_t>();
    const std::string_view payload = copy.prefixed_bytes();
    if (!copy.ok() || entry.epoch < prev_epoch || entry.epoch == 0 || entry.epoch > term || kind > kMaxEntryKind) {
      return false;
    }
    prev_epoch = entry.epoch;
    entry.kind = EntryKind{kind};
    if (entry.kind == EntryKind::kMembership && !Membership::parse(payload).ok()) return false;
    if (!payload.empty()) entry.payload = Payload(buffer, payload);
    out.push_back(std::move(entry));
  }
  in.skip(in.remaining() - copy.remaining());
  return true;
}

}  // namespace clew::consensus::raft

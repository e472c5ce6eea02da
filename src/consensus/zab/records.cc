#include "consensus/zab/records.h"

#include <utility>

#include "base/varint.h"
#include "consensus/planted.h"
#include "consensus/raft/records.h"

namespace clew::consensus::zab {

using raft::kMaxNumber;

namespace {

constexpr uint8_t kFlagTruncates = 1;

Status damaged(std::string_view what) {
  return {Code::kDataLoss, "zab: a record on disk " + std::string(what) +
                               "; it was written by another version or is damaged, replace this member"};
}

}  // namespace

void append_header(std::string& out, const RecordHeader& header) {
  out.push_back(static_cast<char>(kRecordVersion));
  out.push_back(static_cast<char>(header.kind));
  const bool forgets = planted(Bug::kZabAcceptedNotInRecord);
  append_varint(out, forgets ? header.current : header.accepted);
  append_varint(out, forgets ? 0 : number(header.promised_to));
  append_varint(out, header.current);
  append_varint(out, header.generation);
  append_varint(out, header.commit);
  append_varint(out, header.last.position);
  append_varint(out, header.last.zxid.epoch);
  append_varint(out, header.last.zxid.counter);
}

void append_entries_head(std::string& out, bool truncates, Position first, Epoch prev_epoch, size_t count) {
  out.push_back(static_cast<char>(truncates ? kFlagTruncates : 0));
  append_varint(out, first);
  append_varint(out, prev_epoch);
  append_varint(out, count);
}

void append_base(std::string& out, uint64_t counter, const SnapshotMeta& meta) {
  append_varint(out, counter);
  meta.append_to(out);
}

// As the first transaction of its epoch.
std::string first_record(const SnapshotMeta& meta) {
  RecordHeader header;
  header.kind = RecordKind::kBase;
  header.accepted = header.current = meta.epoch;
  header.commit = meta.position;
  header.last = {meta.position, {meta.epoch, 1}};
  std::string record;
  append_header(record, header);
  append_base(record, 1, meta);
  return record;
}

Result<Record> parse_record(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.fixed<uint8_t>() != kRecordVersion) return damaged("has an unknown version");
  const auto kind = in.fixed<uint8_t>();
  Record record;
  RecordHeader& header = record.header;
  header.kind = RecordKind{kind};
  header.accepted = in.varint();
  header.promised_to = NodeId{in.varint()};
  header.current = in.varint();
  header.generation = in.varint();
  header.commit = in.varint();
  header.last.position = in.varint();
  header.last.zxid.epoch = in.varint();
  header.last.zxid.counter = in.varint();
  if (!in.ok() || kind < 1 || kind > 3) return damaged("is cut short or of an unknown kind");
  if (header.current > header.accepted) return damaged("has a current epoch above the one that it accepted");
  if (header.last.zxid.epoch > header.current) return damaged("has a history that is newer than its current epoch");
  if (header.accepted > kMaxNumber || header.last.position > kMaxNumber || header.commit > header.last.position ||
      header.last.zxid.counter > header.last.position) {
    return damaged("contradicts itself");
  }
  if (header.kind == RecordKind::kAppend) {
    record.truncates = (in.fixed<uint8_t>() & kFlagTruncates) != 0;
    record.first = in.varint();
    record.prev_epoch = in.varint();
    const uint64_t count = in.varint();
    if (!in.ok() || record.first == 0 || record.first > kMaxNumber ||
        !raft::parse_entries(in, count, record.prev_epoch, header.current, record.entries)) {
      return damaged("holds malformed entries");
    }
  } else if (header.kind == RecordKind::kBase) {
    record.counter = in.varint();
    std::string_view rest = in.bytes(in.remaining());
    CLEW_ASSIGN(record.meta, SnapshotMeta::parse(rest));
    if (record.counter > record.meta.position) return damaged("contradicts itself");
    in = ByteReader(rest);
  }
  if (!in.ok() || !in.at_end()) return damaged("is longer or shorter than it says");
  return record;
}

}  // namespace clew::consensus::zab

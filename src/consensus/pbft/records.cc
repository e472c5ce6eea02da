#include "consensus/pbft/records.h"

#include <utility>

#include "base/varint.h"
#include "consensus/planted.h"

namespace clew::consensus::pbft {
namespace {

Status damaged(std::string_view what) {
  return {Code::kDataLoss, "pbft: a record on disk " + std::string(what) +
                               "; it was written by another version or is damaged, replace this member"};
}

std::string begin(const RecordHeader& header) {
  std::string out{static_cast<char>(kRecordVersion), static_cast<char>(header.kind)};
  append_varint(out, header.view);
  out.push_back(header.active ? 1 : 0);
  append_varint(out, header.reserved);
  append_varint(out, header.stable);
  append_varint(out, header.top);
  append_varint(out, header.base);
  return out;
}

// Messages inside of records are decoded as frames are: one grammar, one set of bounds.
template <typename T>
Status take_message(ByteReader& in, T& out) {
  auto message = decode(in.bytes(in.remaining()));
  if (!message.ok() || !std::holds_alternative<T>(*message)) return damaged("holds a malformed message");
  out = std::get<T>(std::move(message).value());
  return {};
}

}  // namespace

std::string record_of(const RecordHeader& header) { return begin(header); }

std::string record_of(const RecordHeader& header, const PrePrepare& accepted, NodeId primary) {
  std::string out = begin(header);
  append_varint(out, number(primary));
  return out + encode(accepted);
}

std::string record_of(const RecordHeader& header, const Certificate& certificate, const Batch* batch) {
  std::string out = begin(header);
  append_certificate(out, certificate);
  if (batch != nullptr) out += batch->bytes;
  return out;
}

std::string record_of(const RecordHeader& header, const ViewChange& change) { return begin(header) + encode(change); }
std::string record_of(const RecordHeader& header, const NewView& message) { return begin(header) + encode(message); }
std::string record_of(const RecordHeader& header, const Offer& base) { return begin(header) + encode(base); }

Result<Record> parse_record(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.fixed<uint8_t>() != kRecordVersion) return damaged("has an unknown version");
  const auto kind = in.fixed<uint8_t>();
  Record record;
  RecordHeader& header = record.header;
  header.kind = RecordKind{kind};
  header.view = in.varint();
  header.active = in.fixed<uint8_t>() != 0;
  header.reserved = in.varint();
  header.stable = in.varint();
  header.top = in.varint();
  header.base = in.varint();
  if (!in.ok() || kind < 1 || kind > static_cast<uint8_t>(RecordKind::kBase)) {
    return damaged("is cut short or of an unknown kind");
  }
  if (header.view > kMaxNumber || header.top > kMaxNumber || header.base > header.stable) {
    return damaged("contradicts itself");
  }
  switch (header.kind) {
    case RecordKind::kState:
      break;
    case RecordKind::kAccepted:
      record.primary = NodeId{in.varint()};
      CLEW_TRY(take_message(in, record.accepted));
      break;
    case RecordKind::kPrepared:
    case RecordKind::kStable:
      record.certificate = read_certificate(in);
      break;
    case RecordKind::kCommitted:
      record.certificate = read_certificate(in);
      if (in.ok() && !in.at_end()) {
        auto batch = parse_batch(std::string(in.bytes(in.remaining())));
        if (!batch.ok() || (*batch)->digest != record.certificate.digest) return damaged("holds a malformed batch");
        record.batch = std::move(batch).value();
      }
      break;
    case RecordKind::kViewChange:
      CLEW_TRY(take_message(in, record.view_change));
      break;
    case RecordKind::kNewView:
      CLEW_TRY(take_message(in, record.new_view));
      break;
    case RecordKind::kBase:
      CLEW_TRY(take_message(in, record.base));
      break;
  }
  if (!in.ok() || !in.at_end()) return damaged("is longer or shorter than it says");
  return record;
}

}  // namespace clew::consensus::pbft

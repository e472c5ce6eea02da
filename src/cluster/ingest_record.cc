#include "cluster/ingest_record.h"

namespace clew::cluster {
namespace {
constexpr uint64_t kVersion = 1;
}

void append_record_head(const IngestRecord& record, std::string& out) {
  append_varint(out, kVersion);
  append_fixed(out, record.stamp.hlc);
  append_varint(out, record.stamp.origin);
  append_varint(out, record.stamp.sequence);
  append_bytes(out, record.tenant);
  append_varint(out, record.dictionary_from);
  append_bytes(out, record.dictionary_additions);
}

Status parse_record(std::string_view bytes, IngestRecord& out) {
  ByteReader reader(bytes);
  const uint64_t version = reader.varint();
  if (!reader.ok() || version != kVersion) {
    return Error{Code::kDataLoss, "data WAL record of version " + std::to_string(version) + ", this program reads " +
                                      std::to_string(kVersion) + "; start the version that wrote it once to drain it"};
  }
  out.stamp.hlc = reader.fixed<uint64_t>();
  out.stamp.origin = static_cast<uint32_t>(reader.varint());
  out.stamp.sequence = reader.varint();
  out.tenant = reader.prefixed_bytes();
  out.dictionary_from = reader.varint();
  out.dictionary_additions = reader.prefixed_bytes();
  if (!reader.ok()) return Error{Code::kDataLoss, "data WAL record ends before its rows"};
  out.rows = std::string_view(reader.position(), reader.remaining());
  return {};
}

}  // namespace clew::cluster

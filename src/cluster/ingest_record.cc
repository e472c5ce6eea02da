#include "cluster/ingest_record.h"

namespace clew::cluster {
namespace {
constexpr uint64_t kVersion = 2;
}

void append_record_head(const IngestRecord& record, std::string& out) {
  append_varint(out, kVersion);
  append_fixed(out, record.stamp.hlc);
  append_varint(out, record.stamp.origin);
  append_varint(out, record.stamp.sequence);
  append_bytes(out, record.tenant);
  for (const uint32_t size : record.dictionary_sizes) append_varint(out, size);
  append_varint(out, record.dictionary_additions.size());
}

Status parse_record(std::string_view bytes, IngestRecord& out) {
  ByteReader reader(bytes);
  const uint64_t version = reader.varint();
  if (reader.ok() && version != kVersion) {
    return Error{Code::kFailedPrecondition, "data WAL record of version " + std::to_string(version) +
                                                ", this program reads " + std::to_string(kVersion) +
                                                "; start the version that wrote it once to drain it"};
  }
  out.stamp.hlc = reader.fixed<uint64_t>();
  out.stamp.origin = static_cast<uint32_t>(reader.varint());
  out.stamp.sequence = reader.varint();
  out.tenant = reader.prefixed_bytes();
  bool sizes_fit = true;
  for (uint32_t& size : out.dictionary_sizes) {
    const uint64_t number = reader.varint();
    sizes_fit = sizes_fit && number <= UINT32_MAX;
    size = static_cast<uint32_t>(number);
  }
  out.dictionary_additions = reader.prefixed_bytes();
  if (!reader.ok()) return Error{Code::kDataLoss, "data WAL record ends before its rows"};
  if (!sizes_fit) return Error{Code::kDataLoss, "data WAL record names a dictionary of an impossible size"};
  out.rows = std::string_view(reader.position(), reader.remaining());
  return {};
}

}  // namespace clew::cluster

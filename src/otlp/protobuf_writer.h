// Protobuf's wire format, appended to a std::string: what encode.cc needs. Fields are written in the order called and
// defaults are left out, as proto3 serializers do, unless `keep` says otherwise. Pure; any thread; O(bytes).
// Not for the ingest path (json.cc writes into room that it made beforehand).
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/varint.h"

namespace clew::otlp {

class ProtobufWriter {
 public:
  explicit ProtobufWriter(std::string& out) : out_(out) {}

  void varint(uint32_t field, uint64_t value, bool keep = false) {
    if (value == 0 && !keep) return;
    append_varint(out_, uint64_t{field} << 3);
    append_varint(out_, value);
  }
  void fixed64(uint32_t field, uint64_t value, bool keep = false) {
    if (value == 0 && !keep) return;
    append_varint(out_, uint64_t{field} << 3 | 1);
    append_fixed(out_, value);
  }
  void fixed32(uint32_t field, uint32_t value, bool keep = false) {
    if (value == 0 && !keep) return;
    append_varint(out_, uint64_t{field} << 3 | 5);
    append_fixed(out_, value);
  }
  void bytes(uint32_t field, std::string_view value, bool keep = false) {
    if (value.empty() && !keep) return;
    append_varint(out_, uint64_t{field} << 3 | 2);
    append_bytes(out_, value);
  }
  // Fields that are already encoded.
  void verbatim(std::string_view fields) { out_.append(fields); }
  // A nested message: what `write` appends. Its length is put in front afterwards; O(bytes) when it needs more than a
  // byte.
  template <typename Write>
  void message(uint32_t field, Write&& write) {
    append_varint(out_, uint64_t{field} << 3 | 2);
    const size_t at = out_.size();
    out_ += '\0';
    write();
    char length[kMaxVarintBytes];
    const char* const end = put_varint(length, out_.size() - at - 1);
    out_.replace(at, 1, length, static_cast<size_t>(end - length));
  }

 private:
  std::string& out_;
};

}  // namespace clew::otlp

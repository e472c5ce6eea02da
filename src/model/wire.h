// Protobuf's wire format, read field by field from borrowed bytes. For messages whose fields are read once, in any
// order, with what is not known kept verbatim. Groups, field number 0, truncated and overlong input are refused;
// nothing recurses. Not for the hot path of otlp/decode.cc, which has its own loop. Source: protobuf.dev, "Encoding".
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/varint.h"

namespace clew::model {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t value = 0;      // kVarint, kFixed64, kFixed32
  std::string_view bytes;  // kBytes
  std::string_view whole;  // tag included
};

class WireReader {
 public:
  explicit WireReader(std::string_view message) : reader_(message) {}

  // False at the end of the message, or on malformed input (then !ok()).
  bool next(WireField& out) {
    if (reader_.at_end() || !ok()) return false;
    const char* begin = reader_.position();
    const uint64_t tag = reader_.varint();
    out.number = static_cast<uint32_t>(tag >> 3);
    if (tag >> 32 != 0 || out.number == 0) return fail();
    out.type = static_cast<WireType>(tag & 7);
    switch (out.type) {
      case WireType::kVarint:
        out.value = reader_.varint();
        break;
      case WireType::kFixed64:
        out.value = reader_.fixed<uint64_t>();
        break;
      case WireType::kBytes:
        out.bytes = reader_.prefixed_bytes();
        break;
      case WireType::kFixed32:
        out.value = reader_.fixed<uint32_t>();
        break;
      default:
        return fail();
    }
    if (!reader_.ok()) return fail();
    out.whole = {begin, static_cast<size_t>(reader_.position() - begin)};
    return true;
  }
  bool ok() const { return ok_; }

 private:
  bool fail() {
    ok_ = false;
    return false;
  }
  ByteReader reader_;
  bool ok_ = true;
};

}  // namespace clew::model

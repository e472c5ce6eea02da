// A protobuf varint read through a pointer, for the two walks of the ingest path (envelope.cc, decode.cc), which check
// their bounds at every step anyhow. Elsewhere ByteReader (base/varint.h) is the safer choice. Pure; any thread.
#pragma once

#include <cstdint>

namespace clew::otlp {

// The varint at `pos`, which is moved behind it; false when it is truncated or longer than 64 bits.
inline bool read_varint(const char*& pos, const char* end, uint64_t& out) {
  if (pos < end && static_cast<uint8_t>(*pos) < 0x80) {
    out = static_cast<uint8_t>(*pos++);
    return true;
  }
  out = 0;
  for (int shift = 0; shift < 70 && pos < end; shift += 7) {
    const auto byte = static_cast<uint8_t>(*pos++);
    if (shift == 63 && byte > 1) return false;
    out |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

}  // namespace clew::otlp

// Hex digits of ids, lower case, appended without a temporary. Reading hex: model/ids.h (either case), trace_context.cc
// (lower case only). Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "model/ids.h"

namespace clew::otlp {

// The low `digits` × 4 bits of `value`.
inline void append_hex(uint64_t value, int digits, std::string& out) {
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) out += "0123456789abcdef"[value >> shift & 15];
}
inline void append_hex(model::TraceId id, std::string& out) {
  append_hex(id.hi, 16, out);
  append_hex(id.lo, 16, out);
}
inline void append_hex(model::SpanId id, std::string& out) { append_hex(id.value, 16, out); }

}  // namespace clew::otlp

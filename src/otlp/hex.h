// Hex digits of ids, lower case, appended without a temporary. Reading hex: model/ids.h (either case), trace_context.cc
// (lower case only). Pure; any thread.
#pragma once

#include <string>

#include "base/hex.h"
#include "model/ids.h"

namespace clew::otlp {

using clew::append_hex;  // of numbers
inline void append_hex(model::TraceId id, std::string& out) {
  append_hex(id.hi, 16, out);
  append_hex(id.lo, 16, out);
}
inline void append_hex(model::SpanId id, std::string& out) { append_hex(id.value, 16, out); }

}  // namespace clew::otlp

// The OTLP request, opened once: where each span's bytes lie, and under which resource and scope.
//
// `open_envelope` walks ExportTraceServiceRequest → ResourceSpans → ScopeSpans → Span boundaries and reads each span's
// trace id, nothing else; the owner of the trace decodes the span itself (decode.h). It borrows from `body`.
// A request whose framing is malformed is refused whole (kInvalidArgument); a span with an invalid id is left out and
// counted, so the others survive (OTLP partial success).
// Bounded: no more spans, resources or scopes than the limits; O(bytes), no recursion.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/ids.h"

namespace clew::otlp {

// Why a span was rejected; the names are the `reason` label of clew_discarded_spans_total.
enum class Reject : uint8_t {
  kNone = 0,
  kTraceId,            // not 16 bytes, or zero
  kSpanId,             // not 8 bytes, or zero
  kParentId,           // not 0 or 8 bytes
  kMalformed,          // protobuf of the span does not parse
  kTooManyAttributes,  // attributes, events or links above the limit
  kTooLarge,           // the span's bytes above the limit
  kInvalidUtf8,
  kCount
};
std::string_view reject_name(Reject reason);  // "invalid_trace_id", ...
using RejectCounts = std::array<uint64_t, static_cast<size_t>(Reject::kCount)>;

struct Limits {
  uint32_t max_spans = 1u << 20;  // of one request
  uint32_t max_span_bytes = 16u << 20;
  uint32_t max_attributes = 16384;  // of one span, over events and links too
  uint32_t max_depth = 32;          // of nested values
};

// Bytes of one ResourceSpans without its scope_spans, and of one ScopeSpans without its spans: what the dictionary
// keeps as resource and scope entries (context.h reads them). Usually one contiguous piece each, else joined.
struct EnvelopeScope {
  uint32_t resource = 0;  // index into Envelope::resources
  std::string_view bytes;
};
struct EnvelopeSpan {
  std::string_view bytes;  // the Span message
  model::TraceId trace;
  uint32_t scope = 0;  // index into Envelope::scopes
};

struct Envelope {
  std::vector<std::string_view> resources;
  std::vector<EnvelopeScope> scopes;
  std::vector<EnvelopeSpan> spans;
  RejectCounts rejected{};
  uint64_t unknown_bytes = 0;  // top-level fields of the request itself that are not known (skipped: no span owns them)
  std::vector<std::unique_ptr<std::string>> joined;  // storage of pieces that were not contiguous

  void clear();  // keeps capacity: reuse one Envelope per loop
};

Status open_envelope(std::string_view body, const Limits& limits, Envelope& out);

}  // namespace clew::otlp

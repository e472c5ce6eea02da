// Span: the readable form of a span, for queries, verification and output. Not for the ingest path (that is row.h): it
// costs an allocation or two a span.
//
// Every string_view borrows from the TraceData's arena; a TraceData is moved as one and never shared while it is
// written.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/dictionary.h"
#include "model/ids.h"
#include "model/summary.h"

namespace clew::model {

// Chunked storage for borrowed bytes: addresses stay.
class Arena {
 public:
  // After what keep() returned, at least so many bytes may be read (not relied upon), so that comparisons go in blocks.
  // Not for the empty text.
  static constexpr size_t kReadableBehind = 32;
  std::string_view keep(std::string_view bytes);
  uint64_t memory_bytes() const { return bytes_; }

 private:
  std::vector<std::unique_ptr<char[]>> chunks_;
  size_t left_ = 0;
  char* next_ = nullptr;
  uint64_t bytes_ = 0;
};

struct Value {
  ValueType type = ValueType::kEmpty;
  std::string_view bytes;  // kString, kBytes; kComplex: protobuf bytes of the AnyValue; kRaw: of the whole KeyValue
  int64_t integer = 0;     // kInt; kBool as 0/1
  double real = 0;         // kDouble
};

struct Attribute {
  std::string_view key;
  Value value;
};

struct Resource {
  std::vector<Attribute> attributes;
  uint32_t dropped_attributes = 0;
  std::string_view schema_url;
  std::string_view raw;           // the dictionary entry: see model/context.h
  std::string_view service_name;  // "" when it has none
};

struct Scope {
  std::string_view name;
  std::string_view version;
  std::vector<Attribute> attributes;
  uint32_t dropped_attributes = 0;
  std::string_view schema_url;
  std::string_view raw;
};

struct Event {
  int64_t time_ns = 0;
  std::string_view name;
  std::vector<Attribute> attributes;
  uint32_t dropped_attributes = 0;
  std::string_view unknown;
};

struct Link {
  TraceId trace;
  SpanId span;
  std::string_view trace_state;
  std::vector<Attribute> attributes;
  uint32_t dropped_attributes = 0;
  uint32_t flags = 0;
  std::string_view unknown;
};

enum class SpanKind : uint8_t {
  kUnspecified = 0,
  kInternal = 1,
  kServer = 2,
  kClient = 3,
  kProducer = 4,
  kConsumer = 5
};
enum class StatusCode : uint8_t { kUnset = 0, kOk = 1, kError = 2 };
std::string_view span_kind_name(SpanKind kind);      // "server", as TraceQL and Jaeger's span.kind write it
std::string_view status_code_name(StatusCode code);  // "error"

struct Span {
  SpanId id;
  SpanId parent;
  int64_t start_ns = 0;  // raw, as sent (unsigned on the wire; times beyond 2262 keep their bits)
  int64_t end_ns = 0;
  SpanKind kind = SpanKind::kUnspecified;
  StatusCode status = StatusCode::kUnset;
  uint32_t flags = 0;
  std::string_view name;
  std::string_view status_message;
  std::string_view trace_state;
  uint32_t dropped_attributes = 0, dropped_events = 0, dropped_links = 0;
  const Resource* resource = nullptr;
  const Scope* scope = nullptr;
  std::vector<Attribute> attributes;
  std::vector<Event> events;
  std::vector<Link> links;
  std::string_view unknown;
  Stamp stamp;
};

// One trace as a query returns it: spans of open rows, segments and deltas together, duplicates removed.
struct TraceData {
  TraceKey key;
  TraceSummary summary;
  std::vector<Verdict> history;  // oldest first; never empty in an answer
  std::vector<Span> spans;       // by arrival
  std::deque<Resource> resources;
  std::deque<Scope> scopes;
  Arena arena;
  // By `raw`; kept by append_span_of_row.
  std::unordered_map<std::string_view, const Resource*> resource_index;
  std::unordered_map<std::string_view, const Scope*> scope_index;
};

// Appends the span of `row` to `out` (resources and scopes are shared by content within `out`). kDataLoss when
// malformed.
Status append_span_of_row(const Dictionary& dictionary, std::string_view row, Stamp stamp, TraceData& out);

// The same canonical hash as row_hash.
uint64_t span_hash(const Span& span);

}  // namespace clew::model

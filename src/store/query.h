// What a search asks, and what it answers, for segments and open rows alike.
//
// A query is a boolean expression over one span (as a TraceQL spanset filter), a time range over trace starts, and
// conditions on the trace's verdict. A trace is a hit when at least one of its spans satisfies the expression.
// Hits come newest first: by (start_ns descending, trace id descending); a page ends with a cursor, and the next page
// begins strictly after it, so paging is stable while new traces arrive.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/ids.h"
#include "model/span.h"
#include "model/summary.h"

namespace clew::store {

enum class Field : uint8_t {
  kAttribute,  // span attribute `key`
  kResource,   // resource attribute `key`
  kAny,        // span attribute, else resource attribute (TraceQL ".key")
  kName,       // span name
  kService,    // resource service.name
  kKind,       // number of SpanKind
  kStatus,     // number of StatusCode
  kStatusMessage,
  kDuration,  // nanoseconds of the span
  kTraceDuration,
  kRootName,
  kRootService,
  kScopeName,
  kEventName,  // any event
  kIsRoot,     // 1 for a span without a parent, else 0
  kTrue,       // every span
};
enum class Op : uint8_t { kEq, kNe, kRegex, kNotRegex, kLt, kLe, kGt, kGe, kExists, kAbsent };

struct Literal {
  enum class Type : uint8_t { kString, kInt, kDouble, kBool, kNil } type = Type::kNil;
  std::string text;
  int64_t integer = 0;
  double real = 0;
  // Jaeger and logfmt tags carry no type: such a literal also equals an int, double or bool attribute of that text.
  bool untyped = false;
};

struct Expr {
  enum class Kind : uint8_t { kLeaf, kAnd, kOr, kNot } kind = Kind::kLeaf;
  Field field = Field::kTrue;
  std::string key;
  Op op = Op::kEq;
  Literal literal;
  std::vector<Expr> children;
};

struct SearchCursor {
  int64_t start_ns = INT64_MAX;
  model::TraceId trace{UINT64_MAX, UINT64_MAX};
};
std::string encode_cursor(const SearchCursor& cursor);  // opaque text for clients
std::optional<SearchCursor> decode_cursor(std::string_view text);

// What a search shows of each matched span beside its name, service and times: a span attribute, a resource attribute,
// either (kAny), kKind, kStatus, kStatusMessage, kScopeName. Of other fields nothing is shown.
struct Selection {
  Field field = Field::kAny;
  std::string key;
};
struct SelectedValue {
  model::ValueType type = model::ValueType::kEmpty;  // the span has none
  std::string bytes;
  int64_t integer = 0;
  double real = 0;
  model::Value view() const { return {type, bytes, integer, real}; }
  friend bool operator==(const SelectedValue&, const SelectedValue&) = default;
};
// Of all spans of one hit together; a value that does not fit any more is left out.
constexpr size_t kMaxSelectedBytes = 64 << 10;

struct TraceQuery {
  model::TenantId tenant;
  Expr where;                   // default: everything
  int64_t from_ns = INT64_MIN;  // trace start >= from, < to
  int64_t to_ns = INT64_MAX;
  uint32_t states = 0xffffffff;  // bit per model::TraceState
  uint32_t findings = 0;         // bit per FindingKind: any of these must be present (0: no condition)
  uint32_t limit = 20;
  uint32_t spans_per_trace = 3;   // matched spans returned with a hit
  SearchCursor after;             // strictly after it in the order
  std::vector<Selection> select;  // costs reading the whole of every hit's trace
};

struct MatchedSpan {
  model::SpanId id;
  int64_t start_ns = 0;
  int64_t duration_ns = 0;
  std::string name;
  std::string service;
  std::vector<SelectedValue> selected;  // one for each of the query's selections, in their order
};

struct TraceHit {
  model::TraceKey key;
  model::TraceSummary summary;  // of the newest part that the searcher saw
  std::vector<MatchedSpan> spans;
  uint32_t matched = 0;       // matching spans seen (at least)
  size_t selected_bytes = 0;  // of the texts of `spans`' selected values
};

// Adds a span that matched to the hit: counts it, and shows it while the query wants more.
void add_match(const model::Span& span, const TraceQuery& query, TraceHit& hit);

// The order of hits.
inline bool newer(int64_t start_a, model::TraceId a, int64_t start_b, model::TraceId b) {
  return start_a != start_b ? start_a > start_b : a > b;
}

// Reference semantics: what every index must agree with. matcher.h spells them out and is the way to test many spans:
// this one compiles the expression anew for each. Patterns are RE2's (regex.h), anchored at both ends as TraceQL has
// it; an expression that does not compile matches nothing.
bool matches(const Expr& expr, const model::Span& span, const model::TraceSummary& summary);

}  // namespace clew::store

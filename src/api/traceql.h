// TraceQL to store::Expr: one spanset filter, `{ ... }`, with everything that may stand inside it, and for a search
// also what it is to show of the spans: `{ ... } | select(span.x, resource.y, .z, status, kind)`.
//
//   field       span.x  resource.x  .x  (quoted: span."a b"), and the intrinsics of traceql_fields.h; service.name on
//               the resource is the store's service field
//   comparison  = != =~ !~ < <= > >= between a field and a literal, either side; a field alone asks for a true boolean
//   logic       && || ! ( ), && before ||
//   literal     "text" with escapes, `text`, 12, 1.5, 100ms (ns us µs ms s m h d, joined as 1h30m), true false nil,
//               ok error unset for status, server client producer consumer internal unspecified for kind
//   nestedSetParent  -1 for a span without a parent, some number from 0 on for others: comparisons that tell these two
//               apart, such as `nestedSetParent < 0`, ask for root spans; others are refused
//   select      attributes, kind, status, statusMessage, instrumentation:name; what every answer shows anyway (name,
//               duration, service.name of the resource, those of the trace) may be named. At most kMaxSelected.
// Other pipelines, aggregates, structural operators and several spansets are refused with kUnimplemented that names the
// part; everything else that does not parse with kInvalidArgument and the position (in bytes, from 1). Hostile input:
// at most kMaxQueryBytes, kMaxQueryDepth and 1,024 conditions. Pure; any thread; linear.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "store/query.h"

namespace clew::api {

constexpr size_t kMaxQueryBytes = 16 << 10;
constexpr int kMaxQueryDepth = 48;
constexpr size_t kMaxSelected = 64;

// A filter alone. An empty text is `{}`: everything.
Result<store::Expr> parse_traceql(std::string_view text);

struct TraceQlSearch {
  store::Expr where;
  std::vector<store::Selection> select;
};
Result<TraceQlSearch> parse_traceql_search(std::string_view text);
// The key under which an answer shows it: an attribute's without its scope, or the intrinsic's word.
std::string_view selection_name(const store::Selection& selection);

// The field that `span.http.method`, `.x`, `name`, `resource.service.name`, ... names, for tag values. kInvalidArgument
// when it is none. Without a scope ("http.method") it is kAny.
struct FieldName {
  store::Field field = store::Field::kTrue;
  std::string key;
};
Result<FieldName> parse_field_name(std::string_view text);

}  // namespace clew::api

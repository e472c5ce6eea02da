// TraceQL to store::Expr: one spanset filter, `{ ... }`, with everything that may stand inside it. Also the two tag
// notations of the older interfaces.
//
//   field       span.x  resource.x  .x  (quoted: span."a b"), event.name / event:name, scope.name /
//   instrumentation:name,
//               name kind status statusMessage duration rootName rootServiceName traceDuration, and with colons
//               span:name span:kind span:status span:statusMessage span:duration trace:duration trace:rootName
//               trace:rootService; service.name on the resource is the store's service field.
//   comparison  = != =~ !~ < <= > >= between a field and a literal, either side; a field alone asks for a true boolean
//   logic       && || ! ( ), && before ||
//   literal     "text" with escapes, `text`, 12, 1.5, 100ms (ns us µs ms s m h d, joined as 1h30m), true false nil,
//               ok error unset for status, server client producer consumer internal unspecified for kind
// Pipelines, aggregates, structural operators and several spansets are refused with kUnimplemented that names the part;
// everything else that does not parse with kInvalidArgument and the position (in bytes, from 1).
// Hostile input: at most kMaxQueryBytes, kMaxQueryDepth and 1,024 conditions. Pure; any thread; linear.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "store/query.h"

namespace clew::api {

constexpr size_t kMaxQueryBytes = 16 << 10;
constexpr int kMaxQueryDepth = 48;

// An empty text is `{}`: everything.
Result<store::Expr> parse_traceql(std::string_view text);

// "100ms", "1h2m3.5s", "-2us": Go's durations, with days. Nothing when it is not one; a bare number is not one, but 0
// is.
std::optional<int64_t> parse_duration_ns(std::string_view text);

// Tempo's `tags`: logfmt, `key=value "quoted key"="a b" flag`, joined by and. Keys name a span or resource attribute;
// name, status, kind, root.name, root.service.name and the like mean the intrinsics.
Result<store::Expr> parse_logfmt_tags(std::string_view text);
// Jaeger's `tags`: a JSON object of strings (numbers and booleans tolerated).
Result<store::Expr> parse_json_tags(std::string_view json);
// One condition of untyped key and value as Jaeger means it: error=true is also the status, span.kind the kind.
store::Expr tag_condition(std::string_view key, std::string_view value);

// Helpers to build expressions.
store::Expr all_of(std::vector<store::Expr> parts);  // one part stands for itself, none for everything
store::Expr any_of(std::vector<store::Expr> parts);
store::Expr text_condition(store::Field field, std::string_view key, store::Op op, std::string_view text);
store::Expr number_condition(store::Field field, store::Op op, int64_t number);

// The field that `span.http.method`, `.x`, `name`, `resource.service.name`, ... names, for tag values. kInvalidArgument
// when it is none. Without a scope ("http.method") it is kAny.
struct FieldName {
  store::Field field = store::Field::kTrue;
  std::string key;
};
Result<FieldName> parse_field_name(std::string_view text);

std::optional<int64_t> kind_number(std::string_view word);    // "server" → 2
std::optional<int64_t> status_number(std::string_view word);  // "error" → 2

}  // namespace clew::api

// The two tag notations of the older interfaces to store::Expr. Hostile input: at most kMaxTagsBytes. Pure; any thread;
// linear.
#pragma once

#include <string_view>

#include "base/status.h"
#include "store/query.h"

namespace clew::api {

constexpr size_t kMaxTagsBytes = 16 << 10;

// Tempo's `tags`: logfmt, `key=value "quoted key"="a b" flag`, joined by and. Keys name a span or resource attribute;
// name, status, kind, root.name, root.service.name and the like mean the intrinsics.
Result<store::Expr> parse_logfmt_tags(std::string_view text);
// Jaeger's `tags`: a JSON object of strings (numbers and booleans tolerated).
Result<store::Expr> parse_json_tags(std::string_view json);

}  // namespace clew::api

// Expressions of the store, built from parts: what the query notations (traceql.h, tags.h) and the APIs' own parameters
// share. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "store/query.h"

namespace clew::api {

store::Expr all_of(std::vector<store::Expr> parts);  // one part stands for itself, none for everything
store::Expr any_of(std::vector<store::Expr> parts);
store::Expr text_condition(store::Field field, std::string_view key, store::Op op, std::string_view text);
store::Expr number_condition(store::Field field, store::Op op, int64_t number);
// One condition of untyped key and value as Jaeger means it: error=true is also the status, span.kind the kind.
store::Expr tag_condition(std::string_view key, std::string_view value);

std::optional<int64_t> kind_number(std::string_view word);    // "server" → 2
std::optional<int64_t> status_number(std::string_view word);  // "error" → 2

}  // namespace clew::api

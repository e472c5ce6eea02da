// What the handlers of Clew's own API (/clew/v1) share: reading their parameters, and their answer for errors.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "api/query_common.h"

namespace clew::api {

// {"error":{"code":"INVALID_ARGUMENT","message":"..."}} with the HTTP status that belongs to the code.
HttpResponse clew_failure(const Error& error);

// A misspelt condition that was ignored would answer another question: kInvalidArgument for a parameter that is not
// among `known`.
Status check_parameters(const HttpRequest& request, std::span<const std::string_view> known);

// Trace starts in [from, to), Unix nanoseconds.
struct TimeRange {
  int64_t from_ns = INT64_MIN;
  int64_t to_ns = INT64_MAX;
};
// From `since` (a Go duration into the past) or `start`, and `end`: RFC 3339 or Unix nanoseconds. What is not given
// stays open.
Result<TimeRange> time_range(const QueryDeps& deps, const HttpRequest& request);

}  // namespace clew::api

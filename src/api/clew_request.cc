#include "api/clew_request.h"

#include <algorithm>
#include <charconv>

#include "api/json_writer.h"

namespace clew::api {
namespace {

Result<std::optional<int64_t>> moment(const HttpRequest& request, std::string_view name) {
  const auto raw = request.params().get_raw(name);
  if (!raw || raw->empty()) return std::optional<int64_t>();
  const std::string text = url_decode(*raw, false);
  int64_t ns = 0;
  const char* end = text.data() + text.size();
  if (const auto [at, error] = std::from_chars(text.data(), end, ns); error == std::errc() && at == end)
    return std::optional<int64_t>(ns);
  if (const auto time = parse_rfc3339_ns(text)) return std::optional<int64_t>(*time);
  return Error{Code::kInvalidArgument, "parameter '" + std::string(name) +
                                           "' must be a time such as 2024-05-01T12:00:00Z, or Unix nanoseconds"};
}

}  // namespace

HttpResponse clew_failure(const Error& error) {
  std::string body;
  JsonWriter json(body);
  json.open_object().key("error").open_object().key("code").text(code_name(error.code));
  json.key("message").text(error.message).close_object().close_object();
  return json_response(std::move(body), http_status_of(error.code));
}

Status check_parameters(const HttpRequest& request, std::span<const std::string_view> known) {
  for (const QueryParams::Entry& entry : request.params().entries()) {
    if (std::find(known.begin(), known.end(), entry.name) != known.end()) continue;
    std::string names;
    for (std::string_view name : known) names.append(names.empty() ? "" : ", ").append(name);
    return {Code::kInvalidArgument, "unknown parameter \"" + entry.name.substr(0, 64) + "\"; known are " + names};
  }
  return {};
}

Result<TimeRange> time_range(const QueryDeps& deps, const HttpRequest& request) {
  TimeRange range;
  std::optional<int64_t> since, start, end;
  CLEW_ASSIGN(since, duration_param(request, "since"));
  CLEW_ASSIGN(start, moment(request, "start"));
  CLEW_ASSIGN(end, moment(request, "end"));
  if (since && start) return Error{Code::kInvalidArgument, "give 'since' or 'start', not both"};
  if (since && (*since < 0 || __builtin_sub_overflow(deps.clock.wall_ns(), *since, &range.from_ns))) {
    return Error{Code::kInvalidArgument, "parameter 'since' must be a duration into the past, such as 1h"};
  }
  if (start) range.from_ns = *start;
  if (end) range.to_ns = *end;
  return range;
}

}  // namespace clew::api

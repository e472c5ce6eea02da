#include "api/query_common.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "api/duration.h"

namespace clew::api {

int http_status_of(Code code) {
  switch (code) {
    case Code::kOk:
      return 200;
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
    case Code::kFailedPrecondition:
      return 400;
    case Code::kUnauthenticated:
      return 401;
    case Code::kPermissionDenied:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kAlreadyExists:
    case Code::kAborted:
      return 409;
    case Code::kResourceExhausted:
      return 429;
    case Code::kUnimplemented:
      return 501;
    case Code::kUnavailable:
      return 503;
    case Code::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

HttpResponse json_response(std::string body, int status) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  // A reply is data: no browser should guess it to be a page.
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  return response;
}

HttpResponse text_response(std::string body, int status) {
  HttpResponse response = json_response(std::move(body), status);
  response.content_type = "text/plain; charset=utf-8";
  return response;
}

Result<model::TraceId> trace_id_segment(const HttpRequest& request) {
  const std::string_view text = request.segment("id");
  const auto id = model::TraceId::parse(text);
  if (!id || !id->valid()) {
    return Error{Code::kInvalidArgument, "\"" + std::string(text.substr(0, 64)) +
                                             "\" is no trace id: 1 to 32 hexadecimal digits, not all zero"};
  }
  return *id;
}

Result<std::optional<int64_t>> int_param(const HttpRequest& request, std::string_view name) {
  const auto text = request.params().get(name);
  if (!text || text->empty()) return std::optional<int64_t>();
  int64_t value = 0;
  const char* end = text->data() + text->size();
  if (const auto [at, error] = std::from_chars(text->data(), end, value); error == std::errc() && at == end) {
    return std::optional<int64_t>(value);
  }
  return Error{Code::kInvalidArgument, "parameter '" + std::string(name) + "' must be a whole number"};
}

Result<std::optional<int64_t>> duration_param(const HttpRequest& request, std::string_view name) {
  const auto text = request.params().get(name);
  if (!text || text->empty()) return std::optional<int64_t>();
  if (const auto value = parse_duration_ns(*text)) return std::optional<int64_t>(*value);
  return Error{Code::kInvalidArgument,
               "parameter '" + std::string(name) + "' must be a duration such as 1.5s or 200ms"};
}

Result<std::optional<int64_t>> time_param(const HttpRequest& request, std::string_view name, int64_t unit_ns) {
  std::optional<int64_t> units;
  CLEW_ASSIGN(units, int_param(request, name));
  if (!units) return units;
  int64_t ns = 0;
  if (__builtin_mul_overflow(*units, unit_ns, &ns)) ns = *units < 0 ? INT64_MIN : INT64_MAX;
  return std::optional<int64_t>(ns);
}

Result<uint32_t> limit_param(const HttpRequest& request, std::string_view name, uint32_t fallback, uint32_t most) {
  std::optional<int64_t> limit;
  CLEW_ASSIGN(limit, int_param(request, name));
  if (!limit || *limit == 0) return fallback;
  if (*limit < 0) return Error{Code::kInvalidArgument, "parameter '" + std::string(name) + "' must not be negative"};
  return static_cast<uint32_t>(std::min<int64_t>(*limit, most));
}

namespace {

// Days since 1970 of a civil date, and back (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
int64_t days_of_date(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

struct Date {
  int64_t year, month, day;
};
Date date_of_days(int64_t days) {
  days += 719468;
  const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const int64_t day_of_era = days - era * 146097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * day_of_year + 2) / 153;
  const int64_t month = shifted + (shifted < 10 ? 3 : -9);
  return {year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1};
}

bool digits(std::string_view& text, size_t count, int64_t& out) {
  if (text.size() < count) return false;
  out = 0;
  for (size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return true;
}

bool one_of(std::string_view& text, std::string_view choices) {
  if (text.empty() || choices.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<int64_t> parse_rfc3339_ns(std::string_view text) {
  int64_t year, month, day, hour, minute, second, nanos = 0, offset_s = 0;
  if (!digits(text, 4, year) || !one_of(text, "-") || !digits(text, 2, month) || !one_of(text, "-") ||
      !digits(text, 2, day) || !one_of(text, "Tt ") || !digits(text, 2, hour) || !one_of(text, ":") ||
      !digits(text, 2, minute) || !one_of(text, ":") || !digits(text, 2, second)) {
    return std::nullopt;
  }
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  if (one_of(text, ".")) {
    int64_t scale = 100'000'000;
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), scale /= 10) {
      nanos += (text.front() - '0') * scale;
    }
  }
  if (one_of(text, "Zz")) {
    if (!text.empty()) return std::nullopt;
  } else {
    // A '+' that was not encoded arrives as a space.
    const bool west = text.starts_with('-');
    int64_t hours, minutes;
    if (!one_of(text, "+- ") || !digits(text, 2, hours) || !one_of(text, ":") || !digits(text, 2, minutes) ||
        !text.empty()) {
      return std::nullopt;
    }
    offset_s = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
  }
  const int64_t seconds = days_of_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset_s;
  int64_t ns = 0;
  if (__builtin_mul_overflow(seconds, int64_t{1'000'000'000}, &ns) || __builtin_add_overflow(ns, nanos, &ns)) {
    return seconds < 0 ? INT64_MIN : INT64_MAX;
  }
  return ns;
}

std::string rfc3339_of_ns(int64_t ns) {
  int64_t seconds = ns / 1'000'000'000, nanos = ns % 1'000'000'000;
  if (nanos < 0) nanos += 1'000'000'000, --seconds;
  int64_t days = seconds / 86400, of_day = seconds % 86400;
  if (of_day < 0) of_day += 86400, --days;
  const Date date = date_of_days(days);
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", static_cast<int>(date.year),
                static_cast<int>(date.month), static_cast<int>(date.day), static_cast<int>(of_day / 3600),
                static_cast<int>(of_day / 60 % 60), static_cast<int>(of_day % 60), static_cast<int>(nanos));
  return buffer;
}

namespace {

// One lookup after the other; each completion, on whatever worker it runs, begins the next.
struct Gathering : std::enable_shared_from_this<Gathering> {
  Gathering(cluster::QueryService& service, model::TenantId of, std::vector<model::TraceId> wanted,
            cluster::TraceBounds most, UniqueFunction<void(Result<TracesById>)> answer)
      : queries(service), tenant(of), ids(std::move(wanted)), bounds(most), done(std::move(answer)) {}

  cluster::QueryService& queries;
  const model::TenantId tenant;
  const std::vector<model::TraceId> ids;
  const cluster::TraceBounds bounds;
  UniqueFunction<void(Result<TracesById>)> done;
  TracesById result;
  size_t next = 0;
  uint64_t spans = 0, bytes = 0;

  void step() {
    if (next == ids.size()) return done(std::move(result));
    queries.trace(tenant, ids[next], [self = shared_from_this()](Result<std::unique_ptr<model::TraceData>> trace) {
      self->take(std::move(trace));
    });
  }

 private:
  void take(Result<std::unique_ptr<model::TraceData>> trace) {
    if (trace.ok()) {
      spans += (*trace)->spans.size();
      bytes += cluster::memory_bytes_of(**trace);
      if (!result.found.empty() && (spans > bounds.spans || bytes > bounds.bytes)) {
        result.left_out.assign(ids.begin() + static_cast<std::ptrdiff_t>(next), ids.end());
        return done(std::move(result));
      }
      result.found.push_back(std::move(*trace));
    } else if (trace.error().code == Code::kNotFound) {
      result.missing.push_back(ids[next]);
    } else {
      return done(trace.error());
    }
    ++next;
    step();
  }
};

std::string bounds_text() {
  const cluster::TraceBounds bounds;
  return "an answer holds at most " + std::to_string(bounds.spans) + " spans or " + std::to_string(bounds.bytes >> 20) +
         " MiB; ask for fewer traces";
}

}  // namespace

void fetch_traces(cluster::QueryService& queries, model::TenantId tenant, std::vector<model::TraceId> ids,
                  cluster::TraceBounds bounds, UniqueFunction<void(Result<TracesById>)> done) {
  std::make_shared<Gathering>(queries, tenant, std::move(ids), bounds, std::move(done))->step();
}

std::string bounded_note(const cluster::FoundTraces& found) {
  return "the newest " + std::to_string(found.traces.size()) + " of " + std::to_string(found.found) +
         " traces: " + bounds_text() + " or a shorter time";
}

std::string bounded_note(const TracesById& answer) {
  return "the last " + std::to_string(answer.left_out.size()) +
         " of the traces asked for are left out: " + bounds_text() + " at once";
}

const model::Verdict* newest_verdict(const model::TraceData& trace) {
  return trace.history.empty() ? nullptr : &trace.history.back();
}

std::vector<const model::Span*> spans_by_start(const model::TraceData& trace) {
  std::vector<const model::Span*> spans;
  spans.reserve(trace.spans.size());
  for (const model::Span& span : trace.spans) spans.push_back(&span);
  std::stable_sort(spans.begin(), spans.end(), [](const model::Span* a, const model::Span* b) {
    return a->start_ns != b->start_ns ? a->start_ns < b->start_ns : a->id < b->id;
  });
  return spans;
}

}  // namespace clew::api

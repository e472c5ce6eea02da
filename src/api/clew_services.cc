#include "api/clew_services.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "api/call_stats.h"
#include "api/clew_request.h"
#include "api/conditions.h"
#include "api/json_writer.h"
#include "api/text.h"

namespace clew::api {
namespace {

constexpr int64_t kDefaultRangeNs = 3600ll * 1'000'000'000;

using Named = std::map<std::string, CallStats, std::less<>>;
using Edges = std::map<std::pair<std::string, std::string>, CallStats, std::less<>>;

void append_stats(CallStats& stats, JsonWriter& json) {
  json.key("calls").unsigned_number(stats.calls()).key("errors").unsigned_number(stats.errors());
  json.key("p50Nano").quoted(stats.quantile_ns(0.5)).key("p95Nano").quoted(stats.quantile_ns(0.95));
  json.key("p99Nano").quoted(stats.quantile_ns(0.99));
}

// The busiest entries of a map, at most `most`, in the order of their keys; true when some are left out.
template <typename Map>
bool busiest(Map& all, size_t most, std::vector<typename Map::iterator>& out) {
  for (auto it = all.begin(); it != all.end(); ++it) out.push_back(it);
  if (out.size() <= most) return false;
  std::stable_sort(out.begin(), out.end(), [](auto a, auto b) { return a->second.calls() > b->second.calls(); });
  out.resize(most);
  std::sort(out.begin(), out.end(), [](auto a, auto b) { return a->first < b->first; });
  return true;
}

bool append_named(std::string_view list, std::string_view member, Named& all, size_t most, JsonWriter& json) {
  std::vector<Named::iterator> kept;
  const bool cut = busiest(all, most, kept);
  json.key(list).open_array();
  for (const auto it : kept) {
    json.open_object().key(member).text(it->first);
    append_stats(it->second, json);
    json.close_object();
  }
  json.close_array();
  return cut;
}

// A text as a regular expression (RE2) that means itself.
std::string literally(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const char letter = ascii_lower(c);
    const bool plain = byte >= 0x80 || (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9');
    if (!plain) {
      static constexpr char kDigits[] = "0123456789abcdef";
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  return out;
}

struct Asked {
  TimeRange range;
  std::string service, operation;
  store::NameFilter filter;  // of services
  uint32_t points = kDefaultPoints;
};

// How much of the range the traces cover: all of it, unless the answer ended at a bound.
int64_t covered_from_ns(const Asked& asked, const cluster::FoundTraces& found) {
  int64_t from = asked.range.from_ns;
  if ((found.bounded || found.found >= kServiceTraces) && !found.traces.empty()) {
    from = std::max(from, found.traces.back()->summary.start_ns);
  }
  return from;
}

void append_head(const Asked& asked, const cluster::FoundTraces& found, JsonWriter& json) {
  json.key("fromUnixNano").quoted(asked.range.from_ns).key("toUnixNano").quoted(asked.range.to_ns);
  json.key("coveredFromUnixNano").quoted(covered_from_ns(asked, found));
  json.key("traces").unsigned_number(found.traces.size());
}

HttpResponse graph_reply(const Asked& asked, const cluster::FoundTraces& found) {
  Named services;
  Edges edges;
  for (const auto& trace : found.traces) {
    visit_calls(*trace, [&](const Call& call) {
      const bool fits = asked.filter.fits(call.service);
      if (fits) services[std::string(call.service)].add(call);
      if (!call.caller.empty() && (fits || asked.filter.fits(call.caller)))
        edges[{std::string(call.caller), std::string(call.service)}].add(call);
    });
  }
  std::string body;
  JsonWriter json(body);
  json.open_object();
  append_head(asked, found, json);
  bool cut = append_named("services", "service", services, kMaxListedServices, json);
  std::vector<Edges::iterator> kept;
  cut = busiest(edges, kMaxListedEdges, kept) || cut;
  json.key("edges").open_array();
  for (const auto it : kept) {
    json.open_object().key("from").text(it->first.first).key("to").text(it->first.second);
    append_stats(it->second, json);
    json.close_object();
  }
  json.close_array().key("truncated").boolean(cut).close_object();
  return json_response(std::move(body));
}

HttpResponse red_reply(const Asked& asked, const cluster::FoundTraces& found) {
  const uint64_t span = static_cast<uint64_t>(asked.range.to_ns) - static_cast<uint64_t>(asked.range.from_ns);
  const uint64_t step = std::max<uint64_t>(1, (span + asked.points - 1) / asked.points);
  std::vector<CallStats> points(asked.points);
  CallStats total;
  Named operations, callers, callees;
  for (const auto& trace : found.traces) {
    visit_calls(*trace, [&](const Call& call) {
      if (call.caller == asked.service && call.service != asked.service) callees[std::string(call.service)].add(call);
      if (call.service != asked.service) return;
      operations[std::string(call.operation)].add(call);
      if (!asked.operation.empty() && call.operation != asked.operation) return;
      total.add(call);
      if (!call.caller.empty()) callers[std::string(call.caller)].add(call);
      if (call.start_ns < asked.range.from_ns || call.start_ns >= asked.range.to_ns) return;
      const uint64_t at = static_cast<uint64_t>(call.start_ns) - static_cast<uint64_t>(asked.range.from_ns);
      points[std::min<uint64_t>(at / step, asked.points - 1)].add(call);
    });
  }
  std::string body;
  JsonWriter json(body);
  json.open_object();
  append_head(asked, found, json);
  json.key("service").text(asked.service).key("operation").text(asked.operation);
  json.key("stepNano").quoted_unsigned(step).key("total").open_object();
  append_stats(total, json);
  json.close_object().key("points").open_array();
  for (CallStats& point : points) {
    json.open_object();
    append_stats(point, json);
    json.close_object();
  }
  json.close_array();
  bool cut = append_named("operations", "operation", operations, kMaxListedOperations, json);
  cut = append_named("callers", "service", callers, kMaxListedServices, json) || cut;
  cut = append_named("callees", "service", callees, kMaxListedServices, json) || cut;
  json.key("truncated").boolean(cut).close_object();
  return json_response(std::move(body));
}

Result<Asked> read_asked(const QueryDeps& deps, const HttpRequest& request, std::span<const std::string_view> known) {
  CLEW_TRY(check_parameters(request, known));
  Asked asked;
  CLEW_ASSIGN(asked.range, time_range(deps, request));
  if (asked.range.to_ns == INT64_MAX) asked.range.to_ns = deps.clock.wall_ns();
  if (asked.range.from_ns == INT64_MIN &&
      __builtin_sub_overflow(asked.range.to_ns, kDefaultRangeNs, &asked.range.from_ns))
    asked.range.from_ns = INT64_MIN;
  if (asked.range.from_ns >= asked.range.to_ns)
    return Error{Code::kInvalidArgument, "the time range is empty: 'start' must be before 'end'"};
  asked.filter.text = request.params().get("filter").value_or("");
  asked.service = request.params().get("service").value_or("");
  asked.operation = request.params().get("operation").value_or("");
  CLEW_ASSIGN(asked.points, limit_param(request, "points", kDefaultPoints, kMaxPoints));
  return asked;
}

template <HttpResponse (*Reply)(const Asked&, const cluster::FoundTraces&)>
void answer(const QueryDeps& deps, const RequestPtr& request, Asked asked, HttpDone done) {
  store::TraceQuery query;
  query.tenant = model::tenant_id(request->tenant);
  query.from_ns = asked.range.from_ns;
  query.to_ns = asked.range.to_ns;
  query.limit = kServiceTraces;
  query.spans_per_trace = 0;
  if (!asked.service.empty()) query.where = text_condition(store::Field::kService, {}, store::Op::kEq, asked.service);
  if (!asked.filter.text.empty()) {
    query.where =
        text_condition(store::Field::kService, {}, store::Op::kRegex, "(?is).*" + literally(asked.filter.text) + ".*");
  }
  deps.queries.search_traces(
      std::move(query), kServiceBounds,
      [asked = std::move(asked), done = std::move(done)](Result<cluster::FoundTraces> found) mutable {
        done(found.ok() ? Reply(asked, *found) : clew_failure(found.error()));
      });
}

void services(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  static constexpr std::array<std::string_view, 4> kKnown = {"filter", "since", "start", "end"};
  auto asked = read_asked(deps, *request, kKnown);
  if (!asked.ok()) return done(clew_failure(asked.error()));
  answer<graph_reply>(deps, request, std::move(*asked), std::move(done));
}

void red(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  static constexpr std::array<std::string_view, 6> kKnown = {"service", "operation", "since", "start", "end", "points"};
  auto asked = read_asked(deps, *request, kKnown);
  if (!asked.ok()) return done(clew_failure(asked.error()));
  if (asked->service.empty())
    return done(clew_failure({Code::kInvalidArgument, "name the service: /clew/v1/red?service=NAME"}));
  answer<red_reply>(deps, request, std::move(*asked), std::move(done));
}

}  // namespace

void add_clew_service_routes(HttpRouter& router, const QueryDeps& deps) {
  const auto add = [&](std::string_view path, void (*handler)(const QueryDeps&, const RequestPtr&, HttpDone)) {
    router.add("GET", path,
               [deps, handler](const RequestPtr& request, HttpDone done) { handler(deps, request, std::move(done)); });
  };
  add("/clew/v1/services", services);
  add("/clew/v1/red", red);
}

}  // namespace clew::api

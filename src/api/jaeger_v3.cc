#include <algorithm>
#include <map>

#include "api/conditions.h"
#include "api/duration.h"
#include "api/jaeger.h"
#include "api/jaeger_json.h"
#include "api/tags.h"
#include "otlp/encode.h"

namespace clew::api {
namespace {

using store::Expr;
using store::Field;
using store::Op;

HttpResponse failure(const Error& error) {
  const int status = http_status_of(error.code);
  std::string body;
  JsonWriter json(body);
  json.open_object().key("error").open_object();
  json.key("grpcCode").number(static_cast<int>(error.code)).key("httpCode").number(status);
  json.key("message").text(error.message).close_object().close_object();
  return json_response(std::move(body), status);
}

// A parameter by any of its spellings: generated clients write snake_case, older ones camelCase.
template <typename Get>
auto first_of(std::initializer_list<std::string_view> names, Get&& get) -> decltype(get(std::string_view())) {
  for (std::string_view name : names) {
    auto value = get(name);
    if (value && !value->empty()) return value;
  }
  return std::nullopt;
}

std::optional<std::string> param(const HttpRequest& request, std::initializer_list<std::string_view> names) {
  return first_of(names, [&](std::string_view name) { return request.params().get(name); });
}

Result<std::optional<int64_t>> time_of(const HttpRequest& request, std::initializer_list<std::string_view> names) {
  // Escapes are decoded, '+' is not: the one of a time zone is often left unencoded.
  const auto raw = first_of(names, [&](std::string_view name) { return request.params().get_raw(name); });
  if (!raw) return std::optional<int64_t>();
  if (const auto ns = parse_rfc3339_ns(url_decode(*raw, false))) return std::optional<int64_t>(*ns);
  return Error{Code::kInvalidArgument, "malformed parameter " + std::string(*names.begin()) +
                                           ": expecting a time such as 2024-05-01T12:00:00Z"};
}

Result<std::optional<int64_t>> duration_of(const HttpRequest& request, std::initializer_list<std::string_view> names) {
  const auto text = param(request, names);
  if (!text) return std::optional<int64_t>();
  if (const auto ns = parse_duration_ns(*text)) return std::optional<int64_t>(*ns);
  return Error{Code::kInvalidArgument,
               "malformed parameter " + std::string(*names.begin()) + ": expecting a duration such as 1.5s"};
}

Result<store::TraceQuery> read_query(const HttpRequest& request) {
  store::TraceQuery query;
  query.tenant = model::tenant_id(request.tenant);
  std::vector<Expr> parts;
  if (const auto service = param(request, {"query.service_name", "query.serviceName"})) {
    parts.push_back(text_condition(Field::kService, {}, Op::kEq, *service == kNoServiceName ? "" : *service));
  }
  if (const auto operation = param(request, {"query.operation_name", "query.operationName"})) {
    parts.push_back(text_condition(Field::kName, {}, Op::kEq, *operation));
  }
  if (const auto attributes = param(request, {"query.attributes"})) {
    Expr expr;
    CLEW_ASSIGN(expr, parse_json_tags(*attributes));
    parts.push_back(std::move(expr));
  }
  std::optional<int64_t> shortest, longest, from, to;
  CLEW_ASSIGN(shortest, duration_of(request, {"query.duration_min", "query.durationMin"}));
  CLEW_ASSIGN(longest, duration_of(request, {"query.duration_max", "query.durationMax"}));
  if (shortest) parts.push_back(number_condition(Field::kDuration, Op::kGe, *shortest));
  if (longest) parts.push_back(number_condition(Field::kDuration, Op::kLe, *longest));
  CLEW_ASSIGN(from, time_of(request, {"query.start_time_min", "query.startTimeMin"}));
  CLEW_ASSIGN(to, time_of(request, {"query.start_time_max", "query.startTimeMax"}));
  if (from) query.from_ns = *from;
  if (to) query.to_ns = *to;
  query.limit = kJaegerDefaultLimit;
  for (std::string_view name : {"query.num_traces", "query.numTraces", "query.search_depth", "query.searchDepth"}) {
    if (request.params().get(name).value_or("").empty()) continue;
    CLEW_ASSIGN(query.limit, limit_param(request, name, kJaegerDefaultLimit, kJaegerMaxLimit));
    break;
  }
  query.spans_per_trace = 1;
  query.where = all_of(std::move(parts));
  return query;
}

using Traces = std::vector<std::unique_ptr<model::TraceData>>;

HttpResponse traces_reply(const Traces& traces) {
  if (traces.empty()) return failure({Code::kNotFound, "No traces found"});
  // One resourceSpans over all traces.
  static constexpr std::string_view kHead = "{\"resourceSpans\":[", kTail = "]}";
  std::string body = "{\"result\":" + std::string(kHead);
  std::string one;
  bool any = false;
  for (const auto& trace : traces) {
    one.clear();
    otlp::encode_json(*trace, otlp::JsonFlavour::kOtlp, one);
    std::string_view inner = one;
    CHECK(inner.starts_with(kHead) && inner.ends_with(kTail));
    inner = inner.substr(kHead.size(), inner.size() - kHead.size() - kTail.size());
    if (inner.empty()) continue;
    if (any) body.push_back(',');
    body += inner;
    any = true;
  }
  body += std::string(kTail) + "}";
  return json_response(std::move(body));
}

HttpResponse summaries_reply(const Traces& traces) {
  std::string body;
  JsonWriter json(body);
  json.open_object().key("summaries").open_array();
  for (const auto& trace : traces) {
    const model::TraceSummary& summary = trace->summary;
    struct Counts {
      uint64_t spans = 0, errors = 0;
    };
    std::map<std::string_view, Counts> services;
    for (const model::Span& span : trace->spans) {
      Counts& counts = services[jaeger_service(span.resource ? span.resource->service_name : std::string_view())];
      ++counts.spans;
      counts.errors += span.status == model::StatusCode::kError;
    }
    json.open_object().key("traceId").text(trace->key.trace.hex());
    json.key("rootServiceName").text(summary.root_service).key("rootOperationName").text(summary.root_name);
    json.key("minStartTimeUnixNano").quoted_unsigned(static_cast<uint64_t>(summary.start_ns));
    json.key("maxEndTimeUnixNano").quoted_unsigned(static_cast<uint64_t>(summary.end_ns));
    json.key("spanCount")
        .unsigned_number(summary.span_count)
        .key("errorSpanCount")
        .unsigned_number(summary.error_count);
    json.key("orphanSpanCount").unsigned_number(summary.orphan_count);
    json.key("services").open_array();
    for (const auto& [name, counts] : services) {
      json.open_object().key("name").text(name).key("spanCount").unsigned_number(counts.spans);
      json.key("errorSpanCount").unsigned_number(counts.errors).close_object();
    }
    json.close_array().close_object();
  }
  json.close_array().close_object();
  return json_response(std::move(body));
}

template <HttpResponse (*Reply)(const Traces&)>
void find(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  auto query = read_query(*request);
  if (!query.ok()) return done(failure(query.error()));
  deps.queries.search_traces(std::move(*query), {},
                             [done = std::move(done)](Result<cluster::FoundTraces> found) mutable {
                               if (!found.ok()) return done(failure(found.error()));
                               HttpResponse response = Reply(found->traces);
                               // The reply's form has no place for it.
                               if (found->bounded) response.headers.emplace_back("X-Clew-Note", bounded_note(*found));
                               done(std::move(response));
                             });
}

void get_trace(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  const auto id = trace_id_segment(*request);
  if (!id.ok()) return done(failure(id.error()));
  deps.queries.trace(model::tenant_id(request->tenant), *id,
                     [done = std::move(done)](Result<std::unique_ptr<model::TraceData>> trace) mutable {
                       if (!trace.ok()) return done(failure(trace.error()));
                       Traces traces;
                       traces.push_back(std::move(*trace));
                       done(traces_reply(traces));
                     });
}

void services(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  deps.queries.services(model::tenant_id(request->tenant), INT64_MIN, INT64_MAX, {},
                        [done = std::move(done)](Result<store::Vocabulary> vocabulary) mutable {
                          if (!vocabulary.ok()) return done(failure(vocabulary.error()));
                          std::string body;
                          JsonWriter json(body);
                          json.open_object().key("services").open_array();
                          for (const std::string& name : vocabulary->values) json.text(jaeger_service(name));
                          json.close_array().close_object();
                          done(json_response(std::move(body)));
                        });
}

void operations(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  const auto service = param(*request, {"service", "service_name", "serviceName"});
  if (!service) return done(failure({Code::kInvalidArgument, "missing required parameter service"}));
  deps.queries.operations(
      model::tenant_id(request->tenant), *service == kNoServiceName ? std::string() : *service, {},
      [done = std::move(done), kind = param(*request, {"span_kind", "spanKind"}).value_or("")](
          Result<std::vector<cluster::QueryService::Operation>> found) mutable {
        if (!found.ok()) return done(failure(found.error()));
        std::string body;
        JsonWriter json(body);
        json.open_object().key("operations").open_array();
        for (const auto& operation : *found) {
          const std::string_view word = operation.kind == 0
                                            ? std::string_view()
                                            : model::span_kind_name(static_cast<model::SpanKind>(operation.kind));
          if (!kind.empty() && word != kind) continue;
          json.open_object().key("name").text(operation.name).key("spanKind").text(word).close_object();
        }
        json.close_array().close_object();
        done(json_response(std::move(body)));
      });
}

}  // namespace

void add_jaeger_v3_routes(HttpRouter& router, const QueryDeps& deps, std::string_view prefix) {
  const auto add = [&](std::string_view path, void (*handler)(const QueryDeps&, const RequestPtr&, HttpDone)) {
    router.add("GET", std::string(prefix) + std::string(path),
               [deps, handler](const RequestPtr& request, HttpDone done) { handler(deps, request, std::move(done)); });
  };
  add("/api/v3/services", services);
  add("/api/v3/operations", operations);
  add("/api/v3/traces", find<traces_reply>);
  add("/api/v3/traces/{id}", get_trace);
  add("/api/v3/trace-summaries", find<summaries_reply>);
}

}  // namespace clew::api

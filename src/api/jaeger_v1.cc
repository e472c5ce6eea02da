#include <algorithm>
#include <map>
#include <unordered_map>

#include "api/conditions.h"
#include "api/jaeger.h"
#include "api/jaeger_json.h"
#include "api/tags.h"
#include "api/transform.h"

namespace clew::api {
namespace {

using store::Expr;
using store::Field;
using store::Op;

struct JaegerError {
  int code;
  std::string message;
  std::string trace_id;
};

// `data` writes the value of that member.
template <typename Data>
HttpResponse envelope(int status, uint64_t total, const std::vector<JaegerError>& errors, Data&& data) {
  std::string body;
  JsonWriter json(body);
  json.open_object().key("data");
  data(json);
  json.key("total").unsigned_number(total).key("limit").number(0).key("offset").number(0).key("errors");
  if (errors.empty()) {
    json.null();
  } else {
    json.open_array();
    for (const JaegerError& error : errors) {
      json.open_object().key("code").number(error.code).key("msg").text(error.message);
      if (!error.trace_id.empty()) json.key("traceID").text(error.trace_id);
      json.close_object();
    }
    json.close_array();
  }
  json.close_object();
  return json_response(std::move(body), status);
}

HttpResponse failure(const Error& error) {
  const int status = http_status_of(error.code);
  return envelope(status, 0, {{status, error.message, ""}}, [](JsonWriter& json) { json.null(); });
}

Error not_found() { return {Code::kNotFound, "trace not found"}; }

HttpResponse traces_reply(const std::vector<std::unique_ptr<model::TraceData>>& traces, uint64_t total,
                          const std::vector<JaegerError>& errors) {
  return envelope(200, total, errors, [&](JsonWriter& json) {
    json.open_array();
    for (const auto& trace : traces) append_jaeger_trace(*trace, json);
    json.close_array();
  });
}

HttpResponse found_reply(const cluster::FoundTraces& found) {
  std::vector<JaegerError> errors;
  // A note, not a failure: clients show the data and, if they show anything more, this.
  if (found.bounded) errors.push_back({206, bounded_note(found), ""});
  return traces_reply(found.traces, found.found, errors);
}

HttpResponse texts_reply(const std::vector<std::string>& texts) {
  return envelope(200, texts.size(), {}, [&](JsonWriter& json) {
    json.open_array();
    for (const std::string& text : texts) json.text(text);
    json.close_array();
  });
}

std::string store_service(std::string_view service) {
  return service == kNoServiceName ? std::string() : std::string(service);
}

Result<store::TraceQuery> read_query(const HttpRequest& request) {
  constexpr int64_t kUs = 1000;
  const QueryParams& params = request.params();
  store::TraceQuery query;
  query.tenant = model::tenant_id(request.tenant);
  std::vector<Expr> parts;
  if (const auto service = params.get("service"); service && !service->empty()) {
    parts.push_back(text_condition(Field::kService, {}, Op::kEq, store_service(*service)));
  }
  if (const auto operation = params.get("operation"); operation && !operation->empty() && *operation != "all") {
    parts.push_back(text_condition(Field::kName, {}, Op::kEq, *operation));
  }
  for (const std::string& tags : params.all("tags")) {
    if (tags.empty()) continue;
    Expr expr;
    CLEW_ASSIGN(expr, parse_json_tags(tags));
    parts.push_back(std::move(expr));
  }
  for (const std::string& tag : params.all("tag")) {
    const size_t colon = tag.find(':');
    if (colon == std::string::npos || colon == 0) {
      return Error{Code::kInvalidArgument,
                   "malformed 'tag' parameter, expecting key:value, received: " + tag.substr(0, 100)};
    }
    parts.push_back(tag_condition(std::string_view(tag).substr(0, colon), std::string_view(tag).substr(colon + 1)));
  }
  std::optional<int64_t> from, to, shortest, longest;
  CLEW_ASSIGN(shortest, duration_param(request, "minDuration"));
  CLEW_ASSIGN(longest, duration_param(request, "maxDuration"));
  if (shortest && longest && *longest < *shortest) {
    return Error{Code::kInvalidArgument, "'maxDuration' should be greater than 'minDuration'"};
  }
  if (shortest) parts.push_back(number_condition(Field::kDuration, Op::kGe, *shortest));
  if (longest) parts.push_back(number_condition(Field::kDuration, Op::kLe, *longest));
  CLEW_ASSIGN(from, time_param(request, "start", kUs));
  CLEW_ASSIGN(to, time_param(request, "end", kUs));
  if (from) query.from_ns = *from;
  if (to) query.to_ns = *to;
  CLEW_ASSIGN(query.limit, limit_param(request, "limit", kJaegerDefaultLimit, kJaegerMaxLimit));
  query.spans_per_trace = 1;
  query.where = all_of(std::move(parts));
  return query;
}

void find_traces(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  const std::vector<std::string> texts = request->params().all("traceID");
  if (!texts.empty()) {
    std::vector<model::TraceId> ids;
    if (texts.size() > kMaxTraceIds) {
      return done(failure(
          {Code::kInvalidArgument, "at most " + std::to_string(kMaxTraceIds) + " traceID parameters are taken"}));
    }
    for (const std::string& text : texts) {
      const auto id = model::TraceId::parse(text);
      if (!id || !id->valid())
        return done(failure({Code::kInvalidArgument, "cannot parse traceID \"" + text.substr(0, 64) + "\""}));
      if (std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.push_back(*id);
    }
    fetch_traces(deps.queries, model::tenant_id(request->tenant), std::move(ids), {},
                 [done = std::move(done)](Result<TracesById> result) mutable {
                   if (!result.ok()) return done(failure(result.error()));
                   if (result->found.empty()) return done(failure(not_found()));
                   std::vector<JaegerError> errors;
                   errors.reserve(result->missing.size() + 1);
                   for (model::TraceId id : result->missing) errors.push_back({404, "trace not found", id.hex()});
                   if (!result->left_out.empty()) errors.push_back({206, bounded_note(*result), ""});
                   done(traces_reply(result->found, result->found.size(), errors));
                 });
    return;
  }
  auto query = read_query(*request);
  if (!query.ok()) return done(failure(query.error()));
  deps.queries.search_traces(std::move(*query), {},
                             [done = std::move(done)](Result<cluster::FoundTraces> found) mutable {
                               done(found.ok() ? found_reply(*found) : failure(found.error()));
                             });
}

void get_trace(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  const auto id = trace_id_segment(*request);
  if (!id.ok()) return done(failure(id.error()));
  deps.queries.trace(model::tenant_id(request->tenant), *id,
                     [done = std::move(done)](Result<std::unique_ptr<model::TraceData>> trace) mutable {
                       if (!trace.ok())
                         return done(failure(trace.error().code == Code::kNotFound ? not_found() : trace.error()));
                       std::vector<std::unique_ptr<model::TraceData>> traces;
                       traces.push_back(std::move(*trace));
                       done(traces_reply(traces, traces.size(), {}));
                     });
}

void services(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  deps.queries.services(model::tenant_id(request->tenant), INT64_MIN, INT64_MAX, {},
                        [done = std::move(done)](Result<store::Vocabulary> vocabulary) mutable {
                          if (!vocabulary.ok()) return done(failure(vocabulary.error()));
                          for (std::string& name : vocabulary->values) name = jaeger_service(name);
                          done(texts_reply(vocabulary->values));
                        });
}

void operation_names(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  deps.queries.operations(
      model::tenant_id(request->tenant), store_service(request->segment("service")), {},
      [done = std::move(done)](Result<std::vector<cluster::QueryService::Operation>> operations) mutable {
        if (!operations.ok()) return done(failure(operations.error()));
        std::vector<std::string> names;
        for (auto& operation : *operations) names.push_back(std::move(operation.name));
        std::sort(names.begin(), names.end());
        names.erase(std::unique(names.begin(), names.end()), names.end());
        done(texts_reply(names));
      });
}

std::string_view kind_word(uint8_t kind) {
  return kind == 0 ? std::string_view() : model::span_kind_name(static_cast<model::SpanKind>(kind));
}

void operations(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  const auto service = request->params().get("service");
  if (!service || service->empty()) return done(failure({Code::kInvalidArgument, "parameter 'service' is required"}));
  deps.queries.operations(model::tenant_id(request->tenant), store_service(*service), {},
                          [done = std::move(done), kind = request->params().get("spanKind").value_or("")](
                              Result<std::vector<cluster::QueryService::Operation>> found) mutable {
                            if (!found.ok()) return done(failure(found.error()));
                            std::erase_if(*found, [&](const auto& operation) {
                              return !kind.empty() && kind_word(operation.kind) != kind;
                            });
                            done(envelope(200, found->size(), {}, [&](JsonWriter& json) {
                              json.open_array();
                              for (const auto& operation : *found) {
                                json.open_object()
                                    .key("name")
                                    .text(operation.name)
                                    .key("spanKind")
                                    .text(kind_word(operation.kind))
                                    .close_object();
                              }
                              json.close_array();
                            }));
                          });
}

// Calls between services, counted over the newest traces of the time asked for: an estimate, in Jaeger's form.
HttpResponse dependencies_reply(const std::vector<std::unique_ptr<model::TraceData>>& traces) {
  std::map<std::pair<std::string, std::string>, uint64_t> calls;
  for (const auto& trace : traces) {
    std::unordered_map<uint64_t, std::string_view> service_of;
    const auto service = [](const model::Span& span) {
      return jaeger_service(span.resource ? span.resource->service_name : std::string_view());
    };
    for (const model::Span& span : trace->spans) service_of.emplace(span.id.value, service(span));
    for (const model::Span& span : trace->spans) {
      const auto parent = service_of.find(span.parent.value);
      if (!span.parent.valid() || parent == service_of.end() || parent->second == service(span)) continue;
      ++calls[{std::string(parent->second), std::string(service(span))}];
    }
  }
  return envelope(200, calls.size(), {}, [&](JsonWriter& json) {
    json.open_array();
    for (const auto& [edge, count] : calls) {
      json.open_object().key("parent").text(edge.first).key("child").text(edge.second);
      json.key("callCount").unsigned_number(count).close_object();
    }
    json.close_array();
  });
}

void dependencies(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  constexpr int64_t kMs = 1'000'000;
  const auto end = time_param(*request, "endTs", kMs);
  if (!end.ok()) return done(failure(end.error()));
  const auto lookback = time_param(*request, "lookback", kMs);
  if (!lookback.ok()) return done(failure(lookback.error()));
  store::TraceQuery query;
  query.tenant = model::tenant_id(request->tenant);
  query.to_ns = end->value_or(deps.clock.wall_ns());
  if (__builtin_sub_overflow(query.to_ns, lookback->value_or(24 * 3600 * 1'000'000'000ll), &query.from_ns))
    query.from_ns = INT64_MIN;
  query.limit = kDependencyTraces;
  query.spans_per_trace = 0;
  deps.queries.search_traces(std::move(query), {},
                             [done = std::move(done)](Result<cluster::FoundTraces> found) mutable {
                               done(found.ok() ? dependencies_reply(found->traces) : failure(found.error()));
                             });
}

void transform(const RequestPtr& request, HttpDone done) {
  const auto traces = traces_of_otlp_json(request->body);
  done(traces.ok() ? traces_reply(*traces, traces->size(), {}) : failure(traces.error()));
}

void metrics(const RequestPtr&, HttpDone done) {
  done(failure({Code::kUnimplemented, "metrics querying is currently disabled: Clew keeps traces, no metrics"}));
}

}  // namespace

void add_jaeger_v1_routes(HttpRouter& router, const QueryDeps& deps, std::string_view prefix, JaegerById by_id) {
  const auto add = [&](std::string_view method, std::string_view path,
                       void (*handler)(const QueryDeps&, const RequestPtr&, HttpDone)) {
    router.add(method, std::string(prefix) + std::string(path),
               [deps, handler](const RequestPtr& request, HttpDone done) { handler(deps, request, std::move(done)); });
  };
  add("GET", "/api/services", services);
  add("GET", "/api/services/{service}/operations", operation_names);
  add("GET", "/api/operations", operations);
  add("GET", "/api/traces", find_traces);
  if (by_id == JaegerById::kYes) add("GET", "/api/traces/{id}", get_trace);
  add("GET", "/api/dependencies", dependencies);
  router.add("POST", std::string(prefix) + "/api/transform", transform);
  for (std::string_view kind : {"latencies", "calls", "errors", "minstep"}) {
    router.add("GET", std::string(prefix) + "/api/metrics/" + std::string(kind), metrics);
  }
}

}  // namespace clew::api

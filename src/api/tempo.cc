#include "api/tempo.h"

#include <algorithm>
#include <array>

#include "api/conditions.h"
#include "api/field_values.h"
#include "api/json_writer.h"
#include "api/tags.h"
#include "api/traceql.h"
#include "base/varint.h"
#include "otlp/encode.h"

namespace clew::api {
namespace {

using store::Expr;
using store::Field;
using store::Op;

constexpr std::string_view kProtobuf = "application/protobuf";
constexpr std::string_view kJson = "application/json";

// Tempo writes errors as plain text, and Grafana shows the body.
HttpResponse failure(const Error& error) { return text_response(error.message, http_status_of(error.code)); }

bool wants_protobuf(const HttpRequest& request) { return accept_prefers(request.header("accept"), kProtobuf, kJson); }

HttpResponse protobuf_response(std::string body) {
  HttpResponse response = json_response(std::move(body));
  response.content_type = kProtobuf;
  return response;
}

// TraceByIDResponse{trace = 1, metrics = 2, status = 3, message = 4}; PartialStatus{COMPLETE = 0, PARTIAL = 1}.
void append_length_delimited(uint32_t field, std::string_view bytes, std::string& out) {
  append_varint(out, field << 3 | 2);
  append_bytes(out, bytes);
}

HttpResponse trace_v1(const model::TraceData& trace, bool protobuf) {
  std::string body;
  if (protobuf) {
    otlp::encode_protobuf(trace, body);
    return protobuf_response(std::move(body));
  }
  otlp::encode_json(trace, otlp::JsonFlavour::kProtobuf, body);
  // In version 1 the list is called "batches", as it was in OTLP's first years.
  static constexpr std::string_view kName = "{\"resourceSpans\":";
  CHECK(std::string_view(body).starts_with(kName));
  return json_response("{\"batches\":" + body.substr(kName.size()));
}

HttpResponse trace_v2(const model::TraceData& trace, bool protobuf) {
  const model::Verdict* verdict = newest_verdict(trace);
  const bool partial = verdict && verdict->state != model::TraceState::kComplete;
  const std::string message = partial ? model::verdict_sentence(*verdict) : std::string();
  std::string inner, body;
  if (protobuf) {
    otlp::encode_protobuf(trace, inner);
    append_length_delimited(1, inner, body);
    append_length_delimited(2, {}, body);
    if (partial) {
      append_varint(body, 3 << 3);
      append_varint(body, 1);
      append_length_delimited(4, message, body);
    }
    return protobuf_response(std::move(body));
  }
  otlp::encode_json(trace, otlp::JsonFlavour::kProtobuf, inner);
  JsonWriter json(body);
  json.open_object().key("trace").raw(inner).key("metrics").open_object().close_object();
  json.key("status").text(partial ? "PARTIAL" : "COMPLETE");
  if (partial) json.key("message").text(message);
  json.close_object();
  return json_response(std::move(body));
}

template <HttpResponse (*Reply)(const model::TraceData&, bool)>
void get_trace(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  const auto id = trace_id_segment(*request);
  if (!id.ok()) return done(failure(id.error()));
  deps.queries.trace(model::tenant_id(request->tenant), *id,
                     [done = std::move(done),
                      protobuf = wants_protobuf(*request)](Result<std::unique_ptr<model::TraceData>> trace) mutable {
                       done(trace.ok() ? Reply(**trace, protobuf) : failure(trace.error()));
                     });
}

Result<store::TraceQuery> read_query(const HttpRequest& request) {
  constexpr int64_t kSecond = 1'000'000'000;
  store::TraceQuery query;
  query.tenant = model::tenant_id(request.tenant);
  std::vector<Expr> parts;
  const auto add = [&](Expr expr) {
    if (expr.kind != Expr::Kind::kLeaf || expr.field != Field::kTrue) parts.push_back(std::move(expr));
  };
  if (const auto q = request.params().get("q"); q && !q->empty()) {
    TraceQlSearch search;
    CLEW_ASSIGN(search, parse_traceql_search(*q));
    add(std::move(search.where));
    query.select = std::move(search.select);
  }
  if (const auto tags = request.params().get("tags"); tags && !tags->empty()) {
    Expr expr;
    CLEW_ASSIGN(expr, parse_logfmt_tags(*tags));
    add(std::move(expr));
  }
  std::optional<int64_t> shortest, longest, from, to;
  CLEW_ASSIGN(shortest, duration_param(request, "minDuration"));
  CLEW_ASSIGN(longest, duration_param(request, "maxDuration"));
  // Tempo's durations are those of the trace, Jaeger's those of a span.
  if (shortest) add(number_condition(Field::kTraceDuration, Op::kGe, *shortest));
  if (longest) add(number_condition(Field::kTraceDuration, Op::kLe, *longest));
  CLEW_ASSIGN(from, time_param(request, "start", kSecond));
  CLEW_ASSIGN(to, time_param(request, "end", kSecond));
  if (from) query.from_ns = *from;
  if (to) query.to_ns = *to;
  CLEW_ASSIGN(query.limit, limit_param(request, "limit", kTempoDefaultLimit, kTempoMaxLimit));
  CLEW_ASSIGN(query.spans_per_trace, limit_param(request, "spss", kTempoDefaultSpans, kTempoMaxSpans));
  query.where = all_of(std::move(parts));
  return query;
}

void append_attribute(std::string_view key, const model::Value& value, JsonWriter& json) {
  std::string text;
  otlp::append_any_value_json(value, otlp::JsonFlavour::kProtobuf, text);
  json.open_object().key("key").text(key).key("value").raw(text).close_object();
}

// The service, unless a selected attribute has its name, then what was selected and is there.
void append_attributes(const store::MatchedSpan& span, const std::vector<std::string>& names, JsonWriter& json) {
  constexpr std::string_view kService = "service.name";
  bool has_service = span.service.empty();
  for (size_t i = 0; i < span.selected.size(); ++i) {
    has_service = has_service || (names[i] == kService && span.selected[i].type != model::ValueType::kEmpty);
  }
  json.open_array();
  if (!has_service) append_attribute(kService, {model::ValueType::kString, span.service, 0, 0}, json);
  for (size_t i = 0; i < span.selected.size(); ++i) {
    if (span.selected[i].type == model::ValueType::kEmpty) continue;
    append_attribute(names[i], span.selected[i].view(), json);
  }
  json.close_array();
}

void append_span_set(const store::TraceHit& hit, const std::vector<std::string>& names, JsonWriter& json) {
  json.open_object().key("spans").open_array();
  for (const store::MatchedSpan& span : hit.spans) {
    json.open_object().key("spanID").text(span.id.hex()).key("name").text(span.name);
    json.key("startTimeUnixNano").quoted_unsigned(static_cast<uint64_t>(span.start_ns));
    json.key("durationNanos").quoted_unsigned(static_cast<uint64_t>(std::max<int64_t>(span.duration_ns, 0)));
    json.key("attributes");
    append_attributes(span, names, json);
    json.close_object();
  }
  json.close_array().key("matched").unsigned_number(hit.matched).close_object();
}

// `names`: of what was selected.
HttpResponse search_reply(const cluster::SearchPage& page, const std::vector<std::string>& names) {
  constexpr int64_t kNsPerMs = 1'000'000;
  std::string body;
  JsonWriter json(body);
  json.open_object().key("traces").open_array();
  for (const store::TraceHit& hit : page.hits) {
    const model::TraceSummary& summary = hit.summary;
    json.open_object().key("traceID").text(hit.key.trace.hex());
    json.key("rootServiceName").text(summary.root_service).key("rootTraceName").text(summary.root_name);
    json.key("startTimeUnixNano").quoted_unsigned(static_cast<uint64_t>(summary.start_ns));
    json.key("durationMs")
        .number(summary.end_ns > summary.start_ns ? (summary.end_ns - summary.start_ns) / kNsPerMs : 0);
    json.key("spanSet");  // the first of the sets, for clients older than the list
    append_span_set(hit, names, json);
    json.key("spanSets").open_array();
    append_span_set(hit, names, json);
    json.close_array().close_object();
  }
  json.close_array().key("metrics").open_object().close_object();
  json.close_object();
  return json_response(std::move(body));
}

void search(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  auto query = read_query(*request);
  if (!query.ok()) return done(failure(query.error()));
  std::vector<std::string> names;
  for (const store::Selection& selection : query->select) names.emplace_back(selection_name(selection));
  deps.queries.search(std::move(*query),
                      [done = std::move(done), names = std::move(names)](Result<cluster::SearchPage> page) mutable {
                        done(page.ok() ? search_reply(*page, names) : failure(page.error()));
                      });
}

constexpr std::array<std::string_view, 8> kIntrinsicTags = {
    "duration", "kind", "name", "rootName", "rootServiceName", "status", "statusMessage", "traceDuration"};

void append_list(const std::vector<std::string>& texts, JsonWriter& json) {
  json.open_array();
  for (const std::string& text : texts) json.text(text);
  json.close_array();
}

// The keys of the span and resource scopes, one after the other, then `reply`.
struct TagNames {
  std::vector<std::string> resource, span;
};
void fetch_tag_names(const QueryDeps& deps, const RequestPtr& request, UniqueFunction<void(Result<TagNames>)> reply) {
  const model::TenantId tenant = model::tenant_id(request->tenant);
  deps.queries.keys(
      tenant, Field::kResource, {},
      [&queries = deps.queries, tenant, reply = std::move(reply)](Result<store::Vocabulary> resource) mutable {
        if (!resource.ok()) return reply(resource.error());
        queries.keys(
            tenant, Field::kAttribute, {},
            [reply = std::move(reply), names = std::move(resource->values)](Result<store::Vocabulary> span) mutable {
              if (!span.ok()) return reply(span.error());
              reply(TagNames{std::move(names), std::move(span->values)});
            });
      });
}

Status check_scope(std::string_view scope) {
  for (std::string_view known : {"", "none", "resource", "span", "intrinsic", "event", "link", "instrumentation"}) {
    if (scope == known) return {};
  }
  return {Code::kInvalidArgument,
          "invalid scope: " + std::string(scope.substr(0, 64)) + "; resource, span and intrinsic are known"};
}

void tags_v1(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  const std::string scope = request->params().get("scope").value_or("");
  if (const Status status = check_scope(scope); !status.ok()) return done(failure(status.error()));
  fetch_tag_names(deps, request, [done = std::move(done), scope](Result<TagNames> names) mutable {
    if (!names.ok()) return done(failure(names.error()));
    std::vector<std::string> all;
    const bool any = scope.empty() || scope == "none";
    if (any || scope == "resource") all.insert(all.end(), names->resource.begin(), names->resource.end());
    if (any || scope == "span") all.insert(all.end(), names->span.begin(), names->span.end());
    if (scope == "intrinsic") all.assign(kIntrinsicTags.begin(), kIntrinsicTags.end());
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    std::string body;
    JsonWriter json(body);
    json.open_object().key("tagNames");
    append_list(all, json);
    json.key("metrics").open_object().close_object().close_object();
    done(json_response(std::move(body)));
  });
}

void tags_v2(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  const std::string scope = request->params().get("scope").value_or("");
  if (const Status status = check_scope(scope); !status.ok()) return done(failure(status.error()));
  fetch_tag_names(deps, request, [done = std::move(done), scope](Result<TagNames> names) mutable {
    if (!names.ok()) return done(failure(names.error()));
    const bool any = scope.empty() || scope == "none";
    std::string body;
    JsonWriter json(body);
    json.open_object().key("scopes").open_array();
    const auto add = [&](std::string_view name, const std::vector<std::string>& tags) {
      if (!any && scope != name) return;
      json.open_object().key("name").text(name).key("tags");
      append_list(tags, json);
      json.close_object();
    };
    add("resource", names->resource);
    add("span", names->span);
    add("intrinsic", {kIntrinsicTags.begin(), kIntrinsicTags.end()});
    json.close_array().key("metrics").open_object().close_object().close_object();
    done(json_response(std::move(body)));
  });
}

struct TagValues {
  std::string type = "string";
  std::vector<std::string> values;
};

HttpResponse values_v1(const TagValues& tag) {
  std::string body;
  JsonWriter json(body);
  json.open_object().key("tagValues");
  append_list(tag.values, json);
  json.key("metrics").open_object().close_object().close_object();
  return json_response(std::move(body));
}

HttpResponse values_v2(const TagValues& tag) {
  std::string body;
  JsonWriter json(body);
  json.open_object().key("tagValues").open_array();
  for (const std::string& value : tag.values) {
    json.open_object().key("type").text(tag.type).key("value").text(value).close_object();
  }
  json.close_array().key("metrics").open_object().close_object().close_object();
  return json_response(std::move(body));
}

template <HttpResponse (*Reply)(const TagValues&)>
void tag_values(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  // Grafana encodes the tag twice; the router undid one.
  auto asked = field_values(url_decode(request->segment("tag"), false));
  if (!asked.ok()) return done(failure(asked.error()));
  if (asked->fixed) {
    TagValues fixed;
    if (!asked->fixed->empty()) fixed = {"keyword", std::move(*asked->fixed)};
    return done(Reply(fixed));
  }
  deps.queries.values(model::tenant_id(request->tenant), asked->field, std::move(asked->key), {},
                      [done = std::move(done)](Result<store::Vocabulary> vocabulary) mutable {
                        if (!vocabulary.ok()) return done(failure(vocabulary.error()));
                        TagValues tag;
                        tag.values = std::move(vocabulary->values);
                        done(Reply(tag));
                      });
}

void build_info(const QueryDeps& deps, const RequestPtr&, HttpDone done) {
  std::string body;
  JsonWriter json(body);
  json.open_object().key("version").text(kTempoApiVersion).key("revision").text("clew-" + deps.version);
  json.key("branch").text("clew").key("buildUser").text("").key("buildDate").text("").key("goVersion").text("");
  json.close_object();
  done(json_response(std::move(body)));
}

void metrics(const QueryDeps&, const RequestPtr&, HttpDone done) {
  done(failure({Code::kUnimplemented, "TraceQL metrics are not supported: Clew answers searches for traces"}));
}

void ready(const QueryDeps& deps, const RequestPtr&, HttpDone done) {
  deps.queries.stats([done = std::move(done)](Result<cluster::NodeStats> stats) mutable {
    const bool is_ready = stats.ok() && stats->ready;
    done(text_response(is_ready ? "ready" : "not ready", is_ready ? 200 : 503));
  });
}

}  // namespace

void add_tempo_routes(HttpRouter& router, const QueryDeps& deps, std::string_view prefix, TempoByIdV1 by_id,
                      TempoReady with_ready) {
  const auto add = [&](std::string_view path, void (*handler)(const QueryDeps&, const RequestPtr&, HttpDone)) {
    router.add("GET", std::string(prefix) + std::string(path),
               [deps, handler](const RequestPtr& request, HttpDone done) { handler(deps, request, std::move(done)); });
  };
  router.add("GET", std::string(prefix) + "/api/echo",
             [](const RequestPtr&, HttpDone done) { done(text_response("echo")); });
  if (with_ready == TempoReady::kYes) add("/ready", ready);
  add("/api/status/buildinfo", build_info);
  if (by_id == TempoByIdV1::kYes) add("/api/traces/{id}", get_trace<trace_v1>);
  add("/api/v2/traces/{id}", get_trace<trace_v2>);
  add("/api/search", search);
  add("/api/search/tags", tags_v1);
  add("/api/v2/search/tags", tags_v2);
  add("/api/search/tag/{tag}/values", tag_values<values_v1>);
  add("/api/v2/search/tag/{tag}/values", tag_values<values_v2>);
  for (std::string_view path : {"/api/metrics/query_range", "/api/metrics/query", "/api/metrics/summary"})
    add(path, metrics);
}

}  // namespace clew::api

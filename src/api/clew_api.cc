#include "api/clew_api.h"

#include <algorithm>
#include <array>

#include "api/clew_names.h"
#include "api/clew_request.h"
#include "api/clew_services.h"
#include "api/conditions.h"
#include "api/traceql.h"
#include "otlp/encode.h"

namespace clew::api {
namespace {

using store::Expr;
using store::Field;
using store::Op;

constexpr std::array<std::string_view, 9> kSearchParameters = {"q",     "service", "state", "finding", "since",
                                                               "start", "end",     "limit", "cursor"};
constexpr uint8_t kFindingKinds = static_cast<uint8_t>(model::FindingKind::kTooManySpans) + 1;

std::string_view severity_name(model::Severity severity) {
  switch (severity) {
    case model::Severity::kInfo:
      return "info";
    case model::Severity::kWarning:
      return "warning";
    case model::Severity::kLoss:
      return "loss";
  }
  return "info";
}

void append_span_ids(const std::vector<model::SpanId>& ids, JsonWriter& json) {
  json.open_array();
  for (model::SpanId id : ids) json.text(id.hex());
  json.close_array();
}

void append_basis(uint32_t basis, JsonWriter& json) {
  constexpr std::array<std::pair<uint32_t, std::string_view>, 7> kNames = {
      {{model::kBasisRoot, "root"},
       {model::kBasisParents, "parents"},
       {model::kBasisQuiet, "quiet"},
       {model::kBasisAcyclic, "acyclic"},
       {model::kBasisClientServer, "client_server"},
       {model::kBasisNoDrops, "no_drops"},
       {model::kBasisTimeout, "timeout"}}};
  json.open_array();
  for (const auto& [bit, name] : kNames) {
    if (basis & bit) json.text(name);
  }
  json.close_array();
}

void append_verdict_members(const model::TraceData& trace, JsonWriter& json) {
  json.key("summary");
  append_summary_json(trace.summary, json);
  json.key("verdict");
  if (const model::Verdict* verdict = newest_verdict(trace)) {
    append_verdict_json(*verdict, json);
  } else {
    json.null();
  }
  json.key("history").open_array();
  for (const model::Verdict& verdict : trace.history) append_verdict_json(verdict, json);
  json.close_array();
}

HttpResponse whole_trace(const model::TraceData& trace) {
  std::string otlp_json, body;
  otlp::encode_json(trace, otlp::JsonFlavour::kOtlp, otlp_json);
  JsonWriter json(body);
  json.open_object().key("traceID").text(trace.key.trace.hex());
  append_verdict_members(trace, json);
  json.key("trace").raw(otlp_json).close_object();
  return json_response(std::move(body));
}

HttpResponse verdict_only(const model::TraceData& trace) {
  std::string body;
  JsonWriter json(body);
  json.open_object().key("traceID").text(trace.key.trace.hex());
  append_verdict_members(trace, json);
  json.close_object();
  return json_response(std::move(body));
}

template <HttpResponse (*Reply)(const model::TraceData&)>
void get_trace(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  const auto id = trace_id_segment(*request);
  if (!id.ok()) return done(clew_failure(id.error()));
  deps.queries.trace(model::tenant_id(request->tenant), *id,
                     [done = std::move(done)](Result<std::unique_ptr<model::TraceData>> trace) mutable {
                       done(trace.ok() ? Reply(**trace) : clew_failure(trace.error()));
                     });
}

std::vector<std::string> listed(const HttpRequest& request, std::string_view name) {
  std::vector<std::string> words;
  for (const std::string& text : request.params().all(name)) {
    for (std::string_view rest = text; !rest.empty();) {
      const size_t comma = std::min(rest.find(','), rest.size());
      if (comma > 0) words.emplace_back(rest.substr(0, comma));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return words;
}

Result<uint32_t> states_of(const HttpRequest& request) {
  constexpr auto bit = [](model::TraceState state) { return 1u << static_cast<uint8_t>(state); };
  constexpr std::array<std::pair<std::string_view, uint32_t>, 6> kStates = {
      {{"active", bit(model::TraceState::kActive)},
       {"collecting", bit(model::TraceState::kCollecting)},
       {"complete", bit(model::TraceState::kComplete)},
       {"timed_out", bit(model::TraceState::kTimedOut)},
       {"incomplete", bit(model::TraceState::kCollecting) | bit(model::TraceState::kTimedOut)},
       {"open", bit(model::TraceState::kActive) | bit(model::TraceState::kCollecting)}}};
  uint32_t states = 0;
  for (const std::string& word : listed(request, "state")) {
    const auto found =
        std::find_if(kStates.begin(), kStates.end(), [&](const auto& state) { return state.first == word; });
    if (found == kStates.end()) {
      return Error{Code::kInvalidArgument,
                   "unknown state \"" + word.substr(0, 64) +
                       "\"; known are active, collecting, complete, timed_out, incomplete, open"};
    }
    states |= found->second;
  }
  return states == 0 ? 0xffffffffu : states;
}

Result<uint32_t> findings_of(const HttpRequest& request) {
  uint32_t findings = 0;
  for (const std::string& word : listed(request, "finding")) {
    uint32_t bit = 0;
    std::string known;
    for (uint8_t kind = 0; kind < kFindingKinds; ++kind) {
      const std::string_view name = model::finding_kind_name(static_cast<model::FindingKind>(kind));
      if (name == word) bit = 1u << kind;
      known += (known.empty() ? "" : ", ") + std::string(name);
    }
    if (bit == 0)
      return Error{Code::kInvalidArgument, "unknown finding \"" + word.substr(0, 64) + "\"; known are " + known};
    findings |= bit;
  }
  return findings;
}

Result<store::TraceQuery> read_query(const QueryDeps& deps, const HttpRequest& request) {
  CLEW_TRY(check_parameters(request, kSearchParameters));
  store::TraceQuery query;
  query.tenant = model::tenant_id(request.tenant);
  std::vector<Expr> parts;
  if (const auto service = request.params().get("service"); service && !service->empty()) {
    parts.push_back(text_condition(Field::kService, {}, Op::kEq, *service));
  }
  if (const auto q = request.params().get("q"); q && !q->empty()) {
    Expr expr;
    CLEW_ASSIGN(expr, parse_traceql(*q));
    if (expr.kind != Expr::Kind::kLeaf || expr.field != Field::kTrue) parts.push_back(std::move(expr));
  }
  query.where = all_of(std::move(parts));
  CLEW_ASSIGN(query.states, states_of(request));
  CLEW_ASSIGN(query.findings, findings_of(request));
  TimeRange range;
  CLEW_ASSIGN(range, time_range(deps, request));
  query.from_ns = range.from_ns;
  query.to_ns = range.to_ns;
  CLEW_ASSIGN(query.limit, limit_param(request, "limit", kClewDefaultLimit, kClewMaxLimit));
  if (const auto cursor = request.params().get("cursor"); cursor && !cursor->empty()) {
    const auto after = store::decode_cursor(*cursor);
    if (!after)
      return Error{Code::kInvalidArgument,
                   "parameter 'cursor' is not one that a page of this search returned as 'next'"};
    query.after = *after;
  }
  return query;
}

HttpResponse search_reply(const cluster::SearchPage& page) {
  std::string body;
  JsonWriter json(body);
  json.open_object().key("hits").open_array();
  for (const store::TraceHit& hit : page.hits) {
    json.open_object().key("traceID").text(hit.key.trace.hex()).key("summary");
    append_summary_json(hit.summary, json);
    json.key("matched").unsigned_number(hit.matched).key("spans").open_array();
    for (const store::MatchedSpan& span : hit.spans) {
      json.open_object()
          .key("spanID")
          .text(span.id.hex())
          .key("service")
          .text(span.service)
          .key("name")
          .text(span.name);
      json.key("startTimeUnixNano").quoted_unsigned(static_cast<uint64_t>(span.start_ns));
      json.key("durationNano").quoted(span.duration_ns).close_object();
    }
    json.close_array().close_object();
  }
  json.close_array().key("next");
  if (page.more) {
    json.text(store::encode_cursor(page.next));
  } else {
    json.null();
  }
  json.close_object();
  return json_response(std::move(body));
}

void search(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  auto query = read_query(deps, *request);
  if (!query.ok()) return done(clew_failure(query.error()));
  deps.queries.search(std::move(*query), [done = std::move(done)](Result<cluster::SearchPage> page) mutable {
    done(page.ok() ? search_reply(*page) : clew_failure(page.error()));
  });
}

HttpResponse stats_reply(const cluster::NodeStats& stats) {
  std::string body;
  JsonWriter json(body);
  const auto count = [&](std::string_view name, uint64_t value) { json.key(name).quoted_unsigned(value); };
  json.open_object().key("ready").boolean(stats.ready).key("diskFull").boolean(stats.disk_full);
  json.key("ingest").open_object();
  count("acceptedSpans", stats.accepted_spans);
  count("duplicateSpans", stats.duplicate_spans);
  count("refusedRequests", stats.refused_requests);
  json.key("rejectedSpans").open_object();
  for (size_t reason = 1; reason < stats.rejected.size(); ++reason) {
    count(otlp::reject_name(static_cast<otlp::Reject>(reason)), stats.rejected[reason]);
  }
  json.close_object().close_object();
  json.key("traces").open_object();
  count("open", stats.open_traces);
  count("openRows", stats.open_rows);
  count("complete", stats.verdicts_complete);
  count("timedOut", stats.verdicts_timed_out);
  count("reopened", stats.reopened);
  json.close_object();
  json.key("memory").open_object();
  count("bytes", stats.memory_bytes);
  count("limitBytes", stats.memory_limit_bytes);
  json.close_object();
  json.key("wal").open_object();
  count("bytes", stats.wal_bytes);
  count("syncs", stats.wal_syncs);
  count("damagedRecords", stats.wal_damage);
  count("tornBytes", stats.wal_torn_bytes);
  json.close_object();
  json.key("store").open_object();
  count("segments", stats.store.segments);
  count("traces", stats.store.traces);
  count("spans", stats.store.spans);
  count("bytes", stats.store.bytes);
  count("damagedBlocks", stats.store.damaged_blocks);
  count("compactions", stats.store.compactions);
  count("expiredSegments", stats.store.expired_segments);
  json.key("oldestArrivalUnixNano").quoted(stats.store.oldest_arrival_ns);
  json.close_object().close_object();
  return json_response(std::move(body));
}

void config(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  std::string body;
  const std::string yaml =
      deps.configuration ? deps.configuration(request->tenant_only ? &request->tenant : nullptr) : std::string();
  JsonWriter(body).open_object().key("version").text(deps.version).key("yaml").text(yaml).close_object();
  done(json_response(std::move(body)));
}

void stats(const QueryDeps& deps, const RequestPtr&, HttpDone done) {
  deps.queries.stats([done = std::move(done)](Result<cluster::NodeStats> found) mutable {
    done(found.ok() ? stats_reply(*found) : clew_failure(found.error()));
  });
}

}  // namespace

void append_summary_json(const model::TraceSummary& summary, JsonWriter& json) {
  json.open_object();
  json.key("state")
      .text(model::trace_state_name(summary.state))
      .key("verdictVersion")
      .quoted_unsigned(summary.verdict_version);
  json.key("rootSpanID");
  if (summary.root.valid()) {
    json.text(summary.root.hex());
  } else {
    json.null();
  }
  json.key("rootService").text(summary.root_service).key("rootName").text(summary.root_name);
  json.key("startTimeUnixNano").quoted_unsigned(static_cast<uint64_t>(summary.start_ns));
  json.key("durationNano")
      .quoted(static_cast<int64_t>(static_cast<uint64_t>(summary.end_ns) - static_cast<uint64_t>(summary.start_ns)));
  json.key("spans").unsigned_number(summary.span_count).key("errors").unsigned_number(summary.error_count);
  json.key("orphans").unsigned_number(summary.orphan_count).key("services").unsigned_number(summary.service_count);
  json.close_object();
}

void append_verdict_json(const model::Verdict& verdict, JsonWriter& json) {
  json.open_object()
      .key("state")
      .text(model::trace_state_name(verdict.state))
      .key("version")
      .quoted_unsigned(verdict.version);
  json.key("sentence").text(model::verdict_sentence(verdict)).key("decidedUnixNano").quoted(verdict.decided_ns);
  json.key("basis");
  append_basis(verdict.basis, json);
  json.key("spans").unsigned_number(verdict.span_count).key("lateSpans").unsigned_number(verdict.late_spans);
  json.key("orphans").unsigned_number(verdict.orphan_count).key("roots").unsigned_number(verdict.root_count);
  json.key("missingParents");
  append_span_ids(verdict.missing_parents, json);
  json.key("findings").open_array();
  for (const model::Finding& finding : verdict.findings) {
    json.open_object()
        .key("kind")
        .text(model::finding_kind_name(finding.kind))
        .key("severity")
        .text(severity_name(finding.severity));
    json.key("count").unsigned_number(finding.count).key("spans");
    append_span_ids(finding.spans, json);
    json.key("detail").text(finding.detail).close_object();
  }
  json.close_array().key("skew").open_array();
  for (const model::SkewEstimate& skew : verdict.skew) {
    json.open_object().key("host").text(skew.host).key("reference").text(skew.reference);
    json.key("offsetNano").quoted(skew.offset_ns).key("boundNano").quoted(skew.bound_ns);
    json.key("edges").unsigned_number(skew.edges).close_object();
  }
  json.close_array().close_object();
}

void add_clew_routes(HttpRouter& router, const QueryDeps& deps) {
  const auto add = [&](std::string_view path, void (*handler)(const QueryDeps&, const RequestPtr&, HttpDone)) {
    router.add("GET", path,
               [deps, handler](const RequestPtr& request, HttpDone done) { handler(deps, request, std::move(done)); });
  };
  add("/clew/v1/traces/{id}", get_trace<whole_trace>);
  add("/clew/v1/traces/{id}/verdict", get_trace<verdict_only>);
  add("/clew/v1/search", search);
  add("/clew/v1/stats", stats);
  add("/clew/v1/config", config);
  add_clew_service_routes(router, deps);
  add_clew_name_routes(router, deps);
}

}  // namespace clew::api

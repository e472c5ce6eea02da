// A query service for tests of the HTTP APIs: a few traces made by hand; remembers the query it was asked.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/services.h"
#include "env/loop.h"
#include "store/matcher.h"

namespace clew::api {

class FixedClock final : public env::Clock {
 public:
  static constexpr int64_t kNow = 1'760'000'100'000'000'000;
  int64_t wall_ns() const override { return kNow; }
  int64_t mono_ns() const override { return 0; }
};

// "shop": three services, every kind of attribute, an event, a link, an orphan; timed out.
inline std::unique_ptr<model::TraceData> shop_trace() {
  using model::Attribute;
  using model::ValueType;
  constexpr int64_t kStart = 1'760'000'000'123'456'789;
  auto trace = std::make_unique<model::TraceData>();
  const model::TraceId id{0x0af7651916cd43dd, 0x8448eb211c80319c};
  trace->key = model::trace_key(model::tenant_id("default"), id);
  const auto text = [](std::string_view key, std::string_view value) {
    return Attribute{key, {ValueType::kString, value, 0, 0}};
  };
  model::Resource& web = trace->resources.emplace_back();
  web.attributes = {text("service.name", "web"), text("host.name", "host-1")};
  web.service_name = "web";
  model::Resource& cart = trace->resources.emplace_back();
  cart.attributes = {text("service.name", "cart"), Attribute{"process.pid", {ValueType::kInt, {}, 4711, 0}}};
  cart.service_name = "cart";
  model::Resource& nameless = trace->resources.emplace_back();
  model::Scope& scope = trace->scopes.emplace_back();
  scope.name = "io.example.http";
  scope.version = "1.2.3";
  model::Scope& bare = trace->scopes.emplace_back();

  model::Span root;
  root.id = {0x00f067aa0ba902b7};
  root.start_ns = kStart;
  root.end_ns = kStart + 42'000'500;
  root.kind = model::SpanKind::kServer;
  root.status = model::StatusCode::kOk;
  root.flags = 1;
  root.name = "GET /cart";
  root.trace_state = "vendor=1";
  root.resource = &web;
  root.scope = &scope;
  root.attributes = {text("http.method", "GET"), Attribute{"http.status_code", {ValueType::kInt, {}, 200, 0}},
                     Attribute{"cache.hit", {ValueType::kBool, {}, 1, 0}},
                     Attribute{"ratio", {ValueType::kDouble, {}, 0, 0.25}}, text("quote", "a \"b\"\n\\ </script>")};
  model::Span call;
  call.id = {0x1111111111111111};
  call.parent = root.id;
  call.start_ns = kStart + 1'000'000;
  call.end_ns = kStart + 31'000'000;
  call.kind = model::SpanKind::kClient;
  call.status = model::StatusCode::kError;
  call.status_message = "deadline exceeded";
  call.name = "cart.Get";
  call.resource = &cart;
  call.scope = &bare;
  call.events.push_back({kStart + 30'000'000, "exception", {text("exception.type", "Timeout")}, 0, {}});
  call.links.push_back({{1, 2}, {3}, "", {}, 0, 0, {}});
  model::Span orphan;
  orphan.id = {0x2222222222222222};
  orphan.parent = {0x3333333333333333};
  orphan.start_ns = kStart + 2'000'000;
  orphan.end_ns = kStart + 1'000'000;
  orphan.name = "lost";
  orphan.resource = &nameless;
  orphan.scope = &bare;
  trace->spans = {orphan, call, root};  // by arrival

  trace->summary.root = root.id;
  trace->summary.root_service = "web";
  trace->summary.root_name = "GET /cart";
  trace->summary.start_ns = kStart;
  trace->summary.end_ns = root.end_ns;
  trace->summary.span_count = 3;
  trace->summary.error_count = 1;
  trace->summary.orphan_count = 1;
  trace->summary.service_count = 2;
  trace->summary.state = model::TraceState::kTimedOut;
  trace->summary.verdict_version = 2;

  model::Verdict first;
  first.state = model::TraceState::kTimedOut;
  first.version = 1;
  first.decided_ns = kStart + 30'000'000'000;
  first.basis = model::kBasisQuiet | model::kBasisTimeout;
  first.span_count = 2;
  first.orphan_count = 2;
  model::Verdict second = first;
  second.version = 2;
  second.decided_ns = kStart + 60'000'000'000;
  second.basis = model::kBasisRoot | model::kBasisAcyclic | model::kBasisQuiet | model::kBasisTimeout;
  second.span_count = 3;
  second.late_spans = 1;
  second.orphan_count = 1;
  second.root_count = 1;
  second.missing_parents = {orphan.parent};
  second.findings.push_back(
      {model::FindingKind::kOrphan, model::Severity::kLoss, 1, {orphan.id}, "1 span names a parent that is not here"});
  second.findings.push_back(
      {model::FindingKind::kNegativeDuration, model::Severity::kWarning, 1, {orphan.id}, "ends before it starts"});
  second.skew.push_back({"host-2", "host-1", -1500, 200, 3});
  trace->history = {first, second};
  return trace;
}

// One span, complete, without anything special.
inline std::unique_ptr<model::TraceData> small_trace() {
  auto trace = std::make_unique<model::TraceData>();
  trace->key = model::trace_key(model::tenant_id("default"), {0, 0xabc});
  model::Resource& resource = trace->resources.emplace_back();
  resource.attributes = {{"service.name", {model::ValueType::kString, "batch", 0, 0}}};
  resource.service_name = "batch";
  model::Span span;
  span.id = {0xfeed};
  span.name = "run";
  span.start_ns = 1'760'000'050'000'000'000;
  span.end_ns = span.start_ns + 5'000'000;
  span.resource = &resource;
  span.scope = &trace->scopes.emplace_back();
  trace->spans = {span};
  trace->summary.root = span.id;
  trace->summary.root_service = "batch";
  trace->summary.root_name = "run";
  trace->summary.start_ns = span.start_ns;
  trace->summary.end_ns = span.end_ns;
  trace->summary.span_count = trace->summary.service_count = 1;
  trace->summary.state = model::TraceState::kComplete;
  trace->summary.verdict_version = 1;
  model::Verdict verdict;
  verdict.state = model::TraceState::kComplete;
  verdict.version = 1;
  verdict.decided_ns = span.end_ns + 5'000'000'000;
  verdict.basis = model::kBasisRoot | model::kBasisParents | model::kBasisQuiet | model::kBasisAcyclic;
  verdict.span_count = verdict.root_count = 1;
  trace->history = {verdict};
  return trace;
}

// The small one with its span `spans` times, under the id a11.
inline std::unique_ptr<model::TraceData> large_trace(uint64_t spans) {
  auto trace = small_trace();
  trace->key = model::trace_key(model::tenant_id("default"), {0, 0xa11});
  trace->spans.assign(spans, model::Span(trace->spans.front()));
  return trace;
}

class FakeQueries final : public cluster::QueryService {
 public:
  using Made = std::unique_ptr<model::TraceData> (*)();

  void trace(model::TenantId tenant, model::TraceId id, Done<std::unique_ptr<model::TraceData>> done) override {
    if (failing) return done(*failing);
    if (large_spans != 0 && id == model::TraceId{0, 0xa11}) return done(large_trace(large_spans));
    for (Made make : kTraces) {
      auto trace = make();
      if (trace->key == model::trace_key(tenant, id)) return done(std::move(trace));
    }
    done(Error{Code::kNotFound, "trace " + id.hex() + " is not known"});
  }
  void search(store::TraceQuery query, Done<cluster::SearchPage> done) override {
    if (failing) return done(*failing);
    cluster::SearchPage page;
    for (const auto& trace : found(query)) {
      store::TraceHit hit;
      hit.key = trace->key;
      hit.summary = trace->summary;
      for (const model::Span& span : trace->spans) {
        if (store::matches(query.where, span, trace->summary)) store::add_match(span, query, hit);
      }
      if (page.hits.size() == query.limit) {
        page.more = true;
        break;
      }
      page.hits.push_back(std::move(hit));
      page.next = {trace->summary.start_ns, trace->key.trace};
    }
    last = std::move(query);
    done(std::move(page));
  }
  void search_traces(store::TraceQuery query, cluster::TraceBounds, Done<cluster::FoundTraces> done) override {
    if (failing) return done(*failing);
    cluster::FoundTraces result;
    result.traces = found(query);
    if (result.traces.size() > query.limit) result.traces.resize(query.limit);
    result.found = result.traces.size();
    if (bounded && !result.traces.empty()) {
      result.traces.resize(1);
      result.bounded = true;
    }
    last = std::move(query);
    done(std::move(result));
  }
  void services(model::TenantId, int64_t, int64_t, store::NameFilter wanted, Done<store::Vocabulary> done) override {
    if (failing) return done(*failing);
    std::vector<std::string> names = {"", "batch", "cart", "web"};
    std::erase_if(names, [&](const std::string& name) { return !wanted.fits(name); });
    const bool truncated = wanted.bound(names);
    done(store::Vocabulary{std::move(names), truncated, {}});
  }
  void operations(model::TenantId, std::string service, store::NameFilter wanted,
                  Done<std::vector<Operation>> done) override {
    filter = wanted;
    if (service != "web") return done(std::vector<Operation>{});
    done(std::vector<Operation>{{"GET /cart", 2}, {"GET /cart", 3}, {"POST /cart", 2}});
  }
  void keys(model::TenantId, store::Field scope, store::NameFilter wanted, Done<store::Vocabulary> done) override {
    filter = wanted;
    if (scope == store::Field::kResource) return done(store::Vocabulary{{"host.name", "service.name"}, false, {}});
    done(store::Vocabulary{{"http.method", "http.status_code"}, false, {}});
  }
  void values(model::TenantId, store::Field field, std::string key, store::NameFilter wanted,
              Done<store::Vocabulary> done) override {
    filter = wanted;
    done(store::Vocabulary{{std::to_string(static_cast<int>(field)) + ":" + key}, false, {}});
  }
  void stats(Done<cluster::NodeStats> done) override {
    cluster::NodeStats stats;
    stats.accepted_spans = 1'000'000;
    stats.rejected[static_cast<size_t>(otlp::Reject::kTraceId)] = 3;
    stats.ready = true;
    stats.store.segments = 4;
    done(stats);
  }

  std::optional<Error> failing;  // what every query answers, when set
  bool bounded = false;          // searches for whole traces end at their bounds after one
  uint64_t large_spans = 0;      // trace a11 has as many; 0: there is none
  store::TraceQuery last;
  store::NameFilter filter;  // of the last list of names

 private:
  static constexpr Made kTraces[] = {small_trace, shop_trace};  // newest first

  std::vector<std::unique_ptr<model::TraceData>> found(const store::TraceQuery& query) {
    std::vector<std::unique_ptr<model::TraceData>> traces;
    for (Made make : kTraces) {
      auto trace = make();
      const model::TraceSummary& summary = trace->summary;
      if (trace->key.tenant != query.tenant || summary.start_ns < query.from_ns || summary.start_ns >= query.to_ns)
        continue;
      if (!(query.states >> static_cast<uint8_t>(summary.state) & 1)) continue;
      if (!store::newer(query.after.start_ns, query.after.trace, summary.start_ns, trace->key.trace)) continue;
      bool wanted = query.findings == 0, any = false;
      for (const model::Finding& finding : trace->history.back().findings) {
        wanted = wanted || (query.findings >> static_cast<uint8_t>(finding.kind) & 1);
      }
      for (const model::Span& span : trace->spans) any = any || store::matches(query.where, span, summary);
      if (wanted && any) traces.push_back(std::move(trace));
    }
    return traces;
  }
};

}  // namespace clew::api

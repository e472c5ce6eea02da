#include "trace/assess.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "trace/assess_impl.h"

namespace clew::trace {
namespace {

constexpr uint8_t kError = static_cast<uint8_t>(model::StatusCode::kError);

}  // namespace

void Assessor::Impl::check_clients(std::span<const std::string_view> names, PeerHistory& history, bool whole) {
  const size_t n = spans.size();
  mark.assign(n, 0);
  bool any = false;
  for (size_t i = 0; i < n; ++i) {
    any |= spans[i].kind == kClient;
    if (spans[i].kind == kServer && out->parent[i] >= 0) mark[static_cast<size_t>(out->parent[i])] = 1;
  }
  if (!any) return;
  for (size_t i = 0; i < n; ++i) {
    const SpanFacts& span = spans[i];
    // A call that failed may never have reached its server.
    if (span.kind != kClient || span.status == kError) continue;
    const std::string_view service = service_name(span.service);
    if (mark[i] == 0 && history.expects_server_child(service, names[i]))
      note(FindingKind::kClientWithoutServer, span.id);
  }
  // Learnt after judging, so that the order of spans does not matter, and only from traces that lost nothing else.
  if (!whole) return;
  for (size_t i = 0; i < n; ++i) {
    const SpanFacts& span = spans[i];
    if (span.kind == kClient && span.status != kError)
      history.learn(service_name(span.service), names[i], mark[i] != 0);
  }
}

Assessor::Assessor(Policy policy) : impl_(std::make_unique<Impl>(policy)) {}
Assessor::~Assessor() = default;

void Assessor::assess(std::span<const SpanFacts> spans, const Context& context, std::span<const std::string_view> names,
                      PeerHistory* history, Assessment& out) {
  Impl& m = *impl_;
  CHECK(spans.size() < static_cast<size_t>(std::numeric_limits<int32_t>::max()));
  CHECK(names.empty() || names.size() == spans.size());
  m.spans = spans;
  m.context = &context;
  m.out = &out;
  for (uint32_t kinds = m.noted_kinds; kinds != 0; kinds &= kinds - 1) {
    m.noted[static_cast<size_t>(__builtin_ctz(kinds))].clear();
  }
  m.noted_kinds = 0;
  m.missing.clear();
  m.self_parent = false;
  m.ends_after_waiting = 0;
  m.worst_before = m.worst_after = 0;
  m.skew_pairs = 0;
  m.host_count = 0;

  model::Verdict& verdict = out.verdict;
  verdict.version = 0;
  verdict.decided_ns = 0;
  verdict.basis = 0;
  verdict.span_count = static_cast<uint32_t>(spans.size());
  verdict.late_spans = 0;
  verdict.orphan_count = 0;
  verdict.root_count = 0;
  verdict.missing_parents.clear();
  verdict.findings.clear();
  verdict.skew.clear();
  out.root = -1;
  out.start_ns = out.end_ns = 0;

  m.index_ids();
  m.resolve_parents();
  m.find_cycles();
  out.offset_ns.assign(m.host_count, 0);
  if (verdict.root_count == 0) {
    m.noted_kinds |= 1u << static_cast<uint32_t>(FindingKind::kNoRoot);
  }
  std::sort(m.missing.begin(), m.missing.end());
  m.missing.erase(std::unique(m.missing.begin(), m.missing.end()), m.missing.end());
  const size_t listed = std::min(m.missing.size(), model::kMaxMissingParents);
  verdict.missing_parents.assign(m.missing.begin(), m.missing.begin() + static_cast<std::ptrdiff_t>(listed));

  if (!spans.empty()) m.judge_times();
  const bool limited = spans.size() > m.policy.max_spans;
  if (limited) {
    m.noted_kinds |= 1u << static_cast<uint32_t>(FindingKind::kTooManySpans);
  } else {
    m.check_edges();
    if (m.skew_pairs > 0) m.noted_kinds |= 1u << static_cast<uint32_t>(FindingKind::kClockSkew);
  }
  const bool acyclic = !m.has(FindingKind::kCycle) && !m.self_parent;
  const bool parents = verdict.orphan_count == 0 && !m.self_parent;
  const bool whole = verdict.root_count > 0 && parents && acyclic;
  const bool ask_clients = history != nullptr && !names.empty() && !limited;
  if (ask_clients) m.check_clients(names, *history, whole);
  m.write_findings();

  using model::TraceState, model::kBasisAcyclic, model::kBasisClientServer, model::kBasisNoDrops, model::kBasisParents,
      model::kBasisRoot;
  const bool clients = ask_clients && !m.has(FindingKind::kClientWithoutServer);
  verdict.basis = (verdict.root_count > 0 ? kBasisRoot : 0u) | (parents ? kBasisParents : 0u) |
                  (acyclic ? kBasisAcyclic : 0u) | (clients ? kBasisClientServer : 0u) |
                  (m.has(FindingKind::kDropsReported) ? 0u : kBasisNoDrops);
  verdict.state = whole && !m.has(FindingKind::kClientWithoutServer) ? TraceState::kComplete : TraceState::kCollecting;
}

}  // namespace clew::trace

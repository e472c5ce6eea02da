#include "trace/assess.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <tuple>

#include "base/check.h"
#include "base/hash.h"
#include "model/span.h"
#include "trace/skew.h"

namespace clew::trace {
namespace {

using model::Finding;
using model::FindingKind;
using model::Severity;
using model::SpanId;

constexpr int64_t kYear2000 = 946'684'800'000'000'000;
constexpr int64_t kDay = 86'400'000'000'000;
constexpr size_t kFindingKinds = static_cast<size_t>(FindingKind::kTooManySpans) + 1;
constexpr uint32_t kFlagSampled = 0x1, kFlagHasRemote = 0x100, kFlagRemote = 0x200;
constexpr uint8_t kClient = static_cast<uint8_t>(model::SpanKind::kClient);
constexpr uint8_t kServer = static_cast<uint8_t>(model::SpanKind::kServer);
constexpr uint8_t kProducer = static_cast<uint8_t>(model::SpanKind::kProducer);
constexpr uint8_t kConsumer = static_cast<uint8_t>(model::SpanKind::kConsumer);
constexpr uint8_t kError = static_cast<uint8_t>(model::StatusCode::kError);

std::string counted(uint64_t n, std::string_view one, std::string_view many) {
  return std::to_string(n) + ' ' + std::string(n == 1 ? one : many);
}

}  // namespace

struct Assessor::Impl {
  explicit Impl(Policy p) : policy(p) {}

  // One id of the table. `span` is the index of its only span, or ~(index into groups) when several spans have it.
  struct Cell {
    uint64_t id = 0;
    int32_t span = 0;
  };
  // The spans of one repeated id.
  struct Group {
    int32_t first = -1;   // by time and content
    int32_t client = -1;  // both are set when there are a CLIENT and a SERVER half
    int32_t server = -1;
    int32_t members = -1;  // head of the chain through next_member
  };

  const Policy policy;

  // Of the trace in hand.
  std::span<const SpanFacts> spans;
  const Context* context = nullptr;
  Assessment* out = nullptr;

  // Scratch.
  std::vector<Cell> table;
  size_t mask = 0;
  std::vector<Group> groups;
  std::vector<int32_t> next_member;
  std::vector<uint32_t> mark;
  std::vector<uint8_t> implausible;  // sized only when some span is
  std::vector<int64_t> times;
  std::vector<SpanId> missing;
  std::vector<int32_t> members;
  SkewEstimator skew;
  std::vector<SkewEdge> cross_edges;
  std::array<std::vector<SpanId>, kFindingKinds> noted;
  uint32_t noted_kinds = 0;

  // What the details of findings need.
  bool all_old = false;  // the trace as a whole lies before 2000
  bool self_parent = false;
  uint32_t ends_after_waiting = 0;  // kEndsAfterParent of a call that its caller waited for
  int64_t worst_before = 0, worst_after = 0;
  uint32_t skew_pairs = 0;
  uint32_t host_count = 0;

  void note(FindingKind kind, SpanId id) {
    noted[static_cast<size_t>(kind)].push_back(id);
    noted_kinds |= 1u << static_cast<uint32_t>(kind);
  }
  bool has(FindingKind kind) const { return (noted_kinds >> static_cast<uint32_t>(kind)) & 1; }

  std::string_view host_name(uint32_t host) const {
    return host < context->hosts.size() ? context->hosts[host] : std::string_view();
  }
  std::string_view service_name(uint32_t service) const {
    return service < context->services.size() ? context->services[service] : std::string_view();
  }
  // An order by content: spans that it calls equal are interchangeable.
  bool before(int32_t x, int32_t y) const {
    const SpanFacts& a = spans[static_cast<size_t>(x)];
    const SpanFacts& b = spans[static_cast<size_t>(y)];
    const auto key = [](const SpanFacts& f) {
      return std::make_tuple(f.start_ns, f.end_ns, f.id.value, f.parent.value, f.kind, f.status, f.flags);
    };
    const auto ka = key(a), kb = key(b);
    if (ka != kb) return ka < kb;
    const int by_service = service_name(a.service).compare(service_name(b.service));
    if (by_service != 0) return by_service < 0;
    return host_name(a.host) < host_name(b.host);
  }
  bool plausible(size_t i) const {
    return (implausible.empty() || implausible[i] == 0) && spans[i].end_ns >= spans[i].start_ns;
  }
  // A synchronous edge whose times can be held against each other.
  bool comparable(size_t child, int32_t parent) const {
    const auto p = static_cast<size_t>(parent);
    return spans[p].kind != kProducer && spans[child].kind != kConsumer && plausible(child) && plausible(p);
  }
  static bool waits(const SpanFacts& parent, const SpanFacts& child) {
    return parent.kind == kClient && child.kind == kServer;
  }

  Cell& cell_of(uint64_t id) {
    size_t i = mix64(policy.hash_seed, id) & mask;
    while (table[i].id != 0 && table[i].id != id) i = (i + 1) & mask;
    return table[i];
  }

  void index_ids();
  void settle_groups();
  int32_t parent_of(size_t i);
  void resolve_parents();
  void find_cycles();
  void judge_times();
  bool bounds_of(const SpanFacts& parent, const SpanFacts& child, SkewEdge& edge) const;
  uint32_t contradictions() const;
  void adjust_clocks();
  void check_edges();
  void check_flags(size_t i, int32_t parent);
  void check_clients(std::span<const std::string_view> names, PeerHistory& history, bool whole);
  void write_findings();
  Severity severity_of(FindingKind kind) const;
  std::string detail_of(FindingKind kind) const;
};

void Assessor::Impl::index_ids() {
  const size_t n = spans.size();
  size_t size = 16;
  while (size < n * 2) size *= 2;
  // A table grown for a huge trace is cleared only as far as this one needs it.
  if (table.size() < size) table.resize(size);
  std::fill_n(table.begin(), size, Cell{});
  mask = size - 1;
  groups.clear();
  next_member.clear();
  for (size_t i = 0; i < n; ++i) {
    const uint64_t id = spans[i].id.value;
    if (id == 0) {
      note(FindingKind::kInvalidId, spans[i].id);
      continue;
    }
    Cell& cell = cell_of(id);
    const auto index = static_cast<int32_t>(i);
    if (cell.id == 0) {
      cell = {id, index};
      continue;
    }
    if (next_member.empty()) next_member.assign(n, -1);
    if (cell.span >= 0) {
      groups.push_back({.first = cell.span, .members = cell.span});
      cell.span = ~static_cast<int32_t>(groups.size() - 1);
    }
    Group& group = groups[static_cast<size_t>(~cell.span)];
    next_member[i] = group.members;
    group.members = index;
  }
  if (!groups.empty()) settle_groups();
}

void Assessor::Impl::settle_groups() {
  for (Group& group : groups) {
    members.clear();
    for (int32_t i = group.members; i >= 0; i = next_member[static_cast<size_t>(i)]) members.push_back(i);
    int32_t client = -1, server = -1;
    for (const int32_t i : members) {
      const uint8_t kind = spans[static_cast<size_t>(i)].kind;
      if (before(i, group.first)) group.first = i;
      if (kind == kClient && (client < 0 || before(i, client))) client = i;
      if (kind == kServer && (server < 0 || before(i, server))) server = i;
    }
    const SpanId id = spans[static_cast<size_t>(group.first)].id;
    size_t extra = members.size() - 1;
    if (client >= 0 && server >= 0) {
      group.client = client;
      group.server = server;
      note(FindingKind::kSharedSpanId, id);
      --extra;
    }
    for (; extra > 0; --extra) note(FindingKind::kDuplicateId, id);
  }
}

// The rule of the header.
int32_t Assessor::Impl::parent_of(size_t i) {
  const SpanFacts& span = spans[i];
  if (!groups.empty() && span.kind == kServer && span.id.value != 0) {
    const Cell& own = cell_of(span.id.value);
    if (own.span < 0 && groups[static_cast<size_t>(~own.span)].client >= 0) {
      return groups[static_cast<size_t>(~own.span)].client;
    }
  }
  if (!span.parent.valid()) return Assessment::kRoot;
  if (span.parent == span.id) {
    self_parent = true;
    note(FindingKind::kInvalidId, span.id);
    return Assessment::kOrphan;
  }
  const Cell& cell = cell_of(span.parent.value);
  if (cell.id == 0) {
    note(FindingKind::kOrphan, span.id);
    missing.push_back(span.parent);
    return Assessment::kOrphan;
  }
  if (cell.span >= 0) return cell.span;
  const Group& group = groups[static_cast<size_t>(~cell.span)];
  if (group.client < 0) return group.first;
  const uint32_t client = spans[static_cast<size_t>(group.client)].service;
  const uint32_t server = spans[static_cast<size_t>(group.server)].service;
  return span.service == client && span.service != server ? group.client : group.server;
}

void Assessor::Impl::check_flags(size_t i, int32_t parent) {
  const SpanFacts& span = spans[i];
  const bool says = (span.flags & kFlagHasRemote) != 0, remote = (span.flags & kFlagRemote) != 0;
  bool odd = false;
  if (parent == Assessment::kRoot) {
    odd = says && remote;
  } else if (parent >= 0) {
    const SpanFacts& p = spans[static_cast<size_t>(parent)];
    odd = (p.flags != 0 && ((p.flags ^ span.flags) & kFlagSampled) != 0) ||
          (says && !remote && p.service != span.service);
  }
  if (odd) note(FindingKind::kFlagsInconsistent, span.id);
}

void Assessor::Impl::resolve_parents() {
  model::Verdict& verdict = out->verdict;
  const size_t n = spans.size();
  out->parent.resize(n);
  for (size_t i = 0; i < n; ++i) {
    const SpanFacts& span = spans[i];
    const int32_t parent = parent_of(i);
    out->parent[i] = parent;
    if (parent == Assessment::kRoot) {
      ++verdict.root_count;
      if (verdict.root_count > 1) note(FindingKind::kSeveralRoots, span.id);
      if (out->root < 0 || before(static_cast<int32_t>(i), out->root)) out->root = static_cast<int32_t>(i);
    }
    if (span.flags != 0) check_flags(i, parent);
    if (span.dropped) note(FindingKind::kDropsReported, span.id);
    if (span.end_ns < span.start_ns) note(FindingKind::kNegativeDuration, span.id);
    verdict.late_spans += span.late;
    host_count = std::max(host_count, span.host + 1);
  }
  verdict.orphan_count = static_cast<uint32_t>(noted[static_cast<size_t>(FindingKind::kOrphan)].size());
  if (verdict.root_count > 1) {
    // All of them are named, not those that happened to come later.
    auto& ids = noted[static_cast<size_t>(FindingKind::kSeveralRoots)];
    ids.clear();
    for (size_t i = 0; i < n; ++i) {
      if (out->parent[i] == Assessment::kRoot) ids.push_back(spans[i].id);
    }
  }
}

void Assessor::Impl::find_cycles() {
  // Every span is marked with the walk towards the root that reached it first; a walk that meets its own mark has
  // closed.
  const size_t n = spans.size();
  mark.assign(n, 0);
  const std::vector<int32_t>& parent = out->parent;
  for (size_t i = 0; i < n; ++i) {
    if (mark[i] != 0) continue;
    const auto walk = static_cast<uint32_t>(i + 1);
    auto at = static_cast<int32_t>(i);
    while (at >= 0 && mark[static_cast<size_t>(at)] == 0) {
      mark[static_cast<size_t>(at)] = walk;
      at = parent[static_cast<size_t>(at)];
    }
    if (at < 0 || mark[static_cast<size_t>(at)] != walk) continue;
    int32_t member = at;
    do {
      note(FindingKind::kCycle, spans[static_cast<size_t>(member)].id);
      member = parent[static_cast<size_t>(member)];
    } while (member != at);
  }
}

void Assessor::Impl::judge_times() {
  implausible.clear();
  all_old = false;
  int64_t low = std::numeric_limits<int64_t>::max(), high = std::numeric_limits<int64_t>::min(), latest_start = high;
  for (const SpanFacts& span : spans) {
    low = std::min({low, span.start_ns, span.end_ns});
    latest_start = std::max(latest_start, span.start_ns);
    high = std::max({high, span.start_ns, span.end_ns});
  }
  if (low >= kYear2000 && high - low <= kDay) {
    out->start_ns = low;
    out->end_ns = high;
    if (!has(FindingKind::kNegativeDuration)) return;
  }
  const size_t n = spans.size();
  times.resize(n);
  for (size_t i = 0; i < n; ++i) times[i] = spans[i].start_ns;
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>((n - 1) / 2);
  std::nth_element(times.begin(), middle, times.end());
  const int64_t median = *middle;
  all_old = median < kYear2000;
  implausible.assign(n, 0);
  bool any = false;
  for (size_t i = 0; i < n; ++i) {
    const SpanFacts& span = spans[i];
    const bool odd = std::abs(time_difference(span.start_ns, median)) > kDay ||
                     (!all_old && (span.start_ns < kYear2000 || span.end_ns < kYear2000));
    implausible[i] = odd;
    if (odd) note(FindingKind::kImplausibleTime, span.id);
    if (!plausible(i)) continue;
    out->start_ns = any ? std::min(out->start_ns, span.start_ns) : span.start_ns;
    out->end_ns = any ? std::max(out->end_ns, span.end_ns) : span.end_ns;
    any = true;
  }
  if (!any) {
    out->start_ns = low;
    out->end_ns = high;
  }
  if (all_old) {
    for (size_t i = 0; i < n; ++i) {
      if (implausible[i] == 0) note(FindingKind::kImplausibleTime, spans[i].id);
    }
  }
}

// Fills the bounds that an edge between two hosts sets; false when it is no evidence.
bool Assessor::Impl::bounds_of(const SpanFacts& parent, const SpanFacts& child, SkewEdge& edge) const {
  edge.parent_host = parent.host;
  edge.child_host = child.host;
  return skew_bounds({parent.start_ns, parent.end_ns}, {child.start_ns, child.end_ns}, waits(parent, child),
                     policy.skew_tolerance_ns, edge);
}

// Edges between hosts that no adjustment, or this one, leaves in contradiction to one clock.
uint32_t Assessor::Impl::contradictions() const {
  const int64_t tolerance = policy.skew_tolerance_ns;
  uint32_t count = 0;
  for (const SkewEdge& edge : cross_edges) {
    const int64_t shift = time_difference(out->offset_ns[edge.child_host], out->offset_ns[edge.parent_host]);
    count += shift < edge.low_ns - tolerance || shift > edge.high_ns + tolerance;
  }
  return count;
}

void Assessor::Impl::adjust_clocks() {
  cross_edges.clear();
  int32_t first = out->root >= 0 ? out->root : 0;
  for (size_t i = 0; i < spans.size(); ++i) {
    if (out->root < 0 && before(static_cast<int32_t>(i), first)) first = static_cast<int32_t>(i);
    const int32_t parent = out->parent[i];
    if (parent < 0) continue;
    const SpanFacts& child = spans[i];
    const SpanFacts& p = spans[static_cast<size_t>(parent)];
    if (p.host == child.host || !comparable(i, parent)) continue;
    SkewEdge edge;
    if (bounds_of(p, child, edge)) cross_edges.push_back(edge);
  }
  const uint32_t found = contradictions();
  if (found == 0) return;
  skew.clear();
  for (const SkewEdge& edge : cross_edges) skew.add(edge);
  skew_pairs = skew.solve(spans[static_cast<size_t>(first)].host, host_count, context->hosts, policy.skew_tolerance_ns,
                          out->offset_ns, out->verdict.skew);
  if (skew_pairs == 0 || contradictions() < found) return;
  // Clocks do not explain it: hosts in a ring that disagree, or work that no rule foresaw. Raw times are the better
  // guess.
  skew_pairs = 0;
  out->verdict.skew.clear();
  out->offset_ns.assign(host_count, 0);
}

void Assessor::Impl::check_edges() {
  const int64_t tolerance = policy.skew_tolerance_ns;
  const size_t n = spans.size();
  bool outside = false, outside_across = false;
  for (size_t i = 0; i < n; ++i) {
    const int32_t parent = out->parent[i];
    if (parent < 0) continue;
    const SpanFacts& child = spans[i];
    const SpanFacts& p = spans[static_cast<size_t>(parent)];
    if (child.start_ns >= p.start_ns && child.end_ns <= p.end_ns) continue;
    if (!comparable(i, parent)) continue;
    outside = true;
    outside_across |= p.host != child.host;
  }
  if (!outside) return;
  if (outside_across) adjust_clocks();
  for (size_t i = 0; i < n; ++i) {
    const int32_t parent = out->parent[i];
    if (parent < 0 || !comparable(i, parent)) continue;
    const SpanFacts& child = spans[i];
    const SpanFacts& p = spans[static_cast<size_t>(parent)];
    const int64_t shift = time_difference(out->offset_ns[child.host], out->offset_ns[p.host]);
    const int64_t before_by = time_difference(p.start_ns, child.start_ns) - shift;
    const int64_t after_by = time_difference(child.end_ns, p.end_ns) + shift;
    if (before_by > tolerance) {
      note(FindingKind::kStartsBeforeParent, child.id);
      worst_before = std::max(worst_before, before_by);
    }
    if (after_by <= tolerance) continue;
    if (time_difference(child.start_ns, p.end_ns) + shift > tolerance) {
      note(FindingKind::kStartsAfterParentEnd, child.id);
    } else {
      note(FindingKind::kEndsAfterParent, child.id);
      worst_after = std::max(worst_after, after_by);
      ends_after_waiting += waits(p, child);
    }
  }
}

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

Severity Assessor::Impl::severity_of(FindingKind kind) const {
  switch (kind) {
    case FindingKind::kNoRoot:
    case FindingKind::kOrphan:
    case FindingKind::kCycle:
    case FindingKind::kClientWithoutServer:
      return Severity::kLoss;
    case FindingKind::kInvalidId:
      return self_parent ? Severity::kLoss : Severity::kWarning;
    case FindingKind::kImplausibleTime:
      return all_old ? Severity::kInfo : Severity::kWarning;
    case FindingKind::kEndsAfterParent:
      return ends_after_waiting > 0 ? Severity::kWarning : Severity::kInfo;
    case FindingKind::kStartsAfterParentEnd:
    case FindingKind::kFlagsInconsistent:
    case FindingKind::kClockSkew:
    case FindingKind::kSharedSpanId:
      return Severity::kInfo;
    case FindingKind::kSeveralRoots:
    case FindingKind::kDuplicateId:
    case FindingKind::kNegativeDuration:
    case FindingKind::kStartsBeforeParent:
    case FindingKind::kDropsReported:
    case FindingKind::kTooManySpans:
      return Severity::kWarning;
  }
  return Severity::kWarning;
}

std::string Assessor::Impl::detail_of(FindingKind kind) const {
  const uint64_t n = noted[static_cast<size_t>(kind)].size();
  const auto spans_that = [n](std::string_view one, std::string_view many) {
    return counted(n, "span ", "spans ") + std::string(n == 1 ? one : many);
  };
  const auto microseconds = [](int64_t ns) { return std::to_string(ns / 1000) + " us"; };
  switch (kind) {
    case FindingKind::kNoRoot:
      return "no span without a parent: the start of the trace is missing";
    case FindingKind::kSeveralRoots:
      return spans_that("has", "have") + " no parent; a trace has one root";
    case FindingKind::kOrphan:
      return spans_that("names", "name") +
             " a parent that is not here; missing: " + counted(missing.size(), "span", "spans");
    case FindingKind::kCycle:
      return spans_that("is its own ancestor", "are their own ancestors");
    case FindingKind::kDuplicateId:
      return spans_that("has", "have") + " an id that another span of other content has; all are kept";
    case FindingKind::kInvalidId:
      return spans_that("names itself as its parent, or has no id", "name themselves as their parent, or have no id");
    case FindingKind::kNegativeDuration:
      return spans_that("ends before it starts", "end before they start");
    case FindingKind::kImplausibleTime:
      return all_old ? "the trace lies before the year 2000: made by hand?"
                     : spans_that("is", "are") + " dated before 2000 or more than a day from the others";
    case FindingKind::kStartsBeforeParent:
      return spans_that("starts before its parent", "start before their parents") +
             ", after skew adjustment, by up to " + microseconds(worst_before);
    case FindingKind::kEndsAfterParent:
      return spans_that("ends after its parent", "end after their parents") + ", after skew adjustment, by up to " +
             microseconds(worst_after);
    case FindingKind::kStartsAfterParentEnd:
      return spans_that("starts after its parent ended", "start after their parents ended") +
             ": work that was left to run";
    case FindingKind::kClientWithoutServer:
      return counted(n, "client span lacks", "client spans lack") + " the server span that usually answers";
    case FindingKind::kDropsReported:
      return spans_that("lost", "lost") + " attributes, events or links to the limits of the SDK";
    case FindingKind::kFlagsInconsistent:
      return spans_that("contradicts its parent", "contradict their parents") +
             " in the sampled flag, or where the parent ran in the remote flag";
    case FindingKind::kClockSkew:
      return "the clocks of " + counted(skew_pairs, "host pair differ", "host pairs differ");
    case FindingKind::kSharedSpanId:
      return counted(n, "call has", "calls have") + " one span id for the client and the server half";
    case FindingKind::kTooManySpans:
      return counted(spans.size(), "span", "spans") + ", above the limit of " + std::to_string(policy.max_spans) +
             ": times and clients were not checked";
  }
  return {};
}

void Assessor::Impl::write_findings() {
  for (size_t k = 0; k < kFindingKinds; ++k) {
    const auto kind = static_cast<FindingKind>(k);
    if (!has(kind)) continue;
    std::vector<SpanId>& ids = noted[k];
    Finding finding;
    finding.kind = kind;
    finding.severity = severity_of(kind);
    finding.detail = detail_of(kind);
    finding.count = static_cast<uint32_t>(kind == FindingKind::kClockSkew ? skew_pairs : ids.size());
    // The smallest ids, so that the choice does not depend on the order of arrival.
    const size_t shown = std::min(ids.size(), model::kMaxFindingSpans);
    std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(shown), ids.end());
    finding.spans.assign(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(shown));
    out->verdict.findings.push_back(std::move(finding));
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

  using namespace model;
  const bool clients = ask_clients && !m.has(FindingKind::kClientWithoutServer);
  verdict.basis = (verdict.root_count > 0 ? kBasisRoot : 0u) | (parents ? kBasisParents : 0u) |
                  (acyclic ? kBasisAcyclic : 0u) | (clients ? kBasisClientServer : 0u) |
                  (m.has(FindingKind::kDropsReported) ? 0u : kBasisNoDrops);
  verdict.state = whole && !m.has(FindingKind::kClientWithoutServer) ? TraceState::kComplete : TraceState::kCollecting;
}

}  // namespace clew::trace

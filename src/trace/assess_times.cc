// What the times of a trace say: which are plausible, what the clocks of its hosts differ by, who lies outside of whom.
#include <algorithm>
#include <cstdlib>
#include <limits>

#include "trace/assess_impl.h"

namespace clew::trace {
namespace {

constexpr int64_t kYear2000 = 946'684'800'000'000'000;
constexpr int64_t kDay = 86'400'000'000'000;

}  // namespace

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

}  // namespace clew::trace

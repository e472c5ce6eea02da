#include "trace/defects.h"

#include <algorithm>

#include "base/hash.h"

namespace clew::trace {
namespace {

uint64_t microseconds_between(int64_t later, int64_t earlier) {
  return (static_cast<uint64_t>(later) - static_cast<uint64_t>(earlier)) / 1000;
}

}  // namespace

void DefectCounter::add(std::span<const SpanFacts> trace, Defects& totals) {
  const size_t n = trace.size();
  if (n == 0) return;
  size_t size = 16;
  while (size < n * 2) size *= 2;
  if (table_.size() < size) table_.resize(size);
  std::fill_n(table_.begin(), size, Cell{});
  const size_t mask = size - 1;
  const auto cell_of = [&](uint64_t id) -> Cell& {
    size_t i = mix64(seed_, id) & mask;
    while (table_[i].spans != 0 && table_[i].id != id) i = (i + 1) & mask;
    return table_[i];
  };

  ++totals.traces;
  totals.spans += n;
  totals.max_spans_in_trace = std::max<uint64_t>(totals.max_spans_in_trace, n);
  for (size_t i = 0; i < n; ++i) {
    Cell& cell = cell_of(trace[i].id.value);
    totals.duplicate_span_ids += cell.spans > 0;
    totals.span_ids_seen_twice += cell.spans == 1;
    cell.id = trace[i].id.value;
    cell.last = static_cast<int32_t>(i);
    ++cell.spans;
  }

  parent_.assign(n, -1);
  uint64_t roots = 0, orphans = 0;
  for (size_t i = 0; i < n; ++i) {
    const SpanFacts& span = trace[i];
    totals.spans_zero_duration += span.end_ns == span.start_ns;
    totals.spans_negative_duration += span.end_ns < span.start_ns;
    if (!span.parent.valid()) {
      ++roots;
      continue;
    }
    Cell& cell = cell_of(span.parent.value);
    if (cell.spans == 0) {
      ++orphans;
      continue;
    }
    parent_[i] = cell.last;
    totals.max_children = std::max<uint64_t>(totals.max_children, ++cell.children);
    const SpanFacts& parent = trace[static_cast<size_t>(cell.last)];
    if (span.start_ns < parent.start_ns) {
      ++totals.children_start_before_parent;
      totals.children_start_before_parent_across_services += span.service != parent.service;
      totals.worst_start_before_parent_us =
          std::max(totals.worst_start_before_parent_us, microseconds_between(parent.start_ns, span.start_ns));
    }
    if (span.end_ns > parent.end_ns) {
      ++totals.children_end_after_parent;
      totals.children_start_after_parent_end += span.start_ns >= parent.end_ns;
      totals.worst_end_after_parent_us =
          std::max(totals.worst_end_after_parent_us, microseconds_between(span.end_ns, parent.end_ns));
    }
  }
  totals.orphan_spans += orphans;
  totals.traces_with_orphans += orphans > 0;
  totals.traces_without_root += roots == 0;
  totals.traces_with_several_roots += roots > 1;

  // Depths: walk up until a span whose depth is known, or the walk bites its own tail, then come back down.
  depth_.assign(n, 0);
  walk_.assign(n, 0);
  for (size_t i = 0; i < n; ++i) {
    if (depth_[i] != 0) continue;
    path_.clear();
    auto at = static_cast<int32_t>(i);
    const auto walk = static_cast<uint32_t>(i + 1);
    while (at >= 0 && depth_[static_cast<size_t>(at)] == 0 && walk_[static_cast<size_t>(at)] != walk) {
      walk_[static_cast<size_t>(at)] = walk;
      path_.push_back(at);
      at = parent_[static_cast<size_t>(at)];
    }
    if (at >= 0 && depth_[static_cast<size_t>(at)] == 0) {
      const auto start = std::find(path_.begin(), path_.end(), at);
      const auto around = static_cast<uint32_t>(path_.end() - start);
      for (auto it = start; it != path_.end(); ++it) depth_[static_cast<size_t>(*it)] = around;
      path_.erase(start, path_.end());
    }
    uint32_t depth = at < 0 ? 0 : depth_[static_cast<size_t>(at)];
    for (auto it = path_.rbegin(); it != path_.rend(); ++it) depth_[static_cast<size_t>(*it)] = ++depth;
    totals.max_depth = std::max<uint64_t>(totals.max_depth, depth_[i]);
  }
}

}  // namespace clew::trace

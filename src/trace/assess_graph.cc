// Whose parent is whose: the rule stands at the top of assess.h.
#include <algorithm>

#include "trace/assess_impl.h"

namespace clew::trace {
namespace {

constexpr uint32_t kFlagSampled = 0x1, kFlagHasRemote = 0x100, kFlagRemote = 0x200;

}  // namespace

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
    Group& group = groups[static_cast<uint32_t>(~cell.span)];
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
    if (own.span < 0 && groups[static_cast<uint32_t>(~own.span)].client >= 0) {
      return groups[static_cast<uint32_t>(~own.span)].client;
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
  const Group& group = groups[static_cast<uint32_t>(~cell.span)];
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

}  // namespace clew::trace

// The inside of an Assessor: what its steps share about the trace in hand. One step of assess() to a file:
//   assess_graph.cc     whose parent is whose: ids, groups of one id, orphans, cycles, flags
//   assess_times.cc     what the times say: plausible ones, clock skew, containment
//   assess_findings.cc  what was noted, as findings of the verdict
// Only for these files. Single-threaded; everything is scratch that the next trace reuses.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/hash.h"
#include "model/span.h"
#include "trace/assess.h"
#include "trace/skew.h"

namespace clew::trace {

using model::Finding;
using model::FindingKind;
using model::Severity;
using model::SpanId;

constexpr size_t kFindingKinds = static_cast<size_t>(FindingKind::kTooManySpans) + 1;
constexpr uint8_t kClient = static_cast<uint8_t>(model::SpanKind::kClient);
constexpr uint8_t kServer = static_cast<uint8_t>(model::SpanKind::kServer);
constexpr uint8_t kProducer = static_cast<uint8_t>(model::SpanKind::kProducer);
constexpr uint8_t kConsumer = static_cast<uint8_t>(model::SpanKind::kConsumer);

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

}  // namespace clew::trace

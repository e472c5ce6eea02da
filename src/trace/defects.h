// DefectCounter: raw counts over traces as their spans were sent: no skew adjustment, no tolerance, no judgement.
// For comparing data sets and converters ("how many children start before their parent?"). Whether a trace is whole,
// and which of these are asynchronous work or clocks apart, is what assess.h says.
//
// Definitions. A span's parent is the span of its trace with its parent id; where several share that id, the last of
// them in the order given. A root has no parent id; an orphan has one that no span has.
//   duplicate_span_ids                spans beyond the first with their id; span_ids_seen_twice counts such ids
//   children_start_before_parent      start < parent's start          (..._across_services: and their services differ)
//   children_end_after_parent         end > parent's end
//   children_start_after_parent_end   of those, start >= parent's end
//   max_depth                         spans on the longest way up from a span, the span included; a cycle counts once
//   around worst_*                           the largest such difference in microseconds, cut
// Linear, iterative. Scratch is reused; single-threaded.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trace/assess.h"

namespace clew::trace {

struct Defects {
  uint64_t traces = 0, spans = 0;
  uint64_t max_spans_in_trace = 0, max_depth = 0, max_children = 0;
  uint64_t orphan_spans = 0, traces_with_orphans = 0, traces_without_root = 0, traces_with_several_roots = 0;
  uint64_t duplicate_span_ids = 0, span_ids_seen_twice = 0;
  uint64_t spans_negative_duration = 0, spans_zero_duration = 0;
  uint64_t children_start_before_parent = 0, children_start_before_parent_across_services = 0;
  uint64_t children_end_after_parent = 0, children_start_after_parent_end = 0;
  uint64_t worst_start_before_parent_us = 0, worst_end_after_parent_us = 0;
  friend bool operator==(const Defects&, const Defects&) = default;
};

class DefectCounter {
 public:
  explicit DefectCounter(uint64_t hash_seed = 0) : seed_(hash_seed) {}
  // Adds one trace: all its spans in order of arrival, duplicates included.
  void add(std::span<const SpanFacts> trace, Defects& totals);

 private:
  struct Cell {
    uint64_t id = 0;
    int32_t last = -1;
    uint32_t spans = 0;
    uint32_t children = 0;
  };
  uint64_t seed_;
  std::vector<Cell> table_;
  std::vector<int32_t> parent_;
  std::vector<uint32_t> depth_;
  std::vector<uint32_t> walk_;
  std::vector<int32_t> path_;
};

}  // namespace clew::trace

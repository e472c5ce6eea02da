// SkewEstimator: how far the clocks of hosts were apart, from the spans of one trace.
//
// Each synchronous parent–child edge whose spans come from two hosts bounds the offset d that must be added to the child's
// times to read them on the parent's clock. A child runs inside its parent, so on one clock
//     start_p <= start_c + d   and   end_c + d <= end_p,   that is   start_p - start_c <= d <= end_p - end_c.
// This is the argument of NTP's four timestamps (Mills, RFC 5905 §8: offset is known to within half the round trip), with
// the parent's two as the outer pair. Edges in the other direction bound -d. All edges of a host pair are intersected:
//   - an edge whose child lasts longer than its parent fits no d: it is asynchronous work, no evidence, and left out;
//   - 0 fits all of them, or at least half where they contradict each other: no adjustment, no estimate;
//   - they have a common interval: its middle is the estimate, its half-width the bound (the least possible worst error);
//   - they contradict each other: the interval that the most edges agree on (Marzullo's algorithm, as NTP selects among
//     clocks; of equals the one nearest 0), and the bound grows to half the width of the contradiction.
// Pairs are chained from the reference host outwards, breadth first, names deciding among equals.
// The outcome depends on names, not on host numbers or on the order of edges. O(e log e) in edges that cross hosts; the
// caller asks only when containment fails somewhere, so usual traces pay nothing. Scratch is reused. Single-threaded.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "model/summary.h"

namespace clew::trace {

constexpr size_t kMaxSkewEstimates = 64;  // that one verdict lists

struct SkewEdge {
  uint32_t parent_host = 0, child_host = 0;  // different
  int64_t low_ns = 0;                        // start_p - start_c
  int64_t high_ns = 0;                       // end_p - end_c
};

class SkewEstimator {
 public:
  void clear() { edges_.clear(); }
  void add(const SkewEdge& edge) { edges_.push_back(edge); }

  // `names` by host number; where it is too short, a host is called by its number. Writes per host the offset that reads
  // its times on the clock of `reference`, and the estimates other than zero, by host and reference, at most
  // kMaxSkewEstimates. Returns how many there are.
  uint32_t solve(uint32_t reference, uint32_t hosts, std::span<const std::string_view> names, int64_t tolerance_ns,
                 std::vector<int64_t>& offset_ns, std::vector<model::SkewEstimate>& estimates);

 private:
  struct Pair {
    uint32_t a = 0, b = 0;   // ranks by name, a < b
    int64_t offset_ns = 0;   // added to b's times: a's clock
    int64_t bound_ns = 0;
    uint32_t edges = 0;
  };
  bool estimate(std::span<const SkewEdge> edges, int64_t tolerance_ns, Pair& out);

  std::vector<SkewEdge> edges_;
  std::vector<Pair> pairs_;
  struct Endpoint {
    int64_t at = 0;
    bool closes = false;
  };
  std::vector<Endpoint> endpoints_;
  std::vector<uint32_t> by_rank_, rank_, first_, neighbour_, queue_, depth_;
};

}  // namespace clew::trace

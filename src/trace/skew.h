// SkewEstimator: how far the clocks of hosts were apart, from the spans of one trace.
//
// Each synchronous parent–child edge whose spans come from two hosts bounds the offset d that must be added to the
// child's times to read them on the parent's clock:
//     start_p <= start_c + d    a cause precedes its effect                          d >= start_p - start_c
//     end_c + d <= end_p        a caller that waits ends after what it called        d <= end_p - end_c
// This is the argument of NTP's four timestamps (Mills, RFC 5905 §8: the offset is known to within half the round
// trip), with the parent's two as the outer pair. The first holds for every edge. The second is a law only for a CLIENT
// and its SERVER whose span is not the longer one; other work may outlive its parent, so there it limits an adjustment
// but never asks for one, and an edge that breaks it is held only to starting before its parent ended (`skew_bounds`).
// Edges in the other direction bound -d. All edges of a host pair are intersected:
//   - 0 fits all of them, or at least half where they contradict each other: no adjustment, no estimate;
//   - they have a common interval: the point of it that is nearest 0. Clocks are usually kept by NTP, so the least
//   offset
//     that explains the spans is the most likely one; the middle would charge the network's way there to the clock;
//   - they contradict each other: the interval that the most edges agree on (Marzullo's algorithm, as NTP selects among
//     clocks; of equals the one nearest 0), and the bound grows to half the width of the contradiction.
// The true offset lies between the estimate and the estimate plus twice the bound, away from 0.
// Pairs are chained from the reference host outwards, breadth first, names deciding among equals.
// The outcome depends on names, not on host numbers or on the order of edges. O(e log e) in edges that cross hosts; the
// caller asks only when containment fails somewhere, so usual traces pay nothing. Scratch is reused. Single-threaded.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "model/summary.h"

namespace clew::trace {

constexpr size_t kMaxSkewEstimates = 64;  // that one verdict lists

struct SkewEdge {
  uint32_t parent_host = 0, child_host = 0;  // different
  int64_t low_ns = 0;                        // of the offset of the child's host; low <= high
  int64_t high_ns = 0;
};

// Differences of times are clamped to this, so that sums of a few of them stay in range.
constexpr int64_t kFarNs = std::numeric_limits<int64_t>::max() / 8;
inline int64_t time_difference(int64_t a, int64_t b) {
  int64_t d;
  if (__builtin_sub_overflow(a, b, &d)) return a < b ? -kFarNs : kFarNs;
  return std::clamp(d, -kFarNs, kFarNs);
}

struct Interval {
  int64_t start_ns = 0, end_ns = 0;  // start <= end
};
// Fills the bounds that an edge sets; false when it is no evidence. `waits`: the parent is the CLIENT, the child its
// SERVER.
bool skew_bounds(Interval parent, Interval child, bool waits, int64_t tolerance_ns, SkewEdge& edge);

class SkewEstimator {
 public:
  void clear() { edges_.clear(); }
  void add(const SkewEdge& edge) { edges_.push_back(edge); }

  // `names` by host number; where it is too short, a host is called by its number. Writes per host the offset that
  // reads its times on the clock of `reference`, and the estimates other than zero, by host and reference, at most
  // kMaxSkewEstimates. Returns how many there are.
  uint32_t solve(uint32_t reference, uint32_t hosts, std::span<const std::string_view> names, int64_t tolerance_ns,
                 std::vector<int64_t>& offset_ns, std::vector<model::SkewEstimate>& estimates);

 private:
  struct Pair {
    uint32_t a = 0, b = 0;  // ranks by name, a < b
    int64_t offset_ns = 0;  // added to b's times: a's clock
    int64_t bound_ns = 0;
    uint32_t edges = 0;
  };
  void estimate(std::span<const SkewEdge> edges, int64_t tolerance_ns, Pair& out);

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

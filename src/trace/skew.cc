#include "trace/skew.h"

#include <algorithm>
#include <limits>
#include <string>
#include <tuple>

#include "base/check.h"

namespace clew::trace {
namespace {

constexpr uint32_t kUnreached = std::numeric_limits<uint32_t>::max();

int64_t distance_to_zero(int64_t low, int64_t high) { return low > 0 ? low : high < 0 ? -high : 0; }
int64_t nearest_to_zero(int64_t low, int64_t high) { return std::clamp<int64_t>(0, low, high); }
bool holds_zero(const SkewEdge& edge, int64_t tolerance) {
  return edge.low_ns <= tolerance && edge.high_ns >= -tolerance;
}

}  // namespace

bool skew_bounds(Interval parent, Interval child, bool waits, int64_t tolerance_ns, SkewEdge& edge) {
  edge.low_ns = time_difference(parent.start_ns, child.start_ns);
  edge.high_ns = time_difference(parent.end_ns, child.end_ns);
  if (edge.high_ns >= edge.low_ns && (waits || edge.high_ns >= -tolerance_ns)) return true;
  // It outlives its parent, which did not wait for it: all that is known is that its parent started it.
  edge.high_ns = time_difference(parent.end_ns, child.start_ns);
  return edge.high_ns >= -tolerance_ns && edge.high_ns >= edge.low_ns;
}

// All edges have parent_host = a, child_host = b.
void SkewEstimator::estimate(std::span<const SkewEdge> edges, int64_t tolerance_ns, Pair& out) {
  int64_t low = std::numeric_limits<int64_t>::min(), high = std::numeric_limits<int64_t>::max();
  uint32_t accept_zero = 0;
  for (const SkewEdge& edge : edges) {
    accept_zero += holds_zero(edge, tolerance_ns);
    low = std::max(low, edge.low_ns);
    high = std::min(high, edge.high_ns);
  }
  out.edges = static_cast<uint32_t>(edges.size());
  out.offset_ns = 0;
  out.bound_ns = 0;
  if (accept_zero == edges.size()) return;
  if (low <= high) {
    out.offset_ns = nearest_to_zero(low, high);
    out.bound_ns = (high - low + 1) / 2;
    return;
  }
  if (accept_zero * 2 >= edges.size()) return;

  endpoints_.clear();
  for (const SkewEdge& edge : edges) {
    endpoints_.push_back({edge.low_ns, false});
    endpoints_.push_back({edge.high_ns, true});
  }
  std::sort(endpoints_.begin(), endpoints_.end(),
            [](const Endpoint& x, const Endpoint& y) { return std::tie(x.at, x.closes) < std::tie(y.at, y.closes); });
  uint32_t depth = 0, best = 0;
  int64_t best_low = 0, best_high = 0;
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    if (endpoints_[i].closes) {
      --depth;
      continue;
    }
    ++depth;
    // The last opening before a closing is where the most edges of this stretch agree.
    if (!endpoints_[i + 1].closes) continue;
    const int64_t from = endpoints_[i].at, to = endpoints_[i + 1].at;
    if (depth > best || (depth == best && distance_to_zero(from, to) < distance_to_zero(best_low, best_high))) {
      best = depth;
      best_low = from;
      best_high = to;
    }
  }
  out.offset_ns = nearest_to_zero(best_low, best_high);
  out.bound_ns = std::max(best_high - best_low, low - high) / 2;
}

uint32_t SkewEstimator::solve(uint32_t reference, uint32_t hosts, std::span<const std::string_view> names,
                              int64_t tolerance_ns, std::vector<int64_t>& offset_ns,
                              std::vector<model::SkewEstimate>& estimates) {
  CHECK(reference < hosts);
  const auto name = [&](uint32_t host) { return host < names.size() ? names[host] : std::string_view(); };
  by_rank_.resize(hosts);
  rank_.resize(hosts);
  for (uint32_t h = 0; h < hosts; ++h) by_rank_[h] = h;
  std::sort(by_rank_.begin(), by_rank_.end(), [&](uint32_t x, uint32_t y) {
    const int order = name(x).compare(name(y));
    return order != 0 ? order < 0 : x < y;
  });
  for (uint32_t r = 0; r < hosts; ++r) rank_[by_rank_[r]] = r;

  // Every edge read as one from the host of lower rank to the other; sorting makes each pair a run.
  for (SkewEdge& edge : edges_) {
    edge.parent_host = rank_[edge.parent_host];
    edge.child_host = rank_[edge.child_host];
    if (edge.parent_host > edge.child_host) {
      std::swap(edge.parent_host, edge.child_host);
      const int64_t low = edge.low_ns;
      edge.low_ns = -edge.high_ns;
      edge.high_ns = -low;
    }
  }
  std::sort(edges_.begin(), edges_.end(), [](const SkewEdge& x, const SkewEdge& y) {
    return std::tie(x.parent_host, x.child_host, x.low_ns, x.high_ns) <
           std::tie(y.parent_host, y.child_host, y.low_ns, y.high_ns);
  });
  pairs_.clear();
  for (size_t i = 0; i < edges_.size();) {
    size_t end = i;
    while (end < edges_.size() && edges_[end].parent_host == edges_[i].parent_host &&
           edges_[end].child_host == edges_[i].child_host) {
      ++end;
    }
    Pair pair{.a = edges_[i].parent_host, .b = edges_[i].child_host};
    estimate(std::span(edges_).subspan(i, end - i), tolerance_ns, pair);
    pairs_.push_back(pair);
    i = end;
  }

  // Neighbours of each rank, in order of rank: pairs of x as `a` come sorted by b, as `b` sorted by a.
  first_.assign(hosts + 1, 0);
  for (const Pair& pair : pairs_) {
    ++first_[pair.a + 1];
    ++first_[pair.b + 1];
  }
  for (uint32_t r = 0; r < hosts; ++r) first_[r + 1] += first_[r];
  neighbour_.resize(pairs_.size() * 2);
  queue_.assign(first_.begin(), first_.end());
  for (uint32_t p = 0; p < pairs_.size(); ++p) neighbour_[queue_[pairs_[p].b]++] = p;  // lower ranks first
  for (uint32_t p = 0; p < pairs_.size(); ++p) neighbour_[queue_[pairs_[p].a]++] = p;

  offset_ns.assign(hosts, 0);
  depth_.assign(hosts, kUnreached);
  queue_.clear();
  queue_.push_back(rank_[reference]);
  depth_[rank_[reference]] = 0;
  for (size_t next = 0; next < queue_.size(); ++next) {
    const uint32_t from = queue_[next];
    for (uint32_t k = first_[from]; k < first_[from + 1]; ++k) {
      const Pair& pair = pairs_[neighbour_[k]];
      const uint32_t to = pair.a == from ? pair.b : pair.a;
      if (depth_[to] != kUnreached) continue;
      depth_[to] = depth_[from] + 1;
      const int64_t step = pair.a == from ? pair.offset_ns : -pair.offset_ns;
      int64_t sum;
      if (__builtin_add_overflow(offset_ns[by_rank_[from]], step, &sum)) sum = 0;
      offset_ns[by_rank_[to]] = sum;
      queue_.push_back(to);
    }
  }

  estimates.clear();
  uint32_t count = 0;
  const auto text = [&](uint32_t host) {
    return host < names.size() ? std::string(names[host]) : "host " + std::to_string(host);
  };
  for (const Pair& pair : pairs_) {
    if (pair.offset_ns == 0) continue;
    ++count;
    if (estimates.size() == kMaxSkewEstimates) continue;
    // Told from the side nearer to the reference.
    const bool b_is_far = depth_[pair.a] <= depth_[pair.b];
    estimates.push_back({text(by_rank_[b_is_far ? pair.b : pair.a]), text(by_rank_[b_is_far ? pair.a : pair.b]),
                         b_is_far ? pair.offset_ns : -pair.offset_ns, pair.bound_ns, pair.edges});
  }
  std::sort(estimates.begin(), estimates.end(), [](const model::SkewEstimate& x, const model::SkewEstimate& y) {
    return std::tie(x.host, x.reference) < std::tie(y.host, y.reference);
  });
  return count;
}

}  // namespace clew::trace

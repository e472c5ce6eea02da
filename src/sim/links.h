// Links: the condition of the network between simulated machines: shared by datagrams (sim/mesh.h) and byte streams
// (sim/network.h), so that a partition cuts both.
//
// Every ordered pair of machines is one link, with its own generator: what one link draws does not depend on the
// traffic of the others, so that a plan with a part of its faults removed stays close to the original. Cuts and clogs
// are counted, so that overlapping faults compose: a link is up again when the last of them ended.
//   cut:  nothing passes. Datagrams are lost; streams stall, and fail when it lasts.
//   clog: nothing passes until it is released; then everything at once.
// One-way and partial partitions are cuts of some ordered pairs. Weather is what happens to single packets.
// Draws are integer arithmetic: the same on every machine. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/random.h"
#include "sim/trace.h"

namespace clew::sim {

struct Weather {
  int64_t delay_min_ns = 100'000;
  int64_t delay_spread_ns = 400'000;  // uniform above the minimum
  uint32_t straggler_ppm = 0;         // packets that take a multiple of that: reordering, when not `fifo`
  int64_t straggler_ns = 20'000'000;  // uniform, on top
  uint32_t loss_ppm = 0;
  uint32_t duplicate_ppm = 0;
  uint32_t corrupt_ppm = 0;
  bool fifo = false;  // packets of one link keep their order, as over one connection
};

class Links {
 public:
  Links(size_t nodes, uint64_t seed);
  size_t nodes() const { return nodes_; }

  Weather& weather() { return weather_; }
  const Weather& weather() const { return weather_; }

  // From every machine of `from` to every other one of `to`. End with the same sets.
  void cut(NodeMask from, NodeMask to);
  void mend(NodeMask from, NodeMask to);
  void clog(NodeMask from, NodeMask to);
  void release(NodeMask from, NodeMask to);
  void slow(NodeMask from, NodeMask to, int64_t extra_delay_ns);  // negative: ends
  void heal();  // no cut, no clog, no extra delay; the weather is the caller's

  bool up(NodeIndex from, NodeIndex to) const { return link(from, to).cuts == 0; }
  bool clogged(NodeIndex from, NodeIndex to) const { return link(from, to).clogs != 0; }
  Generator& random(NodeIndex from, NodeIndex to) { return link(from, to).random; }
  int64_t draw_delay(NodeIndex from, NodeIndex to);
  bool draw(NodeIndex from, NodeIndex to, uint32_t ppm) {
    return ppm != 0 && link(from, to).random.below(1'000'000) < ppm;
  }
  // Called for each link whose last cut or clog ended, in the order of (from, to).
  void on_open(std::function<void(NodeIndex from, NodeIndex to)> listener) {
    listeners_.push_back(std::move(listener));
  }

 private:
  struct Link {
    Generator random{0};
    int64_t extra_delay_ns = 0;
    uint32_t cuts = 0;
    uint32_t clogs = 0;
  };
  Link& link(NodeIndex from, NodeIndex to) { return links_[at(from) * nodes_ + at(to)]; }
  const Link& link(NodeIndex from, NodeIndex to) const { return links_[at(from) * nodes_ + at(to)]; }
  template <typename F>
  void each(NodeMask from, NodeMask to, F change);

  size_t nodes_;
  Weather weather_;
  std::vector<Link> links_;
  std::vector<std::function<void(NodeIndex, NodeIndex)>> listeners_;
};

}  // namespace clew::sim

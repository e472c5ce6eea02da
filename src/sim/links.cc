#include "sim/links.h"

#include "base/check.h"

namespace clew::sim {

Links::Links(size_t nodes, uint64_t seed) : nodes_(nodes), links_(nodes * nodes) {
  CHECK(nodes >= 1 && nodes <= kMaxNodes);
  for (size_t i = 0; i < links_.size(); ++i) links_[i].random = Generator(mix64(seed, i));
}

template <typename F>
void Links::each(NodeMask from, NodeMask to, F change) {
  for (size_t a = 0; a < nodes_; ++a) {
    for (size_t b = 0; b < nodes_; ++b) {
      const NodeIndex source{static_cast<uint32_t>(a)}, target{static_cast<uint32_t>(b)};
      if (a == b || !contains(from, source) || !contains(to, target)) continue;
      Link& changed = link(source, target);
      const bool was_open = changed.cuts == 0 && changed.clogs == 0;
      change(changed);
      if (was_open || changed.cuts != 0 || changed.clogs != 0) continue;
      for (const auto& listener : listeners_) listener(source, target);
    }
  }
}

void Links::cut(NodeMask from, NodeMask to) {
  each(from, to, [](Link& link) { ++link.cuts; });
}
void Links::mend(NodeMask from, NodeMask to) {
  each(from, to, [](Link& link) { link.cuts -= link.cuts != 0; });
}
void Links::clog(NodeMask from, NodeMask to) {
  each(from, to, [](Link& link) { ++link.clogs; });
}
void Links::release(NodeMask from, NodeMask to) {
  each(from, to, [](Link& link) { link.clogs -= link.clogs != 0; });
}
void Links::slow(NodeMask from, NodeMask to, int64_t extra_delay_ns) {
  each(from, to, [&](Link& link) {
    link.extra_delay_ns += extra_delay_ns;
    if (link.extra_delay_ns < 0) link.extra_delay_ns = 0;
  });
}
void Links::heal() {
  each(all_of(nodes_), all_of(nodes_), [](Link& link) {
    link.cuts = link.clogs = 0;
    link.extra_delay_ns = 0;
  });
}

int64_t Links::draw_delay(NodeIndex from, NodeIndex to) {
  Link& drawn = link(from, to);
  int64_t delay = weather_.delay_min_ns + drawn.extra_delay_ns;
  if (weather_.delay_spread_ns > 0) delay += drawn.random.below(static_cast<uint64_t>(weather_.delay_spread_ns));
  if (draw(from, to, weather_.straggler_ppm)) {
    delay += drawn.random.below(static_cast<uint64_t>(weather_.straggler_ns) + 1);
  }
  return delay;
}

}  // namespace clew::sim

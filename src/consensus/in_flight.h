// What is on its way to one peer and not yet acknowledged: the window of optimistic pipelining, bounded in messages and
// bytes. Pure; one thread. Amortised O(1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "consensus/types.h"

namespace clew::consensus {

struct WindowLimits {
  size_t messages = 256;
  uint64_t bytes = 4ull << 20;
};

class InFlightWindow {
 public:
  explicit InFlightWindow(WindowLimits limits) : limits_(limits) {}

  bool full() const { return !sent_.empty() && (sent_.size() >= limits_.messages || bytes_ >= limits_.bytes); }
  // A message whose last position is `last`. Only when !full(): one message always fits, however large.
  void sent(Position last, uint64_t bytes);
  // Everything up to `position` arrived; older acknowledgements come late and change nothing.
  void acknowledged(Position position);
  void clear();
  size_t messages() const { return sent_.size(); }
  uint64_t bytes() const { return bytes_; }

 private:
  struct Sent {
    Position last;
    uint64_t bytes;
  };
  WindowLimits limits_;
  std::deque<Sent> sent_;
  uint64_t bytes_ = 0;
};

}  // namespace clew::consensus

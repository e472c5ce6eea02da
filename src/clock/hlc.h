// Hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", OPODIS 2014, figure 5).
//
// One 64-bit number: the upper 48 bits are wall-clock milliseconds since 1970, the lower 16 a logical counter. It never
// goes back, is at least the physical time, and e happened before f implies hlc(e) < hlc(f). A remote value further
// ahead than `max_drift_ms` is refused, so that one broken clock cannot drag the fleet into the future. A full counter
// moves the millisecond on. Pure: the caller passes physical time. Single-threaded.
#pragma once

#include <cstdint>

#include "base/status.h"

namespace clew::clock {

constexpr uint64_t hlc_of(int64_t wall_ns) {
  return wall_ns <= 0 ? 0 : static_cast<uint64_t>(wall_ns / 1'000'000) << 16;
}
constexpr int64_t hlc_wall_ms(uint64_t hlc) { return static_cast<int64_t>(hlc >> 16); }
// Beyond the year 2262, where nanoseconds no longer fit: INT64_MAX.
constexpr int64_t hlc_wall_ns(uint64_t hlc) {
  return hlc_wall_ms(hlc) > INT64_MAX / 1'000'000 ? INT64_MAX : hlc_wall_ms(hlc) * 1'000'000;
}

class HybridClock {
 public:
  explicit HybridClock(int64_t max_drift_ms = 60'000) : max_drift_ms_(max_drift_ms) {}
  uint64_t now(int64_t wall_ns);                              // a local or send event
  Result<uint64_t> update(int64_t wall_ns, uint64_t remote);  // a receive event
  void restore(uint64_t last) {
    if (last > last_) last_ = last;
  }  // after a restart: never below what was given out
  uint64_t last() const { return last_; }

 private:
  int64_t max_drift_ms_;
  uint64_t last_ = 0;
};

}  // namespace clew::clock

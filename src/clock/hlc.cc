#include "clock/hlc.h"

#include <algorithm>
#include <string>

namespace clew::clock {

uint64_t HybridClock::now(int64_t wall_ns) {
  // The counter lives in the low bits, so "+1" carries into the millisecond when it is full.
  last_ = std::max(hlc_of(wall_ns), last_ + 1);
  return last_;
}

Result<uint64_t> HybridClock::update(int64_t wall_ns, uint64_t remote) {
  const int64_t ahead_ms = hlc_wall_ms(remote) - wall_ns / 1'000'000;  // in ms: 48 bits of them do not fit in ns
  if (ahead_ms > max_drift_ms_) {
    return Error{Code::kOutOfRange, "remote clock is " + std::to_string(ahead_ms) +
                                        " ms ahead, more than the allowed " + std::to_string(max_drift_ms_) +
                                        " ms; check NTP on both hosts"};
  }
  last_ = std::max({hlc_of(wall_ns), last_ + 1, remote + 1});
  return last_;
}

}  // namespace clew::clock

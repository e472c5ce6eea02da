// GroupTime: what a member takes replicated time (Applied::time_ns) to be now: its wall clock, and never less than the
// newest time that it proposed or saw applied and what has passed here since then. So a wall clock that is set back
// holds nobody's time up: replicated time goes on at the rate of the monotonic clock. One that is set forward takes
// replicated time along, once and for all; who promised spans of time in it looks out for that (control/lease_duty.h).
//
// On the replica's loop. O(1).
#pragma once

#include <algorithm>
#include <cstdint>

#include "consensus/planted.h"
#include "env/loop.h"

namespace clew::consensus {

class GroupTime {
 public:
  explicit GroupTime(const env::Clock& clock) : clock_(clock), seen_at_(clock.mono_ns()) {}

  int64_t now_ns() const {
    return std::max({int64_t{0}, clock_.wall_ns(), planted(Bug::kLeaseWaitsForClock) ? 0 : expected_ns()});
  }
  // For a command that is proposed now.
  int64_t propose_ns() {
    const int64_t now = now_ns();
    see(now);
    return now;
  }
  void applied(int64_t time_ns) {
    if (time_ns > expected_ns()) see(time_ns);
  }

 private:
  int64_t expected_ns() const { return seen_ns_ + (clock_.mono_ns() - seen_at_); }
  void see(int64_t time_ns) {
    seen_ns_ = time_ns;
    seen_at_ = clock_.mono_ns();
  }

  const env::Clock& clock_;
  int64_t seen_ns_ = 0;
  int64_t seen_at_;  // on the monotonic clock
};

}  // namespace clew::consensus

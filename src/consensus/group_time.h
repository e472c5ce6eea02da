// GroupTime: what a member takes replicated time (Applied::time_ns) to be now: its wall clock as it stood when the
// member was started, and what has passed since on the monotonic clock; never less than the newest time that it
// proposed or saw applied and what has passed here since then. So a wall clock that is set while the member runs,
// forward or back, ends nobody's lease or session and holds nobody's time up. A leader whose clock stood ahead when it
// started takes replicated time along when it begins to lead, which is why each reign begins by extending leases
// (control/lease_duty.h).
//
// Where any member proposes (PBFT), a clock takes time along only by a command that says so, which is the one by which
// a reign begins; all others carry followed_ns(). Before a group's first reign that is next to nothing, and so it is at
// a member that has seen nothing yet: it cannot know that the group has no time, and its clock would end leases.
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
  explicit GroupTime(const env::Clock& clock)
      : clock_(clock), offset_ns_(std::max<int64_t>(clock.wall_ns(), 0) - clock.mono_ns()), seen_at_(clock.mono_ns()) {}

  int64_t now_ns() const {
    if (planted(Bug::kLeaseWaitsForClock)) return clock_.wall_ns();
    if (planted(Bug::kLeaseLeapsWithClock)) return std::max(clock_.wall_ns(), expected_ns());
    return std::max(clock_.mono_ns() + offset_ns_, expected_ns());
  }
  // What was proposed or applied last, and what has passed since: whatever this member's wall clock shows. Further
  // ahead of that than `most_ahead_ns` it stands still: where members bound each other's time, clocks that are a little
  // fast add up.
  int64_t followed_ns(int64_t most_ahead_ns) const {
    return std::min(expected_ns(), clock_.mono_ns() + offset_ns_ + most_ahead_ns);
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
  const int64_t offset_ns_;  // of the wall clock to the monotonic one, at the start
  int64_t seen_ns_ = 0;
  int64_t seen_at_;  // on the monotonic clock
};

}  // namespace clew::consensus

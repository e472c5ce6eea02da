// TimeBound: whether a member would let a command be agreed on now, by the time that it carries. Replicated time is the
// highest that a command carried (group_time.h), so that one member that lies could push it ahead for good and end
// every session and lease. A command may be ahead of this member's clock, as it stood at the start, by so much at most;
// beyond that a clock which is wrong counts among the faults that a group tolerates.
//
// A time in the past is admissible, and always stays so: it moves nothing. What this version cannot read as a command
// is not: of an honest gateway's it is a newer version's, which members that do not know it would have to stop at, and
// one that lies could stop them all by it.
//
// What pbft::Options::admissible is made of. Keeps a reference to the clock; copies ask the same one. On its loop.
// O(1).
#pragma once

#include <cstdint>
#include <string_view>

#include "consensus/group_time.h"
#include "consensus/replica_command.h"
#include "env/loop.h"

namespace clew::consensus {

// What members' clocks may be apart where they do not trust each other.
constexpr int64_t kMostAheadNs = 5'000'000'000;

class TimeBound {
 public:
  TimeBound(const env::Clock& clock, int64_t most_ahead_ns) : time_(clock), most_ahead_ns_(most_ahead_ns) {}

  bool operator()(std::string_view command) const {
    const auto decoded = decode_command(command);
    return decoded.ok() && decoded->header.proposed_ns <= time_.now_ns() + most_ahead_ns_;
  }

 private:
  GroupTime time_;
  int64_t most_ahead_ns_;
};

}  // namespace clew::consensus

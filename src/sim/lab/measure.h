// What a protocol costs, measured: messages, bytes, syncs and signatures a committed command, commit latency,
// throughput, and how long a group is without a leader after its leader's power went. All in virtual time, from one
// seed: the same figures each time.
//
// A measurement: a leader is elected; the group idles (what it says to itself then is the background); then so many
// commands of 100 bytes are always outstanding at the leader; then, if asked for, the leader's power goes and stays
// away. Commit latency is from the client's call at the leader to its answer; clients stand beside the leader.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "sim/lab/lab_group.h"

namespace clew::sim::lab {

// What happens meanwhile.
enum class Fault : uint8_t {
  kNone,
  kLoss,      // 1 % of all messages is lost
  kDown,      // as many followers are away as the protocol survives
  kSlowDisk,  // one follower's syncs take 50 times as long
};
constexpr size_t kFaults = 4;
std::string_view fault_name(Fault fault);  // "slow-disk"
std::optional<Fault> fault_named(std::string_view name);

struct Load {
  size_t outstanding = 1;
  Fault fault = Fault::kNone;
  bool kill_leader = false;  // at the end
  bool brief = false;        // a part of the time under load: for loads under which much happens in it
};

struct Measured {
  uint64_t commands = 0;  // answered within the window
  int64_t window_ns = 0;
  // Answers come together, a batch at a time: the rate is counted from the first in the window, without it, to the
  // last.
  uint64_t answered_first = 0;
  int64_t first_ns = 0, last_ns = 0;
  uint64_t messages = 0, bytes = 0, syncs = 0;  // of all members, within the window
  uint64_t signatures_made = 0, signatures_checked = 0;
  double idle_messages_a_second = 0;
  std::vector<int64_t> latencies_ns;  // of those commands, rising
  int64_t failover_ns = 0;            // from the leader's death to the next answer; 0: not asked for, or none came
  uint64_t failover_messages = 0, failover_bytes = 0;  // that all members sent meanwhile

  double throughput() const;  // commands a second
  double a_command(uint64_t of) const {
    return commands == 0 ? 0 : static_cast<double>(of) / static_cast<double>(commands);
  }
  int64_t percentile_ns(double share) const;
};

// kInternal: the members disagreed; it says so. kDeadlineExceeded: they committed nothing in the window, for want of a
// leader, or since there was more to do than they can.
Result<Measured> measure(const groups::Family& family, const Setting& setting, const Load& load);

}  // namespace clew::sim::lab

// Plan: everything that a run does to its world, as data: which weather and clocks it has, which faults begin when and
// last how long, which operations clients issue. Drawn from a seed; printed; reduced (sim/shrink.h) by leaving items
// out.
//
// Swarm testing (Groce et al., ISSTA 2012): each seed enables a random subset of the kinds of faults with random
// intensities, as a run with every fault on hides what a run with a few would find. A run has two phases: until
// `heal_at_ns` faults happen and safety is checked; then all faults end and the world must make progress within
// `progress_within_ns` (the second condition is what makes a "safe" system that has stopped fail).
//
// An item names its nodes and amounts itself and draws nothing when it happens but from its own seed, so that leaving
// out one does not change the others. Operations have items, too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "sim/links.h"
#include "sim/trace.h"

namespace clew::sim {

enum class FaultKind : uint8_t {
  // Weather: from the beginning to the heal. `amount` in ppm of the packets, or nanoseconds.
  kLoss,
  kDuplicates,
  kDamage,      // of packets
  kStragglers,  // ppm; `extra`: nanoseconds
  kDelay,       // minimum; `extra`: spread
  // Clocks. `node`.
  kDrift,     // `amount` ppm, signed, from the beginning to the heal
  kSkew,      // `amount` ns of wall time, signed, from the beginning to the heal
  kWallJump,  // at `at_ns`
  kPause,     // SIGSTOP for `duration_ns`
  // Processes. `node`; back after `duration_ns`.
  kKill,          // the process: what it wrote stays in the page cache
  kPowerCut,      // between two events
  kPowerCutInIo,  // in the `amount`-th disk operation from then on
  kWipe,          // power cut, and back with an empty disk: asks the atlas
  // Network. From `from` to `to`, for `duration_ns`.
  kPartition,  // both ways
  kOneWay,
  kClog,
  kSlowLink,    // `amount` ns more; with `extra` != 0 one way only
  kBreakLinks,  // connections between the sets are reset, at `at_ns`
  // Disks. `node`.
  kSlowDisk,     // operations take up to `amount` ns, for `duration_ns`
  kFullDisk,     // nothing more fits, for `duration_ns`
  kWriteError,   // the `amount`-th write from then on
  kSyncError,    // the `amount`-th sync; with `extra` != 0 its retry pretends to succeed
  kReadError,    // a region cannot be read: `extra` times, 0: until it is written again. Asks the atlas
  kBitRot,       // a region: asks the atlas
  kMisdirected,  // the `amount`-th write lands elsewhere: asks the atlas
  // Clients.
  kOperation,  // `amount` and `extra` are the scenario's
};
constexpr size_t kFaultKinds = static_cast<size_t>(FaultKind::kOperation) + 1;
std::string_view name(FaultKind kind);  // "power-cut"

struct Item {
  FaultKind kind = FaultKind::kOperation;
  int64_t at_ns = 0;
  int64_t duration_ns = 0;
  NodeIndex node{0};
  NodeMask from = 0;
  NodeMask to = 0;
  int64_t amount = 0;
  int64_t extra = 0;
  uint64_t seed = 0;  // what happens within it
  // Not that machine but whoever leads when it happens (Scenario::aim): the two change places in `from` and `to`.
  bool at_leader = false;
};
std::string to_string(const Item& item);  // "3.204 s  partition {0,1} | {2,3,4} for 1.400 s"

struct PlanOptions {
  size_t nodes = 5;
  int64_t duration_ns = 20'000'000'000;         // of the phase with faults
  int64_t progress_within_ns = 20'000'000'000;  // of virtual time, after the heal
  double operations_per_second = 50;
  // Kinds that this system is not asked to survive, or that a test wants alone.
  std::vector<FaultKind> without;
  std::vector<FaultKind> always;  // in every plan, not in half of them
  int64_t longest_straggler_ns = 200'000'000;
  int64_t longest_down_ns = 4'000'000'000;  // of machines that come back
  // So many of a hundred faults of those kinds (none named: of all that have a node or two sets) befall whoever leads.
  int at_leader_percent = 0;
  std::vector<FaultKind> at_leader;
  double intensity = 1.0;  // scales how often timed faults happen; 0: none, and no weather either
};

// Whether the amount is a number of operations until it strikes: shrinking tries smaller ones.
bool strikes_at_nth(FaultKind kind);

// One item of the drawn plan that a reduced plan keeps.
struct Choice {
  static constexpr int64_t kAsDrawn = INT64_MIN;
  uint32_t number = 0;
  int64_t amount = kAsDrawn;  // instead of what was drawn
  friend bool operator==(const Choice&, const Choice&) = default;
};

struct Plan {
  uint64_t seed = 0;
  size_t nodes = 0;
  int64_t heal_at_ns = 0;
  int64_t progress_within_ns = 0;
  std::vector<Item> items;   // by time
  std::vector<Choice> kept;  // which of the drawn plan's items these are: what --only prints
  size_t drawn = 0;          // how many items the seed gave
};

Plan draw_plan(uint64_t seed, const PlanOptions& options);
// The plan with those items only, in the order of rising numbers.
Plan reduce(const Plan& drawn, const std::vector<Choice>& choices);
std::string to_string(const Plan& plan);  // one line an item, with its number
// "0-3,17,20=1" (item 20 with the amount 1) and back; kInvalidArgument when it is not such a list, rising and below
// `limit`. "none" is the empty one.
std::string format_choices(const std::vector<Choice>& choices);
Result<std::vector<Choice>> parse_choices(std::string_view text, uint32_t limit);

}  // namespace clew::sim

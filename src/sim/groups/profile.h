// Profile: which world a consensus group is put into, as data: the faults and their rates, the shape of the group, what
// its clients and its operator do. A seed draws the rest. The clean build survives every seed of every profile; a
// planted bug names the profile in which few seeds find it (docs/mutants.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "consensus/in_flight.h"
#include "consensus/replica.h"
#include "consensus/signer.h"
#include "sim/plan.h"

namespace clew::sim::groups {

// Of a hundred operations of the plan, how many are of each kind; the rest are writes.
struct Mix {
  int reads = 40;
  int admin = 2;  // operator's: a membership change, a transfer of leadership, a snapshot
};
// Of a hundred operator's actions; the rest are snapshots.
struct AdminMix {
  int membership = 60;
  int transfer = 25;
  bool hasty = false;   // he never waits for the change before to end
  int electorates = 0;  // of a hundred changes: how many replace the whole electorate, beyond those that would anyway
};

// A fault that lasts to the end and leaves a quorum that sees each other: the group must go on under it (scenario 24).
enum class Lasting : uint8_t {
  kNone,
  kPartialPair,  // the leader and another one do not see each other, everybody else sees both
  kDeafLeader,   // the leader is heard and hears nobody
};

struct Profile {
  std::string_view name;
  std::string_view text;
  std::vector<FaultKind> only;    // empty: all that a group is asked to survive
  std::vector<FaultKind> always;  // in every seed, not in half of them
  double intensity = 1.0;
  size_t nodes = 0;              // 0: 3 to 7, by seed
  int64_t seconds = 20;          // of the phase with faults
  std::optional<size_t> voters;  // default: by seed
  std::optional<bool> witness;
  std::optional<bool> leases;
  int64_t drift_ppm = 0;  // clocks run wrong by up to so much, within what the options allow
  std::optional<uint64_t> snapshot_every_bytes;
  std::optional<uint64_t> log_file_bytes;
  Mix mix;
  AdminMix admin;
  Lasting lasting = Lasting::kNone;
  // Availability, judged during the faults: for how long at most nothing may be agreed on, and how often a leader may
  // be elected under a lasting fault. 0: not judged.
  int64_t longest_stall_ns = 0;
  uint64_t most_reigns = 0;
  int at_leader_percent = 0;  // of the faults, or of those kinds: plan.h
  std::vector<FaultKind> at_leader;
  int64_t longest_straggler_ns = 200'000'000;
  int64_t longest_down_ns = 4'000'000'000;
  bool liars = false;  // up to f members lie, until the world is healed: of families that have some
  std::optional<size_t> keys;
  std::optional<bool> sessions;
  std::optional<int64_t> session_idle_ns;
  double load = 1.0;  // of the operations a second that are asked for
};
std::span<const Profile> profiles();  // the first is the default
Result<const Profile*> profile_named(std::string_view name);

// What worlds vary in the options of a core, in terms that every protocol has; its family (family.h) makes its own of
// them.
struct Limits {
  consensus::Time heartbeat = 50 * consensus::kMillisecond;
  consensus::Time election_min = 150 * consensus::kMillisecond;
  consensus::Time election_max = 300 * consensus::kMillisecond;
  bool leases = false;
  uint32_t clock_error_ppm = 10'000;
  uint64_t max_message_bytes = 1ull << 20;
  consensus::WindowLimits window;
  uint64_t max_uncommitted_bytes = 64ull << 20;
  uint64_t max_log_bytes = 512ull << 20;
  uint64_t keep_tail_bytes = 8ull << 20;
  uint64_t max_delivery_bytes = 4ull << 20;
  size_t witness_log_entries = 64;
  uint64_t snapshot_every_bytes = 64ull << 20;  // of protocols that choose themselves when a state is saved
};

// What one seed makes of a profile.
struct Shape {
  size_t nodes = 5;
  size_t voters = 5;  // founding, witness included; the machines behind them are learners, then spares
  bool witness = false;
  size_t learners = 0;
  size_t liars = 0;  // of the founding voters; how many there are is the family's to say
  size_t clients = 8;
  size_t keys = 4;          // of each workload
  int64_t patience_ns = 0;  // until a client asks another node the same
  bool sessions = true;
  Limits limits;
  consensus::ReplicaOptions replica;  // but for self and directory
  uint64_t dice = 0;                  // for what only one protocol varies: its family draws from it. 0: nothing
  int64_t drift_ppm = 0;
  bool loses_appends = false;  // ledger.h
  bool ordered = false;        // packets between two machines keep their order, as in a connection
  std::shared_ptr<const consensus::Signer> signer = nullptr;  // of the member that is made; none: the family's
};
// For any protocol: GroupHunt::shape() fits it to one.
Shape draw_shape(uint64_t seed, const Profile& profile, std::optional<size_t> nodes);
// `intensity` of the profile is the most: most seeds have less.
PlanOptions plan_options(uint64_t seed, const Profile& profile, size_t nodes, double operations_per_second);

}  // namespace clew::sim::groups

#include "sim/groups/profile.h"

#include <algorithm>
#include <vector>

#include "base/hash.h"
#include "base/random.h"

namespace clew::sim::groups {
namespace {

using enum FaultKind;

// A write that lands elsewhere may be the newest of the log, and then nothing can tell that it is missing.
constexpr FaultKind kNotSurvived[] = {kMisdirected};

std::vector<Profile> make_profiles() {
  std::vector<Profile> all;
  all.push_back(
      {.name = "swarm", .text = "a random subset of all faults; groups of every shape", .at_leader_percent = 20});
  all.push_back({.name = "calm", .text = "no faults: what clients and the operator alone bring about", .intensity = 0});
  all.push_back({.name = "elections",
                 .text = "leaders come and go: power cuts, partitions, transfers",
                 .only = {kLoss, kDuplicates, kStragglers, kDelay, kKill, kPowerCut, kPowerCutInIo, kPartition, kOneWay,
                          kSlowDisk, kBreakLinks},
                 .always = {kPowerCut, kPartition, kDelay},
                 .intensity = 2,
                 .mix = {.reads = 20, .admin = 6},
                 .admin = {.membership = 0, .transfer = 90},
                 .at_leader_percent = 40});
  all.push_back({.name = "replication",
                 .text = "logs diverge: partitions and slow disks under load, small messages and windows",
                 .only = {kLoss, kDuplicates, kStragglers, kDelay, kPartition, kOneWay, kClog, kSlowLink, kKill,
                          kPowerCut, kSlowDisk, kPause},
                 .always = {kPartition, kStragglers, kSlowDisk, kDuplicates},
                 .intensity = 2,
                 .mix = {.reads = 20, .admin = 3},
                 .admin = {.membership = 0, .transfer = 80},
                 .at_leader_percent = 50,
                 .load = 3});
  all.push_back({.name = "membership",
                 .text = "the membership changes all the time, under partitions",
                 .only = {kLoss, kStragglers, kDelay, kPartition, kOneWay, kSlowDisk, kKill, kPowerCut, kPause, kWipe},
                 .always = {kPartition, kDelay},
                 .nodes = 5,
                 .mix = {.reads = 20, .admin = 12},
                 .admin = {.membership = 80, .transfer = 15},
                 .at_leader_percent = 30});
  all.push_back({.name = "handovers",
                 .text = "a hasty operator replaces the whole electorate, while its members do not all see each other",
                 .only = {kPartition, kOneWay, kSlowLink, kSlowDisk, kDelay},
                 .always = {kPartition, kSlowLink},
                 .intensity = 4,
                 .nodes = 7,
                 .voters = 3,
                 .witness = false,
                 .mix = {.reads = 10, .admin = 20},
                 .admin = {.membership = 100, .transfer = 0, .hasty = true, .electorates = 80},
                 .at_leader_percent = 60,
                 .load = 3});
  all.push_back({.name = "reads",
                 .text = "reads of every level of deposed and new leaders",
                 .only = {kLoss, kDuplicates, kStragglers, kDelay, kPartition, kOneWay, kClog, kSlowLink, kPause,
                          kSlowDisk, kPowerCut},
                 .always = {kPartition, kStragglers, kPause, kDelay},
                 .intensity = 2,
                 .mix = {.reads = 65, .admin = 3},
                 .admin = {.membership = 0, .transfer = 95},
                 .at_leader_percent = 50,
                 .keys = 1,
                 .load = 4});
  all.push_back(
      {.name = "leases",
       .text = "leases across pauses, slow answers and transfers, with clocks at the limit of what is allowed",
       .only = {kDelay, kStragglers, kPartition, kOneWay, kSlowLink, kPause},
       .always = {kPause, kPartition, kOneWay, kSlowLink},
       .intensity = 4,
       .leases = true,
       .drift_ppm = 9'900,
       .mix = {.reads = 60, .admin = 3},
       .admin = {.membership = 0, .transfer = 95},
       .at_leader_percent = 80,
       .keys = 1,
       .load = 4});
  all.push_back({.name = "reigns",
                 .text = "leadership goes to and fro while answers to an earlier reign are still under way",
                 .only = {kStragglers, kOneWay, kSlowLink},
                 .always = {kStragglers, kOneWay, kSlowLink},
                 .intensity = 4,
                 .nodes = 3,
                 .voters = 3,
                 .witness = false,
                 .leases = false,
                 .mix = {.reads = 75, .admin = 4},
                 .admin = {.membership = 0, .transfer = 100},
                 .at_leader_percent = 90,
                 .longest_straggler_ns = 4'000'000'000,
                 .keys = 1,
                 .load = 4});
  all.push_back({.name = "rivals",
                 .text = "few writes, so that members whom the leader does not reach may win; the others restart soon",
                 .only = {kKill, kPartition, kSlowLink},
                 .always = {kKill, kPartition, kSlowLink},
                 .intensity = 6,
                 .nodes = 5,
                 .voters = 5,
                 .witness = false,
                 .leases = true,
                 .mix = {.reads = 95, .admin = 0},
                 .at_leader_percent = 100,
                 .at_leader = {kPartition, kSlowLink},
                 .longest_down_ns = 80'000'000});
  all.push_back({.name = "returns",
                 .text =
                     "of three machines one does not reach the leader and another restarts at once, while a lease may "
                     "rest on what it promised before",
                 .only = {kKill, kPartition, kOneWay, kSlowLink},
                 .always = {kKill, kPartition, kOneWay, kSlowLink},
                 .intensity = 4,
                 .nodes = 3,
                 .voters = 3,
                 .witness = false,
                 .leases = true,
                 .mix = {.reads = 99, .admin = 0},
                 .at_leader_percent = 100,
                 .at_leader = {kPartition, kOneWay, kSlowLink},
                 .longest_down_ns = 60'000'000,
                 .sessions = false});
  all.push_back({.name = "snapshots",
                 .text = "a snapshot every few commands, members that lag behind",
                 .only = {kLoss, kDuplicates, kStragglers, kDelay, kPartition, kKill, kPowerCut, kPowerCutInIo,
                          kSlowDisk, kPause, kClog},
                 .always = {kPartition, kPowerCut, kSlowDisk, kPowerCutInIo},
                 .snapshot_every_bytes = 1 << 10,
                 .mix = {.reads = 20, .admin = 4},
                 .admin = {.membership = 40, .transfer = 30},
                 .at_leader_percent = 30,
                 .load = 3});
  all.push_back({.name = "bases",
                 .text = "power fails while the beginning of a log gives way to a snapshot: small files, slow disks",
                 .only = {kPowerCut, kPowerCutInIo, kSlowDisk},
                 .always = {kPowerCut, kPowerCutInIo, kSlowDisk},
                 .intensity = 6,
                 .nodes = 3,
                 .voters = 3,
                 .witness = false,
                 .snapshot_every_bytes = 4 << 10,
                 .log_file_bytes = 16 << 10,
                 .mix = {.reads = 5, .admin = 0},
                 .longest_down_ns = 500'000'000,
                 .load = 3});
  all.push_back({.name = "overtaken",
                 .text = "deposed leaders come back with long logs to a group that has compacted its own",
                 .only = {kStragglers, kPartition, kOneWay, kPause, kSlowDisk},
                 .always = {kPartition, kPause},
                 .intensity = 2,
                 .snapshot_every_bytes = 200,
                 .mix = {.reads = 5, .admin = 0},
                 .at_leader_percent = 80,
                 .load = 3});
  all.push_back({.name = "rot",
                 .text = "logs that rot: long ones, without snapshots",
                 .only = {kKill, kPowerCut, kReadError, kBitRot},
                 .always = {kKill, kReadError, kBitRot},
                 .intensity = 3,
                 .snapshot_every_bytes = 64 << 20,
                 .mix = {.reads = 10, .admin = 3},
                 .admin = {.membership = 50, .transfer = 30},
                 .load = 2});
  all.push_back({.name = "holes",
                 .text = "logs with holes, whose owners must not forget how far they went: some lag behind meanwhile",
                 .only = {kKill, kPartition, kOneWay, kReadError, kBitRot},
                 .always = {kKill, kReadError, kBitRot},
                 .intensity = 6,
                 .nodes = 5,
                 .voters = 5,
                 .witness = false,
                 .snapshot_every_bytes = 64 << 20,
                 .mix = {.reads = 10, .admin = 1},
                 .admin = {.membership = 0, .transfer = 100},
                 .longest_down_ns = 300'000'000,
                 .load = 2});
  all.push_back({.name = "disks",
                 .text = "what disks do: errors, rot, full, slow, wiped",
                 .only = {kKill, kPowerCut, kPowerCutInIo, kWipe, kSlowDisk, kFullDisk, kWriteError, kSyncError,
                          kReadError, kBitRot},
                 .always = {kPowerCut, kSyncError, kBitRot, kKill},
                 .mix = {.reads = 20, .admin = 8},
                 .admin = {.membership = 20, .transfer = 20},
                 .at_leader_percent = 20});
  all.push_back(
      {.name = "sessions",
       .text = "impatient clients that ask again, sessions that end",
       .only = {kLoss, kStragglers, kDelay, kPartition, kClog, kSlowLink, kPause, kKill, kSkew, kWallJump, kSlowDisk},
       .always = {kStragglers, kClog, kSkew, kDelay},
       .snapshot_every_bytes = 4 << 10,
       .mix = {.reads = 15, .admin = 3},
       .admin = {.membership = 10, .transfer = 50},
       .at_leader_percent = 20,
       .sessions = true,
       .session_idle_ns = 3'000'000'000,
       .load = 2});
  all.push_back({.name = "successions",
                 .text = "the leader dies again and again, on links of one length: there is always another one soon",
                 .only = {kKill, kDelay},
                 .always = {kKill, kDelay},
                 .nodes = 5,
                 .voters = 5,
                 .witness = false,
                 .mix = {.reads = 40, .admin = 0},
                 .longest_stall_ns = 6'000'000'000,  // some twenty elections that fail
                 .at_leader_percent = 100,
                 .longest_down_ns = 1'000'000'000});
  all.push_back({.name = "liars",
                 .text = "up to f members lie, each in ways of its own, under every fault of the network",
                 .only = {kLoss, kDuplicates, kStragglers, kDelay, kPartition, kOneWay, kClog, kSlowLink, kPause, kKill,
                          kPowerCut, kSlowDisk},
                 .always = {kDelay},
                 .intensity = 2,
                 .mix = {.reads = 30, .admin = 4},
                 .admin = {.membership = 0, .transfer = 70},
                 .at_leader_percent = 30,
                 .liars = true,
                 .load = 2});
  all.push_back(
      {.name = "liars-membership",
       .text = "up to f members lie while the membership changes: they go, come again, and weigh more in fewer",
       .only = {kLoss, kDuplicates, kStragglers, kDelay, kPartition, kOneWay, kSlowDisk, kKill, kPowerCut, kPause},
       .always = {kDelay},
       .nodes = 7,
       .mix = {.reads = 20, .admin = 12},
       .admin = {.membership = 80, .transfer = 15},
       .at_leader_percent = 30,
       .liars = true});
  all.push_back({.name = "partial",
                 .text = "the leader and another one do not see each other for good: the group must go on",
                 .intensity = 0,
                 .voters = 5,
                 .mix = {.reads = 40, .admin = 0},
                 .lasting = Lasting::kPartialPair,
                 .longest_stall_ns = 3'000'000'000,
                 .most_reigns = 5});
  all.push_back({.name = "deaf-leader",
                 .text = "the leader is heard and hears nobody, for good: the group must go on",
                 .intensity = 0,
                 .voters = 5,
                 // What only the leader and a witness have keeps the others from being elected: none may be lost then.
                 .witness = false,
                 .mix = {.reads = 40, .admin = 0},
                 .lasting = Lasting::kDeafLeader,
                 .longest_stall_ns = 3'000'000'000,
                 .most_reigns = 5});
  return all;
}

}  // namespace

std::span<const Profile> profiles() {
  static const std::vector<Profile> all = make_profiles();
  return all;
}

Result<const Profile*> profile_named(std::string_view name) {
  std::string names;
  for (const Profile& profile : profiles()) {
    if (profile.name == name) return &profile;
    names += " " + std::string(profile.name);
  }
  return Error{Code::kInvalidArgument,
               "no profile of groups is called '" + std::string(name) + "'; there are:" + names};
}

Shape draw_shape(uint64_t seed, const Profile& profile, std::optional<size_t> nodes) {
  Generator random(mix64(seed, 0x5ba9e));
  const auto one_of = [&](std::initializer_list<uint64_t> values) {
    return values.begin()[random.below(values.size())];
  };
  Shape shape;
  shape.nodes = nodes.value_or(profile.nodes != 0 ? profile.nodes : one_of({3, 3, 4, 5, 5, 5, 6, 7}));
  const bool all_vote = random.one_in(2);
  const size_t fewer = 3 + random.below(std::max<size_t>(shape.nodes, 4) - 3);
  shape.voters = std::min(shape.nodes, profile.voters.value_or(all_vote ? shape.nodes : fewer));
  shape.witness = profile.witness.value_or(random.one_in(4)) && shape.voters >= 3;
  shape.learners = shape.voters < shape.nodes ? random.below(shape.nodes - shape.voters + 1) : 0;
  shape.liars = profile.liars ? 1 : 0;
  shape.clients = one_of({3, 8, 16});
  shape.keys = profile.keys.value_or(one_of({1, 3, 6}));
  shape.patience_ns = static_cast<int64_t>(one_of({60, 300, 1'000})) * 1'000'000;
  shape.sessions = profile.sessions.value_or(!random.one_in(4));

  Limits& limits = shape.limits;
  limits.leases = profile.leases.value_or(random.one_in(2));
  limits.clock_error_ppm = 10'000;
  limits.max_message_bytes = one_of({1, 512, 1 << 20});
  limits.window = {.messages = one_of({1, 4, 256}), .bytes = one_of({256, 4ull << 20})};
  limits.max_uncommitted_bytes = one_of({4 << 10, 64 << 20});
  // Where a stall is judged, no more may wait to be agreed on than a new leader can soon carry to the others: in Raft
  // and in ZAB all that an earlier one left behind comes before anything new.
  const uint64_t in_flight = std::min(limits.window.messages * limits.max_message_bytes, limits.window.bytes);
  if (profile.longest_stall_ns != 0 && in_flight < 4 << 10) limits.max_uncommitted_bytes = 4 << 10;
  limits.keep_tail_bytes = one_of({0, 1 << 10, 8 << 20});
  limits.max_delivery_bytes = one_of({64, 4 << 20});
  limits.witness_log_entries = one_of({8, 64});
  shape.drift_ppm = profile.drift_ppm;

  consensus::ReplicaOptions& replica = shape.replica;
  replica.cluster = 7;
  replica.snapshot_every_bytes = profile.snapshot_every_bytes.value_or(one_of({1 << 10, 4 << 10, 32 << 10, 64 << 20}));
  replica.snapshot_chunk_bytes = one_of({64, 512, 256 << 10});
  const uint64_t file_bytes = one_of({32 << 10, 64 << 10, 1 << 20});
  replica.log_file_bytes = profile.log_file_bytes.value_or(file_bytes);
  replica.max_pending = 256;
  replica.max_command_bytes = 64 << 10;
  replica.request_timeout_ns = 2'000'000'000;
  replica.sessions = {
      .max_sessions = random.one_in(4) ? 6u : 64u,
      .max_kept_results = 16,
      .max_kept_bytes = one_of({2 << 10, 1 << 20}),
      .idle_ns = profile.session_idle_ns.value_or(static_cast<int64_t>(one_of({3, 3600})) * 1'000'000'000)};
  shape.ordered = random.one_in(2);
  shape.dice = mix64(seed, 0xd1ce);
  return shape;
}

PlanOptions plan_options(uint64_t seed, const Profile& profile, size_t nodes, double operations_per_second) {
  PlanOptions options;
  options.nodes = nodes;
  options.duration_ns = profile.seconds * 1'000'000'000;
  options.operations_per_second = operations_per_second * profile.load;
  constexpr double kShares[] = {0.1, 0.2, 0.5, 1.0};
  options.intensity = profile.intensity * kShares[Generator(mix64(seed, 0x17e)).below(std::size(kShares))];
  options.always = profile.always;
  options.longest_straggler_ns = profile.longest_straggler_ns;
  options.longest_down_ns = profile.longest_down_ns;
  options.at_leader_percent = profile.at_leader_percent;
  options.at_leader = profile.at_leader;
  for (size_t k = 0; k < static_cast<size_t>(kOperation); ++k) {
    const auto kind = static_cast<FaultKind>(k);
    const auto lists = [&](const auto& kinds) { return std::find(kinds.begin(), kinds.end(), kind) != kinds.end(); };
    if (std::find(std::begin(kNotSurvived), std::end(kNotSurvived), kind) != std::end(kNotSurvived) ||
        (!profile.only.empty() && !lists(profile.only))) {
      options.without.push_back(kind);
    }
  }
  return options;
}

}  // namespace clew::sim::groups

#include "sim/nodes/node_profile.h"

#include <algorithm>

#include "base/hash.h"
#include "base/random.h"

namespace clew::sim::nodes {
namespace {

using enum FaultKind;

std::vector<NodeProfile> make_profiles() {
  std::vector<NodeProfile> all;
  const auto add = [&](std::string_view name, std::string_view text, groups::Profile world, Shares shares = {}) {
    world.name = name;
    world.text = text;
    all.push_back({name, text, std::move(world), shares});
  };
  add("nodes", "a random subset of all faults, every workload", {.at_leader_percent = 30});
  add("nodes-calm", "no faults: what clients and the operator alone bring about", {.intensity = 0});
  add("nodes-register", "registers, lists and a bank, while nodes are killed and cut off",
      {.only = {kKill, kPartition, kOneWay, kPause, kSlowLink, kBreakLinks, kDelay, kStragglers, kLoss},
       .always = {kKill, kPartition},
       .intensity = 2,
       .at_leader_percent = 50,
       .load = 2},
      {.objects = 100, .watches = 0, .leases = 0, .sessions = 0});
  add("nodes-watch", "watches across changes of leader, restarts, slowness and compaction",
      {.only = {kKill, kPowerCut, kPartition, kOneWay, kPause, kBreakLinks, kClog, kStragglers, kSlowDisk},
       .always = {kKill, kPartition, kBreakLinks},
       .intensity = 2,
       .mix = {.reads = 0, .admin = 4},
       .at_leader_percent = 50,
       .load = 3},
      {.objects = 60, .watches = 40, .leases = 0, .sessions = 0});
  add("nodes-lease", "leases, while leaders come and go",
      {.only = {kKill, kPowerCut, kPartition, kOneWay, kPause, kBreakLinks, kSlowLink, kStragglers},
       .always = {kKill, kPartition, kPause},
       .intensity = 2,
       .mix = {.reads = 0, .admin = 4},
       .at_leader_percent = 50},
      {.objects = 15, .watches = 0, .leases = 85, .sessions = 0});
  add("nodes-clocks", "leases and sessions, with clocks that jump, drift and differ",
      {.only = {kDrift, kSkew, kWallJump, kKill, kPartition, kPause},
       .always = {kWallJump},
       .intensity = 2,
       .at_leader_percent = 50},
      {.objects = 20, .watches = 5, .leases = 55, .sessions = 20});
  add("nodes-sessions", "sessions of the client library and of clients' own, asked again elsewhere",
      {.only = {kKill, kPowerCut, kPartition, kOneWay, kClog, kPause, kBreakLinks, kSlowLink, kLoss, kDamage},
       .always = {kPartition, kBreakLinks, kClog},
       .intensity = 2,
       .at_leader_percent = 30,
       .sessions = true,
       .load = 2},
      {.objects = 40, .watches = 0, .leases = 0, .sessions = 60});
  add("nodes-members", "members come, go and are replaced, under load and partitions",
      {.only = {kKill, kPowerCut, kPartition, kOneWay, kPause, kDelay, kWipe, kSlowDisk},
       .always = {kPartition, kWipe},
       .mix = {.reads = 0, .admin = 14},
       .admin = {.membership = 80, .transfer = 20},
       .at_leader_percent = 30});
  add("nodes-disks", "what disks do: errors, rot, full, slow, wiped; power cuts in the middle of writing",
      {.only = {kKill, kPowerCut, kPowerCutInIo, kWipe, kSlowDisk, kFullDisk, kWriteError, kSyncError, kReadError,
                kBitRot},
       .always = {kPowerCut, kFullDisk, kSyncError, kBitRot},
       .mix = {.reads = 0, .admin = 8},
       .at_leader_percent = 30});
  return all;
}

}  // namespace

std::span<const NodeProfile> node_profiles() {
  static const std::vector<NodeProfile> all = make_profiles();
  return all;
}

const NodeProfile* node_profile_named(std::string_view name) {
  const auto all = node_profiles();
  const auto found = std::find_if(all.begin(), all.end(), [&](const NodeProfile& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

NodeShape draw_node_shape(uint64_t seed, const NodeProfile& profile, const groups::Family& family,
                          std::optional<size_t> founders) {
  Generator random(mix64(seed, 0x4e0de5));
  const auto one_of = [&](std::initializer_list<uint64_t> values) {
    return values.begin()[random.below(values.size())];
  };
  const groups::Profile& world = profile.world;
  NodeShape shape;
  groups::Shape& group = shape.group;
  const uint64_t drawn = one_of({3, 3, 3, 5});
  group.voters = founders.value_or(world.voters.value_or(drawn));
  const uint64_t spares = one_of({0, 1, 2});
  group.witness = world.witness.value_or(random.one_in(6)) && group.voters >= 3;
  shape.client_machines = one_of({1, 2});
  group.clients = one_of({6, 9, 18});
  group.keys = world.keys.value_or(one_of({1, 3, 6}));
  group.sessions = world.sessions.value_or(!random.one_in(4));
  group.drift_ppm = world.drift_ppm;
  group.ordered = random.one_in(2);

  groups::Limits& limits = group.limits;
  limits.leases = world.leases.value_or(random.one_in(2));
  limits.max_message_bytes = one_of({512, 1 << 20});
  limits.window = {.messages = one_of({1, 4, 256}), .bytes = one_of({512, 4ull << 20})};
  limits.keep_tail_bytes = one_of({0, 1 << 10, 8 << 20});
  limits.witness_log_entries = 4'096;

  control::PlaneOptions& plane = shape.plane;
  consensus::ReplicaOptions& replica = plane.replica;
  replica.cluster = plane.cluster = 7;
  replica.snapshot_every_bytes = world.snapshot_every_bytes.value_or(one_of({4 << 10, 16 << 10, 64 << 10, 64 << 20}));
  // With the smallest a snapshot takes longer to fetch than the next ones take to be made.
  replica.snapshot_chunk_bytes = one_of({256, 4 << 10, 256 << 10});
  replica.log_file_bytes = 4ull << 20;
  replica.request_timeout_ns = 2'000'000'000;
  replica.sessions = {
      .max_sessions = random.one_in(4) ? 6u : 64u,
      .max_kept_results = 16,
      .max_kept_bytes = one_of({2 << 10, 1 << 20}),
      .idle_ns = world.session_idle_ns.value_or(static_cast<int64_t>(one_of({3, 3600})) * 1'000'000'000)};
  plane.watches.max_queued_bytes = one_of({1 << 10, 64 << 10, 4 << 20});
  plane.watches.max_queued_responses = one_of({4, 4'096});
  plane.watches.max_fragment_bytes = one_of({256, 1536 << 10});
  plane.watches.pump_records = one_of({3, 1'000});
  plane.watches.pump_watchers = one_of({1, 512});
  plane.watch_progress_ns = static_cast<int64_t>(one_of({1, 600})) * 1'000'000'000;

  // What only some protocols vary, from dice of its own: the worlds of the others stay what they are.
  group.dice = mix64(seed, 0xd1ce);
  group.replica = replica;
  family.fit(group);
  group.nodes = group.voters + spares;
  replica.snapshot_every_bytes = group.replica.snapshot_every_bytes;
  plane.attests = family.verifier != nullptr;
  plane.heard_within_ns = limits.election_max;
  shape.trust_gateways = !plane.attests || Generator(mix64(seed, 0x6a7e)).one_in(2);
  // A client that asks for proofs numbers the commands of a session itself, so that none goes on with another's.
  if (!shape.trust_gateways) group.sessions = false;
  return shape;
}

PlanOptions node_plan_options(uint64_t seed, const NodeProfile& profile, size_t machines,
                              double operations_per_second) {
  return groups::plan_options(seed, profile.world, machines, operations_per_second);
}

}  // namespace clew::sim::nodes

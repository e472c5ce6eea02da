#include "sim/nodes/node_scenario.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "sim/check/check.h"
#include "sim/groups/log_damage.h"
#include "sim/halts.h"
#include "sim/nodes/client_process.h"
#include "sim/nodes/leases.h"
#include "sim/nodes/lines.h"
#include "sim/nodes/objects.h"
#include "sim/nodes/watchers.h"

namespace clew::sim::nodes {

using consensus::FactKind;
using consensus::NodeId;
using consensus::Position;
using consensus::Standing;

NodeScenario::NodeScenario(const groups::Family& family, const NodeProfile& profile, NodeShape shape, uint64_t seed,
                           groups::Deeds* deeds)
    : family_(family),
      profile_(profile),
      shape_(std::move(shape)),
      seed_(seed),
      deeds_(deeds),
      judge_(family.judge([this](NodeId id) { return world_->clock(machine_of_.at(id)).mono_ns(); })) {}

NodeScenario::~NodeScenario() = default;

void NodeScenario::begin(World& world) {
  world_ = &world;
  Generator random(mix64(seed_, 0xf0));
  hosts_.resize(shape_.group.nodes);
  std::vector<consensus::Member> members;
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    const NodeIndex machine{i};
    if (shape_.group.drift_ppm != 0) {
      const auto range = static_cast<uint64_t>(shape_.group.drift_ppm);
      world.clock(machine).set_drift_ppm(static_cast<int64_t>(random.below(2 * range + 1)) - shape_.group.drift_ppm);
    }
    if (i >= shape_.group.voters) continue;
    hosts_[i].id = NodeId{i + 1};
    hosts_[i].founder = true;
    machine_of_[hosts_[i].id] = machine;
    consensus::Member member{.id = hosts_[i].id, .address = peer_address(machine)};
    if (shape_.group.witness && i + 1 == shape_.group.voters) member.role = consensus::Role::kWitness;
    members.push_back(std::move(member));
  }
  auto founding = consensus::Membership::make(std::move(members));
  CHECK(founding.ok());
  founding_ = std::move(founding).value();
  world.links().weather().fifo = shape_.group.ordered;
  truth_.canon().found(founding_);
  world.atlas().bound_damaged_nodes();
  update_tolerance();

  switchboard_ = std::make_unique<Switchboard>(world, hosts_.size(), mix64(seed_, 0x5b));
  const Stage stage{.world = world,
                    .switchboard = *switchboard_,
                    .truth = truth_,
                    .seed = seed_,
                    .keys = shape_.group.keys,
                    .clients = shape_.group.clients,
                    .sessions = shape_.group.sessions};
  const auto add = [&](int share, auto make) {
    if (share == 0) return;
    workloads_.push_back(make());
    shares_.push_back(share);
  };
  add(profile_.shares.objects, [&] { return std::make_unique<Objects>(stage); });
  add(profile_.shares.watches, [&] { return std::make_unique<Watchers>(stage, 1 + random.below(4)); });
  add(profile_.shares.leases, [&] { return std::make_unique<Leases>(stage, 1 + random.below(6)); });
  add(profile_.shares.sessions, [&] { return std::make_unique<Lines>(stage, 1 + random.below(3)); });
}

NodeProcess* NodeScenario::node(NodeIndex machine) const {
  return is_node(machine) ? dynamic_cast<NodeProcess*>(world_->process(machine)) : nullptr;
}

Status NodeScenario::open(NodeProcess& process, const Host& host) const {
  NodeOptions options;
  options.self = host.id;
  const bool told = host.founder || family_.joiners_trust;
  options.protocol = [this, id = host.id, told, &clock = process.machine().loop.clock()](uint64_t seed) {
    return family_.make(shape_.group, id, told ? founding_ : consensus::Membership(), clock, seed);
  };
  options.verifier = family_.verifier.get();
  options.plane = shape_.plane;
  options.plane.replica.bootstrap = !host.initialised;
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    if (NodeIndex{i} != process.machine().node) options.plane.seeds.push_back(client_address(NodeIndex{i}));
  }
  return process.open(std::move(options));
}

Result<std::unique_ptr<Process>> NodeScenario::start(World& world, Machine& machine) {
  if (world_ == nullptr) begin(world);
  if (!is_node(machine.node)) {
    control::ClientOptions options;
    options.trust_gateway = shape_.trust_gateways;
    for (uint32_t i = 0; i < hosts_.size(); ++i) options.addresses.push_back(client_address(NodeIndex{i}));
    options.cluster = shape_.plane.replica.cluster;
    return std::unique_ptr<Process>(std::make_unique<ClientProcess>(machine, std::move(options)));
  }
  Host& host = hosts_[at(machine.node)];
  if (host.id == consensus::kNobody) return std::unique_ptr<Process>(std::make_unique<Spare>(machine));
  // A disk whose damage nobody could tell from a healthy end of the log is replaced when its machine is down.
  if (host.starts > 0 && world.atlas().damaged(machine.node) && host.replaced_in <= host.damaged_in) {
    if (world.journal().on()) world.journal().say(machine.node, "comes back with a new disk: the old one was damaged");
    world.disk(machine.node).wipe();
  }
  if (!host.lost && host.initialised && world.disk(machine.node).files().empty()) {
    NodeProcess old_self(machine, static_cast<NodeWatcher&>(*this), registry_);
    if (open(old_self, host).ok()) {
      const std::string why =
          "a wiped disk was not recognised: " + sim::name(machine.node) + " came back as its old self";
      world.fail(why);
      return Error{Code::kInternal, why};
    }
    host.lost = true;
    host.held = 0;
  }
  if (host.lost) return std::unique_ptr<Process>(std::make_unique<Spare>(machine));
  ++host.starts;
  own_.restarts += host.starts > 1;
  auto process = std::make_unique<NodeProcess>(machine, static_cast<NodeWatcher&>(*this), registry_);
  const Status opened = open(*process, host);
  if (machine.power->crashed()) return opened.ok() ? Error{Code::kUnavailable, "the power went"} : opened.error();
  if (!opened.ok()) {
    // An error of the disk while it is read is no loss: the next start may succeed, or the one after the disk was seen
    // to. (Bad sectors of a log file go with it when it is recycled, and may then lie where the log ends.)
    const bool disk_failed = opened.message().find("I/O error") != std::string_view::npos;
    if (disk_failed && world.healing()) groups::see_to(world.disk(machine.node));
    if ((opened.code() == Code::kDataLoss && !disk_failed) || opened.code() == Code::kInternal) {
      world.fail(sim::name(machine.node) +
                 " refuses to start, and nothing was done to it that it must not survive: " + opened.to_string());
    }
    return opened.error();
  }
  host.initialised = true;
  const consensus::Replica& replica = process->replica();
  check(judge_->started(host.id, replica.protocol(), replica.applied(), !replica.recovery().damage.empty()));
  check(truth_.canon().compare(host.id, process->seen(), replica.digest()));
  return std::unique_ptr<Process>(std::move(process));
}

// --- What the nodes say ---

void NodeScenario::on_fact(NodeIndex node, const consensus::Fact& fact) {
  own_.elections += fact.kind == FactKind::kElectionStarted && fact.value == 0;
  own_.leaders += fact.kind == FactKind::kBecameLeader;
  own_.snapshots_saved += fact.kind == FactKind::kSnapshotSaved;
  own_.snapshots_installed += fact.kind == FactKind::kSnapshotInstalled;
  own_.holes += fact.kind == FactKind::kHoleFound;
  own_.truncations += fact.kind == FactKind::kTruncated;
  if (world_->journal().on()) world_->journal().say(node, to_string(fact));
  if (fact.kind == FactKind::kHalted && !disk_halts(world_->disk(node), fact.reason)) {
    world_->fail(sim::name(node) + " halted: " + std::string(fact.reason));
  }
}

void NodeScenario::on_record(NodeIndex node, consensus::LogSeq seq, std::string_view record) {
  judge_->on_record(hosts_[at(node)].id, seq, record);
}

void NodeScenario::on_sent(NodeIndex node, NodeId to, std::string_view frame) {
  judge_->on_sent(hosts_[at(node)].id, to, frame);
}

void NodeScenario::on_applied(NodeIndex machine, Position position, Position after, const consensus::Entry& entry,
                              std::string_view result) {
  const NodeProcess& process = *node(machine);
  const bool first = position > truth_.last();
  check(truth_.deliver(
      {hosts_[at(machine)].id, position, after, entry, result, process.plane().spaces(), process.replica().digest()}));
  if (!first) return;
  ++own_.entries;
  own_.memberships += entry.kind == consensus::EntryKind::kMembership;
}

Scope NodeScenario::cost_of(NodeIndex machine, const std::vector<consensus::LogSeq>& lost) const {
  return judge_->cost_of(hosts_[at(machine)].id, node(machine)->replica().protocol(), lost);
}

// --- Operations ---

void NodeScenario::operation(World& world, const Item& item) {
  update_tolerance();
  if (world.healing()) return;
  Generator random(item.seed);
  if (static_cast<int>(random.below(100)) < profile_.world.mix.admin) return act(random);
  int sum = 0;
  for (const int share : shares_) sum += share;
  auto dice = static_cast<int>(random.below(static_cast<uint64_t>(sum)));
  size_t chosen = 0;
  while (dice >= shares_[chosen]) dice -= shares_[chosen++];
  workloads_[chosen]->issue(random);
}

// --- Judgement ---

void NodeScenario::after_event(World& world, NodeIndex machine) {
  if (machine == kNoNode || !world.up(machine)) return;
  NodeProcess* const process = node(machine);
  if (process == nullptr) return;
  const consensus::Replica& replica = process->replica();
  Host& host = hosts_[at(machine)];
  check(judge_->after_event(host.id, replica.protocol()));
  if (replica.applied() != process->seen()) {  // a snapshot was installed
    check(truth_.canon().compare(host.id, replica.applied(), replica.digest()));
    process->see_install();
  }
  const consensus::Report report = replica.report();
  const Position held = report.standing == Standing::kWitness ? 0 : report.durable_position;
  // One with a hole holds what it did but for the damage, which is booked.
  if (held != host.held && report.standing != Standing::kRecovering) {
    host.held = held;
    world.atlas().holds(machine, {1, held});
  }
}

void NodeScenario::stopped(World&, NodeIndex machine) {
  switchboard_->stopped(machine);
  for (const auto& workload : workloads_) workload->stopped(machine);
  if (const NodeProcess* const dying = node(machine)) {
    judge_->stopped(hosts_[at(machine)].id, dying->replica().protocol());
  }
}

bool NodeScenario::waits(NodeIndex node, const std::string& what) const {
  if (world_->journal().on()) world_->journal().say(node, "is waited for: " + what);
  return false;
}

bool NodeScenario::converged() const {
  for (const consensus::Member& member : truth_.canon().membership().members()) {
    const NodeIndex machine = machine_at(member.address);
    const NodeProcess* const process = node(machine);
    if (process == nullptr || hosts_[at(machine)].id != member.id) return waits(machine, "to be a member");
    if (process->replica().report().leader == consensus::kNobody) return waits(machine, "to follow somebody");
    if (member.role == consensus::Role::kWitness) continue;
    if (process->replica().applied() != truth_.last()) {
      return waits(machine, "has applied " + std::to_string(process->replica().applied()) + " of " +
                                std::to_string(truth_.last()));
    }
  }
  return true;
}

bool NodeScenario::progressed(World& world) {
  update_tolerance();
  for (uint32_t i = 0; i < world.nodes(); ++i) {
    if (!world.up(NodeIndex{i})) world.start(NodeIndex{i});
  }
  if (!leader()) return waits(kNoNode, "somebody who leads");
  if (world.now_ns() >= mended_at_ns_ + 200'000'000) {
    mended_at_ns_ = world.now_ns();
    Generator random(mix64(seed_, static_cast<uint64_t>(world.now_ns())));
    mended_ = mend(switchboard_->door(random));
  }
  if (!mended_) return waits(kNoNode, "the operator");
  bool done = true;
  for (const auto& workload : workloads_) {
    const std::string what = workload->settle();
    if (!what.empty()) done = waits(kNoNode, std::string(workload->name()) + ": " + what);
  }
  return done && converged();
}

void NodeScenario::finish(World& world) {
  for (const auto& workload : workloads_) {
    if (world.failed()) break;
    workload->finish();
    for (check::History& history : workload->histories()) {
      for (const check::CheckResult& result : check::check_all(history)) {
        own_.judged += result.looked_at;
        const std::string what =
            std::string(result.checker) + " of the " + std::string(check::name(history.workload)) + "s";
        if (result.verdict == check::Verdict::kViolated) {
          const check::Violation& violation = result.violations.front();
          if (world.journal().on()) world.journal().say(kNoNode, violation.play);
          world.fail(what + ": " + violation.summary);
        } else if (result.verdict == check::Verdict::kUnknown) {
          ++own_.undecided;
          world.leave_undecided(what + ": " + result.reason);
        }
      }
    }
    const Tally& tally = workload->tally();
    own_.answered += tally.answered;
    own_.failed += tally.failed;
    own_.unknown += tally.unknown;
    own_.busy += tally.busy;
  }
  if (deeds_ != nullptr) deeds_->add(own_);
}

}  // namespace clew::sim::nodes

#include "sim/groups/group_scenario.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "sim/check/check.h"
#include "sim/groups/log_damage.h"
#include "sim/halts.h"

namespace clew::sim::groups {

using consensus::FactKind;
using consensus::Position;
using consensus::Standing;

namespace {

constexpr int64_t kLastingFaultAtNs = 2'000'000'000;
// A group of which nobody asked anything for so long has not stalled.
constexpr int64_t kSilenceNs = 1'000'000'000;

}  // namespace

std::span<const Deeds::Field> Deeds::fields() {
  static constexpr Field kFields[] = {
      {"answered", &Deeds::answered},
      {"failed", &Deeds::failed},
      {"unknown", &Deeds::unknown},
      {"busy", &Deeds::busy},
      {"elections", &Deeds::elections},
      {"leaders", &Deeds::leaders},
      {"memberships", &Deeds::memberships},
      {"snapshots_saved", &Deeds::snapshots_saved},
      {"snapshots_installed", &Deeds::snapshots_installed},
      {"restarts", &Deeds::restarts},
      {"replaced", &Deeds::replaced},
      {"holes", &Deeds::holes},
      {"truncations", &Deeds::truncations},
      {"entries", &Deeds::entries},
      {"judged", &Deeds::judged},
      {"undecided", &Deeds::undecided},
  };
  static_assert(sizeof(Deeds) == std::size(kFields) * sizeof(uint64_t));
  return kFields;
}

void Deeds::add(const Deeds& other) {
  for (const Field& field : fields()) this->*field.value += other.*field.value;
}

GroupScenario::GroupScenario(const Family& family, const Profile& profile, Shape shape, uint64_t seed, Deeds* deeds)
    : family_(family),
      profile_(profile),
      shape_(std::move(shape)),
      bounds_(family.bounds(shape_)),
      seed_(seed),
      deeds_(deeds),
      judge_(family.judge([this](consensus::NodeId id) { return world_->clock(machine_of(id)).mono_ns(); })) {}

GroupScenario::~GroupScenario() = default;

void GroupScenario::begin(World& world) {
  world_ = &world;
  Generator random(mix64(seed_, 0xf0));
  hosts_.resize(world.nodes());
  std::vector<consensus::Member> members;
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    const NodeIndex node{i};
    Host& host = hosts_[i];
    host.id = member_id(node);
    host.founder = i < shape_.voters + shape_.learners;
    if (host.founder) {
      consensus::Member member{.id = host.id, .address = name(node)};
      if (i >= shape_.voters) {
        member.role = consensus::Role::kLearner;
        member.incoming = false;
      } else if (shape_.witness && i + 1 == shape_.voters) {
        member.role = consensus::Role::kWitness;
      }
      members.push_back(std::move(member));
    }
    if (shape_.drift_ppm != 0) {
      const auto range = static_cast<uint64_t>(shape_.drift_ppm);
      world.clock(node).set_drift_ppm(static_cast<int64_t>(random.below(2 * range + 1)) - shape_.drift_ppm);
    }
  }
  for (size_t left = shape_.liars; left > 0;) {
    Host& host = hosts_[random.below(shape_.voters)];
    if (std::exchange(host.liar, true)) continue;
    --left;
  }
  auto founding = consensus::Membership::make(std::move(members));
  CHECK(founding.ok());
  founding_ = std::move(founding).value();
  note_witnesses(founding_);
  world.links().weather().fifo = shape_.ordered;
  canon_.found(founding_);
  clients_ = std::make_unique<Clients>(world.scheduler(), static_cast<Endpoints&>(*this), shape_, seed_);
  world.atlas().bound_damaged_nodes();
  update_tolerance();
}

GroupProcess* GroupScenario::process(NodeIndex node) const { return static_cast<GroupProcess*>(world_->process(node)); }

Result<std::unique_ptr<Process>> GroupScenario::start(World& world, Machine& machine) {
  if (world_ == nullptr) begin(world);
  const NodeIndex node = machine.node;
  Host& host = hosts_[at(node)];
  consensus::ReplicaOptions options = shape_.replica;
  const auto factory = [&](bool founder) {
    return [this, id = host.id, founder, &clock = machine.loop.clock()](uint64_t seed) {
      const bool told = founder || family_.joiners_trust;
      return family_.make(shape_, id, told ? founding_ : consensus::Membership(), clock, seed);
    };
  };
  // A disk whose damage nobody could tell from a healthy end of the log is replaced when its machine is down.
  if (host.starts > 0 && world.atlas().damaged(node) && host.replaced_in <= host.damaged_in) world.disk(node).wipe();
  if (host.initialised && world.disk(node).files().empty()) {
    GroupProcess old_self(machine, *this, host.id, false);
    if (old_self.open(options, factory(host.founder), family_.verifier.get()).ok()) {
      const std::string why = "a wiped disk was not recognised: " + name(node) + " came back as its old self";
      world.fail(why);
      return Error{Code::kInternal, why};
    }
    host.id = reborn(host.id);
    host.founder = host.initialised = host.liar = false;
    host.held = 0;
    host.replaced_in = host.starts + 1;
    ++own_.replaced;
  }
  ++host.starts;
  own_.restarts += host.starts > 1;
  auto process = std::make_unique<GroupProcess>(machine, static_cast<Watcher&>(*this), host.id, shape_.loses_appends);
  options.bootstrap = !host.initialised;
  const Status opened = process->open(std::move(options), factory(host.founder), family_.verifier.get());
  if (machine.power->crashed()) return opened.ok() ? Error{Code::kUnavailable, "the power went"} : opened.error();
  if (!opened.ok()) {
    // An error of the disk while it is read is no loss: the next start may succeed, or the one after the disk was seen
    // to. (Bad sectors of a log file go with it when it is recycled, and may then lie where the log ends.)
    const bool disk_failed = opened.message().find("I/O error") != std::string_view::npos;
    if (disk_failed && world.healing()) see_to(world.disk(node));
    if ((opened.code() == Code::kDataLoss && !disk_failed) || opened.code() == Code::kInternal) {
      world.fail(name(node) +
                 " refuses to start, and nothing was done to it that it must not survive: " + opened.to_string());
    }
    return opened.error();
  }
  host.initialised = true;
  if (host.liar) {
    const auto present = [this]() -> const consensus::Membership& { return canon_.membership(); };
    process->lie(family_.liar(host.id, present, mix64(seed_, host.starts)),
                 [this, &world] { return world_ != nullptr && !world.healing(); });
  }
  check(judge_->started(host.id, process->replica().protocol(), process->replica().applied(),
                        !process->replica().recovery().damage.empty()));
  check(canon_.compare(host.id, process->seen(), process->replica().digest()));
  return std::unique_ptr<Process>(std::move(process));
}

// --- What the members say ---

void GroupScenario::on_fact(NodeIndex node, const consensus::Fact& fact) {
  own_.elections += fact.kind == FactKind::kElectionStarted && fact.value == 0;
  own_.leaders += fact.kind == FactKind::kBecameLeader;
  own_.snapshots_saved += fact.kind == FactKind::kSnapshotSaved;
  own_.snapshots_installed += fact.kind == FactKind::kSnapshotInstalled;
  own_.holes += fact.kind == FactKind::kHoleFound;
  own_.truncations += fact.kind == FactKind::kTruncated;
  if (world_->journal().on()) world_->journal().say(node, to_string(fact));
  if (fact.kind == FactKind::kHalted && !disk_halts(world_->disk(node), fact.reason)) {
    world_->fail(name(node) + " halted: " + std::string(fact.reason));
  }
}

void GroupScenario::on_record(NodeIndex node, consensus::LogSeq seq, std::string_view record) {
  judge_->on_record(hosts_[at(node)].id, seq, record);
}

void GroupScenario::on_sent(NodeIndex node, consensus::NodeId to, std::string_view frame) {
  judge_->on_sent(hosts_[at(node)].id, to, frame);
}

void GroupScenario::on_applied(NodeIndex node, Position position, Position after, const consensus::Entry& entry,
                               bool executed, bool changed, Hash128 digest) {
  const bool first = position > canon_.last();
  check(canon_.deliver({hosts_[at(node)].id, position, after, entry, executed, digest, changed}));
  if (!first) return;
  ++own_.entries;
  progressed_at_ns_ = world_->now_ns();
  own_.memberships += entry.kind == consensus::EntryKind::kMembership;
  const auto command = consensus::decode_command(entry.payload.view());
  if (entry.kind == consensus::EntryKind::kCommand && command.ok()) check_time(node, *command, position);
  if (!executed || !command.ok() || command->header.session == consensus::kNoSession) return;
  applied_.push_back({check::NodeId{at(node)}, position,
                      check::SessionId{static_cast<uint64_t>(command->header.session)}, command->header.sequence});
}

// Of what was executed first here. A correct member had asked its own clock before; no clock is ahead of all.
void GroupScenario::check_time(NodeIndex node, const consensus::DecodedCommand& command, Position position) {
  if (shape_.liars == 0 || family_.most_ahead_ns == 0) return;
  int64_t latest_ns = 0;
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    latest_ns = std::max(latest_ns, world_->clock(NodeIndex{i}).wall_ns());
  }
  const int64_t proposed_ns = command.header.proposed_ns;
  if (proposed_ns <= latest_ns + family_.most_ahead_ns) return;
  world_->fail("agreed time: " + name(node) + " executed at position " + std::to_string(position) + " a command of " +
               seconds(proposed_ns - latest_ns) + " s ahead of every clock");
}

Scope GroupScenario::cost_of(NodeIndex node, const std::vector<consensus::LogSeq>& lost) const {
  return judge_->cost_of(hosts_[at(node)].id, process(node)->replica().protocol(), lost);
}

// --- Clients ---

void GroupScenario::post(NodeIndex node, std::function<void(consensus::Replica&)> task) {
  GroupProcess* const target = process(node);
  if (target == nullptr) return;
  target->machine().loop.post([target, task = std::move(task)] { task(target->replica()); });
}

bool GroupScenario::speaks(NodeIndex node) const { return !world_->disk(node).crashed(); }

NodeIndex GroupScenario::machine_of(consensus::NodeId id) const {
  const NodeIndex node = groups::machine_of(id);
  return at(node) < hosts_.size() ? node : NodeIndex{0};
}

std::optional<Position> GroupScenario::applied_at(consensus::SessionId session, uint64_t sequence) const {
  return canon_.executed_at(session, sequence);
}

void GroupScenario::operation(World& world, const Item& item) {
  update_tolerance();
  Generator random(item.seed);
  const auto dice = static_cast<int>(random.below(100));
  if (dice >= profile_.mix.admin + profile_.mix.reads) {
    if (world.now_ns() - asked_at_ns_ > kSilenceNs) progressed_at_ns_ = world.now_ns();
    asked_at_ns_ = world.now_ns();
  }
  if (!world.healing()) {
    if (profile_.lasting != Lasting::kNone && !lasting_fault_ && world.now_ns() >= kLastingFaultAtNs) {
      begin_lasting_fault();
    }
    check_availability();
  }
  if (dice < profile_.mix.admin) return act(random);
  if (world.healing()) return;
  clients_->issue(item.node, dice < profile_.mix.admin + profile_.mix.reads, random);
}

// --- Faults that last, and under which the group must go on ---

void GroupScenario::begin_lasting_fault() {
  const auto at_leader = leader();
  if (!at_leader) return;
  Generator random(mix64(seed_, 0x1a57));
  const NodeMask others = all_of(hosts_.size()) & ~mask_of(*at_leader);
  if (profile_.lasting == Lasting::kDeafLeader) {
    world_->links().cut(others, mask_of(*at_leader));
  } else {
    NodeIndex other = *at_leader;
    while (other == *at_leader) other = NodeIndex{static_cast<uint32_t>(random.below(shape_.voters))};
    world_->links().cut(mask_of(other), mask_of(*at_leader));
    world_->links().cut(mask_of(*at_leader), mask_of(other));
  }
  lasting_fault_ = true;
  leaders_before_ = own_.leaders;
  if (world_->journal().on()) world_->journal().say(*at_leader, "is cut off in part, for good");
}

void GroupScenario::check_availability() {
  if (profile_.longest_stall_ns != 0 && world_->now_ns() - progressed_at_ns_ > profile_.longest_stall_ns) {
    world_->fail("availability: nothing was agreed on for " + seconds(profile_.longest_stall_ns) +
                 " s, though a quorum lives and sees each other");
  }
  if (profile_.most_reigns != 0 && lasting_fault_ && own_.leaders - leaders_before_ > profile_.most_reigns) {
    world_->fail("availability: more than " + std::to_string(profile_.most_reigns) +
                 " changes of leadership, though a quorum sees each other");
  }
}

// --- Judgement ---

void GroupScenario::check_bounds(NodeIndex node, const consensus::Report& report) {
  const consensus::ReplicaStats stats = process(node)->replica().stats();
  const Bounds& most = bounds_;
  const auto broken = [&](uint64_t held, std::string_view what) {
    world_->fail("bounded memory: " + name(node) + " holds " + std::to_string(held) + " " + std::string(what));
  };
  if (stats.pending > shape_.replica.max_pending) broken(stats.pending, "requests without an answer");
  if (report.uncommitted_bytes > most.uncommitted_bytes) {
    broken(report.uncommitted_bytes, "bytes of uncommitted entries");
  }
  if (report.log_bytes > most.log_bytes) broken(report.log_bytes, "bytes of log");
}

void GroupScenario::after_event(World& world, NodeIndex node) {
  if (node == kNoNode || !world.up(node)) return;
  GroupProcess& process = *this->process(node);
  const consensus::Replica& replica = process.replica();
  Host& host = hosts_[at(node)];
  check(judge_->after_event(host.id, replica.protocol()));
  if (replica.applied() != process.seen()) {  // a snapshot was installed
    check(canon_.compare(host.id, replica.applied(), replica.digest()));
    process.see_install();
  }
  const consensus::Report report = replica.report();
  const Position held = report.standing == Standing::kWitness ? 0 : report.durable_position;
  // One with a hole holds what it did but for the damage, which is booked.
  if (held != host.held && report.standing != Standing::kRecovering) {
    host.held = held;
    world.atlas().holds(node, {1, held});
  }
  check_bounds(node, report);
}

void GroupScenario::stopped(World& world, NodeIndex node) {
  GroupProcess* const dying = process(node);
  judge_->stopped(hosts_[at(node)].id, dying->replica().protocol());
  (void)world;
}

void GroupScenario::healed(World& world) { (void)world; }

bool GroupScenario::progressed(World& world) {
  update_tolerance();
  if (world.now_ns() >= repaired_at_ns_ + 200'000'000 || finals_asked_) {
    repaired_at_ns_ = world.now_ns();
    if (!repair()) return false;
    if (!finals_asked_ && clients_->idle()) {
      finals_asked_ = true;
      clients_->start_final_reads();
    }
  }
  if (!finals_asked_ || !clients_->final_reads_done()) return waits(kNoNode, clients_->who_waits());
  return converged();
}

void GroupScenario::finish(World& world) {
  own_.answered = clients_->answered();
  own_.failed = clients_->failed();
  own_.unknown = clients_->unknown();
  own_.busy = clients_->busy();
  clients_->resolve([this](uint64_t command) { return canon_.execution_of(command); });
  for (check::History& history : clients_->histories()) {
    history.applied = applied_;
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
  if (deeds_ != nullptr) deeds_->add(own_);
}

}  // namespace clew::sim::groups

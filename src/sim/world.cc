#include "sim/world.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace clew::sim {

namespace {

constexpr int64_t kPollNs = 10'000'000;  // how often progress is asked for
// An armed fault that meets no operation within that time does not lie in wait for the rest of the run.
constexpr int64_t kArmedNs = 2'000'000'000;

// What an event of the world's own is: the type above an index.
enum class Own : uint64_t { kBegin, kEnd, kRestart };
uint64_t own(Own type, uint64_t index) { return static_cast<uint64_t>(type) << 32 | index; }

}  // namespace

void Machine::send(NodeIndex to, std::string bytes) const {
  if (!power->crashed()) mesh.send(node, to, std::move(bytes));
}

World::World(Plan plan, Scenario& scenario)
    : plan_(std::move(plan)),
      scenario_(scenario),
      links_(plan_.nodes, mix64(plan_.seed, 1)),
      mesh_(scheduler_, links_),
      network_(scheduler_, links_),
      atlas_(plan_.nodes),
      journal_(scheduler_),
      random_(mix64(plan_.seed, 2)),
      target_(scheduler_.attach(*this)),
      lives_(plan_.items.size(), 0) {
  for (size_t i = 0; i < plan_.nodes; ++i) {
    auto& node = *machines_.emplace_back(std::make_unique<Node>(scheduler_, mix64(plan_.seed, 100 + i)));
    node.disk.set_trace(&scheduler_.trace());
    node.disk.set_seed(mix64(plan_.seed, 200 + i));
    node.disk.set_latency(kDiskLatencyNs, kDiskJitterNs);
    node.clock.reboot(static_cast<int64_t>(random_.below(uint64_t{1} << 50)));
  }
}

World::~World() {
  // Processes first: they may still look at anything. Then what is scheduled, which may hold streams and files.
  for (uint32_t i = 0; i < machines_.size(); ++i) stop(NodeIndex{i}, false);
  scheduler_.clear();
  scheduler_.detach(target_);
}

bool World::up(NodeIndex node) const { return machines_[at(node)]->process != nullptr; }
bool World::paused(NodeIndex node) const { return up(node) && machines_[at(node)]->loop->paused(); }
bool World::halted(NodeIndex node) const { return machines_[at(node)]->halted; }
const Status& World::halt_reason(NodeIndex node) const { return machines_[at(node)]->halt_reason; }
Process* World::process(NodeIndex node) { return machines_[at(node)]->process.get(); }
SimDisk& World::disk(NodeIndex node) { return machines_[at(node)]->disk; }
SimClock& World::clock(NodeIndex node) { return machines_[at(node)]->clock; }
uint64_t World::life(NodeIndex node) const { return machines_[at(node)]->life; }

void World::fail(std::string why) {
  if (failed_) return;
  failed_ = true;
  result_.ok = false;
  result_.failed_at_ns = now_ns();
  if (journal_.on()) journal_.say(kNoNode, "FAILED: " + why);
  result_.failure = std::move(why);
}

void World::leave_undecided(std::string why) {
  if (journal_.on()) journal_.say(kNoNode, "NOT DECIDED: " + why);
  if (result_.undecided.empty()) result_.undecided = std::move(why);
}

void World::start(NodeIndex node) {
  Node& starting = *machines_[at(node)];
  if (starting.process != nullptr) return;
  ++starting.life;
  starting.halted = false;
  starting.loop = std::make_unique<SimLoop>(scheduler_, starting.clock, node);
  starting.machine = std::make_unique<Machine>(Machine{node, starting.life, *starting.loop, starting.disk,
                                                       network_.host(node), starting.random, mesh_, atlas_, journal_,
                                                       [&starting, life = starting.life](Status reason) {
                                                         if (starting.life != life || starting.halted) return;
                                                         starting.halted = true;
                                                         starting.halt_reason = std::move(reason);
                                                       },
                                                       &starting.disk});
  network_.set_up(node);
  if (journal_.on()) journal_.say(node, "starts, life " + std::to_string(starting.life));
  auto started = scenario_.start(*this, *starting.machine);
  if (starting.disk.crashed()) {  // the power went while it read its disk
    if (started.ok()) starting.process = std::move(*started);
    settle(node);
    return;
  }
  if (!started.ok()) {
    starting.halted = true;
    starting.halt_reason = started.status();
    if (journal_.on()) journal_.say(node, "refuses to start: " + started.status().to_string());
    discard(node);
    network_.set_down(node, true);
    starting.disk.kill_and_restart();
    return;
  }
  starting.process = std::move(*started);
  mesh_.set_up(node, *starting.process);
}

void World::discard(NodeIndex node) {
  Node& dead = *machines_[at(node)];
  if (dead.loop != nullptr) dead.loop->kill();
  dead.process.reset();
  dead.machine.reset();
  dead.loop.reset();
  dead.pauses = 0;
}

void World::stop(NodeIndex node, bool reset) {
  Node& dying = *machines_[at(node)];
  if (dying.process != nullptr) scenario_.stopped(*this, node);
  mesh_.set_down(node, reset);
  network_.set_down(node, reset);
  discard(node);
}

void World::kill(NodeIndex node) {
  if (!up(node)) return;
  if (journal_.on()) journal_.say(node, "is killed");
  stop(node, true);
  machines_[at(node)]->disk.kill_and_restart();
}

void World::power_cut(NodeIndex node, uint64_t seed) {
  if (!up(node)) return;
  if (journal_.on()) journal_.say(node, "loses power");
  cut_power(node, seed);
}

void World::cut_power(NodeIndex node, uint64_t seed) {
  stop(node, false);
  Node& dead = *machines_[at(node)];
  dead.disk.crash_and_restart(seed);
  dead.clock.reboot(static_cast<int64_t>(seed >> 14));
}

void World::wipe(NodeIndex node) {
  if (up(node)) return;
  if (journal_.on()) journal_.say(node, "has a new, empty disk");
  machines_[at(node)]->disk.wipe();
}

void World::pause(NodeIndex node) {
  if (!up(node)) return;
  Node& pausing = *machines_[at(node)];
  if (pausing.pauses++ != 0) return;
  if (journal_.on()) journal_.say(node, "is stopped (SIGSTOP)");
  pausing.loop->pause();
  mesh_.pause(node);
}

void World::resume(NodeIndex node) {
  Node& resuming = *machines_[at(node)];
  if (!up(node) || resuming.pauses == 0 || --resuming.pauses != 0) return;
  if (journal_.on()) journal_.say(node, "goes on (SIGCONT)");
  resuming.loop->resume();
  mesh_.resume(node);
}

void World::settle(NodeIndex node) {
  Node& settled = *machines_[at(node)];
  if (settled.disk.crashed()) {
    if (journal_.on()) journal_.say(node, "loses power in the middle of a disk operation");
    const uint64_t seed = settled.cut_seed;
    cut_power(node, seed);
    scheduler_.schedule({now_ns() + settled.restart_in_ns, EventKind::kPlan, node, seed}, target_,
                        own(Own::kRestart, at(node)));
  } else if (settled.halted && settled.process != nullptr) {
    if (journal_.on()) journal_.say(node, "halts: " + settled.halt_reason.to_string());
    stop(node, true);
    settled.disk.kill_and_restart();
  }
}

bool World::step(int64_t until_ns) {
  if (!scheduler_.run_one(until_ns)) return false;
  const Scheduler::Event& event = scheduler_.last();
  const NodeIndex node = event.node;
  if (event.kind == EventKind::kPlan || node == kNoNode) {
    for (uint32_t i = 0; i < machines_.size(); ++i) settle(NodeIndex{i});
  } else {
    settle(node);
  }
  if (!failed_) scenario_.after_event(*this, node);
  return !failed_;
}

void World::schedule_next() {
  if (next_item_ == plan_.items.size()) return;
  const Item& item = plan_.items[next_item_];
  const NodeIndex node = item.kind == FaultKind::kOperation ? item.node : kNoNode;
  scheduler_.schedule({item.at_ns, EventKind::kPlan, node, item.seed}, target_, own(Own::kBegin, next_item_));
  ++next_item_;
}

void World::on_event(EventKind, uint64_t argument, Task) {
  const auto index = static_cast<uint32_t>(argument);
  switch (static_cast<Own>(argument >> 32)) {
    case Own::kBegin: {
      schedule_next();
      Item& item = plan_.items[index];
      if (item.kind == FaultKind::kOperation) {
        scenario_.operation(*this, item);
        return;
      }
      if (healing_) return;
      if (item.at_leader) item = aimed(item);
      lives_[index] = life(item.node);
      if (journal_.on())
        journal_.say(kNoNode, "fault " + std::to_string(plan_.kept[index].number) + ": " + to_string(item));
      if (!begin(item)) return;
      ++result_.faults[static_cast<size_t>(item.kind)];
      if (item.kind <= FaultKind::kSkew) return;
      const bool armed = item.kind == FaultKind::kPowerCutInIo;
      const int64_t lasts = armed ? kArmedNs : item.duration_ns;
      if (lasts != 0) {
        scheduler_.schedule({now_ns() + lasts, EventKind::kPlan, kNoNode, item.seed}, target_, own(Own::kEnd, index));
      }
      return;
    }
    case Own::kEnd:
      if (!healing_) end(plan_.items[index], lives_[index]);
      return;
    case Own::kRestart:
      start(NodeIndex{index});
      return;
  }
}

RunResult World::run() {
  for (uint32_t i = 0; i < machines_.size(); ++i) start(NodeIndex{i});
  schedule_next();
  while (step(plan_.heal_at_ns)) {
  }
  if (!failed_) {
    scheduler_.run_for(plan_.heal_at_ns - now_ns());
    heal();
    scenario_.healed(*this);
    const int64_t deadline = now_ns() + plan_.progress_within_ns;
    bool progressed = false;
    while (!failed_ && !progressed && now_ns() < deadline) {
      const int64_t poll_at = std::min(now_ns() + kPollNs, deadline);
      while (step(poll_at)) {
      }
      if (failed_) break;
      scheduler_.run_for(poll_at - now_ns());
      progressed = scenario_.progressed(*this);
    }
    result_.recovery_ns = now_ns() - plan_.heal_at_ns;
    if (!failed_ && !progressed) {
      fail("no progress within " + seconds(plan_.progress_within_ns) + " s after all faults had ended");
    }
  }
  if (!failed_) scenario_.finish(*this);
  result_.virtual_ns = now_ns();
  result_.events = scheduler_.events_run();
  result_.trace_hash = scheduler_.trace_hash();
  return result_;
}

}  // namespace clew::sim

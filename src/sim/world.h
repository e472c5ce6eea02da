// World: one simulated run: machines with clocks, disks and networks, a plan of what befalls them, and a scenario that
// says what runs there and what must hold.
//
// Everything is drawn from the plan's seed; `trace_hash()` of two runs of one plan is equal. After every event the
// scenario is asked (`after_event`) with the node that it concerned; the first failure ends the run. Phases: faults
// until the plan heals, then no faults, halted nodes started again, and `progressed` must become true in time.
// A failed run is replayed with its seed: sim/hunt.h prints the command.
//
// One thread; a world is used for one run.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/function.h"
#include "base/status.h"
#include "sim/atlas.h"
#include "sim/disk.h"
#include "sim/journal.h"
#include "sim/links.h"
#include "sim/loop.h"
#include "sim/mesh.h"
#include "sim/network.h"
#include "sim/plan.h"
#include "sim/process.h"
#include "sim/random.h"
#include "sim/scheduler.h"

namespace clew::sim {

class World;

class Scenario {
 public:
  virtual ~Scenario() = default;
  // A process starts on what its disk holds. An error is a process that refuses to start: it counts as halted.
  virtual Result<std::unique_ptr<Process>> start(World& world, Machine& machine) = 0;
  virtual void operation(World& world, const Item& item) = 0;  // a client does something
  // Whom a fault strikes that is aimed at the leader; nothing: the machine that was drawn.
  virtual std::optional<NodeIndex> aim(World& /*world*/) { return std::nullopt; }
  // After every event that concerned `node` (kNoNode: the world). Calls world.fail() when something is wrong.
  virtual void after_event(World& world, NodeIndex node) = 0;
  virtual void stopped(World& /*world*/, NodeIndex /*node*/) {}  // a process died; its object still exists
  virtual void healed(World& /*world*/) {}                       // the second phase begins
  virtual bool progressed(World& world) = 0;                     // in the second phase: did what was asked for happen?
  virtual void finish(World& /*world*/) {}                       // last checks, on histories for instance
};

struct RunResult {
  bool ok = true;
  std::string failure;    // why it is not
  std::string undecided;  // a check that ran out of its budget: such a run is neither a failure nor clean
  int64_t failed_at_ns = 0;
  int64_t virtual_ns = 0;
  int64_t recovery_ns = 0;  // from the heal to progress
  uint64_t events = 0;
  uint64_t trace_hash = 0;
  std::array<uint64_t, kFaultKinds> faults{};  // that happened, by kind

  bool clean() const { return ok && undecided.empty(); }
};

class World final : private EventTarget {
 public:
  World(Plan plan, Scenario& scenario);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  RunResult run();  // once

  // For scenarios.
  void fail(std::string why);  // the first one counts
  bool failed() const { return failed_; }
  void leave_undecided(std::string why);  // the first one counts
  size_t nodes() const { return machines_.size(); }
  bool up(NodeIndex node) const;
  bool paused(NodeIndex node) const;
  bool healing() const { return healing_; }
  bool halted(NodeIndex node) const;  // it gave itself up, or refused to start
  const Status& halt_reason(NodeIndex node) const;
  Process* process(NodeIndex node);  // null when it is not up
  SimDisk& disk(NodeIndex node);
  SimClock& clock(NodeIndex node);
  uint64_t life(NodeIndex node) const;
  // A generator for what the scenario draws outside of items.
  Generator& random() { return random_; }
  Scheduler& scheduler() { return scheduler_; }
  Links& links() { return links_; }
  Mesh& mesh() { return mesh_; }
  SimNetwork& network() { return network_; }
  FaultAtlas& atlas() { return atlas_; }
  Journal& journal() { return journal_; }
  const Plan& plan() const { return plan_; }
  int64_t now_ns() const { return scheduler_.now_ns(); }

  // Faults, also for tests that write their own story. `start` on a node that is up does nothing, and so on. Never from
  // within an event of a node: from operations, the hooks of the scenario, or outside of run().
  void start(NodeIndex node);
  void kill(NodeIndex node);
  void power_cut(NodeIndex node, uint64_t seed);
  void wipe(NodeIndex node);  // of a node that is down
  void pause(NodeIndex node);
  void resume(NodeIndex node);
  void heal();  // ends every fault and starts everybody

 private:
  static constexpr int64_t kDiskLatencyNs = 50'000;
  static constexpr int64_t kDiskJitterNs = 150'000;

  struct Node {
    Node(const Scheduler& scheduler, uint64_t seed) : clock(scheduler, SimLoop::kDefaultEpochNs), random(seed) {}

    // The machine.
    SimDisk disk;
    SimClock clock;
    SimRandom random;
    uint64_t life = 0;
    int64_t restart_in_ns = 0;  // after a power cut within a disk operation, and what decides its outcome: both are
    uint64_t cut_seed = 0;      // the item's, so that leaving out other items does not change them
    uint32_t slowed = 0;        // faults that are on, of a kind that may overlap with itself
    uint32_t filled = 0;
    // Its process; null when it is down.
    uint32_t pauses = 0;
    bool halted = false;
    Status halt_reason;
    std::unique_ptr<SimLoop> loop;
    std::unique_ptr<Machine> machine;
    std::unique_ptr<Process> process;
  };

  void on_event(EventKind kind, uint64_t argument, Task task) override;
  void schedule_next();  // the next item of the plan
  Item aimed(const Item& item);
  bool begin(const Item& item);  // false: it did not happen, and needs no end
  void begin_network(const Item& item);
  bool begin_disk(const Item& item);
  bool damage(const Item& item);
  void end(const Item& item, uint64_t life);  // `life` of its node when it began
  void settle(NodeIndex node);                // after an event: a power cut within it, or a halt
  void cut_power(NodeIndex node, uint64_t seed);
  void stop(NodeIndex node, bool reset);
  void discard(NodeIndex node);
  bool step(int64_t until_ns);

  Plan plan_;
  Scenario& scenario_;
  Scheduler scheduler_;
  Links links_;
  Mesh mesh_;
  SimNetwork network_;
  FaultAtlas atlas_;
  Journal journal_;
  Generator random_;
  TargetId target_;
  std::vector<uint64_t> lives_;  // by item: of its node, when it began
  size_t next_item_ = 0;
  std::vector<std::unique_ptr<Node>> machines_;
  bool failed_ = false;
  bool healing_ = false;
  RunResult result_;
};

}  // namespace clew::sim

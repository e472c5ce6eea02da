// Workload: what clients of one kind do with a group of nodes, and what they may expect of it. Each has its own file;
// a scenario has several at once.
//
// Clients are outside of the machines: what they remember outlives every process. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "sim/check/history.h"
#include "sim/nodes/switchboard.h"
#include "sim/nodes/truth.h"
#include "sim/scheduler.h"

namespace clew::sim::nodes {

// What a workload is given. All outlive it.
struct Stage {
  World& world;
  Switchboard& switchboard;
  Truth& truth;
  uint64_t seed = 0;
  size_t keys = 3;
  size_t clients = 8;
  bool sessions = true;

  Scheduler& scheduler() const { return world.scheduler(); }
  int64_t now_ns() const { return world.now_ns(); }
  void later(int64_t delay_ns, std::function<void()> task) const {
    world.scheduler().at(world.now_ns() + delay_ns, Task(std::move(task)));
  }
  void say(const std::string& what) const {
    if (world.journal().on()) world.journal().say(kNoNode, what);
  }
};

// What was done, summed up by who runs many.
struct Tally {
  uint64_t answered = 0, failed = 0, unknown = 0, busy = 0;
  uint64_t watch_events = 0, leases = 0;
};

class Workload {
 public:
  virtual ~Workload() = default;
  virtual std::string_view name() const = 0;
  // One client begins something that `random` draws.
  virtual void issue(Generator random) = 0;
  // The second phase: faults have ended. Asked again and again until nothing is left to wait for; what it waits for, or
  // nothing.
  virtual std::string settle() = 0;
  // A process is about to die: what belongs to it is given up.
  virtual void stopped(NodeIndex /*machine*/) {}
  // At the end: last checks, histories for the checkers.
  virtual void finish() {}
  virtual std::vector<check::History> histories() { return {}; }
  const Tally& tally() const { return tally_; }

 protected:
  Tally tally_;
};

// Of a list as it stands in a value: "v1;v2;".
std::vector<std::string> elements(std::string_view list);

}  // namespace clew::sim::nodes

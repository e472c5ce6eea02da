// Virtual time: a Scheduler that owns all events of a simulated world, and SimLoop, env::Loop on top of it.
//
// One real thread, no real clock. Events run in the order of (time, sequence of scheduling), so the same program with
// the same seeds does the same thing every time. Time moves only when an event with a later time is run. Faults that
// exist here: a loop that dies with everything it had queued (`kill`), a wall clock that is off or jumps
// (`set_wall_offset`), offloaded work that takes virtual time (`set_offload_latency`). Faults of disks: sim/disk.h.
//
// Not for benchmarks and not thread-safe. A SimLoop may die before its Scheduler, never after it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_set>
#include <vector>

#include "base/function.h"
#include "env/loop.h"

namespace clew::sim {

class Scheduler {
 public:
  // Runs `task` at virtual time `at_ns` (or now, when that has passed), after everything scheduled earlier for that
  // time.
  void at(int64_t at_ns, Task task);
  int64_t now_ns() const { return now_ns_; }

  bool run_one();                     // the next event; false when there is none
  void run_until_idle();              // until no event is left (a program with periodic timers never gets there)
  void run_for(int64_t duration_ns);  // all events up to now + duration, then time stands at now + duration
  // Until `condition` holds; false when the events ran out before.
  bool run_until(const std::function<bool()>& condition);
  uint64_t events_run() const { return events_run_; }

 private:
  struct Event {
    int64_t at_ns;
    uint64_t sequence;
    Task task;
  };
  static bool later(const Event& a, const Event& b) {
    return a.at_ns != b.at_ns ? a.at_ns > b.at_ns : a.sequence > b.sequence;
  }
  std::vector<Event> heap_;
  int64_t now_ns_ = 0;
  uint64_t sequence_ = 0;
  uint64_t events_run_ = 0;
};

// Monotonic time is the virtual time; wall time is epoch + virtual time + offset.
class SimClock final : public env::Clock {
 public:
  SimClock(const Scheduler& scheduler, int64_t epoch_ns) : scheduler_(scheduler), epoch_ns_(epoch_ns) {}
  int64_t wall_ns() const override { return epoch_ns_ + scheduler_.now_ns() + offset_ns_; }
  int64_t mono_ns() const override { return scheduler_.now_ns(); }
  void set_wall_offset(int64_t offset_ns) { offset_ns_ = offset_ns; }

 private:
  const Scheduler& scheduler_;
  int64_t epoch_ns_;
  int64_t offset_ns_ = 0;
};

class SimLoop final : public env::Loop {
 public:
  static constexpr int64_t kDefaultEpochNs = 1'760'000'000'000'000'000;  // October 2025

  explicit SimLoop(Scheduler& scheduler, int64_t epoch_ns = kDefaultEpochNs);
  ~SimLoop() override;

  void post(Task task) override;
  env::TimerId after(int64_t delay_ns, Task task) override;
  void cancel(env::TimerId timer) override;
  void offload(env::Lane lane, Task work, Task done) override;
  // True inside this loop's tasks and outside of any event (the test itself), false inside offloaded work.
  bool on_this_thread() const override;
  const env::Clock& clock() const override { return clock_; }

  SimClock& sim_clock() { return clock_; }
  Scheduler& scheduler() { return scheduler_; }
  void set_offload_latency(int64_t latency_ns) { offload_latency_ns_ = latency_ns; }
  // The process dies: nothing queued, timed or offloaded so far runs, and neither does anything handed in later.
  void kill();

 private:
  struct State;  // what scheduled events keep alive; outlives the loop

  Scheduler& scheduler_;
  SimClock clock_;
  std::shared_ptr<State> state_;  // shared with the events that are scheduled
  int64_t offload_latency_ns_ = 1'000;
  std::array<int64_t, env::kLanes> lane_free_at_ns_{};  // a lane is one worker: its work runs one after another
};

}  // namespace clew::sim

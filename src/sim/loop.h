// SimLoop and SimClock: env::Loop and env::Clock of one simulated process, on a Scheduler's virtual time.
//
// Faults of processes: a loop dies with everything it had queued (`kill`), or stops for a while (`pause`, `resume`:
// SIGSTOP; what came due meanwhile runs late, in its order). Faults of clocks: skew and jumps of wall time
// (`set_wall_offset`), a rate that is wrong (`set_drift_ppm`, monotonic and wall time alike), a new origin of monotonic
// time (`reboot`). Timers go by the process's own monotonic clock, so a node with a fast clock times out early.
// Offloaded work takes virtual time (`set_offload_latency`, `take`). Faults of disks: sim/disk.h; of networks:
// sim/links.h.
//
// Not for benchmarks and not thread-safe. A SimLoop dies before its Scheduler and its clock.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/function.h"
#include "env/loop.h"
#include "sim/scheduler.h"

namespace clew::sim {

class SimClock final : public env::Clock {
 public:
  SimClock(const Scheduler& scheduler, int64_t epoch_ns) : scheduler_(scheduler), epoch_ns_(epoch_ns) {}
  int64_t wall_ns() const override { return epoch_ns_ + local_ns() + offset_ns_; }
  int64_t mono_ns() const override { return mono_origin_ns_ + local_ns(); }

  void set_wall_offset(int64_t offset_ns) { offset_ns_ = offset_ns; }
  int64_t wall_offset() const { return offset_ns_; }
  // Rate 1 + ppm / 1e6, from now on; above -1e6. Timers that are pending never fire early by the new rate, but may fire
  // late by it.
  void set_drift_ppm(int64_t ppm);
  int64_t drift_ppm() const { return drift_ppm_; }
  void reboot(int64_t mono_ns) { mono_origin_ns_ = mono_ns - local_ns(); }
  int64_t true_delay_ns(int64_t local_delay_ns) const;  // virtual time until that much local time has passed

 private:
  int64_t local_ns() const {
    const int64_t elapsed = scheduler_.now_ns() - base_true_ns_;
    return base_local_ns_ + elapsed + (drift_ppm_ == 0 ? 0 : drifted(elapsed));
  }
  int64_t drifted(int64_t elapsed_ns) const;

  const Scheduler& scheduler_;
  int64_t epoch_ns_;
  int64_t offset_ns_ = 0;
  int64_t mono_origin_ns_ = 0;
  int64_t base_true_ns_ = 0;  // when the rate was last set
  int64_t base_local_ns_ = 0;
  int64_t drift_ppm_ = 0;
};

class SimLoop final : public env::Loop, private EventTarget {
 public:
  static constexpr int64_t kDefaultEpochNs = 1'760'000'000'000'000'000;  // October 2025

  explicit SimLoop(Scheduler& scheduler, int64_t epoch_ns = kDefaultEpochNs);
  // On the clock of a machine, which outlives its processes.
  SimLoop(Scheduler& scheduler, SimClock& clock, NodeIndex node);
  SimLoop(const SimLoop&) = delete;
  SimLoop& operator=(const SimLoop&) = delete;
  ~SimLoop() override;

  void post(Task task) override;
  env::TimerId after(int64_t delay_ns, Task task) override;
  void cancel(env::TimerId timer) override;
  void offload(env::Lane lane, Task work, Task done) override;
  // True inside this loop's tasks and outside of any event (the test itself), false inside offloaded work.
  bool on_this_thread() const override { return !in_offloaded_work_; }
  const env::Clock& clock() const override { return clock_; }

  SimClock& sim_clock() { return clock_; }
  Scheduler& scheduler() { return scheduler_; }
  NodeIndex node() const { return node_; }
  void set_offload_latency(int64_t latency_ns) { offload_latency_ns_ = latency_ns; }
  // By offloaded work while it runs: it takes so long on the worker that is free first, and is done then. Work that
  // takes nothing needs no worker but that of its lane.
  void take(int64_t ns) { taken_ns_ += ns; }
  void set_workers(size_t workers) { worker_free_at_ns_.resize(workers); }  // at least one
  // Runs `task` on this loop in `delay_ns` of virtual, not local, time: for devices that are no part of the process.
  void device(int64_t delay_ns, EventKind kind, uint64_t digest, Task task);
  // The process dies: nothing queued, timed or offloaded so far runs, and neither does anything handed in later.
  void kill();
  bool alive() const { return alive_; }
  void pause();
  void resume();
  bool paused() const { return paused_; }

 private:
  struct Held {
    EventKind kind;
    uint64_t argument;
    EventId id;
    Task task;
  };
  struct Moved {  // a timer that was scheduled anew: the clock was slowed meanwhile, or the process paused
    env::TimerId timer;
    EventId event;
  };
  void on_event(EventKind kind, uint64_t argument, Task task) override;
  void finish(int64_t took_ns, Task done);  // offloaded work
  void move_timer(EventId from, int64_t delay_ns, uint64_t deadline_ns, Task task);

  Scheduler& scheduler_;
  SimClock own_clock_;
  SimClock& clock_;
  NodeIndex node_;
  TargetId target_;
  bool alive_ = true;
  bool paused_ = false;
  bool in_offloaded_work_ = false;
  uint64_t asked_ = 0;      // number of the next thing asked for: its digest in the trace
  std::vector<Held> held_;  // came due while paused, in order
  std::vector<Moved> moved_;
  int64_t offload_latency_ns_ = 1'000;
  int64_t taken_ns_ = 0;  // by the offloaded work that runs
  std::vector<int64_t> worker_free_at_ns_ = {0};
  std::array<int64_t, env::kLanes> lane_free_at_ns_{};  // a lane is one worker: its work runs one after another
};

}  // namespace clew::sim

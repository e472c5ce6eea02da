// The ports for time and execution: Clock, Loop. os/ implements them on real threads, sim/ on virtual time.
//
// A Loop is one thread that owns state; everything that belongs to it runs on it, so nothing above env needs a lock.
// Heavy or blocking work (sealing, compression, file reads of a query) is handed to `offload` and comes back as a task.
// Nothing above os/ creates a thread, reads a clock of its own, or sleeps.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/function.h"

namespace clew::env {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t wall_ns() const = 0;  // Unix time; may jump. For stamps, never for durations.
  virtual int64_t mono_ns() const = 0;  // never goes back; origin unspecified. For timers and durations.
};

// Kinds of offloaded work, so that sealing and compaction cannot make a query wait, nor queries starve the seal, nor
// either of them the few short calls (create, preallocate, sync a directory) that the write path depends on: kFiles.
enum class Lane : uint8_t { kQuery, kBackground, kFiles };
constexpr size_t kLanes = 3;

using TimerId = uint64_t;  // 0 is never a timer

class Loop {
 public:
  virtual ~Loop() = default;

  // Runs `task` on this loop, later, in the order of posting. Any thread. Tasks posted after stop() are dropped.
  virtual void post(Task task) = 0;
  // Runs `task` once, on this loop, `delay_ns` from now or later. On the loop only.
  virtual TimerId after(int64_t delay_ns, Task task) = 0;
  // After it returns the task will not run. Unknown ids are ignored. On the loop only.
  virtual void cancel(TimerId timer) = 0;
  // Runs `work` on a worker of `lane`, then `done` on this loop. Any thread. Work of one lane starts in order.
  virtual void offload(Lane lane, Task work, Task done) = 0;
  virtual bool on_this_thread() const = 0;
  virtual const Clock& clock() const = 0;
};

}  // namespace clew::env

// Scheduler: virtual time and all that will happen in it, one heap for one world.
//
// One real thread, no real clock. Events run in the order of (time, sequence of scheduling), so the same program with
// the same seed does the same thing every time; `trace()` is the proof. Time moves only when an event with a later time
// is run. An event goes to an attached target (a loop, the mesh, a network) or is a task of nobody's.
//
// Cost: an event is one heap key of 24 bytes and one recycled slot; scheduling allocates nothing but what the task
// itself holds. O(log n) to schedule and to run, O(1) to cancel. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/function.h"
#include "sim/trace.h"

namespace clew::sim {

class EventTarget {
 public:
  // `argument` and `task` as they were scheduled.
  virtual void on_event(EventKind kind, uint64_t argument, Task task) = 0;

 protected:
  ~EventTarget() = default;
};

using TargetId = uint32_t;  // never reused within a scheduler
using EventId = uint64_t;   // 0 is never an event

class Scheduler {
 public:
  // What an event is, in the trace and for who looks after each one.
  struct Event {
    int64_t at_ns = 0;
    EventKind kind = EventKind::kTask;
    NodeIndex node = kNoNode;
    uint64_t digest = 0;  // of what it carries
  };

  Scheduler() = default;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  ~Scheduler();

  // The target must detach before it dies. Detaching drops its events.
  TargetId attach(EventTarget& target);
  void detach(TargetId target);

  // Runs at `event.at_ns` (or now, when that has passed), after everything scheduled earlier for that time.
  EventId schedule(const Event& event, TargetId target, uint64_t argument, Task task = nullptr);
  void at(int64_t at_ns, Task task);  // of nobody's: kTask
  void cancel(EventId event);         // unknown and past events are ignored
  void clear();                       // drops all events

  int64_t now_ns() const { return now_ns_; }
  bool run_one();                     // the next event; false when there is none
  bool run_one(int64_t until_ns);     // the next event if it is due by then; false: none is, and time did not move
  void run_until_idle();              // until no event is left (a program with periodic timers never gets there)
  void run_for(int64_t duration_ns);  // all events up to now + duration, then time stands at now + duration
  // Until `condition` holds; false when the events ran out before.
  bool run_until(const std::function<bool()>& condition);

  const Event& last() const { return last_; }   // the one that runs, or ran last
  EventId running() const { return running_; }  // its id
  uint64_t events_run() const { return events_run_; }
  uint64_t events_run(EventKind kind) const { return by_kind_[static_cast<size_t>(kind)]; }
  // Who does something that no event shows (a disk, a state's digest) may add to the hash.
  TraceHash& trace() { return trace_; }
  uint64_t trace_hash() const { return trace_.value(); }

 private:
  struct Key {
    int64_t at_ns;
    uint64_t sequence;
    uint32_t slot;
  };
  struct Slot {
    Task task;
    uint64_t argument = 0;
    uint64_t digest = 0;
    uint32_t target = 0;
    uint32_t generation = 1;
    NodeIndex node = kNoNode;
    EventKind kind = EventKind::kTask;
    bool live = false;
  };
  static bool later(const Key& a, const Key& b) {
    return a.at_ns != b.at_ns ? a.at_ns > b.at_ns : a.sequence > b.sequence;
  }
  bool skip_cancelled();  // until the first key is of a live event; false when none is left
  void release(uint32_t slot);
  Task drop(uint32_t slot);

  std::vector<Key> heap_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<EventTarget*> targets_;  // null: detached
  int64_t now_ns_ = 0;
  uint64_t sequence_ = 0;
  uint64_t events_run_ = 0;
  uint64_t by_kind_[kEventKinds] = {};
  Event last_;
  EventId running_ = 0;
  TraceHash trace_;
};

}  // namespace clew::sim

#include "sim/scheduler.h"

#include <algorithm>
#include <utility>

namespace clew::sim {

namespace {
constexpr TargetId kNobodysTask = UINT32_MAX;
EventId make_id(uint32_t slot, uint32_t generation) { return uint64_t{generation} << 32 | slot; }
}  // namespace

Scheduler::~Scheduler() { clear(); }

TargetId Scheduler::attach(EventTarget& target) {
  targets_.push_back(&target);
  return static_cast<TargetId>(targets_.size() - 1);
}

void Scheduler::detach(TargetId target) {
  targets_[target] = nullptr;
  // What the tasks hold may itself schedule or cancel when it dies: it dies after the slots are in order.
  std::vector<Task> dropped;
  for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].live && slots_[slot].target == target) dropped.push_back(drop(slot));
  }
}

Task Scheduler::drop(uint32_t slot) {
  slots_[slot].live = false;
  return std::move(slots_[slot].task);
}

void Scheduler::release(uint32_t slot) {
  ++slots_[slot].generation;
  free_.push_back(slot);
}

EventId Scheduler::schedule(const Event& event, TargetId target, uint64_t argument, Task task) {
  uint32_t slot;
  if (free_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Slot& s = slots_[slot];
  s.task = std::move(task);
  s.argument = argument;
  s.digest = event.digest;
  s.target = target;
  s.node = event.node;
  s.kind = event.kind;
  s.live = true;
  heap_.push_back({std::max(event.at_ns, now_ns_), sequence_++, slot});
  std::push_heap(heap_.begin(), heap_.end(), later);
  return make_id(slot, s.generation);
}

void Scheduler::at(int64_t at_ns, Task task) {
  schedule({at_ns, EventKind::kTask, kNoNode, 0}, kNobodysTask, 0, std::move(task));
}

void Scheduler::cancel(EventId event) {
  const uint32_t slot = static_cast<uint32_t>(event);
  if (slot >= slots_.size() || !slots_[slot].live || slots_[slot].generation != event >> 32) return;
  const Task dropped = drop(slot);  // dies last: see detach
}

void Scheduler::clear() {
  std::vector<Slot> slots = std::exchange(slots_, {});
  heap_.clear();
  free_.clear();
}

bool Scheduler::skip_cancelled() {
  while (!heap_.empty() && !slots_[heap_.front().slot].live) {
    const uint32_t slot = heap_.front().slot;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    heap_.pop_back();
    release(slot);
  }
  return !heap_.empty();
}

bool Scheduler::run_one() { return run_one(INT64_MAX); }

bool Scheduler::run_one(int64_t until_ns) {
  if (!skip_cancelled() || heap_.front().at_ns > until_ns) return false;
  const Key key = heap_.front();
  std::pop_heap(heap_.begin(), heap_.end(), later);
  heap_.pop_back();
  Slot& slot = slots_[key.slot];
  const TargetId target = slot.target;
  const uint64_t argument = slot.argument;
  running_ = make_id(key.slot, slot.generation);
  last_ = {key.at_ns, slot.kind, slot.node, slot.digest};
  Task task = drop(key.slot);
  release(key.slot);

  now_ns_ = key.at_ns;
  ++events_run_;
  ++by_kind_[static_cast<size_t>(last_.kind)];
  trace_.add(static_cast<uint64_t>(last_.at_ns) ^ last_.digest << 1,
             last_.digest ^ (static_cast<uint64_t>(last_.node) << 8 | static_cast<uint64_t>(last_.kind)));
  if (target == kNobodysTask) {
    task();
  } else {
    targets_[target]->on_event(last_.kind, argument, std::move(task));
  }
  return true;
}

void Scheduler::run_until_idle() {
  while (run_one()) {
  }
}

void Scheduler::run_for(int64_t duration_ns) {
  const int64_t end = now_ns_ + duration_ns;
  while (run_one(end)) {
  }
  now_ns_ = end;
}

bool Scheduler::run_until(const std::function<bool()>& condition) {
  while (!condition()) {
    if (!run_one()) return false;
  }
  return true;
}

}  // namespace clew::sim

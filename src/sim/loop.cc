#include "sim/loop.h"

#include <algorithm>
#include <utility>

namespace clew::sim {

void Scheduler::at(int64_t at_ns, Task task) {
  heap_.push_back({std::max(at_ns, now_ns_), sequence_++, std::move(task)});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

bool Scheduler::run_one() {
  if (heap_.empty()) return false;
  std::pop_heap(heap_.begin(), heap_.end(), later);
  Event event = std::move(heap_.back());
  heap_.pop_back();
  now_ns_ = event.at_ns;
  ++events_run_;
  event.task();
  return true;
}

void Scheduler::run_until_idle() {
  while (run_one()) {
  }
}

void Scheduler::run_for(int64_t duration_ns) {
  const int64_t end = now_ns_ + duration_ns;
  while (!heap_.empty() && heap_.front().at_ns <= end) run_one();
  now_ns_ = end;
}

bool Scheduler::run_until(const std::function<bool()>& condition) {
  while (!condition()) {
    if (!run_one()) return false;
  }
  return true;
}

struct SimLoop::State {
  bool alive = true;
  bool in_offloaded_work = false;
  env::TimerId last_timer = 0;
  std::unordered_set<env::TimerId> timers;  // pending; looked up only, never iterated
};

SimLoop::SimLoop(Scheduler& scheduler, int64_t epoch_ns)
    : scheduler_(scheduler), clock_(scheduler, epoch_ns), state_(std::make_shared<State>()) {}

SimLoop::~SimLoop() { kill(); }

void SimLoop::kill() { state_->alive = false; }

void SimLoop::post(Task task) {
  scheduler_.at(scheduler_.now_ns(), [state = state_, task = std::move(task)]() mutable {
    if (state->alive) task();
  });
}

env::TimerId SimLoop::after(int64_t delay_ns, Task task) {
  const env::TimerId id = ++state_->last_timer;
  state_->timers.insert(id);
  scheduler_.at(scheduler_.now_ns() + std::max<int64_t>(delay_ns, 0),
                [state = state_, id, task = std::move(task)]() mutable {
                  if (state->alive && state->timers.erase(id) != 0) task();
                });
  return id;
}

void SimLoop::cancel(env::TimerId timer) { state_->timers.erase(timer); }

void SimLoop::offload(env::Lane lane, Task work, Task done) {
  int64_t& free_at = lane_free_at_ns_[static_cast<size_t>(lane)];
  free_at = std::max(free_at, scheduler_.now_ns()) + offload_latency_ns_;
  scheduler_.at(free_at, [this, state = state_, work = std::move(work), done = std::move(done)]() mutable {
    if (!state->alive) return;  // then `this` may be gone
    state->in_offloaded_work = true;
    work();
    state->in_offloaded_work = false;
    if (state->alive) post(std::move(done));
  });
}

bool SimLoop::on_this_thread() const { return !state_->in_offloaded_work; }

}  // namespace clew::sim

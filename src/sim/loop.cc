#include "sim/loop.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/hash.h"

namespace clew::sim {

namespace {
constexpr int64_t kMillion = 1'000'000;
}

int64_t SimClock::drifted(int64_t elapsed_ns) const {
  return static_cast<int64_t>(static_cast<__int128>(elapsed_ns) * drift_ppm_ / kMillion);
}

void SimClock::set_drift_ppm(int64_t ppm) {
  CHECK(ppm > -kMillion);
  base_local_ns_ = local_ns();
  base_true_ns_ = scheduler_.now_ns();
  drift_ppm_ = ppm;
}

int64_t SimClock::true_delay_ns(int64_t local_delay_ns) const {
  if (drift_ppm_ == 0) return local_delay_ns;
  const int64_t rate = kMillion + drift_ppm_;
  return static_cast<int64_t>((static_cast<__int128>(local_delay_ns) * kMillion + rate - 1) / rate);
}

SimLoop::SimLoop(Scheduler& scheduler, int64_t epoch_ns)
    : scheduler_(scheduler),
      own_clock_(scheduler, epoch_ns),
      clock_(own_clock_),
      node_(kNoNode),
      target_(scheduler.attach(*this)) {}

SimLoop::SimLoop(Scheduler& scheduler, SimClock& clock, NodeIndex node)
    : scheduler_(scheduler),
      own_clock_(scheduler, kDefaultEpochNs),
      clock_(clock),
      node_(node),
      target_(scheduler.attach(*this)) {}

SimLoop::~SimLoop() { kill(); }

void SimLoop::kill() {
  if (!alive_) return;
  alive_ = false;
  scheduler_.detach(target_);
  const std::vector<Held> held = std::exchange(held_, {});
}

void SimLoop::post(Task task) {
  if (!alive_) return;
  scheduler_.schedule({scheduler_.now_ns(), EventKind::kTask, node_, ++asked_}, target_, 0, std::move(task));
}

env::TimerId SimLoop::after(int64_t delay_ns, Task task) {
  if (!alive_) return 0;
  delay_ns = std::max<int64_t>(delay_ns, 0);
  const int64_t now = scheduler_.now_ns();
  const int64_t at_ns = delay_ns < INT64_MAX / 4 ? now + clock_.true_delay_ns(delay_ns) : INT64_MAX;
  const auto deadline = static_cast<uint64_t>(clock_.mono_ns() + std::min(delay_ns, INT64_MAX / 4));
  return scheduler_.schedule({at_ns, EventKind::kTimer, node_, ++asked_}, target_, deadline, std::move(task));
}

void SimLoop::cancel(env::TimerId timer) {
  for (auto it = moved_.begin(); it != moved_.end(); ++it) {
    if (it->timer != timer) continue;
    const EventId event = it->event;
    moved_.erase(it);
    scheduler_.cancel(event);
    return;
  }
  for (Held& held : held_) {
    if (held.kind == EventKind::kTimer && held.id == timer) held.task = nullptr;
  }
  scheduler_.cancel(timer);
}

void SimLoop::offload(env::Lane lane, Task work, Task done) {
  if (!alive_) return;
  int64_t& free_at = lane_free_at_ns_[static_cast<size_t>(lane)];
  free_at = std::max(free_at, scheduler_.now_ns()) + offload_latency_ns_;
  scheduler_.schedule({free_at, EventKind::kOffload, node_, ++asked_}, target_, 0,
                      [this, work = std::move(work), done = std::move(done)]() mutable {
                        in_offloaded_work_ = true;
                        work();
                        in_offloaded_work_ = false;
                        finish(std::exchange(taken_ns_, 0), std::move(done));
                      });
}

void SimLoop::finish(int64_t took_ns, Task done) {
  if (took_ns == 0) return post(std::move(done));
  int64_t& free_at = *std::min_element(worker_free_at_ns_.begin(), worker_free_at_ns_.end());
  free_at = std::max(free_at, scheduler_.now_ns()) + took_ns;
  scheduler_.schedule({free_at, EventKind::kTask, node_, ++asked_}, target_, 0, std::move(done));
}

void SimLoop::device(int64_t delay_ns, EventKind kind, uint64_t digest, Task task) {
  if (!alive_) return;
  scheduler_.schedule({scheduler_.now_ns() + delay_ns, kind, node_, digest}, target_, 0, std::move(task));
}

void SimLoop::move_timer(EventId from, int64_t delay_ns, uint64_t deadline_ns, Task task) {
  const EventId event = scheduler_.schedule({scheduler_.now_ns() + delay_ns, EventKind::kTimer, node_, ++asked_},
                                            target_, deadline_ns, std::move(task));
  for (Moved& moved : moved_) {
    if (moved.event == from) {
      moved.event = event;
      return;
    }
  }
  moved_.push_back({from, event});
}

void SimLoop::on_event(EventKind kind, uint64_t argument, Task task) {
  const EventId id = scheduler_.running();
  if (paused_) {
    held_.push_back({kind, argument, id, std::move(task)});
    return;
  }
  if (kind == EventKind::kTimer) {
    const int64_t early = static_cast<int64_t>(argument) - clock_.mono_ns();
    if (early > 0) {
      move_timer(id, clock_.true_delay_ns(early), argument, std::move(task));
      return;
    }
    if (!moved_.empty()) std::erase_if(moved_, [&](const Moved& moved) { return moved.event == id; });
  }
  task();
}

void SimLoop::pause() { paused_ = alive_; }

void SimLoop::resume() {
  if (!paused_) return;
  paused_ = false;
  std::vector<Held> went_by = std::exchange(held_, {});
  // A loop that goes on may look at its timers first or last: nothing may rest on either.
  if (mix64(static_cast<uint64_t>(scheduler_.now_ns()), asked_) % 2 == 0) {
    std::stable_partition(went_by.begin(), went_by.end(),
                          [](const Held& held) { return held.kind != EventKind::kTimer; });
  }
  for (Held& held : went_by) {
    if (!held.task) continue;  // a timer that was cancelled while it waited
    if (held.kind == EventKind::kTimer) {
      move_timer(held.id, 0, held.argument, std::move(held.task));
    } else {
      scheduler_.schedule({scheduler_.now_ns(), held.kind, node_, ++asked_}, target_, held.argument,
                          std::move(held.task));
    }
  }
}

}  // namespace clew::sim

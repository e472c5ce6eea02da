#include "os/workers.h"

#include <string>
#include <utility>

#include "os/thread.h"

namespace clew::os {

Workers::Workers(WorkerOptions options) {
  const auto start = [&](env::Lane lane, uint32_t count, const char* name, int nice) {
    CHECK(count > 0);
    for (uint32_t i = 0; i < count; ++i) {
      threads_.emplace_back([this, lane, nice, thread_name = name + std::to_string(i)] {
        name_this_thread(thread_name);
        if (nice > 0) make_this_thread_nice(nice);
        work(lanes_[static_cast<size_t>(lane)]);
      });
    }
  };
  start(env::Lane::kQuery, options.query_threads, "clew-query", 0);
  start(env::Lane::kBackground, options.background_threads, "clew-back", options.background_nice);
  start(env::Lane::kFiles, options.files_threads, "clew-files", 0);
}

Workers::~Workers() { stop(); }

void Workers::stop() {
  std::deque<Task> dropped;  // destroyed without the lock: a task's captures may do anything
  for (LaneState& lane : lanes_) {
    MutexLock lock(lane.mutex);
    lane.stopping = true;
    for (Task& task : lane.tasks) dropped.push_back(std::move(task));
    lane.tasks.clear();
    lane.wake.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Workers::run(env::Lane lane_id, Task task) {
  LaneState& lane = lanes_[static_cast<size_t>(lane_id)];
  {
    MutexLock lock(lane.mutex);
    if (lane.stopping) return;
    lane.tasks.push_back(std::move(task));
  }
  lane.wake.notify_one();
}

size_t Workers::queued(env::Lane lane_id) {
  LaneState& lane = lanes_[static_cast<size_t>(lane_id)];
  MutexLock lock(lane.mutex);
  return lane.tasks.size();
}

void Workers::work(LaneState& lane) {
  for (;;) {
    Task task;
    {
      MutexLock lock(lane.mutex);
      while (lane.tasks.empty() && !lane.stopping) lane.wake.wait(lane.mutex);
      if (lane.stopping) return;
      task = std::move(lane.tasks.front());
      lane.tasks.pop_front();
    }
    task();
  }
}

}  // namespace clew::os

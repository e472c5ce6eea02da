#include "os/loop.h"

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "os/thread.h"
#include "os/workers.h"

namespace clew::os {
namespace asio = boost::asio;

struct OsLoop::Core {
  // Any thread.
  Mutex mutex;
  std::vector<Task> inbox CLEW_GUARDED_BY(mutex);
  bool stopped CLEW_GUARDED_BY(mutex) = false;

  // Constant after construction.
  asio::io_context context{1};
  std::thread::id thread_id;
  std::thread thread;

  // The loop's thread only.
  std::vector<Task> batch;
  struct Deadline {
    int64_t at_ns;
    env::TimerId id;
    bool operator>(const Deadline& other) const { return at_ns != other.at_ns ? at_ns > other.at_ns : id > other.id; }
  };
  std::vector<Deadline> heap;  // a cancelled timer's entry stays until it comes up or the heap is swept
  std::unordered_map<env::TimerId, Task> timers;
  env::TimerId last_timer = 0;
  asio::steady_timer alarm{context};
  int64_t alarm_at_ns = INT64_MAX;

  void post(Task task) {
    {
      MutexLock lock(mutex);
      if (stopped) return;
      inbox.push_back(std::move(task));
      if (inbox.size() > 1) return;
    }
    asio::post(context, [this] { drain(); });  // without the lock, which the woken loop asks for first
  }

  void drain() {
    {
      MutexLock lock(mutex);
      batch.swap(inbox);
    }
    for (Task& task : batch) {
      task();
      task = nullptr;
      if (context.stopped()) break;
    }
    batch.clear();
  }

  void add_timer(int64_t at_ns, env::TimerId id, Task task) {
    timers.emplace(id, std::move(task));
    heap.push_back({at_ns, id});
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
    arm();
  }

  void sweep() {  // called after a cancel: keeps cancelled entries below half of the heap
    if (heap.size() < 64 || heap.size() < 2 * timers.size()) return;
    std::erase_if(heap, [&](const Deadline& deadline) { return !timers.contains(deadline.id); });
    std::make_heap(heap.begin(), heap.end(), std::greater<>());
  }

  void arm() {
    while (!heap.empty() && !timers.contains(heap.front().id)) {
      std::pop_heap(heap.begin(), heap.end(), std::greater<>());
      heap.pop_back();
    }
    if (heap.empty() || heap.front().at_ns >= alarm_at_ns) return;
    alarm_at_ns = heap.front().at_ns;
    // steady_clock is CLOCK_MONOTONIC, as OsClock::mono_ns is.
    alarm.expires_at(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(alarm_at_ns)));
    alarm.async_wait([this](boost::system::error_code error) {
      if (error) return;  // set to an earlier time meanwhile
      alarm_at_ns = INT64_MAX;
      fire();
    });
  }

  void fire() {
    const int64_t now = OsClock().mono_ns();
    const env::TimerId newest = last_timer;  // one that is added by a task of this round waits for the next
    while (!heap.empty() && heap.front().at_ns <= now && heap.front().id <= newest) {
      const env::TimerId id = heap.front().id;
      std::pop_heap(heap.begin(), heap.end(), std::greater<>());
      heap.pop_back();
      const auto it = timers.find(id);
      if (it == timers.end()) continue;
      Task task = std::move(it->second);
      timers.erase(it);
      task();
      if (context.stopped()) return;
    }
    arm();
  }
};

OsLoop::OsLoop(const std::string& name, Workers& workers) : workers_(workers), core_(std::make_shared<Core>()) {
  // The thread waits for the lock, so that it sees its own id.
  MutexLock lock(core_->mutex);
  core_->thread = std::thread([core = core_.get(), name] {
    { MutexLock started(core->mutex); }
    name_this_thread(name);
    const auto guard = asio::make_work_guard(core->context);
    core->context.run();
  });
  core_->thread_id = core_->thread.get_id();
}

OsLoop::~OsLoop() { stop(); }

void OsLoop::stop() {
  CHECK(!on_this_thread());
  {
    MutexLock lock(core_->mutex);
    core_->stopped = true;
  }
  core_->context.stop();
  if (!core_->thread.joinable()) return;
  core_->thread.join();
  // What was dropped is destroyed here, without the lock: captures may do anything, posting included.
  std::vector<Task> dropped;
  {
    MutexLock lock(core_->mutex);
    dropped.swap(core_->inbox);
  }
  core_->batch.clear();
  auto timers = std::exchange(core_->timers, {});
}

void OsLoop::post(Task task) { core_->post(std::move(task)); }

env::TimerId OsLoop::after(int64_t delay_ns, Task task) {
  CHECK(on_this_thread());
  const env::TimerId id = ++core_->last_timer;
  const int64_t now = clock_.mono_ns();
  const int64_t delay = std::clamp<int64_t>(delay_ns, 0, INT64_MAX - 1 - now);
  core_->add_timer(now + delay, id, std::move(task));
  return id;
}

void OsLoop::cancel(env::TimerId timer) {
  CHECK(on_this_thread());
  const auto it = core_->timers.find(timer);
  if (it == core_->timers.end()) return;
  const Task dropped = std::move(it->second);
  core_->timers.erase(it);
  core_->sweep();
}

void OsLoop::offload(env::Lane lane, Task work, Task done) {
  workers_.run(lane, [core = core_, work = std::move(work), done = std::move(done)]() mutable {
    work();
    work = nullptr;
    core->post(std::move(done));
  });
}

bool OsLoop::on_this_thread() const { return std::this_thread::get_id() == core_->thread_id; }

boost::asio::io_context& OsLoop::context() { return core_->context; }

}  // namespace clew::os

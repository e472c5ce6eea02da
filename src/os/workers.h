// The threads behind Loop::offload, one first-in-first-out queue a lane, shared by all loops of the process.
//
// kQuery may block on reads; kBackground runs nice, so that sealing and compaction get the processor that ingest and
// queries leave over; kFiles does the few short calls that the write path waits for. Work of one lane starts in order.
// Thread-safe. Destroying finishes what is running, drops what is queued, and joins.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <thread>
#include <vector>

#include "base/function.h"
#include "base/mutex.h"
#include "env/loop.h"
#include "os/condition.h"

namespace clew::os {

struct WorkerOptions {
  uint32_t query_threads = 2;
  uint32_t background_threads = 1;
  uint32_t files_threads = 1;
  int background_nice = 10;
};

class Workers {
 public:
  explicit Workers(WorkerOptions options = {});
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void run(env::Lane lane, Task task);
  // Queued, not running: how far a lane is behind.
  size_t queued(env::Lane lane);
  void stop();  // as the destructor; later run()s are dropped

 private:
  struct LaneState {
    Mutex mutex;
    Condition wake;
    std::deque<Task> tasks CLEW_GUARDED_BY(mutex);
    bool stopping CLEW_GUARDED_BY(mutex) = false;
  };
  void work(LaneState& lane);

  std::array<LaneState, env::kLanes> lanes_;
  std::vector<std::thread> threads_;
};

}  // namespace clew::os

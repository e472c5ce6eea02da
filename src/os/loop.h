// env::Loop on one thread of its own, around a boost::asio::io_context, so that sockets of third-party code
// (Boost.Beast) can live on the same thread: hand `context()` to them, and their handlers run among the loop's tasks.
//
// Posting from any thread takes a short lock and wakes the loop only when its queue was empty: a burst costs one
// wake-up. Tasks that post tasks do not starve sockets: each drained batch goes back through the io_context. Timers: a
// heap of deadlines behind one asio timer, O(log n). A task or handler that throws ends the process: nothing above a
// third-party edge throws. Lifetime: Workers outlive the OsLoops that use them or are stopped before; posts to a
// stopped or destroyed loop by work that is still running are dropped.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "env/loop.h"
#include "os/clock.h"

namespace boost::asio {
class io_context;
}

namespace clew::os {

class Workers;

class OsLoop final : public env::Loop {
 public:
  // Starts the thread. `name` as in top; `workers` serves offload().
  OsLoop(const std::string& name, Workers& workers);
  ~OsLoop() override;  // stop()

  void post(Task task) override;
  env::TimerId after(int64_t delay_ns, Task task) override;
  void cancel(env::TimerId timer) override;
  void offload(env::Lane lane, Task work, Task done) override;
  bool on_this_thread() const override;
  const env::Clock& clock() const override { return clock_; }

  // For sockets on this loop. Objects made with it die before the loop does; using them is for this loop's thread.
  boost::asio::io_context& context();

  // Ends the loop after the task that is running and joins the thread. Queued tasks and timers are dropped. Not from
  // the loop's own thread. Idempotent.
  void stop();

 private:
  struct Core;

  OsClock clock_;
  Workers& workers_;
  std::shared_ptr<Core> core_;  // shared with offloaded work, whose completion may come when the loop is gone
};

}  // namespace clew::os

// Signals of the process as tasks on a loop: SIGTERM and SIGINT begin a drain there. One watch a signal and process.
// Made and destroyed by any thread; `on_signal` runs on the loop, once for each delivery. The loop outlives the watch.
#pragma once

#include <memory>
#include <vector>

#include "base/function.h"
#include "os/loop.h"

namespace clew::os {

class SignalWatch {
 public:
  SignalWatch(OsLoop& loop, const std::vector<int>& signals, UniqueFunction<void(int)> on_signal);
  ~SignalWatch();  // no call begins afterwards when destroyed on the loop; elsewhere a last one may be under way
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  struct State;
  OsLoop& loop_;
  std::shared_ptr<State> state_;  // shared with the pending wait
};

// Keeps a peer that hangs up from ending the process by SIGPIPE. Once, at start-up.
void ignore_broken_pipes();

}  // namespace clew::os

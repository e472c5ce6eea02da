// Condition: what a thread sleeps on until another says that a Mutex's state has changed. Unlike
// std::condition_variable_any it has no lock of its own. Notify after the mutex is released: a thread that is woken
// before it would run into the lock and sleep again, which costs two more switches.
#pragma once

#include <condition_variable>
#include <mutex>

#include "base/mutex.h"

namespace clew::os {

class Condition {
 public:
  // The usual loop around it asks what it waits for. Releases the mutex while it sleeps.
  void wait(Mutex& mutex) CLEW_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.native(), std::adopt_lock);
    wake_.wait(lock);
    lock.release();
  }
  void notify_one() { wake_.notify_one(); }
  void notify_all() { wake_.notify_all(); }

 private:
  std::condition_variable wake_;
};

}  // namespace clew::os

// Mailbox: how calls from any thread reach a Plane on its loop: in order, many for one wake-up of the loop. A turn of
// the loop takes all letters that lie there, and the plane then does at once what they have in common (one read
// barrier, one entry of keep-alives).
//
// push(): any thread. The rest on the loop. Shared with handles (watch streams) that may outlive the plane, but not the
// loop: letters that come after close() are opened without one, later, so that whoever waits is told.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "base/function.h"
#include "base/mutex.h"
#include "env/loop.h"

namespace clew::control {

class Plane;

class Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  using Letter = UniqueFunction<void(Plane*)>;  // null: the plane is gone

  // `opened` runs after each batch of letters, while the plane is there.
  Mailbox(env::Loop& loop, Plane& plane, Task opened) : loop_(loop), plane_(&plane), opened_(std::move(opened)) {}

  void push(Letter letter) {
    {
      const MutexLock lock(mutex_);
      letters_.push_back(std::move(letter));
      if (std::exchange(posted_, true)) return;
    }
    loop_.post([self = shared_from_this()] { self->open(); });
  }

  // What lies here is opened without the plane, now.
  void close() {
    plane_ = nullptr;
    open();
  }

 private:
  void open() {
    std::vector<Letter> letters;
    {
      const MutexLock lock(mutex_);
      letters.swap(letters_);
      posted_ = false;
    }
    for (Letter& letter : letters) letter(plane_);
    if (plane_ != nullptr && !letters.empty()) opened_();
  }

  env::Loop& loop_;
  Plane* plane_;  // of the loop
  Task opened_;
  Mutex mutex_;
  std::vector<Letter> letters_ CLEW_GUARDED_BY(mutex_);
  bool posted_ CLEW_GUARDED_BY(mutex_) = false;
};

}  // namespace clew::control

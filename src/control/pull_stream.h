// PullStream<T>: towards its user, what a stream of a client is: what came waits until he asks for it with next().
//
// One next() at a time: another one before the answer is a programmer's error (CHECK). The answer is the oldest that
// came, one piece at least, however long, and more as the subclass finds them to fit into `max_bytes`. An error comes
// last, behind everything that came before it, and then again for every further next(). Answers go out in a later task
// than the one that brought them or asked.
//
// What waits is bounded by the subclass. On the loop.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "base/check.h"
#include "control/service.h"
#include "env/loop.h"

namespace clew::control {

template <typename T>
class PullStream : public std::enable_shared_from_this<PullStream<T>> {
 public:
  virtual ~PullStream() = default;
  void next(size_t max_bytes, Done<T> done) {
    CHECK(!waiting_);
    waiting_ = std::move(done);
    max_bytes_ = max_bytes;
    deliver();
  }

 protected:
  // `needs` is kept while an answer is on its way to the user.
  PullStream(env::Loop& loop, std::weak_ptr<const void> needs) : loop_(loop), needs_(std::move(needs)) {}

  virtual bool empty() const = 0;
  virtual T take(size_t max_bytes) = 0;  // when it is not empty

  void fail(const CallError& error) {  // nothing more comes; only the first counts
    if (!error_) error_ = error;
    deliver();
  }
  bool failed() const { return error_.has_value(); }
  void deliver() {  // something came
    if (!waiting_ || (empty() && !error_) || std::exchange(delivery_posted_, true)) return;
    loop_.post([self = this->shared_from_this(), needs = needs_.lock()] {
      self->delivery_posted_ = false;
      if (!self->waiting_) return;
      auto done = std::exchange(self->waiting_, nullptr);
      if (self->empty()) return done(*self->error_);
      done(self->take(self->max_bytes_));
    });
  }

 private:
  env::Loop& loop_;
  const std::weak_ptr<const void> needs_;
  size_t max_bytes_ = 0;
  Done<T> waiting_;
  bool delivery_posted_ = false;
  std::optional<CallError> error_;
};

}  // namespace clew::control

// Errand<T>: a request that only the leader can carry out, on its way there: tried here when this member leads, else
// passed on once, and tried again while it certainly had no effect. Answered exactly once: by dropping it, too.
#pragma once

#include <utility>

#include "consensus/types.h"
#include "control/service.h"

namespace clew::control {

template <typename T>
struct Errand {
  Done<T> done;
  consensus::Time deadline = 0;
  bool forward = true;
  UniqueFunction<void(Done<T>)> here;
  UniqueFunction<void(Service&, CallOptions, Done<T>)> there;
  std::string waits_for = "no leader is known";
  bool under_way = false;

  Errand() = default;
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;
  ~Errand() {
    if (done) done(stopping());
  }
  // Out of line: g++ 12 takes the other alternative of an inlined one for uninitialised.
  [[gnu::noinline]] std::variant<T, CallError> stopping() const {
    return CallError{Code::kUnavailable, "this node is stopping", under_way, {}, {}};
  }
  void answer(std::variant<T, CallError> answer) {
    if (done) std::exchange(done, nullptr)(std::move(answer));
  }
};

}  // namespace clew::control

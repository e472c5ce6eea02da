// The order within sessions, for the checkers of session.h. Internal to them.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "sim/check/history.h"

namespace clew::sim::check {

// (1, session) or (0, process).
using SessionKey = std::pair<int, uint64_t>;
SessionKey session_of(const Operation& op);

// Walks the events of every session in order: `invoked` before `returned` of each operation; `new_session` before its
// first. Failed operations are left out; unknown ones never return.
struct SessionVisitor {
  std::function<void()> new_session;
  std::function<void(OpIndex)> invoked;
  std::function<void(OpIndex)> returned;
};
void walk_sessions(const History& history, const SessionVisitor& visitor);

}  // namespace clew::sim::check

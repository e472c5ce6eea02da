#include "sim/check/session_order.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace clew::sim::check {

SessionKey session_of(const Operation& op) {
  return op.session ? SessionKey{1, number(*op.session)} : SessionKey{0, number(op.process)};
}

void walk_sessions(const History& history, const SessionVisitor& visitor) {
  std::map<SessionKey, std::vector<std::tuple<uint64_t, bool, OpIndex>>> sessions;  // event, is it a return, of what
  for (OpIndex i = 0; i < history.operations.size(); ++i) {
    const Operation& op = history.operations[i];
    if (op.outcome == Outcome::kFail) continue;
    auto& events = sessions[session_of(op)];
    events.emplace_back(op.invoked, false, i);
    if (op.ok()) events.emplace_back(op.returned, true, i);
  }
  for (auto& [key, events] : sessions) {
    std::sort(events.begin(), events.end());
    visitor.new_session();
    for (const auto& [at, is_return, op] : events) (is_return ? visitor.returned : visitor.invoked)(op);
  }
}

}  // namespace clew::sim::check

// Calls between services, read out of whole traces: the rate, error and duration figures of a service graph.
//
// A *call* is a span that enters a service: its parent is absent or of another service. Its duration is the span's own,
// as the called side saw it; it failed when the span's status is error. A CLIENT span that nobody answered is no call:
// nothing is known of the other side. When a CLIENT and a SERVER span share an id (Zipkin), the SERVER half is called
// by the CLIENT half. Pure and deterministic; O(spans log spans) a trace.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "model/span.h"

namespace clew::api {

struct Call {
  std::string_view caller;  // "" when the span has no parent here
  std::string_view service;
  std::string_view operation;
  int64_t start_ns = 0;
  int64_t duration_ns = 0;  // not negative
  bool failed = false;
};

// The views borrow from `trace`.
void visit_calls(const model::TraceData& trace, const std::function<void(const Call&)>& visit);

// Calls that were counted together.
class CallStats {
 public:
  void add(const Call& call) {
    ++calls_;
    errors_ += call.failed ? 1 : 0;
    durations_.push_back(call.duration_ns);
  }
  uint64_t calls() const { return calls_; }
  uint64_t errors() const { return errors_; }
  // The smallest duration that at least the share `q` (0 to 1) of the calls did not pass; 0 without calls.
  int64_t quantile_ns(double q);

 private:
  uint64_t calls_ = 0, errors_ = 0;
  std::vector<int64_t> durations_;
};

}  // namespace clew::api

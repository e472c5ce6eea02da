// assess: the relationship graph of one trace, its verification, its clock skew, and the verdict that follows.
//
// Input is one SpanFacts per distinct span (duplicates by id and content removed before), cheap to fill from rows on the
// sealing path and from Spans in `clew verify`. Linear in spans (a hash table by id, an iterative walk, no recursion):
// 100,000 spans or a depth of 10,000 are fine. Cycles are found wherever they are, also unreachable from any root.
// Skew: per host pair, from synchronous parent–child edges that cross hosts, each edge bounds the offset by containment;
// see skew.h. Containment is checked after adjustment, on synchronous edges only: producer/consumer edges and links are
// not held to it, nor is a child that starts after its parent ended treated as loss.
// Pure and deterministic: the order of the input does not change the outcome. Single-threaded per Assessor (scratch reused).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/summary.h"

namespace clew::trace {

struct SpanFacts {
  model::SpanId id;
  model::SpanId parent;
  int64_t start_ns = 0;
  int64_t end_ns = 0;
  uint32_t flags = 0;
  uint32_t host = 0;       // small number: equal = same host (index into Context::hosts)
  uint32_t service = 0;    // likewise into Context::services
  uint8_t kind = 0;        // OTLP SpanKind
  uint8_t status = 0;
  bool has_links = false;
  bool dropped = false;    // the SDK reported dropped attributes, events or links
  bool late = false;       // arrived after the previous verdict
};

struct Context {
  std::span<const std::string_view> hosts;     // names for estimates; may be empty when no host repeats
  std::span<const std::string_view> services;
};

struct Policy {
  int64_t quiet_period_ns = 5'000'000'000;
  int64_t trace_timeout_ns = 30'000'000'000;   // since the last arrival, for a trace that is not whole
  int64_t skew_tolerance_ns = 1'000;           // differences below are not findings
  uint32_t max_spans = 1'000'000;              // beyond: kTooManySpans, graph checks only
};

struct Assessment {
  model::Verdict verdict;          // state: kComplete when whole, else kCollecting (the lifecycle turns that into kTimedOut)
  std::vector<int32_t> parent;     // per span: index of its parent, kRoot or kOrphan
  std::vector<int64_t> offset_ns;  // per host: skew adjustment relative to the trace's reference host
  static constexpr int32_t kRoot = -1, kOrphan = -2;
  int32_t root = -1;               // index of the root (the earliest of several), or -1
  int64_t start_ns = 0, end_ns = 0;  // plausible extremes of raw times
};

// What is known about who usually answers: has a CLIENT span of this service and name usually a SERVER child? Learnt over
// traces, bounded, decayed; a pure value. Without history (a single file) the rule is: the peer's service occurs in the
// trace set as a SERVER somewhere. See client_server.h for the implementation behind this interface.
class PeerHistory {
 public:
  virtual ~PeerHistory() = default;
  virtual void learn(std::string_view service, std::string_view span_name, bool had_server_child) = 0;
  virtual bool expects_server_child(std::string_view service, std::string_view span_name) const = 0;
};

class Assessor {
 public:
  explicit Assessor(Policy policy);
  ~Assessor();
  // `names` gives span names by index for peer history; may be empty (then that check is off). `out` is reused.
  void assess(std::span<const SpanFacts> spans, const Context& context, std::span<const std::string_view> names,
              PeerHistory* history, Assessment& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clew::trace

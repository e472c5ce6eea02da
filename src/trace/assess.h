// assess: the relationship graph of one trace, its verification, its clock skew, and the verdict that follows.
//
// Input is one SpanFacts per distinct span (duplicates by id and content removed before), cheap to fill from rows on
// the sealing path and from Spans in `clew verify`. Linear in spans (a hash table by id, iterative walks, no
// recursion): 100,000 spans or a depth of 10,000 are fine. Only where hosts contradict each other the edges between
// them are sorted. Pure and deterministic: neither the order of the input nor how hosts and services are numbered
// changes the outcome. Single-threaded per Assessor (scratch reused: a clean trace allocates nothing once the buffers
// have grown).
//
// Who is whose parent
//   - No parent id: a root. A parent id that no span has: an orphan. A span's own id: kInvalidId, and no parent.
//   - A span id shared by a CLIENT and a SERVER span (Zipkin's two halves of one call): the SERVER half is the child of
//   the
//     CLIENT half; children with that parent id hang on the SERVER half, except those of the CLIENT's service (and not
//     the SERVER's), which hang on the CLIENT half. kSharedSpanId.
//   - Any other repeated id: kDuplicateId; children hang on the first of them by time and content.
//   - Cycles are found wherever they are, also unreachable from any root; kCycle counts the spans that are on one.
//
// What the findings mean for the verdict: only evidence that spans are missing (Severity::kLoss) keeps a trace from
// being complete: kNoRoot, kOrphan, kCycle, a span that is its own parent, kClientWithoutServer. All else is told and
// does not:
//   kWarning  kSeveralRoots, kDuplicateId, a zero id, kNegativeDuration, kImplausibleTime, kStartsBeforeParent,
//             kEndsAfterParent of a SERVER that outlives its CLIENT, kTooManySpans,
//             kDropsReported (the span is here; its SDK cut some of its content)
//   kInfo     kSharedSpanId, kClockSkew, kStartsAfterParentEnd and other kEndsAfterParent (work left to run),
//             kFlagsInconsistent (sampled is not inherited by law), times of a trace that lies before 2000 as a whole
// Containment is checked after skew adjustment (skew.h), on synchronous edges only: neither from a PRODUCER nor to a
// CONSUMER, and links are no edges. A child that starts after its parent ended counts as kStartsAfterParentEnd alone.
// A time is implausible when it is before 2000 or more than a day from the median start; such spans, and those that end
// before they start, take no part in containment, skew, start and end of the trace.
// The sampled bit is compared where both sides sent flags; a "remote" flag contradicts a root and, when clear, a parent
// of another service. Basis: every bit but kBasisQuiet and kBasisTimeout, which the caller knows.
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
  uint32_t host = 0;     // small number: equal = same host (index into Context::hosts)
  uint32_t service = 0;  // likewise into Context::services
  uint8_t kind = 0;      // OTLP SpanKind
  uint8_t status = 0;
  bool has_links = false;
  bool dropped = false;  // the SDK reported dropped attributes, events or links
  bool late = false;     // arrived after the previous verdict
};

struct Context {
  std::span<const std::string_view> hosts;  // names for estimates; may be empty when no host repeats
  std::span<const std::string_view> services;
};

struct Policy {
  int64_t quiet_period_ns = 5'000'000'000;
  int64_t trace_timeout_ns = 30'000'000'000;  // since the last arrival, for a trace that is not whole
  int64_t skew_tolerance_ns = 1'000;          // differences below are not findings
  uint32_t max_spans = 1'000'000;             // beyond: kTooManySpans, graph checks only
  uint64_t hash_seed = 0;                     // of the table by span id: draw it, so that nobody can aim at its buckets
};

struct Assessment {
  model::Verdict verdict;  // state: kComplete when whole, else kCollecting (the lifecycle turns that into kTimedOut)
  std::vector<int32_t> parent;     // per span: index of its parent, kRoot or kOrphan
  std::vector<int64_t> offset_ns;  // per host: added to its times, they read on the clock of the root's host
  static constexpr int32_t kRoot = -1, kOrphan = -2;
  int32_t root = -1;                 // index of the root (the earliest of several), or -1
  int64_t start_ns = 0, end_ns = 0;  // plausible extremes of raw times
};

// What is known about who usually answers: has a CLIENT span of this service and name usually a SERVER child? Learnt
// over traces that are whole otherwise, from CLIENT spans without an error. client_server.h implements it.
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
  // `names` gives span names by index for peer history; empty, or without history, that check is off. `out` is reused.
  void assess(std::span<const SpanFacts> spans, const Context& context, std::span<const std::string_view> names,
              PeerHistory* history, Assessment& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clew::trace

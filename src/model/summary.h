// Verdict and TraceSummary: what Clew says about a trace, as plain values that all layers share and segments store.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/status.h"
#include "model/ids.h"

namespace clew::model {

enum class TraceState : uint8_t {
  kActive = 0,      // spans are arriving
  kCollecting = 1,  // quiet, but not whole yet: a root or a parent is missing and may still come
  kComplete = 2,    // a root, no missing parent, quiet for quiet_period, no other evidence of loss
  kTimedOut = 3,    // given up waiting: `missing_parents`, `findings` say for what
};
std::string_view trace_state_name(TraceState state);  // "active", "collecting", "complete", "timed_out"

// Numbers are on disk: append only.
enum class FindingKind : uint8_t {
  kNoRoot = 0,  // no span without a parent
  kSeveralRoots = 1,
  kOrphan = 2,              // a span whose parent is absent (spans: the orphans)
  kCycle = 3,               // spans that are their own ancestors
  kDuplicateId = 4,         // one id, different content (both are kept)
  kInvalidId = 5,           // a span that is its own parent, a zero id
  kNegativeDuration = 6,    // ends before it starts
  kImplausibleTime = 7,     // zero, before 2000 or far from its trace's other times
  kStartsBeforeParent = 8,  // after skew adjustment, synchronous edges only
  kEndsAfterParent = 9,     // after skew adjustment, synchronous edges only
  kStartsAfterParentEnd = 10,
  kClientWithoutServer = 11,  // a CLIENT span of a peer that usually reports, without its SERVER child
  kDropsReported = 12,        // an SDK reported dropped attributes, events, links
  kFlagsInconsistent = 13,    // sampled flag differs between parent and child, remote flag contradicts the edge
  kClockSkew = 14,            // host pair with a skew estimate other than zero
  kSharedSpanId = 15,         // client and server half share an id, as Zipkin does; not a defect by itself
  kTooManySpans = 16,         // a limit cut the verification short
};
std::string_view finding_kind_name(FindingKind kind);  // "orphan", ...

enum class Severity : uint8_t { kInfo = 0, kWarning = 1, kLoss = 2 };  // kLoss: evidence that something is missing

struct Finding {
  FindingKind kind = FindingKind::kNoRoot;
  Severity severity = Severity::kInfo;
  uint32_t count = 0;         // how many spans (or edges) it concerns
  std::vector<SpanId> spans;  // the first kMaxFindingSpans of them
  std::string detail;         // a sentence for people
};
constexpr size_t kMaxFindingSpans = 16;
constexpr size_t kMaxMissingParents = 64;

// Which checks a verdict rests on: bits. A verdict says what it knows, and on what evidence.
enum Basis : uint32_t {
  kBasisRoot = 1,     // a root is present
  kBasisParents = 2,  // every parent is present
  kBasisQuiet = 4,    // no span for quiet_period
  kBasisAcyclic = 8,
  kBasisClientServer = 16,  // CLIENT spans have their usual SERVER child
  kBasisNoDrops = 32,       // no SDK reported drops
  kBasisTimeout = 64,       // decided because trace_timeout passed
};

// Clock offset of one host against another: add `offset_ns` to times of `host` to read them on the clock of
// `reference`.
struct SkewEstimate {
  std::string host, reference;  // host.name, else k8s.pod.name, else service.instance.id, else service.name
  int64_t offset_ns = 0;
  int64_t bound_ns = 0;  // half-width of the interval that the evidence allows
  uint32_t edges = 0;    // parent–child edges it rests on
  friend bool operator==(const SkewEstimate&, const SkewEstimate&) = default;
};

struct Verdict {
  TraceState state = TraceState::kActive;
  uint64_t version = 0;     // 1, 2, ... within the trace
  int64_t decided_ns = 0;   // wall clock of the node that decided
  uint32_t basis = 0;       // Basis bits that hold
  uint32_t span_count = 0;  // distinct spans seen when it was decided
  uint32_t late_spans = 0;  // of these, arrived after the previous verdict
  uint32_t orphan_count = 0;
  uint32_t root_count = 0;
  std::vector<SpanId> missing_parents;  // first kMaxMissingParents
  std::vector<Finding> findings;
  std::vector<SkewEstimate> skew;
};

// One line for people: "complete: 14 spans, root present, no parent missing, quiet for 5 s".
std::string verdict_sentence(const Verdict& verdict);

struct TraceSummary {
  SpanId root;               // 0: none
  std::string root_service;  // of the root, or of the earliest span when there is none
  std::string root_name;
  int64_t start_ns = 0;  // earliest start, latest end (raw times; implausible ones left out)
  int64_t end_ns = 0;
  uint32_t span_count = 0;
  uint32_t error_count = 0;
  uint32_t orphan_count = 0;
  uint32_t service_count = 0;
  TraceState state = TraceState::kActive;  // of the newest verdict
  uint64_t verdict_version = 0;
  Hash128 digest;  // sum over distinct spans of hash(span id, content hash): independent of order
  uint64_t first_arrival_hlc = 0;
  uint64_t last_arrival_hlc = 0;
};

// Encodings used in segments and between nodes (docs/format/segment.md). decode: kDataLoss when malformed.
void append_verdict(const Verdict& verdict, std::string& out);
Status read_verdict(std::string_view bytes, Verdict& out);
void append_summary(const TraceSummary& summary, std::string& out);
Status read_summary(std::string_view bytes, TraceSummary& out);

}  // namespace clew::model

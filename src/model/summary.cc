#include "model/summary.h"

#include <iterator>

#include "base/varint.h"

namespace clew::model {
namespace {

// First byte of each encoding: raised when fields change meaning. Fields may be added at the end: readers ignore the
// rest.
constexpr uint8_t kVerdictFormat = 1;
constexpr uint8_t kSummaryFormat = 1;

constexpr std::string_view kFindingNames[] = {
    "no_root",
    "several_roots",
    "orphan",
    "cycle",
    "duplicate_id",
    "invalid_id",
    "negative_duration",
    "implausible_time",
    "starts_before_parent",
    "ends_after_parent",
    "starts_after_parent_end",
    "client_without_server",
    "drops_reported",
    "flags_inconsistent",
    "clock_skew",
    "shared_span_id",
    "too_many_spans",
};
constexpr size_t kFindingKinds = std::size(kFindingNames);
static_assert(kFindingKinds == static_cast<size_t>(FindingKind::kTooManySpans) + 1);

Status broken(const char* what) {
  return Status(Code::kDataLoss, std::string(what) + " does not parse; its block is damaged or from another version");
}

std::string counted(uint64_t n, std::string_view one, std::string_view many) {
  std::string out = std::to_string(n);
  out += ' ';
  out += n == 1 ? one : many;
  return out;
}

void append_span_ids(std::string& out, const std::vector<SpanId>& ids) {
  append_varint(out, ids.size());
  for (SpanId id : ids) append_fixed(out, id.value);
}

bool read_span_ids(ByteReader& reader, std::vector<SpanId>& ids) {
  const uint64_t n = reader.varint();
  if (n > reader.remaining() / sizeof(uint64_t)) return false;
  ids.clear();
  ids.reserve(n);
  for (uint64_t i = 0; i < n; ++i) ids.push_back(SpanId{reader.fixed<uint64_t>()});
  return true;
}

uint32_t read_count(ByteReader& reader) {
  const uint64_t v = reader.varint();
  if (v > UINT32_MAX) reader.skip(~uint64_t{0});
  return static_cast<uint32_t>(v);
}

void add_clause(std::string& out, std::string_view clause) {
  out += out.empty() || out.back() == ' ' ? "" : ", ";
  out += clause;
}

}  // namespace

std::string_view trace_state_name(TraceState state) {
  switch (state) {
    case TraceState::kActive:
      return "active";
    case TraceState::kCollecting:
      return "collecting";
    case TraceState::kComplete:
      return "complete";
    case TraceState::kTimedOut:
      return "timed_out";
  }
  return "active";
}

std::string_view finding_kind_name(FindingKind kind) {
  const auto i = static_cast<size_t>(kind);
  return i < kFindingKinds ? kFindingNames[i] : std::string_view("unknown");
}

std::string verdict_sentence(const Verdict& verdict) {
  std::string out(trace_state_name(verdict.state));
  if (verdict.state == TraceState::kTimedOut) out = "timed out";
  out += ": ";
  add_clause(out, counted(verdict.span_count, "span", "spans"));
  if (verdict.late_spans > 0) out.append(" (").append(std::to_string(verdict.late_spans)).append(" late)");

  if (verdict.root_count > 1) {
    add_clause(out, counted(verdict.root_count, "root", "roots"));
  } else {
    add_clause(out, verdict.root_count == 1 || (verdict.basis & kBasisRoot) ? "root present" : "no root");
  }

  if (!verdict.missing_parents.empty()) {
    const size_t n = verdict.missing_parents.size();
    std::string clause = n >= kMaxMissingParents ? "at least " : "";
    clause += counted(n, "parent missing", "parents missing");
    if (n <= 3) {
      clause += " (";
      for (size_t i = 0; i < n; ++i) {
        if (i > 0) clause += ' ';
        clause += verdict.missing_parents[i].hex();
      }
      clause += ")";
    }
    add_clause(out, clause);
  } else if (verdict.basis & kBasisParents) {
    add_clause(out, "no parent missing");
  }
  if (verdict.orphan_count > 0) add_clause(out, counted(verdict.orphan_count, "orphan", "orphans"));
  if (!(verdict.basis & kBasisAcyclic)) {
    for (const Finding& finding : verdict.findings) {
      if (finding.kind == FindingKind::kCycle)
        add_clause(out, counted(finding.count, "span in a cycle", "spans in a cycle"));
    }
  }
  for (const Finding& finding : verdict.findings) {
    const bool told = finding.kind == FindingKind::kNoRoot || finding.kind == FindingKind::kOrphan ||
                      finding.kind == FindingKind::kCycle || finding.kind == FindingKind::kSeveralRoots;
    if (finding.severity != Severity::kLoss || told) continue;
    add_clause(out, finding.detail.empty() ? std::string(finding_kind_name(finding.kind)) : finding.detail);
  }
  if (verdict.basis & kBasisTimeout) {
    add_clause(out, "decided by the timeout");
  } else if (verdict.basis & kBasisQuiet) {
    add_clause(out, "quiet");
  }
  return out;
}

void append_verdict(const Verdict& verdict, std::string& out) {
  append_fixed(out, kVerdictFormat);
  append_fixed(out, static_cast<uint8_t>(verdict.state));
  append_varint(out, verdict.version);
  append_fixed(out, verdict.decided_ns);
  append_varint(out, verdict.basis);
  append_varint(out, verdict.span_count);
  append_varint(out, verdict.late_spans);
  append_varint(out, verdict.orphan_count);
  append_varint(out, verdict.root_count);
  append_span_ids(out, verdict.missing_parents);
  append_varint(out, verdict.findings.size());
  for (const Finding& finding : verdict.findings) {
    append_fixed(out, static_cast<uint8_t>(finding.kind));
    append_fixed(out, static_cast<uint8_t>(finding.severity));
    append_varint(out, finding.count);
    append_span_ids(out, finding.spans);
    append_bytes(out, finding.detail);
  }
  append_varint(out, verdict.skew.size());
  for (const SkewEstimate& skew : verdict.skew) {
    append_bytes(out, skew.host);
    append_bytes(out, skew.reference);
    append_varint(out, zigzag(skew.offset_ns));
    append_varint(out, zigzag(skew.bound_ns));
    append_varint(out, skew.edges);
  }
}

Status read_verdict(std::string_view bytes, Verdict& out) {
  out = Verdict{};
  ByteReader reader(bytes);
  const auto format = reader.fixed<uint8_t>();
  const auto state = reader.fixed<uint8_t>();
  if (format != kVerdictFormat || state > static_cast<uint8_t>(TraceState::kTimedOut)) return broken("verdict");
  out.state = static_cast<TraceState>(state);
  out.version = reader.varint();
  out.decided_ns = reader.fixed<int64_t>();
  out.basis = read_count(reader);
  out.span_count = read_count(reader);
  out.late_spans = read_count(reader);
  out.orphan_count = read_count(reader);
  out.root_count = read_count(reader);
  if (!read_span_ids(reader, out.missing_parents)) return broken("verdict");
  const uint64_t findings = reader.varint();
  for (uint64_t i = 0; i < findings && reader.ok(); ++i) {
    Finding& finding = out.findings.emplace_back();
    finding.kind = static_cast<FindingKind>(reader.fixed<uint8_t>());
    const auto severity = reader.fixed<uint8_t>();
    if (severity > static_cast<uint8_t>(Severity::kLoss)) return broken("verdict");
    finding.severity = static_cast<Severity>(severity);
    finding.count = read_count(reader);
    if (!read_span_ids(reader, finding.spans)) return broken("verdict");
    finding.detail = reader.prefixed_bytes();
  }
  const uint64_t skews = reader.varint();
  for (uint64_t i = 0; i < skews && reader.ok(); ++i) {
    SkewEstimate& skew = out.skew.emplace_back();
    skew.host = reader.prefixed_bytes();
    skew.reference = reader.prefixed_bytes();
    skew.offset_ns = reader.zigzag_varint();
    skew.bound_ns = reader.zigzag_varint();
    skew.edges = read_count(reader);
  }
  if (!reader.ok()) return broken("verdict");
  return {};
}

void append_summary(const TraceSummary& summary, std::string& out) {
  append_fixed(out, kSummaryFormat);
  append_fixed(out, static_cast<uint8_t>(summary.state));
  append_fixed(out, summary.root.value);
  append_bytes(out, summary.root_service);
  append_bytes(out, summary.root_name);
  append_fixed(out, summary.start_ns);
  append_varint(out, zigzag(static_cast<int64_t>(static_cast<uint64_t>(summary.end_ns) -
                                                 static_cast<uint64_t>(summary.start_ns))));
  append_varint(out, summary.span_count);
  append_varint(out, summary.error_count);
  append_varint(out, summary.orphan_count);
  append_varint(out, summary.service_count);
  append_varint(out, summary.verdict_version);
  append_fixed(out, summary.digest.lo);
  append_fixed(out, summary.digest.hi);
  append_fixed(out, summary.first_arrival_hlc);
  append_varint(out, summary.last_arrival_hlc - summary.first_arrival_hlc);
}

Status read_summary(std::string_view bytes, TraceSummary& out) {
  out = TraceSummary{};
  ByteReader reader(bytes);
  const auto format = reader.fixed<uint8_t>();
  const auto state = reader.fixed<uint8_t>();
  if (format != kSummaryFormat || state > static_cast<uint8_t>(TraceState::kTimedOut)) return broken("trace summary");
  out.state = static_cast<TraceState>(state);
  out.root = SpanId{reader.fixed<uint64_t>()};
  out.root_service = reader.prefixed_bytes();
  out.root_name = reader.prefixed_bytes();
  out.start_ns = reader.fixed<int64_t>();
  out.end_ns =
      static_cast<int64_t>(static_cast<uint64_t>(out.start_ns) + static_cast<uint64_t>(reader.zigzag_varint()));
  out.span_count = read_count(reader);
  out.error_count = read_count(reader);
  out.orphan_count = read_count(reader);
  out.service_count = read_count(reader);
  out.verdict_version = reader.varint();
  out.digest.lo = reader.fixed<uint64_t>();
  out.digest.hi = reader.fixed<uint64_t>();
  out.first_arrival_hlc = reader.fixed<uint64_t>();
  out.last_arrival_hlc = out.first_arrival_hlc + reader.varint();
  if (!reader.ok()) return broken("trace summary");
  return {};
}

}  // namespace clew::model

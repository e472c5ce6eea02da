// What was noted, as findings of the verdict: severity, words, and the spans that are named.
#include <algorithm>

#include "trace/assess_impl.h"

namespace clew::trace {
namespace {

std::string counted(uint64_t n, std::string_view one, std::string_view many) {
  return std::to_string(n) + ' ' + std::string(n == 1 ? one : many);
}

}  // namespace

Severity Assessor::Impl::severity_of(FindingKind kind) const {
  switch (kind) {
    case FindingKind::kNoRoot:
    case FindingKind::kOrphan:
    case FindingKind::kCycle:
    case FindingKind::kClientWithoutServer:
      return Severity::kLoss;
    case FindingKind::kInvalidId:
      return self_parent ? Severity::kLoss : Severity::kWarning;
    case FindingKind::kImplausibleTime:
      return all_old ? Severity::kInfo : Severity::kWarning;
    case FindingKind::kEndsAfterParent:
      return ends_after_waiting > 0 ? Severity::kWarning : Severity::kInfo;
    case FindingKind::kStartsAfterParentEnd:
    case FindingKind::kFlagsInconsistent:
    case FindingKind::kClockSkew:
    case FindingKind::kSharedSpanId:
      return Severity::kInfo;
    case FindingKind::kSeveralRoots:
    case FindingKind::kDuplicateId:
    case FindingKind::kNegativeDuration:
    case FindingKind::kStartsBeforeParent:
    case FindingKind::kDropsReported:
    case FindingKind::kTooManySpans:
      return Severity::kWarning;
  }
  return Severity::kWarning;
}

std::string Assessor::Impl::detail_of(FindingKind kind) const {
  const uint64_t n = noted[static_cast<size_t>(kind)].size();
  const auto spans_that = [n](std::string_view one, std::string_view many) {
    return counted(n, "span ", "spans ") + std::string(n == 1 ? one : many);
  };
  const auto microseconds = [](int64_t ns) { return std::to_string(ns / 1000) + " us"; };
  switch (kind) {
    case FindingKind::kNoRoot:
      return "no span without a parent: the start of the trace is missing";
    case FindingKind::kSeveralRoots:
      return spans_that("has", "have") + " no parent; a trace has one root";
    case FindingKind::kOrphan:
      return spans_that("names", "name") +
             " a parent that is not here; missing: " + counted(missing.size(), "span", "spans");
    case FindingKind::kCycle:
      return spans_that("is its own ancestor", "are their own ancestors");
    case FindingKind::kDuplicateId:
      return spans_that("has", "have") + " an id that another span of other content has; all are kept";
    case FindingKind::kInvalidId:
      return spans_that("names itself as its parent, or has no id", "name themselves as their parent, or have no id");
    case FindingKind::kNegativeDuration:
      return spans_that("ends before it starts", "end before they start");
    case FindingKind::kImplausibleTime:
      return all_old ? "the trace lies before the year 2000: made by hand?"
                     : spans_that("is", "are") + " dated before 2000 or more than a day from the others";
    case FindingKind::kStartsBeforeParent:
      return spans_that("starts before its parent", "start before their parents") +
             ", after skew adjustment, by up to " + microseconds(worst_before);
    case FindingKind::kEndsAfterParent:
      return spans_that("ends after its parent", "end after their parents") + ", after skew adjustment, by up to " +
             microseconds(worst_after);
    case FindingKind::kStartsAfterParentEnd:
      return spans_that("starts after its parent ended", "start after their parents ended") +
             ": work that was left to run";
    case FindingKind::kClientWithoutServer:
      return counted(n, "client span lacks", "client spans lack") + " the server span that usually answers";
    case FindingKind::kDropsReported:
      return spans_that("lost", "lost") + " attributes, events or links to the limits of the SDK";
    case FindingKind::kFlagsInconsistent:
      return spans_that("contradicts its parent", "contradict their parents") +
             " in the sampled flag, or where the parent ran in the remote flag";
    case FindingKind::kClockSkew:
      return "the clocks of " + counted(skew_pairs, "host pair differ", "host pairs differ");
    case FindingKind::kSharedSpanId:
      return counted(n, "call has", "calls have") + " one span id for the client and the server half";
    case FindingKind::kTooManySpans:
      return counted(spans.size(), "span", "spans") + ", above the limit of " + std::to_string(policy.max_spans) +
             ": times and clients were not checked";
  }
  return {};
}

void Assessor::Impl::write_findings() {
  for (size_t k = 0; k < kFindingKinds; ++k) {
    const auto kind = static_cast<FindingKind>(k);
    if (!has(kind)) continue;
    std::vector<SpanId>& ids = noted[k];
    Finding finding;
    finding.kind = kind;
    finding.severity = severity_of(kind);
    finding.detail = detail_of(kind);
    finding.count = static_cast<uint32_t>(kind == FindingKind::kClockSkew ? skew_pairs : ids.size());
    // The smallest ids, so that the choice does not depend on the order of arrival.
    const size_t shown = std::min(ids.size(), model::kMaxFindingSpans);
    std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(shown), ids.end());
    finding.spans.assign(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(shown));
    out->verdict.findings.push_back(std::move(finding));
  }
}

}  // namespace clew::trace

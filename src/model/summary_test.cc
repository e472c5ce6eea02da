#include "model/summary.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

namespace clew::model {
namespace {

Verdict sample() {
  Verdict v;
  v.state = TraceState::kTimedOut;
  v.version = 3;
  v.decided_ns = -5;
  v.basis = kBasisQuiet | kBasisTimeout;
  v.span_count = 14;
  v.late_spans = 2;
  v.orphan_count = 1;
  v.root_count = 1;
  v.missing_parents = {SpanId{0x1234}, SpanId{~uint64_t{0}}};
  v.findings = {{FindingKind::kOrphan, Severity::kLoss, 1, {SpanId{9}}, "1 span without its parent"},
                {FindingKind::kClientWithoutServer, Severity::kLoss, 1, {}, "1 call to stock without an answer"}};
  v.skew = {{"host-a", "host-b", -1500000, 20000, 12}};
  return v;
}

std::string encoded(const Verdict& v) {
  std::string out;
  append_verdict(v, out);
  return out;
}

TEST(Verdict, encodingKeepsEveryField) {
  const Verdict v = sample();
  Verdict back;
  ASSERT_TRUE(read_verdict(encoded(v), back).ok());
  EXPECT_EQ(encoded(back), encoded(v));
  EXPECT_EQ(back.state, v.state);
  EXPECT_EQ(back.version, 3u);
  EXPECT_EQ(back.decided_ns, -5);
  EXPECT_EQ(back.late_spans, 2u);
  EXPECT_EQ(back.missing_parents, v.missing_parents);
  ASSERT_EQ(back.findings.size(), 2u);
  EXPECT_EQ(back.findings[0].detail, v.findings[0].detail);
  EXPECT_EQ(back.skew, v.skew);
}

TEST(Verdict, cutOrDamagedBytesAreDataLossOrAnotherVerdictButNeverWorse) {
  const std::string good = encoded(sample());
  Verdict out;
  for (size_t n = 0; n < good.size(); ++n) EXPECT_EQ(read_verdict(good.substr(0, n), out).code(), Code::kDataLoss) << n;
  Generator random(2);
  uint64_t refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    refused += !read_verdict(bytes, out).ok();
  }
  EXPECT_GT(refused, 100u);
}

TEST(Verdict, sentenceTellsCountsAndWhatItRestsOn) {
  Verdict v;
  v.state = TraceState::kComplete;
  v.span_count = 14;
  v.root_count = 1;
  v.basis = kBasisRoot | kBasisParents | kBasisQuiet | kBasisAcyclic;
  EXPECT_EQ(verdict_sentence(v), "complete: 14 spans, root present, no parent missing, quiet");
  EXPECT_EQ(
      verdict_sentence(sample()),
      "timed out: 14 spans (2 late), root present, 2 parents missing (0000000000001234 ffffffffffffffff), 1 orphan, "
      "1 call to stock without an answer, decided by the timeout");
  Verdict rootless;
  rootless.state = TraceState::kCollecting;
  rootless.span_count = 1;
  EXPECT_EQ(verdict_sentence(rootless), "collecting: 1 span, no root");
}

TEST(Verdict, everyKindOfFindingHasItsOwnName) {
  std::vector<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(FindingKind::kTooManySpans); ++i)
    names.push_back(finding_kind_name(static_cast<FindingKind>(i)));
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::unique(names.begin(), names.end()), names.end());
  EXPECT_EQ(finding_kind_name(FindingKind::kClientWithoutServer), "client_without_server");
  EXPECT_EQ(finding_kind_name(static_cast<FindingKind>(200)), "unknown");
  EXPECT_EQ(trace_state_name(TraceState::kTimedOut), "timed_out");
}

TEST(Summary, encodingKeepsEveryFieldAndCutsAreDataLoss) {
  TraceSummary s;
  s.root = SpanId{77};
  s.root_service = "web";
  s.root_name = "GET /";
  s.start_ns = 1700000000000000000;
  s.end_ns = s.start_ns - 3;
  s.span_count = 5;
  s.error_count = 4;
  s.orphan_count = 3;
  s.service_count = 2;
  s.state = TraceState::kComplete;
  s.verdict_version = 8;
  s.digest = {1, ~uint64_t{0}};
  s.first_arrival_hlc = 100;
  s.last_arrival_hlc = 90;
  std::string bytes, again;
  append_summary(s, bytes);
  TraceSummary back;
  ASSERT_TRUE(read_summary(bytes, back).ok());
  append_summary(back, again);
  EXPECT_EQ(bytes, again);
  EXPECT_EQ(back.root_name, "GET /");
  EXPECT_EQ(back.end_ns, s.end_ns);
  EXPECT_EQ(back.digest, s.digest);
  EXPECT_EQ(back.last_arrival_hlc, 90u);
  for (size_t n = 0; n < bytes.size(); ++n)
    EXPECT_EQ(read_summary(bytes.substr(0, n), back).code(), Code::kDataLoss) << n;
}

}  // namespace
}  // namespace clew::model

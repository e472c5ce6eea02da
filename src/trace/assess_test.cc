#include "trace/assess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "base/random.h"
#include "model/span.h"
#include "trace/client_server.h"

namespace clew::trace {
namespace {

using model::FindingKind;
using model::Severity;
using model::SpanKind;
using model::TraceState;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kNow = 1'700'000'000'000'000'000;
constexpr int64_t kMs = 1'000'000;

// A span of 100 ms that begins `at_ms` after the trace, or as told.
struct S {
  uint64_t id = 0, parent = 0;
  int64_t at_ms = 0, ms = 100;
  SpanKind kind = SpanKind::kInternal;
  uint32_t host = 0;
  uint32_t flags = 0;
  operator SpanFacts() const {  // NOLINT(google-explicit-constructor): tables of spans read as what they are
    SpanFacts f;
    f.id = {id};
    f.parent = {parent};
    f.start_ns = kNow + at_ms * kMs;
    f.end_ns = f.start_ns + ms * kMs;
    f.kind = static_cast<uint8_t>(kind);
    f.host = f.service = host;
    f.flags = flags;
    return f;
  }
};

constexpr std::string_view kHosts[] = {"alpha", "beta", "gamma", "delta"};

Assessment assess(const std::vector<SpanFacts>& spans, Policy policy = {}) {
  Assessor assessor(policy);
  Assessment out;
  assessor.assess(spans, {kHosts, kHosts}, {}, nullptr, out);
  return out;
}

const model::Finding* find(const Assessment& a, FindingKind kind) {
  for (const model::Finding& finding : a.verdict.findings) {
    if (finding.kind == kind) return &finding;
  }
  return nullptr;
}
uint32_t count(const Assessment& a, FindingKind kind) {
  const model::Finding* finding = find(a, kind);
  return finding == nullptr ? 0 : finding->count;
}

TEST(Assess, aRootAndItsDescendantsAreComplete) {
  const Assessment a = assess({S{1, 0}, S{2, 1, 10, 50}, S{3, 2, 20, 10}});
  EXPECT_EQ(a.verdict.state, TraceState::kComplete);
  EXPECT_THAT(a.verdict.findings, IsEmpty());
  EXPECT_THAT(a.parent, ElementsAre(Assessment::kRoot, 0, 1));
  EXPECT_EQ(a.root, 0);
  EXPECT_EQ(a.start_ns, kNow);
  EXPECT_EQ(a.end_ns, kNow + 100 * kMs);
  EXPECT_EQ(a.verdict.basis, model::kBasisRoot | model::kBasisParents | model::kBasisAcyclic | model::kBasisNoDrops);
}

TEST(Assess, anOrphanKeepsTheTraceOpenAndNamesItsParentOnce) {
  const Assessment a = assess({S{1, 0}, S{2, 99}, S{3, 99}, S{4, 98}});
  EXPECT_EQ(a.verdict.state, TraceState::kCollecting);
  EXPECT_EQ(a.verdict.orphan_count, 3u);
  EXPECT_THAT(a.verdict.missing_parents, ElementsAre(model::SpanId{98}, model::SpanId{99}));
  EXPECT_EQ(find(a, FindingKind::kOrphan)->severity, Severity::kLoss);
  EXPECT_EQ(a.verdict.basis & model::kBasisParents, 0u);
  EXPECT_EQ(a.parent[1], Assessment::kOrphan);
}

TEST(Assess, missingParentsAreBounded) {
  std::vector<SpanFacts> spans = {S{1, 0}};
  for (uint64_t i = 0; i < 1000; ++i) spans.push_back(S{2 + i, 10'000 - i});
  const Assessment a = assess(spans);
  EXPECT_EQ(a.verdict.missing_parents.size(), model::kMaxMissingParents);
  EXPECT_EQ(a.verdict.missing_parents.front().value, 9'001u);
  EXPECT_EQ(find(a, FindingKind::kOrphan)->spans.size(), model::kMaxFindingSpans);
  EXPECT_EQ(find(a, FindingKind::kOrphan)->count, 1000u);
}

TEST(Assess, childrenWithoutARootAreNotWhole) {
  const Assessment a = assess({S{2, 1}, S{3, 2}});
  EXPECT_EQ(a.verdict.state, TraceState::kCollecting);
  EXPECT_EQ(find(a, FindingKind::kNoRoot)->severity, Severity::kLoss);
  EXPECT_EQ(a.root, -1);
}

TEST(Assess, anEmptyTraceIsNotComplete) { EXPECT_EQ(assess({}).verdict.state, TraceState::kCollecting); }

TEST(Assess, severalRootsAreToldAndTheEarliestIsTheRoot) {
  const Assessment a = assess({S{5, 0, 10}, S{6, 0, 0}, S{7, 5, 20, 1}});
  EXPECT_EQ(a.verdict.state, TraceState::kComplete);
  EXPECT_EQ(a.verdict.root_count, 2u);
  EXPECT_EQ(a.root, 1);
  EXPECT_THAT(find(a, FindingKind::kSeveralRoots)->spans, ElementsAre(model::SpanId{5}, model::SpanId{6}));
}

TEST(Assess, aCycleThatNoRootReachesIsFound) {
  const Assessment a = assess({S{1, 0}, S{2, 1}, S{10, 12}, S{11, 10}, S{12, 11}, S{13, 12}});
  EXPECT_EQ(a.verdict.state, TraceState::kCollecting);
  EXPECT_EQ(find(a, FindingKind::kCycle)->severity, Severity::kLoss);
  EXPECT_THAT(find(a, FindingKind::kCycle)->spans,
              ElementsAre(model::SpanId{10}, model::SpanId{11}, model::SpanId{12}));
  EXPECT_EQ(a.verdict.basis & model::kBasisAcyclic, 0u);
}

TEST(Assess, aSpanThatIsItsOwnParentIsNeitherRootNorWhole) {
  const Assessment a = assess({S{1, 0}, S{2, 2}});
  EXPECT_EQ(a.verdict.state, TraceState::kCollecting);
  EXPECT_EQ(a.verdict.root_count, 1u);
  EXPECT_EQ(find(a, FindingKind::kInvalidId)->severity, Severity::kLoss);
}

TEST(Assess, oneIdWithTwoContentsIsToldAndTheTraceStillWhole) {
  const Assessment a = assess({S{1, 0}, S{2, 1, 20, 5}, S{2, 1, 10, 50}, S{3, 2, 11, 2}});
  EXPECT_EQ(a.verdict.state, TraceState::kComplete);
  EXPECT_EQ(count(a, FindingKind::kDuplicateId), 1u);
  EXPECT_EQ(a.parent[3], 2) << "the earlier of the two";
}

TEST(Assess, zipkinHalvesShareAnIdServerUnderClientAndChildrenUnderTheirService) {
  const Assessment a = assess({S{1, 0, 0, 100, SpanKind::kServer, 0}, S{2, 1, 10, 50, SpanKind::kClient, 0},
                               S{2, 1, 20, 30, SpanKind::kServer, 1}, S{3, 2, 25, 5, SpanKind::kInternal, 1},
                               S{4, 2, 12, 1, SpanKind::kInternal, 0}, S{5, 2, 26, 1, SpanKind::kServer, 2}});
  EXPECT_THAT(a.parent, ElementsAre(Assessment::kRoot, 0, 1, 2, 1, 2));
  EXPECT_EQ(find(a, FindingKind::kSharedSpanId)->severity, Severity::kInfo);
  EXPECT_EQ(count(a, FindingKind::kDuplicateId), 0u);
  EXPECT_EQ(a.verdict.state, TraceState::kComplete);
}

TEST(Assess, halvesOfARootShareOneRoot) {
  const Assessment a = assess({S{2, 0, 0, 50, SpanKind::kClient, 0}, S{2, 0, 10, 30, SpanKind::kServer, 1}});
  EXPECT_EQ(a.verdict.root_count, 1u);
  EXPECT_EQ(a.verdict.state, TraceState::kComplete);
}

TEST(Assess, negativeDurationsAndOddTimesStayOutOfTheExtremes) {
  std::vector<SpanFacts> spans = {S{1, 0}, S{2, 1, 10, -500}, S{3, 1, 1000ll * 3600 * 48}, S{4, 1, 5, 5}};
  spans.push_back(S{5, 1});
  spans.back().start_ns = spans.back().end_ns = 0;
  const Assessment a = assess(spans);
  EXPECT_EQ(count(a, FindingKind::kNegativeDuration), 1u);
  EXPECT_THAT(find(a, FindingKind::kImplausibleTime)->spans, ElementsAre(model::SpanId{3}, model::SpanId{5}));
  EXPECT_EQ(a.start_ns, kNow);
  EXPECT_EQ(a.end_ns, kNow + 100 * kMs);
  EXPECT_EQ(count(a, FindingKind::kStartsBeforeParent), 0u);
  EXPECT_EQ(a.verdict.state, TraceState::kComplete);
}

TEST(Assess, aTraceThatLiesInThe1970sAsAWholeIsOnlyInfo) {
  std::vector<SpanFacts> spans(2);
  spans[0].id = {1};
  spans[0].end_ns = 100'000;
  spans[1].id = {2};
  spans[1].parent = {1};
  spans[1].start_ns = 10;
  spans[1].end_ns = 50;
  const Assessment a = assess(spans);
  EXPECT_EQ(find(a, FindingKind::kImplausibleTime)->severity, Severity::kInfo);
  EXPECT_EQ(a.start_ns, 0);
  EXPECT_EQ(a.end_ns, 100'000);
}

TEST(Assess, timesAtTheEndsOfTheirRangeDoNoHarm) {
  std::vector<SpanFacts> spans(4, S{0, 1});
  for (uint64_t i = 0; i < 4; ++i) spans[i].id = {i + 1};
  spans[0].parent = {};
  for (uint32_t i = 0; i < 4; ++i) spans[i].host = i;
  spans[1].start_ns = INT64_MIN;
  spans[1].end_ns = INT64_MAX;
  spans[2].start_ns = INT64_MAX;
  spans[2].end_ns = INT64_MIN;
  spans[3].end_ns = INT64_MAX;
  EXPECT_EQ(assess(spans).verdict.state, TraceState::kComplete);
}

TEST(Assess, workLeftToRunIsInfoAndAServerThatOutlivesItsClientOnOneHostAWarning) {
  const Assessment left = assess({S{1, 0}, S{2, 1, 50, 100}, S{3, 1, 150, 10}});
  EXPECT_EQ(find(left, FindingKind::kEndsAfterParent)->severity, Severity::kInfo);
  EXPECT_EQ(find(left, FindingKind::kStartsAfterParentEnd)->severity, Severity::kInfo);
  EXPECT_EQ(left.verdict.state, TraceState::kComplete);
  const Assessment call = assess({S{1, 0, 0, 100, SpanKind::kClient}, S{2, 1, 50, 100, SpanKind::kServer}});
  EXPECT_EQ(find(call, FindingKind::kEndsAfterParent)->severity, Severity::kWarning);
}

TEST(Assess, messagesAreNotHeldToContainment) {
  const Assessment a = assess({S{1, 0, 0, 10, SpanKind::kProducer, 0}, S{2, 1, 500, 10, SpanKind::kConsumer, 1},
                               S{3, 1, -20, 10, SpanKind::kInternal, 1}});
  EXPECT_THAT(a.verdict.findings, IsEmpty());
}

TEST(Assess, aServerOnAClockBehindIsAdjustedAndIsNoDefect) {
  const Assessment a = assess({S{1, 0, 0, 100, SpanKind::kClient, 0}, S{2, 1, -65, 80, SpanKind::kServer, 1},
                               S{3, 2, -60, 20, SpanKind::kInternal, 1}});
  EXPECT_EQ(count(a, FindingKind::kStartsBeforeParent), 0u);
  ASSERT_EQ(a.verdict.skew.size(), 1u);
  EXPECT_EQ(a.verdict.skew[0].host, "beta");
  EXPECT_EQ(a.verdict.skew[0].reference, "alpha");
  EXPECT_EQ(a.verdict.skew[0].offset_ns, 65 * kMs);
  EXPECT_EQ(a.verdict.skew[0].bound_ns, 10 * kMs);
  EXPECT_THAT(a.offset_ns, ElementsAre(0, 65 * kMs));
  EXPECT_EQ(find(a, FindingKind::kClockSkew)->severity, Severity::kInfo);
}

TEST(Assess, anAdjustmentThatExplainsNothingIsDropped) {
  // On one host there is no other clock to blame.
  const Assessment a = assess({S{1, 0}, S{2, 1, -5, 10}});
  EXPECT_EQ(count(a, FindingKind::kStartsBeforeParent), 1u);
  EXPECT_THAT(a.verdict.skew, IsEmpty());
}

TEST(Assess, flagsThatContradictTheParentAreInfo) {
  constexpr uint32_t kLocal = 0x100, kRemote = 0x300;
  const Assessment a =
      assess({S{1, 0, 0, 100, SpanKind::kServer, 0, kRemote | 1}, S{2, 1, 1, 1, SpanKind::kInternal, 0, kLocal},
              S{3, 1, 1, 1, SpanKind::kServer, 1, kLocal | 1}, S{4, 1, 1, 1, SpanKind::kServer, 1, kRemote | 1},
              S{5, 1, 1, 1, SpanKind::kInternal, 0, 0}});
  EXPECT_THAT(find(a, FindingKind::kFlagsInconsistent)->spans,
              ElementsAre(model::SpanId{1}, model::SpanId{2}, model::SpanId{3}));
  EXPECT_EQ(a.verdict.state, TraceState::kComplete);
}

TEST(Assess, reportedDropsAreToldAndDoNotHoldTheVerdictBack) {
  std::vector<SpanFacts> spans = {S{1, 0}};
  spans[0].dropped = true;
  const Assessment a = assess(spans);
  EXPECT_EQ(a.verdict.state, TraceState::kComplete);
  EXPECT_EQ(find(a, FindingKind::kDropsReported)->severity, Severity::kWarning);
  EXPECT_EQ(a.verdict.basis & model::kBasisNoDrops, 0u);
}

TEST(Assess, aboveTheLimitOnlyTheGraphIsChecked) {
  const Assessment a = assess({S{1, 0}, S{2, 1, -5}, S{3, 9}}, {.max_spans = 2});
  EXPECT_EQ(count(a, FindingKind::kOrphan), 1u);
  EXPECT_NE(find(a, FindingKind::kTooManySpans), nullptr);
  EXPECT_EQ(count(a, FindingKind::kStartsBeforeParent), 0u);
}

TEST(Assess, aCallThatUsuallyHasItsServerIsNotWholeWithout) {
  DecayedPeerHistory history;
  Assessor assessor({});
  Assessment out;
  const std::vector<std::string_view> names = {"GET /", "call"};
  const std::vector<SpanFacts> whole = {S{1, 0, 0, 100, SpanKind::kClient, 0}, S{2, 1, 10, 50, SpanKind::kServer, 1}};
  std::vector<SpanFacts> lost = {S{1, 0, 0, 100, SpanKind::kClient, 0}};
  const std::span<const std::string_view> one(names.data(), 1);
  assessor.assess(lost, {kHosts, kHosts}, one, &history, out);
  EXPECT_EQ(out.verdict.state, TraceState::kComplete) << "nothing is known of this call yet";
  for (int i = 0; i < 200; ++i) assessor.assess(whole, {kHosts, kHosts}, names, &history, out);
  EXPECT_NE(out.verdict.basis & model::kBasisClientServer, 0u);
  assessor.assess(lost, {kHosts, kHosts}, one, &history, out);
  EXPECT_EQ(out.verdict.state, TraceState::kCollecting);
  EXPECT_EQ(find(out, FindingKind::kClientWithoutServer)->severity, Severity::kLoss);
  EXPECT_EQ(out.verdict.basis & model::kBasisClientServer, 0u);
  lost[0].status = static_cast<uint8_t>(model::StatusCode::kError);
  assessor.assess(lost, {kHosts, kHosts}, one, &history, out);
  EXPECT_EQ(out.verdict.state, TraceState::kComplete) << "a failed call may never have arrived";
}

TEST(PeerHistory, aPeerThatStopsReportingIsForgotten) {
  DecayedPeerHistory history({.entries = 64, .window = 256});
  for (int i = 0; i < 1000; ++i) history.learn("a", "call", true);
  EXPECT_TRUE(history.expects_server_child("a", "call"));
  for (int i = 0; i < 1000; ++i) history.learn("a", "call", false);
  EXPECT_FALSE(history.expects_server_child("a", "call"));
}

TEST(PeerHistory, randomNamesDoNotDriveOutWhatIsBusy) {
  DecayedPeerHistory history({.entries = 64});
  for (int i = 0; i < 1000; ++i) history.learn("a", "call", true);
  for (int i = 0; i < 2000; ++i) history.learn("x", std::to_string(i), true);
  EXPECT_TRUE(history.expects_server_child("a", "call"));
}

// A trace with everything that can be wrong with it.
std::vector<SpanFacts> odd_trace(Generator& random) {
  const uint64_t n = 1 + random.below(40);
  std::vector<SpanFacts> spans;
  for (uint64_t i = 0; i < n; ++i) {
    S s{.id = 1 + random.below(n + n / 4),
        .parent = random.one_in(8) ? 0 : 1 + random.below(n + 2),
        .at_ms = static_cast<int64_t>(random.below(50)),
        .ms = static_cast<int64_t>(random.below(60)) - 2,
        .kind = static_cast<SpanKind>(random.below(6)),
        .host = static_cast<uint32_t>(random.below(4)),
        .flags = random.one_in(4) ? static_cast<uint32_t>(random.below(2) | 0x100 * random.below(4)) : 0};
    SpanFacts f = s;
    if (random.one_in(20)) f.start_ns = 0;
    f.start_ns += static_cast<int64_t>(f.host) * 30 * kMs;
    f.end_ns += static_cast<int64_t>(f.host) * 30 * kMs;
    spans.push_back(f);
  }
  return spans;
}

bool same(const model::Verdict& a, const model::Verdict& b) {
  std::string x, y;
  model::append_verdict(a, x);
  model::append_verdict(b, y);
  return x == y;
}

TEST(Assess, neitherArrivalOrderNorTheNumberingOfHostsChangesTheVerdict) {
  const bool ok = rc::check("any order", [] {
    Generator random(*rc::gen::arbitrary<uint64_t>());
    const std::vector<SpanFacts> spans = odd_trace(random);
    Assessor assessor({.hash_seed = random.next()});
    Assessment first, second;
    assessor.assess(spans, {kHosts, kHosts}, {}, nullptr, first);

    std::vector<uint32_t> order(spans.size()), numbers = {0, 1, 2, 3};
    std::iota(order.begin(), order.end(), 0);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    for (size_t i = numbers.size(); i > 1; --i) std::swap(numbers[i - 1], numbers[random.below(i)]);
    std::vector<std::string_view> names(4);
    for (uint32_t h = 0; h < 4; ++h) names[numbers[h]] = kHosts[h];
    std::vector<SpanFacts> shuffled;
    for (const uint32_t i : order) {
      shuffled.push_back(spans[i]);
      shuffled.back().host = numbers[shuffled.back().host];
      shuffled.back().service = numbers[shuffled.back().service];
    }
    Assessor({.hash_seed = random.next()}).assess(shuffled, {names, names}, {}, nullptr, second);
    RC_ASSERT(same(first.verdict, second.verdict));
    RC_ASSERT(first.start_ns == second.start_ns);
    RC_ASSERT(first.end_ns == second.end_ns);
    // And scratch from another trace leaves no trace.
    Assessment again;
    assessor.assess(spans, {kHosts, kHosts}, {}, nullptr, again);
    RC_ASSERT(same(first.verdict, again.verdict));
  });
  EXPECT_TRUE(ok);
}

TEST(Assess, completeExactlyWhenEverySpanReachesARoot) {
  const bool ok = rc::check("against a walk from every span", [] {
    Generator random(*rc::gen::arbitrary<uint64_t>());
    std::vector<SpanFacts> spans;
    const uint64_t n = 1 + random.below(30);
    for (uint64_t i = 1; i <= n; ++i) {
      spans.push_back(S{i, random.one_in(5) ? 0 : random.one_in(20) ? 1 + random.below(n + 1) : 1 + random.below(i)});
    }
    std::map<uint64_t, uint64_t> parent_of;
    for (const SpanFacts& s : spans) parent_of[s.id.value] = s.parent.value;
    bool whole = true;
    for (const SpanFacts& s : spans) {
      uint64_t at = s.id.value;
      for (uint64_t steps = 0; at != 0 && parent_of.count(at) != 0 && steps <= n; ++steps) at = parent_of[at];
      whole &= at == 0;
    }
    RC_ASSERT((assess(spans).verdict.state == TraceState::kComplete) == whole);
  });
  EXPECT_TRUE(ok);
}

int64_t thread_cpu_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}
// The least CPU time of several runs: what the machine does besides only ever adds.
template <typename Work>
double least_cpu_ns(Work work) {
  int64_t best = INT64_MAX;
  for (int run = 0; run < 7; ++run) {
    const int64_t begin = thread_cpu_ns();
    work();
    best = std::min(best, thread_cpu_ns() - begin);
  }
  return static_cast<double>(best);
}
double least_time(const std::vector<SpanFacts>& spans) {
  Assessor assessor({});
  Assessment out;
  return least_cpu_ns([&] { assessor.assess(spans, {kHosts, kHosts}, {}, nullptr, out); });
}
// Something linear that uses memory as an assessment does: n ids in a hash table, each looked up once.
double yardstick(uint64_t n) {
  uint64_t sum = 0;
  const double time = least_cpu_ns([&] {
    std::unordered_map<uint64_t, std::array<uint64_t, 4>> table;
    for (uint64_t i = 0; i < n; ++i) table.emplace(i * 0x9e3779b97f4a7c15ull, std::array<uint64_t, 4>{i});
    for (uint64_t i = 0; i < n; ++i) sum += table[i * 0x9e3779b97f4a7c15ull][0];
  });
  EXPECT_EQ(sum, 7 * (n * (n - 1) / 2));
  return time;
}

TEST(Assess, costGrowsLinearlyInSpansAndDepth) {
  const auto chain = [](uint64_t n) {
    std::vector<SpanFacts> spans;
    for (uint64_t i = 1; i <= n; ++i) spans.push_back(S{i, i - 1});
    return spans;
  };
  const auto crowd = [](uint64_t n) {  // wide, duplicated, on hosts whose clocks differ
    std::vector<SpanFacts> spans = {S{1, 0}};
    for (uint64_t i = 2; i <= n; ++i) {
      spans.push_back(
          S{1 + i / 2, 1, static_cast<int64_t>(i % 7) - 3, 5, SpanKind::kServer, static_cast<uint32_t>(i % 4)});
    }
    return spans;
  };
  EXPECT_EQ(assess(chain(10'000)).verdict.state, TraceState::kComplete);
  EXPECT_EQ(assess(chain(100'000)).verdict.state, TraceState::kComplete);
  EXPECT_EQ(assess(crowd(100'000)).verdict.state, TraceState::kComplete);
  // Sixteen times the spans. What is linear pays more a span, too, where caches end and fresh memory begins, and so
  // does the yardstick; what is quadratic pays sixteen times more than it.
  EXPECT_LE(least_time(chain(160'000)) / yardstick(160'000), 4 * (least_time(chain(10'000)) / yardstick(10'000)));
  EXPECT_LE(least_time(crowd(160'000)) / yardstick(160'000), 4 * (least_time(crowd(10'000)) / yardstick(10'000)));
}

}  // namespace
}  // namespace clew::trace

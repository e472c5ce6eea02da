#include "trace/lifecycle.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/random.h"

namespace clew::trace {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr model::TenantId kTenant{7};

model::TraceId trace_number(uint64_t n) { return {0, n}; }

// Drives the table as a shard does, with little words.
class Table {
 public:
  explicit Table(LifecyclePolicy policy = {}) : open(policy, 42) {}
  OpenTrace& touch(uint64_t n, int64_t now) {
    bool created;
    return open.touch(kTenant, trace_number(n), now, created);
  }
  // "12 quiet" or "none"
  std::string due(int64_t now) {
    Due why;
    OpenTrace* trace = open.due(now, why);
    if (trace == nullptr) return "none";
    return std::to_string(trace->id.lo) + (why == Due::kQuiet     ? " quiet"
                                           : why == Due::kTimeout ? " timeout"
                                                                  : " spill");
  }
  OpenTrace& get(uint64_t n) { return *open.find(kTenant, trace_number(n)); }
  OpenTraces open;
};

TEST(OpenTraces, aTraceFallsDueAQuietPeriodAfterItsLastSpanNotItsFirst) {
  Table t;
  t.touch(1, 0);
  t.touch(1, 3 * kSecond);
  EXPECT_EQ(t.open.next_deadline_ns(), 8 * kSecond);
  EXPECT_EQ(t.due(8 * kSecond - 1), "none");
  EXPECT_EQ(t.due(8 * kSecond), "1 quiet");
  EXPECT_EQ(t.due(100 * kSecond), "none") << "handed out twice before it was answered";
}

TEST(OpenTraces, atTheEndOfTimeWhateverWaitsIsHandedOutAndNothingElse) {
  constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
  Table empty;
  EXPECT_EQ(empty.due(kEnd), "none");
  Table t;
  t.touch(1, 0);
  t.due(5 * kSecond);
  t.open.resolve_collecting(t.get(1), 5 * kSecond);
  t.touch(2, 6 * kSecond);
  EXPECT_EQ(t.due(kEnd), "2 quiet");
  EXPECT_EQ(t.due(kEnd), "1 timeout");
  EXPECT_EQ(t.due(kEnd), "1 spill");
  EXPECT_EQ(t.due(kEnd), "2 spill");
  EXPECT_EQ(t.due(kEnd), "none");
  t.open.check_invariants();
}

TEST(OpenTraces, deadlinesBeyondTheEndOfTimeComeAtItWhicheverListTheyStandOn) {
  constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
  // All periods saturate: every deadline is the end itself, and one list after the other is empty.
  Table t({.quiet_period_ns = kEnd, .trace_timeout_ns = kEnd, .max_open_ns = kEnd});
  t.touch(1, kSecond);
  EXPECT_EQ(t.due(kEnd - 1), "none");
  EXPECT_EQ(t.due(kEnd), "1 quiet");
  t.open.resolve_collecting(t.get(1), kEnd);
  EXPECT_EQ(t.due(kEnd), "1 timeout");
  EXPECT_EQ(t.due(kEnd), "1 spill");
  EXPECT_EQ(t.due(kEnd), "none");
}

TEST(OpenTraces, aTraceThatIsNotWholeTimesOutSinceItsLastSpan) {
  Table t;
  t.touch(1, 0);
  EXPECT_EQ(t.due(6 * kSecond), "1 quiet");
  EXPECT_TRUE(t.open.resolve_collecting(t.get(1), 6 * kSecond));
  EXPECT_EQ(t.get(1).state, model::TraceState::kCollecting);
  EXPECT_EQ(t.due(30 * kSecond - 1), "none");
  EXPECT_EQ(t.due(30 * kSecond), "1 timeout");
}

TEST(OpenTraces, aSpanOfACollectingTraceMakesItActiveAgain) {
  Table t;
  t.touch(1, 0);
  t.due(5 * kSecond);
  t.open.resolve_collecting(t.get(1), 5 * kSecond);
  EXPECT_EQ(t.touch(1, 29 * kSecond).state, model::TraceState::kActive);
  EXPECT_EQ(t.due(33 * kSecond), "none");
  EXPECT_EQ(t.due(34 * kSecond), "1 quiet");
  t.open.resolve_collecting(t.get(1), 34 * kSecond);
  EXPECT_EQ(t.due(59 * kSecond), "1 timeout");
}

TEST(OpenTraces, aSpanBetweenDueAndItsAnswerVoidsTheAnswer) {
  Table t;
  t.touch(1, 0);
  t.due(5 * kSecond);
  t.touch(1, 5 * kSecond);
  EXPECT_FALSE(t.open.resolve_collecting(t.get(1), 5 * kSecond));
  EXPECT_EQ(t.get(1).state, model::TraceState::kActive);
  EXPECT_EQ(t.due(10 * kSecond), "1 quiet");
}

TEST(OpenTraces, aSealedTraceLeavesTheTable) {
  Table t;
  t.touch(1, 0).newest = 11;
  t.due(5 * kSecond);
  t.open.begin_seal(t.get(1));
  EXPECT_TRUE(t.get(1).sealing);
  EXPECT_EQ(t.get(1).sealing_link, 11u);
  EXPECT_EQ(t.get(1).sealing_rows, 1u);
  EXPECT_EQ(t.get(1).rows, 0u);
  EXPECT_TRUE(t.open.sealed(t.get(1), 6 * kSecond));
  EXPECT_EQ(t.open.find(kTenant, trace_number(1)), nullptr);
  EXPECT_EQ(t.open.size(), 0u);
  EXPECT_EQ(t.open.next_deadline_ns(), std::numeric_limits<int64_t>::max());
}

TEST(OpenTraces, aSpanThatComesWhileSealingKeepsTheTraceOpen) {
  Table t;
  t.touch(1, 0);
  t.due(5 * kSecond);
  t.open.begin_seal(t.get(1));
  t.touch(1, 6 * kSecond);
  EXPECT_FALSE(t.open.sealed(t.get(1), 7 * kSecond));
  EXPECT_EQ(t.get(1).rows, 1u);
  EXPECT_EQ(t.get(1).first_ns, 6 * kSecond);
  EXPECT_TRUE(t.get(1).stored_before);
  EXPECT_EQ(t.due(11 * kSecond), "1 quiet");
}

TEST(OpenTraces, whatFallsDueWhileSealingIsHandedOutAfterIt) {
  Table t;
  t.touch(1, 0);
  t.due(5 * kSecond);
  t.open.begin_seal(t.get(1));
  t.touch(1, 6 * kSecond);
  EXPECT_EQ(t.due(20 * kSecond), "none") << "a trace must not be assessed while a part of it is on its way";
  t.open.sealed(t.get(1), 21 * kSecond);
  EXPECT_LE(t.open.next_deadline_ns(), 21 * kSecond);
  EXPECT_EQ(t.due(21 * kSecond), "1 quiet");
}

TEST(OpenTraces, rowsThatWereNotWholeComeBackAndWaitForTheTimeout) {
  Table t;
  t.touch(1, 0);
  EXPECT_EQ(t.due(6 * kSecond), "1 quiet");
  EXPECT_TRUE(t.open.awaits_answer(t.get(1)));
  t.open.begin_seal(t.get(1));
  EXPECT_FALSE(t.open.awaits_answer(t.get(1)));
  t.open.unsealed(t.get(1), 7 * kSecond, OpenTraces::Unseal::kNotWhole);
  EXPECT_EQ(t.get(1).rows, 1u);
  EXPECT_EQ(t.get(1).since_ns, 0);
  EXPECT_EQ(t.get(1).state, model::TraceState::kCollecting);
  t.open.check_invariants();
  EXPECT_EQ(t.due(30 * kSecond - 1), "none");
  EXPECT_EQ(t.due(30 * kSecond), "1 timeout");
}

TEST(OpenTraces, rowsThatComeBackToASpanThatCameMeanwhileLeaveItsTimersAlone) {
  Table t;
  t.touch(1, 0);
  EXPECT_EQ(t.due(6 * kSecond), "1 quiet");
  t.open.begin_seal(t.get(1));
  t.touch(1, 7 * kSecond);
  t.open.unsealed(t.get(1), 8 * kSecond, OpenTraces::Unseal::kNotWhole);
  EXPECT_EQ(t.get(1).rows, 2u);
  EXPECT_EQ(t.get(1).state, model::TraceState::kActive);
  t.open.check_invariants();
  EXPECT_EQ(t.due(12 * kSecond), "1 quiet");
}

TEST(OpenTraces, rowsThatFoundNoRoomAwaitTheirAnswerAgain) {
  Table t;
  t.touch(1, 0);
  EXPECT_EQ(t.due(6 * kSecond), "1 quiet");
  t.open.begin_seal(t.get(1));
  t.open.unsealed(t.get(1), 7 * kSecond, OpenTraces::Unseal::kTryAgain);
  EXPECT_TRUE(t.open.awaits_answer(t.get(1)));
  t.open.check_invariants();
  t.open.begin_seal(t.get(1));
  EXPECT_TRUE(t.open.sealed(t.get(1), 8 * kSecond));
  EXPECT_EQ(t.open.size(), 0u);
}

TEST(OpenTraces, aTraceThatStaysActiveIsSpilledAndItsStubIsStillDecided) {
  Table t({.quiet_period_ns = 5 * kSecond, .trace_timeout_ns = 30 * kSecond, .max_open_ns = 12 * kSecond});
  for (int64_t s = 0; s <= 12; s += 3) t.touch(1, s * kSecond);
  EXPECT_EQ(t.due(12 * kSecond), "1 spill");
  t.open.begin_seal(t.get(1), Seal::kPart);
  EXPECT_FALSE(t.open.sealed(t.get(1), 13 * kSecond));
  EXPECT_EQ(t.get(1).rows, 0u);
  EXPECT_EQ(t.due(17 * kSecond - 1), "none");
  EXPECT_EQ(t.due(17 * kSecond), "1 quiet");
  t.open.begin_seal(t.get(1));
  EXPECT_TRUE(t.open.sealed(t.get(1), 18 * kSecond));
}

TEST(OpenTraces, aStubThatBecameQuietWhileItsPartWasSealingIsStillDecided) {
  Table t({.quiet_period_ns = 5 * kSecond, .trace_timeout_ns = 30 * kSecond, .max_open_ns = 12 * kSecond});
  for (int64_t s = 0; s <= 12; s += 3) t.touch(1, s * kSecond);
  t.due(12 * kSecond);
  t.open.begin_seal(t.get(1), Seal::kPart);
  EXPECT_EQ(t.due(40 * kSecond), "none");
  EXPECT_FALSE(t.open.sealed(t.get(1), 41 * kSecond));
  EXPECT_EQ(t.due(41 * kSecond), "1 quiet");
}

TEST(OpenTraces, aVictimSpilledWhileItsVerdictWasPendingIsHandedOutAgain) {
  Table t;
  t.touch(1, 0);
  t.due(5 * kSecond);  // not answered yet
  t.open.begin_seal(t.get(1), Seal::kPart);
  EXPECT_FALSE(t.open.sealed(t.get(1), 6 * kSecond));
  EXPECT_EQ(t.due(6 * kSecond), "1 quiet");
}

TEST(OpenTraces, theVictimIsTheOldestByLastArrivalThatHasRowsAndIsNotSealing) {
  Table t;
  for (uint64_t n = 1; n <= 4; ++n) t.touch(n, static_cast<int64_t>(n));
  t.touch(1, 9);
  EXPECT_EQ(t.open.oldest()->id.lo, 2u);
  t.open.begin_seal(t.get(2), Seal::kPart);
  EXPECT_EQ(t.open.oldest()->id.lo, 3u);
  t.open.sealed(t.get(2), 10);
  EXPECT_EQ(t.open.oldest()->id.lo, 3u) << "a stub has no rows to free";
}

TEST(OpenTraces, theVictimIsFoundBehindAnyNumberOfStubs) {
  Table t;
  for (uint64_t n = 0; n < 1000; ++n) t.touch(n, static_cast<int64_t>(n));
  for (uint64_t n = 0; n < 999; ++n) {
    t.open.begin_seal(t.get(n), Seal::kPart);
    t.open.sealed(t.get(n), 1000);
  }
  ASSERT_NE(t.open.oldest(), nullptr);
  EXPECT_EQ(t.open.oldest()->id.lo, 999u);
}

TEST(OpenTraces, sameTraceIdOfTwoTenantsIsTwoTraces) {
  OpenTraces open({}, 1);
  bool created;
  OpenTrace& a = open.touch({1}, trace_number(5), 0, created);
  OpenTrace& b = open.touch({2}, trace_number(5), 0, created);
  EXPECT_TRUE(created);
  EXPECT_NE(a.slot, b.slot);
  EXPECT_EQ(&open.at(a.slot), &a);
}

TEST(OpenTraces, timeGoingBackDoesNotDisorderTheTimers) {
  Table t;
  t.touch(1, 10 * kSecond);
  t.touch(2, 4 * kSecond);
  t.open.check_invariants();
  EXPECT_EQ(t.due(15 * kSecond), "1 quiet");
  EXPECT_EQ(t.due(15 * kSecond), "2 quiet");
}

TEST(OpenTraces, memoryIsGivenBackWhenABurstIsOver) {
  Table t;
  for (uint64_t n = 0; n < 100'000; ++n) t.touch(n, 0);
  const uint64_t full = t.open.memory_bytes();
  EXPECT_LT(full, 100'000u * 200) << "bytes per open trace";
  for (uint64_t n = 0; n < 100'000; ++n) t.open.drop(t.get(n));
  EXPECT_LT(t.open.memory_bytes(), full / 100);
  t.touch(1, 1);
  t.open.check_invariants();
}

// A model without lists: every question is answered by looking at all traces.
struct Model {
  struct Trace {
    uint32_t rows = 0, sealing_rows = 0;
    int64_t first = 0, last = 0;
    model::TraceState state = model::TraceState::kActive;
    bool sealing = false, final = false, stored = false;
    std::optional<Due> timer;  // armed, or rang and not answered: see `handed`
    bool handed = false;       // the timer was handed out and is not answered
    bool spill_handed = false;
    bool passed_a_seal = false;  // since the timer was armed
  };
  std::map<uint64_t, Trace> traces;
  LifecyclePolicy policy;
  int64_t now = 0;

  int64_t timer_deadline(const Trace& t) const {
    return t.last + (*t.timer == Due::kQuiet ? policy.quiet_period_ns : policy.trace_timeout_ns);
  }
  bool timer_due(const Trace& t) const { return t.timer && !t.handed && !t.sealing && timer_deadline(t) <= now; }
  bool spill_due(const Trace& t) const {
    return t.rows > 0 && !t.spill_handed && !t.sealing && t.first + policy.max_open_ns <= now;
  }
  int64_t earliest() const {
    int64_t at = std::numeric_limits<int64_t>::max();
    for (const auto& [id, t] : traces) {
      if (timer_due(t)) at = std::min(at, timer_deadline(t));
      if (spill_due(t)) at = std::min(at, t.first + policy.max_open_ns);
    }
    return at;
  }
};

TEST(OpenTraces, behavesAsAModelThatLooksAtEveryTrace) {
  const bool ok = rc::check("any sequence of events", [] {
    Model model;
    model.policy = {.quiet_period_ns = 5, .trace_timeout_ns = *rc::gen::element<int64_t>(3, 12, 30), .max_open_ns = 25};
    OpenTraces open(model.policy, *rc::gen::arbitrary<uint64_t>());
    Generator random(*rc::gen::arbitrary<uint64_t>());
    const auto steps = *rc::gen::inRange(1, 600);
    const uint64_t ids = 1 + random.below(40);
    for (int step = 0; step < steps; ++step) {
      if (random.one_in(2)) model.now += static_cast<int64_t>(random.below(4));
      const uint64_t id = random.below(ids);
      Model::Trace* known = model.traces.count(id) != 0 ? &model.traces[id] : nullptr;
      OpenTrace* real = open.find(kTenant, trace_number(id));
      RC_ASSERT((real != nullptr) == (known != nullptr));
      switch (random.below(10)) {
        case 0:
        case 1:
        case 2:
        case 3: {
          bool created;
          open.prefetch(kTenant, trace_number(id));
          OpenTrace& trace = open.touch(kTenant, trace_number(id), model.now, created);
          RC_ASSERT(created == (known == nullptr));
          Model::Trace& t = model.traces[id];
          if (t.rows++ == 0) {
            t.first = model.now;
            t.spill_handed = false;
          }
          t.last = model.now;
          t.timer = Due::kQuiet;
          t.handed = false;
          t.passed_a_seal = t.sealing;
          t.state = model::TraceState::kActive;
          RC_ASSERT(trace.rows == t.rows);
          break;
        }
        case 4:
        case 5:
        case 6: {
          Due why;
          OpenTrace* trace = open.due(model.now, why);
          const int64_t earliest = model.earliest();
          if (trace == nullptr) {
            RC_ASSERT(earliest == std::numeric_limits<int64_t>::max());
            RC_ASSERT(open.next_deadline_ns() > model.now);
            break;
          }
          Model::Trace& t = model.traces.at(trace->id.lo);
          if (why == Due::kSpill) {
            RC_ASSERT(model.spill_due(t));
            RC_ASSERT(t.first + model.policy.max_open_ns == earliest);
            t.spill_handed = true;
          } else {
            RC_ASSERT(model.timer_due(t));
            RC_ASSERT(why == *t.timer);
            RC_ASSERT(model.timer_deadline(t) == earliest || t.passed_a_seal);
            t.handed = true;
          }
          break;
        }
        case 7:
          if (known != nullptr) {
            const bool expected = known->handed && !known->sealing;
            RC_ASSERT(open.resolve_collecting(*real, model.now) == expected);
            if (expected) {
              known->timer = Due::kTimeout;
              known->handed = false;
              known->passed_a_seal = false;
              known->state = model::TraceState::kCollecting;
            }
          }
          break;
        case 8:
          if (known != nullptr && !known->sealing) {
            const bool final = random.one_in(2);
            open.begin_seal(*real, final ? Seal::kFinal : Seal::kPart);
            known->sealing = true;
            known->final = final;
            known->sealing_rows = known->rows;
            known->rows = 0;
            known->spill_handed = false;
            known->passed_a_seal = true;
            known->handed = false;
            if (final) known->timer.reset();
          }
          break;
        case 9:
          if (known != nullptr && known->sealing) {
            known->sealing = false;
            known->stored = true;
            known->sealing_rows = 0;
            const bool leaves = known->final && known->rows == 0;
            RC_ASSERT(open.sealed(*real, model.now) == leaves);
            if (leaves) model.traces.erase(id);
          } else if (known != nullptr && random.one_in(4)) {
            open.drop(*real);
            model.traces.erase(id);
          }
          break;
      }
      open.check_invariants();
      RC_ASSERT(open.size() == model.traces.size());
      open.for_each([&](OpenTrace& trace) {
        const Model::Trace& t = model.traces.at(trace.id.lo);
        RC_ASSERT(trace.rows == t.rows);
        RC_ASSERT(trace.last_ns == t.last);
        RC_ASSERT(t.rows == 0 || trace.first_ns == t.first);
        RC_ASSERT(trace.state == t.state);
        RC_ASSERT(trace.sealing == t.sealing);
        RC_ASSERT(trace.sealing_rows == t.sealing_rows);
        RC_ASSERT(trace.stored_before == t.stored);
      });
      const OpenTrace* victim = open.oldest();
      const bool any = std::any_of(model.traces.begin(), model.traces.end(), [](const auto& entry) {
        return !entry.second.sealing && entry.second.rows > 0 && !entry.second.handed && !entry.second.spill_handed;
      });
      if (any) RC_ASSERT(victim != nullptr);
      if (victim != nullptr) RC_ASSERT(!victim->sealing && victim->rows > 0);
    }
  });
  EXPECT_TRUE(ok);
}

}  // namespace
}  // namespace clew::trace

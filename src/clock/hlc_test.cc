#include "clock/hlc.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace clew::clock {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kNow = 1'760'000'000'000 * kMs;

struct Step {
  bool receive;
  int64_t wall_ms;    // relative to kNow; jumps both ways
  int64_t remote_ms;  // relative to the wall
  uint64_t remote_logical;
};

rc::Gen<std::vector<Step>> steps() {
  return rc::gen::container<std::vector<Step>>(
      rc::gen::construct<Step>(rc::gen::arbitrary<bool>(), rc::gen::inRange<int64_t>(-5000, 5000),
                               rc::gen::inRange<int64_t>(-3000, 3000), rc::gen::inRange<uint64_t>(0, 0x10000)));
}

RC_GTEST_PROP(HybridClock, neverGoesBackAndIsAtLeastThePhysicalTime, ()) {
  HybridClock clock(1000);
  uint64_t last = 0;
  for (const Step& step : *steps()) {
    const int64_t wall = kNow + step.wall_ms * kMs;
    uint64_t stamp = 0;
    if (step.receive) {
      const uint64_t remote = hlc_of(wall + step.remote_ms * kMs) + step.remote_logical;
      const auto updated = clock.update(wall, remote);
      if (!updated.ok()) {
        RC_ASSERT(updated.status().code() == Code::kOutOfRange);
        RC_ASSERT(clock.last() == last);  // a refused stamp leaves no trace
        continue;
      }
      stamp = *updated;
      RC_ASSERT(stamp > remote);
    } else {
      stamp = clock.now(wall);
    }
    RC_ASSERT(stamp > last);
    RC_ASSERT(stamp >= hlc_of(wall));
    last = stamp;
  }
}

// Messages among three clocks with different physical times: along every chain of causes the stamps grow.
RC_GTEST_PROP(HybridClock, causeComesBeforeEffectAcrossHosts, (const std::vector<uint8_t>& schedule)) {
  HybridClock clocks[3];
  const int64_t skew_ms[3] = {0, -40, 700};
  int64_t time_ms = 0;
  for (const uint8_t choice : schedule) {
    const int from = choice % 3, to = (choice / 3) % 3;
    time_ms += choice % 2;
    const auto wall = [&](int host) { return kNow + (time_ms + skew_ms[host]) * kMs; };
    const uint64_t sent = clocks[from].now(wall(from));
    const auto received = clocks[to].update(wall(to), sent);
    RC_ASSERT(received.ok());
    RC_ASSERT(*received > sent);
    RC_ASSERT(clocks[to].now(wall(to)) > *received);
  }
}

RC_GTEST_PROP(HybridClock, staysCloseToTheFastestClockInTheGroup, (const std::vector<uint8_t>& schedule)) {
  HybridClock slow, fast;
  int64_t time_ms = 0;
  uint64_t events = 0;
  for (const uint8_t choice : schedule) {
    time_ms += choice;
    const uint64_t sent = fast.now(kNow + (time_ms + 50) * kMs);
    const auto received = slow.update(kNow + time_ms * kMs, sent);
    RC_ASSERT(received.ok());
    events += 2;
    RC_ASSERT(*received <= hlc_of(kNow + (time_ms + 50) * kMs) + events);
  }
}

TEST(HybridClock, refusesARemoteTooFarAhead) {
  HybridClock clock(60'000);
  EXPECT_TRUE(clock.update(kNow, hlc_of(kNow + 60'000 * kMs)).ok());
  const uint64_t before = clock.last();
  const auto refused = clock.update(kNow, hlc_of(kNow + 60'001 * kMs));
  EXPECT_EQ(refused.status().code(), Code::kOutOfRange);
  EXPECT_NE(refused.status().message().find("60001 ms ahead"), std::string_view::npos) << refused.status().message();
  EXPECT_EQ(clock.last(), before);
}

TEST(HybridClock, refusesTheGreatestStampThatBytesCanSay) {
  HybridClock clock;
  EXPECT_FALSE(clock.update(kNow, UINT64_MAX).ok());
  EXPECT_FALSE(clock.update(0, UINT64_MAX).ok());
  EXPECT_FALSE(clock.update(kNow, uint64_t{1} << 63).ok());
}

TEST(HybridClock, stampsBeyondTheYear2262SaturateAsNanoseconds) {
  EXPECT_EQ(hlc_wall_ns(UINT64_MAX), INT64_MAX);
  EXPECT_EQ(hlc_wall_ns(hlc_of(INT64_MAX)) / kMs, INT64_MAX / kMs);
}

TEST(HybridClock, acceptsARemoteFromThePast) {
  HybridClock clock;
  const uint64_t local = clock.now(kNow);
  const auto updated = clock.update(kNow, 1);
  ASSERT_TRUE(updated.ok());
  EXPECT_GT(*updated, local);
}

TEST(HybridClock, aFullCounterMovesTheMillisecondOn) {
  HybridClock clock;
  uint64_t stamp = clock.now(kNow);
  for (int i = 0; i < 0x10000; ++i) {
    const uint64_t next = clock.now(kNow);
    ASSERT_EQ(next, stamp + 1);
    stamp = next;
  }
  EXPECT_EQ(hlc_wall_ns(stamp), kNow + kMs);
  EXPECT_EQ(clock.now(kNow + 2 * kMs), hlc_of(kNow + 2 * kMs));  // and physical time takes over again
}

TEST(HybridClock, whenThePhysicalPartIsHighestTheLogicalPartStartsAnew) {
  HybridClock clock;
  clock.now(kNow);
  clock.now(kNow);
  EXPECT_EQ(clock.now(kNow + kMs) & 0xffff, 0u);
}

TEST(HybridClock, restoreNeverGoesBelowWhatWasGivenOut) {
  HybridClock clock;
  const uint64_t given = clock.now(kNow);
  HybridClock restarted;
  restarted.restore(given);
  restarted.restore(given - 5);
  EXPECT_GT(restarted.now(kNow - 1000 * kMs), given);
}

TEST(HybridClock, timesBefore1970CountAsZero) {
  EXPECT_EQ(hlc_of(-1), 0u);
  EXPECT_EQ(hlc_of(0), 0u);
  HybridClock clock;
  EXPECT_GT(clock.now(-5), 0u);
}

}  // namespace
}  // namespace clew::clock

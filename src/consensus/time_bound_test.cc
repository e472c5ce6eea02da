#include "consensus/time_bound.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "sim/loop.h"
#include "sim/scheduler.h"

namespace clew::consensus {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kEpoch = 1'000 * kSecondNs;

struct TimeBounds : testing::Test {
  bool admits(int64_t proposed_ns) const {
    CommandHeader header;
    header.proposed_ns = proposed_ns;
    return bound(encode_command(header, "x").view());
  }

  sim::Scheduler scheduler;
  sim::SimClock clock{scheduler, kEpoch};
  TimeBound bound{clock, 5 * kSecondNs};
};

TEST_F(TimeBounds, aCommandMayBeAheadBySoMuchAndNoMore) {
  EXPECT_TRUE(admits(kEpoch));
  EXPECT_TRUE(admits(kEpoch + 5 * kSecondNs));
  EXPECT_FALSE(admits(kEpoch + 5 * kSecondNs + 1));
  EXPECT_FALSE(admits(std::numeric_limits<int64_t>::max()));
}

TEST_F(TimeBounds, aCommandFromThePastStaysAdmissible) {
  for (const int64_t proposed_ns : {kEpoch - kSecondNs, int64_t{1}, int64_t{0}}) {
    EXPECT_TRUE(admits(proposed_ns)) << proposed_ns;
    scheduler.run_for(3'600 * kSecondNs);
    EXPECT_TRUE(admits(proposed_ns)) << proposed_ns;
  }
}

TEST_F(TimeBounds, itMovesWithTheClockAndNotWithWhatThatIsSetTo) {
  scheduler.run_for(2 * kSecondNs);
  EXPECT_TRUE(admits(kEpoch + 7 * kSecondNs));
  EXPECT_FALSE(admits(kEpoch + 7 * kSecondNs + 1));
  clock.set_wall_offset(3'600 * kSecondNs);
  EXPECT_FALSE(admits(kEpoch + 7 * kSecondNs + 1));
  clock.set_wall_offset(-3'600 * kSecondNs);
  EXPECT_TRUE(admits(kEpoch + 7 * kSecondNs));
}

// The second one would stop every member that applies it.
TEST_F(TimeBounds, whatIsNoCommandThatThisVersionKnowsIsNotAgreedOn) {
  EXPECT_FALSE(bound(""));
  EXPECT_FALSE(bound(std::string_view("\xff\xff\xff", 3)));
}

TEST_F(TimeBounds, copiesAskTheSameClock) {
  const TimeBound copy = bound;
  scheduler.run_for(10 * kSecondNs);
  CommandHeader header;
  header.proposed_ns = kEpoch + 15 * kSecondNs;
  EXPECT_TRUE(copy(encode_command(header, "x").view()));
}

}  // namespace
}  // namespace clew::consensus

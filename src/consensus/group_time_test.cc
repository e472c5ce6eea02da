#include "consensus/group_time.h"

#include <gtest/gtest.h>

#include "sim/loop.h"
#include "sim/scheduler.h"

namespace clew::consensus {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kEpoch = 1'000 * kSecondNs;

struct GroupTimes : testing::Test {
  sim::Scheduler scheduler;
  sim::SimClock clock{scheduler, kEpoch};
  GroupTime time{clock};
};

TEST_F(GroupTimes, aloneItIsTheWallClock) {
  EXPECT_EQ(time.propose_ns(), kEpoch);
  scheduler.run_for(3 * kSecondNs);
  EXPECT_EQ(time.now_ns(), kEpoch + 3 * kSecondNs);
  clock.set_wall_offset(60 * kSecondNs);
  EXPECT_EQ(time.propose_ns(), kEpoch + 63 * kSecondNs);
}

TEST_F(GroupTimes, aClockThatWasSetBackHoldsNothingUp) {
  clock.set_wall_offset(3'600 * kSecondNs);
  EXPECT_EQ(time.propose_ns(), kEpoch + 3'600 * kSecondNs);
  clock.set_wall_offset(0);
  scheduler.run_for(2 * kSecondNs);
  EXPECT_EQ(time.propose_ns(), kEpoch + 3'602 * kSecondNs);
  scheduler.run_for(2 * kSecondNs);
  EXPECT_EQ(time.now_ns(), kEpoch + 3'604 * kSecondNs);
}

TEST_F(GroupTimes, whatOthersProposedCountsFromWhenItWasApplied) {
  time.applied(kEpoch + 100 * kSecondNs);
  scheduler.run_for(kSecondNs);
  EXPECT_EQ(time.now_ns(), kEpoch + 101 * kSecondNs);
  time.applied(kEpoch + 50 * kSecondNs);  // older than what is known
  EXPECT_EQ(time.now_ns(), kEpoch + 101 * kSecondNs);
}

TEST_F(GroupTimes, anotherOriginOfTheMonotonicClockMakesNoDifference) {
  clock.reboot(5);
  GroupTime after(clock);
  after.applied(kEpoch + 100 * kSecondNs);
  scheduler.run_for(kSecondNs);
  EXPECT_EQ(after.now_ns(), kEpoch + 101 * kSecondNs);
}

}  // namespace
}  // namespace clew::consensus

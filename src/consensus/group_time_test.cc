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

TEST_F(GroupTimes, aloneItIsTheWallClockOfTheStart) {
  EXPECT_EQ(time.propose_ns(), kEpoch);
  scheduler.run_for(3 * kSecondNs);
  EXPECT_EQ(time.now_ns(), kEpoch + 3 * kSecondNs);
}

TEST_F(GroupTimes, whatTheClockIsSetToMakesNoDifference) {
  for (const int64_t offset_s : {3'600, -3'600, 86'400, 0}) {
    clock.set_wall_offset(offset_s * kSecondNs);
    const int64_t before = time.propose_ns();
    scheduler.run_for(2 * kSecondNs);
    EXPECT_EQ(time.propose_ns(), before + 2 * kSecondNs);
  }
}

TEST_F(GroupTimes, whoOnlyFollowsTakesTimeAlongByNothingOfItsOwn) {
  EXPECT_EQ(time.followed_ns(kSecondNs), 0);
  time.applied(50 * kSecondNs);  // the others' clocks are behind this one
  scheduler.run_for(2 * kSecondNs);
  EXPECT_EQ(time.followed_ns(kSecondNs), 52 * kSecondNs);
  EXPECT_EQ(time.now_ns(), kEpoch + 2 * kSecondNs);
  time.applied(kEpoch + 10 * kSecondNs);  // theirs are ahead now: it waits for its own, a second before
  EXPECT_EQ(time.followed_ns(kSecondNs), kEpoch + 3 * kSecondNs);
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

#include "trace/skew.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace clew::trace {
namespace {

using testing::ElementsAre;

constexpr std::string_view kNames[] = {"a", "b", "c"};

class Skew : public testing::Test {
 protected:
  uint32_t solve(uint32_t reference = 0) { return estimator.solve(reference, 3, kNames, 0, offsets, estimates); }
  SkewEstimator estimator;
  std::vector<int64_t> offsets;
  std::vector<model::SkewEstimate> estimates;
};

TEST_F(Skew, intervalsThatHoldZeroAskForNothing) {
  estimator.add({0, 1, -10, 10});
  estimator.add({0, 1, -3, 50});
  EXPECT_EQ(solve(), 0u);
  EXPECT_THAT(offsets, ElementsAre(0, 0, 0));
}

TEST_F(Skew, theLeastOffsetOfTheCommonIntervalWithItsHalfWidth) {
  estimator.add({0, 1, 40, 100});
  estimator.add({0, 1, 60, 200});
  EXPECT_EQ(solve(), 1u);
  EXPECT_THAT(estimates, ElementsAre(model::SkewEstimate{"b", "a", 60, 20, 2}));
}

TEST_F(Skew, edgesInBothDirectionsBoundOneOffset) {
  estimator.add({0, 1, 40, 100});
  estimator.add({1, 0, -70, -50});
  solve();
  EXPECT_THAT(estimates, ElementsAre(model::SkewEstimate{"b", "a", 50, 10, 2}));
}

TEST_F(Skew, oneLiarAmongManyIsOutvoted) {
  for (int i = 0; i < 5; ++i) estimator.add({0, 1, 60 - i, 70 + i});
  estimator.add({0, 1, -500, -400});
  solve();
  EXPECT_EQ(offsets[1], 60);
  EXPECT_GE(estimates[0].bound_ns, (60 + 400) / 2);
}

TEST_F(Skew, zeroIsKeptWhereHalfOfTheEdgesAcceptIt) {
  estimator.add({0, 1, -5, 5});
  estimator.add({0, 1, 60, 70});
  EXPECT_EQ(solve(), 0u);
}

TEST_F(Skew, offsetsAreChainedFromTheReference) {
  estimator.add({0, 1, 10, 10});
  estimator.add({1, 2, 5, 5});
  solve(0);
  EXPECT_THAT(offsets, ElementsAre(0, 10, 15));
  estimator.clear();
  estimator.add({0, 1, 10, 10});
  estimator.add({1, 2, 5, 5});
  solve(2);
  EXPECT_THAT(offsets, ElementsAre(-15, -5, 0));
  EXPECT_EQ(estimates[0].host, "a");
  EXPECT_EQ(estimates[0].offset_ns, -10);
}

TEST(SkewBounds, aCallThatWaitedBoundsBothSides) {
  SkewEdge edge;
  ASSERT_TRUE(skew_bounds({0, 100}, {-65, 15}, true, 1, edge));
  EXPECT_EQ(edge.low_ns, 65);
  EXPECT_EQ(edge.high_ns, 85);
}

TEST(SkewBounds, workThatOutlivesItsParentAsksForNoAdjustment) {
  SkewEdge edge;
  ASSERT_TRUE(skew_bounds({0, 100}, {50, 120}, false, 1, edge));
  EXPECT_LE(edge.low_ns, 0);
  EXPECT_GE(edge.high_ns, 0);
  EXPECT_FALSE(skew_bounds({0, 100}, {150, 160}, false, 1, edge)) << "it began after its parent had ended";
}

TEST(SkewBounds, anEffectBeforeItsCauseAlwaysAsksForOne) {
  SkewEdge edge;
  ASSERT_TRUE(skew_bounds({0, 100}, {-10, 500}, true, 1, edge));
  EXPECT_EQ(edge.low_ns, 10);
  EXPECT_EQ(edge.high_ns, 110);
}

TEST(SkewEstimate, findsTheTrueOffsetWithinItsBoundsWhateverTheNetworkDid) {
  Generator random(7);
  for (int round = 0; round < 200; ++round) {
    const int64_t truth = static_cast<int64_t>(random.below(2'000'000)) - 1'000'000;
    SkewEstimator estimator;
    for (int i = 0; i < 20; ++i) {
      const int64_t there = static_cast<int64_t>(random.below(50'000)),
                    back = static_cast<int64_t>(random.below(50'000));
      const int64_t work = static_cast<int64_t>(random.below(300'000));
      // The child on its own clock: `truth` behind the parent's.
      SkewEdge edge{0, 1, 0, 0};
      ASSERT_TRUE(skew_bounds({0, there + work + back}, {there - truth, there + work - truth}, true, 0, edge));
      estimator.add(edge);
    }
    std::vector<int64_t> offsets;
    std::vector<model::SkewEstimate> estimates;
    if (estimator.solve(0, 2, kNames, 0, offsets, estimates) == 0) {
      EXPECT_LE(std::abs(truth), 50'000);
      continue;
    }
    EXPECT_LE(std::abs(estimates[0].offset_ns), std::abs(truth));
    EXPECT_LE(std::abs(truth - estimates[0].offset_ns), 2 * estimates[0].bound_ns);
  }
}

}  // namespace
}  // namespace clew::trace

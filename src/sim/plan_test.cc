#include "sim/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"
#include "sim/shrink.h"

namespace clew::sim {
namespace {

TEST(Plan, theSameSeedGivesTheSamePlanAndAnotherSeedAnother) {
  EXPECT_EQ(to_string(draw_plan(7, {})), to_string(draw_plan(7, {})));
  EXPECT_NE(to_string(draw_plan(7, {})), to_string(draw_plan(8, {})));
}

TEST(Plan, seedsEnableDifferentSubsetsOfFaultsAndTogetherAll) {
  std::set<FaultKind> seen;
  std::set<std::set<FaultKind>> subsets;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    std::set<FaultKind> kinds;
    const Plan plan = draw_plan(seed, {});
    for (const Item& item : plan.items) kinds.insert(item.kind);
    for (size_t i = 1; i < plan.items.size(); ++i) ASSERT_LE(plan.items[i - 1].at_ns, plan.items[i].at_ns);
    seen.insert(kinds.begin(), kinds.end());
    subsets.insert(kinds);
  }
  EXPECT_EQ(seen.size(), kFaultKinds);
  EXPECT_GT(subsets.size(), 35u);
}

TEST(Plan, leavingAKindOutLeavesTheOthersAsTheyAre) {
  PlanOptions without;
  without.without = {FaultKind::kPause};
  size_t left_out = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<std::string> all, some;
    for (const Item& item : draw_plan(seed, {}).items) {
      if (item.kind == FaultKind::kPause) {
        ++left_out;
      } else {
        all.push_back(to_string(item));
      }
    }
    for (const Item& item : draw_plan(seed, without).items) some.push_back(to_string(item));
    EXPECT_EQ(all, some);
  }
  EXPECT_GT(left_out, 0u);
}

TEST(Plan, withoutIntensityOnlyOperationsAreLeft) {
  PlanOptions calm;
  calm.intensity = 0;
  const Plan plan = draw_plan(1, calm);
  EXPECT_GT(plan.items.size(), 500u);
  for (const Item& item : plan.items) EXPECT_EQ(item.kind, FaultKind::kOperation);
}

TEST(Plan, aReducedPlanKeepsTheNumbersOfItsItems) {
  const Plan drawn = draw_plan(3, {});
  const Plan reduced = reduce(drawn, {{1}, {5}});
  ASSERT_EQ(reduced.items.size(), 2u);
  EXPECT_EQ(to_string(reduced.items[1]), to_string(drawn.items[5]));
  EXPECT_NE(to_string(reduced).find("     5  " + to_string(drawn.items[5])), std::string::npos);
}

TEST(Plan, choicesArePrintedAsRangesAndReadBack) {
  EXPECT_EQ(format_choices({{0}, {1}, {2}, {3}, {17}, {19}, {20}}), "0-3,17,19-20");
  EXPECT_EQ(format_choices({{0}, {1}, {2, 7}, {3}, {4}}), "0-1,2=7,3-4");
  EXPECT_EQ(format_choices({}), "none");
  Generator random(1);
  for (int i = 0; i < 200; ++i) {
    std::vector<Choice> choices;
    for (uint32_t value = 0; value < 50; ++value) {
      if (random.one_in(2)) choices.push_back({value});
      if (random.one_in(8) && !choices.empty()) choices.back().amount = static_cast<int64_t>(random.below(9)) - 3;
    }
    const auto again = parse_choices(format_choices(choices), 50);
    ASSERT_TRUE(again.ok()) << format_choices(choices);
    EXPECT_EQ(*again, choices);
  }
  for (const char* bad : {"", ",", "1,", "3-1", "5,5", "5,4", "50", "1-50", "x", "1 2", "-1", "99999999999",
                          "1=", "1=x", "1-2=3", "1==2"}) {
    EXPECT_FALSE(parse_choices(bad, 50).ok()) << bad;
  }
}

TEST(Shrink, findsTheItemsThatMatterTogether) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Generator random(seed);
    std::vector<uint32_t> all, cause;
    for (uint32_t i = 0; i < 300; ++i) all.push_back(i);
    for (uint64_t k = 0; k <= random.below(4); ++k) cause.push_back(static_cast<uint32_t>(random.below(300)));
    std::sort(cause.begin(), cause.end());
    cause.erase(std::unique(cause.begin(), cause.end()), cause.end());
    const auto fails = [&](const std::vector<uint32_t>& part) {
      return std::includes(part.begin(), part.end(), cause.begin(), cause.end());
    };
    const Shrunk shrunk = shrink(all, fails, 10'000);
    EXPECT_TRUE(shrunk.minimal);
    EXPECT_EQ(shrunk.items, cause);
    EXPECT_LT(shrunk.tries, 400u);
  }
}

TEST(Shrink, endsWithAFailingPartWhenItMayNotTryOn) {
  std::vector<uint32_t> all(1000);
  for (uint32_t i = 0; i < 1000; ++i) all[i] = i;
  const auto fails = [](const std::vector<uint32_t>& part) { return part.size() >= 100; };
  const Shrunk shrunk = shrink(all, fails, 20);
  EXPECT_EQ(shrunk.tries, 20u);
  EXPECT_FALSE(shrunk.minimal);
  EXPECT_TRUE(fails(shrunk.items));
  EXPECT_LT(shrunk.items.size(), 1000u);
  EXPECT_TRUE(shrink(
                  {1, 2, 3}, [](const auto&) { return true; }, 100)
                  .items.empty());
}

}  // namespace
}  // namespace clew::sim

#include <gtest/gtest.h>

#include "sim/decrees/decree_hunt.h"

namespace clew::sim::decrees {
namespace {

// tests/sim.sh runs many more.
TEST(Decrees, someWorldsDecideUnderFaultsAndAfterThem) {
  groups::Deeds deeds;
  DecreeHunt hunt;
  hunt.rerun_one_in = 5;
  hunt.deeds = &deeds;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto finding = hunt.hunt(seed);
    ASSERT_FALSE(finding) << to_string(*finding);
  }
  EXPECT_GT(deeds.entries, 20u * 5);          // decrees decided
  EXPECT_GT(deeds.elections, deeds.entries);  // more ballots than that: they duel
  EXPECT_GT(deeds.restarts, 20u);
  EXPECT_GT(deeds.holes, 0u);  // lives of members that abstained
}

}  // namespace
}  // namespace clew::sim::decrees

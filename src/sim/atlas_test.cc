#include "sim/atlas.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace clew::sim {
namespace {

constexpr NodeIndex n(uint32_t i) { return NodeIndex{i}; }
Scope items(uint64_t first, uint64_t last) { return {Scope::Kind::kItems, {first, last}}; }

TEST(FaultAtlas, anEntryIsDamagedOnlyWhileAQuorumOfOthersHasIt) {
  FaultAtlas atlas(3);
  for (uint32_t i = 0; i < 3; ++i) atlas.holds(n(i), {1, 10});
  EXPECT_TRUE(atlas.take(n(0), items(3, 5)));
  EXPECT_EQ(atlas.intact_copies(4), 2u);
  EXPECT_FALSE(atlas.take(n(1), items(5, 5))) << "one of two copies that are left";
  EXPECT_TRUE(atlas.take(n(1), items(6, 10))) << "other entries: damaged on another node";
  EXPECT_FALSE(atlas.take(n(2), items(1, 10)));
  EXPECT_TRUE(atlas.take(n(2), items(1, 2)));
}

TEST(FaultAtlas, whatNobodyElseHoldsIsNeverDamaged) {
  FaultAtlas atlas(3);
  atlas.holds(n(0), {1, 12});
  atlas.holds(n(1), {1, 10});
  atlas.holds(n(2), {4, 10});
  EXPECT_FALSE(atlas.take(n(0), items(11, 12)));
  EXPECT_FALSE(atlas.take(n(0), items(3, 4))) << "3 has one copy elsewhere";
  EXPECT_TRUE(atlas.take(n(0), items(4, 10)));
  EXPECT_TRUE(atlas.take(n(1), items(20, 30))) << "it has none of them";
}

TEST(FaultAtlas, repairMakesACopyCountAgain) {
  FaultAtlas atlas(3);
  for (uint32_t i = 0; i < 3; ++i) atlas.holds(n(i), {1, 10});
  ASSERT_TRUE(atlas.take(n(0), items(1, 10)));
  EXPECT_FALSE(atlas.take(n(1), items(5, 5)));
  atlas.repaired(n(0), {5, 5});
  EXPECT_TRUE(atlas.take(n(1), items(5, 5)));
  EXPECT_FALSE(atlas.take(n(1), items(4, 4)));
  EXPECT_FALSE(atlas.take(n(1), items(6, 6)));
}

TEST(FaultAtlas, whatIsOwedToNobodyMayBeForgottenByAsManyAsMayBeLost) {
  FaultAtlas atlas(5);
  atlas.bound_damaged_nodes();
  for (uint32_t i = 0; i < 5; ++i) atlas.holds(n(i), {1, i == 0 ? 12u : 10u});
  const auto owed_to_10 = [](uint64_t first, uint64_t last) { return Scope{Scope::Kind::kItems, {first, last}, 10}; };
  EXPECT_FALSE(atlas.take(n(0), items(9, 12)));
  EXPECT_TRUE(atlas.take(n(0), owed_to_10(9, 12)));
  EXPECT_TRUE(atlas.take(n(1), owed_to_10(11, 20))) << "also when it holds nothing there any more";
  EXPECT_FALSE(atlas.damaged(n(1)));
  EXPECT_TRUE(atlas.damaged_partly(n(1)));
  EXPECT_FALSE(atlas.take(n(2), owed_to_10(11, 20))) << "a third one of five";
  atlas.repaired(n(1), {1, 10});
  EXPECT_TRUE(atlas.damaged_partly(n(1)));
  atlas.repaired(n(1), {1, UINT64_MAX});
  EXPECT_FALSE(atlas.damaged_partly(n(1)));
  EXPECT_TRUE(atlas.take(n(2), owed_to_10(11, 20)));
  EXPECT_TRUE(atlas.take(n(2), owed_to_10(8, 8)));
  atlas.holds(n(1), {1, 8});
  EXPECT_FALSE(atlas.take(n(2), owed_to_10(9, 9))) << "what is owed keeps its copies";
}

TEST(FaultAtlas, atMostAMinorityIsLostWhole) {
  FaultAtlas atlas(5);
  for (uint32_t i = 0; i < 5; ++i) atlas.holds(n(i), {1, 10});
  EXPECT_TRUE(atlas.take(n(0), {}));
  EXPECT_TRUE(atlas.take(n(1), {}));
  EXPECT_FALSE(atlas.take(n(2), {}));
  EXPECT_FALSE(atlas.take(n(2), items(1, 1)));
  EXPECT_TRUE(atlas.take(n(0), {})) << "it is lost already";
  atlas.restored(n(0));
  EXPECT_TRUE(atlas.take(n(2), items(1, 1)));
  EXPECT_EQ(atlas.damaged_nodes(), 1u);
}

// Whatever is asked for in whatever order: every item that was on a quorum of nodes besides a victim stays on a quorum.
TEST(FaultAtlas, randomDamageNeverTakesTheLastQuorumOfCopies) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Generator random(seed);
    const auto nodes = static_cast<uint32_t>(3 + 2 * random.below(2));
    const size_t quorum = nodes / 2 + 1;
    FaultAtlas atlas(nodes);
    uint64_t agreed = 0;  // on all nodes
    bool took = false;
    for (int step = 0; step < 200; ++step) {
      const NodeIndex node = n(static_cast<uint32_t>(random.below(nodes)));
      const uint64_t first = 1 + random.below(60), last = first + random.below(8);
      switch (random.below(5)) {
        case 0:
          ++agreed;
          for (uint32_t i = 0; i < nodes; ++i) atlas.holds(n(i), {1, agreed});
          break;
        case 1:
          atlas.repaired(node, {first, last});
          break;
        case 2:
          if (random.one_in(4)) atlas.restored(node);
          break;
        case 3:
          atlas.take(node, {});
          break;
        default:
          took = atlas.take(node, items(first, last)) || took;
      }
      for (uint64_t item = 1; item <= agreed; ++item) {
        ASSERT_GE(atlas.intact_copies(item), quorum) << "seed " << seed << ", item " << item;
      }
      ASSERT_LT(atlas.damaged_nodes(), quorum);
    }
    EXPECT_TRUE(took);
    EXPECT_GT(atlas.refused(), 0u);
  }
}

}  // namespace
}  // namespace clew::sim

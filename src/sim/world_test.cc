#include "sim/world.h"

#include <gtest/gtest.h>

#include <map>

#include "sim/hunt.h"
#include "sim/notary_test.h"

namespace clew::sim {
namespace {

constexpr NodeIndex n(uint32_t i) { return NodeIndex{i}; }

// What a notary alone cannot survive: nobody has a copy of what it wrote.
HuntOptions options() {
  HuntOptions options;
  options.plan.nodes = 3;
  options.plan.duration_ns = 8'000'000'000;
  options.plan.without = {FaultKind::kWipe, FaultKind::kBitRot, FaultKind::kMisdirected, FaultKind::kReadError};
  return options;
}

MakeScenario notaries(Flaw flaw) {
  return [flaw](uint64_t) { return std::make_unique<Notaries>(flaw); };
}

TEST(World, twoRunsOfASeedHaveTheSameTraceAndTwoSeedsDoNot) {
  std::set<uint64_t> hashes;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Plan plan = draw_plan(seed, options().plan);
    const RunResult first = run_plan(plan, notaries(Flaw::kNone));
    std::string play;
    const RunResult second = run_plan(plan, notaries(Flaw::kNone), &play);
    EXPECT_TRUE(first.ok) << "seed " << seed << ": " << first.failure;
    EXPECT_EQ(first.trace_hash, second.trace_hash) << "keeping a journal changes nothing";
    EXPECT_EQ(first.events, second.events);
    hashes.insert(first.trace_hash);
  }
  EXPECT_EQ(hashes.size(), 20u);
}

TEST(World, aCorrectSystemSurvivesAndComesBack) {
  for (uint64_t seed = 100; seed < 200; ++seed) {
    const auto finding = hunt(seed, notaries(Flaw::kNone), options());
    EXPECT_FALSE(finding) << to_string(*finding);
  }
}

std::optional<Finding> find(Flaw flaw, uint64_t seeds, const HuntOptions& how = options()) {
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    if (auto finding = hunt(seed, notaries(flaw), how)) return finding;
  }
  return std::nullopt;
}

TEST(World, aConfirmationBeforeTheSyncIsFoundAndShrunkToOneOperationAndOnePowerCut) {
  HuntOptions how = options();  // any error of the disk would show the flaw, too
  for (const FaultKind kind : {FaultKind::kWriteError, FaultKind::kSyncError, FaultKind::kFullDisk}) {
    how.plan.without.push_back(kind);
  }
  const auto finding = find(Flaw::kConfirmsBeforeSync, 50, how);
  ASSERT_TRUE(finding);
  EXPECT_NE(finding->again.failure.find("was confirmed and is lost"), std::string::npos);
  size_t operations = 0, cuts = 0;
  for (const Item& item : finding->smallest.items) {
    operations += item.kind == FaultKind::kOperation;
    cuts += item.kind == FaultKind::kPowerCut || item.kind == FaultKind::kPowerCutInIo;
  }
  EXPECT_LE(operations, 2u) << to_string(*finding);
  EXPECT_EQ(cuts, 1u) << to_string(*finding);
  EXPECT_LE(finding->smallest.items.size(), 4u) << to_string(*finding);
  // The printed command names everything that a replay needs.
  EXPECT_EQ(finding->command,
            "./dev sim --seed " + std::to_string(finding->seed) + " --only " + format_choices(finding->smallest.kept));
  const auto choices =
      parse_choices(format_choices(finding->smallest.kept), static_cast<uint32_t>(finding->smallest.drawn));
  ASSERT_TRUE(choices.ok());
  std::string play;
  const RunResult replay =
      run_plan(reduce(draw_plan(finding->seed, how.plan), *choices), notaries(Flaw::kConfirmsBeforeSync), &play);
  EXPECT_EQ(replay.trace_hash, finding->again.trace_hash);
  EXPECT_EQ(replay.failure, finding->again.failure);
  EXPECT_NE(play.find("loses power"), std::string::npos);
  EXPECT_NE(play.find("FAILED: " + replay.failure), std::string::npos);
}

TEST(World, aRetriedSyncThatPretendsToSucceedIsFound) {
  HuntOptions how = options();
  for (const FaultKind kind : {FaultKind::kWriteError, FaultKind::kFullDisk}) how.plan.without.push_back(kind);
  const auto finding = find(Flaw::kRetriesTheSync, 200, how);
  ASSERT_TRUE(finding);
  bool sync_error = false;
  for (const Item& item : finding->smallest.items) sync_error = sync_error || item.kind == FaultKind::kSyncError;
  EXPECT_TRUE(sync_error) << to_string(*finding);
}

TEST(World, aSafeSystemThatHasStoppedIsFoundInTheHealingPhase) {
  const auto finding = find(Flaw::kStopsForEver, 50);
  ASSERT_TRUE(finding);
  EXPECT_NE(finding->again.failure.find("no progress"), std::string::npos) << to_string(*finding);
  ASSERT_EQ(finding->smallest.items.size(), 1u) << to_string(*finding);
  EXPECT_EQ(finding->smallest.items[0].kind, FaultKind::kPause);
}

TEST(World, whatLooksOutsideOfItsSeedIsFoundByTheSecondRun) {
  HuntOptions always = options();
  always.rerun_one_in = 1;
  const auto finding = hunt(1, notaries(Flaw::kLooksOutside), always);
  ASSERT_TRUE(finding);
  EXPECT_TRUE(finding->nondeterministic);
  EXPECT_NE(to_string(*finding).find("two runs differ"), std::string::npos);
}

// One fault each, with its sign in the world.
struct Sign {
  FaultKind kind;
  std::function<bool(World&, Notaries&, const std::string& play)> seen;
};

TEST(World, everyKindOfFaultHappensAndShows) {
  const auto says = [](const char* text) {
    return [text](World&, Notaries&, const std::string& play) { return play.find(text) != std::string::npos; };
  };
  const std::vector<Sign> signs = {
      {FaultKind::kLoss, [](World& w, Notaries&, const auto&) { return w.mesh().counters().lost > 0; }},
      {FaultKind::kDuplicates, [](World& w, Notaries&, const auto&) { return w.mesh().counters().duplicated > 0; }},
      {FaultKind::kDamage, [](World& w, Notaries&, const auto&) { return w.mesh().counters().damaged > 0; }},
      {FaultKind::kStragglers, says("stragglers")},
      {FaultKind::kDelay, says("delay")},
      {FaultKind::kDrift, says("drift")},
      {FaultKind::kSkew, says("skew")},
      {FaultKind::kWallJump, says("wall-jump")},
      {FaultKind::kPause, [](World&, Notaries& s, const auto&) { return s.late_timers > 0; }},
      {FaultKind::kKill, [](World&, Notaries& s, const auto&) { return s.disconnects > 0; }},
      {FaultKind::kPowerCut, says("loses power\n")},
      {FaultKind::kPowerCutInIo, says("in the middle of a disk operation")},
      {FaultKind::kWipe, says("has a new, empty disk")},
      {FaultKind::kPartition, [](World& w, Notaries&, const auto&) { return w.mesh().counters().cut > 0; }},
      {FaultKind::kOneWay, [](World& w, Notaries&, const auto&) { return w.mesh().counters().cut > 0; }},
      {FaultKind::kClog, [](World& w, Notaries&, const auto&) { return w.mesh().counters().held > 0; }},
      {FaultKind::kSlowLink, says("slow-link")},
      {FaultKind::kBreakLinks, [](World&, Notaries& s, const auto&) { return s.disconnects > 0; }},
      {FaultKind::kSlowDisk, says("slow-disk")},
      {FaultKind::kFullDisk, says("simulated disk is full")},
      {FaultKind::kWriteError, says("write /data/book: simulated I/O error")},
      {FaultKind::kSyncError, says("sync /data/book: simulated I/O error")},
      {FaultKind::kReadError, says("damage in /data/book")},
      {FaultKind::kBitRot, says("damage in /data/book")},
      {FaultKind::kMisdirected, says("misdirected")},
  };
  ASSERT_EQ(signs.size(), kFaultKinds - 1);
  for (const Sign& sign : signs) {
    PlanOptions only;
    only.nodes = 3;
    only.duration_ns = 8'000'000'000;
    for (const Sign& other : signs) {
      if (other.kind != sign.kind) only.without.push_back(other.kind);
    }
    bool seen = false;
    for (uint64_t seed = 0; seed < 30 && !seen; ++seed) {
      Notaries scenario;
      World world(draw_plan(seed, only), scenario);
      world.journal().turn_on();
      world.run();
      const std::string play = world.journal().text();
      seen = play.find(name(sign.kind)) != std::string::npos && sign.seen(world, scenario, play);
    }
    EXPECT_TRUE(seen) << name(sign.kind);
  }
}

TEST(World, aMinorityAtMostLosesItsDiskAtATime) {
  PlanOptions wipes;
  wipes.nodes = 5;
  wipes.duration_ns = 20'000'000'000;
  wipes.intensity = 5;
  bool spared = false;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Plan drawn = draw_plan(seed, wipes);
    std::vector<Choice> only;
    for (uint32_t i = 0; i < drawn.items.size(); ++i) {
      if (drawn.items[i].kind == FaultKind::kWipe) only.push_back({i});
    }
    Notaries scenario;
    World world(reduce(drawn, only), scenario);
    world.run();
    EXPECT_LE(world.atlas().damaged_nodes(), 2u);
    spared = spared || world.atlas().refused() > 0;
  }
  EXPECT_TRUE(spared);
}

TEST(World, theJournalReadsLikeAPlayAndIsEmptyUnlessAskedFor) {
  Plan plan = draw_plan(1, options().plan);
  plan.items = {
      {.kind = FaultKind::kPowerCut, .at_ns = 1'000'000'000, .duration_ns = 500'000'000, .node = n(2), .seed = 4}};
  plan.kept = {{0}};
  plan.drawn = 1;
  Notaries silent_scenario;
  World silent(plan, silent_scenario);
  silent.run();
  EXPECT_TRUE(silent.journal().lines().empty());
  Notaries scenario;
  World world(plan, scenario);
  world.journal().turn_on();
  EXPECT_TRUE(world.run().ok);
  const std::string play = world.journal().text();
  EXPECT_NE(play.find("  1.000000 s  n2     loses power\n"), std::string::npos) << play;
  EXPECT_NE(play.find("  1.500000 s  n2     starts, life 2\n"), std::string::npos) << play;
  EXPECT_NE(play.find("  8.000000 s  world  all faults end\n"), std::string::npos) << play;
}

}  // namespace
}  // namespace clew::sim

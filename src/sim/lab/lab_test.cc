#include "sim/lab/lab.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/lab/cap.h"
#include "sim/lab/claims.h"
#include "sim/lab/flp.h"

namespace clew::sim::lab {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Those whose members may stop, and do not lie: what three of them make sense for.
std::vector<const groups::Family*> crash_fault_families() {
  std::vector<const groups::Family*> families;
  for (const groups::Family& family : groups::families()) {
    const ProtocolFacts* const facts = facts_of(family.name);
    if (facts == nullptr || !facts->byzantine) families.push_back(&family);
  }
  return families;
}

// --- FLP ---

TEST(Flp, withoutLuckTheSameStateComesAgainAndAgainThoughNothingIsLost) {
  const FlpOptions options;
  const FlpRun run = run_flp(options);
  EXPECT_FALSE(run.decided);
  EXPECT_EQ(run.ended_at, options.until);
  EXPECT_LE(run.longest_delay, options.accept_delay);
  ASSERT_GT(run.period, 0);
  // Every cycle from the one on in which it was met first, to the end: none is left out.
  EXPECT_GE(static_cast<consensus::Time>(run.cycles + 1) * run.period, options.until - run.cycle_begins - run.period);
  EXPECT_GT(run.cycles, 1'000u);
  EXPECT_GT(run.ballots, 2 * run.cycles);
}

TEST(Flp, theScheduleIsToBlame_withEvenDelaysTheSameProposersDecide) {
  FlpOptions options;
  options.accept_delay = options.delay;
  const FlpRun run = run_flp(options);
  EXPECT_TRUE(run.decided);
  EXPECT_EQ(run.period, 0);
}

TEST(Flp, withRandomPausesEverySeedDecides) {
  FlpOptions options;
  options.random_pauses = true;
  for (options.seed = 1; options.seed <= 200; ++options.seed) {
    const FlpRun run = run_flp(options);
    ASSERT_TRUE(run.decided) << options.seed;
    ASSERT_TRUE(run.value == "blue" || run.value == "red");
  }
}

// --- CAP ---

const Asked& find(const Cap& cap, Phase phase, Choice choice, bool read = true) {
  for (const Asked& asked : cap.asked) {
    if (asked.phase == phase && asked.choice == choice && asked.read == read) return asked;
  }
  static const Asked none;
  ADD_FAILURE() << "was not asked";
  return none;
}

TEST(CapTheorem, eachChoiceLosesWhatTheTheoremSaysAndNeitherWithoutAPartition) {
  for (const groups::Family* const family : crash_fault_families()) {
    SCOPED_TRACE(family->name);
    const auto cap = show_cap(*family, 1);
    ASSERT_TRUE(cap.ok()) << cap.status().to_string();
    for (const Choice choice : {Choice::kConsistency, Choice::kAvailability}) {
      EXPECT_EQ(find(*cap, Phase::kWhole, choice).value, "written before");
      EXPECT_EQ(find(*cap, Phase::kHealed, choice).value, "written during the partition");
    }
    EXPECT_FALSE(find(*cap, Phase::kParted, Choice::kConsistency).answered);
    EXPECT_FALSE(find(*cap, Phase::kParted, Choice::kConsistency, false).answered);
    EXPECT_EQ(find(*cap, Phase::kParted, Choice::kAvailability).value, "written before");
    EXPECT_EQ(cap->consistent.verdict, check::Verdict::kFine);
    EXPECT_EQ(cap->available.verdict, check::Verdict::kViolated);
  }
}

// --- Measurements ---

Measured measured(const groups::Family& family, size_t nodes, const Load& load, uint64_t seed = 1) {
  Setting setting;
  setting.nodes = nodes;
  setting.seed = seed;
  auto result = measure(family, setting, load);
  EXPECT_TRUE(result.ok()) << result.status().to_string();
  return result.ok() ? std::move(*result) : Measured{};
}

TEST(Lab, theSameSeedGivesTheSameFiguresAndAnotherSeedOthers) {
  const groups::Family& raft = *groups::family_named("raft");
  const Measured one = measured(raft, 3, {.outstanding = 4});
  const Measured two = measured(raft, 3, {.outstanding = 4});
  EXPECT_EQ(one.latencies_ns, two.latencies_ns);
  EXPECT_EQ(one.bytes, two.bytes);
  EXPECT_NE(one.latencies_ns, measured(raft, 3, {.outstanding = 4}, 2).latencies_ns);
}

TEST(Lab, aCommandCostsAMessageAndAnAnswerForEachFollowerAtLeastAndASyncOnEachDisk) {
  for (const groups::Family* const family : crash_fault_families()) {
    SCOPED_TRACE(family->name);
    for (const size_t nodes : {3u, 5u}) {
      const Measured light = measured(*family, nodes, {});
      const double least = 2.0 * static_cast<double>(nodes - 1);
      EXPECT_GE(light.a_command(light.messages), 0.95 * least);
      EXPECT_GE(light.a_command(light.syncs), 0.9 * static_cast<double>(nodes));
      EXPECT_GT(light.percentile_ns(0.5), 2 * 100'000) << "there and back";
      EXPECT_LE(light.percentile_ns(0.5), light.percentile_ns(0.99));
    }
  }
}

TEST(Lab, signaturesTakeTheirTimeOfTheProcessorAndOfItsWorkers) {
  const groups::Family& pbft = *groups::family_named("pbft");
  const auto with = [&](const Costs& costs) {
    Setting setting;
    setting.nodes = 4;
    setting.costs = costs;
    auto result = measure(pbft, setting, {});
    EXPECT_TRUE(result.ok()) << result.status().to_string();
    return result.ok() ? std::move(*result) : Measured{};
  };
  Costs free;
  free.sign_ns = free.check_ns = 0;
  const Measured light = with({});
  const Measured light_for_nothing = with(free);
  // A request is signed, and so is what the primary says of it, and what the others say to that, twice; each is checked
  // by those who hear it before they say more.
  const Costs costs;
  EXPECT_GE(light.percentile_ns(0.5) - light_for_nothing.percentile_ns(0.5), 2 * (costs.sign_ns + costs.check_ns));
  EXPECT_LT(light.throughput(), 0.9 * light_for_nothing.throughput());
  EXPECT_GT(light.signatures_made, light.commands);
  EXPECT_GT(light.signatures_checked, light.signatures_made);
  Costs alone;
  alone.workers = 1;
  EXPECT_GT(with(alone).percentile_ns(0.5), light.percentile_ns(0.5)) << "what two workers check one has to";
}

TEST(Lab, whoTrustsOthersSignsNothing) {
  for (const groups::Family* const family : crash_fault_families()) {
    const Measured light = measured(*family, 3, {});
    EXPECT_EQ(light.signatures_made, 0u) << family->name;
    EXPECT_EQ(light.signatures_checked, 0u) << family->name;
  }
}

TEST(Lab, batchesMakeManyCommandsCheaperAndAProcessorIsTheLimit) {
  const groups::Family& raft = *groups::family_named("raft");
  const Measured light = measured(raft, 3, {});
  const Measured heavy = measured(raft, 3, {.outstanding = 256});
  EXPECT_GT(heavy.throughput(), 5 * light.throughput());
  EXPECT_LT(heavy.a_command(heavy.messages), light.a_command(light.messages) / 2);
  EXPECT_LT(heavy.throughput(), 1e9 / static_cast<double>(Costs().command_ns));
}

TEST(Lab, aMinorityThatIsDownStopsNobodyAndADeadLeaderIsReplaced) {
  for (const groups::Family* const family : crash_fault_families()) {
    SCOPED_TRACE(family->name);
    EXPECT_GT(measured(*family, 5, {.fault = Fault::kDown}).commands, 100u);
    const Measured failed_over = measured(*family, 3, {.kill_leader = true});
    EXPECT_GT(failed_over.failover_ns, 0);
    EXPECT_LT(failed_over.failover_ns, 5'000'000'000);
  }
}

TEST(Lab, oneLiarUnderAProtocolThatExpectsNoneTakesBackWhatWasAcknowledged) {
  for (const groups::Family* const family : crash_fault_families()) {
    for (const size_t nodes : {3u, 4u, 5u}) {
      SCOPED_TRACE(std::string(family->name) + " n=" + std::to_string(nodes));
      Setting setting;
      setting.nodes = nodes;
      const auto lie = show_rollback(*family, setting);
      ASSERT_TRUE(lie.ok()) << lie.status().to_string();
      EXPECT_EQ(lie->liars, nodes == 4 ? 2u : 1u);
      EXPECT_TRUE(lie->acknowledged);
      EXPECT_THAT(lie->violation, Not(IsEmpty()));
    }
  }
}

TEST(Lab, asManyLiarsAsAProtocolExpectsTakeNothingBackAndDoNotStopIt) {
  const groups::Family& pbft = *groups::family_named("pbft");
  for (const size_t nodes : {4u, 7u}) {
    SCOPED_TRACE(nodes);
    Setting setting;
    setting.nodes = nodes;
    const auto lie = show_rollback(pbft, setting);
    ASSERT_TRUE(lie.ok()) << lie.status().to_string();
    EXPECT_EQ(lie->liars, (nodes - 1) / 3);
    EXPECT_TRUE(lie->acknowledged);
    EXPECT_THAT(lie->violation, IsEmpty());
    if (nodes > 4) continue;  // many messages
    for (const Habit habit : {Habit::kEquivocates, Habit::kSilent}) {
      const auto endured = show_endurance(pbft, setting, habit);
      ASSERT_TRUE(endured.ok()) << endured.status().to_string();
      EXPECT_THAT(endured->violation, IsEmpty());
      EXPECT_GT(endured->during, endured->before / 4) << habit_name(habit);
      EXPECT_GT(endured->pause_ns, 100'000'000) << "the primary lies: it is deposed first";
    }
  }
}

TEST(Lab, whoExpectsNoLiarIsNotAskedToEndureOne) {
  Setting setting;
  EXPECT_FALSE(show_endurance(*groups::family_named("raft"), setting, Habit::kSilent).ok());
  EXPECT_FALSE(show_endurance(*groups::family_named("pbft"), setting, Habit::kSilent).ok()) << "three survive none";
}

TEST(Lab, cellsThatMakeNoSenseSayWhy) {
  const ProtocolFacts* const pbft = facts_of("pbft");
  ASSERT_NE(pbft, nullptr);
  EXPECT_THAT(senseless(pbft, "pbft", 3), HasSubstr("3f+1"));
  EXPECT_THAT(senseless(pbft, "pbft", 4), IsEmpty());
  EXPECT_THAT(senseless(facts_of("raft"), "raft", 1), IsEmpty());
  EXPECT_EQ(survives(pbft, 7), 2u);
  EXPECT_EQ(survives(facts_of("raft"), 7), 3u);
}

TEST(Lab, everyFamilyHasItsLiterature) {
  for (const groups::Family& family : groups::families()) EXPECT_NE(facts_of(family.name), nullptr) << family.name;
}

// --- Claims: figures that were made up, so that each verdict is seen both ways ---

LabReport made_up(Latency latency, double messages_at_3, double messages_at_5, int64_t p50_at_3, int64_t p50_at_5) {
  LabReport report;
  report.options.protocols = {groups::family_named("raft")};
  report.options.latencies = {latency};
  for (const size_t nodes : {3u, 5u}) {
    Cell cell;
    cell.protocol = report.options.protocols.front();
    cell.nodes = nodes;
    cell.latency = latency;
    Measured measured;
    measured.commands = 1'000;
    measured.messages = static_cast<uint64_t>(1'000 * (nodes == 3 ? messages_at_3 : messages_at_5));
    measured.latencies_ns = {nodes == 3 ? p50_at_3 : p50_at_5};
    cell.points.push_back({1, measured});
    report.cells.push_back(std::move(cell));
  }
  return report;
}
std::optional<bool> verdict(const LabReport& report, const std::string& part) {
  for (const Claim& claim : judge_claims(report)) {
    if (claim.statement.find(part) != std::string::npos) return claim.holds;
  }
  ADD_FAILURE() << "no claim says " << part;
  return std::nullopt;
}

TEST(LabClaims, growthIsReadOffTheFigures) {
  const LabReport linear = made_up(Latency::kLan, 4, 8, 1, 1);
  EXPECT_EQ(verdict(linear, "O(n) messages"), true);
  EXPECT_EQ(verdict(linear, "O(n²)"), false);
  const LabReport square = made_up(Latency::kLan, 4, 16, 1, 1);
  EXPECT_EQ(verdict(square, "O(n) messages"), false);
  EXPECT_EQ(verdict(square, "O(n²)"), true);
}

TEST(LabClaims, roundsAreReadOffTheFiguresOfAWideNetwork) {
  const int64_t delay = one_way_ns(Latency::kWan);
  const LabReport two = made_up(Latency::kWan, 4, 8, 2 * delay, 2 * delay);
  EXPECT_EQ(verdict(two, "2 message delays"), true);
  EXPECT_EQ(verdict(two, "O(log n)"), false);
  EXPECT_EQ(verdict(two, "election round for every"), false);
  const LabReport slower = made_up(Latency::kWan, 4, 8, 4 * delay, 4 * delay * 146 / 100);
  EXPECT_EQ(verdict(slower, "2 message delays"), false);
  EXPECT_EQ(verdict(slower, "O(log n)"), true);
  EXPECT_EQ(verdict(slower, "election round for every"), true);
  EXPECT_EQ(verdict(made_up(Latency::kLan, 4, 8, 1, 1), "O(log n)"), std::nullopt) << "disks hide the delays there";
}

TEST(LabClaims, aGroupOfOneHasNobodyToAskAndDecidesNothing) {
  for (const Latency latency : {Latency::kLan, Latency::kWan}) {
    LabReport report = made_up(latency, 0, 8, 1, 2 * one_way_ns(latency));
    report.cells.front().nodes = 1;
    for (const char* const claim : {"O(n) messages", "O(n²)", "2 message delays", "O(log n)"}) {
      EXPECT_EQ(verdict(report, claim), std::nullopt) << claim;
    }
  }
}

TEST(LabClaims, withoutFiguresNothingIsDecided) {
  LabReport nothing;
  nothing.options.protocols = {groups::family_named("raft")};
  for (const Claim& claim : judge_claims(nothing)) EXPECT_EQ(claim.holds, std::nullopt) << claim.statement;
}

TEST(Lab, aGroupIsSaturatedWhenTwiceTheLoadBringsNoMore) {
  LabOptions options;
  options.protocols = {groups::family_named("raft")};
  options.nodes = {3};
  options.loads = {1};
  options.failovers = 0;
  const LabReport report = run_lab(options);
  ASSERT_EQ(report.cells.size(), 1u);
  const Cell& cell = report.cells.front();
  ASSERT_TRUE(cell.failed.ok()) << cell.failed.to_string();
  EXPECT_TRUE(cell.saturates);
  ASSERT_GE(cell.beyond.size(), 2u);
  const Measured& before = cell.beyond[cell.beyond.size() - 2].measured;
  EXPECT_EQ(cell.beyond.back().outstanding, 2 * cell.beyond[cell.beyond.size() - 2].outstanding);
  EXPECT_LT(cell.beyond.back().measured.throughput(), 1.03 * before.throughput());
  EXPECT_GE(cell.most().measured.throughput(), before.throughput());
  EXPECT_LT(cell.most().measured.throughput(), 1e9 / static_cast<double>(Costs().command_ns));
}

TEST(Lab, aReportHasACellForEachCombinationAndTellsHowFarItIs) {
  LabOptions options;
  options.protocols = {groups::family_named("raft"), groups::family_named("multipaxos")};
  options.nodes = {3};
  options.faults = {Fault::kNone, Fault::kDown};
  options.loads = {1};
  options.saturate = false;
  options.failovers = 1;
  options.byzantine = true;
  size_t last = 0;
  const LabReport report = run_lab(options, [&](size_t done, size_t of) {
    EXPECT_EQ(done, last + 1);
    EXPECT_EQ(of, 6u);
    last = done;
  });
  EXPECT_EQ(last, 6u);
  EXPECT_EQ(report.cells.size(), 4u);
  EXPECT_EQ(report.lies.size(), 2u);
  for (const Cell& cell : report.cells) {
    EXPECT_TRUE(cell.failed.ok()) << cell.failed.to_string();
    EXPECT_EQ(cell.failover_ns.size(), cell.fault == Fault::kDown ? 0u : 1u);
  }
}

}  // namespace
}  // namespace clew::sim::lab

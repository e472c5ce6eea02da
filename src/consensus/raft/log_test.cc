#include "consensus/raft/log.h"

#include <gtest/gtest.h>

namespace clew::consensus::raft {
namespace {

Entry entry(Epoch epoch, std::string text = "x") { return {epoch, EntryKind::kCommand, Payload(std::move(text))}; }

std::vector<Entry> entries(std::initializer_list<Epoch> epochs) {
  std::vector<Entry> all;
  for (Epoch epoch : epochs) all.push_back(entry(epoch));
  return all;
}

// 1..10 of epoch 1, 11..14 lost, 15..20 of epoch 2 behind an entry of epoch 1.
Log log_with_a_hole() {
  Log log;
  EXPECT_TRUE(log.replay(1, 1, 0, entries({1, 1, 1, 1, 1, 1, 1, 1, 1, 1}), false).ok());
  EXPECT_TRUE(log.replay(4, 15, 1, entries({2, 2, 2, 2, 2, 2}), false).ok());
  log.replayed();
  return log;
}

TEST(RaftLog, aHoleEndsWhatIsWholeButNotWhatWasHeld) {
  const Log log = log_with_a_hole();
  EXPECT_EQ(log.last(), 10u);
  EXPECT_EQ(log.true_last(), 20u);
  EXPECT_EQ(log.true_last_epoch(), 2u);
  EXPECT_EQ(log.durable_position(), 10u);
  EXPECT_EQ(log.find(12), nullptr);
  ASSERT_NE(log.find(16), nullptr);
  EXPECT_EQ(log.epoch_at(16), std::nullopt);
}

TEST(RaftLog, aFilledHoleJoinsWhatStandsBehindIt) {
  Log log = log_with_a_hole();
  for (Position p = 11; p <= 13; ++p) EXPECT_EQ(log.take(p, entry(1)), std::nullopt);
  EXPECT_EQ(log.last(), 13u);
  EXPECT_EQ(log.take(14, entry(1)), std::nullopt);
  EXPECT_FALSE(log.has_hole());
  EXPECT_EQ(log.last(), 20u);
  EXPECT_EQ(log.generation(), 0u);
  const auto unwritten = log.unwritten();
  ASSERT_TRUE(unwritten.has_value());
  EXPECT_EQ(unwritten->first, 11u);
  EXPECT_EQ(unwritten->last, 14u);
  EXPECT_FALSE(unwritten->truncates);
  log.wrote(9);
  EXPECT_EQ(log.needed_for(20), 9u);
  EXPECT_EQ(log.needed_for(10), 0u);
  log.durable(9);
  EXPECT_EQ(log.durable_position(), 20u);
}

TEST(RaftLog, anEntryThatContradictsTheSeamCutsOffWhatStandsBehind) {
  Log log = log_with_a_hole();
  for (Position p = 11; p <= 13; ++p) log.take(p, entry(1));
  // Behind the hole stands "2 after 1": an entry of epoch 2 right before it cannot be what was there.
  EXPECT_EQ(log.take(14, entry(2)), std::optional<Position>(14));
  EXPECT_FALSE(log.has_hole());
  EXPECT_EQ(log.last(), 14u);
  EXPECT_EQ(log.generation(), 1u);
}

TEST(RaftLog, aNewerEntryInsideTheHoleCutsOffAtOnce) {
  Log log = log_with_a_hole();
  EXPECT_EQ(log.take(11, entry(3)), std::optional<Position>(11));
  EXPECT_EQ(log.true_last(), 11u);
}

TEST(RaftLog, aConflictBeforeTheHoleCutsOffEverything) {
  Log log = log_with_a_hole();
  EXPECT_EQ(log.take(8, entry(3)), std::optional<Position>(8));
  EXPECT_EQ(log.true_last(), 8u);
  EXPECT_EQ(log.durable_position(), 7u);
}

TEST(RaftLog, aSnapshotInsideTheHoleKeepsWhatStandsBehind) {
  Log log = log_with_a_hole();
  EXPECT_FALSE(log.install(12, 1));
  EXPECT_EQ(log.base(), 12u);
  EXPECT_TRUE(log.has_hole());
  EXPECT_EQ(log.true_last(), 20u);
  EXPECT_FALSE(log.install(14, 1));
  EXPECT_FALSE(log.has_hole());
  EXPECT_EQ(log.last(), 20u);
}

TEST(RaftLog, aSnapshotOnTheIslandKeepsItsRest) {
  Log log = log_with_a_hole();
  EXPECT_FALSE(log.install(17, 2));
  EXPECT_FALSE(log.has_hole());
  EXPECT_EQ(log.first(), 18u);
  EXPECT_EQ(log.last(), 20u);
}

TEST(RaftLog, aSnapshotThatContradictsTheIslandDropsIt) {
  Log on = log_with_a_hole();
  EXPECT_TRUE(on.install(17, 5));
  EXPECT_EQ(on.true_last(), 17u);
  Log seam = log_with_a_hole();
  EXPECT_TRUE(seam.install(14, 2));
  EXPECT_EQ(seam.true_last(), 14u);
}

TEST(RaftLog, aSnapshotBeyondTheEndReplacesEverything) {
  Log log = log_with_a_hole();
  log.install(30, 4);
  EXPECT_EQ(log.first(), 31u);
  EXPECT_EQ(log.true_last(), 30u);
  EXPECT_EQ(log.bytes(), 0u);
}

TEST(RaftLog, aSnapshotKeepsTheSuffixOfAnEqualEntryAndCutsThatOfAnother) {
  Log equal;
  ASSERT_TRUE(equal.replay(1, 1, 0, entries({1, 1, 2, 2}), false).ok());
  EXPECT_FALSE(equal.install(3, 2));
  EXPECT_EQ(equal.last(), 4u);
  Log other;
  ASSERT_TRUE(other.replay(1, 1, 0, entries({1, 1, 2, 2}), false).ok());
  EXPECT_TRUE(other.install(3, 3));
  EXPECT_EQ(other.last(), 3u);
}

TEST(RaftLog, anOldCompletionDoesNotAcknowledgeANewerEntry) {
  Log log;
  for (int i = 0; i < 5; ++i) log.append(entry(1));
  log.wrote(1);
  // Before record 1 is durable another leader writes over 3..5.
  EXPECT_EQ(log.take(3, entry(2)), std::optional<Position>(3));
  log.take(4, entry(2));
  log.wrote(2);
  log.durable(1);
  EXPECT_EQ(log.durable_position(), 2u);
  EXPECT_EQ(log.needed_for(4), 2u);
  log.durable(2);
  EXPECT_EQ(log.durable_position(), 4u);
}

TEST(RaftLog, recordsAboveASnapshotAreNeededWhereverTheyStand) {
  Log log;
  ASSERT_TRUE(log.replay(5, 8, 1, entries({1, 1, 1}), false).ok());  // 8..10
  ASSERT_TRUE(log.replay(9, 1, 0, entries({1, 1, 1, 1, 1, 1, 1}), false).ok());
  EXPECT_EQ(log.last(), 10u);
  EXPECT_EQ(log.lowest_record_above(5), 5u);
  EXPECT_EQ(log.lowest_record_above(10), 0u);
}

TEST(RaftLog, theEndThatWasReachedIsRemembered) {
  Log log;
  ASSERT_TRUE(log.replay(1, 1, 0, entries({1, 1}), false).ok());
  log.reached(9, 3);
  EXPECT_TRUE(log.has_hole());
  EXPECT_EQ(log.true_last(), 9u);
  EXPECT_EQ(log.true_last_epoch(), 3u);
  // What follows the lost end takes its place.
  ASSERT_TRUE(log.replay(4, 10, 3, entries({3}), false).ok());
  EXPECT_EQ(log.true_last(), 10u);
}

TEST(RaftLog, recordsThatContradictEachOtherAreRefused) {
  Log log;
  ASSERT_TRUE(log.replay(1, 1, 0, entries({1, 1}), false).ok());
  EXPECT_EQ(log.replay(2, 2, 1, entries({2}), false).code(), Code::kDataLoss);
  Log seam;
  ASSERT_TRUE(seam.replay(1, 1, 0, entries({1, 1}), false).ok());
  EXPECT_EQ(seam.replay(2, 3, 2, entries({2}), false).code(), Code::kDataLoss);
}

TEST(RaftLog, withoutTheSnapshotTheWholePrefixIsAHole) {
  Log log;
  ASSERT_TRUE(log.replay(1, 1, 0, entries({1, 1, 2}), false).ok());
  log.install(2, 1);
  log.forget_base();
  EXPECT_EQ(log.last(), 0u);
  EXPECT_EQ(log.true_last(), 3u);
  log.take(1, entry(1));
  log.take(2, entry(1));
  EXPECT_FALSE(log.has_hole());
  EXPECT_EQ(log.last(), 3u);
}

TEST(RaftLog, backsOffATermAtATime) {
  Log log;
  ASSERT_TRUE(log.replay(1, 1, 0, entries({1, 1, 3, 3, 3, 5}), false).ok());
  EXPECT_EQ(log.back_off(6, 4), 5u);
  EXPECT_EQ(log.back_off(6, 2), 2u);
  EXPECT_EQ(log.back_off(4, 5), 4u);
  EXPECT_EQ(log.back_off(6, 0), 0u);
  EXPECT_EQ(log.back_off(100, 9), 6u);
}

TEST(RaftLog, bytesAreThoseOfTheEntriesThatAreHere) {
  Log log = log_with_a_hole();
  const uint64_t one = cost(entry(1));
  EXPECT_EQ(log.bytes(), 16 * one);
  log.take(11, entry(1));
  EXPECT_EQ(log.bytes(), 17 * one);
  log.compact(5);
  EXPECT_EQ(log.bytes(), 12 * one);
  log.take(11, entry(7));
  EXPECT_EQ(log.bytes(), 6 * one);
}

}  // namespace
}  // namespace clew::consensus::raft

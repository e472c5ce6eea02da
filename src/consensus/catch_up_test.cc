#include "consensus/catch_up.h"

#include <gtest/gtest.h>

#include "consensus/multipaxos/cores_test.h"
#include "consensus/raft/cores_test.h"
#include "consensus/zab/cores_test.h"

namespace clew::consensus {
namespace {

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};

// --- Where a log begins ---

Position begins(Position first, std::vector<Position> offered, Retention bounds) {
  return log_begins_at(first, 100, offered, bounds, [](Position) { return std::optional<uint64_t>(10); });
}

TEST(LogBeginsAt, theTailStays) {
  EXPECT_EQ(begins(50, {}, {0, 4'000}), 101u);
  EXPECT_EQ(begins(50, {}, {9, 4'000}), 101u);
  EXPECT_EQ(begins(50, {}, {35, 4'000}), 98u);
  EXPECT_EQ(begins(50, {}, {9'999, 4'000}), 50u);
}

TEST(LogBeginsAt, whatStandsBehindTheEarliestSnapshotThatIsFetchedStays) {
  EXPECT_EQ(begins(50, {80, 70, 100}, {0, 4'000}), 71u);
  EXPECT_EQ(begins(50, {98}, {500, 4'000}), 51u);
  EXPECT_EQ(begins(50, {49}, {0, 4'000}), 50u);
}

TEST(LogBeginsAt, aSnapshotTooFarBackIsNotWaitedFor) {
  EXPECT_EQ(begins(50, {80}, {0, 4 * 200}), 81u);
  EXPECT_EQ(begins(50, {80}, {0, 4 * 199}), 101u);
  EXPECT_EQ(begins(50, {80, 95}, {0, 4 * 199}), 96u);
}

TEST(LogBeginsAt, nothingStaysBeforeAnEntryThatIsNotThere) {
  const auto cost_at = [](Position p) { return p == 90 ? std::nullopt : std::optional<uint64_t>(10); };
  const Position offered[] = {80};
  EXPECT_EQ(log_begins_at(50, 100, offered, {4'000, 4'000}, cost_at), 91u);
}

// --- Offers ---

TEST(Replaces, onlyANewerSnapshotOfAnotherSource) {
  SnapshotMeta meta;
  meta.position = 10;
  const FetchSnapshot under_way{kOne, meta};
  EXPECT_FALSE(replaces(under_way, kOne, meta));
  EXPECT_FALSE(replaces(under_way, kTwo, meta));
  meta.position = 11;
  EXPECT_FALSE(replaces(under_way, kOne, meta));
  EXPECT_TRUE(replaces(under_way, kTwo, meta));
}

TEST(NoteOffer, theFirstOneCountsAsLongAsTheLogGoesOnFromIt) {
  Position offered = 0;
  note_offer(offered, 10, 10);
  EXPECT_EQ(offered, 10u);
  note_offer(offered, 20, 10);
  EXPECT_EQ(offered, 10u);
  note_offer(offered, 30, 25);
  EXPECT_EQ(offered, 30u);
}

// --- A group in which a member was away while the others compacted; one play for each protocol ---

template <typename Play>
class CatchUp : public testing::Test {
 protected:
  void begin(uint64_t max_log_bytes) {
    const Membership founding = Membership::of_voters({kOne, kTwo, NodeId{3}});
    for (const Member& member : founding.members()) {
      typename Play::Options options;
      options.self = member.id;
      options.founding = founding;
      options.keep_tail_bytes = 0;
      options.max_log_bytes = max_log_bytes;
      cores_.add(options);
    }
    cores_.settle();
    cores_.run(kSecond);
    leader_ = cores_.leader();
    ASSERT_NE(leader_, kNobody);
    away_ = leader_ == kOne ? kTwo : kOne;
    cores_.crash(away_);
    write_and_compact();
    cores_.hold_fetches(true);
    cores_.start(away_);
    cores_.run(kSecond);
    ASSERT_EQ(cores_.leader(), leader_);
    ASSERT_TRUE(cores_.node(away_).fetch.has_value());
    fetched_ = cores_.node(away_).fetch->meta.position;
    ASSERT_EQ(fetched_, leader_report().snapshot.position);
  }
  Report leader_report() { return cores_.core(leader_).report(); }
  // Five entries and a snapshot of them, and some heartbeats, with which it is offered.
  void write_and_compact() {
    for (int i = 0; i < 5; ++i) cores_.propose(leader_, "x" + std::to_string(++written_));
    cores_.run(200 * kMillisecond);
    cores_.save_snapshot(leader_);
    cores_.run(200 * kMillisecond);
  }
  void expect_all_equal() {
    for (auto& [id, node] : cores_.nodes()) EXPECT_EQ(node.state, cores_.node(leader_).state) << number(id);
    EXPECT_EQ(cores_.failure(), std::nullopt);
  }

  Cores<Play> cores_;
  NodeId leader_ = kNobody;
  NodeId away_ = kNobody;
  Position fetched_ = 0;
  int written_ = 0;
};

using Plays = testing::Types<raft::RaftPlay, multipaxos::MultiPaxosPlay, zab::ZabPlay>;
struct PlayName {
  template <typename Play>
  static std::string GetName(int) {
    return std::string(Play::kName);
  }
};
TYPED_TEST_SUITE(CatchUp, Plays, PlayName);

TYPED_TEST(CatchUp, aSnapshotMayTakeLongerThanTheNextOnesTakeToBeMade) {
  ASSERT_NO_FATAL_FAILURE(this->begin(512 << 20));
  for (int i = 0; i < 3; ++i) this->write_and_compact();
  EXPECT_GT(this->leader_report().snapshot.position, this->fetched_);
  auto& member = this->cores_.node(this->away_);
  ASSERT_TRUE(member.fetch.has_value());
  EXPECT_EQ(member.fetch->meta.position, this->fetched_);  // as it began
  EXPECT_TRUE(member.abandoned.empty());
  EXPECT_EQ(this->leader_report().first, this->fetched_ + 1);

  this->cores_.finish_fetch(this->away_, true);
  this->cores_.run(kSecond);
  EXPECT_FALSE(member.fetch.has_value());  // no other snapshot was needed
  this->expect_all_equal();

  this->write_and_compact();
  EXPECT_EQ(this->leader_report().first, this->leader_report().snapshot.position + 1);  // nobody waits for it any more
}

TYPED_TEST(CatchUp, whatIsKeptForATransferIsBounded) {
  ASSERT_NO_FATAL_FAILURE(this->begin(4 * 700));  // a quarter is room for ten entries
  this->write_and_compact();
  EXPECT_EQ(this->leader_report().first, this->fetched_ + 1);
  this->write_and_compact();
  this->write_and_compact();
  EXPECT_GT(this->leader_report().first, this->fetched_ + 1);
  // What it has then leads nowhere, and it fetches what the log goes on from.
  this->cores_.finish_fetch(this->away_, true);
  this->cores_.run(kSecond);
  auto& member = this->cores_.node(this->away_);
  ASSERT_TRUE(member.fetch.has_value());
  EXPECT_EQ(member.fetch->meta.position, this->leader_report().snapshot.position);
  this->cores_.finish_fetch(this->away_, true);
  this->cores_.run(kSecond);
  this->expect_all_equal();
}

TYPED_TEST(CatchUp, nothingIsKeptForAMemberThatIsSilent) {
  ASSERT_NO_FATAL_FAILURE(this->begin(512 << 20));
  this->cores_.crash(this->away_);
  this->cores_.run(10 * kSecond);
  this->write_and_compact();
  EXPECT_EQ(this->leader_report().first, this->leader_report().snapshot.position + 1);
  this->cores_.start(this->away_);
  this->cores_.hold_fetches(false);
  this->cores_.run(kSecond);
  this->expect_all_equal();
}

}  // namespace
}  // namespace clew::consensus

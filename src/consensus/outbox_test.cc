#include "consensus/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clew::consensus {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

constexpr NodeId kTwo{2};

struct Boxed : testing::Test {
  Boxed() { box.start(11); }
  Effects collect() {
    Effects effects;
    box.collect(effects);
    return effects;
  }
  std::vector<LogSeq> sent_after() {
    std::vector<LogSeq> all;
    for (const Send& send : collect().sends) all.push_back(send.after);
    return all;
  }
  Outbox box;
};

TEST_F(Boxed, recordsAreNumberedWhereTheLogGoesOn) {
  EXPECT_EQ(box.record("a"), 11u);
  EXPECT_EQ(box.record("b"), 12u);
  EXPECT_EQ(box.last_record(), 12u);
  EXPECT_THAT(collect().records, ElementsAre("a", "b"));
  EXPECT_THAT(collect().records, SizeIs(0));
}

TEST_F(Boxed, aMessageWaitsForWhatItRestsOn) {
  box.send(kTwo, "of nothing", After::kNothing);
  box.state_in(box.record("state"));
  box.send(kTwo, "of the state", After::kState);
  box.send(kTwo, "of all of this turn", After::kEverything);
  box.send(kTwo, "of a record, which is newer", After::kState, box.record("entries"));
  box.record("the last");
  EXPECT_THAT(sent_after(), ElementsAre(0u, 11u, 13u, 12u));
}

TEST_F(Boxed, whatIsDurableIsNotWaitedFor) {
  box.state_in(box.record("state"));
  EXPECT_FALSE(box.state_durable());
  collect();
  EXPECT_TRUE(box.durable(11));
  EXPECT_FALSE(box.durable(11));
  EXPECT_FALSE(box.durable(10));
  EXPECT_TRUE(box.state_durable());
  box.send(kTwo, "", After::kState);
  box.send(kTwo, "", After::kEverything);
  EXPECT_THAT(sent_after(), ElementsAre(0u, 0u));
}

TEST_F(Boxed, whatIsReleasedOnlyGrows) {
  box.release_below(5);
  EXPECT_EQ(collect().release_below, 5u);
  box.release_below(4);
  EXPECT_EQ(collect().release_below, 0u);
  EXPECT_EQ(box.released_below(), 5u);
}

TEST_F(Boxed, aFetchReplacesTheOneBeforeAndItsEnd) {
  box.cancel_fetch();
  box.fetch({.from = kTwo, .meta = {}});
  Effects effects = collect();
  EXPECT_FALSE(effects.cancel_fetch);
  ASSERT_TRUE(effects.fetch);
  EXPECT_EQ(effects.fetch->from, kTwo);
  box.fetch({.from = kTwo, .meta = {}});
  box.cancel_fetch();
  effects = collect();
  EXPECT_TRUE(effects.cancel_fetch);
  EXPECT_FALSE(effects.fetch);
}

TEST_F(Boxed, aStateIsInstalledAfterAllThatWasRecordedBefore) {
  box.record("base");
  box.install({});
  box.record("later");
  EXPECT_EQ(collect().install->after, 11u);
}

TEST_F(Boxed, whoHaltsSaysWhyAndNothingElseForGood) {
  box.record("a");
  box.send(kTwo, "b", After::kNothing);
  box.fact({.kind = FactKind::kHalted});
  box.halt("the first reason");
  box.halt("another one");
  for (int turn = 0; turn < 2; ++turn) {
    Effects effects;
    box.collect(effects);
    EXPECT_EQ(effects.halt, "the first reason");
    EXPECT_THAT(effects.facts, SizeIs(turn == 0 ? 1 : 0));
    EXPECT_THAT(effects.records, SizeIs(0));
    EXPECT_THAT(effects.sends, SizeIs(0));
  }
}

}  // namespace
}  // namespace clew::consensus

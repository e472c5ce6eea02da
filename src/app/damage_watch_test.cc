#include "app/damage_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace clew::app {
namespace {

using consensus::FactKind;
using consensus::kSecond;
using consensus::Standing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DamageWatchTest : public testing::Test {
 protected:
  struct Counting final : consensus::Observer {
    int facts = 0;
    void on_fact(const consensus::Fact&) override { ++facts; }
  };
  void fact(FactKind kind, consensus::Position position, uint64_t value = 0) {
    watch_.on_fact({.kind = kind, .at = now_, .position = position, .value = value});
  }
  void look(Standing standing) {
    consensus::Report report;
    report.standing = standing;
    watch_.look(report, now_);
  }

  consensus::Time now_ = 5 * kSecond;
  Counting next_;
  std::vector<std::string> warnings_, infos_;
  DamageWatch watch_{next_, false, [this](DamageWatch::Level level, const std::string& line) {
                       (level == DamageWatch::Level::kWarning ? warnings_ : infos_).push_back(line);
                     }};
};

TEST_F(DamageWatchTest, aHoleIsAWarningThatSaysWhatIsMissing) {
  fact(FactKind::kHoleFound, 31, 30);
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("missing=\"positions 31 to 60\"")));
  fact(FactKind::kHoleFilled, 60);
  EXPECT_THAT(infos_, ElementsAre(HasSubstr("whole again")));
  EXPECT_EQ(next_.facts, 2);
}

TEST_F(DamageWatchTest, whatLastsIsToldOnceMoreEachMinuteWithWhatToDo) {
  fact(FactKind::kHoleFound, 31, 30);
  now_ += 59 * kSecond;
  look(Standing::kRecovering);
  EXPECT_THAT(warnings_, SizeIs(1));
  now_ += kSecond;
  look(Standing::kRecovering);
  look(Standing::kRecovering);
  ASSERT_THAT(warnings_, SizeIs(2));
  EXPECT_THAT(warnings_[1], HasSubstr("seconds=60"));
  EXPECT_THAT(warnings_[1], HasSubstr("replace this member"));
}

TEST_F(DamageWatchTest, aSnapshotThatFillsTheHoleEndsItToo) {
  fact(FactKind::kHoleFound, 31, 30);
  look(Standing::kFollower);
  look(Standing::kFollower);
  EXPECT_THAT(infos_, ElementsAre(HasSubstr("whole again")));
}

TEST_F(DamageWatchTest, withoutDamageItIsSilent) {
  look(Standing::kRecovering);
  look(Standing::kLeader);
  fact(FactKind::kHoleFilled, 60);
  EXPECT_THAT(warnings_, IsEmpty());
  EXPECT_THAT(infos_, IsEmpty());
}

TEST_F(DamageWatchTest, aMemberThatSignsHasVotesToLoseToo) {
  DamageWatch watch(next_, true, [this](DamageWatch::Level, const std::string& line) { warnings_.push_back(line); });
  watch.on_fact({.kind = FactKind::kHoleFound, .at = now_, .position = 31, .value = 12});
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("what followed position 30, and its votes on 12 sequence numbers")));
}

}  // namespace
}  // namespace clew::app

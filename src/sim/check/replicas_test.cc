// Agreement, exactly once, durability.
#include <gtest/gtest.h>

#include "sim/check/agreement.h"
#include "sim/check/check.h"
#include "sim/check/durability.h"
#include "sim/check/play_test.h"

namespace clew::sim::check {
namespace {

Applied applied(uint64_t node, uint64_t position, uint64_t session, uint64_t sequence) {
  return {NodeId{node}, position, SessionId{session}, sequence};
}

TEST(Agreement, digestsAtEqualPositionsAreEqual) {
  History history;
  EXPECT_EQ(check_agreement(history).verdict, Verdict::kNothing);
  history.digests = {{NodeId{1}, 5, "aa"}, {NodeId{2}, 5, "aa"}, {NodeId{2}, 6, "bb"}, {NodeId{1}, 5, "aa"}};
  EXPECT_EQ(check_agreement(history).verdict, Verdict::kFine);
  history.digests.push_back({NodeId{3}, 6, "cc"});
  const CheckResult result = check_agreement(history);
  ASSERT_EQ(result.verdict, Verdict::kViolated);
  EXPECT_EQ(result.violations[0].summary, "states differ at position 6: node 2 has \"bb\", node 3 has \"cc\"");
}

TEST(Agreement, commandsAtEqualPositionsAreEqual) {
  History history;
  history.applied = {applied(1, 1, 7, 1), applied(2, 1, 7, 1), applied(1, 1, 7, 1)};
  EXPECT_EQ(check_agreement(history).verdict, Verdict::kFine);
  history.applied.push_back(applied(3, 1, 8, 1));
  EXPECT_EQ(check_agreement(history).verdict, Verdict::kViolated);
}

TEST(ExactlyOnce, aCommandHasOnePosition) {
  History history = Play(Workload::kRegister).read("1 write x a s7/1\n1 ok @1\n1 write x b s7/2\n1 unknown");
  history.applied = {applied(1, 1, 7, 1), applied(2, 1, 7, 1)};
  EXPECT_EQ(check_exactly_once(history).verdict, Verdict::kFine);
  history.applied.push_back(applied(1, 3, 7, 2));
  EXPECT_EQ(check_exactly_once(history).verdict, Verdict::kFine) << "the unknown one happened";
  history.applied.push_back(applied(2, 4, 7, 1));
  const CheckResult twice = check_exactly_once(history);
  ASSERT_EQ(twice.violations.size(), 1u);
  EXPECT_EQ(twice.violations[0].summary,
            "session 7 sequence 1 was executed twice: at position 1 (node 1) and at position 4 (node 2)");
}

TEST(ExactlyOnce, acknowledgedWasExecutedAndFailedWasNot) {
  const std::vector<Applied> other = {applied(1, 1, 9, 9)};
  const auto verdict = [](const char* play, std::vector<Applied> reports) {
    History history = Play(Workload::kRegister).read(play);
    history.applied = std::move(reports);
    return check_exactly_once(history).verdict;
  };
  EXPECT_EQ(verdict("1 write x a s7/1\n1 ok", other), Verdict::kViolated);
  EXPECT_EQ(verdict("1 write x a s7/1\n1 unknown", other), Verdict::kFine);
  EXPECT_EQ(verdict("1 write x a s7/1\n1 fail", {applied(1, 1, 7, 1)}), Verdict::kViolated);
  EXPECT_EQ(verdict("1 write x a s7/1\n1 fail", other), Verdict::kFine);
  EXPECT_EQ(verdict("1 write x a s7/1\n1 ok @2", {applied(1, 1, 7, 1)}), Verdict::kViolated) << "another position";
  EXPECT_EQ(verdict("1 read x s7/1\n1 ok a", other), Verdict::kFine) << "reads are not commands";
  EXPECT_EQ(verdict("1 write x a s7/1\n1 ok", {}), Verdict::kNothing);
}

TEST(ExactlyOnce, elementsOfLists) {
  const auto verdict = [](const char* play) { return check_exactly_once(Play(Workload::kList).read(play)).verdict; };
  EXPECT_EQ(verdict("1 append l a\n1 ok\n2 read l\n2 ok [a]"), Verdict::kFine);
  EXPECT_EQ(verdict("1 append l a\n1 ok\n2 read l\n2 ok [a a]"), Verdict::kViolated);
  EXPECT_EQ(verdict("1 append l a\n1 unknown\n2 read l\n2 ok [a]"), Verdict::kFine);
  EXPECT_EQ(verdict("1 append l a\n1 unknown\n2 read l final\n2 ok []"), Verdict::kFine);
  EXPECT_EQ(verdict("1 append l a\n1 unknown\n2 read l eventual\n2 ok [a a]"), Verdict::kViolated);
  EXPECT_EQ(verdict("1 append l a\n1 unknown\n3 append l a\n3 ok\n2 read l\n2 ok [a a]"), Verdict::kFine);
  EXPECT_EQ(verdict("1 append l a\n1 fail\n2 read l\n2 ok [a]"), Verdict::kViolated);
  EXPECT_EQ(verdict("2 read l\n2 ok [a]"), Verdict::kViolated);
  EXPECT_EQ(verdict("1 append l a\n1 ok\n2 read l final\n2 ok []"), Verdict::kViolated);
  EXPECT_EQ(verdict("1 append l a\n1 ok\n2 read l\n2 ok []"), Verdict::kFine) << "not final: perhaps only stale";
}

struct Judged {
  const char* circumstance;
  Verdict verdict;
  Workload workload;
  const char* play;
};

TEST(Durability, finalReadsShowWhatWasAcknowledged) {
  const auto reg = Workload::kRegister;
  const auto set = Workload::kSet;
  const Judged cases[] = {
      {"no final read", Verdict::kNothing, reg, "1 write x a\n1 ok\n2 read x\n2 ok -"},
      {"a key without one", Verdict::kUnknown, reg, "1 write x a\n1 ok\n1 write y a\n1 ok\n2 read x final\n2 ok a"},
      {"the last write is there", Verdict::kFine, reg, "1 write x a\n1 ok\n1 write x b\n1 ok\n2 read x final\n2 ok b"},
      {"the last write is lost", Verdict::kViolated, reg,
       "1 write x a\n1 ok\n1 write x b\n1 ok\n2 read x final\n2 ok a"},
      {"all writes are lost", Verdict::kViolated, reg, "1 write x a\n1 ok\n2 read x final\n2 ok -"},
      {"one of two concurrent writes", Verdict::kFine, reg,
       "1 write x a\n2 write x b\n1 ok\n2 ok\n3 read x final\n3 ok a"},
      {"an unknown write won late", Verdict::kFine, reg,
       "1 write x a\n1 unknown\n2 write x b\n2 ok\n3 read x final\n3 ok a"},
      {"an unknown write did not", Verdict::kFine, reg, "1 write x a\n1 unknown\n3 read x final\n3 ok -"},
      {"a failed write shows", Verdict::kViolated, reg, "1 write x a\n1 fail\n3 read x final\n3 ok a"},
      {"a cas that did not apply wrote nothing", Verdict::kViolated, reg,
       "1 write x a\n1 ok\n2 cas x z b\n2 no\n3 read x final\n3 ok b"},
      {"deleted", Verdict::kFine, reg, "1 write x a\n1 ok\n1 delete x\n1 ok\n3 read x final\n3 ok -"},
      {"a deletion is lost", Verdict::kViolated, reg, "1 write x a\n1 ok\n1 delete x\n1 ok\n3 read x final\n3 ok a"},
      {"a write after the final read", Verdict::kFine, reg, "3 read x final\n3 ok -\n1 write x a\n1 ok"},
      {"eventual writes may be ordered otherwise", Verdict::kFine, reg,
       "1 write x a eventual\n1 ok\n1 write x b eventual\n1 ok\n3 read x final\n3 ok a"},
      {"all eventual writes are lost", Verdict::kViolated, reg, "1 write x a eventual\n1 ok\n3 read x final\n3 ok -"},
      {"a lost element", Verdict::kViolated, Workload::kList, "1 append l a\n1 ok\n3 read l final\n3 ok []"},
      {"all elements", Verdict::kFine, Workload::kList,
       "1 append l a\n1 ok\n2 append l b\n2 unknown\n3 read l final\n3 ok [a]"},
      {"a lost insertion", Verdict::kViolated, set, "1 insert s a\n1 ok\n3 read s final\n3 ok []"},
      {"erased since", Verdict::kFine, set, "1 insert s a\n1 ok\n2 erase s a\n2 unknown\n3 read s final\n3 ok []"},
      {"erased before", Verdict::kViolated, set,
       "1 insert s a\n1 ok\n1 erase s a\n1 ok\n1 insert s a\n1 ok\n3 read s final\n3 ok []"},
      {"a lost erasure", Verdict::kViolated, set, "1 insert s a\n1 ok\n1 erase s a\n1 ok\n3 read s final\n3 ok [a]"},
      {"additions, unknown ones perhaps", Verdict::kFine, Workload::kCounter,
       "1 add c 5\n1 ok\n2 add c 2\n2 unknown\n2 add c -1\n2 unknown\n3 read c final\n3 ok 4"},
      {"an addition twice", Verdict::kViolated, Workload::kCounter, "1 add c 5\n1 ok\n3 read c final\n3 ok 10"},
      {"an addition lost", Verdict::kViolated, Workload::kCounter,
       "1 add c 5\n1 ok\n2 add c 2\n2 unknown\n3 read c final\n3 ok 2"},
  };
  for (const Judged& c : cases) {
    const CheckResult result = check_durability(Play(c.workload).read(c.play));
    EXPECT_EQ(result.verdict, c.verdict) << c.circumstance << ": " << result.reason
                                         << (result.violations.empty() ? "" : result.violations[0].summary);
  }
}

TEST(Durability, banksKeepTheirMoney) {
  const auto verdict = [](const char* play) {
    Play bank(Workload::kBank);
    bank.starts_with("a", {.number = 10}).starts_with("b", {.number = 0});
    return check_durability(bank.read(play)).verdict;
  };
  EXPECT_EQ(verdict("1 transfer a b 4\n1 ok\n2 read final\n2 ok {a=6 b=4}"), Verdict::kFine);
  EXPECT_EQ(verdict("1 transfer a b 4\n1 ok\n2 read final\n2 ok {a=10 b=0}"), Verdict::kViolated);
  EXPECT_EQ(verdict("1 transfer a b 4\n1 unknown\n2 read final\n2 ok {a=10 b=0}"), Verdict::kFine);
  EXPECT_EQ(verdict("1 transfer a b 4\n1 unknown\n2 read final\n2 ok {a=6 b=0}"), Verdict::kViolated) << "half";
}

TEST(Checkers, areFoundByNameAndJudgedTogether) {
  EXPECT_EQ(find_checker("no-such"), nullptr);
  for (const Checker& checker : checkers()) {
    ASSERT_EQ(find_checker(checker.name), &checker);
    EXPECT_EQ(checker.run(History(), {}).checker, checker.name);
    EXPECT_EQ(checker.run(History(), {}).verdict, Verdict::kNothing) << checker.name;
  }
  const auto all = [](const char* play) { return overall(check_all(Play(Workload::kRegister).read(play))); };
  EXPECT_EQ(all(""), Verdict::kNothing);
  EXPECT_EQ(all("1 write x a\n1 ok\n2 read x\n2 ok a"), Verdict::kFine);
  EXPECT_EQ(all("1 write x a\n1 ok\n1 write y a\n1 ok\n2 read x final\n2 ok a"), Verdict::kUnknown);
  EXPECT_EQ(all("1 write x a\n1 ok\n1 write y a\n1 ok\n2 read x final\n2 ok -"), Verdict::kViolated);
}

TEST(Checkers, violationsBeyondTheLimitAreCounted) {
  History history;
  for (uint64_t node = 1; node <= 30; ++node) history.digests.push_back({NodeId{node}, 1, std::to_string(node)});
  const CheckResult result = check_agreement(history, {.max_violations = 3});
  EXPECT_EQ(result.violations.size(), 3u);
  EXPECT_EQ(result.violations_found, 29u);
}

}  // namespace
}  // namespace clew::sim::check

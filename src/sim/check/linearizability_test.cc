#include "sim/check/linearizability.h"

#include <gtest/gtest.h>

#include <string>

#include "sim/check/play_test.h"

namespace clew::sim::check {
namespace {

std::string transcript(const CheckResult& result) {
  std::string out = std::string(name(result.verdict)) + ' ' + result.reason;
  for (const Violation& violation : result.violations) out += '\n' + violation.summary + '\n' + violation.play;
  return out;
}

const Case kGood[] = {
    {"nothing but a read of what was never written", Workload::kRegister, "1 read x\n1 ok -"},
    {"reads during a write see the old or the new value", Workload::kRegister,
     "1 write x a\n2 read x\n3 read x\n2 ok -\n3 ok a\n1 ok"},
    {"a write that returned late took effect early", Workload::kRegister,
     "1 write x a\n2 read x\n2 ok a\n3 write x b\n3 ok\n4 read x\n4 ok b\n1 ok"},
    {"an unknown write takes effect late", Workload::kRegister,
     "1 write x a\n1 unknown\n2 write x b\n2 ok\n3 read x\n3 ok b\n3 read x\n3 ok a"},
    {"an unknown write takes effect never", Workload::kRegister,
     "1 write x a\n1 unknown\n2 write x b\n2 ok\n3 read x\n3 ok b\n3 read x\n3 ok b"},
    {"a write that never returned is seen", Workload::kRegister, "1 write x a\n2 read x\n2 ok a"},
    {"a failed write is not seen", Workload::kRegister, "1 write x a\n1 fail\n2 read x\n2 ok -"},
    {"a cas that succeeds, one that does not", Workload::kRegister,
     "1 cas x - a\n1 ok\n2 cas x - b\n2 no\n3 read x\n3 ok a"},
    {"an unknown cas explains a later cas", Workload::kRegister,
     "1 cas x - a\n1 unknown\n2 cas x a b\n2 ok\n3 read x\n3 ok b"},
    {"an unknown write explains why a cas found something else", Workload::kRegister,
     "1 write x a\n1 unknown\n2 cas x - b\n2 no"},
    {"an unknown write enables an unknown cas that is seen", Workload::kRegister,
     "1 write x a\n1 unknown\n2 cas x a b\n2 unknown\n3 read x\n3 ok b"},
    {"delete makes it absent", Workload::kRegister, "1 write x a\n1 ok\n1 delete x\n1 ok\n1 read x\n1 ok -"},
    {"the same value twice by two writers", Workload::kRegister,
     "1 write x a\n2 write x a\n1 ok\n3 write x b\n3 ok\n4 read x\n4 ok a\n2 ok"},
    {"keys do not order each other", Workload::kRegister,
     "1 write x a\n2 write y a\n3 read x\n3 ok a\n3 read y\n3 ok -\n4 read y\n4 ok a\n4 read x\n4 ok a\n1 ok\n2 ok"},
    {"a stale read that claims no more than sequential", Workload::kRegister,
     "1 write x a\n1 ok\n2 read x sequential\n2 ok -\n2 read x\n2 ok a"},
    {"a write that claims eventual takes effect after its return", Workload::kRegister,
     "1 write x a eventual\n1 ok\n2 read x\n2 ok -\n2 read x\n2 ok a"},
    {"a weak read proves nothing about the strong ones", Workload::kRegister,
     "1 write x a\n1 unknown\n2 read x eventual\n2 ok a\n3 read x\n3 ok -\n3 read x\n3 ok a"},
    {"concurrent appends in either order", Workload::kList,
     "1 append l a\n2 append l b\n1 ok\n2 ok\n3 read l\n3 ok [b a]"},
    {"an unknown append is seen", Workload::kList, "1 append l a\n1 unknown\n2 append l b\n2 ok\n3 read l\n3 ok [b a]"},
    {"an unknown append is never seen", Workload::kList, "1 append l a\n1 unknown\n2 read l\n2 ok []"},
    {"additions commute", Workload::kCounter, "1 add c 2\n2 add c 3\n3 read c\n3 ok 3\n1 ok\n2 ok\n3 read c\n3 ok 5"},
    {"one of three equal unknown additions happened", Workload::kCounter,
     "1 add c 1\n2 add c 1\n3 add c 1\n4 read c\n4 ok 0\n4 read c\n4 ok 1\n4 read c\n4 ok 1"},
    {"sets say who changed them", Workload::kSet,
     "1 insert s a\n1 ok\n2 insert s a\n2 no\n1 erase s a\n1 ok\n2 erase s a\n2 no\n3 read s\n3 ok []"},
    {"sets are read in any order", Workload::kSet, "1 insert s a\n1 ok\n1 insert s b\n1 ok\n2 read s\n2 ok [b a]"},
};

TEST(Linearizability, acceptsWhatHasAnOrder) {
  for (const Case& c : kGood) {
    const CheckResult result = check_linearizability(Play(c.workload).read(c.play));
    EXPECT_EQ(result.verdict, Verdict::kFine) << c.circumstance << '\n' << transcript(result);
  }
}

const Case kBad[] = {
    {"a stale read", Workload::kRegister, "1 write x a\n1 ok\n1 write x b\n1 ok\n2 read x\n2 ok a"},
    {"a read that does not see the write before it", Workload::kRegister, "1 write x a\n1 ok\n2 read x\n2 ok -"},
    {"two reads during one write go back", Workload::kRegister,
     "1 write x a\n2 read x\n2 ok a\n3 read x\n3 ok -\n1 ok"},
    {"a value that nobody wrote", Workload::kRegister, "1 write x a\n1 ok\n2 read x\n2 ok z"},
    {"a value before its write was invoked", Workload::kRegister, "2 read x\n2 ok a\n1 write x a\n1 ok"},
    {"a failed write is seen", Workload::kRegister, "1 write x a\n1 fail\n2 read x\n2 ok a"},
    {"an unknown write takes effect twice", Workload::kRegister,
     "1 write x a\n1 unknown\n2 write x b\n2 ok\n3 read x\n3 ok a\n4 write x c\n4 ok\n3 read x\n3 ok c\n3 read x\n3 ok "
     "a"},
    {"two cas from the same value both succeed", Workload::kRegister,
     "1 write x a\n1 ok\n2 cas x a b\n3 cas x a c\n2 ok\n3 ok"},
    {"a cas that should have found what it expected", Workload::kRegister, "1 write x a\n1 ok\n2 cas x a b\n2 no"},
    {"a cas succeeds on what is gone", Workload::kRegister, "1 write x a\n1 ok\n1 write x b\n1 ok\n2 cas x a c\n2 ok"},
    {"deleted and back", Workload::kRegister, "1 write x a\n1 ok\n1 delete x\n1 ok\n2 read x\n2 ok a"},
    {"a lost append", Workload::kList, "1 append l a\n1 ok\n2 append l b\n2 ok\n3 read l\n3 ok [b]"},
    {"an append that stands there twice", Workload::kList, "1 append l a\n1 ok\n3 read l\n3 ok [a a]"},
    {"appends in the wrong order", Workload::kList, "1 append l a\n1 ok\n2 append l b\n2 ok\n3 read l\n3 ok [b a]"},
    {"two reads that disagree on the order", Workload::kList,
     "1 append l a\n2 append l b\n3 read l\n4 read l\n3 ok [a b]\n4 ok [b a]\n1 ok\n2 ok"},
    {"an unknown append comes and goes", Workload::kList,
     "1 append l a\n1 unknown\n2 read l\n2 ok [a]\n2 read l\n2 ok []"},
    {"a lost addition", Workload::kCounter, "1 add c 1\n2 add c 1\n1 ok\n2 ok\n3 read c\n3 ok 1"},
    {"more than all unknown additions", Workload::kCounter, "1 add c 1\n2 add c 1\n3 read c\n3 ok 3"},
    {"an element that is inserted twice", Workload::kSet, "1 insert s a\n2 insert s a\n1 ok\n2 ok"},
    {"a set with an element twice", Workload::kSet, "1 insert s a\n1 ok\n2 read s\n2 ok [a a]"},
};

TEST(Linearizability, refusesWhatHasNone) {
  for (const Case& c : kBad) {
    const History history = Play(c.workload).read(c.play);
    const CheckResult result = check_linearizability(history);
    EXPECT_EQ(result.verdict, Verdict::kViolated) << c.circumstance;
    ASSERT_EQ(result.violations.size(), 1u) << c.circumstance;
    EXPECT_FALSE(result.violations[0].operations.empty());
  }
}

TEST(Linearizability, transfersAreJudgedOverAllAccounts) {
  const auto bank = [] {
    Play play(Workload::kBank);
    play.starts_with("a", {.number = 10}).starts_with("b", {.number = 0});
    return play;
  };
  const char* transfer_and_read = "1 transfer a b 4\n2 read\n2 ok {a=10 b=0}\n1 ok\n2 read\n2 ok {a=6 b=4}";
  EXPECT_EQ(check_linearizability(bank().read(transfer_and_read)).verdict, Verdict::kFine);
  // Each account alone would have an order.
  const char* skewed = "1 transfer a b 4\n2 read\n2 ok {a=6 b=0}\n1 ok";
  EXPECT_EQ(check_linearizability(bank().read(skewed)).verdict, Verdict::kViolated);
  const char* overdrawn = "1 transfer a b 8\n2 transfer a b 8\n1 ok\n2 ok";
  EXPECT_EQ(check_linearizability(bank().read(overdrawn)).verdict, Verdict::kViolated);
  const char* refused = "1 transfer a b 8\n2 transfer a b 8\n1 ok\n2 no\n3 read a\n3 ok {a=2}";
  EXPECT_EQ(check_linearizability(bank().read(refused)).verdict, Verdict::kFine);
}

TEST(Linearizability, startsFromTheInitialState) {
  Play play(Workload::kRegister);
  play.starts_with("x", {.value = "old"});
  EXPECT_EQ(check_linearizability(play.read("1 read x\n1 ok old\n1 cas x old new\n1 ok")).verdict, Verdict::kFine);
}

TEST(Linearizability, outOfBudgetIsUnknownAndOtherKeysAreStillJudged) {
  std::string hard;
  for (int process = 1; process <= 20; ++process) {
    hard += std::to_string(process) + " add c " + std::to_string(1 << process) + '\n';
  }
  hard += "30 read c\n30 ok 1\n";  // odd: no sum of these
  const CheckResult undecided = check_linearizability(Play(Workload::kCounter).read(hard), {.max_steps = 1000});
  EXPECT_EQ(undecided.verdict, Verdict::kUnknown);
  EXPECT_NE(undecided.reason.find("\"c\""), std::string::npos) << undecided.reason;
  EXPECT_LE(undecided.steps, 1100u);
  const CheckResult small = check_linearizability(Play(Workload::kCounter).read(hard), {.max_bytes = 5000});
  EXPECT_EQ(small.verdict, Verdict::kUnknown);
  EXPECT_NE(small.reason.find("memory"), std::string::npos) << small.reason;
  const CheckResult both =
      check_linearizability(Play(Workload::kCounter).read(hard + "40 read d\n40 ok 7\n"), {.max_steps = 1000});
  EXPECT_EQ(both.verdict, Verdict::kViolated);
  ASSERT_EQ(both.violations.size(), 1u);
  EXPECT_NE(both.violations[0].summary.find("\"d\""), std::string::npos);
}

TEST(Linearizability, historiesWithoutStrongAnswersHaveNothingToCheck) {
  EXPECT_EQ(check_linearizability(Play(Workload::kRegister).read("")).verdict, Verdict::kNothing);
  EXPECT_EQ(check_linearizability(Play(Workload::kRegister).read("1 read x eventual\n1 ok z")).verdict,
            Verdict::kNothing);
}

TEST(Linearizability, explanationLeavesOutWhatPlaysNoPart) {
  std::string play;
  for (int i = 0; i < 40; ++i) {
    const std::string value = "v" + std::to_string(i);
    play += "1 write x " + value + "\n2 read x\n1 ok\n2 ok " + value + "\n";
  }
  play += "3 read x\n3 ok v37\n";  // stale
  for (int i = 0; i < 40; ++i) play += "2 read x\n2 ok v39\n";
  const CheckResult result = check_linearizability(Play(Workload::kRegister).read(play));
  ASSERT_EQ(result.violations.size(), 1u);
  // Two writes and the read that went back.
  EXPECT_LE(result.violations[0].operations.size(), 4u) << transcript(result);
  EXPECT_NE(result.violations[0].play.find("client 3: read \"x\" = \"v37\"; here it would be \"v3"), std::string::npos)
      << transcript(result);
}

TEST(Linearizability, explanationReadsLikeAPlay) {
  const CheckResult result =
      check_linearizability(Play(Workload::kRegister).read("1 write x a\n1 ok\n1 write x b\n1 ok\n2 read x\n2 ok a"));
  ASSERT_EQ(result.violations.size(), 1u);
  EXPECT_EQ(result.violations[0].summary, "no order of the operations for key \"x\" explains what was answered");
  EXPECT_EQ(result.violations[0].play,
            "The order that gets furthest:\n"
            "  [0, 1] #0 client 1: write \"x\" \"a\" = ok\n"
            "  [2, 3] #1 client 1: write \"x\" \"b\" = ok\n"
            "  then the state is \"b\"\n"
            "Next would have to come one of these, and none can:\n"
            "  [4, 5] #2 client 2: read \"x\" = \"a\"; here it would be \"b\"\n");
}

}  // namespace
}  // namespace clew::sim::check

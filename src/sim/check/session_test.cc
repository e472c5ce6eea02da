#include "sim/check/session.h"

#include <gtest/gtest.h>

#include "sim/check/play_test.h"

namespace clew::sim::check {
namespace {

using Check = CheckResult (*)(const History&, const CheckOptions&);
struct Judged {
  const char* circumstance;
  Verdict verdict;
  Workload workload;
  const char* play;
};

template <size_t N>
void expect_all(Check check, const Judged (&cases)[N]) {
  for (const Judged& c : cases) {
    const CheckResult result = check(Play(c.workload).read(c.play), {});
    EXPECT_EQ(result.verdict, c.verdict) << c.circumstance << ": " << name(result.verdict) << ' ' << result.reason
                                         << (result.violations.empty() ? "" : result.violations[0].summary);
  }
}

constexpr auto kReg = Workload::kRegister;

TEST(MonotonicReads, byPositionAndByValue) {
  const Judged cases[] = {
      {"positions that stay or rise", Verdict::kFine, kReg,
       "1 read x\n1 ok a @3\n1 read x\n1 ok a @3\n1 read y\n1 ok b @4"},
      {"a position that falls, on another key", Verdict::kViolated, kReg,
       "1 read x sequential\n1 ok a @3\n1 read y sequential\n1 ok b @2"},
      {"falling positions of two processes without a session", Verdict::kNothing, kReg,
       "1 read x\n1 ok a @3\n2 read x\n2 ok b @2"},
      {"falling positions of two processes of one session", Verdict::kViolated, kReg,
       "1 read x s7/1\n1 ok a @3\n2 read x s7/2\n2 ok b @2"},
      {"pipelined reads of one session are not compared", Verdict::kNothing, kReg,
       "1 read x s7/1\n2 read x s7/2\n1 ok a @3\n2 ok b @2"},
      {"eventual reads may go back", Verdict::kNothing, kReg,
       "1 read x eventual\n1 ok a @3\n1 read x eventual\n1 ok b @2"},
      {"a value comes back that was written once", Verdict::kViolated, kReg,
       "9 write x a\n9 ok\n9 write x b\n9 ok\n1 read x causal\n1 ok a\n1 read x causal\n1 ok b\n1 read x causal\n1 ok "
       "a"},
      {"absence comes back, and nobody deletes", Verdict::kViolated, kReg,
       "9 write x a\n9 ok\n1 read x causal\n1 ok -\n1 read x causal\n1 ok a\n1 read x causal\n1 ok -"},
      {"a value comes back that was written twice", Verdict::kUnknown, kReg,
       "9 write x a\n9 ok\n9 write x b\n9 ok\n9 write x a\n9 ok\n"
       "1 read x causal\n1 ok a\n1 read x causal\n1 ok b\n1 read x causal\n1 ok a"},
      {"values that go forward", Verdict::kFine, kReg,
       "9 write x a\n9 ok\n9 write x b\n9 ok\n1 read x causal\n1 ok a\n1 read x causal\n1 ok b"},
      {"a list that loses its end", Verdict::kViolated, Workload::kList,
       "9 append l a\n9 append l b\n1 read l causal\n1 ok [a b]\n1 read l causal\n1 ok [a]"},
      {"a list that grows", Verdict::kFine, Workload::kList,
       "9 append l a\n9 append l b\n1 read l causal\n1 ok [a]\n1 read l causal\n1 ok [a b]"},
      {"a list that is rewritten", Verdict::kViolated, Workload::kList,
       "9 append l a\n8 append l b\n1 read l causal\n1 ok [a]\n1 read l causal\n1 ok [b a]"},
      {"a set that loses what nobody erases", Verdict::kViolated, Workload::kSet,
       "9 insert s a\n1 read s causal\n1 ok [a]\n1 read s causal\n1 ok []"},
      {"a set that somebody erases from", Verdict::kUnknown, Workload::kSet,
       "9 insert s a\n8 erase s a\n1 read s causal\n1 ok [a]\n1 read s causal\n1 ok []"},
      {"a counter that falls", Verdict::kViolated, Workload::kCounter,
       "9 add c 5\n1 read c causal\n1 ok 5\n1 read c causal\n1 ok 0"},
      {"a counter that may fall", Verdict::kUnknown, Workload::kCounter,
       "9 add c 5\n8 add c -5\n1 read c causal\n1 ok 5\n1 read c causal\n1 ok 0"},
  };
  expect_all(check_monotonic_reads, cases);
}

TEST(ReadYourWrites, byPositionAndByValue) {
  const Judged cases[] = {
      {"a read at the position of the write", Verdict::kFine, kReg, "1 write x a\n1 ok @5\n1 read x\n1 ok a @5"},
      {"a read before the position of the write", Verdict::kViolated, kReg,
       "1 write x a sequential\n1 ok @5\n1 read x sequential\n1 ok - @4"},
      {"somebody else's write", Verdict::kNothing, kReg, "1 write x a\n1 ok @5\n2 read x\n2 ok - @4"},
      {"an unknown write need not be read", Verdict::kNothing, kReg, "1 write x a\n1 unknown\n1 read x causal\n1 ok -"},
      {"own write not there", Verdict::kViolated, kReg, "1 write x a\n1 ok\n1 read x causal\n1 ok -"},
      {"own older write", Verdict::kViolated, kReg, "1 write x a\n1 ok\n1 write x b\n1 ok\n1 read x causal\n1 ok a"},
      {"another's write instead", Verdict::kFine, kReg, "2 write x b\n1 write x a\n1 ok\n1 read x causal\n1 ok b"},
      {"another's write of a value that was written twice", Verdict::kUnknown, kReg,
       "2 write x b\n3 write x b\n1 write x a\n1 ok\n1 read x causal\n1 ok b"},
      {"own element missing", Verdict::kViolated, Workload::kList, "1 append l a\n1 ok\n1 read l causal\n1 ok []"},
      {"own element among others", Verdict::kFine, Workload::kList,
       "2 append l b\n1 append l a\n1 ok\n1 read l causal\n1 ok [b a]"},
      {"own insertion missing", Verdict::kViolated, Workload::kSet, "1 insert s a\n1 ok\n1 read s causal\n1 ok []"},
      {"less than what was added alone", Verdict::kViolated, Workload::kCounter,
       "1 add c 2\n1 ok\n1 add c 3\n1 ok\n1 read c causal\n1 ok 4"},
      {"as much as was added alone", Verdict::kFine, Workload::kCounter,
       "1 add c 2\n1 ok\n1 add c 3\n1 ok\n1 read c causal\n1 ok 5"},
      {"a cas that did not apply is no write", Verdict::kNothing, kReg, "1 cas x b a\n1 no\n1 read x causal\n1 ok -"},
  };
  expect_all(check_read_your_writes, cases);
}

TEST(Sequential, byPositionsTheLogIsTheOrder) {
  const Judged cases[] = {
      {"a stale read is sequential", Verdict::kFine, kReg,
       "1 write x a\n1 ok @1\n1 write x b\n1 ok @2\n2 read x sequential\n2 ok a @1\n2 read x sequential\n2 ok b @2"},
      {"a read that is not of its position", Verdict::kViolated, kReg,
       "1 write x a\n1 ok @1\n1 write x b\n1 ok @2\n2 read x sequential\n2 ok a @2"},
      {"a session that goes back", Verdict::kViolated, kReg,
       "1 write x a\n1 ok @1\n1 write x b\n1 ok @2\n2 read x sequential\n2 ok b @2\n2 read x sequential\n2 ok a @1"},
      {"a write below what its session saw", Verdict::kViolated, kReg,
       "1 read x sequential\n1 ok - @3\n1 write x a\n1 ok @3"},
      {"two commands at one position", Verdict::kViolated, kReg, "1 write x a\n1 ok @1\n2 write y a\n2 ok @1"},
      {"an unknown write somewhere between", Verdict::kFine, kReg,
       "1 write x a\n1 ok @1\n3 write x c\n3 unknown\n1 write x b\n1 ok @5\n2 read x sequential\n2 ok c @3\n"
       "2 read x sequential\n2 ok b @5"},
      {"an unknown write before its session's past", Verdict::kViolated, kReg,
       "3 read x sequential\n3 ok - @4\n3 write x c\n3 unknown\n2 read x sequential\n2 ok c @3"},
      {"an unknown write cannot be where its session read", Verdict::kViolated, kReg,
       "3 read x sequential\n3 ok - @4\n3 write x c\n3 unknown\n2 read x sequential\n2 ok c @4"},
      {"keys are ordered by one log", Verdict::kViolated, kReg,
       "1 write x a\n1 ok @1\n1 write y b\n1 ok @2\n2 read y sequential\n2 ok b @2\n2 read x sequential\n2 ok - @2"},
      {"positions for some only", Verdict::kUnknown, kReg, "1 write x a\n1 ok @1\n2 read x sequential\n2 ok a"},
      {"weaker reads are not held to it", Verdict::kFine, kReg,
       "1 write x a\n1 ok @1\n2 read x causal\n2 ok z\n2 read x sequential\n2 ok a @1"},
  };
  expect_all(check_sequential, cases);
}

TEST(Sequential, withoutPositionsAnOrderIsSearched) {
  const Judged cases[] = {
      {"a stale read is sequential", Verdict::kFine, kReg,
       "1 write x a\n1 ok\n2 read x sequential\n2 ok -\n2 read x sequential\n2 ok a"},
      {"a session that goes back", Verdict::kViolated, kReg,
       "1 write x a\n1 ok\n2 read x sequential\n2 ok a\n2 read x sequential\n2 ok -"},
      // Each key alone has an order; both together have none. Lamport's example.
      {"both see the other's write missing", Verdict::kViolated, kReg,
       "1 write x a sequential\n1 ok\n1 read y sequential\n1 ok -\n2 write y b sequential\n2 ok\n2 read x "
       "sequential\n2 ok -"},
      {"independent readers disagree on the order of two writes", Verdict::kViolated, kReg,
       "1 write x a\n1 ok\n2 write y b\n2 ok\n3 read x sequential\n3 ok a\n3 read y sequential\n3 ok -\n"
       "4 read y sequential\n4 ok b\n4 read x sequential\n4 ok -"},
      {"an unknown write explains a read, later writes of its session do not wait", Verdict::kFine, kReg,
       "1 write x a sequential\n1 unknown\n1 write x b sequential\n1 ok\n2 read x sequential\n2 ok b\n"
       "2 read x sequential\n2 ok a"},
      {"pipelined operations of a session are not ordered", Verdict::kFine, kReg,
       "1 write x a s1/1 sequential\n2 write x b s1/2 sequential\n1 ok\n2 ok\n3 read x sequential\n3 ok b\n"
       "3 read x sequential\n3 ok a"},
      {"pipelined operations are ordered behind what returned before", Verdict::kViolated, kReg,
       "1 write x a s1/1 sequential\n2 write y a s1/2 sequential\n1 ok\n2 ok\n3 write x b s1/3 sequential\n3 ok\n"
       "4 read x sequential\n4 ok b\n4 read x sequential\n4 ok a"},
      {"linearizable answers are left to their own checker", Verdict::kNothing, kReg,
       "1 write x a\n1 ok\n2 read x\n2 ok -"},
  };
  expect_all(check_sequential, cases);
}

}  // namespace
}  // namespace clew::sim::check

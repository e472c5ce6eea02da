#include "os/forked.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace clew::os {
namespace {

std::vector<uint64_t> first(uint64_t count) {
  std::vector<uint64_t> tasks;
  for (uint64_t i = 0; i < count; ++i) tasks.push_back(i);
  return tasks;
}

TEST(Forked, EachTaskIsDoneOnceAndTheWorkIsSpread) {
  std::map<uint64_t, std::string> outputs;
  std::set<std::string> workers;
  const auto work = [](uint64_t task) { return std::to_string(getpid()) + " " + std::string(task * 1000, 'x'); };
  ASSERT_TRUE(run_forked(first(100), 3, work, [&](ForkedOutcome outcome) {
                EXPECT_EQ(outcome.signal, 0);
                EXPECT_TRUE(outputs.emplace(outcome.task, outcome.output.substr(outcome.output.find(' ') + 1)).second);
                workers.insert(outcome.output.substr(0, outcome.output.find(' ')));
                return true;
              }).ok());
  ASSERT_EQ(outputs.size(), 100u);
  EXPECT_EQ(outputs.at(99).size(), 99'000u);
  EXPECT_EQ(workers.size(), 3u);
  EXPECT_FALSE(workers.contains(std::to_string(getpid())));
}

TEST(Forked, AChildThatDiesCostsItsOwnTaskOnly) {
  std::map<uint64_t, int> signals;
  const auto work = [](uint64_t task) -> std::string {
    if (task % 3 == 0) raise(SIGKILL);
    return "done";
  };
  ASSERT_TRUE(run_forked(first(10), 2, work, [&](ForkedOutcome outcome) {
                signals[outcome.task] = outcome.signal;
                EXPECT_EQ(outcome.output, outcome.signal == 0 ? "done" : "");
                return true;
              }).ok());
  ASSERT_EQ(signals.size(), 10u);
  for (const auto& [task, signal] : signals) EXPECT_EQ(signal, task % 3 == 0 ? SIGKILL : 0) << task;
}

TEST(Forked, NothingIsBegunAfterTheCallerHasEnough) {
  size_t heard = 0;
  const auto work = [](uint64_t task) { return std::to_string(task); };
  ASSERT_TRUE(run_forked(first(1'000), 2, work, [&](ForkedOutcome) { return ++heard < 5; }).ok());
  EXPECT_EQ(heard, 5u);
}

TEST(Forked, NoTasksNoChildren) {
  EXPECT_TRUE(run_forked(
                  {}, 4, [](uint64_t) { return std::string(); }, [](ForkedOutcome) { return false; })
                  .ok());
}

}  // namespace
}  // namespace clew::os

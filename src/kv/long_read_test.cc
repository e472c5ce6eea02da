// Reads in steps against the same reads at one go, while the store changes under them.
#include "kv/long_read.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kv/machine_test.h"
#include "kv/validate.h"

namespace clew::kv {
namespace {

std::string key_of(int n) { return "key-" + std::to_string(10'000 + n); }

class LongReads : public ::testing::Test {
 protected:
  LongReads() {
    for (int n = 0; n < kKeys; ++n) machine.put(key_of(n), std::to_string(n * 7'919 % kKeys));
    for (int n = 0; n < kKeys; n += 3) machine.done(DeleteRangeRequest{.key = key_of(n)});
  }
  // In steps of `effort`, with `between` after each.
  Result<Response> read(const Request& request, size_t effort, const std::function<void()>& between) {
    LongRead read(*machine.state, request);
    for (steps_ = 1;; ++steps_) {
      size_t left = effort;
      if (read.step(left)) return read.finish();
      EXPECT_EQ(left, 0u);
      between();
    }
  }

  static constexpr int kKeys = 500;
  MemoryEngine engine;
  CustomRegistry registry;
  Machine machine{engine, registry};
  int steps_ = 0;
};

TEST_F(LongReads, whateverChangesBetweenTheSteps_theAnswerIsOfOneRevision) {
  const std::vector<RangeRequest> requests = {
      {.key = "k", .range_end = "l"},
      {.key = key_of(100), .range_end = std::string(1, '\0')},
      {.key = "k", .range_end = "l", .limit = 7},
      {.key = "k", .range_end = "l", .count_only = true},
      {.key = "k", .range_end = "l", .keys_only = true},
      {.key = "k", .range_end = "l", .limit = 9, .sort_order = SortOrder::kDescend, .sort_target = SortTarget::kValue},
      {.key = "k",
       .range_end = "l",
       .sort_order = SortOrder::kAscend,
       .sort_target = SortTarget::kValue,
       .keys_only = true},
      {.key = "k", .range_end = "l", .min_mod_revision = 100, .max_mod_revision = 300},
      {.key = "x", .range_end = "z"},
  };
  int change = 0;
  for (const RangeRequest& request : requests) {
    const auto expected = machine.state->read(request);
    ASSERT_TRUE(expected.ok());
    for (const size_t effort : {1u, 10u, 333u, 100'000u}) {
      // Of the revision that it began at, named or not: the state changes afterwards.
      RangeRequest now = request;
      now.revision = std::get<RangeResponse>(*expected).revision;
      const auto got = read(now, effort, [&] {
        ++change;
        machine.put(key_of(change % kKeys), "changed");
        if (change % 2 == 0) machine.done(DeleteRangeRequest{.key = key_of(change * 3 % kKeys)});
        machine.put(key_of(kKeys + change % 50), "new");
      });
      ASSERT_TRUE(got.ok());
      RangeResponse answer = std::get<RangeResponse>(*got);
      answer.revision = std::get<RangeResponse>(*expected).revision;
      EXPECT_EQ(Response(answer), *expected) << "effort " << effort;
      EXPECT_TRUE(effort != 10 || answer.count == 0 || steps_ > 3) << steps_;
    }
  }
}

TEST_F(LongReads, aStepCostsNoMoreThanItsEffort) {
  const auto steps = [&](const RangeRequest& request, size_t effort) {
    EXPECT_TRUE(read(request, effort, [] {}).ok());
    return steps_;
  };
  // A value that is loaded costs as much as many looks; a key that is only counted costs one.
  EXPECT_GE(steps({.key = "k", .range_end = "l"}, 10 * Store::kLoadEffort), kKeys * 2 / 3 / 10);
  EXPECT_LE(steps({.key = "k", .range_end = "l", .count_only = true}, 10 * Store::kLoadEffort), 5);
}

TEST_F(LongReads, aCompactionThatPassesIt_beginsItAgain_andNotForEver) {
  int compactions = 1;
  const auto compact = [&] {
    if (compactions-- <= 0) return;
    const Revision now = machine.put("other", "x");
    machine.done(CompactRequest{now});
  };
  const RangeRequest all{.key = "k", .range_end = "l"};
  const auto once = read(all, 100, compact);
  ASSERT_TRUE(once.ok()) << error_of(once);
  EXPECT_EQ(*once, machine.state->read(all).value());
  compactions = 1'000;
  EXPECT_EQ(error_of(read(all, 100, compact)), error_of(Result<Response>(errors::compacted())));
  compactions = 1;
  RangeRequest past = all;
  past.revision = machine.state->store().revision();
  machine.put("other", "y");
  EXPECT_EQ(error_of(read(past, 100, compact)), error_of(Result<Response>(errors::compacted())));
  past.revision = machine.state->store().revision() + 1;
  EXPECT_EQ(error_of(read(past, 100, [] {})), error_of(Result<Response>(errors::future_revision())));
}

TEST_F(LongReads, theHashInStepsIsTheHashAtOnce) {
  HashRequest request;
  request.revision = machine.state->store().revision() - 50;
  const auto expected = machine.state->read(request);
  ASSERT_TRUE(expected.ok());
  const auto got = read(request, 100, [&] { machine.put("other", "x"); });
  ASSERT_TRUE(got.ok());
  EXPECT_GT(steps_, 3);
  EXPECT_EQ(std::get<HashResponse>(*got).hash, std::get<HashResponse>(*expected).hash);
  // A compaction changes what counts: it begins again.
  int compactions = 1;
  const auto now = read(HashRequest{}, 100, [&] {
    if (compactions-- > 0) machine.done(CompactRequest{machine.state->store().revision()});
  });
  ASSERT_TRUE(now.ok());
  EXPECT_EQ(std::get<HashResponse>(*now).hash, std::get<HashResponse>(machine.state->read(HashRequest{}).value()).hash);
}

}  // namespace
}  // namespace clew::kv

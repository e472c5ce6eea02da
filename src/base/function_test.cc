#include "base/function.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace clew {
namespace {

TEST(UniqueFunction, callsWhatItOwns) {
  UniqueFunction<int(int)> twice = [](int value) { return 2 * value; };
  EXPECT_EQ(twice(21), 42);
  EXPECT_EQ(twice(4), 8);
}

TEST(UniqueFunction, ownsCapturesThatOnlyMove) {
  Task task;
  auto value = std::make_unique<int>(0);
  int* const raw = value.get();
  task = [value = std::move(value)] { ++*value; };
  task();
  EXPECT_EQ(*raw, 1);
}

TEST(UniqueFunction, isEmptyByDefaultFromNullAndAfterAMove) {
  Task none, null = nullptr, full = [] {};
  EXPECT_FALSE(none);
  EXPECT_FALSE(null);
  EXPECT_TRUE(full);
  const Task moved = std::move(full);
  EXPECT_TRUE(moved);
  EXPECT_FALSE(full);  // NOLINT(bugprone-use-after-move): that is what is tested
}

TEST(UniqueFunction, freesItsCapturesWhenItDiesOrIsReplaced) {
  auto counted = std::make_shared<int>();
  {
    Task task = [counted] {};
    EXPECT_EQ(counted.use_count(), 2);
    task = nullptr;
    EXPECT_EQ(counted.use_count(), 1);
    task = [counted] {};
  }
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(UniqueFunction, passesMoveOnlyArgumentsAndReferencesThrough) {
  UniqueFunction<std::string(std::unique_ptr<std::string>, int&)> f = [](std::unique_ptr<std::string> text,
                                                                         int& count) {
    ++count;
    return *text;
  };
  int count = 0;
  EXPECT_EQ(f(std::make_unique<std::string>("x"), count), "x");
  EXPECT_EQ(count, 1);
}

TEST(UniqueFunctionDeathTest, callingAnEmptyOneIsAProgrammersError) {
  Task none;
  EXPECT_DEATH(none(), "broken invariant");
}

}  // namespace
}  // namespace clew

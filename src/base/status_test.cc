#include "base/status.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/hash.h"
#include "base/random.h"

namespace clew {
namespace {

Status check_even(int value) {
  if (value % 2 != 0) return {Code::kInvalidArgument, std::to_string(value) + " is odd"};
  return {};
}

Result<int> half(int value) {
  CLEW_TRY(check_even(value));
  return value / 2;
}

Result<std::unique_ptr<int>> quarter(int value) {
  CLEW_ASSIGN(const int halved, half(value));
  CLEW_ASSIGN(const int result, half(halved));
  return std::make_unique<int>(result);
}

TEST(Status, okIsTheDefaultAndSaysSo) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), Code::kOk);
  EXPECT_EQ(status.to_string(), "OK");
  EXPECT_EQ(status.message(), "");
}

TEST(Status, anErrorKeepsCodeAndWords) {
  const Status status(Code::kNotFound, "open x: no such file");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.to_string(), "NOT_FOUND: open x: no such file");
}

TEST(Status, everyCodeHasTheNameThatGrpcGivesIt) {
  EXPECT_EQ(code_name(Code::kOk), "OK");
  EXPECT_EQ(code_name(Code::kResourceExhausted), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(code_name(Code::kUnauthenticated), "UNAUTHENTICATED");
  EXPECT_EQ(code_name(static_cast<Code>(99)), "UNKNOWN");
  EXPECT_EQ(code_name(static_cast<Code>(-1)), "UNKNOWN");
}

TEST(Result, theFirstErrorEndsAChain) {
  EXPECT_EQ(*quarter(12).value(), 3);
  EXPECT_EQ(quarter(7).status().message(), "7 is odd");
  EXPECT_EQ(quarter(6).status().message(), "3 is odd");
}

TEST(Result, movesItsValueOut) {
  Result<std::unique_ptr<int>> result = quarter(8);
  const std::unique_ptr<int> value = std::move(result).value();
  EXPECT_EQ(*value, 2);
}

TEST(ResultDeathTest, theValueOfAnErrorIsAProgrammersError) {
  const Result<int> failed = half(3);
  EXPECT_DEATH((void)failed.value(), "broken invariant");
}

TEST(Hash, stableHashesNeverChange) {  // they are on disk; the values are XXH3's published ones for the empty input
  EXPECT_EQ(stable_hash64(""), 0x2d06800538d394c2ull);
  EXPECT_EQ(stable_hash128(""), (Hash128{0x6001c324468d497full, 0x99aa06d3014798d8ull}));
  EXPECT_EQ(checksum32(""), 0x38d394c2u);
}

TEST(Hash, aSeedGivesAnotherTable) { EXPECT_NE(seeded_hash("service.name", 1), seeded_hash("service.name", 2)); }

TEST(Generator, theSameSeedGivesTheSameSequence) {
  Generator a(7), b(7), c(8);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const uint64_t value = a.next();
    EXPECT_EQ(value, b.next());
    differs |= value != c.next();
  }
  EXPECT_TRUE(differs);
}

TEST(Generator, belowStaysBelowAndReachesEveryValue) {
  Generator random(1);
  int seen[7] = {};
  for (int i = 0; i < 7000; ++i) {
    const uint64_t value = random.below(7);
    ASSERT_LT(value, 7u);
    ++seen[value];
  }
  for (const int count : seen) EXPECT_GT(count, 700);
}

}  // namespace
}  // namespace clew

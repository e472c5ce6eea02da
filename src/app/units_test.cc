#include "app/units.h"

#include <gtest/gtest.h>

#include <array>

namespace clew::app {
namespace {

TEST(Duration, ReadsUnitsInARow) {
  EXPECT_EQ(parse_duration("5s"), 5'000'000'000);
  EXPECT_EQ(parse_duration("1h30m"), 5'400'000'000'000);
  EXPECT_EQ(parse_duration("1.5ms"), 1'500'000);
  EXPECT_EQ(parse_duration("7d"), 604'800'000'000'000);
  EXPECT_EQ(parse_duration("0"), 0);
}

TEST(Duration, RefusesWhatHasNoUnitOrNoNumber) {
  for (const char* text : {"", "5", "s", "5 s", "-1s", "5x", "1h30", "1e3s", "100000d99999999d", "nan"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Duration, WhatIsPrintedReadsBack) {
  for (const int64_t ns : {int64_t{0}, int64_t{1}, int64_t{999}, int64_t{1'000'000}, int64_t{5'400'000'000'000},
                           int64_t{86'461'001'000'001}}) {
    EXPECT_EQ(parse_duration(format_duration(ns)), ns) << format_duration(ns);
  }
  EXPECT_EQ(format_duration(90'000'000'000), "1m30s");
}

TEST(Size, ReadsBinaryAndDecimalUnits) {
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("64MiB"), 64u << 20);
  EXPECT_EQ(parse_size("2GB"), 2'000'000'000u);
  EXPECT_EQ(parse_size("1.5KiB"), 1536u);
  EXPECT_EQ(parse_size("18446744073709551615"), UINT64_MAX);
}

TEST(Size, RefusesUnknownUnitsAndSigns) {
  for (const char* text : {"", "-1", "MiB", "5 MiB", "5Mib", "99999999999TiB", "1MiB1KiB"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

TEST(Size, PrintsTheLargestUnitThatLosesNothing) {
  EXPECT_EQ(format_size(64u << 20), "64MiB");
  EXPECT_EQ(format_size(1536), "1536");
  EXPECT_EQ(format_size(0), "0");
}

TEST(Nearest, FindsASlipOfThePenAndNothingElse) {
  constexpr std::array<std::string_view, 3> names{"quiet_period", "trace_timeout", "max_open"};
  EXPECT_EQ(nearest("quiet_priod", names), "quiet_period");
  EXPECT_EQ(nearest("trace-timeout", names), "trace_timeout");
  EXPECT_EQ(nearest("sampling", names), "");
}

}  // namespace
}  // namespace clew::app

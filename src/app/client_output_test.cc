#include "app/client_output.h"

#include <gtest/gtest.h>

namespace clew::app {
namespace {

TEST(ClientOutput, DurationsPickTheirUnit) {
  EXPECT_EQ(readable_duration(1'250'000), "1.25 ms");
  EXPECT_EQ(readable_duration(0), "0 ns");
  EXPECT_EQ(readable_duration(-3'000'000'000), "-3 s");
}

TEST(ClientOutput, TimesAreUtcWithMilliseconds) {
  EXPECT_EQ(readable_time(1'700'000'000'123'456'789), "2023-11-14 22:13:20.123");
}

TEST(ClientOutput, TextIsCutByColumnsNotBytes) {
  EXPECT_EQ(fitted("größer", 6, true), "größer");
  EXPECT_EQ(fitted("größer", 4, true), "grö…");
  EXPECT_EQ(fitted("ab", 4, true), "ab  ");
  EXPECT_EQ(fitted("ab", 4, false), "ab");
  EXPECT_EQ(fitted("ab", 0, true), "");
}

TEST(ClientOutput, ControlCharactersDoNotReachTheTerminal) { EXPECT_EQ(printable("a\x1b[31m\n"), "a?[31m?"); }

TEST(ClientOutput, NothingIsPaintedWhenColoursAreOff) {
  EXPECT_EQ(painted(Paint::kRed, "x", false), "x");
  EXPECT_EQ(painted(Paint::kRed, "x", true), "\x1b[31mx\x1b[0m");
}

}  // namespace
}  // namespace clew::app

#include "app/progress.h"

#include <gtest/gtest.h>

namespace clew::app {
namespace {

TEST(Progress, aLineNeverExceedsTheTerminal) {
  for (unsigned columns = 0; columns < 200; ++columns) {
    for (const uint64_t done : {0, 1, 500, 1000, 2000}) {
      EXPECT_LE(
          progress_line("a/very/long/path/traces.jsonl.zst", done, 1000, "12 spans", 1'000'000'000, columns).size(),
          columns);
      EXPECT_LE(progress_line("-", done, 0, "12 spans", 0, columns).size(), columns);
    }
  }
}

TEST(Progress, saysShareAndTimeLeft) {
  const std::string line = progress_line("f", 250'000'000, 1'000'000'000, "7 spans", 20'000'000'000, 100);
  EXPECT_NE(line.find(" 25 %"), std::string::npos) << line;
  EXPECT_NE(line.find("250.0 of 1000.0 MB"), std::string::npos) << line;
  EXPECT_NE(line.find("1:00 left"), std::string::npos) << line;
  EXPECT_NE(line.find("[##########"), std::string::npos) << line;
}

TEST(Progress, groupsDigits) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
}

}  // namespace
}  // namespace clew::app

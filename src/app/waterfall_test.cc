#include "app/waterfall.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace clew::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kBase = 1'700'000'000'000'000'000;

WaterfallSpan span(const std::string& id, const std::string& parent, int64_t start_ms, int64_t end_ms) {
  return {id, parent, "svc", "op-" + id, kBase + start_ms * 1'000'000, kBase + end_ms * 1'000'000, false};
}
std::vector<std::string> names(const std::string& drawn) {
  std::vector<std::string> out;
  std::istringstream lines(drawn);
  for (std::string line; std::getline(lines, line);) {
    const size_t at = line.find("op-");
    out.push_back(at == std::string::npos ? line
                                          : std::string(line.find_first_not_of(' ') / 2, '>') + line.substr(at + 3, 1));
  }
  return out;
}

TEST(Waterfall, ChildrenStandBelowTheirParentByStart) {
  const auto drawn =
      draw_waterfall({span("c", "a", 5, 6), span("b", "a", 1, 4), span("a", "", 0, 10), span("d", "b", 2, 3)}, {});
  EXPECT_THAT(names(drawn), ElementsAre("a", ">b", ">>d", ">c"));
}

TEST(Waterfall, AnOrphanNamesWhatIsMissingAndComesAfterTheRoots) {
  const auto drawn = draw_waterfall({span("b", "ffff", 0, 1), span("a", "", 5, 6)}, {});
  EXPECT_LT(drawn.find("op-a"), drawn.find("op-b"));
  EXPECT_THAT(drawn, HasSubstr("parent ffff is missing"));
}

TEST(Waterfall, SpansInACycleAreDrawnOnce) {
  const auto drawn = draw_waterfall({span("a", "", 0, 9), span("b", "c", 1, 2), span("c", "b", 1, 2)}, {});
  EXPECT_EQ(names(drawn).size(), 3u);
  EXPECT_THAT(drawn, HasSubstr("its own ancestor"));
}

TEST(Waterfall, HalvesOfASharedIdAreBothDrawn) {
  const auto drawn =
      draw_waterfall({span("a", "", 0, 9), span("b", "a", 1, 5), span("b", "a", 2, 4), span("c", "b", 3, 4)}, {});
  EXPECT_THAT(names(drawn), ElementsAre("a", ">b", ">>b", ">>c"));
}

TEST(Waterfall, ATimeOfZeroDoesNotStretchTheScale) {
  auto lost = span("b", "a", 0, 0);
  lost.start_ns = lost.end_ns = 0;
  const auto drawn = draw_waterfall({span("a", "", 0, 10), lost}, {.width = 80});
  EXPECT_THAT(drawn, HasSubstr("━━━━━━━━━━━━━━━━━━━━━━━━━━"));
}

TEST(Waterfall, ATraceTenThousandDeepIsDrawnAndCut) {
  std::vector<WaterfallSpan> spans;
  for (int i = 0; i < 10'000; ++i)
    spans.push_back(span(std::to_string(i), i == 0 ? "" : std::to_string(i - 1), i, 20'000 - i));
  const auto drawn = draw_waterfall(spans, {.max_rows = 50});
  EXPECT_THAT(drawn, HasSubstr("… and 9950 spans more"));
}

}  // namespace
}  // namespace clew::app

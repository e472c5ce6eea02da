#include "app/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clew::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Chart chart() {
  return {.title = "Messages <for> one & all",
          .subtitle = "s",
          .x_label = "members",
          .y_label = "messages",
          .series = {{.name = "raft", .points = {{3, 4}, {5, 8}, {7, 12}}},
                     {.name = "stated", .points = {{3, 4}, {7, 12}}, .dashed = true, .colour = 1}}};
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Chart, isAnSvgWithItsTitlesLinesAndDots) {
  const std::string svg = to_svg(chart());
  EXPECT_TRUE(svg.starts_with("<svg ")) << svg;
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_THAT(svg, HasSubstr("Messages &lt;for&gt; one &amp; all"));
  EXPECT_EQ(count(svg, "<path "), 2u);
  EXPECT_EQ(count(svg, "stroke-dasharray"), 1u);
  EXPECT_EQ(count(svg, "<circle "), 3u) << "what is stated has no dots";
  EXPECT_THAT(svg, HasSubstr(">raft</text>"));
}

TEST(Chart, axesHaveRoundNumbers) {
  const std::string svg = to_svg(chart());
  for (const char* tick : {">0</text>", ">5</text>", ">10</text>", ">15</text>"}) EXPECT_THAT(svg, HasSubstr(tick));
  Chart powers = chart();
  powers.log_x = powers.log_y = true;
  powers.series = {{.name = "a", .points = {{90, 0.02}, {150'000, 7}}}};
  const std::string log = to_svg(powers);
  for (const char* tick : {">0.01</text>", ">10</text>", ">1k</text>", ">1M</text>"}) EXPECT_THAT(log, HasSubstr(tick));
}

TEST(Chart, betweenNumbersOfMembersThereIsNothing) {
  Chart members = chart();
  members.series = {{.name = "a", .points = {{3, 4}, {5, 8}}}};
  EXPECT_THAT(to_svg(members), HasSubstr(">3.5</text>"));
  members.counts_x = true;
  EXPECT_THAT(to_svg(members), Not(HasSubstr(">3.5</text>")));
  EXPECT_THAT(to_svg(members), HasSubstr(">4</text>"));
}

TEST(Chart, valuesThatAreNoneOrAllEqualDoNotBreakIt) {
  Chart flat = chart();
  flat.series = {{.name = "a", .points = {{1, 0}}}, {.name = "b", .points = {}}};
  EXPECT_THAT(to_svg(flat), Not(HasSubstr("nan")));
  flat.log_x = flat.log_y = true;
  const std::string svg = to_svg(flat);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

}  // namespace
}  // namespace clew::app

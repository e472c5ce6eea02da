#include "app/lab_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/lab_charts.h"

namespace clew::app {
namespace {

namespace lab = sim::lab;
using ::testing::HasSubstr;

lab::LabReport report() {
  lab::LabReport report;
  report.options.protocols = {sim::groups::family_named("raft")};
  report.options.loads = {1};
  lab::Cell cell;
  cell.protocol = report.options.protocols.front();
  cell.nodes = 3;
  lab::Measured measured;
  measured.commands = 1'000;
  measured.window_ns = 500'000'000;
  measured.messages = 4'100;
  measured.bytes = 900'000;
  measured.syncs = 3'000;
  measured.signatures_made = 7'000;
  measured.signatures_checked = 19'000;
  measured.latencies_ns = {400'000, 500'000, 900'000};
  cell.points.push_back({1, measured});
  cell.failover_ns = {200'000'000, 250'000'000, 400'000'000};
  cell.failover_messages = {20, 30, 40};
  cell.failover_bytes = {2'000, 3'000, 4'000};
  cell.failovers = 3;
  measured.window_ns = 100'000'000;
  cell.beyond.push_back({512, measured});
  cell.saturates = true;
  report.cells.push_back(cell);
  lab::Cell senseless = cell;
  senseless.nodes = 5;
  senseless.senseless = "it makes no sense";
  report.cells.push_back(senseless);
  lab::Claim claim{.statement = "all is well", .prediction = "p", .measured = "m", .holds = false};
  report.claims.push_back(claim);
  lab::LieCell lie;
  lie.protocol = cell.protocol;
  lie.nodes = 3;
  lie.endured.push_back(
      {.liars = 1, .span_ns = 5'000'000'000, .before = 900, .during = 800, .pause_ns = 600'000'000, .violation = {}});
  lie.lie = {
      .liars = 1, .acknowledged = true, .replaced = true, .violation = "agreement: broken", .seen_at_ns = 5'000'000};
  report.lies.push_back(lie);
  return report;
}

TEST(LabReport, aTableForEyesHasFiguresReasonsVerdictsAndTheLie) {
  const std::string text = lab_text(report());
  EXPECT_THAT(text,
              HasSubstr("raft      3         1       4.1       4        900        3.0         7.0         19.0"));
  EXPECT_THAT(text, HasSubstr("0.50    0.90         10.0k   512\n"));
  EXPECT_THAT(text, HasSubstr("raft      3      lan   none  250    400    30   3000         O(n)            -\n"));
  EXPECT_THAT(text, HasSubstr("raft      5  it makes no sense\n"));
  EXPECT_THAT(text, HasSubstr("REFUTED   all is well\n            predicts p; measured m\n"));
  EXPECT_THAT(text, HasSubstr("VIOLATED by 1 liar at 5 ms"));
  EXPECT_THAT(text,
              HasSubstr("1 liar, of which the primary equivocates: goes on, 800 commands in 5 seconds; before, 900; "
                        "the longest pause 600 ms\n"));
}

TEST(LabReport, jsonHasTheSame) {
  const std::string json = lab_json(report());
  EXPECT_THAT(json, HasSubstr("\"messages_a_command\":4.1"));
  EXPECT_THAT(json, HasSubstr("\"signatures_made_a_command\":7"));
  EXPECT_THAT(json, HasSubstr("\"signatures_checked_a_command\":19"));
  EXPECT_THAT(json, HasSubstr("\"saturates\":true,\"most_commands_a_second\":10000,\"most_outstanding\":512"));
  EXPECT_THAT(json, HasSubstr("\"failover_ns\":[\"200000000\",\"250000000\",\"400000000\"]"));
  EXPECT_THAT(json, HasSubstr("\"senseless\":\"it makes no sense\""));
  EXPECT_THAT(json, HasSubstr("\"violation\":\"agreement: broken\",\"endured\":[{\"primary\":\"equivocates\""));
}

TEST(LabReport, chartsAreOfWhatWasMeasured) {
  const auto charts = lab_charts(report());
  ASSERT_EQ(charts.size(), 3u);
  EXPECT_EQ(charts[0].name, "messages-lan.svg");
  EXPECT_EQ(charts[1].name, "latency-lan.svg");
  EXPECT_EQ(charts[2].name, "failover-lan.svg");
  for (const NamedSvg& chart : charts) EXPECT_THAT(chart.svg, HasSubstr("raft"));
}

TEST(LabReport, theLessonsSayWhatWasSeen) {
  FlpLesson lesson;
  lesson.fixed = lab::run_flp({});
  lab::FlpOptions random;
  random.random_pauses = true;
  lesson.random = {lab::run_flp(random)};
  const std::string flp = flp_text(lesson);
  EXPECT_THAT(flp, HasSubstr("not decided in 10000 ms"));
  EXPECT_THAT(flp, HasSubstr("and so for ever"));
  EXPECT_THAT(flp, HasSubstr("1 of 1 decided"));
  EXPECT_THAT(flp_json(lesson), HasSubstr("\"fixed\":{\"decided\":false"));
}

}  // namespace
}  // namespace clew::app

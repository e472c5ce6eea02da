#include "app/workload.h"

#include <gtest/gtest.h>

#include <set>

#include "app/request_times.h"
#include "otlp/json.h"

namespace clew::app {
namespace {

constexpr int64_t kNow = 1'700'000'000'000'000'000;

TEST(Workload, HoldsAsManySpansAsAskedAndEndsBeforeNow) {
  const Workload workload({.seed = 7, .spans_per_request = 100});
  for (uint64_t number : {0, 1, 17, 1000}) {
    std::string body;
    workload.body(number, kNow, body);
    RequestContent content;
    scan_request(body, content);
    EXPECT_EQ(content.spans, 100u);
    EXPECT_LE(content.newest_end_ns, kNow);
    EXPECT_GT(content.newest_end_ns, kNow - 100'000'000);
    size_t spans = 0;
    for (const auto& trace : workload.traces(number)) spans += trace.spans.size();
    EXPECT_EQ(spans, 100u);
  }
}

TEST(Workload, TheSameNumberGivesTheSameBytesAndAnotherNumberOtherIds) {
  const Workload a({.seed = 7}), b({.seed = 7}), c({.seed = 8});
  std::string one, two, three;
  a.body(5, kNow, one);
  b.body(5, kNow, two);
  c.body(5, kNow, three);
  EXPECT_EQ(one, two);
  EXPECT_NE(one, three);
  std::set<std::string> ids;
  size_t traces = 0;
  for (uint64_t number = 0; number < 50; ++number) {
    for (const auto& trace : a.traces(number)) {
      ids.insert(trace.id.hex());
      ++traces;
    }
  }
  EXPECT_EQ(ids.size(), traces);
}

TEST(Workload, JsonHoldsTheSameSpansAsProtobuf) {
  const Workload protobuf({.seed = 3, .spans_per_request = 40});
  const Workload json({.seed = 3, .spans_per_request = 40, .format = BodyFormat::kJson});
  std::string expected, text, transcoded;
  protobuf.body(9, kNow, expected);
  json.body(9, kNow, text);
  otlp::JsonReader reader;
  const Status status = reader.to_protobuf(text, otlp::Limits{}, transcoded);
  ASSERT_TRUE(status.ok()) << status.to_string();
  RequestContent a, b;
  scan_request(expected, a);
  scan_request(transcoded, b);
  EXPECT_EQ(a.spans, b.spans);
  EXPECT_EQ(a.newest_end_ns, b.newest_end_ns);
  EXPECT_EQ(expected.size(), transcoded.size());
}

TEST(Workload, IsAboutAsLargeAsRealSpans) {
  const Workload workload({.seed = 1});
  EXPECT_GT(workload.bytes_per_span(), 350);
  EXPECT_LT(workload.bytes_per_span(), 520);
}

}  // namespace
}  // namespace clew::app

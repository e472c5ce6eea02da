#include "app/request_times.h"

#include <gtest/gtest.h>

#include "app/workload.h"
#include "otlp/json.h"

namespace clew::app {
namespace {

std::string request_of(const std::string& span_json) {
  otlp::JsonReader reader;
  std::string out;
  const Status status =
      reader.to_protobuf(R"({"resourceSpans":[{"scopeSpans":[{"spans":[)" + span_json + "]}]}]}", otlp::Limits{}, out);
  EXPECT_TRUE(status.ok()) << status.to_string();
  return out;
}
std::string span(int64_t start, int64_t end, int64_t event, const std::string& trace, const std::string& linked) {
  return R"({"traceId":")" + trace + R"(","spanId":"00000000000000aa","name":"n","startTimeUnixNano":")" +
         std::to_string(start) + R"(","endTimeUnixNano":")" + std::to_string(end) + R"(","events":[{"timeUnixNano":")" +
         std::to_string(event) + R"(","name":"e"}],"links":[{"traceId":")" + linked +
         R"(","spanId":"00000000000000bb"}]})";
}
const std::string kTrace = "0123456789abcdef0123456789abcdef";
const std::string kOther = "fedcba9876543210fedcba9876543210";

TEST(ShiftRequest, MovesSpansAndTheirEventsAlike) {
  std::string request = request_of(span(1000, 2000, 1500, kTrace, kOther));
  shift_request(request, 500);
  EXPECT_EQ(request, request_of(span(1500, 2500, 2000, kTrace, kOther)));
  shift_request(request, -1000);
  EXPECT_EQ(request, request_of(span(500, 1500, 1000, kTrace, kOther)));
}

TEST(ShiftRequest, ATimeThatIsNotThereStaysAway) {
  std::string request = R"()";
  shift_request(request, 10);
  EXPECT_TRUE(request.empty());
  std::string with_zero("\x0a\x0f\x12\x0d\x12\x0b\x39\0\0\0\0\0\0\0\0\x30\x01", 17);
  const std::string before = with_zero;
  shift_request(with_zero, 10);
  EXPECT_EQ(with_zero, before);
}

TEST(ShiftRequest, TruncatedBytesAreLeftAlone) {
  const std::string whole = request_of(span(1000, 2000, 1500, kTrace, kOther));
  for (size_t size = 0; size < whole.size(); ++size) {
    std::string part = whole.substr(0, size);
    shift_request(part, 77);
    EXPECT_EQ(part.size(), size);
  }
}

TEST(RenewTraceIds, TheSameIdBecomesTheSameOtherIdInLinksToo) {
  std::string a = request_of(span(1, 2, 1, kTrace, kOther)), b = request_of(span(1, 2, 1, kOther, kTrace));
  const std::string before = a;
  renew_trace_ids(a, 42);
  renew_trace_ids(b, 42);
  EXPECT_NE(a, before);
  EXPECT_EQ(a.size(), before.size());
  // a's trace id is b's link and the other way round
  const std::string id = a.substr(a.find("\x0a\x10") + 2, 16);
  EXPECT_NE(b.find(id, b.find("\x0a\x10") + 18), std::string::npos);
}

TEST(ScanRequest, CountsSpansAndFindsTheNewestEnd) {
  RequestContent content;
  scan_request(request_of(span(1, 9, 1, kTrace, kOther) + "," + span(1, 5, 1, kOther, kTrace)), content);
  EXPECT_EQ(content.spans, 2u);
  EXPECT_EQ(content.newest_end_ns, 9);
}

}  // namespace
}  // namespace clew::app

#include "api/call_stats.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

namespace clew::api {
namespace {

// Spans of named services by hand.
class CallsOfATrace : public testing::Test {
 protected:
  void span(uint64_t id, uint64_t parent, const char* service, const char* name,
            model::SpanKind kind = model::SpanKind::kInternal, bool failed = false) {
    model::Resource& resource = trace_.resources.emplace_back();
    resource.service_name = service;
    model::Span span;
    span.id = {id};
    span.parent = {parent};
    span.kind = kind;
    span.status = failed ? model::StatusCode::kError : model::StatusCode::kUnset;
    span.start_ns = 1000;
    span.end_ns = 1000 + static_cast<int64_t>(id) * 10;
    span.name = name;
    span.resource = &resource;
    trace_.spans.push_back(span);
  }
  std::map<std::string, std::string> calls() {
    std::map<std::string, std::string> found;
    visit_calls(trace_, [&](const Call& call) {
      found[std::string(call.operation)] = std::string(call.caller) + " > " + std::string(call.service) +
                                           (call.failed ? " failed" : "") + " " + std::to_string(call.duration_ns);
    });
    return found;
  }
  model::TraceData trace_;
};

using Calls = std::map<std::string, std::string>;

TEST_F(CallsOfATrace, AreTheSpansThatEnterAService) {
  span(1, 0, "web", "GET");
  span(2, 1, "web", "render");
  span(3, 2, "web", "call", model::SpanKind::kClient);
  span(4, 3, "cart", "Get", model::SpanKind::kServer, true);
  span(5, 4, "cart", "query", model::SpanKind::kClient);
  EXPECT_EQ(calls(), (Calls{{"GET", " > web 10"}, {"Get", "web > cart failed 40"}}));
}

TEST_F(CallsOfATrace, AnAbsentParentHidesTheCallerOnly) {
  span(1, 9, "cart", "Get", model::SpanKind::kServer);
  EXPECT_EQ(calls(), (Calls{{"Get", " > cart 10"}}));
}

TEST_F(CallsOfATrace, HalvesOfOneCallThatShareAnIdAreTold) {
  span(1, 0, "web", "GET", model::SpanKind::kServer);
  span(2, 1, "web", "client half", model::SpanKind::kClient);
  span(2, 1, "cart", "server half", model::SpanKind::kServer);
  span(3, 2, "cart", "inside");
  EXPECT_EQ(calls(), (Calls{{"GET", " > web 10"}, {"server half", "web > cart 20"}}));
}

TEST_F(CallsOfATrace, ASpanThatIsItsOwnParentEntersItsService) {
  span(1, 1, "web", "GET");
  EXPECT_EQ(calls(), (Calls{{"GET", " > web 10"}}));
}

TEST_F(CallsOfATrace, NegativeDurationsCountAsNone) {
  span(1, 0, "web", "GET");
  trace_.spans[0].end_ns = 5;
  EXPECT_EQ(calls(), (Calls{{"GET", " > web 0"}}));
  trace_.spans[0].start_ns = INT64_MIN;
  trace_.spans[0].end_ns = INT64_MAX;
  EXPECT_EQ(calls(), (Calls{{"GET", " > web 0"}}));
}

TEST(CallStats, QuantilesAreDurationsThatWereSeen) {
  CallStats stats;
  EXPECT_EQ(stats.quantile_ns(0.5), 0);
  for (int64_t duration : {50, 10, 40, 20, 30}) stats.add({"", "s", "o", 0, duration, duration > 30});
  EXPECT_EQ(stats.calls(), 5u);
  EXPECT_EQ(stats.errors(), 2u);
  EXPECT_EQ(stats.quantile_ns(0), 10);
  EXPECT_EQ(stats.quantile_ns(0.5), 30);
  EXPECT_EQ(stats.quantile_ns(0.95), 50);
  EXPECT_EQ(stats.quantile_ns(1), 50);
}

}  // namespace
}  // namespace clew::api

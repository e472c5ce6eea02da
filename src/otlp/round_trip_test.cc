// The whole way of a span through this layer: JSON or protobuf → envelope → row → readable span → protobuf or JSON.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdlib>
#include <fstream>

#include "model/row.h"
#include "otlp/decode.h"
#include "otlp/encode.h"
#include "otlp/json.h"
#include "otlp/random_request_test.h"

namespace clew::otlp {
namespace {

// A shard's half of ingest, with a dictionary of its own.
class Intake {
 public:
  Intake() { decoder_.use_dictionary(dictionary_); }

  // The rows of a request, in order.
  std::vector<std::string> rows(const std::string& protobuf) {
    std::vector<std::string> result;
    const Status status = open_envelope(protobuf, limits_, envelope_);
    EXPECT_TRUE(status.ok()) << status.to_string();
    rejected = envelope_.rejected;
    for (const EnvelopeSpan& span : envelope_.spans) {
      const EnvelopeScope& scope = envelope_.scopes[span.scope];
      std::string row;
      const Reject reject = decoder_.decode(span.bytes, decoder_.resource_code(envelope_.resources[scope.resource]),
                                            decoder_.scope_code(scope.bytes), row);
      ++rejected[static_cast<size_t>(reject)];
      if (reject != Reject::kNone) continue;
      trace_ = span.trace;
      result.push_back(row);
    }
    return result;
  }
  model::TraceData trace(const std::vector<std::string>& rows) {
    model::TraceData trace;
    trace.key.trace = trace_;
    for (const std::string& row : rows) EXPECT_TRUE(model::append_span_of_row(dictionary_, row, {}, trace).ok());
    return trace;
  }
  std::vector<uint64_t> hashes(const std::vector<std::string>& rows) {
    std::vector<uint64_t> result;
    for (const std::string& row : rows) result.push_back(model::row_hash(dictionary_, row));
    return result;
  }
  RejectCounts rejected{};

 private:
  Limits limits_;
  model::Dictionary dictionary_{7};
  SpanDecoder decoder_{limits_};
  Envelope envelope_;
  model::TraceId trace_;
};

TEST(RoundTrip, jsonAndProtobufOfASpanBecomeTheSameRow) {
  EXPECT_TRUE(rc::check([](uint64_t seed) {
    RandomRequest random(seed);
    const auto request = random.one_trace();
    std::string from_json;
    RC_ASSERT(JsonReader().to_protobuf(random.json(request), Limits(), from_json).ok());
    RC_ASSERT(Intake().rows(from_json) == Intake().rows(serialized(request)));
  }));
}

TEST(RoundTrip, whatComesInAsJsonGoesOutAsTheProtobufOfTheSameRequest) {
  EXPECT_TRUE(rc::check([](uint64_t seed) {
    RandomRequest random(seed);
    const auto request = random.one_trace();
    std::string from_json, out;
    RC_ASSERT(JsonReader().to_protobuf(random.json(request), Limits(), from_json).ok());
    Intake intake;
    encode_protobuf(intake.trace(intake.rows(from_json)), out);
    RC_ASSERT(out == serialized(request));
  }));
}

TEST(RoundTrip, whatGoesOutAsJsonComesInWithTheSameContent) {
  EXPECT_TRUE(rc::check([](uint64_t seed) {
    RandomRequest random(seed);
    Intake intake;
    const std::vector<std::string> rows = intake.rows(serialized(random.one_trace()));
    std::string json, again;
    encode_json(intake.trace(rows), JsonFlavour::kOtlp, json);
    RC_ASSERT(JsonReader().to_protobuf(json, Limits(), again).ok());
    const model::TraceData before = intake.trace(rows), after = intake.trace(intake.rows(again));
    RC_ASSERT(before.spans.size() == after.spans.size());
    for (size_t i = 0; i < before.spans.size(); ++i) {
      RC_ASSERT(before.spans[i].id == after.spans[i].id);
      RC_ASSERT(before.spans[i].attributes.size() == after.spans[i].attributes.size());
      RC_ASSERT(before.spans[i].name == after.spans[i].name);
    }
  }));
}

TEST(RoundTrip, realTracesSurviveJsonOutAndIn) {
  const char* const root = std::getenv("CLEW_TEST_DATA");
  const std::string folder =
      (root != nullptr ? std::string(root) : std::string(CLEW_SOURCE_DIR "/../shared/data")) + "/zoo/";
  if (!std::ifstream(folder + "index.json")) GTEST_SKIP() << "no test data: set CLEW_TEST_DATA";
  JsonReader reader;
  std::string protobuf, json, again;
  size_t spans = 0;
  for (const char* name : {"zipkin-yelp.jsonl", "zipkin-messaging-kafka.jsonl", "jaeger-ui-genai.jsonl",
                           "dsb-social-network.jsonl", "zipkin-smartthings-oauth-authorization.jsonl"}) {
    std::ifstream file(folder + name);
    for (std::string line; std::getline(file, line);) {
      ASSERT_TRUE(reader.to_protobuf(line, Limits(), protobuf).ok()) << name;
      Intake intake;
      const std::vector<std::string> rows = intake.rows(protobuf);
      json.clear();
      encode_json(intake.trace(rows), JsonFlavour::kOtlp, json);
      ASSERT_TRUE(reader.to_protobuf(json, Limits(), again).ok()) << name;
      // Grouping may change the order between groups, never the set.
      std::vector<uint64_t> before = intake.hashes(rows), after = intake.hashes(intake.rows(again));
      std::sort(before.begin(), before.end());
      std::sort(after.begin(), after.end());
      EXPECT_EQ(before, after) << name;
      spans += rows.size();
    }
  }
  EXPECT_GT(spans, 900u);
}

TEST(RoundTrip, aSpanWithABadIdIsRejectedAloneAndCountedByItsReason) {
  const std::string good_trace = "5b8efff798038103d269b633813fc60c", good_span = "eee19b7ec3c1b174";
  const auto span = [](const std::string& trace, const std::string& id, const std::string& parent) {
    return R"({"traceId":")" + trace + R"(","spanId":")" + id + R"(","parentSpanId":")" + parent + R"(","name":"n"})";
  };
  const std::string json = R"({"resourceSpans":[{"scopeSpans":[{"spans":[)" + span(good_trace, good_span, "") + "," +
                           span("0102", good_span, "") + "," + span("not hex", good_span, "") + "," +
                           span(std::string(32, '0'), good_span, "") + "," + span(good_trace, "01", "") + "," +
                           span(good_trace, "zzzzzzzzzzzzzzzz", "") + "," + span(good_trace, good_span, "zzzzzzzz") +
                           "," + span(good_trace, good_span, "0102") + "," + span(good_trace, good_span, good_span) +
                           "]}]}]}";
  std::string protobuf;
  ASSERT_TRUE(JsonReader().to_protobuf(json, Limits(), protobuf).ok());
  Intake intake;
  EXPECT_EQ(intake.rows(protobuf).size(), 2u);
  EXPECT_EQ(intake.rejected[static_cast<size_t>(Reject::kTraceId)], 3u);
  EXPECT_EQ(intake.rejected[static_cast<size_t>(Reject::kSpanId)], 2u);
  EXPECT_EQ(intake.rejected[static_cast<size_t>(Reject::kParentId)], 2u);
}

}  // namespace
}  // namespace clew::otlp

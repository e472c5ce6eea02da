#include "otlp/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"
#include "otlp/random_request_test.h"

namespace clew::otlp {
namespace {

using opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
using opentelemetry::proto::common::v1::AnyValue;
using opentelemetry::proto::trace::v1::Span;
using ::testing::HasSubstr;

std::string in_span(std::string_view fields) {
  return R"({"resourceSpans":[{"scopeSpans":[{"spans":[{)" + std::string(fields) + "}]}]}]}";
}
std::string in_value(std::string_view value) {
  return in_span(R"("attributes":[{"key":"k","value":)" + std::string(value) + "}]");
}

Status read(std::string_view json, std::string& out) { return JsonReader().to_protobuf(json, Limits(), out); }

ExportTraceServiceRequest parsed(std::string_view json) {
  std::string out;
  const Status status = read(json, out);
  EXPECT_TRUE(status.ok()) << status.to_string() << "\n" << json;
  ExportTraceServiceRequest request;
  EXPECT_TRUE(request.ParseFromString(out)) << json;
  return request;
}
Span span_of(std::string_view fields) { return parsed(in_span(fields)).resource_spans(0).scope_spans(0).spans(0); }
AnyValue value_of(std::string_view value) {
  const std::string fields = R"("attributes":[{"key":"k","value":)" + std::string(value) + "}]";
  return span_of(fields).attributes(0).value();
}
std::string error_of(std::string_view json) {
  std::string out = "left over";
  const Status status = read(json, out);
  EXPECT_EQ(status.code(), Code::kInvalidArgument) << json;
  EXPECT_EQ(out, "");
  return std::string(status.message());
}

std::string test_data(const char* name) {
  const char* const root = std::getenv("CLEW_TEST_DATA");
  return (root != nullptr ? std::string(root) : std::string(CLEW_SOURCE_DIR "/../shared/data")) + "/" + name;
}

TEST(JsonReader, emptyObjectIsAnEmptyRequest) {
  std::string out;
  ASSERT_TRUE(read("{}", out).ok());
  EXPECT_EQ(out, "");
  ASSERT_TRUE(read(" \r\n\t{ \"resourceSpans\" : [ ] } \n", out).ok());
  EXPECT_EQ(out, "");
  ASSERT_TRUE(read("\xef\xbb\xbf{}", out).ok());
}

TEST(JsonReader, theSpecificationsExample) {
  std::ifstream file(test_data("zoo/otlp-proto-example.jsonl"));
  if (!file) GTEST_SKIP() << "no test data: set CLEW_TEST_DATA";
  std::string line;
  std::getline(file, line);
  const ExportTraceServiceRequest request = parsed(line);
  ASSERT_EQ(request.resource_spans_size(), 1);
  EXPECT_EQ(request.resource_spans(0).resource().attributes(0).value().string_value(), "my.service");
  const auto& scope_spans = request.resource_spans(0).scope_spans(0);
  EXPECT_EQ(scope_spans.scope().name(), "my.library");
  EXPECT_EQ(scope_spans.scope().version(), "1.0.0");
  EXPECT_EQ(scope_spans.scope().attributes(0).key(), "my.scope.attribute");
  const Span& span = scope_spans.spans(0);
  EXPECT_EQ(span.trace_id(), "\x5B\x8E\xFF\xF7\x98\x03\x81\x03\xD2\x69\xB6\x33\x81\x3F\xC6\x0C");
  EXPECT_EQ(span.span_id(), "\xEE\xE1\x9B\x7E\xC3\xC1\xB1\x74");
  EXPECT_EQ(span.parent_span_id(), "\xEE\xE1\x9B\x7E\xC3\xC1\xB1\x73");
  EXPECT_EQ(span.name(), "I'm a server span");
  EXPECT_EQ(span.start_time_unix_nano(), 1544712660000000000u);
  EXPECT_EQ(span.end_time_unix_nano(), 1544712661000000000u);
  EXPECT_EQ(span.kind(), Span::SPAN_KIND_SERVER);
}

TEST(JsonReader, filesOfTheZooComeOutAsProtobufSerializesThem) {
  std::ifstream index(test_data("zoo/index.json"));
  if (!index) GTEST_SKIP() << "no test data: set CLEW_TEST_DATA";
  JsonReader reader;
  std::string out;
  size_t lines = 0;
  for (const char* name : {"zoo/zipkin-yelp.jsonl", "zoo/zipkin-smartthings-mobile-web-install.jsonl",
                           "zoo/jaeger-ui-genai.jsonl", "zoo/dsb-social-network.jsonl",
                           "zoo/crisp-critical-path-cases.jsonl", "zoo/jaeger-link_attributes_trace.jsonl"}) {
    std::ifstream file(test_data(name));
    for (std::string line; std::getline(file, line);) {
      const Status status = reader.to_protobuf(line, Limits(), out);
      ASSERT_TRUE(status.ok()) << name << ": " << status.to_string();
      ExportTraceServiceRequest request;
      ASSERT_TRUE(request.ParseFromString(out)) << name;
      EXPECT_EQ(serialized(request), out) << name;
      ++lines;
    }
  }
  EXPECT_GT(lines, 50u);
}

TEST(JsonReader, idsInEitherCaseAndInLinks) {
  const Span span = span_of(
      R"("traceId":"5b8EFFf798038103d269b633813fc60c","spanId":"EEE19b7ec3c1b174","parentSpanId":"eee19b7ec3c1b173",
      "links":[{"traceId":"000102030405060708090A0B0C0D0E0F","spanId":"a0A1a2A3a4A5a6A7","traceState":"a=b","flags":257}])");
  EXPECT_EQ(span.trace_id().size(), 16u);
  EXPECT_EQ(span.span_id(), "\xEE\xE1\x9B\x7E\xC3\xC1\xB1\x74");
  EXPECT_EQ(span.parent_span_id(), "\xEE\xE1\x9B\x7E\xC3\xC1\xB1\x73");
  EXPECT_EQ(span.links(0).trace_id(), std::string("\0\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xf", 16));
  EXPECT_EQ(span.links(0).span_id(), "\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7");
  EXPECT_EQ(span.links(0).flags(), 257u);
}

TEST(JsonReader, idOfAnotherLengthPassesSoThatOnlyItsSpanIsRejected) {
  EXPECT_EQ(span_of(R"("traceId":"0102","name":"n")").trace_id(), "\x01\x02");
  EXPECT_EQ(span_of(R"("spanId":"010203040506070809")").span_id(), "\1\2\3\4\5\6\7\x8\x9");
}

TEST(JsonReader, idThatIsNotHexIsInvalidNeverAbsent) {
  EXPECT_EQ(span_of(R"("traceId":"zz8efff798038103d269b633813fc60c","name":"kept")").trace_id(), "");
  EXPECT_EQ(span_of(R"("traceId":"zz8efff798038103d269b633813fc60c","name":"kept")").name(), "kept");
  EXPECT_EQ(span_of(R"("spanId":"123")").span_id(), "");
  // An empty parent would make the span a root: one byte cannot be taken for an id.
  EXPECT_EQ(span_of(R"("parentSpanId":"not hex!")").parent_span_id(), std::string(1, '\0'));
  EXPECT_EQ(span_of(R"("parentSpanId":"")").parent_span_id(), "");
}

TEST(JsonReader, integersAsStringOrNumber) {
  for (const char* text : {"\"1544712660000000001\"", "1544712660000000001"}) {
    EXPECT_EQ(span_of(std::string("\"startTimeUnixNano\":") + text).start_time_unix_nano(), 1544712660000000001u);
  }
  EXPECT_EQ(span_of(R"("endTimeUnixNano":"18446744073709551615")").end_time_unix_nano(),
            std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(span_of(R"("endTimeUnixNano":1.5e18)").end_time_unix_nano(), 1500000000000000000u);
  EXPECT_EQ(value_of(R"({"intValue":"-9223372036854775808"})").int_value(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(value_of(R"({"intValue":-9223372036854775808})").int_value(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(value_of(R"({"intValue":9223372036854775807})").int_value(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(value_of(R"({"intValue":3.0})").int_value(), 3);
  EXPECT_EQ(span_of(R"("droppedAttributesCount":4294967295,"flags":"769")").dropped_attributes_count(), 4294967295u);
  EXPECT_EQ(span_of(R"("droppedAttributesCount":4294967295,"flags":"769")").flags(), 769u);
}

TEST(JsonReader, numbersOutOfRangeAreErrorsWithTheirPlace) {
  EXPECT_THAT(error_of(in_span(R"("flags":4294967296)")),
              HasSubstr("resourceSpans[0].scopeSpans[0].spans[0].flags, byte 52:"));
  EXPECT_THAT(error_of(in_span(R"("startTimeUnixNano":-1)")), HasSubstr("startTimeUnixNano"));
  EXPECT_THAT(error_of(in_span(R"("startTimeUnixNano":18446744073709551616)")), HasSubstr("startTimeUnixNano"));
  EXPECT_THAT(error_of(in_span(R"("startTimeUnixNano":1.8446744073709552e19)")), HasSubstr("startTimeUnixNano"));
  EXPECT_THAT(error_of(in_span(R"("startTimeUnixNano":"")")), HasSubstr("startTimeUnixNano"));
  EXPECT_THAT(error_of(in_value(R"({"intValue":9223372036854775808})")), HasSubstr("attributes[0].value.intValue"));
  EXPECT_THAT(error_of(in_value(R"({"intValue":1.5})")), HasSubstr("64-bit integer"));
  EXPECT_THAT(error_of(in_value(R"({"intValue":")" + std::string(100000, '9') + "\"}")), HasSubstr("intValue"));
  EXPECT_THAT(error_of(in_value(R"({"doubleValue":1e999})")), HasSubstr("doubleValue"));
  EXPECT_THAT(error_of(in_value(R"({"doubleValue":"-"})")), HasSubstr("doubleValue"));
  EXPECT_THAT(error_of(in_value(R"({"doubleValue":""})")), HasSubstr("doubleValue"));
  EXPECT_THAT(error_of(in_value(R"({"doubleValue":"inf"})")), HasSubstr("doubleValue"));
  for (const char* number : {"01", "+1", "1.", ".5", "1e", "--1", "0x10", "1e+", "-"}) {
    EXPECT_NE(error_of(in_value(std::string("{\"doubleValue\":") + number + "}")), "") << number;
  }
}

TEST(JsonReader, doublesKeepTheirBits) {
  EXPECT_EQ(value_of(R"({"doubleValue":0.1})").double_value(), 0.1);
  EXPECT_EQ(value_of(R"({"doubleValue":"2.5e-3"})").double_value(), 2.5e-3);
  EXPECT_EQ(value_of(R"({"doubleValue":7})").double_value(), 7);
  EXPECT_EQ(value_of(R"({"doubleValue":1e-400})").double_value(), 0);
  EXPECT_EQ(value_of(R"({"doubleValue":5e-324})").double_value(), 5e-324);
  EXPECT_TRUE(std::signbit(value_of(R"({"doubleValue":-0.0})").double_value()));
  EXPECT_TRUE(std::isnan(value_of(R"({"doubleValue":"NaN"})").double_value()));
  EXPECT_EQ(value_of(R"({"doubleValue":"Infinity"})").double_value(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(value_of(R"({"doubleValue":"-Infinity"})").double_value(), -std::numeric_limits<double>::infinity());
}

TEST(JsonReader, enumsAsNumbersOrNames) {
  EXPECT_EQ(span_of(R"("kind":"SPAN_KIND_SERVER")").kind(), Span::SPAN_KIND_SERVER);
  EXPECT_EQ(span_of(R"("kind":5)").kind(), Span::SPAN_KIND_CONSUMER);
  EXPECT_EQ(span_of(R"("kind":"3")").kind(), Span::SPAN_KIND_CLIENT);
  EXPECT_EQ(static_cast<int>(span_of(R"("kind":-7)").kind()), -7);
  EXPECT_EQ(span_of(R"("status":{"code":"STATUS_CODE_ERROR","message":"m"})").status().code(), 2);
  EXPECT_EQ(span_of(R"("status":{"code":1})").status().code(), 1);
  EXPECT_THAT(error_of(in_span(R"("kind":"SERVER")")), HasSubstr("spans[0].kind"));
}

TEST(JsonReader, valuesKeepTheirTypeEvenWhenTheyHoldTheDefault) {
  EXPECT_EQ(value_of(R"({"stringValue":""})").value_case(), AnyValue::kStringValue);
  EXPECT_EQ(value_of(R"({"boolValue":false})").value_case(), AnyValue::kBoolValue);
  EXPECT_TRUE(value_of(R"({"boolValue":true})").bool_value());
  EXPECT_EQ(value_of(R"({"intValue":"0"})").value_case(), AnyValue::kIntValue);
  EXPECT_EQ(value_of(R"({"doubleValue":0})").value_case(), AnyValue::kDoubleValue);
  EXPECT_EQ(value_of(R"({"bytesValue":""})").value_case(), AnyValue::kBytesValue);
  EXPECT_EQ(value_of(R"({"arrayValue":{}})").value_case(), AnyValue::kArrayValue);
  EXPECT_EQ(value_of(R"({"kvlistValue":{"values":[]}})").value_case(), AnyValue::kKvlistValue);
  EXPECT_EQ(value_of(R"({})").value_case(), AnyValue::VALUE_NOT_SET);
  EXPECT_TRUE(span_of(R"("attributes":[{"key":"k","value":{}}])").attributes(0).has_value());
  EXPECT_FALSE(span_of(R"("attributes":[{"key":"k","value":null}])").attributes(0).has_value());
  EXPECT_EQ(value_of(R"({"stringValue":null,"intValue":4})").int_value(), 4);
}

TEST(JsonReader, severalTypesInOneValueAreAnError) {
  EXPECT_THAT(error_of(in_value(R"({"stringValue":"a","intValue":1})")), HasSubstr("several types"));
}

TEST(JsonReader, bytesInBothAlphabetsPaddedOrNot) {
  for (const char* text : {"+/8=", "+/8", "-_8=", "-_8"}) {
    EXPECT_EQ(value_of(std::string(R"({"bytesValue":")") + text + "\"}").bytes_value(), "\xfb\xff") << text;
  }
  EXPECT_EQ(value_of(R"({"bytesValue":"\/\/8="})").bytes_value(), "\xff\xff");
  for (const char* text : {"a", "a===", "ab=c", "a b=", "/x", "\xc3\xa4"}) {
    EXPECT_THAT(error_of(in_value(std::string(R"({"bytesValue":")") + text + "\"}")), HasSubstr("base64")) << text;
  }
}

TEST(JsonReader, arraysAndListsOfMixedValues) {
  const AnyValue array =
      value_of(R"({"arrayValue":{"values":[{"intValue":1},null,{"stringValue":"x"},{"arrayValue":{"values":[{}]}}]}})");
  ASSERT_EQ(array.array_value().values_size(), 4);
  EXPECT_EQ(array.array_value().values(1).value_case(), AnyValue::VALUE_NOT_SET);
  EXPECT_EQ(array.array_value().values(2).string_value(), "x");
  const AnyValue list = value_of(
      R"({"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}},{"key":"","value":{"intValue":"2"}}]}})");
  EXPECT_EQ(list.kvlist_value().values(1).value().int_value(), 2);
}

TEST(JsonReader, snakeCaseKeysAndEscapedKeys) {
  const ExportTraceServiceRequest request = parsed(R"({"resource_spans":[{"schema_url":"s","scope_spans":[{"spans":[{
      "trace_id":"5b8efff798038103d269b633813fc60c","start_time_unix_nano":"5","dropped_links_count":3,"trace\u0053tate":"k=v"}]}]}]})");
  const Span& span = request.resource_spans(0).scope_spans(0).spans(0);
  EXPECT_EQ(request.resource_spans(0).schema_url(), "s");
  EXPECT_EQ(span.trace_id().size(), 16u);
  EXPECT_EQ(span.start_time_unix_nano(), 5u);
  EXPECT_EQ(span.dropped_links_count(), 3u);
  EXPECT_EQ(span.trace_state(), "k=v");
}

TEST(JsonReader, unknownAndNullFieldsAreIgnored) {
  const Span span = span_of(
      R"("x":{"y":[1,-2.5e3,{"z":null},[],{},"a\"]"],"t":true,"f":false},"name":"n","kind":null,"events":null,"links":[null],"status":null)");
  EXPECT_EQ(span.name(), "n");
  EXPECT_EQ(span.links_size(), 0);
  EXPECT_FALSE(span.has_status());
  const ExportTraceServiceRequest old =
      parsed(R"({"resourceSpans":[{"instrumentationLibrarySpans":[{"spans":[{"name":"old"}]}]}]})");
  EXPECT_EQ(old.resource_spans(0).scope_spans_size(), 0);
}

TEST(JsonReader, fieldsComeOutInAscendingOrderWhateverTheirOrderInTheText) {
  std::string straight, shuffled;
  ASSERT_TRUE(
      read(
          in_span(
              R"("traceId":"5b8efff798038103d269b633813fc60c","name":"n","kind":2,"startTimeUnixNano":"1","attributes":[{"key":"k","value":{"stringValue":"v"}}],"status":{"message":"m","code":2})"),
          straight)
          .ok());
  ASSERT_TRUE(
      read(
          in_span(
              R"("status":{"code":2,"message":"m"},"attributes":[{"value":{"stringValue":"v"},"key":"k"}],"startTimeUnixNano":1,"kind":2,"name":"n","traceId":"5B8EFFF798038103D269B633813FC60C")"),
          shuffled)
          .ok());
  EXPECT_EQ(straight, shuffled);
  ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(straight));
  EXPECT_EQ(serialized(request), straight);
}

TEST(JsonReader, stringsAreUnescaped) {
  EXPECT_EQ(span_of(R"("name":"a\"b\\c\/d\b\f\n\r\te")").name(), "a\"b\\c/d\b\f\n\r\te");
  EXPECT_EQ(span_of(R"("name":"\u0041\u00e9\u20ac\ud83d\ude00")").name(), "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(span_of(R"("name":"a\u0000b")").name(), std::string("a\0b", 3));
  EXPECT_EQ(span_of("\"name\":\"\xf0\x9f\x98\x80\"").name(), "\xf0\x9f\x98\x80");
  const std::string longer(1000, 'x');
  EXPECT_EQ(span_of("\"name\":\"" + longer + "\\n\"").name(), longer + "\n");
}

TEST(JsonReader, aSurrogateWithoutItsPartnerIsReplacedAndTheSpanKept) {
  for (const char* text : {R"(\ud83d)", R"(\ude00)"}) {
    EXPECT_EQ(span_of(std::string("\"name\":\"") + text + "\"").name(), "\xef\xbf\xbd") << text;
  }
  EXPECT_EQ(span_of(R"("name":"\ud83d\ud83d\ude00")").name(), "\xef\xbf\xbd\xf0\x9f\x98\x80");
  EXPECT_EQ(span_of(R"("name":"\ud83d\u0041")").name(),
            "\xef\xbf\xbd"
            "A");
}

TEST(JsonReader, malformedStringsAreErrors) {
  EXPECT_THAT(error_of(in_span("\"name\":\"a\nb\"")), HasSubstr("control character"));
  EXPECT_THAT(error_of(in_span(std::string("\"name\":\"a\0b\"", 12))), HasSubstr("control character"));
  EXPECT_THAT(error_of(in_span(R"("name":"\x41")")), HasSubstr("bad escape"));
  EXPECT_THAT(error_of(in_span(R"("name":"\u12g4")")), HasSubstr("bad escape"));
  EXPECT_THAT(error_of(in_span(R"("name":7)")), HasSubstr("expected a string"));
}

TEST(JsonReader, invalidUtf8IsNamedByItsByte) {
  const std::string good = in_span("\"name\":\"0123456789\"");
  const size_t at = good.find("456");
  for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\x80", "\xe2\x82"}) {
    std::string json = good;
    json.insert(at, bad);
    EXPECT_THAT(error_of(json), HasSubstr("byte " + std::to_string(at) + ": not UTF-8"));
  }
}

TEST(JsonReader, aKeyGivenTwiceIsAnError) {
  EXPECT_THAT(error_of(in_span(R"("name":"a","name":"b")")), HasSubstr("spans[0].name"));
}

TEST(JsonReader, wrongShapesAreErrorsWithTheirPlace) {
  EXPECT_THAT(error_of("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(error_of(""), HasSubstr("expected an object"));
  EXPECT_THAT(error_of("{} {}"), HasSubstr("something follows"));
  EXPECT_THAT(error_of(R"({"resourceSpans":{}})"), HasSubstr("resourceSpans, byte 17: expected an array"));
  EXPECT_THAT(error_of(R"({"resourceSpans":[{},{"scopeSpans":[{},{},{"spans":[7]}]}]})"),
              HasSubstr("resourceSpans[1].scopeSpans[2].spans[0], byte"));
  EXPECT_THAT(error_of(R"({"resourceSpans":[],})"), HasSubstr("key after the comma"));
  EXPECT_THAT(error_of(R"({"resourceSpans":[,]})"), HasSubstr("resourceSpans[0]"));
  EXPECT_THAT(error_of(R"({"resourceSpans":[{},]})"), HasSubstr("resourceSpans[1]"));
  EXPECT_THAT(error_of(R"({"a":[1,2}})"), HasSubstr("byte 9"));
  EXPECT_THAT(error_of(in_span(R"("traceId":12)")), HasSubstr("spans[0].traceId"));
  EXPECT_THAT(error_of(in_value(R"({"boolValue":"true"})")), HasSubstr("boolValue"));
}

std::string nested_arrays(size_t depth) {
  std::string open, close;
  for (size_t i = 0; i < depth; ++i) {
    open += R"({"arrayValue":{"values":[)";
    close += "]}}";
  }
  return open + close;
}

TEST(JsonReader, nestedValuesUpToTheLimitAndNoFurther) {
  Limits limits;
  limits.max_depth = 8;
  JsonReader reader;
  std::string out;
  EXPECT_TRUE(reader.to_protobuf(in_value(nested_arrays(8)), limits, out).ok());
  const Status status = reader.to_protobuf(in_value(nested_arrays(9)), limits, out);
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("nested too deeply"));
  EXPECT_TRUE(reader.to_protobuf(in_value(nested_arrays(8)), limits, out).ok())
      << "the failure before must leave nothing behind";
}

TEST(JsonReader, depthBombsEndEarly) {
  EXPECT_NE(error_of(in_value(nested_arrays(100000))), "");
  EXPECT_THAT(error_of("{\"x\":" + std::string(8'000'000, '[')), HasSubstr("too deeply"));
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"x\":";
  EXPECT_THAT(error_of(objects), HasSubstr("too deeply"));
  EXPECT_TRUE(parsed("{\"x\":" + std::string(500, '[') + std::string(500, ']') + "}").resource_spans().empty());
}

TEST(JsonReader, truncatedAtEveryByteItIsAnError) {
  const std::string json = in_span(
      R"("traceId":"5b8efff798038103d269b633813fc60c","name":"a\nb\u00e9","kind":2,"startTimeUnixNano":"1","flags":257,"unknown":[1.5e3,{"a":true}],"attributes":[{"key":"k","value":{"doubleValue":-1.5}}],"status":null)");
  ASSERT_EQ(parsed(json).resource_spans_size(), 1);
  for (size_t size = 0; size < json.size(); ++size) {
    // A copy of exactly this size, so that a sanitizer sees a read past the end.
    const std::vector<char> cut(json.begin(), json.begin() + static_cast<ptrdiff_t>(size));
    std::string out;
    EXPECT_EQ(read(std::string_view(cut.data(), cut.size()), out).code(), Code::kInvalidArgument) << size;
  }
}

TEST(JsonReader, everyByteReplacedIsReadOrRefused) {
  const std::string json =
      in_span(R"("name":"a\nb","kind":2,"flags":257,"attributes":[{"key":"k","value":{"intValue":"1"}}])");
  JsonReader reader;
  std::string out;
  for (size_t at = 0; at < json.size(); ++at) {
    for (const char c : {'\0', '"', '\\', '{', '}', '[', ']', ',', ':', '0', '-', 'n', ' ', '\xff'}) {
      std::string changed = json;
      changed[at] = c;
      if (!reader.to_protobuf(changed, Limits(), out).ok()) continue;
      ExportTraceServiceRequest request;
      EXPECT_TRUE(request.ParseFromString(out)) << changed;
    }
  }
}

TEST(JsonReader, anyRequestWrittenAnyWayComesOutAsProtobufSerializesIt) {
  JsonReader reader;  // one for all: what it learnt from one document must not show in the next
  std::string out;
  EXPECT_TRUE(rc::check([&](uint64_t seed) {
    RandomRequest writer(seed);
    const ExportTraceServiceRequest request = writer.request();
    const std::string json = writer.json(request);
    const Status status = reader.to_protobuf(json, Limits(), out);
    if (!status.ok()) RC_FAIL(status.to_string() + "\n" + json);
    RC_ASSERT(out == serialized(request));
  }));
}

}  // namespace
}  // namespace clew::otlp

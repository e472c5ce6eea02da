#include "otlp/encode.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <simdjson.h>

#include "model/any_value.h"
#include "model/context.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"
#include "otlp/json.h"
#include "otlp/protobuf_writer.h"
#include "otlp/random_request_test.h"

namespace clew::otlp {
namespace {

using opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
using ::testing::HasSubstr;

// A trace made from protobuf's classes, independently of the decoder. Entries are what the envelope keeps: the message
// without its children.
template <typename List>
std::vector<model::Attribute> attributes_of(const List& list, model::Arena& arena) {
  std::vector<model::Attribute> result;
  for (const auto& pair : list) {
    EXPECT_TRUE(model::read_key_value(arena.keep(serialized(pair)), result.emplace_back()));
  }
  return result;
}

void add_spans(const ExportTraceServiceRequest& request, model::TraceData& trace) {
  model::Arena& arena = trace.arena;
  for (const auto& resource_spans : request.resource_spans()) {
    auto without_scopes = resource_spans;
    without_scopes.clear_scope_spans();
    model::Resource& resource = trace.resources.emplace_back();
    EXPECT_TRUE(model::read_resource(arena.keep(serialized(without_scopes)), resource));
    for (const auto& scope_spans : resource_spans.scope_spans()) {
      auto without_spans = scope_spans;
      without_spans.clear_spans();
      model::Scope& scope = trace.scopes.emplace_back();
      EXPECT_TRUE(model::read_scope(arena.keep(serialized(without_spans)), scope));
      for (const auto& from : scope_spans.spans()) {
        model::Span& span = trace.spans.emplace_back();
        span.resource = &resource;
        span.scope = &scope;
        trace.key.trace = model::TraceId::from_bytes(from.trace_id().data());
        span.id = model::SpanId::from_bytes(from.span_id().data());
        if (!from.parent_span_id().empty()) span.parent = model::SpanId::from_bytes(from.parent_span_id().data());
        span.trace_state = arena.keep(from.trace_state());
        span.name = arena.keep(from.name());
        span.kind = static_cast<model::SpanKind>(from.kind());
        span.start_ns = static_cast<int64_t>(from.start_time_unix_nano());
        span.end_ns = static_cast<int64_t>(from.end_time_unix_nano());
        span.attributes = attributes_of(from.attributes(), arena);
        span.dropped_attributes = from.dropped_attributes_count();
        span.dropped_events = from.dropped_events_count();
        span.dropped_links = from.dropped_links_count();
        span.status = static_cast<model::StatusCode>(from.status().code());
        span.status_message = arena.keep(from.status().message());
        span.flags = from.flags();
        for (const auto& event : from.events()) {
          span.events.push_back({static_cast<int64_t>(event.time_unix_nano()),
                                 arena.keep(event.name()),
                                 attributes_of(event.attributes(), arena),
                                 event.dropped_attributes_count(),
                                 {}});
        }
        for (const auto& link : from.links()) {
          span.links.push_back({model::TraceId::from_bytes(link.trace_id().data()),
                                model::SpanId::from_bytes(link.span_id().data()),
                                arena.keep(link.trace_state()),
                                attributes_of(link.attributes(), arena),
                                link.dropped_attributes_count(),
                                link.flags(),
                                {}});
        }
      }
    }
  }
}

TEST(EncodeProtobuf, spansComeOutByteForByteAsTheyCame) {
  EXPECT_TRUE(rc::check([](uint64_t seed) {
    RandomRequest random(seed);
    const ExportTraceServiceRequest request = random.one_trace();
    model::TraceData trace;
    add_spans(request, trace);
    std::string out;
    encode_protobuf(trace, out);
    RC_ASSERT(out == serialized(request));
  }));
}

// JSON always has a status.
ExportTraceServiceRequest as_json_says(ExportTraceServiceRequest request) {
  for (auto& resource_spans : *request.mutable_resource_spans()) {
    for (auto& scope_spans : *resource_spans.mutable_scope_spans()) {
      for (auto& span : *scope_spans.mutable_spans()) span.mutable_status();
    }
  }
  return request;
}
template <typename List>
void give_every_pair_a_value(List& list) {
  for (auto& pair : list) {
    auto& value = *pair.mutable_value();
    if (value.has_kvlist_value()) give_every_pair_a_value(*value.mutable_kvlist_value()->mutable_values());
    if (!value.has_array_value()) continue;
    for (auto& element : *value.mutable_array_value()->mutable_values()) {
      opentelemetry::proto::common::v1::KeyValueList wrapped;
      *wrapped.add_values()->mutable_value() = element;
      give_every_pair_a_value(*wrapped.mutable_values());
      element = wrapped.values(0).value();
    }
  }
}
void give_every_pair_a_value_in(ExportTraceServiceRequest& request) {
  for (auto& resource_spans : *request.mutable_resource_spans()) {
    if (resource_spans.has_resource())
      give_every_pair_a_value(*resource_spans.mutable_resource()->mutable_attributes());
    for (auto& scope_spans : *resource_spans.mutable_scope_spans()) {
      if (scope_spans.has_scope()) give_every_pair_a_value(*scope_spans.mutable_scope()->mutable_attributes());
      for (auto& span : *scope_spans.mutable_spans()) {
        give_every_pair_a_value(*span.mutable_attributes());
        for (auto& event : *span.mutable_events()) give_every_pair_a_value(*event.mutable_attributes());
        for (auto& link : *span.mutable_links()) give_every_pair_a_value(*link.mutable_attributes());
      }
    }
  }
}

TEST(EncodeJson, otlpJsonIsReadBackAsTheSameSpans) {
  EXPECT_TRUE(rc::check([](uint64_t seed) {
    RandomRequest random(seed);
    ExportTraceServiceRequest request = random.one_trace();
    model::TraceData trace;
    add_spans(request, trace);
    std::string json, protobuf;
    encode_json(trace, JsonFlavour::kOtlp, json);
    const Status status = JsonReader().to_protobuf(json, Limits(), protobuf);
    if (!status.ok()) RC_FAIL(status.to_string() + "\n" + json);
    request = as_json_says(request);
    give_every_pair_a_value_in(request);
    RC_ASSERT(protobuf == serialized(request));
  }));
}

TEST(EncodeJson, protobufsOwnParserReadsTheProtobufFlavour) {
  EXPECT_TRUE(rc::check([](uint64_t seed) {
    RandomRequest random(seed);
    ExportTraceServiceRequest request = random.one_trace(), read;
    model::TraceData trace;
    add_spans(request, trace);
    std::string json;
    encode_json(trace, JsonFlavour::kProtobuf, json);
    const auto status = google::protobuf::util::JsonStringToMessage(json, &read);
    if (!status.ok()) RC_FAIL(std::string(status.message()) + "\n" + json);
    request = as_json_says(request);
    give_every_pair_a_value_in(request);
    RC_ASSERT(serialized(read) == serialized(request));
  }));
}

TEST(EncodeJson, flavoursDifferInIdsAndEnums) {
  model::TraceData trace;
  trace.key.trace = {0x0102030405060708, 0x090a0b0c0d0e0f10};
  model::Span& span = trace.spans.emplace_back();
  span.id = {0xabcdef};
  span.kind = model::SpanKind::kServer;
  span.status = model::StatusCode::kError;
  span.start_ns = -1;
  std::string otlp, protobuf;
  encode_json(trace, JsonFlavour::kOtlp, otlp);
  encode_json(trace, JsonFlavour::kProtobuf, protobuf);
  EXPECT_EQ(
      otlp,
      R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0000000000abcdef","name":"",)"
      R"("kind":2,"startTimeUnixNano":"18446744073709551615","endTimeUnixNano":"0","status":{"code":2}}]}]}]})");
  EXPECT_THAT(protobuf, HasSubstr(R"("traceId":"AQIDBAUGBwgJCgsMDQ4PEA==","spanId":"AAAAAACrze8=")"));
  EXPECT_THAT(protobuf, HasSubstr(R"("kind":"SPAN_KIND_SERVER")"));
  EXPECT_THAT(protobuf, HasSubstr(R"("status":{"code":"STATUS_CODE_ERROR"})"));
}

TEST(EncodeProtobuf, unknownFieldsOfSpansEventsLinksAndEntriesGoOut) {
  std::string unknown;
  ProtobufWriter(unknown).bytes(900, "kept");
  std::string resource_entry, attribute;
  ProtobufWriter writer(resource_entry);
  writer.message(1, [&] { writer.verbatim(unknown); });
  writer.bytes(3, "schema");
  writer.verbatim(unknown);
  ProtobufWriter raw(attribute);
  raw.bytes(1, "key");
  raw.verbatim(unknown);

  model::TraceData trace;
  trace.key.trace = {1, 2};
  model::Resource& resource = trace.resources.emplace_back();
  resource.raw = resource_entry;
  model::Span& span = trace.spans.emplace_back();
  span.resource = &resource;
  span.unknown = unknown;
  span.events.emplace_back().unknown = unknown;
  span.links.emplace_back().unknown = unknown;
  span.attributes.push_back({"key", {model::ValueType::kRaw, attribute}});
  std::string out;
  encode_protobuf(trace, out);

  ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(out));
  const auto& resource_spans = request.resource_spans(0);
  const auto& read = resource_spans.scope_spans(0).spans(0);
  EXPECT_EQ(resource_spans.schema_url(), "schema");
  EXPECT_EQ(read.attributes(0).key(), "key");
  const google::protobuf::Message* const places[] = {
      &resource_spans, &resource_spans.resource(), &read, &read.events(0), &read.links(0), &read.attributes(0)};
  for (const google::protobuf::Message* place : places) {
    const auto& fields = place->GetReflection()->GetUnknownFields(*place);
    ASSERT_EQ(fields.field_count(), 1);
    EXPECT_EQ(fields.field(0).number(), 900);
    EXPECT_EQ(fields.field(0).length_delimited(), "kept");
  }
}

TEST(EncodeProtobuf, spansAreGroupedByResourceAndScopeInOrderOfFirstAppearance) {
  model::TraceData trace;
  model::Resource& shop = trace.resources.emplace_back();
  shop.schema_url = "shop";
  model::Resource& bank = trace.resources.emplace_back();
  bank.schema_url = "bank";
  model::Scope& http = trace.scopes.emplace_back();
  http.name = "http";
  model::Scope& sql = trace.scopes.emplace_back();
  sql.name = "sql";
  const std::pair<const model::Resource*, const model::Scope*> places[] = {
      {&bank, &sql}, {&shop, &http}, {&bank, &http}, {&bank, &sql}, {nullptr, nullptr}};
  for (size_t i = 0; i < std::size(places); ++i) {
    model::Span& span = trace.spans.emplace_back();
    span.id = {i + 1};
    span.resource = places[i].first;
    span.scope = places[i].second;
  }
  std::string out;
  encode_protobuf(trace, out);
  ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(out));
  ASSERT_EQ(request.resource_spans_size(), 3);
  EXPECT_EQ(request.resource_spans(0).schema_url(), "bank");
  ASSERT_EQ(request.resource_spans(0).scope_spans_size(), 2);
  EXPECT_EQ(request.resource_spans(0).scope_spans(0).scope().name(), "sql");
  EXPECT_EQ(request.resource_spans(0).scope_spans(0).spans_size(), 2);
  EXPECT_EQ(request.resource_spans(1).scope_spans(0).scope().name(), "http");
  EXPECT_FALSE(request.resource_spans(2).has_resource());
}

std::string json_of(const model::Value& value) {
  std::string out;
  append_any_value_json(value, JsonFlavour::kOtlp, out);
  return out;
}
model::Value string_value(std::string_view text) { return {model::ValueType::kString, text}; }

TEST(ValueJson, everyType) {
  EXPECT_EQ(json_of({}), "{}");
  EXPECT_EQ(json_of(string_value("x")), R"({"stringValue":"x"})");
  EXPECT_EQ(json_of({model::ValueType::kBool, {}, 1}), R"({"boolValue":true})");
  EXPECT_EQ(json_of({model::ValueType::kInt, {}, std::numeric_limits<int64_t>::min()}),
            R"({"intValue":"-9223372036854775808"})");
  EXPECT_EQ(json_of({model::ValueType::kDouble, {}, 0, 0.1}), R"({"doubleValue":0.1})");
  EXPECT_EQ(json_of({model::ValueType::kDouble, {}, 0, -std::numeric_limits<double>::infinity()}),
            R"({"doubleValue":"-Infinity"})");
  EXPECT_EQ(json_of({model::ValueType::kBytes, "\xff\xfe"}), R"({"bytesValue":"//4="})");
}

TEST(ValueText, isWhatPeopleWouldWrite) {
  opentelemetry::proto::common::v1::AnyValue any;
  auto& values = *any.mutable_array_value();
  values.add_values()->set_int_value(-1);
  values.add_values()->set_string_value("a\"b");
  values.add_values();
  auto& pair = *values.add_values()->mutable_kvlist_value()->add_values();
  pair.set_key("k");
  pair.mutable_value()->set_double_value(0.5);
  values.add_values()->set_bytes_value("\xff");
  const std::string bytes = serialized(any);
  EXPECT_EQ(value_text({model::ValueType::kComplex, bytes}), R"([-1,"a\"b",null,{"k":0.5},"/w=="])");
  EXPECT_EQ(
      json_of({model::ValueType::kComplex, bytes}),
      R"({"arrayValue":{"values":[{"intValue":"-1"},{"stringValue":"a\"b"},{},{"kvlistValue":{"values":[{"key":"k","value":{"doubleValue":0.5}}]}},{"bytesValue":"/w=="}]}})");
  EXPECT_EQ(value_text(string_value("a\"b")), "a\"b");
  EXPECT_EQ(value_text({model::ValueType::kBool, {}, 0}), "false");
  EXPECT_EQ(value_text({model::ValueType::kInt, {}, 42}), "42");
  EXPECT_EQ(value_text({model::ValueType::kDouble, {}, 0, std::numeric_limits<double>::quiet_NaN()}), "NaN");
  EXPECT_EQ(value_text({model::ValueType::kBytes, "\xff"}), "/w==");
  EXPECT_EQ(value_text({}), "");
  std::string raw;
  ProtobufWriter writer(raw);
  writer.bytes(1, "key");
  writer.message(2, [&] { writer.varint(3, 7, true); });
  writer.varint(900, 1);
  EXPECT_EQ(value_text({model::ValueType::kRaw, raw}), "7");
  EXPECT_EQ(json_of({model::ValueType::kRaw, raw}), R"({"intValue":"7"})");
}

TEST(ValueJson, hostileBytesEndInValidJsonOfBoundedDepth) {
  std::string deep;
  for (int i = 0; i < 2000; ++i) {
    std::string outer;
    ProtobufWriter writer(outer);
    writer.message(5, [&] { writer.bytes(1, deep, true); });
    deep = outer;
  }
  std::string cut = deep.substr(0, deep.size() / 2);
  for (const std::string& bytes : {deep, cut, std::string("\xff\xff\xff"), std::string("\x0a")}) {
    for (const std::string& json :
         {json_of({model::ValueType::kComplex, bytes}), value_text({model::ValueType::kComplex, bytes})}) {
      simdjson::dom::parser parser;
      EXPECT_EQ(parser.parse(json).error(), simdjson::SUCCESS) << json.substr(0, 200);
    }
  }
}

TEST(JsonString, escapesWhatMustBeAndReplacesWhatIsNotUtf8) {
  const auto quoted = [](std::string_view text) {
    std::string out;
    append_json_string(text, out);
    return out;
  };
  EXPECT_EQ(quoted(""), R"("")");
  EXPECT_EQ(quoted("a\"\\/\n\r\t\b\x1f\x7f"), "\"a\\\"\\\\/\\n\\r\\t\\u0008\\u001f\x7f\"");
  EXPECT_EQ(quoted(std::string_view("\0", 1)), R"("\u0000")");
  EXPECT_EQ(quoted("é€😀"), "\"é€😀\"");
  EXPECT_EQ(quoted("a\xff"
                   "b\xe2\x82"),
            "\"a\xef\xbf\xbd"
            "b\xef\xbf\xbd\xef\xbf\xbd\"");
  EXPECT_EQ(quoted("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(JsonString, anyBytesBecomeAValidJsonString) {
  EXPECT_TRUE(rc::check([](const std::vector<uint8_t>& bytes) {
    std::string out;
    append_json_string(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), out);
    simdjson::dom::parser parser;
    RC_ASSERT(parser.parse("[" + out + "]").error() == simdjson::SUCCESS);
  }));
}

}  // namespace
}  // namespace clew::otlp

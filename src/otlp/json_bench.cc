// How fast OTLP JSON becomes protobuf, beside what is done to the same bytes anyway: checking their UTF-8, and
// protobuf's own JSON parser. Bytes a second are bytes of JSON.
#include <benchmark/benchmark.h>
#include <google/protobuf/util/json_util.h>
#include <simdjson.h>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"
#include "otlp/json.h"

namespace clew::otlp {
namespace {

// A request as SDKs send them: one resource, one scope, HTTP server spans with eight attributes.
std::string request(int spans) {
  std::string json =
      R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"checkout"}}]},)"
      R"("scopeSpans":[{"scope":{"name":"http","version":"1.2.0"},"spans":[)";
  for (int i = 0; i < spans; ++i) {
    char id[17];
    std::snprintf(id, sizeof id, "%016x", 0x1234567u * static_cast<unsigned>(i + 1));
    json += i == 0 ? "" : ",";
    json +=
        std::string(R"({"traceId":"5b8efff798038103)") + id + R"(","spanId":")" + id +
        R"(","parentSpanId":"","name":"GET /api/v1/orders/{id}","kind":2,"startTimeUnixNano":"1544712660000000000",)"
        R"("endTimeUnixNano":"1544712661000000000","attributes":[)"
        R"({"key":"http.request.method","value":{"stringValue":"GET"}},)"
        R"({"key":"url.path","value":{"stringValue":"/api/v1/orders/00123"}},)"
        R"({"key":"http.response.status_code","value":{"intValue":"200"}},)"
        R"({"key":"server.address","value":{"stringValue":"shop.example.com"}},)"
        R"({"key":"server.port","value":{"intValue":443}},)"
        R"({"key":"user_agent.original","value":{"stringValue":"Mozilla/5.0 (X11; Linux x86_64) \"Gecko\""}},)"
        R"({"key":"sampling.ratio","value":{"doubleValue":0.25}},)"
        R"({"key":"retry","value":{"boolValue":false}}],"status":{"code":1},"flags":257})";
  }
  return json + "]}]}]}";
}

void json_to_protobuf(benchmark::State& state) {
  const std::string json = request(static_cast<int>(state.range(0)));
  JsonReader reader;
  std::string out;
  for ([[maybe_unused]] auto _ : state) {
    if (!reader.to_protobuf(json, Limits(), out).ok()) state.SkipWithError("not read");
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * json.size()));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(json_to_protobuf)->Arg(1)->Arg(8)->Arg(256)->Arg(8192);

void validate_utf8_only(benchmark::State& state) {
  const std::string json = request(256);
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(simdjson::validate_utf8(json));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * json.size()));
}
BENCHMARK(validate_utf8_only);

void protobuf_json_parser(benchmark::State& state) {
  const std::string json = request(256);
  for ([[maybe_unused]] auto _ : state) {
    opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest message;
    if (!google::protobuf::util::JsonStringToMessage(json, &message).ok()) state.SkipWithError("not read");
    benchmark::DoNotOptimize(message.SerializeAsString());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * json.size()));
}
BENCHMARK(protobuf_json_parser);

}  // namespace
}  // namespace clew::otlp

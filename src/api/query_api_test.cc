// The three query APIs against hand-made traces. Whole replies are compared with src/api/testdata/<name>; to write them
// anew: CLEW_UPDATE_GOLDEN=1 build/release/api_test --gtest_filter='QueryApi*', then read the difference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "api/clew_api.h"
#include "api/clew_names.h"
#include "api/fake_queries.h"
#include "api/jaeger.h"
#include "api/query_router.h"
#include "api/tempo.h"
#include "base/varint.h"

namespace clew::api {
namespace {

constexpr const char* kShop = "0af7651916cd43dd8448eb211c80319c";

class QueryApi : public testing::Test {
 protected:
  QueryApi() {
    const QueryDeps deps{queries_, clock_, "0.1.0", [](const std::string* tenant) {
                           return tenant == nullptr ? std::string("log:\n  level: info\n") : "of " + *tenant;
                         }};
    add_query_routes(jaeger_, deps, QueryPort::kJaeger);
    add_query_routes(tempo_, deps, QueryPort::kTempo);
  }

  static HttpResponse ask(const HttpRouter& router, const std::string& target, const std::string& accept = "",
                          const std::string& method = "GET", const std::string& body = "",
                          const std::string& tenant = "default", bool tenant_only = false) {
    auto request = std::make_shared<HttpRequest>();
    request->method = method;
    request->set_target(target);
    request->tenant = tenant;
    request->tenant_only = tenant_only;
    request->body = body;
    if (!accept.empty()) request->headers.emplace_back("accept", accept);
    HttpResponse answer;
    int calls = 0;
    router.dispatch(request, [&](HttpResponse response) {
      answer = std::move(response);
      ++calls;
    });
    EXPECT_EQ(calls, 1) << target;
    return answer;
  }
  HttpResponse jaeger(const std::string& target) const { return ask(jaeger_, target); }
  HttpResponse tempo(const std::string& target) const { return ask(tempo_, target); }

  static void expect_golden(const std::string& name, const HttpResponse& response) {
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(response.content_type, "application/json");
    const std::string path = std::string(CLEW_SOURCE_DIR) + "/src/api/testdata/" + name;
    if (std::getenv("CLEW_UPDATE_GOLDEN")) std::ofstream(path) << response.body << "\n";
    std::ifstream file(path);
    std::stringstream golden;
    golden << file.rdbuf();
    EXPECT_EQ(response.body + "\n", golden.str()) << name;
  }

  FakeQueries queries_;
  FixedClock clock_;
  HttpRouter jaeger_, tempo_;
};

TEST_F(QueryApi, WholeReplies) {
  const std::string shop = kShop;
  expect_golden("jaeger_trace.json", jaeger("/api/traces/" + shop));
  expect_golden("jaeger_find.json", jaeger("/api/traces?service=batch&limit=5"));
  expect_golden("jaeger_v3_trace.json", jaeger("/api/v3/traces/" + shop));
  expect_golden("jaeger_v3_find.json", jaeger("/api/v3/traces?query.serviceName=batch"));
  expect_golden("jaeger_v3_summaries.json", jaeger("/api/v3/trace-summaries?query.service_name=web"));
  expect_golden("tempo_trace_v1.json", tempo("/api/traces/" + shop));
  expect_golden("tempo_trace_v2.json", tempo("/api/v2/traces/" + shop));
  expect_golden("tempo_search.json", tempo("/api/search?q=%7B%7D&spss=2"));
  expect_golden("clew_trace.json", jaeger("/clew/v1/traces/" + shop));
  expect_golden("clew_verdict.json", jaeger("/clew/v1/traces/" + shop + "/verdict"));
  expect_golden("clew_search.json", jaeger("/clew/v1/search?state=incomplete&finding=orphan&since=1h"));
  expect_golden("clew_stats.json", jaeger("/clew/v1/stats"));
}

TEST_F(QueryApi, JaegerLists) {
  EXPECT_EQ(
      jaeger("/api/services").body,
      R"({"data":["OTLPResourceNoServiceName","batch","cart","web"],"total":4,"limit":0,"offset":0,"errors":null})");
  EXPECT_EQ(jaeger("/api/services/web/operations").body,
            R"({"data":["GET /cart","POST /cart"],"total":2,"limit":0,"offset":0,"errors":null})");
  EXPECT_EQ(jaeger("/api/operations?service=web&spanKind=client").body,
            R"({"data":[{"name":"GET /cart","spanKind":"client"}],"total":1,"limit":0,"offset":0,"errors":null})");
  EXPECT_EQ(jaeger("/api/operations").status, 400);
  EXPECT_EQ(jaeger("/api/v3/services").body, R"({"services":["OTLPResourceNoServiceName","batch","cart","web"]})");
  EXPECT_EQ(jaeger("/api/v3/operations?service=web&span_kind=server").body,
            R"({"operations":[{"name":"GET /cart","spanKind":"server"},{"name":"POST /cart","spanKind":"server"}]})");
  EXPECT_EQ(jaeger("/api/dependencies?endTs=1760000100000&lookback=3600000").body,
            R"({"data":[{"parent":"web","child":"cart","callCount":1}],"total":1,"limit":0,"offset":0,"errors":null})");
}

TEST_F(QueryApi, JaegerNotFoundIs404AndNeverEmptyData) {
  const HttpResponse v1 = jaeger("/api/traces/1234");
  EXPECT_EQ(v1.status, 404);
  EXPECT_EQ(v1.body, R"({"data":null,"total":0,"limit":0,"offset":0,"errors":[{"code":404,"msg":"trace not found"}]})");
  const HttpResponse v3 = jaeger("/api/v3/traces?query.service_name=nobody");
  EXPECT_EQ(v3.status, 404);
  EXPECT_EQ(v3.body, R"({"error":{"grpcCode":5,"httpCode":404,"message":"No traces found"}})");
  EXPECT_EQ(jaeger("/api/traces/xyz").status, 400);
  EXPECT_EQ(jaeger("/api/traces?traceID=1&traceID=2").status, 404);
  EXPECT_EQ(jaeger("/api/metrics/calls?service=a").status, 501);
}

TEST_F(QueryApi, JaegerTracesBySeveralIdsReportTheMissingOnes) {
  const HttpResponse response = jaeger(std::string("/api/traces?traceID=abc&traceID=77&traceID=") + kShop);
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(response.body.find(
                R"("errors":[{"code":404,"msg":"trace not found","traceID":"00000000000000000000000000000077"}])"),
            std::string::npos);
  EXPECT_NE(response.body.find(R"("total":2)"), std::string::npos);
}

TEST_F(QueryApi, JaegerTracesBySeveralIdsEndBeforeTheOneThatPassesTheBounds) {
  queries_.large_spans = cluster::TraceBounds().spans;  // with any other trace it is too much
  const std::string ids = std::string("/api/traces?traceID=abc&traceID=77&traceID=a11&traceID=") + kShop;
  const HttpResponse response = jaeger(ids);
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(response.body.find(R"("total":1)"), std::string::npos);
  EXPECT_NE(response.body.find(R"({"code":206,"msg":"the last 2 of the traces asked for are left out: )"),
            std::string::npos)
      << response.body.substr(response.body.size() - 400);
  EXPECT_NE(response.body.find(R"("msg":"trace not found","traceID":"00000000000000000000000000000077")"),
            std::string::npos);
  EXPECT_EQ(response.body.find(kShop), std::string::npos) << "nothing after it was looked for";
}

TEST_F(QueryApi, SeveralTracesAreReadOneByOneAndTheFirstIsAlwaysGiven) {
  const std::vector<model::TraceId> ids = {small_trace()->key.trace, shop_trace()->key.trace};
  const auto fetched = [&](cluster::TraceBounds bounds) {
    std::optional<TracesById> answer;
    fetch_traces(queries_, model::tenant_id("default"), ids, bounds, [&](Result<TracesById> result) {
      ASSERT_TRUE(result.ok());
      answer = std::move(*result);
    });
    return std::pair(answer->found.size(), answer->left_out);
  };
  using Left = std::vector<model::TraceId>;
  const uint64_t spans = 1 + shop_trace()->spans.size();
  EXPECT_EQ(fetched({}), std::pair(size_t{2}, Left{}));
  EXPECT_EQ(fetched({.spans = spans}), std::pair(size_t{2}, Left{}));
  EXPECT_EQ(fetched({.spans = spans - 1}), std::pair(size_t{1}, Left{ids[1]}));
  EXPECT_EQ(fetched({.spans = 0}), std::pair(size_t{1}, Left{ids[1]}));
  EXPECT_EQ(fetched({.bytes = 1}), std::pair(size_t{1}, Left{ids[1]}));
}

TEST_F(QueryApi, JaegerSearchParametersReachTheStore) {
  EXPECT_EQ(
      jaeger("/api/traces?service=web&operation=GET%20/cart&tags=%7B%22http.method%22%3A%22GET%22%7D&tag=cache.hit:true"
             "&start=1760000000000000&end=1760000001000000&minDuration=1ms&maxDuration=1s&limit=7")
          .status,
      200);
  EXPECT_EQ(queries_.last.from_ns, 1'760'000'000'000'000'000);
  EXPECT_EQ(queries_.last.to_ns, 1'760'000'001'000'000'000);
  EXPECT_EQ(queries_.last.limit, 7u);
  EXPECT_EQ(queries_.last.where.children.size(), 6u);
  for (const char* bad : {"tags=%5B1%5D", "tag=nocolon", "start=yesterday", "minDuration=5",
                          "minDuration=2s&maxDuration=1s", "limit=-1", "traceID=zz"}) {
    EXPECT_EQ(jaeger(std::string("/api/traces?service=web&") + bad).status, 400) << bad;
  }
  jaeger("/api/traces?service=web&limit=1000000");
  EXPECT_EQ(queries_.last.limit, kJaegerMaxLimit);
}

TEST_F(QueryApi, JaegerV3TakesBothSpellingsAndAnUnencodedPlus) {
  for (const char* target :
       {"/api/v3/traces?query.service_name=web&query.start_time_min=2025-10-09T10:53:20.000000001+02:00"
        "&query.start_time_max=2025-10-09T10:00:00Z&query.duration_min=1ms&query.num_traces=3",
        "/api/v3/traces?query.serviceName=web&query.startTimeMin=2025-10-09T10%3A53%3A20.000000001%2B02%3A00"
        "&query.startTimeMax=2025-10-09T10:00:00Z&query.durationMin=1ms&query.searchDepth=3"}) {
    EXPECT_EQ(jaeger(target).status, 200) << target;
    EXPECT_EQ(queries_.last.from_ns, 1'760'000'000'000'000'001);
    EXPECT_EQ(queries_.last.to_ns, 1'760'004'000'000'000'000);
    EXPECT_EQ(queries_.last.limit, 3u);
    EXPECT_EQ(queries_.last.where.children.size(), 2u);
  }
  EXPECT_EQ(jaeger("/api/v3/traces?query.start_time_min=now").status, 400);
}

TEST_F(QueryApi, TransformReturnsWhatWasSentInJaegersForm) {
  const std::string otlp =
      R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"up"}}]},
    "scopeSpans":[{"spans":[{"traceId":"0000000000000000000000000000000a","spanId":"000000000000000b","name":"n","kind":2,
    "startTimeUnixNano":"1000000","endTimeUnixNano":"3000000"}]}]}]})";
  const HttpResponse response = ask(jaeger_, "/api/transform", "", "POST", otlp);
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(
      response.body,
      R"({"data":[{"traceID":"0000000000000000000000000000000a","spans":[{"traceID":"0000000000000000000000000000000a",)"
      R"("spanID":"000000000000000b","operationName":"n","references":[],"startTime":1000,"duration":2000,)"
      R"("tags":[{"key":"span.kind","type":"string","value":"server"}],"logs":[],"processID":"p1","warnings":null}],)"
      R"("processes":{"p1":{"serviceName":"up","tags":[]}},"warnings":null}],"total":1,"limit":0,"offset":0,"errors":null})");
  EXPECT_EQ(ask(jaeger_, "/api/transform", "", "POST", "{").status, 400);
  EXPECT_EQ(ask(jaeger_, "/api/transform").status, 405);
}

// The fields of a protobuf message, length-delimited ones by content, varints by number.
std::map<uint32_t, std::string> protobuf_fields(std::string_view bytes) {
  std::map<uint32_t, std::string> fields;
  ByteReader reader(bytes);
  while (reader.ok() && !reader.at_end()) {
    const uint64_t tag = reader.varint();
    fields[static_cast<uint32_t>(tag >> 3)] =
        (tag & 7) == 2 ? std::string(reader.prefixed_bytes()) : std::to_string(reader.varint());
  }
  EXPECT_TRUE(reader.ok());
  return fields;
}

TEST_F(QueryApi, TempoProtobufCarriesTheVerdictAsPartialStatus) {
  const HttpResponse v1 = ask(tempo_, std::string("/api/traces/") + kShop, "application/protobuf");
  EXPECT_EQ(v1.content_type, "application/protobuf");
  const HttpResponse v2 =
      ask(tempo_, std::string("/api/v2/traces/") + kShop + "?start=1&end=2", "application/protobuf");
  EXPECT_EQ(v2.content_type, "application/protobuf");
  const auto fields = protobuf_fields(v2.body);
  EXPECT_EQ(fields.at(1), v1.body);
  EXPECT_EQ(fields.at(3), "1");
  EXPECT_EQ(fields.at(4), model::verdict_sentence(shop_trace()->history.back()));
  const auto whole = protobuf_fields(ask(tempo_, "/api/v2/traces/abc", "application/protobuf").body);
  EXPECT_EQ(whole.count(3), 0u);
  EXPECT_EQ(whole.count(4), 0u);
  EXPECT_EQ(tempo("/api/v2/traces/1234").status, 404);
}

TEST_F(QueryApi, TempoSmallReplies) {
  EXPECT_EQ(tempo("/api/echo").body, "echo");
  EXPECT_EQ(tempo("/tempo/ready").body, "ready");
  EXPECT_EQ(tempo("/api/search/tags").body,
            R"({"tagNames":["host.name","http.method","http.status_code","service.name"],"metrics":{}})");
  EXPECT_EQ(tempo("/api/search/tags?scope=resource").body, R"({"tagNames":["host.name","service.name"],"metrics":{}})");
  EXPECT_EQ(tempo("/api/v2/search/tags?scope=span").body,
            R"({"scopes":[{"name":"span","tags":["http.method","http.status_code"]}],"metrics":{}})");
  EXPECT_EQ(tempo("/api/v2/search/tags?scope=moon").status, 400);
  EXPECT_EQ(
      tempo("/api/v2/search/tag/status/values").body,
      R"({"tagValues":[{"type":"keyword","value":"error"},{"type":"keyword","value":"ok"},{"type":"keyword","value":"unset"}],"metrics":{}})");
  EXPECT_EQ(tempo("/api/v2/search/tag/resource.service.name/values").body,
            R"({"tagValues":[{"type":"string","value":"4:"}],"metrics":{}})");
  EXPECT_EQ(tempo("/api/v2/search/tag/span.%22a%2520%252Fb%22/values").body,
            R"({"tagValues":[{"type":"string","value":"0:a /b"}],"metrics":{}})")
      << "encoded twice";
  EXPECT_EQ(tempo("/api/search/tag/http.method/values").body, R"({"tagValues":["2:http.method"],"metrics":{}})");
  EXPECT_EQ(tempo("/api/metrics/query_range?q=x").status, 501);
}

TEST_F(QueryApi, TempoSearchParametersReachTheStore) {
  EXPECT_EQ(tempo("/api/"
                  "search?tags=service.name%3Dweb%20error%3Dtrue&minDuration=10ms&maxDuration=2s&start=100&end=200&"
                  "limit=4&spss=9")
                .status,
            200);
  EXPECT_EQ(queries_.last.from_ns, 100'000'000'000);
  EXPECT_EQ(queries_.last.to_ns, 200'000'000'000);
  EXPECT_EQ(queries_.last.limit, 4u);
  EXPECT_EQ(queries_.last.spans_per_trace, 9u);
  tempo("/api/search");
  EXPECT_EQ(queries_.last.limit, kTempoDefaultLimit);
  EXPECT_EQ(queries_.last.spans_per_trace, kTempoDefaultSpans);
  const HttpResponse piped = tempo("/api/search?q=%7B%7D%20%7C%20rate()");
  EXPECT_EQ(piped.status, 501);
  EXPECT_NE(piped.body.find("the pipeline stage 'rate'"), std::string::npos);
  EXPECT_EQ(tempo("/api/search?q=%7B").status, 400);
}

std::string url_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    char escape[4];
    std::snprintf(escape, sizeof(escape), "%%%02X", static_cast<unsigned char>(c));
    out += escape;
  }
  return out;
}

TEST_F(QueryApi, TempoSearchShowsWhatWasSelectedAsAttributesOfTheSpans) {
  const std::string query =
      "{ nestedSetParent < 0 } | select(status, resource.host.name, span.http.status_code, .ratio, "
      "span.cache.hit, .absent, resource.service.name)";
  const std::string body = tempo("/api/search?limit=2&q=" + url_encoded(query)).body;
  EXPECT_NE(body.find(R"("attributes":[{"key":"service.name","value":{"stringValue":"web"}},)"
                      R"({"key":"status","value":{"stringValue":"ok"}},)"
                      R"({"key":"host.name","value":{"stringValue":"host-1"}},)"
                      R"({"key":"http.status_code","value":{"intValue":"200"}},)"
                      R"({"key":"ratio","value":{"doubleValue":0.25}},)"
                      R"({"key":"cache.hit","value":{"boolValue":true}}])"),
            std::string::npos)
      << body;
  EXPECT_NE(body.find(R"([{"key":"service.name","value":{"stringValue":"batch"}},)"
                      R"({"key":"status","value":{"stringValue":"unset"}}])"),
            std::string::npos)
      << body;
  const std::string own = tempo("/api/search?q=" + url_encoded("{ name = \"run\" } | select(.service.name)")).body;
  EXPECT_NE(own.find(R"("attributes":[{"key":"service.name","value":{"stringValue":"batch"}}])"), std::string::npos)
      << own;
}

TEST_F(QueryApi, BothPortsServeBothApisUnderTheirPrefixes) {
  const std::string id = kShop;
  EXPECT_EQ(jaeger("/tempo/api/traces/" + id).body, tempo("/api/traces/" + id).body);
  EXPECT_EQ(tempo("/jaeger/api/traces/" + id).body, jaeger("/api/traces/" + id).body);
  EXPECT_EQ(tempo("/api/services").status, 200);
  EXPECT_EQ(jaeger("/api/search").status, 200);
  EXPECT_NE(jaeger("/api/traces/" + id).body, tempo("/api/traces/" + id).body);
}

TEST_F(QueryApi, ClewSearchPagesThroughTheCursor) {
  const HttpResponse first = jaeger("/clew/v1/search?limit=1");
  const size_t at = first.body.find(R"("next":")");
  ASSERT_NE(at, std::string::npos) << first.body;
  const std::string cursor = first.body.substr(at + 8, 48);
  const HttpResponse second = jaeger("/clew/v1/search?limit=1&cursor=" + cursor);
  EXPECT_NE(second.body.find(kShop), std::string::npos);
  EXPECT_NE(second.body.find(R"("next":null)"), std::string::npos);
  EXPECT_EQ(first.body.find(kShop), std::string::npos);
}

TEST_F(QueryApi, ClewSearchParametersReachTheStore) {
  jaeger(
      "/clew/v1/"
      "search?state=incomplete&finding=orphan,cycle&service=web&q=%7B%20status%20%3D%20error%20%7D&since=1h&limit=3");
  EXPECT_EQ(queries_.last.states, 2u | 8u);
  EXPECT_EQ(queries_.last.findings, 4u | 8u);
  EXPECT_EQ(queries_.last.from_ns, FixedClock::kNow - 3600'000'000'000);
  EXPECT_EQ(queries_.last.limit, 3u);
  EXPECT_EQ(queries_.last.where.children.size(), 2u);
  jaeger("/clew/v1/search?start=2025-10-09T08:53:20Z&end=1760000001000000000");
  EXPECT_EQ(queries_.last.from_ns, 1'760'000'000'000'000'000);
  EXPECT_EQ(queries_.last.to_ns, 1'760'000'001'000'000'000);
  EXPECT_EQ(queries_.last.states, 0xffffffffu);
  for (const char* bad : {"state=odd", "finding=odd", "since=-1h", "since=1h&start=5", "cursor=zz", "q=x", "limit=x"}) {
    const HttpResponse response = jaeger(std::string("/clew/v1/search?") + bad);
    EXPECT_EQ(response.status, 400) << bad;
    EXPECT_TRUE(response.body.starts_with(R"({"error":{"code":"INVALID_ARGUMENT","message":")")) << response.body;
  }
}

TEST_F(QueryApi, ClewSearchRefusesParametersThatItDoesNotKnow) {
  const HttpResponse response = jaeger("/clew/v1/search?sevice=web");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.body, R"({"error":{"code":"INVALID_ARGUMENT","message":"unknown parameter \"sevice\"; known are )"
                           R"(q, service, state, finding, since, start, end, limit, cursor"}})");
}

TEST_F(QueryApi, ClewServicesCountCallsOverTheRange) {
  expect_golden("clew_services.json", jaeger("/clew/v1/services?since=1h"));
  EXPECT_EQ(queries_.last.from_ns, FixedClock::kNow - 3600ll * 1'000'000'000);
  EXPECT_EQ(queries_.last.to_ns, FixedClock::kNow);
  expect_golden("clew_red.json", jaeger("/clew/v1/red?service=web&since=2m&points=4"));
  EXPECT_EQ(queries_.last.where.literal.text, "web");
  EXPECT_EQ(jaeger("/clew/v1/red").status, 400);
  EXPECT_EQ(jaeger("/clew/v1/services?service=web").status, 400);
  EXPECT_EQ(jaeger("/clew/v1/services?start=5&end=5").status, 400);
}

TEST_F(QueryApi, ClewServicesByAFilterAreCountedOverTheirOwnTraces) {
  const HttpResponse found = jaeger("/clew/v1/services?filter=CAR&since=1h");
  EXPECT_EQ(queries_.last.where.op, store::Op::kRegex);
  EXPECT_EQ(queries_.last.where.literal.text, "(?is).*CAR.*");
  EXPECT_NE(found.body.find(R"("services":[{"service":"cart",)"), std::string::npos) << found.body;
  EXPECT_EQ(found.body.find(R"("service":"web")"), std::string::npos) << found.body;
  EXPECT_NE(found.body.find(R"("from":"web","to":"cart")"), std::string::npos) << "its neighbours, by their calls";
  jaeger("/clew/v1/services?filter=a.b%5C%20(&since=1h");
  EXPECT_EQ(queries_.last.where.literal.text, R"((?is).*a\x2eb\x5c\x20\x28.*)");
}

TEST_F(QueryApi, ClewNamesAreChosenWhereTheyAre) {
  EXPECT_EQ(jaeger("/clew/v1/names?of=services&text=A").body, R"({"names":["batch","cart"],"truncated":false})");
  EXPECT_EQ(jaeger("/clew/v1/names?of=services&text=a&limit=1").body, R"({"names":["batch"],"truncated":true})");
  EXPECT_EQ(jaeger("/clew/v1/names?of=operations&service=web").body,
            R"({"names":["GET /cart","POST /cart"],"truncated":false})");
  EXPECT_EQ(jaeger("/clew/v1/names?of=keys&text=x").body,
            R"({"names":["http.method","http.status_code"],"truncated":false})");
  EXPECT_EQ(queries_.filter.text, "x");
  EXPECT_EQ(queries_.filter.most, kDefaultNames + 1) << "one more tells whether there are more";
  EXPECT_EQ(jaeger("/clew/v1/names?of=values&key=.http.method&text=g").body,
            R"({"names":["2:http.method"],"truncated":false})");
  EXPECT_EQ(jaeger("/clew/v1/names?of=values&key=status&text=E").body,
            R"({"names":["error","unset"],"truncated":false})");
  jaeger("/clew/v1/names?of=keys&limit=100000");
  EXPECT_EQ(queries_.filter.most, kMaxNames + 1);
  for (const char* bad : {"", "?of=spans", "?of=values", "?of=services&limit=x", "?of=services&q=x"}) {
    EXPECT_EQ(jaeger(std::string("/clew/v1/names") + bad).status, 400) << bad;
  }
}

TEST_F(QueryApi, ClewServicesSayFromWhenOnTheyCount) {
  queries_.bounded = true;
  const std::string body = jaeger("/clew/v1/services?since=1h").body;
  EXPECT_NE(body.find(R"("coveredFromUnixNano":"1760000050000000000","traces":1)"), std::string::npos) << body;
}

TEST_F(QueryApi, ClewConfigIsWhatIsInForce) {
  EXPECT_EQ(jaeger("/clew/v1/config").body, R"({"version":"0.1.0","yaml":"log:\n  level: info\n"})");
}

TEST_F(QueryApi, ClewConfigShowsATenantWhatIsItsOwn) {
  EXPECT_EQ(ask(jaeger_, "/clew/v1/config", "", "GET", "", "acme", true).body,
            R"({"version":"0.1.0","yaml":"of acme"})");
}

TEST_F(QueryApi, AnAnswerThatEndsAtItsBoundsSaysSo) {
  const std::string note = "the newest 1 of 2 traces: an answer holds at most 200000 spans or 256 MiB";
  const HttpResponse all = jaeger("/api/traces?start=0");
  EXPECT_NE(all.body.find(R"("total":2,"limit":0,"offset":0,"errors":null)"), std::string::npos);
  queries_.bounded = true;
  const HttpResponse v1 = jaeger("/api/traces?start=0");
  EXPECT_EQ(v1.status, 200);
  EXPECT_NE(v1.body.find(R"("total":2,"limit":0,"offset":0,"errors":[{"code":206,"msg":")" + note), std::string::npos);
  EXPECT_EQ(v1.body.find(kShop), std::string::npos);
  const HttpResponse v3 = jaeger("/api/v3/traces");
  EXPECT_EQ(v3.status, 200);
  EXPECT_EQ(v3.headers.back().first, "X-Clew-Note");
  EXPECT_TRUE(v3.headers.back().second.starts_with(note)) << v3.headers.back().second;
}

TEST_F(QueryApi, OtherTenantsSeeNothing) {
  EXPECT_EQ(ask(jaeger_, std::string("/api/traces/") + kShop, "", "GET", "", "other").status, 404);
  EXPECT_EQ(ask(tempo_, std::string("/api/traces/") + kShop, "", "GET", "", "other").status, 404);
  EXPECT_EQ(ask(jaeger_, std::string("/clew/v1/traces/") + kShop, "", "GET", "", "other").status, 404);
  EXPECT_EQ(ask(jaeger_, "/clew/v1/search", "", "GET", "", "other").body, R"({"hits":[],"next":null})");
}

TEST_F(QueryApi, FailuresOfTheStoreKeepTheirMeaning) {
  queries_.failing = Error{Code::kUnavailable, "shutting down"};
  for (const char* target : {"/api/services", "/api/traces?service=web", "/api/traces/abc", "/api/traces?traceID=abc",
                             "/api/v3/traces", "/api/search", "/api/v2/traces/abc", "/clew/v1/search",
                             "/clew/v1/traces/abc", "/clew/v1/services", "/clew/v1/red?service=web"}) {
    const HttpResponse response = jaeger(target);
    EXPECT_EQ(response.status, 503) << target;
    EXPECT_NE(response.body.find("shutting down"), std::string::npos) << target;
  }
}

TEST_F(QueryApi, RepliesAreNeverGuessedToBePages) {
  for (const char* target :
       {"/api/services", "/api/echo", "/clew/v1/stats", "/api/traces/xyz", "/api/search?q=%3Cscript%3E"}) {
    const HttpResponse response = jaeger(target);
    EXPECT_TRUE(response.content_type == "application/json" || response.content_type == "text/plain; charset=utf-8")
        << target;
    const std::pair<std::string, std::string> nosniff{"X-Content-Type-Options", "nosniff"};
    EXPECT_EQ(std::count(response.headers.begin(), response.headers.end(), nosniff), 1) << target;
  }
}

TEST(Rfc3339, RoundTripsAndRefuses) {
  for (int64_t ns : {int64_t{0}, int64_t{1'760'000'000'123'456'789}, int64_t{-1}, int64_t{951'782'400'000'000'000}}) {
    EXPECT_EQ(parse_rfc3339_ns(rfc3339_of_ns(ns)), ns) << rfc3339_of_ns(ns);
  }
  EXPECT_EQ(rfc3339_of_ns(951'782'400'000'000'000), "2000-02-29T00:00:00.000000000Z");
  EXPECT_EQ(parse_rfc3339_ns("1970-01-01T01:00:00+01:00"), 0);
  EXPECT_EQ(parse_rfc3339_ns("1969-12-31T23:00:00.5-01:00"), 500'000'000);
  EXPECT_EQ(parse_rfc3339_ns("9999-01-01T00:00:00Z"), INT64_MAX);
  for (const char* bad :
       {"", "2024", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00", "2024-01-01T00:00:00Zx", "2024-01-01T00:00:00.Z"}) {
    EXPECT_FALSE(parse_rfc3339_ns(bad)) << bad;
  }
}

}  // namespace
}  // namespace clew::api

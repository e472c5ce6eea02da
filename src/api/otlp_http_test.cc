#include "api/otlp_http.h"

#include <gtest/gtest.h>

#include "api/http_server.h"
#include "api/test_support.h"
#include "google/rpc/status.pb.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"

namespace clew::api {
namespace {

using test::Client;
using test::post;
using test::Reply;
namespace collector = opentelemetry::proto::collector::trace::v1;

constexpr std::string_view kProtobufType = "Content-Type: application/x-protobuf\r\n";
constexpr std::string_view kJsonType = "Content-Type: application/json\r\n";

std::string sample_request(int spans = 1) {
  collector::ExportTraceServiceRequest request;
  auto* scope = request.add_resource_spans()->add_scope_spans();
  for (int i = 0; i < spans; ++i) {
    auto* span = scope->add_spans();
    span->set_trace_id("0123456789abcdef");
    span->set_span_id("01234567");
    span->set_name("work");
  }
  return request.SerializeAsString();
}

class OtlpHttp : public testing::Test {
 protected:
  void start(HttpEndpoint endpoint = {}, uint64_t budget = 256ull << 20) {
    endpoint.endpoint = "127.0.0.1:0";
    gate_ = std::make_unique<AdmissionGate>(budget);
    receiver_ = std::make_unique<OtlpReceiver>(ingest_, *gate_, pool_, otlp::Limits{}, 2000, [this](Task work) {
      offloaded_.fetch_add(1);
      boost::asio::post(*loops_.all().back(), [work = std::move(work)]() mutable { work(); });
    });
    service_ = std::make_unique<OtlpHttpService>(*receiver_, endpoint);
    server_ = std::make_unique<HttpServer>("otlp/http", endpoint, *service_, loops_.all(), pool_);
    const Status status = server_->start();
    ASSERT_TRUE(status.ok()) << status.to_string();
  }
  void TearDown() override {
    ingest_.release();
    loops_.stop();
  }
  Reply exchange(std::string_view bytes) { return Client(server_->port()).exchange(bytes); }

  test::FakeIngest ingest_;
  std::shared_ptr<BufferPool> pool_ = BufferPool::create();
  std::unique_ptr<AdmissionGate> gate_;
  std::unique_ptr<OtlpReceiver> receiver_;
  std::unique_ptr<OtlpHttpService> service_;
  std::atomic<int> offloaded_{0};
  test::Loops loops_{2};
  std::unique_ptr<HttpServer> server_;
};

google::rpc::Status status_of(const Reply& reply) {
  google::rpc::Status status;
  EXPECT_TRUE(status.ParseFromString(reply.body)) << reply.head;
  EXPECT_EQ(reply.header("Content-Type"), "application/x-protobuf");
  return status;
}

TEST_F(OtlpHttp, ProtobufReachesTheNodeUnchangedAndIsAcknowledgedWithPartialSuccessUnset) {
  start();
  const std::string body = sample_request(300);
  const Reply reply = exchange(post("/v1/traces", kProtobufType, body));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("content-type"), "application/x-protobuf");
  EXPECT_EQ(reply.body, "");
  ASSERT_EQ(ingest_.requests().size(), 1u);
  EXPECT_EQ(*ingest_.requests()[0].body, body);
  EXPECT_EQ(ingest_.requests()[0].tenant, "default");
  EXPECT_EQ(gate_->used_bytes(), 0u);
}

TEST_F(OtlpHttp, MediaTypeParametersAndCaseAreUnderstood) {
  start();
  EXPECT_EQ(
      exchange(post("/v1/traces", "content-type: Application/X-Protobuf; charset=utf-8\r\n", sample_request())).status,
      200);
  const Reply json = exchange(post("/v1/traces", "Content-Type: application/json;charset=UTF-8\r\n", "{}"));
  EXPECT_EQ(json.status, 200);
  EXPECT_EQ(json.body, "{}");
}

TEST_F(OtlpHttp, OnlyLargeBodiesThatWantWorkAreMadeReadyElsewhere) {
  start();
  const std::string space(OtlpReceiver::kOffloadBytes, ' ');
  EXPECT_EQ(exchange(post("/v1/traces", kJsonType, "{}")).status, 200);
  EXPECT_EQ(exchange(post("/v1/traces", kProtobufType, sample_request(20'000))).status, 200);
  EXPECT_EQ(offloaded_.load(), 0);
  EXPECT_EQ(exchange(post("/v1/traces", kJsonType, space + "{}")).status, 200);
  EXPECT_EQ(offloaded_.load(), 1);
  EXPECT_EQ(exchange(post("/v1/traces", kJsonType, space + "{")).status, 400);
  EXPECT_EQ(offloaded_.load(), 2);
  EXPECT_EQ(gate_->used_bytes(), 0u);
  EXPECT_EQ(receiver_->stats().requests, 4u);
  EXPECT_EQ(receiver_->stats().failed, 1u);
}

TEST_F(OtlpHttp, AnEmptyRequestSucceeds) {
  start();
  EXPECT_EQ(exchange(post("/v1/traces", kProtobufType, "")).status, 200);
  EXPECT_TRUE(ingest_.requests().empty());
}

TEST_F(OtlpHttp, JsonAndProtobufOfOneSpanReachTheNodeAsTheSameBytes) {
  start();
  const Reply reply =
      exchange(post("/v1/traces", kJsonType,
                    R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"30313233343536373839616263646566",)"
                    R"("spanId":"3031323334353637","name":"work"}]}]}]})"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Content-Type"), "application/json");
  ASSERT_EQ(ingest_.requests().size(), 1u);
  collector::ExportTraceServiceRequest seen, sent;
  ASSERT_TRUE(seen.ParseFromString(*ingest_.requests()[0].body));
  ASSERT_TRUE(sent.ParseFromString(sample_request()));
  EXPECT_EQ(seen.resource_spans(0).scope_spans(0).spans(0).SerializeAsString(),
            sent.resource_spans(0).scope_spans(0).spans(0).SerializeAsString());
}

TEST_F(OtlpHttp, RejectedSpansAreAPartialSuccessInTheRequestsOwnType) {
  start();
  ingest_.answer_with({Status(), 7, 3, "3 spans have no trace id", 0});
  const Reply reply = exchange(post("/v1/traces", kProtobufType, sample_request()));
  EXPECT_EQ(reply.status, 200);
  collector::ExportTraceServiceResponse response;
  ASSERT_TRUE(response.ParseFromString(reply.body));
  EXPECT_EQ(response.partial_success().rejected_spans(), 3);
  EXPECT_EQ(response.partial_success().error_message(), "3 spans have no trace id");
  const Reply json = exchange(post("/v1/traces", kJsonType, R"({"resourceSpans":[{"schemaUrl":"x"}]})"));
  EXPECT_EQ(json.body, R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"3 spans have no trace id"}})");
}

TEST_F(OtlpHttp, AWarningIsAPartialSuccessWithNoRejectedSpan) {
  start();
  ingest_.answer_with({Status(), 7, 0, "clock far ahead", 0});
  collector::ExportTraceServiceResponse response;
  ASSERT_TRUE(response.ParseFromString(exchange(post("/v1/traces", kProtobufType, sample_request())).body));
  EXPECT_TRUE(response.has_partial_success());
  EXPECT_EQ(response.partial_success().rejected_spans(), 0);
  EXPECT_EQ(response.partial_success().error_message(), "clock far ahead");
}

TEST_F(OtlpHttp, EveryCompressionIsInflatedBeforeTheNodeSeesIt) {
  start();
  const std::string body = sample_request(50);
  for (const auto& [name, encoding] : {std::pair{"gzip", otlp::Encoding::kGzip},
                                       {"deflate", otlp::Encoding::kDeflate},
                                       {"zstd", otlp::Encoding::kZstd}}) {
    std::string packed;
    ASSERT_TRUE(otlp::deflate(encoding, body, packed).ok());
    const Reply reply =
        exchange(post("/v1/traces", std::string(kProtobufType) + "Content-Encoding: " + name + "\r\n", packed));
    EXPECT_EQ(reply.status, 200) << name;
    EXPECT_EQ(*ingest_.requests().back().body, body) << name;
  }
  EXPECT_EQ(ingest_.requests().size(), 3u);
}

TEST_F(OtlpHttp, ABombIsRefusedAsTooLargeWithoutReachingTheNode) {
  HttpEndpoint endpoint;
  endpoint.limits.max_request_body_size = 1u << 20;
  start(endpoint);
  std::string packed;
  ASSERT_TRUE(otlp::deflate(otlp::Encoding::kGzip, std::string(64u << 20, '\0'), packed).ok());
  ASSERT_LT(packed.size(), 1u << 20);
  const Reply reply = exchange(post("/v1/traces", std::string(kProtobufType) + "Content-Encoding: gzip\r\n", packed));
  EXPECT_EQ(reply.status, 413);
  EXPECT_EQ(status_of(reply).code(), 8);
  EXPECT_EQ(reply.header("Retry-After"), "");
  EXPECT_TRUE(ingest_.requests().empty());
  EXPECT_EQ(gate_->used_bytes(), 0u);
}

TEST_F(OtlpHttp, ABodyOverTheLimitIsRefusedByItsLengthWithoutReadingIt) {
  start();
  Client client(server_->port());
  client.send(
      "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: "
      "67108865\r\n\r\n");
  const Reply reply = client.receive();  // not one byte of the body was sent
  EXPECT_EQ(reply.status, 413);
  EXPECT_EQ(status_of(reply).code(), 8);
  EXPECT_EQ(reply.header("Connection"), "close");
}

TEST_F(OtlpHttp, AChunkedBodyOverTheLimitIsRefusedWhileItArrives) {
  HttpEndpoint endpoint;
  endpoint.limits.max_request_body_size = 100'000;
  start(endpoint);
  Client client(server_->port());
  client.send(
      "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nTransfer-Encoding: "
      "chunked\r\n\r\n");
  const std::string chunk = "4000\r\n" + std::string(0x4000, 'x') + "\r\n";
  for (int i = 0; i < 8; ++i) client.send(chunk);
  EXPECT_EQ(client.receive().status, 413);
  EXPECT_TRUE(ingest_.requests().empty());
}

TEST_F(OtlpHttp, AChunkedBodyOfAnySplitArrivesWhole) {
  start();
  std::string body;
  for (int i = 0; body.size() < 300'000; ++i) body += std::to_string(i) + ",";
  for (const size_t size : {size_t{1000}, size_t{16384}, size_t{70'001}, body.size()}) {
    std::string bytes =
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nTransfer-Encoding: "
        "chunked\r\n\r\n";
    for (size_t at = 0; at < body.size(); at += size) {
      const std::string piece = body.substr(at, size);
      char length[32];
      std::snprintf(length, sizeof length, "%zx\r\n", piece.size());
      bytes += length + piece + "\r\n";
    }
    EXPECT_EQ(exchange(bytes + "0\r\n\r\n").status, 200) << size;
    EXPECT_EQ(*ingest_.requests().back().body, body) << size;
  }
  EXPECT_EQ(gate_->used_bytes(), 0u);
}

TEST_F(OtlpHttp, EveryRefusalHasItsStatusAndAStatusMessage) {
  HttpEndpoint endpoint;
  endpoint.auth.bearer_tokens = {{"secret", ""}, {"acme-secret", "acme"}};
  start(endpoint);
  const std::string body = sample_request();
  struct Case {
    std::string request;
    int status;
    int code;
  };
  const std::string ok_auth = "Authorization: Bearer secret\r\n";
  const std::vector<Case> cases = {
      {post("/v1/logs", kProtobufType, body), 404, 5},
      {"GET /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n\r\n", 405, 12},
      {post("/v1/traces", std::string(kProtobufType), body), 401, 16},
      {post("/v1/traces", std::string(kProtobufType) + "Authorization: Bearer wrong\r\n", body), 401, 16},
      {post("/v1/traces", std::string(kProtobufType) + "Authorization: Basic c2VjcmV0\r\n", body), 401, 16},
      {post("/v1/traces", std::string(kProtobufType) + "Authorization: Bearer acme-secret\r\nX-Scope-OrgID: other\r\n",
            body),
       403, 7},
      {post("/v1/traces", std::string(kProtobufType) + ok_auth + "X-Scope-OrgID: no/slash\r\n", body), 400, 3},
      {post("/v1/traces", std::string(kProtobufType) + ok_auth + "Content-Encoding: br\r\n", body), 415, 3},
      {post("/v1/traces", std::string(kProtobufType) + ok_auth + "Content-Encoding: gzip\r\n", "not gzip"), 400, 3},
  };
  for (const Case& c : cases) {
    const Reply reply = exchange(c.request);
    EXPECT_EQ(reply.status, c.status) << c.request.substr(0, 200);
    EXPECT_EQ(status_of(reply).code(), c.code) << c.request.substr(0, 200);
    EXPECT_FALSE(status_of(reply).message().empty());
  }
  EXPECT_EQ(exchange(post("/v1/traces", "Content-Type: text/plain\r\n", body)).status, 415);
  EXPECT_EQ(exchange(post("/v1/traces", ok_auth, body)).status, 415);
  EXPECT_TRUE(ingest_.requests().empty());
  EXPECT_EQ(
      exchange(post("/v1/traces", std::string(kProtobufType) + "Authorization: bearer acme-secret\r\n", body)).status,
      200);
  EXPECT_EQ(ingest_.requests().back().tenant, "acme");
  EXPECT_EQ(
      exchange(post("/v1/traces", std::string(kProtobufType) + ok_auth + "X-Scope-OrgID: other\r\n", body)).status,
      200);
  EXPECT_EQ(ingest_.requests().back().tenant, "other");
}

TEST_F(OtlpHttp, BadJsonIsABadRequestWithAJsonStatus) {
  start();
  const Reply reply = exchange(post("/v1/traces", kJsonType, R"({"resourceSpans": [)"));
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.header("Content-Type"), "application/json");
  EXPECT_NE(reply.body.find("\"code\":3"), std::string::npos) << reply.body;
}

TEST_F(OtlpHttp, TheNodesRefusalsBecomeStatusesAndOnlyBackPressureIsRetryable) {
  start();
  struct Case {
    cluster::IngestReply reply;
    int status;
    std::string retry_after;
  };
  for (const Case& c : {Case{{Status(Code::kInvalidArgument, "truncated")}, 400, ""},
                        Case{{Status(Code::kUnavailable, "disk full"), 0, 0, "", 4200}, 503, "5"},
                        Case{{Status(Code::kUnavailable, "full")}, 503, "2"},
                        Case{{Status(Code::kResourceExhausted, "quota"), 0, 0, "", 1000}, 429, "1"},
                        Case{{Status(Code::kInternal, "bug")}, 500, ""}}) {
    ingest_.answer_with(c.reply);
    const Reply reply = exchange(post("/v1/traces", kProtobufType, sample_request()));
    EXPECT_EQ(reply.status, c.status);
    EXPECT_EQ(reply.header("Retry-After"), c.retry_after);
    EXPECT_EQ(status_of(reply).message(), c.reply.status.message());
  }
}

TEST_F(OtlpHttp, AboveTheBudgetOfBytesInFlightARequestIsRefusedBeforeItsBodyIsRead) {
  const std::string body(60'000, '\n');
  start({}, 100'000);
  ingest_.hold();
  Client first(server_->port());
  first.send(post("/v1/traces", kProtobufType, body));
  ingest_.wait_for(1);
  Client second(server_->port());
  second.send(
      "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 60000\r\n\r\n");
  const Reply refused = second.receive();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("Retry-After"), "2");
  EXPECT_EQ(status_of(refused).code(), 14);
  ingest_.release();
  EXPECT_EQ(first.receive().status, 200);
  // The second connection still serves once the unwanted body has passed.
  second.send(body);
  EXPECT_EQ(second.exchange(post("/v1/traces", kProtobufType, body)).status, 200);
  EXPECT_EQ(gate_->used_bytes(), 0u);
  EXPECT_EQ(ingest_.requests().size(), 2u);
}

TEST_F(OtlpHttp, WhileTheNodeIsNotReadyRequestsAreRefusedAsRetryable) {
  start();
  receiver_->set_ready(false);
  EXPECT_EQ(exchange(post("/v1/traces", kProtobufType, sample_request())).status, 503);
  receiver_->set_ready(true);
  EXPECT_EQ(exchange(post("/v1/traces", kProtobufType, sample_request())).status, 200);
}

TEST_F(OtlpHttp, TheDisabledCorsAnswersNoPreflight) {
  start();
  const Reply reply = exchange(
      "OPTIONS /v1/traces HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: "
      "POST\r\n\r\n");
  EXPECT_EQ(reply.header("Access-Control-Allow-Origin"), "");
  EXPECT_EQ(reply.status, 405);
}

TEST_F(OtlpHttp, ABrowserOfAnAllowedOriginMaySendAndReadAndAnotherMayNot) {
  HttpEndpoint endpoint;
  endpoint.cors = {{"https://*.example.com"}, {"X-Custom"}, 600};
  start(endpoint);
  const auto preflight = [&](const std::string& origin) {
    return exchange("OPTIONS /v1/traces HTTP/1.1\r\nHost: x\r\nOrigin: " + origin +
                    "\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: "
                    "content-type,x-custom,x-other\r\n\r\n");
  };
  const Reply allowed = preflight("https://app.example.com");
  EXPECT_EQ(allowed.status, 204);
  EXPECT_EQ(allowed.header("Access-Control-Allow-Origin"), "https://app.example.com");
  EXPECT_EQ(allowed.header("Access-Control-Allow-Headers"), "content-type, x-custom");
  EXPECT_EQ(allowed.header("Access-Control-Max-Age"), "600");
  EXPECT_EQ(preflight("https://evil.test").header("Access-Control-Allow-Origin"), "");
  const std::string origin = "Origin: https://app.example.com\r\n";
  EXPECT_EQ(exchange(post("/v1/traces", std::string(kProtobufType) + origin, sample_request()))
                .header("Access-Control-Allow-Origin"),
            "https://app.example.com");
  EXPECT_EQ(exchange(post("/v1/traces", std::string(kProtobufType) + "Origin: https://evil.test\r\n", sample_request()))
                .header("Access-Control-Allow-Origin"),
            "");
}

}  // namespace
}  // namespace clew::api

#include "api/otlp_grpc.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "api/test_certificates.h"
#include "api/test_support.h"
#include "google/rpc/status.pb.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h"

namespace clew::api {
namespace {

namespace collector = opentelemetry::proto::collector::trace::v1;

collector::ExportTraceServiceRequest sample_request(int spans, size_t name_bytes = 4) {
  collector::ExportTraceServiceRequest request;
  auto* scope = request.add_resource_spans()->add_scope_spans();
  for (int i = 0; i < spans; ++i) {
    auto* span = scope->add_spans();
    span->set_trace_id("0123456789abcdef");
    span->set_span_id("01234567");
    span->set_name(std::string(name_bytes, 'n'));
  }
  return request;
}

class OtlpGrpc : public testing::Test {
 protected:
  void start(GrpcEndpoint endpoint = {}, uint64_t budget = 256ull << 20) {
    endpoint.endpoint = "127.0.0.1:0";
    gate_ = std::make_unique<AdmissionGate>(budget);
    receiver_ = std::make_unique<OtlpReceiver>(ingest_, *gate_, BufferPool::create(), otlp::Limits{}, 1500);
    server_ = std::make_unique<OtlpGrpcServer>(*receiver_, endpoint);
    const Status status = server_->start();
    ASSERT_TRUE(status.ok()) << status.to_string();
    connect(grpc::InsecureChannelCredentials());
  }
  void connect(const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // no connection of an earlier test
    arguments.SetMaxSendMessageSize(-1);
    channel_ = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server_->port()), credentials, arguments);
    stub_ = collector::TraceService::NewStub(channel_);
  }
  grpc::Status send(const collector::ExportTraceServiceRequest& request) {
    grpc::ClientContext context;
    return stub_->Export(&context, request, &response_);
  }
  grpc::Status send_with(const std::vector<std::pair<std::string, std::string>>& metadata) {
    grpc::ClientContext context;
    for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
    return stub_->Export(&context, sample_request(1), &response_);
  }
  // Any method with any bytes.
  grpc::Status call_raw(const std::string& method, const std::string& bytes, std::string* reply) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const grpc::Slice slice(bytes);
    const auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&slice, 1), &queue);
    grpc::ByteBuffer answer;
    grpc::Status status;
    call->StartCall();
    call->Finish(&answer, &status, &answer);
    void* tag;
    bool ok;
    queue.Next(&tag, &ok);
    std::vector<grpc::Slice> slices;
    if (reply != nullptr && answer.Valid() && answer.Dump(&slices).ok()) {
      for (const auto& piece : slices) reply->append(reinterpret_cast<const char*>(piece.begin()), piece.size());
    }
    return status;
  }
  void TearDown() override {
    ingest_.release();
    server_.reset();
  }

  test::FakeIngest ingest_;
  std::unique_ptr<AdmissionGate> gate_;
  std::unique_ptr<OtlpReceiver> receiver_;
  std::unique_ptr<OtlpGrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<collector::TraceService::Stub> stub_;
  collector::ExportTraceServiceResponse response_;
};

TEST_F(OtlpGrpc, TheMessageReachesTheNodeUnchangedAndPartialSuccessStaysUnset) {
  start();
  const auto request = sample_request(300, 500);  // many slices
  const grpc::Status status = send(request);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_FALSE(response_.has_partial_success());
  ASSERT_EQ(ingest_.requests().size(), 1u);
  EXPECT_EQ(*ingest_.requests()[0].body, request.SerializeAsString());
  EXPECT_EQ(ingest_.requests()[0].tenant, "default");
  EXPECT_EQ(gate_->used_bytes(), 0u);
}

TEST_F(OtlpGrpc, AnEmptyRequestSucceeds) {
  start();
  EXPECT_TRUE(send({}).ok());
}

TEST_F(OtlpGrpc, RejectedSpansAreAPartialSuccess) {
  start();
  ingest_.answer_with({Status(), 1, 2, "2 spans have no trace id", 0});
  EXPECT_TRUE(send(sample_request(3)).ok());
  EXPECT_EQ(response_.partial_success().rejected_spans(), 2);
  EXPECT_EQ(response_.partial_success().error_message(), "2 spans have no trace id");
}

TEST_F(OtlpGrpc, CompressedMessagesAreInflatedByUs) {
  start();
  const auto request = sample_request(200, 300);
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    const grpc::Status status = stub_->Export(&context, request, &response_);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(*ingest_.requests().back().body, request.SerializeAsString());
  }
  EXPECT_LT(receiver_->stats().received_bytes, request.ByteSizeLong());  // compressed on the wire, really
  EXPECT_EQ(gate_->used_bytes(), 0u);
}

TEST_F(OtlpGrpc, ABombIsResourceExhaustedWithoutRetryInfoAndNeverReachesTheNode) {
  GrpcEndpoint endpoint;
  endpoint.max_recv_msg_size = 1u << 20;
  start(endpoint);
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  const grpc::Status status = stub_->Export(&context, sample_request(1, 64u << 20), &response_);
  EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_EQ(status.error_details(), "");
  EXPECT_TRUE(ingest_.requests().empty());
  EXPECT_EQ(gate_->used_bytes(), 0u);
}

TEST_F(OtlpGrpc, AMessageOverTheLimitIsResourceExhaustedWithoutRetryInfo) {
  GrpcEndpoint endpoint;
  endpoint.max_recv_msg_size = 100'000;
  start(endpoint);
  const grpc::Status status = send(sample_request(1, 200'000));
  EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_EQ(status.error_details(), "");
  EXPECT_TRUE(send(sample_request(1, 90'000)).ok());
  EXPECT_EQ(gate_->used_bytes(), 0u);
}

TEST_F(OtlpGrpc, BackPressureOfTheNodeIsUnavailableWithRetryInfo) {
  start();
  ingest_.answer_with({Status(Code::kUnavailable, "disk full"), 0, 0, "", 2500});
  const grpc::Status status = send(sample_request(1));
  EXPECT_EQ(status.error_code(), grpc::UNAVAILABLE);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), 14);
  EXPECT_EQ(details.message(), "disk full");
  ASSERT_EQ(details.details_size(), 1);
  EXPECT_EQ(details.details(0).type_url(), "type.googleapis.com/google.rpc.RetryInfo");
  EXPECT_EQ(details.details(0).value(),
            std::string("\x0a\x08\x08\x02\x10\x80\xca\xb5\xee\x01", 10));  // retry_delay {2 s, 500000000 ns}
}

TEST_F(OtlpGrpc, AboveTheBudgetOrWhileNotReadyCallsAreUnavailableAndOthersUnharmed) {
  start({}, 300'000);
  ingest_.hold();
  std::thread first([&] {
    collector::ExportTraceServiceResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(stub_->Export(&context, sample_request(1, 200'000), &response).ok());
  });
  ingest_.wait_for(1);
  const grpc::Status refused = send(sample_request(1, 200'000));
  EXPECT_EQ(refused.error_code(), grpc::UNAVAILABLE);
  EXPECT_FALSE(refused.error_details().empty());
  ingest_.release();
  first.join();
  EXPECT_TRUE(send(sample_request(1, 200'000)).ok());
  receiver_->set_ready(false);
  EXPECT_EQ(send(sample_request(1)).error_code(), grpc::UNAVAILABLE);
}

TEST_F(OtlpGrpc, MoreOpenCallsThanAllowedAreUnavailable) {
  GrpcEndpoint endpoint;
  endpoint.max_pending_calls = 1;
  start(endpoint);
  ingest_.hold();
  std::thread first([&] {
    collector::ExportTraceServiceResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(stub_->Export(&context, sample_request(1), &response).ok());
  });
  ingest_.wait_for(1);
  EXPECT_EQ(send(sample_request(1)).error_code(), grpc::UNAVAILABLE);
  ingest_.release();
  first.join();
}

TEST_F(OtlpGrpc, BadDataIsInvalidArgument) {
  start();
  ingest_.answer_with({Status(Code::kInvalidArgument, "truncated field")});
  const grpc::Status status = send(sample_request(1));
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "truncated field");
}

TEST_F(OtlpGrpc, TokensAndTenantsAreCheckedBeforeTheMessageIsRead) {
  GrpcEndpoint endpoint;
  endpoint.auth.bearer_tokens = {{"secret", ""}, {"acme-secret", "acme"}};
  start(endpoint);
  EXPECT_EQ(send_with({}).error_code(), grpc::UNAUTHENTICATED);
  EXPECT_EQ(send_with({{"authorization", "Bearer wrong"}}).error_code(), grpc::UNAUTHENTICATED);
  EXPECT_EQ(send_with({{"authorization", "Bearer acme-secret"}, {"x-scope-orgid", "other"}}).error_code(),
            grpc::PERMISSION_DENIED);
  EXPECT_EQ(send_with({{"authorization", "Bearer secret"}, {"x-scope-orgid", "a b"}}).error_code(),
            grpc::INVALID_ARGUMENT);
  EXPECT_TRUE(ingest_.requests().empty());
  EXPECT_TRUE(send_with({{"authorization", "Bearer acme-secret"}}).ok());
  EXPECT_EQ(ingest_.requests().back().tenant, "acme");
  EXPECT_TRUE(send_with({{"authorization", "Bearer secret"}, {"x-scope-orgid", "other"}}).ok());
  EXPECT_EQ(ingest_.requests().back().tenant, "other");
  server_->replace_tokens({{{"fresh", ""}}});
  EXPECT_EQ(send_with({{"authorization", "Bearer secret"}}).error_code(), grpc::UNAUTHENTICATED);
  EXPECT_TRUE(send_with({{"authorization", "Bearer fresh"}}).ok());
}

TEST_F(OtlpGrpc, OtherMethodsAreUnimplemented) {
  start();
  EXPECT_EQ(call_raw("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "x", nullptr).error_code(),
            grpc::UNIMPLEMENTED);
  EXPECT_EQ(call_raw("/opentelemetry.proto.collector.trace.v1.TraceService/Import", "x", nullptr).error_code(),
            grpc::UNIMPLEMENTED);
}

TEST_F(OtlpGrpc, HealthFollowsReadiness) {
  start();
  const auto health = [&](const std::string& service) {
    std::string request, reply;
    if (!service.empty()) request = std::string("\x0a") + static_cast<char>(service.size()) + service;
    const grpc::Status status = call_raw("/grpc.health.v1.Health/Check", request, &reply);
    return status.ok() ? reply : status.error_message();
  };
  const std::string serving("\x08\x01", 2), not_serving("\x08\x02", 2);
  EXPECT_EQ(health(""), serving);
  EXPECT_EQ(health("opentelemetry.proto.collector.trace.v1.TraceService"), serving);
  server_->set_serving(false);
  EXPECT_EQ(health(""), not_serving);
  EXPECT_EQ(health("opentelemetry.proto.collector.trace.v1.TraceService"), not_serving);
}

TEST_F(OtlpGrpc, DrainLetsTheOpenCallFinishAndRefusesNewOnes) {
  start();
  ingest_.hold();
  std::thread open([&] {
    collector::ExportTraceServiceResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(stub_->Export(&context, sample_request(1), &response).ok());
  });
  ingest_.wait_for(1);
  std::promise<void> drained;
  server_->drain(60'000, [&] { drained.set_value(); });
  auto done = drained.get_future();
  EXPECT_EQ(done.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  ingest_.release();
  open.join();
  done.wait();
  EXPECT_EQ(send(sample_request(1)).error_code(), grpc::UNAVAILABLE);
}

TEST_F(OtlpGrpc, AClientThatGoesAwayLeavesNothingBehind) {
  start();
  ingest_.hold();
  {
    grpc::ClientContext context;
    std::thread call([&] {
      collector::ExportTraceServiceResponse response;
      EXPECT_EQ(stub_->Export(&context, sample_request(1), &response).error_code(), grpc::CANCELLED);
    });
    ingest_.wait_for(1);
    context.TryCancel();
    call.join();
  }
  ingest_.release();
  EXPECT_TRUE(send(sample_request(1)).ok());
  EXPECT_EQ(gate_->used_bytes(), 0u);
}

TEST_F(OtlpGrpc, AnAddressInUseIsTold) {
  start();
  GrpcEndpoint endpoint;
  endpoint.endpoint = "127.0.0.1:" + std::to_string(server_->port());
  OtlpGrpcServer second(*receiver_, endpoint);
  const Status status = second.start();
  EXPECT_EQ(status.code(), Code::kAlreadyExists);
  EXPECT_NE(status.message().find(endpoint.endpoint), std::string_view::npos);
}

TEST_F(OtlpGrpc, MutualTlsServesOnlyClientsOfItsAuthority) {
  test::CertificateFiles files;
  GrpcEndpoint endpoint;
  endpoint.tls = {files.write("server.pem", files.server.certificate), files.write("server.key", files.server.key),
                  files.write("ca.pem", files.authority.certificate)};
  start(endpoint);
  EXPECT_FALSE(send(sample_request(1)).ok());  // plain text
  const auto with = [&](const test::Certificate* own) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = files.authority.certificate;
    if (own != nullptr) {
      options.pem_cert_chain = own->certificate;
      options.pem_private_key = own->key;
    }
    connect(grpc::SslCredentials(options));
    return send(sample_request(1));
  };
  const grpc::Status good = with(&files.client);
  EXPECT_TRUE(good.ok()) << good.error_message();
  EXPECT_FALSE(with(nullptr).ok());
  EXPECT_FALSE(with(&files.stranger).ok());
}

TEST_F(OtlpGrpc, TlsWithoutClientCertificates) {
  test::CertificateFiles files;
  GrpcEndpoint endpoint;
  endpoint.tls = {files.write("server.pem", files.server.certificate), files.write("server.key", files.server.key), ""};
  start(endpoint);
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = files.authority.certificate;
  connect(grpc::SslCredentials(options));
  const grpc::Status status = send(sample_request(1));
  EXPECT_TRUE(status.ok()) << status.error_message();
}

}  // namespace
}  // namespace clew::api

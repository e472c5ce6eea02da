#include "api/servers.h"

#include <gtest/gtest.h>

#include "api/query_router.h"
#include "api/test_support.h"

namespace clew::api {
namespace {

using test::Client;
using test::post;
using test::Reply;

class StoppedClock final : public env::Clock {
 public:
  int64_t wall_ns() const override { return 1'760'000'100'000'000'000; }
  int64_t mono_ns() const override { return 0; }
};

// Knows its statistics and nothing else.
class NoTraces final : public cluster::QueryService {
 public:
  void trace(model::TenantId, model::TraceId, Done<std::unique_ptr<model::TraceData>> done) override {
    done(nothing());
  }
  void search(store::TraceQuery, Done<cluster::SearchPage> done) override { done(nothing()); }
  void search_traces(store::TraceQuery, cluster::TraceBounds, Done<cluster::FoundTraces> done) override {
    done(nothing());
  }
  void services(model::TenantId tenant, int64_t, int64_t, store::NameFilter, Done<store::Vocabulary> done) override {
    asked = tenant;
    done(store::Vocabulary{{"shop"}, false, {}});
  }
  void operations(model::TenantId, std::string, store::NameFilter, Done<std::vector<Operation>> done) override {
    done(nothing());
  }
  void keys(model::TenantId, store::Field, store::NameFilter, Done<store::Vocabulary> done) override {
    done(nothing());
  }
  void values(model::TenantId, store::Field, std::string, store::NameFilter, Done<store::Vocabulary> done) override {
    done(nothing());
  }
  void stats(Done<cluster::NodeStats> done) override { done(node); }
  cluster::NodeStats node;
  model::TenantId asked;

 private:
  static Error nothing() { return {Code::kNotFound, "nothing here"}; }
};

class ServersTest : public testing::Test {
 protected:
  static ServerOptions on_free_ports() {
    ServerOptions options;
    options.otlp_http.endpoint = options.otlp_grpc.endpoint = options.http.endpoint = options.tempo.endpoint =
        "127.0.0.1:0";
    return options;
  }
  std::unique_ptr<Servers> make(ServerOptions options) {
    const QueryDeps deps{queries_, clock_, "0.1.0"};
    Servers::Node node{ingest_,
                       queries_,
                       loops_.all(),
                       [] {
                         return ProcessStats{1.5, 4096, 7, 1000};
                       },
                       "0.1.0",
                       [deps](HttpRouter& http, HttpRouter& tempo) {
                         add_query_routes(http, deps, QueryPort::kJaeger);
                         add_query_routes(tempo, deps, QueryPort::kTempo);
                       }};
    return std::make_unique<Servers>(std::move(options), std::move(node));
  }
  static Reply get(uint16_t port, const std::string& path, const std::string& headers = "") {
    return Client(port).exchange("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n");
  }
  void TearDown() override { loops_.stop(); }

  test::FakeIngest ingest_;
  NoTraces queries_;
  StoppedClock clock_;
  test::Loops loops_{2};
};

TEST_F(ServersTest, EveryPortServesItsOwnAndReadinessIsTold) {
  auto servers = make(on_free_ports());
  const Status status = servers->start();
  ASSERT_TRUE(status.ok()) << status.to_string();
  const Servers::Ports ports = servers->ports();
  EXPECT_NE(ports.otlp_grpc, 0);
  const std::string traces = post("/v1/traces", "Content-Type: application/x-protobuf\r\n", std::string("\n\0", 2));
  EXPECT_EQ(get(ports.http, "/ready").status, 503);
  EXPECT_EQ(Client(ports.otlp_http).exchange(traces).status, 503);
  servers->set_ready(true);
  for (const uint16_t port : {ports.http, ports.tempo}) {
    EXPECT_EQ(get(port, "/ready").status, 200);
    EXPECT_EQ(get(port, "/health").status, 200);
    EXPECT_EQ(get(port, "/nowhere").status, 404);
  }
  for (const uint16_t port : {ports.http, ports.tempo}) {
    EXPECT_EQ(get(port, "/api/services").status, 200);
    EXPECT_EQ(queries_.asked, model::tenant_id("default"));
    EXPECT_EQ(get(port, "/jaeger/api/services", "x-scope-orgid: acme\r\n").status, 200);
    EXPECT_EQ(queries_.asked, model::tenant_id("acme"));
    EXPECT_EQ(get(port, "/tempo/api/echo").body, "echo");
  }
  EXPECT_EQ(Client(ports.otlp_http).exchange(traces).status, 200);
}

TEST_F(ServersTest, TheQueryPortAsksForItsTokenExceptForProbes) {
  ServerOptions options = on_free_ports();
  options.http.auth.bearer_tokens = {{"reader", "acme"}};
  auto servers = make(options);
  ASSERT_TRUE(servers->start().ok());
  servers->set_ready(true);
  const uint16_t port = servers->ports().http;
  EXPECT_EQ(get(port, "/api/services").status, 401);
  EXPECT_EQ(get(port, "/metrics").status, 401);
  EXPECT_EQ(get(port, "/api/services", "Authorization: Bearer reader\r\n").status, 200);
  EXPECT_EQ(queries_.asked, model::tenant_id("acme"));
  EXPECT_EQ(get(port, "/api/services", "Authorization: Bearer reader\r\nX-Scope-OrgID: other\r\n").status, 403);
  EXPECT_EQ(get(port, "/ready").status, 200);
}

TEST_F(ServersTest, ReplacedTokensJudgeTheNextRequestAlsoOnAnOpenConnection) {
  ServerOptions options = on_free_ports();
  options.otlp_http.auth.bearer_tokens = options.http.auth.bearer_tokens = {{"old", "acme"}};
  auto servers = make(options);
  ASSERT_TRUE(servers->start().ok());
  servers->set_ready(true);
  const auto ports = servers->ports();
  const auto ask = [](Client& client, const std::string& token) {
    return client.exchange("GET /api/services HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n\r\n")
        .status;
  };
  const auto send = [](Client& client, const std::string& token) {
    return client
        .exchange(
            post("/v1/traces", "Content-Type: application/x-protobuf\r\nAuthorization: Bearer " + token + "\r\n", ""))
        .status;
  };
  Client reader(ports.http), sender(ports.otlp_http), tempo(ports.tempo);
  EXPECT_EQ(ask(reader, "old"), 200);
  EXPECT_EQ(send(sender, "old"), 200);
  EXPECT_EQ(ask(tempo, "none"), 200) << "this endpoint has no tokens";
  options.otlp_http.auth.bearer_tokens = options.http.auth.bearer_tokens = {{"new", "umbrella"}, {"newer", ""}};
  options.tempo.auth.bearer_tokens = {{"new", ""}};
  servers->replace_tokens(options);
  EXPECT_EQ(ask(reader, "old"), 401);
  EXPECT_EQ(ask(reader, "new"), 200);
  EXPECT_EQ(queries_.asked, model::tenant_id("umbrella"));
  EXPECT_EQ(send(sender, "old"), 401);
  EXPECT_EQ(send(sender, "newer"), 200);
  EXPECT_EQ(ask(tempo, "none"), 401);
}

TEST_F(ServersTest, MetricsShowTheNodeTheServersAndTheProcess) {
  queries_.node.accepted_spans = 90;
  queries_.node.rejected[static_cast<size_t>(otlp::Reject::kTraceId)] = 10;
  queries_.node.verdicts_complete = 5;
  auto servers = make(on_free_ports());
  ASSERT_TRUE(servers->start().ok());
  servers->set_ready(true);
  const auto ports = servers->ports();
  Client(ports.otlp_http)
      .exchange(post("/v1/traces", "Content-Type: application/x-protobuf\r\n", std::string("\n\0", 2)));
  Client(ports.otlp_http).exchange(post("/v1/traces", "Content-Type: text/plain\r\n", ""));
  const Reply reply = get(ports.http, "/metrics");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Content-Type"), kMetricsContentType);
  for (const std::string& line : std::vector<std::string>{
           "clew_received_spans_total 100", "clew_accepted_spans_total 90",
           "clew_discarded_spans_total{reason=\"" + std::string(otlp::reject_name(otlp::Reject::kTraceId)) + "\"} 10",
           "clew_verdicts_total{verdict=\"complete\"} 5",
           "clew_http_responses_total{server=\"otlp/http\",code=\"2xx\"} 1",
           "clew_http_responses_total{server=\"otlp/http\",code=\"4xx\"} 1",
           "clew_request_duration_seconds_count{server=\"otlp/http\"} 1",
           "clew_request_duration_seconds_bucket{server=\"otlp/http\",le=\"+Inf\"} 1", "process_cpu_seconds_total 1.5",
           "process_resident_memory_bytes 4096", "clew_build_info{version=\"0.1.0\"} 1"}) {
    EXPECT_NE(reply.body.find("\n" + line + "\n"), std::string::npos) << line << "\n" << reply.body;
  }
  // A family's samples stand together under one TYPE line, as the format demands.
  const std::string type = "# TYPE clew_request_duration_seconds histogram";
  EXPECT_EQ(reply.body.find(type), reply.body.rfind(type));
  EXPECT_NE(reply.body.find(type), std::string::npos);
}

TEST_F(ServersTest, AnEmptyEndpointSwitchesAServerOff) {
  ServerOptions options = on_free_ports();
  options.tempo.endpoint = options.otlp_grpc.endpoint = "";
  auto servers = make(options);
  ASSERT_TRUE(servers->start().ok());
  EXPECT_EQ(servers->ports().tempo, 0);
  EXPECT_EQ(servers->ports().otlp_grpc, 0);
  EXPECT_NE(servers->ports().http, 0);
}

TEST_F(ServersTest, ATakenPortIsToldWithItsServerAndAddress) {
  auto first = make(on_free_ports());
  ASSERT_TRUE(first->start().ok());
  ServerOptions options = on_free_ports();
  options.tempo.endpoint = "127.0.0.1:" + std::to_string(first->ports().tempo);
  auto second = make(options);
  const Status status = second->start();
  EXPECT_EQ(status.code(), Code::kAlreadyExists);
  EXPECT_NE(status.message().find("tempo"), std::string_view::npos);
  EXPECT_NE(status.message().find(options.tempo.endpoint), std::string_view::npos);
}

TEST_F(ServersTest, ABudgetThatTheLargestRequestCannotPassIsRefusedAtStart) {
  ServerOptions options = on_free_ports();
  options.max_in_flight_bytes = options.otlp_http.limits.max_request_body_size;
  EXPECT_EQ(make(options)->start().code(), Code::kInvalidArgument);
}

TEST_F(ServersTest, ANodeThatAnswersAfterTheServersAreGoneHarmsNothing) {
  ServerOptions options = on_free_ports();
  options.otlp_grpc.endpoint = "";  // gRPC waits for its calls
  auto servers = make(options);
  ASSERT_TRUE(servers->start().ok());
  servers->set_ready(true);
  ingest_.hold();
  Client client(servers->ports().otlp_http), idle(servers->ports().otlp_http);
  client.send(post("/v1/traces", "Content-Type: application/x-protobuf\r\n", std::string("\n\0", 2)));
  ingest_.wait_for(1);
  servers.reset();
  EXPECT_TRUE(client.closed_by_server());
  EXPECT_TRUE(idle.closed_by_server());
  ingest_.release();
}

TEST_F(ServersTest, DrainFinishesWhatIsUnderWayOnEveryPort) {
  auto servers = make(on_free_ports());
  ASSERT_TRUE(servers->start().ok());
  servers->set_ready(true);
  ingest_.hold();
  Client client(servers->ports().otlp_http);
  client.send(post("/v1/traces", "Content-Type: application/x-protobuf\r\n", std::string("\n\0", 2)));
  ingest_.wait_for(1);
  std::promise<void> drained;
  servers->drain(60'000, [&] { drained.set_value(); });
  auto done = drained.get_future();
  EXPECT_EQ(done.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  ingest_.release();
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_TRUE(client.closed_by_server());
  client.close_sending();
  done.wait();
}

}  // namespace
}  // namespace clew::api

#include "api/http_server.h"

#include <gtest/gtest.h>

#include <boost/asio/ssl.hpp>
#include <numeric>

#include "api/router_service.h"
#include "api/test_certificates.h"
#include "api/test_support.h"
#include "otlp/inflate.h"

namespace clew::api {
namespace {

using test::Client;
using test::post;
using test::Reply;

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() {
    router_.add("GET", "/hello", [](std::shared_ptr<const HttpRequest> request, HttpDone done) {
      HttpResponse response;
      response.content_type = "text/plain";
      response.body = "hello " + std::string(request->query());
      done(std::move(response));
    });
    router_.add("POST", "/echo", [](std::shared_ptr<const HttpRequest> request, HttpDone done) {
      HttpResponse response;
      response.content_type = "text/plain";
      response.body = request->body;
      done(std::move(response));
    });
    router_.add("GET", "/large", [](std::shared_ptr<const HttpRequest>, HttpDone done) {
      HttpResponse response;
      response.body = std::string(8u << 20, 'x');
      done(std::move(response));
    });
    router_.add("GET", "/held",
                [this](std::shared_ptr<const HttpRequest>, HttpDone done) { held_.set_value(std::move(done)); });
    router_.add("GET", "/dropped", [](std::shared_ptr<const HttpRequest>, HttpDone) {});
  }
  void start(HttpEndpoint endpoint = {}) {
    endpoint.endpoint = "127.0.0.1:0";
    service_ = std::make_unique<RouterService>(router_, gate_, endpoint, 1000);
    server_ = std::make_unique<HttpServer>("test", endpoint, *service_, loops_.all(), BufferPool::create());
    const Status status = server_->start();
    ASSERT_TRUE(status.ok()) << status.to_string();
  }
  void TearDown() override { loops_.stop(); }
  Client client() { return Client(server_->port()); }

  AdmissionGate gate_{64u << 20};
  HttpRouter router_;
  std::promise<HttpDone> held_;
  std::unique_ptr<RouterService> service_;
  test::Loops loops_{2};
  std::unique_ptr<HttpServer> server_;
};

constexpr std::string_view kGet = "GET /hello?1 HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_F(HttpServerTest, AConnectionServesManyRequestsAndTheyMayBePipelinedInOrder) {
  start();
  Client c = client();
  EXPECT_EQ(c.exchange(kGet).body, "hello 1");
  std::string pipeline;
  for (int i = 0; i < 500; ++i)
    pipeline +=
        "GET /hello?" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n" + post("/echo", "", std::to_string(i));
  std::thread sender([&] { c.send(pipeline); });
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(c.receive().body, "hello " + std::to_string(i));
    ASSERT_EQ(c.receive().body, std::to_string(i));
  }
  sender.join();
  EXPECT_EQ(server_->stats().accepted_connections, 1u);
}

TEST_F(HttpServerTest, ARequestThatArrivesByteByByteIsServed) {
  start();
  Client c = client();
  for (const char byte : post("/echo", "", "slow but complete")) c.send({&byte, 1});
  EXPECT_EQ(c.receive().body, "slow but complete");
}

TEST_F(HttpServerTest, FourConnectionsLoadBothLoopsEqually) {
  start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<Client>(server_->port()));
    EXPECT_EQ(clients.back()->exchange(kGet).status, 200);
  }
  EXPECT_EQ(server_->connections_per_loop(), (std::vector<uint64_t>{2, 2}));
}

TEST_F(HttpServerTest, HeadTellsTheSizeAndSendsNoBody) {
  start();
  Client c = client();
  c.send("HEAD /hello?abc HTTP/1.1\r\nHost: x\r\n\r\n");
  const Reply head = c.receive(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("Content-Length"), "9");
  EXPECT_EQ(c.exchange(kGet).body, "hello 1");  // nothing of the former body is in between
}

TEST_F(HttpServerTest, AnHttp10ClientGetsItsReplyAndTheEnd) {
  start();
  Client c = client();
  c.send("GET /hello?0 HTTP/1.0\r\n\r\n");
  EXPECT_EQ(c.receive().body, "hello 0");
  EXPECT_TRUE(c.closed_by_server());
}

TEST_F(HttpServerTest, AClientThatClosesItsSendingHalfStillGetsTheReply) {
  start();
  Client c = client();
  c.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  c.close_sending();
  EXPECT_EQ(c.receive().body.size(), 8u << 20);
  EXPECT_TRUE(c.closed_by_server());
}

TEST_F(HttpServerTest, ARequestCutOffByTheClientIsABadRequest) {
  start();
  for (const std::string_view cut : {"GET /hel", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
                                     "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123"}) {
    Client c = client();
    c.send(cut);
    c.close_sending();
    EXPECT_EQ(c.receive().status, 400) << cut;
    EXPECT_TRUE(c.closed_by_server());
  }
}

TEST_F(HttpServerTest, ExpectContinueIsAnsweredBeforeTheBodyAndOtherExpectationsAreRefused) {
  start();
  Client c = client();
  c.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(c.receive().status, 100);
  EXPECT_EQ(c.exchange("body").body, "body");
  EXPECT_EQ(c.exchange("GET /hello HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n").status, 417);
}

TEST_F(HttpServerTest, WhatIsNotHttpIsABadRequest) {
  start();
  for (const std::string_view bad :
       {"\x16\x03\x01\x02hello tls\r\n\r\n", "GET /x\r\n\r\n", "GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5x\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n"}) {
    Client c = client();
    c.send(bad);
    EXPECT_EQ(c.receive().status, 400) << bad;
    EXPECT_TRUE(c.closed_by_server()) << bad;
  }
  EXPECT_EQ(server_->stats().bad_requests, 9u);
  EXPECT_EQ(client().exchange(kGet).status, 200);
}

TEST_F(HttpServerTest, AHeadAboveTheLimitIsRefusedAndOneJustBelowIsServed) {
  HttpEndpoint endpoint;
  endpoint.limits.max_header_bytes = 20'000;
  start(endpoint);
  const auto with_header_of = [](size_t bytes) {
    return "GET /hello?1 HTTP/1.1\r\nHost: x\r\nX-Long: " + std::string(bytes, 'a') + "\r\n\r\n";
  };
  EXPECT_EQ(client().exchange(with_header_of(19'900)).status, 200);
  EXPECT_EQ(client().exchange(with_header_of(20'000)).status, 431);
  Client endless = client();
  endless.send("GET /" + std::string(40'000, 'a'));  // and no end of the line
  EXPECT_EQ(endless.receive().status, 431);
}

TEST_F(HttpServerTest, AnEndlessChunkLineIsRefusedWithBoundedMemory) {
  start();
  Client c = client();
  c.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;" + std::string(100'000, 'e'));
  EXPECT_EQ(c.receive().status / 100, 4);
}

TEST_F(HttpServerTest, ARequestThatTakesTooLongToArriveIsAnsweredAndClosed) {
  HttpEndpoint endpoint;
  endpoint.limits.request_timeout_ms = 40;
  start(endpoint);
  for (const std::string_view slow :
       {"GET /hello HTTP/1.1\r\nHo", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12"}) {
    Client c = client();
    c.send(slow);
    EXPECT_EQ(c.receive().status, 408) << slow;  // the server's own deadline ends this
  }
  Client silent = client();
  EXPECT_TRUE(silent.closed_by_server());
  EXPECT_EQ(server_->stats().timeouts, 4u);
}

TEST_F(HttpServerTest, AnIdleConnectionIsClosedAfterItsTime) {
  HttpEndpoint endpoint;
  endpoint.limits.idle_timeout_ms = 30;
  start(endpoint);
  Client c = client();
  EXPECT_EQ(c.exchange(kGet).status, 200);
  EXPECT_TRUE(c.closed_by_server());
}

TEST_F(HttpServerTest, ConnectionsAboveTheLimitAreTurnedAwayAndOthersUnharmed) {
  HttpEndpoint endpoint;
  endpoint.limits.max_connections = 2;
  start(endpoint);
  Client first = client(), second = client();
  EXPECT_EQ(first.exchange(kGet).status, 200);
  EXPECT_EQ(second.exchange(kGet).status, 200);
  EXPECT_TRUE(client().closed_by_server());
  EXPECT_EQ(first.exchange(kGet).status, 200);
  EXPECT_EQ(server_->stats().refused_connections, 1u);
}

TEST_F(HttpServerTest, ACompletionThatIsDroppedBecomesAnInternalError) {
  start();
  EXPECT_EQ(client().exchange("GET /dropped HTTP/1.1\r\nHost: x\r\n\r\n").status, 500);
}

TEST_F(HttpServerTest, LargeRepliesAreCompressedForThoseWhoAcceptIt) {
  start();
  const Reply packed = client().exchange("GET /large HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n");
  EXPECT_EQ(packed.header("Content-Encoding"), "gzip");
  EXPECT_EQ(packed.header("Vary"), "Accept-Encoding");
  std::string body;
  ASSERT_TRUE(otlp::inflate(otlp::Encoding::kGzip, packed.body, 16u << 20, body).ok());
  EXPECT_EQ(body, std::string(8u << 20, 'x'));
  EXPECT_EQ(client().exchange("GET /large HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip;q=0\r\n\r\n").body, body);
  EXPECT_EQ(
      client().exchange("GET /hello?1 HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n").header("Content-Encoding"),
      "");
}

TEST_F(HttpServerTest, DrainLetsTheRequestUnderWayFinishAndClosesTheIdle) {
  start();
  Client idle = client(), busy = client();
  EXPECT_EQ(idle.exchange(kGet).status, 200);
  busy.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
  HttpDone done = held_.get_future().get();
  std::promise<void> drained;
  server_->drain(60'000, [&] { drained.set_value(); });
  EXPECT_TRUE(idle.closed_by_server());
  HttpResponse response;
  response.body = "late";
  done(std::move(response));
  const Reply reply = busy.receive();
  EXPECT_EQ(reply.body, "late");
  EXPECT_EQ(reply.header("Connection"), "close");
  EXPECT_TRUE(busy.closed_by_server());
  busy.close_sending();
  drained.get_future().wait();
  EXPECT_THROW(client(), boost::system::system_error);
}

TEST_F(HttpServerTest, DrainGivesUpOnARequestAfterItsGrace) {
  start();
  Client busy = client();
  busy.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
  HttpDone done = held_.get_future().get();
  std::promise<void> drained;
  server_->drain(20, [&] { drained.set_value(); });
  drained.get_future().wait();
  EXPECT_TRUE(busy.closed_by_server());
  done(HttpResponse{});  // too late, and harmless
}

TEST_F(HttpServerTest, AnAddressInUseIsToldWithTheAddressAndWhatToDo) {
  start();
  HttpEndpoint endpoint;
  endpoint.endpoint = "127.0.0.1:" + std::to_string(server_->port());
  HttpServer second("http", endpoint, *service_, loops_.all(), BufferPool::create());
  const Status status = second.start();
  EXPECT_EQ(status.code(), Code::kAlreadyExists);
  EXPECT_NE(status.message().find(endpoint.endpoint), std::string_view::npos);
  EXPECT_NE(status.message().find("another process"), std::string_view::npos);
}

TEST_F(HttpServerTest, EndpointsThatCannotBeAreRefusedWithTheReason) {
  for (const char* endpoint : {"nonsense", "127.0.0.1:99999", "127.0.0.1:", "::1:80"}) {
    HttpEndpoint options;
    options.endpoint = endpoint;
    RouterService service(router_, gate_, options, 1000);
    HttpServer server("http", options, service, loops_.all(), BufferPool::create());
    const Status status = server.start();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << endpoint;
  }
}

// ---- TLS

namespace ssl = boost::asio::ssl;

struct TlsClient {
  explicit TlsClient(uint16_t port, const std::string& ca, const test::Certificate* own = nullptr,
                     int max_version = TLS1_3_VERSION)
      : context(ssl::context::tls_client) {
    context.add_certificate_authority(boost::asio::buffer(ca));
    if (own != nullptr) {
      context.use_certificate_chain(boost::asio::buffer(own->certificate));
      context.use_private_key(boost::asio::buffer(own->key), ssl::context::pem);
    }
    SSL_CTX_set_min_proto_version(context.native_handle(), 0);
    SSL_CTX_set_max_proto_version(context.native_handle(), max_version);
    SSL_CTX_set_security_level(context.native_handle(), 0);
    stream.emplace(io, context);
    stream->set_verify_mode(ssl::verify_peer);
    stream->lowest_layer().connect({boost::asio::ip::make_address("127.0.0.1"), port});
  }
  Reply exchange(std::string_view bytes) {
    boost::system::error_code error;
    stream->handshake(ssl::stream_base::client, error);
    if (error) return {};
    boost::asio::write(*stream, boost::asio::buffer(bytes.data(), bytes.size()), error);
    return test::read_reply(*stream, left);
  }
  boost::asio::io_context io;
  ssl::context context;
  std::optional<ssl::stream<boost::asio::ip::tcp::socket>> stream;  // after the context is complete
  std::string left;
};

TEST_F(HttpServerTest, TlsServesVersion12AndAboveAndReloadsItsFiles) {
  test::CertificateFiles files;
  HttpEndpoint endpoint;
  endpoint.tls = {files.write("server.pem", files.server.certificate), files.write("server.key", files.server.key), ""};
  start(endpoint);
  EXPECT_EQ(TlsClient(server_->port(), files.authority.certificate).exchange(kGet).body, "hello 1");
  EXPECT_EQ(TlsClient(server_->port(), files.authority.certificate, nullptr, TLS1_2_VERSION).exchange(kGet).body,
            "hello 1");
  EXPECT_EQ(TlsClient(server_->port(), files.authority.certificate, nullptr, TLS1_1_VERSION).exchange(kGet).status, 0);
  EXPECT_EQ(TlsClient(server_->port(), files.stranger.certificate).exchange(kGet).status, 0);
  const Reply large =
      TlsClient(server_->port(), files.authority.certificate).exchange(post("/echo", "", std::string(300'000, 'b')));
  EXPECT_EQ(large.body, std::string(300'000, 'b'));

  files.write("server.key", "not a key");
  EXPECT_FALSE(server_->reload_tls().ok());
  EXPECT_EQ(TlsClient(server_->port(), files.authority.certificate).exchange(kGet).status,
            200);  // the former files stay
  files.write("server.pem", files.renewed.certificate);
  files.write("server.key", files.renewed.key);
  EXPECT_TRUE(server_->reload_tls().ok());
  EXPECT_EQ(TlsClient(server_->port(), files.authority.certificate).exchange(kGet).status, 0);
  EXPECT_EQ(TlsClient(server_->port(), files.stranger.certificate).exchange(kGet).status, 200);
}

TEST_F(HttpServerTest, MutualTlsServesOnlyClientsOfItsAuthority) {
  test::CertificateFiles files;
  HttpEndpoint endpoint;
  endpoint.tls = {files.write("server.pem", files.server.certificate), files.write("server.key", files.server.key),
                  files.write("ca.pem", files.authority.certificate)};
  start(endpoint);
  EXPECT_EQ(TlsClient(server_->port(), files.authority.certificate, &files.client).exchange(kGet).status, 200);
  EXPECT_EQ(TlsClient(server_->port(), files.authority.certificate).exchange(kGet).status, 0);
  EXPECT_EQ(TlsClient(server_->port(), files.authority.certificate, &files.stranger).exchange(kGet).status, 0);
}

TEST_F(HttpServerTest, TlsFilesThatAreMissingAreNamed) {
  HttpEndpoint endpoint;
  endpoint.endpoint = "127.0.0.1:0";
  endpoint.tls.cert_file = "/nowhere/cert.pem";
  RouterService service(router_, gate_, endpoint, 0);
  HttpServer server("http", endpoint, service, loops_.all(), BufferPool::create());
  EXPECT_NE(server.start().message().find("/nowhere/cert.pem"), std::string_view::npos);
}

}  // namespace
}  // namespace clew::api

#include "app/http_client.h"

#include <gtest/gtest.h>

#include "api/http_server.h"
#include "api/test_certificates.h"
#include "api/test_support.h"

namespace clew::app {
namespace {

HttpResponse reply(int status, std::string body, std::string type) {
  return {status, std::move(body), std::move(type), {}};
}

TEST(HttpClient, ARefusalIsReadWhateverItsFormat) {
  const std::string status("\x08\x10\x12\x0fno bearer token", 19);
  EXPECT_EQ(error_text(reply(401, status, "application/x-protobuf")),
            "HTTP 401: no bearer token; give --token or CLEW_TOKEN");
  EXPECT_EQ(error_text(reply(401, R"({"message":"no bearer token; send it"})", "application/json")),
            "HTTP 401: no bearer token; give --token or CLEW_TOKEN");
  EXPECT_EQ(error_text(reply(400, status, "application/x-protobuf")), "HTTP 400: no bearer token");
  EXPECT_EQ(error_text(reply(400, R"({"message":"what"})", "application/json")), "what");
  EXPECT_EQ(error_text(reply(400, std::string("\xff\xff\x01", 3), "application/x-protobuf")), "HTTP 400");
  EXPECT_EQ(error_text(reply(500, "plain\n", "text/plain")), "HTTP 500: plain?");
  EXPECT_EQ(otlp_error_text(reply(404, "", "text/plain")), "HTTP 404: this is not an OTLP/HTTP port (default 4318)");
}

// Answers every request with its path and credentials.
class Mirror final : public api::HttpService {
 public:
  Decision on_head(const api::HttpHead& head) override {
    api::HttpResponse response;
    response.body = std::string(head.target()) + " " + std::string(head.header("authorization"));
    return {nullptr, std::move(response)};
  }
};

class TlsNode {
 public:
  TlsNode() {
    api::HttpEndpoint endpoint{":0"};  // all addresses: 127.0.0.2, too, which the certificate does not name
    endpoint.tls = {files.write("server.pem", files.server.certificate), files.write("server.key", files.server.key),
                    ""};
    server_ = std::make_unique<api::HttpServer>("node", endpoint, mirror_, loops_.all(), api::BufferPool::create());
    EXPECT_TRUE(server_->start().ok());
  }
  std::string port() const { return std::to_string(server_->port()); }
  // What the client gets, or the error that it reports.
  Result<HttpResponse> get(const std::string& server, const std::string& ca_file) const {
    HttpClient::Options options;
    options.bearer_token = "secret";
    options.ca_file = ca_file;
    auto address = parse_server(server, "1");
    EXPECT_TRUE(address.ok()) << server;
    HttpClient client(*address, options);
    (void)client.get("/first");
    return client.get("/second");
  }

  api::test::CertificateFiles files;

 private:
  api::test::Loops loops_{1};
  Mirror mirror_;
  std::unique_ptr<api::HttpServer> server_;
};

TEST(HttpClient, TlsIsSpokenWithANodeWhoseCertificateTheGivenAuthoritySigned) {
  TlsNode node;
  const std::string authority = node.files.write("ca.pem", node.files.authority.certificate);
  for (const char* host : {"127.0.0.1", "localhost"}) {
    const auto reply = node.get("https://" + std::string(host) + ":" + node.port() + "/prefix/", authority);
    ASSERT_TRUE(reply.ok()) << reply.error().message;
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->body, "/prefix/second Bearer secret");
  }
}

TEST(HttpClient, TlsRefusesWhatItCannotVerifyAndSaysWhy) {
  TlsNode node;
  const std::string stranger = node.files.write("other.pem", node.files.stranger.certificate);
  const std::string server = "https://127.0.0.1:" + node.port();
  const auto refused = node.get(server, stranger);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_NE(refused.error().message.find("its certificate is not accepted: unable to get local issuer certificate"),
            std::string::npos)
      << refused.error().message;
  const auto unnamed = node.get(server, "");
  ASSERT_FALSE(unnamed.ok());
  EXPECT_NE(unnamed.error().message.find("give --ca"), std::string::npos) << unnamed.error().message;
  const std::string authority = node.files.write("ca.pem", node.files.authority.certificate);
  const auto other_name = node.get("https://127.0.0.2:" + node.port(), authority);
  ASSERT_FALSE(other_name.ok());
  EXPECT_NE(other_name.error().message.find("its certificate does not name 127.0.0.2"), std::string::npos)
      << other_name.error().message;
  const auto no_file = node.get(server, "/nowhere/ca.pem");
  ASSERT_FALSE(no_file.ok());
  EXPECT_EQ(no_file.error().code, Code::kInvalidArgument);
  EXPECT_NE(no_file.error().message.find("/nowhere/ca.pem"), std::string::npos) << no_file.error().message;
  const auto plain = node.get("http://127.0.0.1:" + node.port(), "");
  EXPECT_FALSE(plain.ok()) << plain->body;
}

TEST(HttpClient, AddressesOfServers) {
  const auto shown = [](std::string_view text) {
    const auto address = parse_server(text, "4318");
    if (!address.ok()) return address.error().message;
    return (address->tls ? "tls " : "") + address->host + "|" + address->port + "|" + address->prefix;
  };
  EXPECT_EQ(shown(":9"), "127.0.0.1|9|");
  EXPECT_EQ(shown("node"), "node|4318|");
  EXPECT_EQ(shown("http://node"), "node|80|");
  EXPECT_EQ(shown("http://node:99/a/b//"), "node|99|/a/b");
  EXPECT_EQ(shown("https://node"), "tls node|443|");
  EXPECT_EQ(shown("https://[::1]:8443/x"), "tls ::1|8443|/x");
  EXPECT_EQ(shown("node:http"), "'http' is not a port; a server is written host:port");
}

}  // namespace
}  // namespace clew::app

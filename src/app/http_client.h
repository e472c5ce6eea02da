// HttpClient: one keep-alive connection to a Clew node, one request at a time, for the subcommands that talk to a
// server. Not for load: that is bench.cc's, which keeps many connections busy from one thread.
//
// Errors: kUnavailable when the server cannot be reached or does not answer within the timeout; any HTTP status is an
// answer, not an error. kInvalidArgument: the CA file cannot be read. A connection that the server closed while it was
// idle is opened anew, once. Over TLS the server's certificate and its name are always verified.
// Single-threaded, blocking. Replies are limited to 1 GiB.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace clew::app {

struct HttpResponse {
  int status = 0;
  std::string body;
  std::string content_type;
  std::optional<uint32_t> retry_after_s;
};

// "http://host:port/prefix", "https://...", "host:port" or ":port" (loopback).
struct ServerAddress {
  std::string host;
  std::string port;
  std::string prefix;  // without its last slash
  bool tls = false;
};
// `default_port`: of an address without one and without a scheme; with a scheme it is 80 or 443.
Result<ServerAddress> parse_server(std::string_view text, std::string_view default_port);

class HttpClient {
 public:
  struct Options {
    int64_t timeout_ms = 60'000;  // of one request
    std::string bearer_token;
    std::string tenant;   // X-Scope-OrgID; "" sends none
    std::string ca_file;  // PEM: who may have signed the server's certificate; "": the system's authorities
  };
  HttpClient(ServerAddress server, Options options);
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;
  ~HttpClient();

  Result<HttpResponse> get(std::string_view target);
  Result<HttpResponse> post(std::string_view target, std::string_view content_type, std::string_view body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// For a query string: everything but unreserved characters as %XX.
std::string url_encode(std::string_view text);
// The message in an error reply: of a JSON error, of a google.rpc.Status, or the body when it is short.
std::string error_text(const HttpResponse& response);
// The same for a reply to POST /v1/traces: a 404 says that the port is not the one for it.
std::string otlp_error_text(const HttpResponse& response);

}  // namespace clew::app

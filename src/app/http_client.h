// HttpClient: one keep-alive connection to a Clew node, one request at a time, for the subcommands that talk to a
// server. Not for load: that is bench.cc's, which keeps many connections busy from one thread.
//
// Errors: kUnavailable when the server cannot be reached or does not answer within the timeout; any HTTP status is an
// answer, not an error. A connection that the server closed while it was idle is opened anew, once.
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

// "http://host:port/prefix", "host:port" or ":port" (loopback).
struct ServerAddress {
  std::string host;
  std::string port;
  std::string prefix;  // without its last slash
};
Result<ServerAddress> parse_server(std::string_view text, std::string_view default_port);

class HttpClient {
 public:
  struct Options {
    int64_t timeout_ms = 60'000;  // of one request
    std::string bearer_token;
    std::string tenant;  // X-Scope-OrgID; "" sends none
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
// The message in an error reply: of a JSON error, or the body's beginning.
std::string error_text(const HttpResponse& response);

}  // namespace clew::app

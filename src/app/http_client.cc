#include "app/http_client.h"

#include <simdjson.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <chrono>

namespace clew::app {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::asio::ip::tcp;

struct HttpClient::Impl {
  ServerAddress server;
  Options options;
  boost::asio::io_context io;
  std::optional<beast::tcp_stream> stream;
  beast::flat_buffer buffer;

  // Runs what was started until it has finished or the stream's deadline has passed.
  void run() {
    io.restart();
    io.run();
  }

  beast::error_code connect() {
    beast::error_code failed;
    tcp::resolver resolver(io);
    const auto addresses = resolver.resolve(server.host, server.port, failed);
    if (failed) return failed;
    stream.emplace(io);
    buffer.clear();
    stream->expires_after(std::chrono::milliseconds(options.timeout_ms));
    stream->async_connect(addresses, [&](beast::error_code error, const tcp::endpoint&) { failed = error; });
    run();
    if (failed) {
      stream.reset();
    } else {
      beast::error_code ignored;
      stream->socket().set_option(tcp::no_delay(true), ignored);
    }
    return failed;
  }

  beast::error_code exchange(const http::request<http::span_body<const char>>& request,
                             http::response_parser<http::string_body>& parser) {
    beast::error_code failed;
    stream->expires_after(std::chrono::milliseconds(options.timeout_ms));
    http::async_write(*stream, request, [&](beast::error_code error, size_t) {
      failed = error;
      if (error) return;
      http::async_read(*stream, buffer, parser, [&](beast::error_code read_error, size_t) { failed = read_error; });
    });
    run();
    if (failed) stream.reset();
    return failed;
  }

  Result<HttpResponse> request(http::verb verb, std::string_view target, std::string_view content_type,
                               std::string_view body) {
    const std::string path = server.prefix + std::string(target);
    http::request<http::span_body<const char>> request(verb, path, 11);
    request.set(http::field::host, server.host + ":" + server.port);
    request.set(http::field::user_agent, "clew");
    if (!options.bearer_token.empty()) request.set(http::field::authorization, "Bearer " + options.bearer_token);
    if (!options.tenant.empty()) request.set("X-Scope-OrgID", options.tenant);
    if (verb == http::verb::post) {
      request.set(http::field::content_type, beast::string_view(content_type.data(), content_type.size()));
      request.body() = {body.data(), body.size()};
      request.prepare_payload();
    }
    const std::string where = server.host + ":" + server.port;
    for (bool reused = stream.has_value();; reused = false) {
      if (!stream) {
        if (const auto failed = connect()) {
          return Error{Code::kUnavailable,
                       "connect to " + where + ": " + failed.message() + "; is `clew serve` running there?"};
        }
      }
      http::response_parser<http::string_body> parser;
      parser.body_limit(1ull << 30);
      const auto failed = exchange(request, parser);
      if (failed && reused && failed != beast::error::timeout) continue;  // closed while it was idle
      if (failed)
        return Error{Code::kUnavailable,
                     std::string(target.substr(0, target.find('?'))) + " at " + where + ": " + failed.message()};
      auto message = parser.release();
      if (!message.keep_alive()) stream.reset();
      HttpResponse response;
      response.status = static_cast<int>(message.result_int());
      response.body = std::move(message.body());
      const auto type = message[http::field::content_type];
      response.content_type.assign(type.data(), type.size());
      const auto retry = message[http::field::retry_after];
      uint32_t seconds = 0;
      if (std::from_chars(retry.data(), retry.data() + retry.size(), seconds).ec == std::errc())
        response.retry_after_s = seconds;
      return response;
    }
  }
};

HttpClient::HttpClient(ServerAddress server, Options options) : impl_(std::make_unique<Impl>()) {
  impl_->server = std::move(server);
  impl_->options = std::move(options);
}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

Result<HttpResponse> HttpClient::get(std::string_view target) {
  return impl_->request(http::verb::get, target, {}, {});
}
Result<HttpResponse> HttpClient::post(std::string_view target, std::string_view content_type, std::string_view body) {
  return impl_->request(http::verb::post, target, content_type, body);
}

Result<ServerAddress> parse_server(std::string_view text, std::string_view default_port) {
  if (text.starts_with("http://")) text.remove_prefix(7);
  if (text.starts_with("https://")) {
    return Error{Code::kInvalidArgument,
                 "https:// is not spoken by this client; use a local http:// address of the node"};
  }
  ServerAddress out;
  const size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    out.prefix = text.substr(slash);
    while (!out.prefix.empty() && out.prefix.back() == '/') out.prefix.pop_back();
    text = text.substr(0, slash);
  }
  const size_t colon = text.rfind(':');
  const bool has_port = colon != std::string_view::npos && text.find(']', colon) == std::string_view::npos;
  out.host = has_port ? text.substr(0, colon) : text;
  out.port = has_port ? text.substr(colon + 1) : default_port;
  if (out.host.size() > 2 && out.host.front() == '[') out.host = out.host.substr(1, out.host.size() - 2);
  if (out.host.empty()) out.host = "127.0.0.1";
  if (out.port.empty() || out.port.find_first_not_of("0123456789") != std::string::npos) {
    return Error{Code::kInvalidArgument, "'" + out.port + "' is not a port; a server is written host:port"};
  }
  return out;
}

std::string url_encode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                       byte == '-' || byte == '_' || byte == '.' || byte == '~';
    if (plain) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
  return out;
}

std::string error_text(const HttpResponse& response) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  std::string_view message;
  if (parser.parse(response.body).get(root) == simdjson::SUCCESS) {
    for (const char* path : {"/message", "/error/message", "/errors/0/msg", "/error"}) {
      if (root.at_pointer(path).get(message) == simdjson::SUCCESS) return std::string(message);
    }
  }
  std::string text = "HTTP " + std::to_string(response.status);
  if (!response.body.empty() && response.body.size() < 500) text += ": " + response.body;
  return text;
}

}  // namespace clew::app

#include "app/http_client.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <simdjson.h>
#include <unistd.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <tuple>

#include "app/client_output.h"
#include "base/varint.h"

namespace clew::app {

namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = boost::asio::ssl;
using boost::asio::ip::tcp;

namespace {

Result<std::unique_ptr<ssl::context>> client_tls(const std::string& ca_file) {
  auto context = std::make_unique<ssl::context>(ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  beast::error_code failed;
  if (ca_file.empty()) {
    context->set_default_verify_paths(failed);
  } else {
    context->load_verify_file(ca_file, failed);
  }
  if (!ca_file.empty() && ::access(ca_file.c_str(), R_OK) != 0) failed = {errno, boost::system::system_category()};
  if (failed) {
    return Error{Code::kInvalidArgument, "read certificate authorities from " +
                                             (ca_file.empty() ? "the system's directory" : ca_file) + ": " +
                                             failed.message() + "; --ca wants a PEM file"};
  }
  context->set_verify_mode(ssl::verify_peer, failed);
  return context;
}

}  // namespace

struct HttpClient::Impl {
  ServerAddress server;
  Options options;
  boost::asio::io_context io;
  std::unique_ptr<ssl::context> tls_context;  // made by the first connection that needs it
  // The open connection: one of the two, or none.
  std::optional<beast::tcp_stream> plain;
  std::optional<beast::ssl_stream<beast::tcp_stream>> tls;
  beast::flat_buffer buffer;

  bool connected() const { return plain || tls; }
  void close() {
    plain.reset();
    tls.reset();
  }
  beast::tcp_stream& socket() { return tls ? tls->next_layer() : *plain; }
  std::string where() const { return server.host + ":" + server.port; }

  // Runs what was started until it has finished or the stream's deadline has passed.
  void run() {
    io.restart();
    io.run();
  }

  Status connect() {
    const auto unreachable = [&](const beast::error_code& error, const std::string& advice) {
      close();
      return Status(Code::kUnavailable, "connect to " + where() + ": " + error.message() + advice);
    };
    static constexpr const char* kIsItThere = "; is `clew serve` running there?";
    beast::error_code failed;
    tcp::resolver resolver(io);
    const auto addresses = resolver.resolve(server.host, server.port, failed);
    if (failed) return unreachable(failed, kIsItThere);
    if (server.tls && tls_context == nullptr) {
      CLEW_ASSIGN(tls_context, client_tls(options.ca_file));
    }
    if (server.tls) {
      tls.emplace(io, *tls_context);
    } else {
      plain.emplace(io);
    }
    buffer.clear();
    socket().expires_after(std::chrono::milliseconds(options.timeout_ms));
    socket().async_connect(addresses, [&](beast::error_code error, const tcp::endpoint&) { failed = error; });
    run();
    if (failed) return unreachable(failed, kIsItThere);
    beast::error_code ignored;
    socket().socket().set_option(tcp::no_delay(true), ignored);
    return tls ? handshake() : Status();
  }

  Status handshake() {
    beast::error_code failed;
    tls->set_verify_callback(ssl::host_name_verification(server.host), failed);
    SSL_set_tlsext_host_name(tls->native_handle(), server.host.c_str());
    tls->async_handshake(ssl::stream_base::client, [&](beast::error_code error) { failed = error; });
    run();
    if (!failed) return {};
    const long verdict = SSL_get_verify_result(tls->native_handle());
    std::string what = failed.message();
    if (verdict == X509_V_ERR_UNSPECIFIED) {  // what the check of the name leaves behind
      what = "its certificate does not name " + server.host;
    } else if (verdict != X509_V_OK) {
      what = std::string("its certificate is not accepted: ") + X509_verify_cert_error_string(verdict) +
             (options.ca_file.empty() ? "; give --ca with the authority that signed it" : "");
    } else if (failed.category() == boost::asio::error::get_ssl_category()) {
      what += "; does this port speak TLS?";
    }
    close();
    return {Code::kUnavailable, "TLS with " + where() + ": " + what};
  }

  template <typename Stream>
  beast::error_code exchange(Stream& stream, const http::request<http::span_body<const char>>& request,
                             http::response_parser<http::string_body>& parser) {
    beast::error_code failed;
    socket().expires_after(std::chrono::milliseconds(options.timeout_ms));
    http::async_write(stream, request, [&](beast::error_code error, size_t) {
      failed = error;
      if (error) return;
      http::async_read(stream, buffer, parser, [&](beast::error_code read_error, size_t) { failed = read_error; });
    });
    run();
    if (failed) close();
    return failed;
  }

  Result<HttpResponse> request(http::verb verb, std::string_view target, std::string_view content_type,
                               std::string_view body) {
    const std::string path = server.prefix + std::string(target);
    http::request<http::span_body<const char>> request(verb, path, 11);
    request.set(http::field::host, where());
    request.set(http::field::user_agent, "clew");
    if (!options.bearer_token.empty()) request.set(http::field::authorization, "Bearer " + options.bearer_token);
    if (!options.tenant.empty()) request.set("X-Scope-OrgID", options.tenant);
    if (verb == http::verb::post) {
      request.set(http::field::content_type, beast::string_view(content_type.data(), content_type.size()));
      request.body() = {body.data(), body.size()};
      request.prepare_payload();
    }
    for (bool reused = connected();; reused = false) {
      if (!connected()) CLEW_TRY(connect());
      http::response_parser<http::string_body> parser;
      parser.body_limit(1ull << 30);
      const auto failed = tls ? exchange(*tls, request, parser) : exchange(*plain, request, parser);
      if (failed && reused && failed != beast::error::timeout) continue;  // closed while it was idle
      if (failed)
        return Error{Code::kUnavailable,
                     std::string(target.substr(0, target.find('?'))) + " at " + where() + ": " + failed.message()};
      auto message = parser.release();
      if (!message.keep_alive()) close();
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
  ServerAddress out;
  for (const auto& [scheme, port, tls] : {std::tuple{std::string_view("http://"), std::string_view("80"), false},
                                          std::tuple{std::string_view("https://"), std::string_view("443"), true}}) {
    if (!text.starts_with(scheme)) continue;
    text.remove_prefix(scheme.size());
    default_port = port;
    out.tls = tls;
  }
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

namespace {

// google.rpc.Status: code (1), message (2), details (3).
std::string status_message(std::string_view body) {
  ByteReader reader(body);
  while (reader.ok() && !reader.at_end()) {
    switch (reader.varint()) {
      case 1u << 3:
        reader.varint();
        break;
      case 2u << 3 | 2u:
        return std::string(reader.prefixed_bytes());
      case 3u << 3 | 2u:
        reader.prefixed_bytes();
        break;
      default:
        return {};
    }
  }
  return {};
}

std::string json_message(const std::string& body) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  std::string_view message;
  if (parser.parse(body).get(root) == simdjson::SUCCESS) {
    for (const char* path : {"/message", "/error/message", "/errors/0/msg", "/error"}) {
      if (root.at_pointer(path).get(message) == simdjson::SUCCESS) return std::string(message);
    }
  }
  return {};
}

}  // namespace

std::string error_text(const HttpResponse& response) {
  const bool protobuf = response.content_type.starts_with("application/x-protobuf");
  std::string message = printable(protobuf ? status_message(response.body) : json_message(response.body));
  if (response.status == 401) {
    // The node's advice after the semicolon is for those who write requests themselves.
    message = (message.empty() ? "no valid bearer token" : message.substr(0, message.find(';'))) +
              "; give --token or CLEW_TOKEN";
  } else if (!message.empty() && !protobuf) {
    return message;
  }
  if (message.empty() && !protobuf && response.body.size() < 500) message = printable(response.body);
  return "HTTP " + std::to_string(response.status) + (message.empty() ? "" : ": " + message);
}

std::string otlp_error_text(const HttpResponse& response) {
  if (response.status == 404 || response.status == 405) {
    return "HTTP " + std::to_string(response.status) + ": this is not an OTLP/HTTP port (default 4318)";
  }
  return error_text(response);
}

}  // namespace clew::app

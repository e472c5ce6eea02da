// HTTP/1.1 on loopback for test programs: a server that hands each request to a function, and one blocking POST. A
// thread a connection, no timeouts (the script that runs the program sets one): never for anything but tests.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace clew::tests {

namespace http = boost::beast::http;
using boost::asio::ip::tcp;

using Request = http::request<http::string_body>;
using Headers = std::vector<std::pair<std::string, std::string>>;

// All values of a header, in order of appearance; names are compared without case.
inline std::vector<std::string> header_values(const Request& request, std::string_view name) {
  std::vector<std::string> values;
  const auto [begin, end] = request.equal_range(boost::beast::string_view(name.data(), name.size()));
  for (auto field = begin; field != end; ++field) values.emplace_back(field->value().data(), field->value().size());
  return values;
}

class LoopbackServer {
 public:
  // Answers what `handle` returns, from several threads at once. Port 0: any free one.
  LoopbackServer(uint16_t port, std::function<http::status(const Request&)> handle)
      : handle_(std::move(handle)),
        acceptor_(context_, {boost::asio::ip::address_v4::loopback(), port}),
        accepting_([this] { run(); }) {}
  ~LoopbackServer() {
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);  // wakes the blocking accept
    accepting_.join();
    for (std::thread& connection : connections_) connection.join();
  }
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  uint16_t port() const { return acceptor_.local_endpoint().port(); }
  void wait() { accepting_.join(); }

 private:
  void run() {
    for (;;) {
      boost::system::error_code error;
      tcp::socket socket(context_);
      acceptor_.accept(socket, error);
      if (error) return;
      connections_.emplace_back([this, connection = std::move(socket)]() mutable { serve(connection); });
    }
  }
  void serve(tcp::socket& socket) {
    boost::system::error_code error;
    boost::beast::flat_buffer buffer;
    Request request;
    http::read(socket, buffer, request, error);
    if (error) return;
    http::response<http::string_body> response(handle_(request), 11);
    response.keep_alive(false);
    response.prepare_payload();
    http::write(socket, response, error);
    socket.shutdown(tcp::socket::shutdown_both, error);
  }

  const std::function<http::status(const Request&)> handle_;
  boost::asio::io_context context_;
  tcp::acceptor acceptor_;
  std::vector<std::thread> connections_;  // of the accepting thread until it is joined
  std::thread accepting_;
};

// POST to http://address:port/path; the status, or 0 when the server was not reached.
inline unsigned post(std::string_view url, const Headers& headers, const std::string& body) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return 0;
  url.remove_prefix(kScheme.size());
  const std::string_view authority = url.substr(0, url.find('/'));
  const std::string_view path = url.substr(authority.size());
  const size_t colon = std::min(authority.rfind(':'), authority.size());
  const std::string host(authority.substr(0, colon));
  const std::string port(colon < authority.size() ? authority.substr(colon + 1) : "80");

  boost::system::error_code error;
  boost::asio::io_context context;
  tcp::socket socket(context);
  boost::asio::connect(socket, tcp::resolver(context).resolve(host, port, error), error);
  if (error) return 0;
  Request request(http::verb::post, path.empty() ? "/" : std::string(path), 11);
  request.set(http::field::host, std::string(authority));
  request.set(http::field::content_type, "application/json");
  for (const auto& [name, value] : headers) request.insert(name, value);
  request.body() = body;
  request.prepare_payload();
  http::write(socket, request, error);
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> response;
  if (!error) http::read(socket, buffer, response, error);
  return error ? 0 : response.result_int();
}

}  // namespace clew::tests

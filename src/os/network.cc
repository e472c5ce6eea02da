#include "os/network.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>

#include "os/asio_stream.h"
#include "os/tls_errors.h"

namespace clew::os {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

Result<HostPort> split_address(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) {
    return Error{Code::kInvalidArgument, "address \"" + address + "\": write it as host:port or [IPv6]:port"};
  }
  HostPort parts{address.substr(0, colon), address.substr(colon + 1)};
  if (parts.host.front() == '[' && parts.host.back() == ']') parts.host = parts.host.substr(1, parts.host.size() - 2);
  for (const char c : parts.port) {
    if (c < '0' || c > '9' || parts.port.size() > 5) {
      return Error{Code::kInvalidArgument, "address \"" + address + "\": the port is a number from 0 to 65535"};
    }
  }
  return parts;
}

Error network_error(const char* action, const std::string& address, const error_code& error) {
  if (error.category() == boost::system::system_category()) return system_error(action, address, error.value());
  const std::string words = tls_words(error);
  return {Code::kUnavailable, std::string(action) + " " + address + ": " + (words.empty() ? error.message() : words)};
}

std::string to_string(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

struct TcpListener::State : std::enable_shared_from_this<State> {
  State(asio::io_context& context, Accept then) : acceptor(context), pause(context), on_accept(std::move(then)) {}
  void accept() {
    acceptor.async_accept([self = shared_from_this()](error_code error, tcp::socket socket) {
      if (self->closed) return;
      if (error) return self->accept_later();
      self->on_accept(std::move(socket));
      if (!self->closed) self->accept();
    });
  }
  // Out of descriptors, most likely: trying again at once would spin.
  void accept_later() {
    pause.expires_after(std::chrono::milliseconds(100));
    pause.async_wait([self = shared_from_this()](error_code) {
      if (!self->closed) self->accept();
    });
  }
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  Accept on_accept;
  bool closed = false;
};

TcpListener::~TcpListener() {
  state_->closed = true;
  error_code ignored;
  state_->acceptor.close(ignored);
  state_->pause.cancel(ignored);
}

Result<std::unique_ptr<TcpListener>> TcpListener::listen(OsLoop& loop, const std::string& address, Accept accept) {
  CLEW_ASSIGN(const HostPort parts, split_address(address));
  auto state = std::make_shared<State>(loop.context(), std::move(accept));
  error_code error;
  tcp::resolver resolver(loop.context());
  const auto endpoints = resolver.resolve(parts.host, parts.port, tcp::resolver::passive, error);
  if (error || endpoints.empty()) return network_error("resolve", address, error);
  const tcp::endpoint endpoint = *endpoints.begin();
  state->acceptor.open(endpoint.protocol(), error);
  if (!error) state->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) state->acceptor.bind(endpoint, error);
  if (!error) state->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return network_error("listen on", address, error);
  const uint16_t port = state->acceptor.local_endpoint(error).port();
  state->accept();
  return std::unique_ptr<TcpListener>(new TcpListener(std::move(state), port));
}

void connect_tcp(OsLoop& loop, const std::string& address, UniqueFunction<void(Result<tcp::socket>)> done) {
  auto parts = split_address(address);
  if (!parts.ok()) {
    loop.post([done = std::move(done), error = parts.error()]() mutable { done(std::move(error)); });
    return;
  }
  struct Attempt {
    Attempt(asio::io_context& context, std::string target, UniqueFunction<void(Result<tcp::socket>)> f)
        : resolver(context), socket(context), address(std::move(target)), done(std::move(f)) {}
    tcp::resolver resolver;
    tcp::socket socket;
    std::string address;
    UniqueFunction<void(Result<tcp::socket>)> done;
  };
  auto attempt = std::make_shared<Attempt>(loop.context(), address, std::move(done));  // shared by two handlers
  attempt->resolver.async_resolve(
      parts->host, parts->port, [attempt](error_code failed, const tcp::resolver::results_type& endpoints) {
        if (failed) return attempt->done(network_error("resolve", attempt->address, failed));
        asio::async_connect(attempt->socket, endpoints, [attempt](error_code error, const tcp::endpoint&) {
          if (error) return attempt->done(network_error("connect to", attempt->address, error));
          attempt->done(std::move(attempt->socket));
        });
      });
}

void OsNetwork::connect(env::Loop& loop, const std::string& address,
                        UniqueFunction<void(Result<std::unique_ptr<env::Stream>>)> done) {
  connect_tcp(os_loop(loop), address, [done = std::move(done)](Result<tcp::socket> socket) mutable {
    if (!socket.ok()) return done(socket.error());
    done(std::unique_ptr<env::Stream>(new AsioStream<tcp::socket>(std::move(socket).value())));
  });
}

Result<std::unique_ptr<env::Listener>> OsNetwork::listen(env::Loop& loop, const std::string& address,
                                                         UniqueFunction<void(std::unique_ptr<env::Stream>)> on_accept) {
  CLEW_ASSIGN(auto listener,
              TcpListener::listen(os_loop(loop), address, [accept = std::move(on_accept)](tcp::socket socket) mutable {
                accept(std::make_unique<AsioStream<tcp::socket>>(std::move(socket)));
              }));
  return std::unique_ptr<env::Listener>(std::move(listener));
}

}  // namespace clew::os

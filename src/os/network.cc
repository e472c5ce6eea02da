#include "os/network.h"

#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <utility>

#include "os/errors.h"
#include "os/loop.h"

namespace clew::os {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

OsLoop& os_loop(env::Loop& loop) {
  auto* const result = dynamic_cast<OsLoop*>(&loop);
  CHECK(result != nullptr);
  return *result;
}

struct HostPort {
  std::string host;
  std::string port;
};

Result<HostPort> split(const std::string& address) {
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
  return {Code::kUnavailable, std::string(action) + " " + address + ": " + error.message()};
}

std::string to_string(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

// The socket and what is under way on it; outlives the Stream until the last handler has run.
struct Connection : std::enable_shared_from_this<Connection> {
  explicit Connection(tcp::socket connected) : socket(std::move(connected)) {
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    const tcp::endpoint remote = socket.remote_endpoint(ignored);
    if (!ignored) peer = to_string(remote);
  }

  void read() {
    socket.async_read_some(asio::buffer(buffer), [self = shared_from_this()](error_code error, size_t bytes) {
      if (self->closed) return;
      if (error)
        return self->fail(error == asio::error::eof ? Status() : Status(network_error("read from", self->peer, error)));
      if (self->handler.on_bytes) self->handler.on_bytes({self->buffer.data(), bytes});
      if (!self->closed) self->read();
    });
  }

  void write(std::string bytes) {
    if (closed || bytes.empty()) return;
    pending += bytes.size();
    if (queued.empty()) {
      queued = std::move(bytes);
    } else {
      queued.append(bytes);
    }
    if (sending.empty()) send();
  }

  void send() {
    sending = std::exchange(queued, {});
    asio::async_write(socket, asio::buffer(sending), [self = shared_from_this()](error_code error, size_t) {
      if (self->closed) return;
      if (error) return self->fail(network_error("write to", self->peer, error));
      self->pending -= self->sending.size();
      self->sending.clear();
      if (!self->queued.empty()) return self->send();
      if (self->handler.on_writable) self->handler.on_writable();
    });
  }

  void fail(Status status) {
    close();
    auto on_closed = std::move(handler.on_closed);
    if (on_closed) on_closed(std::move(status));
  }
  void close() {
    closed = true;
    error_code ignored;
    socket.shutdown(tcp::socket::shutdown_both, ignored);
    socket.close(ignored);
  }

  tcp::socket socket;
  std::string peer;
  env::Stream::Handler handler;
  std::array<char, 64 << 10> buffer;
  std::string queued;   // waits for `sending`
  std::string sending;  // handed to the system
  uint64_t pending = 0;
  bool closed = false;
};

class TcpStream final : public env::Stream {
 public:
  explicit TcpStream(tcp::socket socket) : connection_(std::make_shared<Connection>(std::move(socket))) {}
  ~TcpStream() override { connection_->close(); }
  void start(Handler handler) override {
    connection_->handler = std::move(handler);
    connection_->read();
  }
  void write(std::string bytes) override { connection_->write(std::move(bytes)); }
  uint64_t pending_bytes() const override { return connection_->pending; }
  std::string peer() const override { return connection_->peer; }

 private:
  std::shared_ptr<Connection> connection_;  // shared with the handlers under way
};

class TcpListener final : public env::Listener {
 public:
  struct State : std::enable_shared_from_this<State> {
    explicit State(asio::io_context& context) : acceptor(context), pause(context) {}
    void accept() {
      acceptor.async_accept([self = shared_from_this()](error_code error, tcp::socket socket) {
        if (self->closed) return;
        if (error) return self->accept_later();
        self->on_accept(std::make_unique<TcpStream>(std::move(socket)));
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
    UniqueFunction<void(std::unique_ptr<env::Stream>)> on_accept;
    bool closed = false;
  };

  explicit TcpListener(std::shared_ptr<State> state, uint16_t port) : state_(std::move(state)), port_(port) {}
  ~TcpListener() override {
    state_->closed = true;
    error_code ignored;
    state_->acceptor.close(ignored);
    state_->pause.cancel(ignored);
  }
  uint16_t port() const override { return port_; }

 private:
  std::shared_ptr<State> state_;  // shared with the accept under way
  uint16_t port_;
};

}  // namespace

void OsNetwork::connect(env::Loop& loop, const std::string& address,
                        UniqueFunction<void(Result<std::unique_ptr<env::Stream>>)> done) {
  auto parts = split(address);
  if (!parts.ok()) {
    loop.post([done = std::move(done), error = parts.error()]() mutable { done(std::move(error)); });
    return;
  }
  struct Attempt {
    Attempt(asio::io_context& context, std::string target, UniqueFunction<void(Result<std::unique_ptr<env::Stream>>)> f)
        : resolver(context), socket(context), address(std::move(target)), done(std::move(f)) {}
    tcp::resolver resolver;
    tcp::socket socket;
    std::string address;
    UniqueFunction<void(Result<std::unique_ptr<env::Stream>>)> done;
  };
  auto attempt =
      std::make_shared<Attempt>(os_loop(loop).context(), address, std::move(done));  // shared by two handlers
  attempt->resolver.async_resolve(
      parts->host, parts->port, [attempt](error_code failed, const tcp::resolver::results_type& endpoints) {
        if (failed) return attempt->done(network_error("resolve", attempt->address, failed));
        asio::async_connect(attempt->socket, endpoints, [attempt](error_code error, const tcp::endpoint&) {
          if (error) return attempt->done(network_error("connect to", attempt->address, error));
          attempt->done(std::unique_ptr<env::Stream>(new TcpStream(std::move(attempt->socket))));
        });
      });
}

Result<std::unique_ptr<env::Listener>> OsNetwork::listen(env::Loop& loop, const std::string& address,
                                                         UniqueFunction<void(std::unique_ptr<env::Stream>)> on_accept) {
  CLEW_ASSIGN(const HostPort parts, split(address));
  auto state = std::make_shared<TcpListener::State>(os_loop(loop).context());
  state->on_accept = std::move(on_accept);
  error_code error;
  tcp::resolver resolver(os_loop(loop).context());
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
  return std::unique_ptr<env::Listener>(new TcpListener(std::move(state), port));
}

}  // namespace clew::os

// env::Stream over a Boost.Asio stream, plain or TLS: for network.cc and tls_network.cc only.
#pragma once

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "env/network.h"
#include "os/errors.h"
#include "os/loop.h"

namespace clew::os {

inline OsLoop& os_loop(env::Loop& loop) {
  auto* const result = dynamic_cast<OsLoop*>(&loop);
  CHECK(result != nullptr);
  return *result;
}

struct HostPort {
  std::string host;
  std::string port;
};
Result<HostPort> split_address(const std::string& address);
Error network_error(const char* action, const std::string& address, const boost::system::error_code& error);
std::string to_string(const boost::asio::ip::tcp::endpoint& endpoint);

// The socket and what is under way on it; outlives the Stream until the last handler has run. `Socket` is tcp::socket
// or ssl::stream<tcp::socket>.
template <typename Socket>
struct Connection : std::enable_shared_from_this<Connection<Socket>> {
  using error_code = boost::system::error_code;

  Connection(Socket connected, std::string name) : socket(std::move(connected)), identity(std::move(name)) {
    error_code ignored;
    tcp_socket().set_option(boost::asio::ip::tcp::no_delay(true), ignored);
    const auto remote = tcp_socket().remote_endpoint(ignored);
    if (!ignored) peer = to_string(remote);
  }
  boost::asio::ip::tcp::socket::lowest_layer_type& tcp_socket() { return socket.lowest_layer(); }

  void read() {
    socket.async_read_some(
        boost::asio::buffer(buffer), [self = this->shared_from_this()](error_code error, size_t bytes) {
          if (self->closed) return;
          if (error) {
            return self->fail(error == boost::asio::error::eof ? Status()
                                                               : Status(network_error("read from", self->peer, error)));
          }
          self->held = bytes;
          self->deliver();
        });
  }

  // What was read goes to the handler, and the next read is asked for; while paused both wait.
  void deliver() {
    if (paused || closed || held == 0) return;
    const size_t bytes = std::exchange(held, 0);
    if (handler.on_bytes) handler.on_bytes({buffer.data(), bytes});
    if (closed) return;
    if (paused) {
      idle = true;
    } else {
      read();
    }
  }
  void pause(bool on) {
    if (std::exchange(paused, on) == on || on || closed) return;
    if (std::exchange(idle, false)) return read();
    if (held > 0) boost::asio::post(socket.get_executor(), [self = this->shared_from_this()] { self->deliver(); });
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
    boost::asio::async_write(socket, boost::asio::buffer(sending),
                             [self = this->shared_from_this()](error_code error, size_t) {
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
    tcp_socket().shutdown(boost::asio::ip::tcp::socket::shutdown_both, ignored);
    tcp_socket().close(ignored);
  }

  Socket socket;
  std::string identity;
  std::string peer;
  env::Stream::Handler handler;
  std::array<char, 64 << 10> buffer;
  std::string queued;   // waits for `sending`
  std::string sending;  // handed to the system
  uint64_t pending = 0;
  size_t held = 0;  // bytes of `buffer` that the handler has not been given: reading was paused meanwhile
  bool paused = false;
  bool idle = false;  // paused, and no read is under way
  bool closed = false;
};

template <typename Socket>
class AsioStream final : public env::Stream {
 public:
  explicit AsioStream(Socket socket, std::string identity = {})
      : connection_(std::make_shared<Connection<Socket>>(std::move(socket), std::move(identity))) {}
  ~AsioStream() override { connection_->close(); }
  void start(Handler handler) override {
    connection_->handler = std::move(handler);
    connection_->read();
  }
  void write(std::string bytes) override { connection_->write(std::move(bytes)); }
  uint64_t pending_bytes() const override { return connection_->pending; }
  void pause_reading(bool paused) override { connection_->pause(paused); }
  std::string peer() const override { return connection_->peer; }
  std::string peer_identity() const override { return connection_->identity; }

 private:
  std::shared_ptr<Connection<Socket>> connection_;  // shared with the handlers under way
};

// Listens; `accept` gets each socket. An object of it dies on its loop.
class TcpListener final : public env::Listener {
 public:
  using Accept = UniqueFunction<void(boost::asio::ip::tcp::socket)>;
  static Result<std::unique_ptr<TcpListener>> listen(OsLoop& loop, const std::string& address, Accept accept);
  ~TcpListener() override;
  uint16_t port() const override { return port_; }

 private:
  struct State;
  TcpListener(std::shared_ptr<State> state, uint16_t port) : state_(std::move(state)), port_(port) {}
  std::shared_ptr<State> state_;  // shared with the accept under way
  uint16_t port_;
};

// Resolves and connects.
void connect_tcp(OsLoop& loop, const std::string& address,
                 UniqueFunction<void(Result<boost::asio::ip::tcp::socket>)> done);

}  // namespace clew::os

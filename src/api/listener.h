// Listener<Kind>: a port and the life of its connections, for servers on our own sockets (http_server.h, rpc/server.h):
// binds, accepts, gives each connection to the loop with the fewest, drains, stops. What a connection says is Kind's:
//
//   struct Kind {
//     using Connection, Lane, Shared;
//     static uint32_t max_connections(const Shared&);
//     static void before_start(const std::shared_ptr<Shared>&, Lane&);  // on the lane's loop, with the connection made
//     static void stopped(Lane&);  // the last of stop(), for each lane: its connections are gone, perhaps its loop,
//     too
//   };
//
// Connection(shared, lane, socket) enters lane.connections and has start(), drain(), close(), after which it has left
// the set, lane.open and Shared (connection_gone()). Lane(io) has io, open and connections. Shared derives from
// ListenerShared and has options.endpoint, tls, lanes.
//
// start, drain, stop: any thread, each once; stop() waits for the loops, which run or have been stopped, and never wait
// for its caller. The rest on the first loop.
#pragma once

#include <algorithm>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/endpoint.h"
#include "api/listener_shared.h"
#include "base/status.h"

namespace clew::api {

template <typename Kind>
class Listener final : public std::enable_shared_from_this<Listener<Kind>> {
 public:
  using Connection = typename Kind::Connection;
  using Lane = typename Kind::Lane;
  using Shared = typename Kind::Shared;

  // `loops` is not empty. `name` is for messages.
  Listener(std::string name, std::shared_ptr<Shared> shared, const std::vector<boost::asio::io_context*>& loops)
      : name_(std::move(name)),
        shared_(std::move(shared)),
        acceptor_(*loops.front()),
        pause_(*loops.front()),
        grace_(*loops.front()) {
    shared_->lanes.reserve(loops.size());
    for (boost::asio::io_context* loop : loops) shared_->lanes.push_back(std::make_unique<Lane>(*loop));
  }

  Status start() {
    CLEW_TRY(shared_->tls.reload());
    CLEW_ASSIGN(const std::vector<ListenAddress> addresses, resolve_endpoint(shared_->options.endpoint));
    ErrorCode error;
    for (const ListenAddress& address : addresses) {
      const Tcp::endpoint endpoint(boost::asio::ip::make_address(address.ip, error), address.port);
      if (error) continue;
      acceptor_.open(endpoint.protocol(), error);
      if (error) continue;
      acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
      acceptor_.bind(endpoint, error);
      if (!error) acceptor_.listen(boost::asio::socket_base::max_listen_connections, error);
      if (!error) {
        port_ = acceptor_.local_endpoint(error).port();
        boost::asio::post(acceptor_.get_executor(), [self = this->shared_from_this()] { self->accept(); });
        return {};
      }
      ErrorCode ignored;
      acceptor_.close(ignored);
    }
    return Error{error == boost::asio::error::address_in_use ? Code::kAlreadyExists : Code::kUnavailable,
                 listen_failure(name_, shared_->options.endpoint, error.value())};
  }

  // Stops accepting, tells connections to end, closes what is left after `grace_ms`; then `done`, on a loop.
  void drain(uint32_t grace_ms, Task done) {
    shared_->drained = std::move(done);
    shared_->draining.store(true);
    boost::asio::post(acceptor_.get_executor(), [self = this->shared_from_this(), grace_ms] {
      ErrorCode ignored;
      self->acceptor_.close(ignored);
      self->pause_.cancel();
      self->shared_->stopped_accepting.store(true);
      self->post_to_each([](Connection& connection) { connection.drain(); });
      self->grace_.expires_after(std::chrono::milliseconds(grace_ms));
      self->grace_.async_wait([self](ErrorCode error) {
        if (!error) self->post_to_each([](Connection& connection) { connection.close(); });
      });
      self->shared_->tell_when_drained();
    });
  }

  // Closes the port and every connection; nothing of this server runs any more when it returns.
  void stop() {
    shared_->draining.store(true);
    run_on(acceptor_.get_executor().context(), [self = this->shared_from_this()] {
      ErrorCode ignored;
      self->acceptor_.close(ignored);
      self->pause_.cancel();
      self->grace_.cancel();
    });
    for (auto& lane : shared_->lanes) {
      run_on(lane->io, [shared = shared_, &lane = *lane] { each_connection(lane, [](Connection& c) { c.close(); }); });
      Kind::stopped(*lane);
    }
  }

  uint16_t port() const { return port_; }  // after start()
  Shared& shared() { return *shared_; }

 private:
  using Tcp = boost::asio::ip::tcp;
  using ErrorCode = boost::system::error_code;
  using Acceptor = boost::asio::basic_socket_acceptor<Tcp, boost::asio::io_context::executor_type>;

  // Runs `task` on the loop and waits for it; here and now when the loop has stopped, or is this thread's.
  template <typename F>
  static void run_on(boost::asio::io_context& loop, F task) {
    if (loop.stopped() || loop.get_executor().running_in_this_thread()) return task();
    auto ran = std::make_shared<std::promise<void>>();
    auto done = ran->get_future();
    boost::asio::post(loop, [ran, t = std::move(task)]() mutable {
      t();
      ran->set_value();
    });
    while (done.wait_for(std::chrono::milliseconds(5)) != std::future_status::ready && !loop.stopped()) {
    }
  }

  // Over a copy: visiting one may take it out of the set.
  template <typename Visit>
  static void each_connection(Lane& lane, Visit visit) {
    std::vector<std::shared_ptr<Connection>> all;
    for (Connection* connection : lane.connections) all.push_back(connection->shared_from_this());
    for (const auto& connection : all) visit(*connection);
  }
  template <typename Visit>
  void post_to_each(Visit visit) {
    for (auto& lane : shared_->lanes) {
      boost::asio::post(lane->io, [shared = shared_, &lane = *lane, visit] { each_connection(lane, visit); });
    }
  }

  Lane& emptiest_lane() {
    size_t best = next_lane_++ % shared_->lanes.size();  // equals take turns
    for (size_t i = 0; i < shared_->lanes.size(); ++i) {
      if (shared_->lanes[i]->open.load(std::memory_order_relaxed) <
          shared_->lanes[best]->open.load(std::memory_order_relaxed))
        best = i;
    }
    return *shared_->lanes[best];
  }

  void accept() {
    if (!acceptor_.is_open()) return;
    Lane& lane = emptiest_lane();
    acceptor_.async_accept(lane.io.get_executor(),
                           [self = this->shared_from_this(), &lane](ErrorCode error, ServerSocket socket) {
                             self->on_accept(error, lane, std::move(socket));
                           });
  }

  void on_accept(ErrorCode error, Lane& lane, ServerSocket socket) {
    if (shared_->draining.load()) return;
    if (error) {
      if (error == boost::asio::error::operation_aborted) return;
      // Out of descriptors or memory: what is open may end and make room.
      pause_.expires_after(std::chrono::milliseconds(100));
      pause_.async_wait([self = this->shared_from_this()](ErrorCode cancelled) {
        if (!cancelled) self->accept();
      });
      return;
    }
    if (shared_->open.load() >= Kind::max_connections(*shared_)) {
      shared_->refused.fetch_add(1, std::memory_order_relaxed);
      return accept();  // `socket` closes
    }
    shared_->accepted.fetch_add(1, std::memory_order_relaxed);
    shared_->open.fetch_add(1);
    lane.open.fetch_add(1, std::memory_order_relaxed);
    boost::asio::post(lane.io, [shared = shared_, &lane, s = std::move(socket)]() mutable {
      const auto connection = std::make_shared<Connection>(shared, lane, std::move(s));
      Kind::before_start(shared, lane);
      connection->start();
      if (shared->draining.load()) connection->drain();
    });
    accept();
  }

  const std::string name_;
  const std::shared_ptr<Shared> shared_;  // with the connections
  Acceptor acceptor_;
  ServerTimer pause_, grace_;
  uint16_t port_ = 0;
  size_t next_lane_ = 0;
};

}  // namespace clew::api

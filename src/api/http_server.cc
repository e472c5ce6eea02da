#include "api/http_server.h"

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <future>

#include "api/endpoint.h"
#include "api/http_connection.h"
#include "api/http_shared.h"

namespace clew::api {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

std::chrono::milliseconds sweep_interval(const HttpLimits& limits) {
  const uint32_t shortest = std::min(
      {limits.request_timeout_ms, limits.idle_timeout_ms, limits.write_timeout_ms, limits.handshake_timeout_ms});
  return std::chrono::milliseconds(std::clamp<uint32_t>(shortest / 4, 5, 500));
}

void sweep(const std::shared_ptr<HttpShared>& shared, HttpLane& lane) {
  lane.sweeping = true;
  auto timer = std::make_shared<HttpLane::Timer>(lane.io, sweep_interval(shared->options.limits));
  timer->async_wait([shared, timer, &lane](ErrorCode error) {
    lane.sweeping = false;
    if (error) return;
    const auto now = std::chrono::steady_clock::now();
    // Closing a connection takes it out of the set: walk over a copy.
    const std::vector<HttpConnection*> all(lane.connections.begin(), lane.connections.end());
    for (HttpConnection* connection : all) {
      if (lane.connections.count(connection) != 0) connection->shared_from_this()->check_deadline(now);
    }
    if (!lane.connections.empty()) sweep(shared, lane);
  });
}

// Runs `task` on the loop and waits for it; here and now when the loop has stopped, or is this thread's.
template <typename F>
void run_on(asio::io_context& loop, F task) {
  if (loop.stopped() || loop.get_executor().running_in_this_thread()) return task();
  auto ran = std::make_shared<std::promise<void>>();
  auto done = ran->get_future();
  asio::post(loop, [ran, t = std::move(task)]() mutable {
    t();
    ran->set_value();
  });
  while (done.wait_for(std::chrono::milliseconds(5)) != std::future_status::ready && !loop.stopped()) {
  }
}

template <typename Visit>
void each_connection(HttpLane& lane, Visit visit) {
  std::vector<std::shared_ptr<HttpConnection>> all;
  for (HttpConnection* connection : lane.connections) all.push_back(connection->shared_from_this());
  for (const auto& connection : all) visit(*connection);
}

}  // namespace

class HttpServer::Listener : public std::enable_shared_from_this<HttpServer::Listener> {
 public:
  using Acceptor = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;

  Listener(std::string name, HttpEndpoint options, HttpService& service, const std::vector<asio::io_context*>& loops,
           std::shared_ptr<BufferPool> pool)
      : name_(std::move(name)),
        shared_(std::make_shared<HttpShared>(std::move(options), service, std::move(pool))),
        acceptor_(*loops.front()),
        pause_(*loops.front()),
        grace_(*loops.front()) {
    shared_->lanes.reserve(loops.size());
    for (asio::io_context* loop : loops) shared_->lanes.push_back(std::make_unique<HttpLane>(*loop));
  }

  Status start() {
    CLEW_TRY(shared_->tls.reload());
    CLEW_ASSIGN(const std::vector<ListenAddress> addresses, resolve_endpoint(shared_->options.endpoint));
    ErrorCode error;
    for (const ListenAddress& address : addresses) {
      const tcp::endpoint endpoint(asio::ip::make_address(address.ip, error), address.port);
      if (error) continue;
      acceptor_.open(endpoint.protocol(), error);
      if (error) continue;
      acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
      acceptor_.bind(endpoint, error);
      if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
      if (!error) {
        port_ = acceptor_.local_endpoint(error).port();
        asio::post(acceptor_.get_executor(), [self = shared_from_this()] { self->accept(); });
        return {};
      }
      ErrorCode ignored;
      acceptor_.close(ignored);
    }
    return Error{error == asio::error::address_in_use ? Code::kAlreadyExists : Code::kUnavailable,
                 listen_failure(name_, shared_->options.endpoint, error.value())};
  }

  void drain(uint32_t grace_ms, Task done) {
    shared_->drained = std::move(done);
    shared_->draining.store(true);
    asio::post(acceptor_.get_executor(), [self = shared_from_this(), grace_ms] {
      ErrorCode ignored;
      self->acceptor_.close(ignored);
      self->pause_.cancel();
      self->shared_->stopped_accepting.store(true);
      for (auto& lane : self->shared_->lanes) {
        asio::post(lane->io, [shared = self->shared_, &lane = *lane] {
          each_connection(lane, [](HttpConnection& c) { c.drain(); });
        });
      }
      self->grace_.expires_after(std::chrono::milliseconds(grace_ms));
      self->grace_.async_wait([self](ErrorCode error) {
        if (!error) self->close_all();
      });
      self->shared_->tell_when_drained();
    });
  }

  // Closes the listener and every connection, and returns when nothing of this server runs any more.
  void stop() {
    shared_->draining.store(true);
    run_on(acceptor_.get_executor().context(), [self = shared_from_this()] {
      ErrorCode ignored;
      self->acceptor_.close(ignored);
      self->pause_.cancel();
      self->grace_.cancel();
    });
    for (auto& lane : shared_->lanes) {
      run_on(lane->io,
             [shared = shared_, &lane = *lane] { each_connection(lane, [](HttpConnection& c) { c.close(); }); });
    }
  }

  void close_all() {
    for (auto& lane : shared_->lanes) {
      asio::post(lane->io,
                 [shared = shared_, &lane = *lane] { each_connection(lane, [](HttpConnection& c) { c.close(); }); });
    }
  }

  uint16_t port() const { return port_; }
  HttpShared& shared() { return *shared_; }

 private:
  HttpLane& emptiest_lane() {
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
    HttpLane& lane = emptiest_lane();
    acceptor_.async_accept(lane.io.get_executor(),
                           [self = shared_from_this(), &lane](ErrorCode error, HttpSocket socket) {
                             self->on_accept(error, lane, std::move(socket));
                           });
  }

  void on_accept(ErrorCode error, HttpLane& lane, HttpSocket socket) {
    if (shared_->draining.load()) return;
    if (error) {
      if (error == asio::error::operation_aborted) return;
      // Out of descriptors or memory: what is open may end and make room.
      pause_.expires_after(std::chrono::milliseconds(100));
      pause_.async_wait([self = shared_from_this()](ErrorCode cancelled) {
        if (!cancelled) self->accept();
      });
      return;
    }
    if (shared_->counters.open.load() >= shared_->options.limits.max_connections) {
      shared_->counters.refused.fetch_add(1, std::memory_order_relaxed);
      return accept();  // `socket` closes
    }
    shared_->counters.accepted.fetch_add(1, std::memory_order_relaxed);
    shared_->counters.open.fetch_add(1);
    lane.open.fetch_add(1, std::memory_order_relaxed);
    asio::post(lane.io, [shared = shared_, &lane, s = std::move(socket)]() mutable {
      const auto connection = std::make_shared<HttpConnection>(shared, lane, std::move(s));
      if (!lane.sweeping) sweep(shared, lane);
      connection->start();
      if (shared->draining.load()) connection->drain();
    });
    accept();
  }

  const std::string name_;
  const std::shared_ptr<HttpShared> shared_;
  Acceptor acceptor_;
  HttpLane::Timer pause_, grace_;
  uint16_t port_ = 0;
  size_t next_lane_ = 0;
};

HttpServer::HttpServer(std::string name, HttpEndpoint options, HttpService& service,
                       const std::vector<asio::io_context*>& loops, std::shared_ptr<BufferPool> pool)
    : listener_(std::make_shared<Listener>(std::move(name), std::move(options), service, loops, std::move(pool))) {}

HttpServer::~HttpServer() { listener_->stop(); }

Status HttpServer::start() { return listener_->start(); }
uint16_t HttpServer::port() const { return listener_->port(); }
Status HttpServer::reload_tls() { return listener_->shared().tls.reload(); }
void HttpServer::drain(uint32_t grace_ms, Task done) { listener_->drain(grace_ms, std::move(done)); }

HttpServerStats HttpServer::stats() const {
  const HttpCounters& c = listener_->shared().counters;
  HttpServerStats stats;
  stats.accepted_connections = c.accepted.load();
  stats.refused_connections = c.refused.load();
  stats.open_connections = c.open.load();
  stats.timeouts = c.timeouts.load();
  stats.tls_failures = c.tls_failures.load();
  stats.requests = c.requests.load();
  stats.bad_requests = c.bad_requests.load();
  for (size_t i = 0; i < 6; ++i) stats.responses[i] = c.responses[i].load();
  stats.durations = c.durations.read();
  return stats;
}

std::vector<uint64_t> HttpServer::connections_per_loop() const {
  std::vector<uint64_t> counts;
  for (const auto& lane : listener_->shared().lanes) counts.push_back(lane->open.load());
  return counts;
}

}  // namespace clew::api

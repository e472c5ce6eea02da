#include "api/http_server.h"

#include <algorithm>

#include "api/http_connection.h"
#include "api/http_shared.h"
#include "api/listener.h"

namespace clew::api {

using ErrorCode = boost::system::error_code;

namespace {

std::chrono::milliseconds sweep_interval(const HttpLimits& limits) {
  const uint32_t shortest = std::min(
      {limits.request_timeout_ms, limits.idle_timeout_ms, limits.write_timeout_ms, limits.handshake_timeout_ms});
  return std::chrono::milliseconds(std::clamp<uint32_t>(shortest / 4, 5, 500));
}

void sweep(const std::shared_ptr<HttpShared>& shared, HttpLane& lane) {
  lane.sweeping = true;
  auto timer = std::make_shared<ServerTimer>(lane.io, sweep_interval(shared->options.limits));
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

}  // namespace

struct HttpServer::Kind {
  using Connection = HttpConnection;
  using Lane = HttpLane;
  using Shared = HttpShared;
  static uint32_t max_connections(const HttpShared& shared) { return shared.options.limits.max_connections; }
  static void before_start(const std::shared_ptr<HttpShared>& shared, HttpLane& lane) {
    if (!lane.sweeping) sweep(shared, lane);
  }
  static void stopped(HttpLane& /*lane*/) {}
};

HttpServer::HttpServer(std::string name, HttpEndpoint options, HttpService& service,
                       const std::vector<boost::asio::io_context*>& loops, std::shared_ptr<BufferPool> pool)
    : listener_(std::make_shared<Listener<Kind>>(
          std::move(name), std::make_shared<HttpShared>(std::move(options), service, std::move(pool)), loops)) {}

HttpServer::~HttpServer() { listener_->stop(); }

Status HttpServer::start() { return listener_->start(); }
uint16_t HttpServer::port() const { return listener_->port(); }
Status HttpServer::reload_tls() { return listener_->shared().tls.reload(); }
void HttpServer::drain(uint32_t grace_ms, Task done) { listener_->drain(grace_ms, std::move(done)); }

HttpServerStats HttpServer::stats() const {
  const HttpShared& shared = listener_->shared();
  const HttpCounters& c = shared.counters;
  HttpServerStats stats;
  stats.accepted_connections = shared.accepted.load();
  stats.refused_connections = shared.refused.load();
  stats.open_connections = shared.open.load();
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

#include "api/rpc/server.h"

#include "api/listener.h"
#include "api/rpc/connection.h"
#include "api/rpc/shared.h"

namespace clew::api::rpc {

struct Server::Kind {
  using Connection = rpc::Connection;
  using Lane = rpc::Lane;
  using Shared = rpc::Shared;
  static uint32_t max_connections(const Shared& shared) { return shared.options.max_connections; }
  static void before_start(const std::shared_ptr<Shared>& shared, Lane& lane) {
    shared->arm(lane, Lane::Clock::now() + std::chrono::seconds(1));
  }
  static void stopped(Lane& lane) {
    std::vector<Delivery> unheard;  // destroyed without the lock
    const MutexLock lock(lane.mutex);
    lane.closed.store(true);
    unheard.swap(lane.inbox);
  }
};

Server::Server(std::string name, RpcEndpoint options, Service& service,
               const std::vector<boost::asio::io_context*>& loops)
    : listener_(std::make_shared<Listener<Kind>>(std::move(name), std::make_shared<Shared>(std::move(options), service),
                                                 loops)) {}

Server::~Server() { listener_->stop(); }

Status Server::start() { return listener_->start(); }
uint16_t Server::port() const { return listener_->port(); }
Status Server::reload_tls() { return listener_->shared().tls.reload(); }
void Server::drain(uint32_t grace_ms, Task done) { listener_->drain(grace_ms, std::move(done)); }

ServerStats Server::stats() const {
  const Shared& shared = listener_->shared();
  const Counters& c = shared.counters;
  ServerStats stats;
  stats.accepted_connections = shared.accepted.load();
  stats.refused_connections = shared.refused.load();
  stats.open_connections = shared.open.load();
  stats.timeouts = c.timeouts.load();
  stats.tls_failures = c.tls_failures.load();
  stats.protocol_errors = c.protocol_errors.load();
  stats.calls = c.calls.load();
  for (const Budget& budget : c.budgets) {
    stats.open_calls += budget.calls.load();
    stats.held_bytes += budget.bytes.load();
  }
  for (size_t i = 0; i < 17; ++i) stats.by_code[i] = c.by_code[i].load();
  return stats;
}

}  // namespace clew::api::rpc

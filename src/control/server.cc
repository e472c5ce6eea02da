#include "control/server.h"

#include <algorithm>
#include <utility>

#include "control/server_connection.h"

namespace clew::control {
namespace {

constexpr int64_t kSweepEvery = 250'000'000;

// In a time that does not tell how much of it is right.
bool same_token(std::string_view a, std::string_view b) {
  unsigned char difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ (b.empty() ? '\0' : b[i % b.size()])));
  }
  return difference == 0;
}

bool among(const std::string& token, const std::vector<std::string>& tokens) {
  bool found = false;
  for (const std::string& one : tokens) found |= same_token(token, one);
  return found && !token.empty();
}

}  // namespace

Server::Server(env::Loop& loop, Service& service, ServerOptions options)
    : loop_(loop), service_(service), options_(std::move(options)) {}

Result<std::unique_ptr<Server>> Server::open(env::Loop& loop, env::Network& network, Service& service,
                                             ServerOptions options) {
  std::unique_ptr<Server> server(new Server(loop, service, std::move(options)));
  CLEW_ASSIGN(server->listener_,
              network.listen(loop, server->options_.listen, [self = server.get()](std::unique_ptr<env::Stream> stream) {
                self->accepted(std::move(stream));
              }));
  server->listener_port_ = server->listener_->port();
  server->sweep_timer_ = loop.after(kSweepEvery, [self = server.get()] { self->sweep(); });
  return server;
}

Server::~Server() {
  loop_.cancel(sweep_timer_);
  for (const auto& [number, connection] : std::exchange(connections_, {})) connection->close();
}

ServerStats Server::stats() const {
  ServerStats stats = stats_;
  stats.connections = connections_.size();
  for (const auto& [number, connection] : connections_) {
    stats.in_flight += connection->in_flight();
    stats.streams += connection->streams();
  }
  return stats;
}

void Server::accepted(std::unique_ptr<env::Stream> stream) {
  const auto half_open = static_cast<size_t>(
      std::count_if(connections_.begin(), connections_.end(), [](const auto& item) { return !item.second->ready(); }));
  auto connection = std::make_shared<ServerConnection>(*this, ++last_connection_, std::move(stream));
  connections_.emplace(last_connection_, connection);
  connection->start();
  if (draining_) {
    connection->refuse(Refusal::kStopping);
  } else if (half_open >= options_.max_half_open || connections_.size() > options_.max_connections) {
    connection->refuse(Refusal::kTooMany);
  }
}

void Server::replace_tokens(std::vector<std::string> tokens, std::vector<std::string> node_tokens) {
  options_.tokens = std::move(tokens);
  options_.node_tokens = std::move(node_tokens);
}

bool Server::admits(const Hello& hello, const std::string& identity, bool* member) const {
  const bool open = options_.tokens.empty() && options_.node_tokens.empty();
  const bool by_certificate = identity.starts_with("node-");
  const bool by_token = among(hello.token, options_.node_tokens);
  *member = by_certificate || by_token || (open && identity.empty());
  return open || *member || among(hello.token, options_.tokens);
}

void Server::remove(uint64_t connection) {
  const auto it = connections_.find(connection);
  if (it == connections_.end()) return;
  const auto held = it->second;
  connections_.erase(it);
  held->close();
  check_drained();
}

// A stream may be closed from within its own callback, so it dies a little later.
void Server::bury(std::unique_ptr<env::Stream> stream) {
  if (stream == nullptr) return;
  buried_.push_back(std::move(stream));
  if (buried_.size() > 1) return;
  loop_.post([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) buried_.clear();
  });
}

void Server::flush_later(uint64_t connection) {
  unflushed_.push_back(connection);
  if (std::exchange(flush_posted_, true)) return;
  loop_.post([this, alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired()) return;
    flush_posted_ = false;
    for (const uint64_t number : std::exchange(unflushed_, {})) {
      const auto it = connections_.find(number);
      if (it != connections_.end()) it->second->flush();
    }
    check_drained();
  });
}

void Server::sweep() {
  sweep_timer_ = loop_.after(kSweepEvery, [this] { sweep(); });
  const int64_t now = loop_.clock().mono_ns();
  std::vector<std::shared_ptr<ServerConnection>> all;
  for (const auto& [number, connection] : connections_) all.push_back(connection);
  for (const auto& connection : all) connection->sweep(now);
  check_drained();
}

void Server::drain(int64_t at_most_ns, Task done) {
  CHECK(!draining_);
  draining_ = true;
  listener_.reset();
  drained_ = std::move(done);
  drain_until_ns_ = loop_.clock().mono_ns() + at_most_ns;
  std::vector<std::shared_ptr<ServerConnection>> all;
  for (const auto& [number, connection] : connections_) all.push_back(connection);
  for (const auto& connection : all) connection->leave();
  check_drained();
}

void Server::check_drained() {
  if (!drained_) return;
  const bool settled =
      std::all_of(connections_.begin(), connections_.end(), [](const auto& item) { return item.second->settled(); });
  if (!settled && loop_.clock().mono_ns() < drain_until_ns_) return;
  loop_.post(std::exchange(drained_, nullptr));
}

}  // namespace clew::control

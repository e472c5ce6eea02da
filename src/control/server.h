// Server: offers a Service to clients of our own protocol (docs/format/control.md) on a port.
//
// A connection begins with a handshake: versions, the cluster that is meant, a token. Requests of a connection are
// worked on side by side and answered in the order in which they end; all answers of one turn of the loop leave in one
// write. Long answers go in parts, so that short ones pass them.
//
// Everything a client can make the server keep is bounded: connections and unfinished handshakes; requests in work, and
// among them those whose answers may be long; bytes that it has not taken. At a bound the server stops reading from
// that connection (TCP then slows the client down) until there is room; nothing is lost. Watches and snapshots send
// only what the client gave credit for. Who says nothing at all, or takes nothing, for too long is disconnected.
// Whoever is refused is told why, unless it spoke garbage, and counted by reason.
//
// When not to use it: for the etcd API (api/), for members among themselves (consensus/peer_transport.h).
//
// All methods on `loop`. The service may have another loop: answers then come over by post(). The service, and the
// loop, outlive the answers that are under way when the server dies; these are dropped.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/function.h"
#include "base/status.h"
#include "consensus/types.h"
#include "control/frames.h"
#include "control/service.h"
#include "env/loop.h"
#include "env/network.h"

namespace clew::control {

struct ServerOptions {
  std::string listen;  // "127.0.0.1:4331"; port 0 takes a free one
  // The cluster's id, told to clients: one that means another is refused. 0: not known yet.
  std::function<uint64_t()> cluster = [] { return uint64_t{0}; };
  consensus::NodeId node = consensus::kNobody;
  bool byzantine = false;  // told to clients: members of this group may lie
  // Who may connect: with none in either list, everybody. A connection that has one of `node_tokens`, or a certificate
  // for "node-<id>", is a member's and may also change the system space, as may everybody where nobody is asked.
  std::vector<std::string> tokens;
  std::vector<std::string> node_tokens;
  size_t max_connections = 1'024;
  size_t max_half_open = 64;
  // Of a connection:
  size_t max_in_flight = 4'096;
  size_t max_long_in_flight = 8;  // whose answers may be long: ranges, lists of leases
  size_t max_streams = 256;
  size_t max_unanswered_watches = 65'536;  // creations of a stream whose answers the client did not take
  uint64_t max_unsent_bytes = 8u << 20;
  int64_t max_timeout_ns = 60'000'000'000;  // of a request; longer ones are shortened
  int64_t handshake_timeout_ns = 3'000'000'000;
  int64_t silence_limit_ns = 30'000'000'000;  // without a byte from the client; or of it taking one
};

struct ServerStats {
  uint64_t connections = 0;  // now, with those that have not finished the handshake
  uint64_t accepted = 0;     // handshakes that succeeded
  uint64_t requests = 0;
  uint64_t errors = 0;  // requests answered by one
  uint64_t in_flight = 0;
  uint64_t streams = 0;  // now
  uint64_t writes = 0;
  uint64_t bytes_received = 0;
  uint64_t bytes_sent = 0;
  uint64_t pauses = 0;  // times that reading from a client was stopped at a bound
  std::array<uint64_t, kRefusals> refused{};
};

class Server {
 public:
  // Listens at once. `service` and `network` outlive it.
  static Result<std::unique_ptr<Server>> open(env::Loop& loop, env::Network& network, Service& service,
                                              ServerOptions options);
  ~Server();  // closes all connections at once
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Who may connect from now on (ServerOptions); open connections stay.
  void replace_tokens(std::vector<std::string> tokens, std::vector<std::string> node_tokens);
  uint16_t port() const { return listener_port_; }
  ServerStats stats() const;

  // Takes no more connections and tells the clients to go elsewhere; what is in work is answered, what comes now is
  // refused as certainly without effect. `done` once nothing is in work and all answers are taken, or after
  // `at_most_ns`. Once.
  void drain(int64_t at_most_ns, Task done);

 private:
  friend class ServerConnection;

  Server(env::Loop& loop, Service& service, ServerOptions options);
  void accepted(std::unique_ptr<env::Stream> stream);
  bool admits(const Hello& hello, const std::string& identity, bool* member) const;
  void count(Refusal refusal) { ++stats_.refused[static_cast<size_t>(refusal)]; }
  void remove(uint64_t connection);
  void bury(std::unique_ptr<env::Stream> stream);
  void flush_later(uint64_t connection);
  void sweep();
  void check_drained();

  env::Loop& loop_;
  Service& service_;
  ServerOptions options_;  // but for the tokens constant
  std::unique_ptr<env::Listener> listener_;
  uint16_t listener_port_ = 0;
  // Shared with the completions of requests, which may come on another thread, and after the connection's end.
  std::map<uint64_t, std::shared_ptr<class ServerConnection>> connections_;
  uint64_t last_connection_ = 0;
  std::vector<uint64_t> unflushed_;
  bool flush_posted_ = false;
  env::TimerId sweep_timer_ = 0;
  std::vector<std::unique_ptr<env::Stream>> buried_;
  Task drained_;
  int64_t drain_until_ns_ = 0;
  bool draining_ = false;
  ServerStats stats_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // posted tasks hold it weakly
};

}  // namespace clew::control

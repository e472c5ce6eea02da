// rpc::Server: gRPC over HTTP/2 on the node's own loops, for an API whose every microsecond counts. Framing, HPACK and
// flow control are nghttp2's; sockets, TLS, deadlines, bounds and the gRPC mapping are here.
//
// Why it exists beside otlp_grpc.h: an echo of 300 bytes costs this server 2 to 4 µs of CPU where many calls share
// connections, gRPC C++ 18 (generic queue) to 37 µs (callbacks): bench/rpc_echo.py, docs/decisions/0010. OTLP's
// requests carry thousands of spans each, where that does not count.
//
// When not to use it: as a gRPC client; for compressed messages (refused as UNIMPLEMENTED, as a Go server without the
// codec does); for server reflection.
//
// Each connection lives on one loop, the one with the fewest. Bounded: connections, streams of a connection, bytes of a
// message, bytes held for all calls, heads, control frames that a client provokes, resets, time of a TLS handshake, of
// a reply that its client does not read, of a connection that does not answer pings.
//
// start, drain, stats, reload_tls: any thread. Destruction closes whatever is open; its loops run or have been stopped,
// and never wait for the destroying thread. The service and the loops outlive it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/rpc/call.h"
#include "api/server_options.h"
#include "base/function.h"
#include "base/status.h"

namespace clew::api {
template <typename Kind>
class Listener;
}  // namespace clew::api

namespace clew::api::rpc {

struct ServerStats {
  uint64_t accepted_connections = 0;
  uint64_t refused_connections = 0;  // above max_connections
  uint64_t open_connections = 0;
  uint64_t timeouts = 0;  // connections and calls ended for being slow
  uint64_t tls_failures = 0;
  uint64_t protocol_errors = 0;  // connections that did not speak HTTP/2, or broke its rules
  uint64_t calls = 0;
  uint64_t open_calls = 0;
  uint64_t held_bytes = 0;
  uint64_t by_code[17] = {};  // finished calls by status code
};

class Server {
 public:
  // `name` is for messages ("etcd").
  Server(std::string name, RpcEndpoint options, Service& service, const std::vector<boost::asio::io_context*>& loops);
  ~Server();

  Status start();
  uint16_t port() const;  // after start(); the real one when 0 was asked
  Status reload_tls();    // new connections use the files as they are now
  // Stops accepting, tells streams to end, lets calls finish (at most `grace_ms`), then calls `done` on a loop.
  void drain(uint32_t grace_ms, Task done);
  ServerStats stats() const;

 private:
  struct Kind;
  std::shared_ptr<Listener<Kind>> listener_;  // shared with what it has under way
};

}  // namespace clew::api::rpc

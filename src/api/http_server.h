// HttpServer: HTTP/1.1 on the node's own loops (Boost.Asio, Beast's header parser), with TLS. One listener; each
// connection lives on one loop, the one with the fewest, so that even four connections load every loop.
//
// Bounded: connections, header bytes, body bytes (Content-Length is checked before a byte is read, chunked bodies while
// they arrive), the time a request may take to arrive, idle time, the time a reply may stall. Requests of one
// connection are served one at a time, in order; what a client pipelines waits in the kernel. A client that closes its
// sending half still gets its reply. Bodies are read straight into their final buffer (buffer_pool.h). Not for HTTP/2:
// gRPC brings its own.
//
// start, drain, stats, reload_tls: any thread. Destruction closes whatever is open and waits for its loops to let go;
// those loops run, or have been stopped, but never wait for the destroying thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/buffer_pool.h"
#include "api/duration_histogram.h"
#include "api/http_service.h"
#include "api/server_options.h"
#include "base/function.h"
#include "base/status.h"

namespace clew::api {

template <typename Kind>
class Listener;

struct HttpServerStats {
  uint64_t accepted_connections = 0;
  uint64_t refused_connections = 0;  // above max_connections
  uint64_t open_connections = 0;
  uint64_t timeouts = 0;  // connections closed for being slow or idle
  uint64_t tls_failures = 0;
  uint64_t requests = 0;
  uint64_t bad_requests = 0;              // heads that do not parse, oversized heads, broken chunks
  uint64_t responses[6] = {};             // by hundreds of the status
  DurationHistogram::Snapshot durations;  // from a complete request to its reply
};

class HttpServer {
 public:
  // `name` is for messages ("otlp/http"). `service`, the loops outlive this. `loops` is not empty.
  HttpServer(std::string name, HttpEndpoint options, HttpService& service,
             const std::vector<boost::asio::io_context*>& loops, std::shared_ptr<BufferPool> pool);
  ~HttpServer();

  Status start();
  uint16_t port() const;  // after start(); the real one when 0 was asked
  Status reload_tls();    // new connections use the files as they are now
  // Stops accepting, closes idle connections, lets requests finish (at most `grace_ms`, then closes), calls `done` on a
  // loop.
  void drain(uint32_t grace_ms, Task done);
  HttpServerStats stats() const;
  std::vector<uint64_t> connections_per_loop() const;

 private:
  struct Kind;
  std::shared_ptr<Listener<Kind>> listener_;  // shared with what it has under way
};

}  // namespace clew::api

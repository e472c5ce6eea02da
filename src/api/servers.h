// Servers: everything of a node that listens, as one object: OTLP/HTTP and OTLP/gRPC receivers, the HTTP port for
// Jaeger, the own API and /metrics, the Tempo port. Options say where and how (server_options.h); the node is given as
// its services.
//
// Life: construct → start (all ports or none) → set_ready(true) → drain → destroy. While not ready, receivers answer
// "try again" and /ready says 503. Loops and services outlive it. Its destruction closes what is still open; requests
// whose completion the node still holds are then answered to nobody. start, set_ready, drain, reload_tls,
// replace_tokens, ports: one thread at a time, not a loop's own.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/admission_gate.h"
#include "api/http_router.h"
#include "api/http_server.h"
#include "api/metrics.h"
#include "api/otlp_grpc.h"
#include "api/otlp_http.h"
#include "api/router_service.h"
#include "api/server_options.h"
#include "base/function.h"
#include "base/status.h"
#include "cluster/services.h"

namespace clew::api {

class Servers {
 public:
  struct Node {
    cluster::IngestService& ingest;
    cluster::QueryService& queries;
    std::vector<boost::asio::io_context*> loops;  // one a loop thread; connections are spread over them
    std::function<ProcessStats()> process;        // for /metrics; may be empty
    std::string version;
    // Adds the query APIs' routes to the router of the `http` port and of the `tempo` port (query_router.h).
    std::function<void(HttpRouter& http, HttpRouter& tempo)> add_query_routes;
    // Further metrics in Prometheus' text format, behind this server's; may be empty. Calls back once, on any thread.
    std::function<void(UniqueFunction<void(std::string)>)> more_metrics;
    OtlpReceiver::Offload offload;  // for large bodies; may be empty
  };
  struct Ports {
    uint16_t otlp_http = 0, otlp_grpc = 0, http = 0, tempo = 0;  // 0: that server is off
  };

  Servers(ServerOptions options, Node node, otlp::Limits limits = {});
  ~Servers();

  Status start();
  Ports ports() const;
  void set_ready(bool ready);
  // Not ready from now on; stops accepting, lets requests finish for at most `grace_ms`, then calls `done` on any
  // thread.
  void drain(uint32_t grace_ms, Task done);
  // Reads the TLS files again for new connections (SIGHUP). The first error; servers without one have reloaded.
  Status reload_tls();
  // Every endpoint takes its tokens from `options`, and nothing else of it; requests from now on are judged by them.
  void replace_tokens(const ServerOptions& options);

 private:
  void add_admin_routes(HttpRouter& router);
  MetricsInput collect() const;

  const ServerOptions options_;
  const Node node_;
  AdmissionGate gate_;
  const std::shared_ptr<BufferPool> pool_;
  OtlpReceiver receiver_;
  HttpRouter http_router_, tempo_router_;
  OtlpHttpService otlp_service_;
  std::unique_ptr<RouterService> http_service_, tempo_service_;
  std::vector<std::pair<std::string, std::unique_ptr<HttpServer>>> http_servers_;  // those that are on
  HttpServer* otlp_http_ = nullptr;
  HttpServer* http_ = nullptr;
  HttpServer* tempo_ = nullptr;
  std::unique_ptr<OtlpGrpcServer> grpc_;
  std::atomic<bool> ready_{false};
};

}  // namespace clew::api

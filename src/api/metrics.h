// /metrics in Prometheus' text format, made anew at each scrape from counters that the node and the servers keep
// anyway: no registry, no second set of books. Pure; any thread.
//
// Names are stable: clew_* for what is ours, process_* as every Prometheus client names them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "api/http_server.h"
#include "api/otlp_grpc.h"
#include "api/otlp_receiver.h"
#include "cluster/services.h"

namespace clew::api {

// Of this process, as os/ reads it.
struct ProcessStats {
  double cpu_seconds = 0;
  uint64_t resident_bytes = 0;
  uint64_t open_fds = 0;
  double start_time_seconds = 0;  // Unix time
};

struct MetricsInput {
  cluster::NodeStats node;
  std::vector<std::pair<std::string, HttpServerStats>> http;  // by the server's name
  GrpcServerStats grpc;
  OtlpReceiverStats receiver;
  uint64_t in_flight_bytes = 0, max_in_flight_bytes = 0, admission_refused = 0;
  ProcessStats process;
  std::string version;
  bool serving = false;
};

constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";
std::string render_metrics(const MetricsInput& input);

}  // namespace clew::api

// Load: sends a Workload to a node over OTLP and measures what came back. Many connections, one thread (the sending
// side of a benchmark must cost little, and shares the machine with the node).
//
// Paced (rate > 0) it keeps its schedule whatever the node does, so a slow answer shows in the latency of what follows
// it (no coordinated omission); else every connection sends as soon as it has an answer. Refused requests (429, 502,
// 503, 504; gRPC UNAVAILABLE, RESOURCE_EXHAUSTED) are counted and sent again after the time that the node asks for.
// Blocking; runs until the spans are sent or the time is up and the last answers are in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/http_client.h"
#include "app/workload.h"
#include "base/status.h"
#include "otlp/inflate.h"

namespace clew::app {

struct LoadOptions {
  ServerAddress server;
  std::string token;
  std::string tenant;
  WorkloadOptions workload;
  uint64_t spans = 0;        // stop after these; 0: no limit
  double seconds = 0;        // stop after this time; 0: no limit
  double rate = 0;           // spans a second over all connections; 0: as fast as answers come
  uint32_t connections = 4;  // of HTTP; calls in flight of gRPC
  otlp::Encoding encoding = otlp::Encoding::kIdentity;
  bool grpc = false;
};

struct LoadReport {
  uint64_t spans = 0;     // acknowledged
  uint64_t requests = 0;  // acknowledged
  uint64_t refused = 0;   // answers that asked for a retry
  uint64_t failed = 0;    // other answers, and broken connections
  uint64_t bytes = 0;     // sent and acknowledged, after compression
  double seconds = 0;
  std::vector<uint32_t> latency_us;  // of acknowledged requests, sorted
  std::string last_error;

  double percentile_ms(double share) const;
};

Result<LoadReport> run_load(const LoadOptions& options);

}  // namespace clew::app

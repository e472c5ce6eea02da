// OtlpGrpcServer: OTLP over gRPC, path /opentelemetry.proto.collector.trace.v1.TraceService/Export, and gRPC health v1.
//
// Generic calls with raw messages: nobody builds an object tree. Credentials and load are judged before the message is
// read; gRPC's own decompression is off (version 1.51 checks its limit only after inflating), ours is bounded.
// INVALID_ARGUMENT bad data · UNAUTHENTICATED · PERMISSION_DENIED · RESOURCE_EXHAUSTED too large, without RetryInfo: do
// not retry · UNAVAILABLE with RetryInfo in grpc-status-details-bin: try again · UNIMPLEMENTED any other method. Runs
// `threads` completion-queue threads of its own beside gRPC's; the one place where api/ starts threads. TLS files that
// reload_tls() found good serve new connections a second later. reload_tls: one thread at a time. start, drain,
// set_serving, replace_tokens, stats: any thread, start first. The receiver outlives this. Destruction stops hard.
#pragma once

#include <cstdint>
#include <memory>

#include "api/duration_histogram.h"
#include "api/otlp_receiver.h"
#include "api/server_options.h"
#include "base/function.h"
#include "base/status.h"

namespace clew::api {

struct GrpcServerStats {
  uint64_t calls = 0;
  uint64_t open_calls = 0;
  uint64_t by_code[17] = {};              // finished calls by status code
  DurationHistogram::Snapshot durations;  // from a complete message to its reply
};

class OtlpGrpcServer {
 public:
  OtlpGrpcServer(OtlpReceiver& receiver, GrpcEndpoint options);
  ~OtlpGrpcServer();

  Status start();
  uint16_t port() const;           // after start()
  void set_serving(bool serving);  // what gRPC health says, of the whole server and of the trace service
  // Refuses new calls, lets open ones finish (at most `grace_ms`), then calls `done` on a thread of its own.
  void drain(uint32_t grace_ms, Task done);
  Status reload_tls();  // reads the files again; on an error the former ones stay
  void replace_tokens(const AuthOptions& auth);
  GrpcServerStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clew::api

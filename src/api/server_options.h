// The settings of the servers in api/, as plain values that the configuration fills. Names follow the OpenTelemetry
// Collector's (endpoint, tls, cors, max_request_body_size), so that people find what they know.
//
// An endpoint is "host:port", "[v6]:port" or ":port" (all addresses); port 0 takes any free one (tests). An empty
// endpoint switches its server off. Durations are milliseconds. Values only; no thread, no I/O.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace clew::api {

struct TlsOptions {
  std::string cert_file;       // PEM, the chain included
  std::string key_file;        // PEM
  std::string client_ca_file;  // when set, clients must show a certificate that it signed (mutual TLS)
  bool enabled() const { return !cert_file.empty() || !key_file.empty() || !client_ca_file.empty(); }
};

// A bearer token; with a tenant it is good for that tenant only and implies it.
struct BearerToken {
  std::string token;
  std::string tenant;
};
struct AuthOptions {
  std::vector<BearerToken> bearer_tokens;  // none: no authentication
};

struct CorsOptions {
  std::vector<std::string> allowed_origins;  // "*", exact, or with one * ("https://*.example.com"); none: no CORS
  std::vector<std::string> allowed_headers;  // beyond the safelisted; "*": whatever the browser asks for
  uint32_t max_age = 0;                      // seconds a browser may keep a preflight's answer; 0: its own default
};

// What one peer may cost an HTTP listener.
struct HttpLimits {
  uint64_t max_request_body_size = 64ull << 20;  // before and, for OTLP, after inflating
  uint32_t max_header_bytes = 32u << 10;
  uint32_t max_connections = 4096;
  uint32_t request_timeout_ms = 30'000;    // from the first byte of a request to its last: slow senders end here
  uint32_t idle_timeout_ms = 120'000;      // between requests of one connection
  uint32_t write_timeout_ms = 30'000;      // without progress while a reply is written
  uint32_t handshake_timeout_ms = 10'000;  // TLS
};

struct HttpEndpoint {
  std::string endpoint;
  TlsOptions tls;
  AuthOptions auth;
  CorsOptions cors;
  HttpLimits limits;
};

struct GrpcEndpoint {
  std::string endpoint;
  TlsOptions tls;
  AuthOptions auth;
  uint64_t max_recv_msg_size = 64ull << 20;    // bytes; before and after inflating
  uint32_t max_concurrent_streams = 1024;      // of one connection
  uint32_t threads = 1;                        // completion queues, one thread each
  uint32_t max_pending_calls = 1024;           // accepted and not yet answered; more are refused as retryable
  uint64_t memory_quota_bytes = 128ull << 20;  // of gRPC's own buffers; above it gRPC ends calls
  uint32_t keepalive_time_ms = 120'000;        // pings an idle client after this
  uint32_t keepalive_timeout_ms = 20'000;
  uint32_t min_ping_interval_ms = 10'000;  // a client that pings more often is sent away
};

// What one peer may cost a gRPC server on our own sockets (rpc/server.h).
struct RpcEndpoint {
  std::string endpoint;
  TlsOptions tls;
  AuthOptions auth;
  uint64_t max_recv_msg_size = 2u << 20;  // bytes of one message
  uint32_t max_connections = 16'384;
  uint32_t max_concurrent_streams = 16'384;   // of one connection
  uint32_t max_pending_calls = 65'536;        // begun and not ended, streams among them; more are refused
  uint64_t max_pending_bytes = 256ull << 20;  // of messages being received, served or not yet sent
  uint32_t handshake_timeout_ms = 10'000;     // TLS, and the first bytes
  uint32_t write_timeout_ms = 30'000;         // without progress while a reply is written
  uint32_t keepalive_time_ms = 120'000;       // pings a silent client after this
  uint32_t keepalive_timeout_ms = 20'000;
};

// etcd's v3 API (etcd/server.h). Limits are etcd's where it has some: a request of 1.5 MiB (kv/validate.h) and half a
// MiB for what stands around it.
struct EtcdEndpoint : RpcEndpoint {
  std::string advertise;                // host:port that clients connect to, when that is another; member list tells it
  uint32_t request_timeout_ms = 5'000;  // of a request whose client named no earlier deadline
};

struct ServerOptions {
  HttpEndpoint otlp_http{"127.0.0.1:4318"};
  GrpcEndpoint otlp_grpc{"127.0.0.1:4317"};
  HttpEndpoint http{"127.0.0.1:16686"};  // Jaeger, own API, /metrics
  HttpEndpoint tempo{"127.0.0.1:3200"};
  EtcdEndpoint etcd{RpcEndpoint{"127.0.0.1:2379"}};  // of nodes that have a control plane
  uint64_t max_in_flight_bytes = 192ull << 20;       // of requests being received or stored, over all receivers
  uint32_t retry_after_ms = 1000;                    // told to a client that is refused for load
  uint32_t gzip_replies_from_bytes = 2048;           // query replies from this size on, when the client accepts gzip
};

}  // namespace clew::api

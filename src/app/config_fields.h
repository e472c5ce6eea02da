// The one description of every setting: `describe` walks a Config and shows each setting to a visitor.
//
// A visitor has: begin(name, help) / end() around a section; and field(name, reference, unit, help) for the kinds
// below. Internal to config.cc.
#pragma once

#include <string>
#include <vector>

#include "app/config.h"
#include "consensus/protocols.h"

namespace clew::app {

// How the number behind a setting is written.
enum class Unit { kPlain, kBytes, kNanoseconds, kMilliseconds, kSeconds };

template <typename Visitor>
void describe_tls(api::TlsOptions& tls, Visitor& visit) {
  visit.begin("tls", "off while empty");
  visit.field("cert_file", tls.cert_file, Unit::kPlain, "certificate chain, PEM; read again on SIGHUP");
  visit.field("key_file", tls.key_file, Unit::kPlain, "its private key, PEM");
  visit.field("client_ca_file", tls.client_ca_file, Unit::kPlain,
              "clients must show a certificate signed by it (mutual TLS)");
  visit.end();
}

template <typename Visitor>
void describe_http(api::HttpEndpoint& http, Visitor& visit) {
  visit.field("endpoint", http.endpoint, Unit::kPlain, "address to listen on; \"\" switches it off");
  describe_tls(http.tls, visit);
  visit.begin("cors", "browsers");
  visit.field("allowed_origins", http.cors.allowed_origins, Unit::kPlain, "\"*\", exact, or with one *; none: no CORS");
  visit.field("allowed_headers", http.cors.allowed_headers, Unit::kPlain, "beyond the safelisted ones");
  visit.field("max_age", http.cors.max_age, Unit::kSeconds, "how long a browser keeps a preflight's answer");
  visit.end();
  visit.field("max_request_body_size", http.limits.max_request_body_size, Unit::kBytes,
              "before and after inflating; more is 413");
  visit.field("max_header_size", http.limits.max_header_bytes, Unit::kBytes, "of a request's header");
  visit.field("max_connections", http.limits.max_connections, Unit::kPlain, "open at once; more wait in the kernel");
  visit.field("request_timeout", http.limits.request_timeout_ms, Unit::kMilliseconds,
              "from a request's first byte to its last");
  visit.field("idle_timeout", http.limits.idle_timeout_ms, Unit::kMilliseconds, "between requests of a connection");
  visit.field("write_timeout", http.limits.write_timeout_ms, Unit::kMilliseconds,
              "without progress while a reply is written");
}

template <typename Visitor>
void describe_grpc(api::GrpcEndpoint& grpc, Visitor& visit) {
  visit.field("endpoint", grpc.endpoint, Unit::kPlain, "address to listen on; \"\" switches it off");
  describe_tls(grpc.tls, visit);
  visit.field("max_recv_msg_size", grpc.max_recv_msg_size, Unit::kBytes,
              "before and after inflating; more is RESOURCE_EXHAUSTED");
  visit.field("max_concurrent_streams", grpc.max_concurrent_streams, Unit::kPlain, "of one connection");
  visit.field("threads", grpc.threads, Unit::kPlain, "completion queues, one thread each");
  visit.field("max_pending_calls", grpc.max_pending_calls, Unit::kPlain,
              "accepted and not yet answered, of one thread");
  visit.field("memory_quota", grpc.memory_quota_bytes, Unit::kBytes,
              "of gRPC's own buffers, where messages are until they are whole; above it gRPC ends calls");
  visit.begin("keepalive", "of idle connections");
  visit.field("time", grpc.keepalive_time_ms, Unit::kMilliseconds, "an idle client is pinged after it");
  visit.field("timeout", grpc.keepalive_timeout_ms, Unit::kMilliseconds, "a ping's answer may take it");
  visit.field("min_time", grpc.min_ping_interval_ms, Unit::kMilliseconds,
              "a client that pings more often is sent away");
  visit.end();
}

template <typename Visitor>
void describe_etcd(api::EtcdEndpoint& etcd, Visitor& visit) {
  visit.begin("etcd", "etcd's v3 API");
  visit.field("endpoint", etcd.endpoint, Unit::kPlain, "address to listen on; \"\" switches it off");
  visit.field("advertise", etcd.advertise, Unit::kPlain,
              "what clients connect to, when that is another address: `member list` tells it");
  describe_tls(etcd.tls, visit);
  visit.field("max_recv_msg_size", etcd.max_recv_msg_size, Unit::kBytes, "of one message");
  visit.field("max_connections", etcd.max_connections, Unit::kPlain, "open at once");
  visit.field("max_concurrent_streams", etcd.max_concurrent_streams, Unit::kPlain, "of one connection");
  visit.field("max_pending_calls", etcd.max_pending_calls, Unit::kPlain,
              "begun and not ended, watches among them; more are refused");
  visit.field("max_pending", etcd.max_pending_bytes, Unit::kBytes, "of messages received, served or not yet sent");
  visit.field("write_timeout", etcd.write_timeout_ms, Unit::kMilliseconds, "without progress while a reply is written");
  visit.field("request_timeout", etcd.request_timeout_ms, Unit::kMilliseconds,
              "of a request whose client named no earlier deadline");
  visit.begin("keepalive", "of silent connections");
  visit.field("time", etcd.keepalive_time_ms, Unit::kMilliseconds, "a silent client is pinged after it");
  visit.field("timeout", etcd.keepalive_timeout_ms, Unit::kMilliseconds, "a ping's answer may take it");
  visit.end();
  visit.end();
}

template <typename Visitor>
void describe_control_endpoint(ControlEndpoint& port, Visitor& visit) {
  visit.field("endpoint", port.endpoint, Unit::kPlain, "address to listen on");
  visit.field("advertise", port.advertise, Unit::kPlain, "what others connect to, when that is another address");
  visit.begin("tls", "certificates on both sides; off while empty");
  visit.field("cert_file", port.tls.cert_file, Unit::kPlain,
              "certificate chain, PEM, with the name node-<id>; read again on SIGHUP");
  visit.field("key_file", port.tls.key_file, Unit::kPlain, "its private key, PEM");
  visit.field("client_ca_file", port.tls.client_ca_file, Unit::kPlain, "the other side's certificate is signed by it");
  visit.end();
}

template <typename Visitor>
void describe_control(ControlConfig& control, Visitor& visit) {
  visit.begin("control", "the control plane: one small group by consensus, with the key-value store");
  visit.field("node_id", control.node_id, Unit::kPlain,
              "which of initial_cluster this is; afterwards the data directory knows");
  visit.field("name", control.name, Unit::kPlain, "for people; \"\": node-<id>");
  visit.begin("peer", "members speak to each other here");
  describe_control_endpoint(control.peer, visit);
  visit.end();
  visit.begin("client",
              "our own client protocol: `clew kv`, other members that pass requests on; \"\" switches it off");
  describe_control_endpoint(control.client, visit);
  visit.end();
  visit.field("initial_cluster", control.initial_cluster, Unit::kPlain,
              "founders as ID=HOST:PORT,... of their peer ports, /witness behind those without data; the same on each, "
              "looked at once; \"\": a group of one");
  visit.field("initial_cluster_token", control.initial_cluster_token, Unit::kPlain,
              "makes groups of the same founders different ones");
  visit.field("join", control.join, Unit::kPlain,
              "client ports of members of a group that exists: at its first start the node asks to be taken in");
  visit.field("seeds", control.seeds, Unit::kPlain,
              "of a witness among the founders: client ports of members with data, which it passes requests on to");
  visit.field("role", control.role, Unit::kPlain, "of a node that joins: voter, witness, learner");
  visit.field("consensus", control.consensus, Unit::kPlain,
              ("the protocol that the group runs, the same on all members for its life: " + consensus::protocol_names())
                  .c_str());
  visit.begin("signing", "of pbft's members (`clew keys signing`)");
  visit.field("key_file", control.signing_key, Unit::kPlain, "the key of this member, PEM");
  visit.field("members_dir", control.signing_members, Unit::kPlain,
              "the public keys of all members, signing-<id>.pub each: whom this member believes");
  visit.end();
  visit.field("engine", control.engine, Unit::kPlain, "where the state stands: memory, rocksdb");
  visit.field("heartbeat", control.heartbeat_ns, Unit::kNanoseconds, "of the leader; the same on all members");
  visit.field("election_timeout", control.election_timeout_ns, Unit::kNanoseconds,
              "without a heartbeat; drawn between once and twice that; the same on all members");
  visit.field("leases", control.leases, Unit::kPlain,
              "reads at level `lease` rest on the leader's clock (1% of error); the same on all members");
  visit.field("quota", control.quota_bytes, Unit::kBytes, "of the state; what grows is refused above it");
  visit.field("snapshot_every", control.snapshot_every_bytes, Unit::kBytes, "of log since the last snapshot");
  visit.field("log_file_size", control.log_file_bytes, Unit::kBytes, "preallocation step of the log");
  visit.begin("traces", "spans about elections, leaders and snapshots, into this node's own store");
  visit.field("enabled", control.traces, Unit::kPlain, "true, false");
  visit.field("appends_one_in", control.trace_appends_one_in, Unit::kPlain, "of the appends; 0: none");
  visit.end();
  visit.end();
}

template <typename Visitor>
void describe(Config& config, Visitor& visit) {
  auto& servers = config.servers;
  auto& node = config.node;
  visit.begin("receivers", "");
  visit.begin("otlp", "");
  visit.begin("protocols", "");
  visit.begin("grpc", "");
  describe_grpc(servers.otlp_grpc, visit);
  visit.end();
  visit.begin("http", "");
  describe_http(servers.otlp_http, visit);
  visit.end();
  visit.end();
  visit.end();
  visit.end();

  visit.begin("query", "");
  visit.begin("http", "Jaeger API, own API, /metrics, /ready, /health");
  describe_http(servers.http, visit);
  visit.end();
  visit.begin("tempo", "Tempo API");
  describe_http(servers.tempo, visit);
  visit.end();
  visit.field("gzip_from", servers.gzip_replies_from_bytes, Unit::kBytes,
              "replies from this size on are compressed when the client accepts it");
  visit.end();

  visit.begin("storage", "");
  visit.field("directory", node.data_directory, Unit::kPlain, "everything that Clew keeps; one process at a time");
  visit.field("durability", node.durability, Unit::kPlain,
              "what an acknowledgement means: disk (fsynced), os (handed to the kernel), memory");
  visit.begin("retention", "age counts from arrival");
  visit.field("max_age", node.retention.max_age_ns, Unit::kNanoseconds, "0: no limit");
  visit.field("max_bytes", node.retention.max_bytes, Unit::kBytes, "0: no limit");
  visit.field("max_disk_share", node.retention.max_disk_share, Unit::kPlain,
              "of the file system that holds the directory");
  visit.end();
  visit.begin("wal", "");
  visit.field("file_size", node.wal_file_bytes, Unit::kBytes, "preallocation step; a file is recycled as a whole");
  visit.end();
  visit.field("block_cache", node.block_cache_bytes, Unit::kBytes, "decompressed blocks of segments");
  visit.field("seal_rows", node.seal_rows, Unit::kPlain, "decided rows that are worth a segment");
  visit.field("seal_delay", node.seal_delay_ns, Unit::kNanoseconds, "decided rows wait at most so long for a segment");
  visit.end();

  visit.begin("traces", "");
  visit.field("quiet_period", node.lifecycle.quiet_period_ns, Unit::kNanoseconds,
              "without a span, before a trace is assessed");
  visit.field("trace_timeout", node.lifecycle.trace_timeout_ns, Unit::kNanoseconds,
              "since its last span, before a trace that is not whole is given up");
  visit.field("max_open", node.lifecycle.max_open_ns, Unit::kNanoseconds,
              "a trace that stays open longer has its spans moved to disk");
  visit.field("skew_tolerance", node.policy.skew_tolerance_ns, Unit::kNanoseconds,
              "smaller differences of time are not findings");
  visit.field("max_verified_spans", node.policy.max_spans, Unit::kPlain,
              "larger traces get the checks of the graph only");
  visit.end();

  visit.begin("limits", "");
  visit.field("memory", node.memory_limit_bytes, Unit::kBytes,
              "the process aims to stay below it; two thirds are for open traces: near it they go to disk early, then "
              "requests wait, then are refused as retryable");
  visit.field("max_in_flight", servers.max_in_flight_bytes, Unit::kBytes,
              "of requests being received or stored, over all receivers");
  visit.field("retry_after", servers.retry_after_ms, Unit::kMilliseconds, "told to a client that is refused for load");
  visit.field(
      "max_tenants", node.max_tenants, Unit::kPlain,
      "that the node knows; a request of one more is refused, so that strangers cannot invent them without end");
  visit.field("max_spans_per_request", node.limits.max_spans, Unit::kPlain, "a request with more is refused");
  visit.field("max_span_size", node.limits.max_span_bytes, Unit::kBytes, "a larger span is rejected and counted");
  visit.field("max_attributes_per_span", node.limits.max_attributes, Unit::kPlain, "over its events and links, too");
  visit.field("max_attribute_depth", node.limits.max_depth, Unit::kPlain, "of lists in lists");
  visit.begin("dictionary", "repeating strings are kept once; beyond these, they are stored in the span");
  visit.field("max_entries", node.dictionary.max_entries, Unit::kPlain, "of one kind");
  visit.field("max_bytes", node.dictionary.max_bytes, Unit::kBytes, "over all kinds");
  visit.end();
  visit.end();

  visit.begin("auth", "for receivers, queries and, tokens without a tenant only, the etcd API");
  visit.tokens("bearer_tokens", servers.otlp_http.auth.bearer_tokens,
               "list of {token, tenant}; none: everybody may, tenants by X-Scope-OrgID; read again on SIGHUP");
  visit.end();

  describe_control(config.control, visit);
  describe_etcd(config.servers.etcd, visit);

  visit.field("loops", config.loops, Unit::kPlain,
              "event loops; 0: one per two cores (sealing, queries and the disk have the others)");
  visit.field("shards", node.shards, Unit::kPlain, "of a new data directory, which keeps its number; 0: one per loop");
  visit.begin("log", "");
  visit.field("level", config.log_level, Unit::kPlain, "trace, debug, info, warn, error");
  visit.end();
}

}  // namespace clew::app

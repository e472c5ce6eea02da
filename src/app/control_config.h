// What `clew serve` can be told about the control plane: the section `control` of the configuration. Values only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/server_options.h"

namespace clew::app {

enum class EngineKind : uint8_t { kMemory, kRocks };

struct ControlEndpoint {
  std::string endpoint;
  std::string advertise;  // what others connect to; empty: the endpoint, or for peers what initial_cluster says
  api::TlsOptions tls;    // mutual: all three files, or none
};

struct ControlConfig {
  uint64_t node_id = 0;  // 0: not said
  std::string name;      // empty: "node-<id>"
  ControlEndpoint peer{"127.0.0.1:4330", "", {}};
  ControlEndpoint client{"127.0.0.1:4331", "", {}};
  std::string initial_cluster;  // empty: a group of one
  std::string initial_cluster_token = "clew";
  std::vector<std::string> join;   // client ports of members of a group that exists
  std::vector<std::string> seeds;  // of a witness that founds: client ports of members with data
  std::string role = "voter";      // of a node that joins
  std::string consensus = "raft";  // a name of consensus/protocols.h
  std::string signing_key;         // for pbft: the file of this member's key
  std::string signing_members;     // and the directory of all members' public keys
  EngineKind engine = EngineKind::kMemory;
  int64_t heartbeat_ns = 100'000'000;
  int64_t election_timeout_ns = 1'000'000'000;
  bool leases = false;
  uint64_t quota_bytes = 2ull << 30;
  uint64_t snapshot_every_bytes = 64ull << 20;
  uint64_t log_file_bytes = 64ull << 20;
  bool traces = false;
  uint64_t trace_appends_one_in = 1'000;
};

}  // namespace clew::app

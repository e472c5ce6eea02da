// EtcdServer: etcd's v3 gRPC API (KV, Lease, Watch, Cluster, Maintenance, Auth, gRPC health) in front of a
// control::Service. It only transcodes: what a request means is decided where the state is. docs/etcd.md says which of
// etcd's clients and commands work, and what differs.
//
// Credentials (bearer tokens, client certificates) and load are judged before a message is read. A call that asks for
// `hasleader` is refused, or its stream ended, while the group has no leader.
//
// Life: construct → start → set_ready(true) → drain → destroy, as api::Servers. The service and the loops outlive it;
// completions that the service still holds after its destruction are dropped. start, set_ready, drain, reload_tls,
// replace_tokens, port: one thread at a time, not a loop's own. stats, health_watchers: any thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/rpc/server.h"
#include "api/server_options.h"
#include "base/function.h"
#include "base/status.h"
#include "control/service.h"

namespace clew::api {

class EtcdServer {
 public:
  // `version` is Clew's, for Status.
  EtcdServer(EtcdEndpoint options, control::Service& service, const std::vector<boost::asio::io_context*>& loops,
             const std::string& version);
  ~EtcdServer();

  Status start();
  uint16_t port() const;       // after start()
  void set_ready(bool ready);  // what gRPC health says
  // Stops accepting, ends streams, lets calls finish (at most `grace_ms`), then calls `done` on a loop.
  void drain(uint32_t grace_ms, Task done);
  Status reload_tls();  // new connections use the files as they are now; on an error the former ones stay
  void replace_tokens(const AuthOptions& auth);  // for the calls from now on
  rpc::ServerStats stats() const;
  size_t health_watchers() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clew::api

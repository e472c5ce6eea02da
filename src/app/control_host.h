// ControlHost: the control plane of a node with its threads and ports: a loop of its own (heartbeats must not wait for
// spans), the peers' port, the plane, and the port of our own client protocol. Settings: control_config.h.
//
// Life: construct → start (blocking; joins a group, if need be) → services are called from any thread → drain →
// destroy. The main thread calls all of it. Whatever calls service() ends before this does.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "app/control_config.h"
#include "app/damage_watch.h"
#include "app/own_traces.h"
#include "app/signing_keys.h"
#include "base/function.h"
#include "base/status.h"
#include "cluster/services.h"
#include "consensus/peer_transport.h"
#include "consensus/telemetry.h"
#include "control/bootstrap.h"
#include "control/client.h"
#include "control/plane.h"
#include "control/server.h"
#include "os/disk.h"
#include "os/loop.h"
#include "os/random.h"
#include "os/tls_network.h"
#include "os/workers.h"

namespace clew::app {

class ControlHost {
 public:
  struct Ports {
    os::Workers& workers;
    os::OsRandom& random;
    cluster::IngestService* ingest = nullptr;  // for own traces
    std::string version;
  };
  // `directory` is the control plane's, within the data directory, which this process has locked. `tokens`: what a
  // client must show one of; members show the first.
  ControlHost(Ports ports, ControlConfig config, std::string directory, std::vector<std::string> tokens);
  ~ControlHost();

  // `on_halt`: the group's member here cannot go on; the process must end.
  Status start(std::function<void(Status)> on_halt);
  control::Service& service() { return *plane_; }
  env::Loop& loop() { return *loop_; }
  uint64_t founding() const { return belonging_.founding; }
  uint64_t cluster() const { return plane_ == nullptr ? belonging_.cluster : plane_->cluster(); }
  consensus::NodeId node() const { return belonging_.node; }
  uint16_t peer_port() const { return peer_port_; }
  uint16_t client_port() const { return client_port_; }  // 0: off

  // Where other machines find a server of this node that listens on `endpoint`, as far as this node knows itself.
  std::string reachable_at(const std::string& endpoint, uint16_t port) const;
  // Addresses of the node's other servers, for its record.
  void publish(std::vector<std::string> etcd_urls, std::string http_address);
  // Prometheus' text, on the loop, later.
  void metrics(UniqueFunction<void(std::string)> done);
  // Gives leadership away and lets requests end. False: it took too long.
  bool drain();
  // Nothing of it runs afterwards, but work of the workers may still use its disk.
  void stop();
  Status reload_tls();
  // What clients must show, and members do, from now on; open connections stay.
  void replace_tokens(std::vector<std::string> tokens);

 private:
  Status open_networks();
  Status find_group();
  Status join_group(const std::vector<consensus::Member>& founders);
  Status open_plane();
  Status open_server();
  control::ClientOptions client_options(std::vector<std::string> addresses) const;
  void flush_traces();
  void tell_refusals();
  void tell_damage();
  template <typename F>
  auto on_loop(F function);

  Ports ports_;
  const ControlConfig config_;
  const std::string directory_;
  std::vector<std::string> tokens_;  // from start() on the loop's
  std::function<void(Status)> on_halt_;
  kv::CustomRegistry registry_;
  control::Belonging belonging_;
  std::string name_;
  std::string peer_address_;  // what the others connect to
  control::MemberRecord record_;
  std::unique_ptr<env::Network> peer_network_, client_network_;
  os::TlsNetwork* peer_tls_ = nullptr;    // peer_network_, with TLS
  os::TlsNetwork* client_tls_ = nullptr;  // client_network_, with TLS
  os::TlsNetworkStats peer_told_, client_told_;
  std::unique_ptr<OwnTraces> traces_;
  std::unique_ptr<consensus::Telemetry> telemetry_;
  std::unique_ptr<DamageWatch> damage_;  // in front of it
  std::unique_ptr<os::OsLoop> loop_;
  os::OsDisk disk_;                             // a queue of its own; dies before the loop, which its writes report to
  std::shared_ptr<const SigningKeys> signing_;  // null: the protocol's members do not sign
  std::unique_ptr<consensus::PeerTransport> transport_;
  std::unique_ptr<control::Plane> plane_;
  std::unique_ptr<control::Server> server_;
  uint16_t peer_port_ = 0;
  uint16_t client_port_ = 0;
  bool stopped_ = false;
};

}  // namespace clew::app

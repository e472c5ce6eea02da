// NodeProcess: one life of a whole node below api/, made of what `clew serve` makes it of: the peers' transport, the
// replica with the strong spaces, the control plane, and the server of our own client protocol; all on one simulated
// machine and its network. Members reach their leader by the real client over that network, too.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "consensus/peer_transport.h"
#include "control/plane.h"
#include "control/server.h"
#include "kv/custom.h"
#include "sim/nodes/serving.h"

namespace clew::sim::nodes {

// Who looks at everything: the scenario.
class NodeWatcher {
 public:
  virtual void on_fact(NodeIndex node, const consensus::Fact& fact) = 0;
  virtual void on_record(NodeIndex node, consensus::LogSeq seq, std::string_view record) = 0;
  // A frame of the protocol's leaves.
  virtual void on_sent(NodeIndex node, consensus::NodeId to, std::string_view frame) = 0;
  // `after`: what this life had applied before.
  virtual void on_applied(NodeIndex node, consensus::Position position, consensus::Position after,
                          const consensus::Entry& entry, std::string_view result) = 0;
  // Its disk may be damaged now.
  virtual void on_damage(NodeIndex node) = 0;
  // What the loss of these records of its log would cost the node.
  virtual Scope cost_of(NodeIndex node, const std::vector<consensus::LogSeq>& lost) const = 0;

 protected:
  ~NodeWatcher() = default;
};

struct NodeOptions {
  consensus::NodeId self = consensus::kNobody;
  consensus::ProtocolFactory protocol;
  const consensus::Verifier* verifier = nullptr;  // of a protocol whose members sign; outlives the node
  control::PlaneOptions plane;                    // but for self, directory and record
};

class NodeProcess final : public Serving, private consensus::Observer {
 public:
  static constexpr const char* kDirectory = "/control/replica";

  NodeProcess(Machine& machine, NodeWatcher& watcher, const kv::CustomRegistry& registry);
  ~NodeProcess() override;
  // Blocking.
  Status open(NodeOptions options);

  consensus::NodeId self() const { return self_; }
  control::Plane& plane() { return *plane_; }
  const control::Plane& plane() const { return *plane_; }
  const consensus::Replica& replica() const { return plane_->replica(); }
  control::Service* service() override { return plane_.get(); }
  const control::Server& server() const { return *server_; }

  // Deliveries so far, or a snapshot that was installed since: where the state stood when it was last looked at.
  consensus::Position seen() const { return seen_; }
  void see_install();
  Scope scope_of(const std::string& path, uint64_t offset, uint64_t size) const override;

 private:
  class Tap;  // shows the watcher what leaves

  void on_fact(const consensus::Fact& fact) override;
  void on_applied(consensus::Position position, const consensus::Entry& entry, std::string_view result) override;
  void on_record(consensus::LogSeq seq, std::string_view record) override;

  NodeWatcher& watcher_;
  const kv::CustomRegistry& registry_;
  consensus::NodeId self_ = consensus::kNobody;
  std::unique_ptr<consensus::PeerTransport> peers_;
  std::unique_ptr<Tap> tap_;
  std::unique_ptr<control::Plane> plane_;
  std::unique_ptr<control::Server> server_;
  consensus::Position seen_ = 0;
  uint64_t installs_ = 0;
};

std::string peer_address(NodeIndex machine);
std::string client_address(NodeIndex machine);

}  // namespace clew::sim::nodes

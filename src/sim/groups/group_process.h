// GroupProcess: one life of a member: the replica as the real world runs it, on a simulated machine, with its ledger
// and transport; watched by the group's judges.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "consensus/replica.h"
#include "sim/groups/family.h"
#include "sim/groups/ledger.h"
#include "sim/groups/mesh_transport.h"
#include "sim/process.h"

namespace clew::sim::groups {

// Who looks at everything: the scenario.
class Watcher {
 public:
  virtual void on_fact(NodeIndex node, const consensus::Fact& fact) = 0;
  virtual void on_record(NodeIndex node, consensus::LogSeq seq, std::string_view record) = 0;
  virtual void on_sent(NodeIndex node, consensus::NodeId to, std::string_view frame) = 0;
  // `after`: what this life had applied before.
  virtual void on_applied(NodeIndex node, consensus::Position position, consensus::Position after,
                          const consensus::Entry& entry, bool executed, bool changed, Hash128 digest) = 0;
  // Its disk may be damaged now.
  virtual void on_damage(NodeIndex node) = 0;
  // What the loss of these records of its log would cost the node.
  virtual Scope cost_of(NodeIndex node, const std::vector<consensus::LogSeq>& lost) const = 0;

 protected:
  ~Watcher() = default;
};

class GroupProcess final : public Process, private consensus::Observer {
 public:
  static constexpr const char* kDirectory = "/replica";

  GroupProcess(Machine& machine, Watcher& watcher, consensus::NodeId self, bool loses_appends);
  // Blocking; `options` but for self and directory.
  Status open(consensus::ReplicaOptions options, consensus::ProtocolFactory factory,
              const consensus::Verifier* verifier);
  void depart(MeshTransport::Departure departure) { transport_.depart(std::move(departure)); }
  // From now on, for as long as `lies` says so; of what the protocol sends.
  void lie(std::shared_ptr<Liar> liar, std::function<bool()> lies);

  consensus::NodeId self() const { return self_; }
  consensus::Replica& replica() { return *replica_; }
  const consensus::Replica& replica() const { return *replica_; }
  Machine& machine() { return machine_; }
  // Deliveries so far, or a snapshot that was installed since: where the state stood when it was last looked at.
  consensus::Position seen() const { return seen_; }
  void see_install() {
    seen_ = replica_->applied();
    installs_ = replica_->stats().snapshots_installed;
  }

  void on_message(NodeIndex from, std::string_view bytes) override;
  void on_connection(NodeIndex peer, bool up) override;
  Scope scope_of(const std::string& path, uint64_t offset, uint64_t size) const override;

 private:
  void on_fact(const consensus::Fact& fact) override;
  void on_applied(consensus::Position position, const consensus::Entry& entry, std::string_view result) override;
  void on_record(consensus::LogSeq seq, std::string_view record) override;

  Machine& machine_;
  Watcher& watcher_;
  const consensus::NodeId self_;
  Ledger ledger_;
  MeshTransport transport_;
  std::unique_ptr<consensus::Replica> replica_;
  consensus::Position seen_ = 0;
  uint64_t installs_ = 0;  // of snapshots, that seen_ knows of
};

}  // namespace clew::sim::groups

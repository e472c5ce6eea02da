// NodeScenario: a group of whole nodes (transport, replica, strong spaces, control plane, client server) in a simulated
// world, with machines of clients, workloads, an operator, and judges.
//
// Judged after every event: what consensus groups are judged for (sim/groups/group_scenario.h), and what truth.h and
// the workloads say. At the end, after the faults: every node lives, leads or follows and agrees with the others; no
// lease outlives its time; every watch has been given everything; final reads; every checker of sim/check.
//
// One use, one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kv/custom.h"
#include "sim/groups/family.h"
#include "sim/groups/group_scenario.h"
#include "sim/nodes/node_process.h"
#include "sim/nodes/node_profile.h"
#include "sim/nodes/switchboard.h"
#include "sim/nodes/truth.h"
#include "sim/nodes/workload.h"
#include "sim/world.h"

namespace clew::sim::nodes {

class NodeScenario final : public Scenario, private NodeWatcher {
 public:
  NodeScenario(const groups::Family& family, const NodeProfile& profile, NodeShape shape, uint64_t seed,
               groups::Deeds* deeds = nullptr);
  ~NodeScenario() override;

  Result<std::unique_ptr<Process>> start(World& world, Machine& machine) override;
  void operation(World& world, const Item& item) override;
  std::optional<NodeIndex> aim(World&) override { return leader(); }
  void after_event(World& world, NodeIndex node) override;
  void stopped(World& world, NodeIndex node) override;
  bool progressed(World& world) override;
  void finish(World& world) override;

 private:
  struct Host {
    consensus::NodeId id = consensus::kNobody;  // kNobody: a spare
    bool founder = false;
    bool initialised = false;  // its directory was made once
    bool lost = false;         // its disk is gone: it waits to be replaced
    bool counted = false;      // the membership has named it
    uint64_t starts = 0;
    uint64_t damaged_in = 0;        // the start in which its disk was damaged last
    uint64_t replaced_in = 0;       // the start in which it became another member last
    consensus::Position held = 0;   // as the atlas knows
    consensus::Membership governs;  // as it knew when it was up last, where that is not what was delivered last
  };

  // --- NodeWatcher ---
  void on_fact(NodeIndex node, const consensus::Fact& fact) override;
  void on_record(NodeIndex node, consensus::LogSeq seq, std::string_view record) override;
  void on_sent(NodeIndex node, consensus::NodeId to, std::string_view frame) override;
  void on_applied(NodeIndex node, consensus::Position position, consensus::Position after,
                  const consensus::Entry& entry, std::string_view result) override;

  void on_damage(NodeIndex node) override { hosts_[at(node)].damaged_in = hosts_[at(node)].starts; }
  Scope cost_of(NodeIndex node, const std::vector<consensus::LogSeq>& lost) const override;

  void begin(World& world);
  Status open(NodeProcess& process, const Host& host) const;
  bool is_node(NodeIndex machine) const { return at(machine) < hosts_.size(); }
  NodeProcess* node(NodeIndex machine) const;  // null: down, or a spare
  void check(const Status& status) {
    if (!status.ok()) world_->fail(std::string(status.message()));
  }
  bool waits(NodeIndex node, const std::string& what) const;  // false, and says why to the journal
  bool converged() const;

  // --- The operator: node_operator.cc ---
  void act(Generator random);
  std::optional<NodeIndex> leader() const;
  NodeIndex machine_at(const std::string& peer_address) const;
  const consensus::Member* member_at(NodeIndex machine) const;  // of the newest committed membership
  void transfer(NodeIndex to, NodeIndex door);
  void end_errand(const char* what, const control::CallError* error);  // null: it was done
  void remove(NodeIndex machine, NodeIndex door);
  void replace(NodeIndex machine, NodeIndex door);
  void join(NodeIndex machine, NodeIndex door);
  void joined(NodeIndex machine, consensus::NodeId id);
  bool decides(consensus::NodeId id) const;
  void retire(NodeIndex machine);  // it was removed: its disk is emptied, and it is a spare
  bool mend(NodeIndex door);       // one step towards all machines being what the membership says; true: they are
  void update_tolerance();
  control::CallOptions patience() const;

  const groups::Family& family_;
  const NodeProfile& profile_;
  const NodeShape shape_;
  const uint64_t seed_;
  groups::Deeds* deeds_;
  groups::Deeds own_;
  World* world_ = nullptr;
  const kv::CustomRegistry registry_;
  std::vector<Host> hosts_;
  std::map<consensus::NodeId, NodeIndex> machine_of_;
  Truth truth_;
  std::unique_ptr<groups::Judge> judge_;
  std::unique_ptr<Switchboard> switchboard_;
  std::vector<std::unique_ptr<Workload>> workloads_;
  std::vector<int> shares_;
  consensus::Membership founding_;
  bool errand_ = false;   // of the operator's: a change of the membership is under way
  bool unclear_ = false;  // one ended without an answer: it may still come into force
  int64_t unclear_until_ns_ = 0;
  int64_t mended_at_ns_ = 0;
  bool mended_ = false;
};

}  // namespace clew::sim::nodes

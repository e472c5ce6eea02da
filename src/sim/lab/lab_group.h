// LabGroup: a consensus group in a simulated world whose network, disks and processors cost stated amounts of virtual
// time: what the lab's measurements and demonstrations run on. The same replicas and cores as everywhere; every
// delivery is compared with what other members delivered (sim/groups/canon.h), so that a figure of a group that lost
// its agreement is never reported as one.
//
// Costs: a member is one processor. Each message that it receives, each that it sends and each command that a client
// hands it occupies that for a while; what arrives meanwhile waits. So a leader that speaks to more members gets less
// done, which a simulator without such costs would hide. What it says leaves when the processor is done with it.
//
// Signatures are as in the product: made on the processor that runs the core, checked by workers beside it. They are a
// keyed hash (consensus/pbft/test_keys.h) of the length of Ed25519's; what they cost is what Ed25519 costs.
//
// Subclass it: tick() is called at regular times of the virtual clock and may do whatever an operator can. One run, one
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/groups/canon.h"
#include "sim/groups/family.h"
#include "sim/groups/group_process.h"
#include "sim/world.h"

namespace clew::sim::lab {

// Where the members stand, and how long a message takes one way.
enum class Latency : uint8_t {
  kLan,    // one room: 0.10 to 0.15 ms
  kWan,    // every member in another region: 40 ms, and up to 1 ms more
  kMixed,  // three regions: as kLan within one, 15 to 30 ms between them
};
std::string_view latency_name(Latency latency);  // "lan"
std::optional<Latency> latency_named(std::string_view name);
int64_t one_way_ns(Latency latency);  // between two members that are far from each other, on average

struct Costs {
  int64_t message_ns = 4'000;  // of the processor, to send one or to receive one
  int64_t kilobyte_ns = 1'000;
  int64_t command_ns = 1'500;  // that a client hands over
  int64_t sync_ns = 100'000;   // of a disk
  // Ed25519 by OpenSSL 3.0 on one core of the machine of docs/benchmarks.md: `openssl speed ed25519` makes 39,300
  // signatures and checks 14,300 in a second.
  int64_t sign_ns = 25'000;   // of the processor
  int64_t check_ns = 70'000;  // of one of the workers
  size_t workers = 2;         // as in os/workers.h
};

// 64 bytes that everybody could make who has the name: nobody here forges.
std::string lab_signature(consensus::NodeId signer, std::string_view message);

struct Setting {
  size_t nodes = 3;
  Latency latency = Latency::kLan;
  uint64_t seed = 1;
  Costs costs;
};

class LabGroup : public Scenario, private groups::Watcher {
 public:
  LabGroup(const groups::Family& family, const Setting& setting);
  ~LabGroup() override;

  // Ticks every `tick_ns` until `until_ns`. What broke, if something did.
  Status run(int64_t until_ns, int64_t tick_ns);

 protected:
  virtual void tick() = 0;
  virtual void sent(consensus::NodeId /*from*/, consensus::NodeId /*to*/, std::string_view /*frame*/) {}
  virtual void fact(NodeIndex /*node*/, const consensus::Fact& /*fact*/) {}
  // Members disagree, or deliver what nobody proposed.
  virtual void disagreed(const Status& how) { world().fail(std::string(how.message())); }

  World& world() { return *world_; }
  const Setting& setting() const { return setting_; }
  const groups::Family& family() const { return family_; }
  size_t nodes() const { return setting_.nodes; }
  std::optional<NodeIndex> leader() const;  // of the highest epoch, among those that run
  consensus::Replica* replica(NodeIndex node) const;
  std::string write(const std::string& key, std::string value);  // the bytes of a command nobody proposed before
  // Through the member's processor. `done` may never run: the member may die.
  void submit(NodeIndex node, std::string command, consensus::Answer<consensus::Reply> done);
  void read(NodeIndex node, const std::string& key, consensus::ReadLevel level,
            consensus::Answer<consensus::Reply> done);
  // From now on, in this life of the member: what its protocol sends.
  void lie(NodeIndex node, std::shared_ptr<groups::Liar> liar);
  // Of all members, since the world began.
  uint64_t syncs() const;
  struct Signatures {
    uint64_t made = 0;
    uint64_t checked = 0;
  };
  const Signatures& signatures() const { return signatures_; }
  NodeMask everybody() const { return all_of(nodes()); }

 private:
  class Member;

  Result<std::unique_ptr<Process>> start(World& world, Machine& machine) final;
  void operation(World& /*world*/, const Item& /*item*/) final { tick(); }
  void after_event(World& /*world*/, NodeIndex /*node*/) final {}
  void stopped(World& world, NodeIndex node) final;
  bool progressed(World& /*world*/) final { return true; }

  void on_fact(NodeIndex node, const consensus::Fact& fact_of) final { fact(node, fact_of); }
  void on_record(NodeIndex, consensus::LogSeq, std::string_view) final {}
  void on_sent(NodeIndex node, consensus::NodeId to, std::string_view frame) final;
  void on_applied(NodeIndex node, consensus::Position position, consensus::Position after,
                  const consensus::Entry& entry, bool executed, bool changed, Hash128 digest) final;
  void on_damage(NodeIndex) final {}
  Scope cost_of(NodeIndex, const std::vector<consensus::LogSeq>&) const final { return {}; }

  void prepare(World& world);
  Member* member(NodeIndex node) const;

  const groups::Family& family_;
  const Setting setting_;
  groups::Shape shape_;
  World* world_ = nullptr;
  consensus::Membership founding_;
  groups::Canon canon_;
  Signatures signatures_;
  std::vector<bool> initialised_;
  std::vector<uint64_t> syncs_of_earlier_lives_;
  uint64_t commands_ = 0;
};

}  // namespace clew::sim::lab

// GroupScenario: a consensus group of real replicas in a simulated world, with clients, an operator, and judges.
//
// Judged after every event, at the node that it concerned: what sim/groups/canon.h and the protocol's Judge say, that
// nothing is bounded in vain, that nobody halts for another reason than its disk. At the end, after the faults: every
// member that can live is a member again, serves and agrees with the others; final reads; every checker of sim/check
// over the histories of all clients; one whose budget does not suffice leaves the run undecided.
//
// The operator stands for the people who run such a group: he changes the membership, moves leadership, replaces a
// machine that lost its disk by a new member, starts again what halted. He never shrinks it below what it needs, and
// asks for a change while another one is under way only to be refused.
//
// One use, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consensus/replica_command.h"
#include "sim/groups/canon.h"
#include "sim/groups/clients.h"
#include "sim/groups/family.h"
#include "sim/groups/group_process.h"
#include "sim/groups/profile.h"
#include "sim/world.h"

namespace clew::sim::groups {

// What a run did.
struct Deeds {
  uint64_t answered = 0, failed = 0, unknown = 0, busy = 0;
  uint64_t elections = 0, leaders = 0, memberships = 0, snapshots_saved = 0, snapshots_installed = 0;
  uint64_t restarts = 0, replaced = 0, holes = 0, truncations = 0, entries = 0;
  uint64_t judged = 0;     // by the checkers of histories: operations and reports, by each of them
  uint64_t undecided = 0;  // histories that a checker's budget did not suffice for
  void add(const Deeds& other);
  struct Field {
    std::string_view name;
    uint64_t Deeds::*value;
  };
  static std::span<const Field> fields();  // all of them
};

class GroupScenario final : public Scenario, private Watcher, private Endpoints {
 public:
  GroupScenario(const Family& family, const Profile& profile, Shape shape, uint64_t seed, Deeds* deeds = nullptr);
  ~GroupScenario() override;

  Result<std::unique_ptr<Process>> start(World& world, Machine& machine) override;
  void operation(World& world, const Item& item) override;
  std::optional<NodeIndex> aim(World&) override { return leader(); }
  void after_event(World& world, NodeIndex node) override;
  void stopped(World& world, NodeIndex node) override;
  void healed(World& world) override;
  bool progressed(World& world) override;
  void finish(World& world) override;

 private:
  struct Host {
    consensus::NodeId id{};
    bool founder = false;
    bool liar = false;
    bool initialised = false;  // its directory was made once
    bool used = false;         // started at least once
    uint64_t starts = 0;
    uint64_t damaged_in = 0;        // the start in which its disk was damaged last
    uint64_t replaced_in = 0;       // the start in which it became another member last
    consensus::Position held = 0;   // as the atlas knows
    consensus::Membership governs;  // as it knew when it was up last, where that is not what was delivered last
  };

  // --- Watcher ---
  void on_fact(NodeIndex node, const consensus::Fact& fact) override;
  void on_record(NodeIndex node, consensus::LogSeq seq, std::string_view record) override;
  void on_sent(NodeIndex node, consensus::NodeId to, std::string_view frame) override;
  void on_applied(NodeIndex node, consensus::Position position, consensus::Position after,
                  const consensus::Entry& entry, bool executed, bool changed, Hash128 digest) override;
  void on_damage(NodeIndex node) override { hosts_[at(node)].damaged_in = hosts_[at(node)].starts; }
  Scope cost_of(NodeIndex node, const std::vector<consensus::LogSeq>& lost) const override;
  // --- Endpoints ---
  size_t nodes() const override { return hosts_.size(); }
  void post(NodeIndex node, std::function<void(consensus::Replica&)> task) override;
  bool speaks(NodeIndex node) const override;
  NodeIndex machine_of(consensus::NodeId id) const override;
  std::optional<consensus::Position> applied_at(consensus::SessionId session, uint64_t sequence) const override;
  consensus::Position agreed() const override { return canon_.last(); }
  void proposed(std::string_view command) override { canon_.proposed(command); }
  void wrong(std::string what) override { world_->fail(std::move(what)); }

  void begin(World& world);
  GroupProcess* process(NodeIndex node) const;
  void check(const Status& status) {
    if (!status.ok()) world_->fail(std::string(status.message()));
  }
  void begin_lasting_fault();
  void check_availability();
  void check_bounds(NodeIndex node, const consensus::Report& report);
  void check_time(NodeIndex node, const consensus::DecodedCommand& command, consensus::Position position);

  // --- The operator: group_operator.cc ---
  void act(Generator random);
  void change_membership(Generator& random);
  std::optional<NodeIndex> leader() const;
  consensus::Membership draw_target(const consensus::Membership& now, Generator& random) const;
  void replace_lost(std::vector<consensus::Member>& members) const;
  void note_witnesses(const consensus::Membership& members);
  void reconfigure(NodeIndex leader, const consensus::Membership& target);
  void update_tolerance();
  size_t tolerance(const consensus::Membership& membership) const;
  bool counts_on_old_self(const consensus::Membership& membership, NodeIndex node) const;
  bool repair();  // true: nothing is left to do
  bool converged() const;
  bool waits(NodeIndex node, const std::string& what) const;  // false, and says why to the journal

  const Family& family_;
  const Profile& profile_;
  const Shape shape_;
  const Bounds bounds_;
  const uint64_t seed_;
  Deeds* deeds_;
  Deeds own_;
  World* world_ = nullptr;
  std::vector<Host> hosts_;
  Canon canon_;
  std::unique_ptr<Judge> judge_;
  std::unique_ptr<Clients> clients_;
  consensus::Membership founding_;
  std::vector<check::Applied> applied_;
  std::set<consensus::NodeId> witnesses_;            // that were members at any time
  std::vector<consensus::Membership> open_targets_;  // asked for, and they may still come into force
  int64_t change_until_ns_ = 0;
  int64_t repaired_at_ns_ = 0;
  bool finals_asked_ = false;
  bool lasting_fault_ = false;
  int64_t progressed_at_ns_ = 0;  // the newest delivery of anything
  int64_t asked_at_ns_ = 0;       // the newest write
  uint64_t leaders_before_ = 0;
};

}  // namespace clew::sim::groups

// DecreeScenario: members of single-decree Paxos (consensus/paxos/decree_host.h, as a node runs it) in a simulated
// world: clients of all members propose values under the same few names at the same time, so that proposers duel while
// machines crash and the network loses, repeats and reorders.
//
// Disks are damaged, and logs lost, of a minority (sim/atlas.h), which abstains from then on. A wipe takes the log, or
// a part of it, and leaves who the member is and what vouches for the log: a member that lost its whole disk is another
// one, which is consensus/replica.h's to tell.
//
// Judged after every event: what consensus/paxos/invariants.h says. Whoever abstains must have been damaged. At the
// end, after the faults: every member learns what became of every name that anybody proposed for.
//
// One use, one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "consensus/paxos/decree_host.h"
#include "consensus/paxos/invariants.h"
#include "sim/groups/group_scenario.h"
#include "sim/world.h"

namespace clew::sim::decrees {

class DecreeScenario final : public Scenario {
 public:
  // `deeds`: entries are decrees decided, elections are ballots.
  DecreeScenario(uint64_t seed, groups::Deeds* deeds) : seed_(seed), deeds_(deeds) {}

  Result<std::unique_ptr<Process>> start(World& world, Machine& machine) override;
  void operation(World& world, const Item& item) override;
  void after_event(World& world, NodeIndex node) override;
  void stopped(World& world, NodeIndex node) override;
  bool progressed(World& world) override;
  void finish(World& world) override;

 private:
  struct Host {
    bool initialised = false;  // its directories were made once
    // What its log holds behind that, nothing vouches for: when that was damaged, it loses its log with the next start.
    bool unnoticed = false;
    std::map<std::string, std::string> saved;  // its files, when a damaged one stopped
  };
  void propose(World& world, NodeIndex node, const std::string& decree, Generator& random);
  void lose_log(World& world, Machine& machine);

  const uint64_t seed_;
  groups::Deeds* deeds_;
  groups::Deeds own_;
  consensus::paxos::DecreeCheck check_;
  std::vector<consensus::NodeId> acceptors_;
  std::vector<Host> hosts_;  // by machine
  std::vector<std::string> names_;
  uint64_t next_value_ = 1;
  int64_t asked_at_ns_ = 0;
};

}  // namespace clew::sim::decrees

// NodeProfile: which world a group of whole nodes is put into, as data: the faults and their rates are those of
// sim/groups/profile.h; on top of them what the clients do. A seed draws the rest. The clean build survives every seed
// of every profile.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "control/plane.h"
#include "sim/groups/family.h"
#include "sim/groups/profile.h"
#include "sim/plan.h"

namespace clew::sim::nodes {

// Of a hundred operations of the plan, how many each workload gets; none of them: it is not there.
struct Shares {
  int objects = 60;
  int watches = 15;
  int leases = 15;
  int sessions = 10;
};

struct NodeProfile {
  std::string_view name;
  std::string_view text;
  groups::Profile world;  // mix.admin and admin are the operator's; name, text and what concerns clients do not count
  Shares shares;
};
std::span<const NodeProfile> node_profiles();  // the first is the default
const NodeProfile* node_profile_named(std::string_view name);

// What one seed makes of a profile, for groups of one protocol.
struct NodeShape {
  groups::Shape group;  // who there is, and what the protocol's cores are told; its replica's options are plane.replica
  size_t client_machines = 1;
  bool trust_gateways = true;   // clients believe the member that they ask; else what f + 1 of them prove
  control::PlaneOptions plane;  // but for who it is

  size_t machines() const { return group.nodes + client_machines; }
};
NodeShape draw_node_shape(uint64_t seed, const NodeProfile& profile, const groups::Family& family,
                          std::optional<size_t> founders);
PlanOptions node_plan_options(uint64_t seed, const NodeProfile& profile, size_t machines, double operations_per_second);

}  // namespace clew::sim::nodes

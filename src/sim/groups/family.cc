#include "sim/groups/family.h"

#include <algorithm>

#include "sim/groups/multipaxos_family.h"
#include "sim/groups/pbft_family.h"
#include "sim/groups/raft_family.h"
#include "sim/groups/zab_family.h"

namespace clew::sim::groups {

size_t Family::losses(const consensus::Membership& membership, size_t fewer) const {
  size_t outgoing = 0, incoming = 0, witnesses = 0;
  for (const consensus::Member& member : membership.members()) {
    outgoing += member.outgoing;
    incoming += member.incoming;
    witnesses += member.role == consensus::Role::kWitness;
  }
  size_t voters = membership.joint() ? std::min(outgoing, incoming) : incoming;
  voters -= std::min(voters, fewer);
  const size_t most = tolerates(voters);
  if (witnesses == 0) return most;
  // The smallest quorum with the witnesses in it: one of those who have its data must be left.
  return std::min(most, voters / 2 - std::min(voters / 2, witnesses));
}

std::span<const Family> families() {
  static const std::vector<Family> all = {raft_family(), multipaxos_family(), zab_family(), pbft_family()};
  return all;
}

const Family* family_named(std::string_view name) {
  for (const Family& family : families()) {
    if (family.name == name) return &family;
  }
  return nullptr;
}

}  // namespace clew::sim::groups

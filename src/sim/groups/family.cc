#include "sim/groups/family.h"

#include "sim/groups/multipaxos_family.h"
#include "sim/groups/pbft_family.h"
#include "sim/groups/raft_family.h"
#include "sim/groups/zab_family.h"

namespace clew::sim::groups {

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

// Raft in simulated worlds: see family.h.
#pragma once

#include <memory>

#include "sim/groups/family.h"

namespace clew::sim::groups {

Family raft_family();
std::unique_ptr<Judge> make_raft_judge(Clocks clocks);  // raft_judge.cc

}  // namespace clew::sim::groups

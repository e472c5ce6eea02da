// Multi-Paxos in simulated worlds: see family.h.
#pragma once

#include <memory>

#include "sim/groups/family.h"

namespace clew::sim::groups {

Family multipaxos_family();
std::unique_ptr<Judge> make_multipaxos_judge(Clocks clocks);  // multipaxos_judge.cc

}  // namespace clew::sim::groups

// ZAB in simulated worlds: see family.h.
#pragma once

#include <memory>

#include "sim/groups/family.h"

namespace clew::sim::groups {

Family zab_family();
std::unique_ptr<Judge> make_zab_judge(Clocks clocks);  // zab_judge.cc

}  // namespace clew::sim::groups

// PBFT in simulated worlds: see family.h. Signatures are those of consensus/pbft/test_keys.h: real ones take most of
// the time of a world, and a core cannot tell them apart.
#pragma once

#include <memory>

#include "sim/groups/family.h"

namespace clew::sim::groups {

Family pbft_family();
std::unique_ptr<Judge> make_pbft_judge();  // pbft_judge.cc
constexpr uint64_t kPbftGroup = 7;

}  // namespace clew::sim::groups

// PbftLiar: what a Byzantine member of a PBFT group does to the frames of its (honest) core. It signs with its own key
// and nobody else's; whatever it claims of others it has to forge badly or to have heard.
//
// Each life draws some of: *equivocation* (as primary, another batch for some; votes for both sides), *forgery*
// (certificates with made-up or repeated signers, a new view of its own making, requests that nobody asked for),
// *omission* of what it prepared, *replay* of old frames and of executed requests, *lies* about checkpoints, states,
// positions, *selective silence*, times of its own commands that are far off. One world, one thread; draws from its
// seed only.
//
// A test program puts the same liar into a real process (tests/liar.cc): it says which habits, and signs with its key.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "consensus/types.h"
#include "sim/groups/family.h"

namespace clew::sim::groups {

struct PbftHabits {
  bool equivocates = false, forges = false, omits = false, replays = false, lies = false, silent = false;
  bool mistimes = false;  // its own gateway's commands
  // Equivocates about every batch, and is silent always; shows one member one side and all others the other one.
  bool steadily = false;
};
struct PbftLiarOptions {
  consensus::NodeId self = consensus::kNobody;
  uint64_t voters = 0;                                      // numbered from 1
  std::function<std::vector<consensus::NodeId>()> present;  // instead: who votes now, where members change
  uint64_t seed = 0;
  uint64_t group = 0;  // stands in what is signed
  PbftHabits habits;
  std::function<std::string(std::string_view message)> sign;
};
std::unique_ptr<Liar> make_pbft_liar(PbftLiarOptions options);

std::unique_ptr<Liar> make_pbft_liar(consensus::NodeId self, Present present, uint64_t seed);

}  // namespace clew::sim::groups

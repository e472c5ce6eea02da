// PbftLiar: what a Byzantine member of a PBFT group does to the frames of its (honest) core. It signs with its own key
// and nobody else's; whatever it claims of others it has to forge badly or to have heard.
//
// Each life draws some of: *equivocation* (as primary, another batch for some; votes for both sides), *forgery*
// (certificates with made-up or repeated signers, a new view of its own making, requests that nobody asked for),
// *omission* of what it prepared, *replay* of old frames and of executed requests, *lies* about checkpoints, states,
// positions, *selective silence*. One world, one thread; draws from its seed only.
#pragma once

#include <memory>

#include "consensus/types.h"
#include "sim/groups/family.h"

namespace clew::sim::groups {

std::unique_ptr<Liar> make_pbft_liar(const Shape& shape, consensus::NodeId self, uint64_t seed);

}  // namespace clew::sim::groups

// How many are enough. The one place where quorums are counted, for all protocols; nobody divides by two elsewhere.
//
// Everything takes the voters *including* oneself, each once (a Membership guarantees it), so that the usual errors (a
// vote counted twice, a list without oneself) cannot be written down. Pure; O(members).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "consensus/membership.h"
#include "consensus/types.h"

namespace clew::consensus {

// Smallest number of `voters` of which any two sets overlap: n/2 + 1.
constexpr size_t majority(size_t voters) { return voters / 2 + 1; }

// Byzantine groups of n voters tolerate f = (n-1)/3 liars. A quorum is n - f (2f + 1 when n = 3f + 1): two of them
// share an honest voter. f + 1 equal answers contain an honest one (Castro & Liskov 1999, §4).
constexpr size_t byzantine_faults(size_t voters) { return voters == 0 ? 0 : (voters - 1) / 3; }
constexpr size_t byzantine_quorum(size_t voters) { return voters - byzantine_faults(voters); }
constexpr size_t byzantine_weak_quorum(size_t voters) { return byzantine_faults(voters) + 1; }

// Sizes of the two quorums of Paxos: any prepare quorum meets any accept quorum, prepare + accept > voters (Howard,
// Malkhi & Spiegelman 2016). majority/majority by default.
struct FlexibleQuorum {
  size_t prepare = 0;
  size_t accept = 0;
  static constexpr FlexibleQuorum of_majorities(size_t voters) { return {majority(voters), majority(voters)}; }
  constexpr bool valid(size_t voters) const {
    return prepare >= 1 && accept >= 1 && prepare <= voters && accept <= voters && prepare + accept > voters;
  }
};

// True when `has` holds for a majority of each electorate (one, or two while joint). False for an empty membership.
bool has_quorum(const Membership& membership, const std::function<bool(NodeId)>& has);

enum class Tally : uint8_t { kPending, kWon, kLost };
enum class Vote : uint8_t { kNone, kGranted, kRefused };
// kLost when the voters that have not refused cannot make a quorum any more.
Tally tally(const Membership& membership, const std::function<Vote(NodeId)>& vote);

// The highest position that a quorum of each electorate has reached: what Raft calls the commit candidate.
Position quorum_position(const Membership& membership, const std::function<Position(NodeId)>& reached);

}  // namespace clew::consensus

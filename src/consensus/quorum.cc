#include "consensus/quorum.h"

#include <algorithm>
#include <array>

#include "consensus/planted.h"

namespace clew::consensus {
namespace {

// Applies `judge` to the one or two electorates of `membership`; each is given as a predicate on members.
template <typename Judge>
bool both(const Membership& membership, Judge judge) {
  if (!judge([](const Member& m) { return m.incoming; })) return false;
  return !membership.joint() || judge([](const Member& m) { return m.outgoing; });
}

size_t enough(size_t voters) { return planted(Bug::kAllDemanded) ? voters : majority(voters); }

}  // namespace

bool has_quorum(const Membership& membership, const std::function<bool(NodeId)>& has) {
  if (membership.empty()) return false;
  return both(membership, [&](auto in_electorate) {
    size_t voters = 0;
    size_t having = 0;
    for (const Member& member : membership.members()) {
      if (!in_electorate(member)) continue;
      voters++;
      if (has(member.id)) having++;
    }
    return having >= enough(voters);
  });
}

Tally tally(const Membership& membership, const std::function<Vote(NodeId)>& vote) {
  if (has_quorum(membership, [&](NodeId id) { return vote(id) == Vote::kGranted; })) return Tally::kWon;
  if (!has_quorum(membership, [&](NodeId id) { return vote(id) != Vote::kRefused; })) return Tally::kLost;
  return Tally::kPending;
}

Position quorum_position(const Membership& membership, const std::function<Position(NodeId)>& reached) {
  if (membership.empty()) return 0;
  Position result = UINT64_MAX;
  both(membership, [&](auto in_electorate) {
    std::array<Position, kMaxMembers> positions;
    size_t voters = 0;
    for (const Member& member : membership.members()) {
      if (in_electorate(member)) positions[voters++] = reached(member.id);
    }
    if (voters == 0) {
      result = 0;
      return false;
    }
    // With the positions falling, the one in place enough-1 is reached by a majority.
    std::sort(positions.begin(), positions.begin() + static_cast<ptrdiff_t>(voters), std::greater<>());
    result = std::min(result, positions[enough(voters) - 1]);
    return true;
  });
  return result;
}

}  // namespace clew::consensus

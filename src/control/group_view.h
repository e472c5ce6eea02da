// GroupView: what one member sees of its group, put into the words of GroupStatus: roles, states, and what is wrong
// with what to do about it. Pure; any thread; O(members).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "consensus/membership.h"
#include "consensus/protocol.h"
#include "control/service.h"
#include "control/system_space.h"

namespace clew::control {

// A member that is further behind counts as catching up: it is not promoted and not called online.
constexpr consensus::Position kSyncedWithin = 1'000;

struct GroupView {
  uint64_t cluster = 0;
  uint64_t founding = 0;
  consensus::NodeId self = consensus::kNobody;
  std::string protocol;
  consensus::Report report;
  consensus::Membership membership;
  consensus::Position applied = 0;
  uint64_t state_bytes = 0;
  uint64_t quota_bytes = 0;
  MemberRecord own;
  // Null where this node keeps no state (a witness): members are then known by their addresses only.
  const SystemView::State* system = nullptr;
  std::function<bool(consensus::NodeId)> heard;  // lately, by this node
  // Why this node does not reach it, in words; empty: it does, or nothing is known.
  std::function<std::string(consensus::NodeId)> unreached = [](consensus::NodeId) { return std::string(); };
  std::set<consensus::NodeId> strangers_disks;  // came back with another data directory than they had
  std::string halted;                           // why; empty: it has not
};

GroupStatus group_status(const GroupView& view);
// Adds what only the member itself knows to be wrong with it; nothing when `problem` is empty.
void note_own_problem(GroupStatus& status, std::string_view problem);

// Members whose record names other custom commands than `own`, so that none may be used.
std::set<consensus::NodeId> disagreeing(const SystemView::State& system, const consensus::Membership& membership,
                                        const MemberRecord& own);

}  // namespace clew::control

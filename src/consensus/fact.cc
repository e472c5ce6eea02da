#include "consensus/fact.h"

namespace clew::consensus {

std::string_view fact_name(FactKind kind) {
  switch (kind) {
    case FactKind::kStarted:
      return "started";
    case FactKind::kElectionStarted:
      return "election_started";
    case FactKind::kElectionLost:
      return "election_lost";
    case FactKind::kLeaderSuspected:
      return "leader_suspected";
    case FactKind::kVoteGranted:
      return "vote_granted";
    case FactKind::kVoteRefused:
      return "vote_refused";
    case FactKind::kEpochRaised:
      return "epoch_raised";
    case FactKind::kBecameLeader:
      return "became_leader";
    case FactKind::kBecameFollower:
      return "became_follower";
    case FactKind::kSteppedDown:
      return "stepped_down";
    case FactKind::kLeadershipMoved:
      return "leadership_moved";
    case FactKind::kAppended:
      return "appended";
    case FactKind::kTruncated:
      return "truncated";
    case FactKind::kCommitted:
      return "committed";
    case FactKind::kMembershipProposed:
      return "membership_proposed";
    case FactKind::kMembershipTaken:
      return "membership_taken";
    case FactKind::kMembershipUndone:
      return "membership_undone";
    case FactKind::kReadRefused:
      return "read_refused";
    case FactKind::kSnapshotSaved:
      return "snapshot_saved";
    case FactKind::kSnapshotOffered:
      return "snapshot_offered";
    case FactKind::kSnapshotInstalled:
      return "snapshot_installed";
    case FactKind::kHoleFound:
      return "hole_found";
    case FactKind::kHoleFilled:
      return "hole_filled";
    case FactKind::kDiscoveryStarted:
      return "discovery_started";
    case FactKind::kSyncStarted:
      return "sync_started";
    case FactKind::kSynchronised:
      return "synchronised";
    case FactKind::kPrePrepared:
      return "pre_prepared";
    case FactKind::kPrepared:
      return "prepared";
    case FactKind::kCommittedLocal:
      return "committed_local";
    case FactKind::kCheckpointTaken:
      return "checkpoint_taken";
    case FactKind::kCheckpointStable:
      return "checkpoint_stable";
    case FactKind::kMessageRefused:
      return "message_refused";
    case FactKind::kHalted:
      return "halted";
  }
  return "unknown";
}

std::string to_string(const Fact& fact) {
  std::string out(fact_name(fact.kind));
  const auto add = [&](std::string_view name, uint64_t value) {
    if (value != 0) out.append(" ").append(name).append("=").append(std::to_string(value));
  };
  add("epoch", fact.epoch);
  add("position", fact.position);
  add("peer", number(fact.peer));
  add("value", fact.value);
  if (!fact.reason.empty()) out.append(" (").append(fact.reason).append(")");
  return out;
}

}  // namespace clew::consensus

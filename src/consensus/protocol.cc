#include "consensus/protocol.h"

#include "base/hash.h"

namespace clew::consensus {

std::string_view standing_name(Standing standing) {
  switch (standing) {
    case Standing::kFollower:
      return "follower";
    case Standing::kCandidate:
      return "candidate";
    case Standing::kLeader:
      return "leader";
    case Standing::kLearner:
      return "learner";
    case Standing::kWitness:
      return "witness";
    case Standing::kRecovering:
      return "recovering";
  }
  return "unknown";
}

EntryId identity(const Entry& entry) {
  return {entry.epoch, mix64(stable_hash64(entry.payload.view()), static_cast<uint64_t>(entry.kind))};
}

}  // namespace clew::consensus

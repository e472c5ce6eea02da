// Facts: what a protocol core says about itself while it works. Checkers judge them, the observer turns them into
// metrics and spans, a kept history prints them. Nothing depends on a fact being read, and nothing is traced by itself.
//
// Plain values; any thread. A fact costs a few words; those of the hot path (kAppended, kCommitted) come once a turn,
// PBFT's once a batch, not once a command.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "consensus/types.h"

namespace clew::consensus {

enum class FactKind : uint8_t {
  kStarted,             // position: last in the log; value: records recovered
  kElectionStarted,     // epoch wanted; value 1: a pre-vote, which raises nothing. PBFT: position: h
  kElectionLost,        // by refusal or silence; epoch that was wanted
  kLeaderSuspected,     // PBFT: by this member, which stays in its view until others agree; epoch: it; reason
  kVoteGranted,         // peer got it; epoch
  kVoteRefused,         // peer did not; reason
  kEpochRaised,         // epoch: the new one
  kBecameLeader,        // position: last in the log then. PBFT: value: highest n that it has yet to commit anew
  kBecameFollower,      // peer: the leader, or nobody. PBFT: position, value as above
  kSteppedDown,         // reason: why a leader or candidate gave up
  kLeadershipMoved,     // asked for; peer: the target; reason when it failed
  kAppended,            // position: last; value: entries of this turn. PBFT: see kPrePrepared
  kTruncated,           // position: first that went. PBFT: n of an accepted batch that gives way to another
  kCommitted,           // position: the new commit; value: how many
  kMembershipProposed,  // position
  kMembershipTaken,     // position: it governs from now on
  kMembershipUndone,    // position: truncated away
  kReadRefused,         // reason
  kSnapshotSaved,       // position
  kSnapshotOffered,     // peer, position
  kSnapshotInstalled,   // position; peer: whence
  kHoleFound,           // damaged records: position: first missing, value: how many (PBFT: sequence numbers)
  kHoleFilled,          // position: last filled
  kDiscoveryStarted,    // ZAB: peer: whom this node follows now, or itself, to agree on an epoch
  kSyncStarted,         // of a follower with this leader's history: peer, position where they part; reason: diff ...
  kSynchronised,        // it has the initial history and acknowledged it: peer
  kPrePrepared,         // PBFT, as the next four: position: sequence number n; accepted; value: commands
  kPrepared,            // 2f + 1 accepted that batch in this view
  kCommittedLocal,      // 2f + 1 have it prepared: it is executed in its turn; value: commands
  kCheckpointTaken,     // n is executed, and what that made of the state is signed
  kCheckpointStable,    // 2f + 1 signed the same
  kMessageRefused,      // peer; reason: malformed, stranger, stale instance ...
  kHalted,              // reason
};
constexpr uint8_t kMaxFactKind = static_cast<uint8_t>(FactKind::kHalted);
std::string_view fact_name(FactKind kind);  // "became_leader"

struct Fact {
  FactKind kind = FactKind::kStarted;
  Time at = 0;  // on the node's monotonic clock
  Epoch epoch = 0;
  Position position = 0;
  NodeId peer = kNobody;
  uint64_t value = 0;
  std::string_view reason;  // static storage only; empty: none
};

// "became_leader epoch=3 position=17": for histories and transcripts.
std::string to_string(const Fact& fact);

}  // namespace clew::consensus

// FollowerProgress: what a leader knows of one member, from its first word in this epoch to broadcast. The steps are
// the paper's (Junqueira et al. 2011, §4, leader's side):
//
//   absent    nothing came from it in this reign: it is invited by pings
//   joined    it told its acceptedEpoch (CEPOCH); NEWEPOCH goes to it when the epoch is chosen
//   promised  it acknowledged the epoch and told its history; the leader waits for a quorum of those
//   syncing   DIFF, TRUNC or SNAP are on their way
//   told      it has the initial history, durably; NEWLEADER went to it
//   active    it acknowledged NEWLEADER: it counts, and gets proposals
//
// How far it got, and what may be sent to it: raft::Progress, which knows nothing of Raft but pipelining.
// Pure; one thread.
#pragma once

#include <vector>

#include "consensus/raft/progress.h"
#include "consensus/types.h"
#include "consensus/zab/messages.h"

namespace clew::consensus::zab {

enum class Step : uint8_t { kAbsent, kJoined, kPromised, kSyncing, kTold, kActive };

struct FollowerProgress {
  FollowerProgress(NodeId peer, WindowLimits window, Time now) : progress(peer, window, 1, now), limits(window) {}

  raft::Progress progress;
  WindowLimits limits;  // of the window in `progress`
  Step step = Step::kAbsent;
  FollowerInfo info;  // from joined on
  AckEpoch history;   // from promised on

  NodeId id() const { return progress.id; }
  // It begins again: what was known of its log is void, what was heard of it is not.
  void restart(Step next, Position from) {
    raft::Progress fresh(progress.id, limits, from, progress.heard);
    fresh.match = from - 1;
    fresh.round = progress.round;
    fresh.stamp = progress.stamp;
    fresh.offered = progress.offered;
    progress = fresh;
    step = next;
  }
};

}  // namespace clew::consensus::zab

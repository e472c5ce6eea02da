// Phase 2, synchronisation (Zab §4, Algorithm 2): the leader's history becomes that of a quorum, which makes the epoch
// its current one and says so; then all of it is committed. What a member lacks comes as DIFF, what it has too much
// goes by TRUNC, and where the leader's log begins too late a snapshot comes first (SNAP: snapshots.cc). Both sides.
#include <algorithm>
#include <utility>

#include "consensus/planted.h"
#include "consensus/zab/zab.h"

namespace clew::consensus {

using zab::Ack;
using zab::AckEpoch;
using zab::End;
using zab::FollowerProgress;
using zab::NewLeader;
using zab::Step;
using zab::Trunc;
using zab::UpToDate;

// --- The leader ---

void Zab::begin_synchronisation() {
  stage_ = Stage::kSynchronisation;
  reign_start_ = point(log_.last());
  current_ = reign_;
  state_dirty_ = true;
  for (FollowerProgress& other : peers_) {
    if (other.step == Step::kPromised) synchronise(other);
  }
}

// Where the two histories part. Transactions of one epoch are the same in both as far as both have them (zxid.h), so
// the newest epoch that both know tells it.
Position Zab::common_with(const AckEpoch& history) const {
  for (const End& end : history.ends) {
    if (planted(Bug::kZabDiffAcrossEpochs)) return std::min(log_.last(), end.position);
    const Position at = log_.back_off(end.position, end.epoch);
    if (log_.epoch_at(at) == end.epoch) return std::min(at, end.position);
  }
  return 0;
}

void Zab::synchronise(FollowerProgress& other) {
  const AckEpoch& history = other.history;
  const Position common = common_with(history);
  other.restart(Step::kSyncing, common + 1);
  if (common < log_.base()) {
    fact(FactKind::kSyncStarted, common, other.id(), 0, "snap");
    offer_snapshot(other);
    return;
  }
  other.progress.state = raft::PeerState::kReplicate;
  // What stands behind a hole stays until this history has taken its place: it may be one of few copies.
  const bool trunc = history.last > common && !history.hole && history.credentials.current != reign_ &&
                     (common > 0 || history.complete);
  fact(FactKind::kSyncStarted, common, other.id(), 0, trunc ? "trunc" : "diff");
  if (trunc) send(other.id(), Trunc{reign_, point(common)});
}

void Zab::tell_new_leader(FollowerProgress& other) {
  other.step = Step::kTold;
  send(other.id(), NewLeader{reign_, reign_start_});
}

void Zab::acknowledged_history(FollowerProgress& other) {
  const bool reigned = reigns();
  if (other.step == Step::kTold) {
    other.step = Step::kActive;
    fact(FactKind::kSynchronised, other.progress.match, other.id());
    advance_reign();  // tells all who are active, if this one makes the quorum
  }
  if (!reigned || other.step != Step::kActive) return;
  send(other.id(), UpToDate{reign_, commit_});
  other.progress.commit_sent = std::max(other.progress.commit_sent, commit_);
}

void Zab::establish() {
  stage_ = Stage::kBroadcast;
  established_at_ = now_;
  establish_until_ = kNever;
  if (!std::exchange(renews_, false)) fact(FactKind::kBecameLeader, log_.last());
  own_round_ = gate_.newest_round();
  const Epoch reign = reign_;
  for (FollowerProgress& other : peers_) {
    if (other.step != Step::kActive) continue;
    send(other.id(), UpToDate{reign, reign_start_.position});
    other.progress.commit_sent = std::max(other.progress.commit_sent, reign_start_.position);
  }
  // The whole initial history, whoever broadcast it: a quorum has it under this epoch (Zab §4, step l.2.3).
  if (reign_start_.position > commit_) commit_to(reign_start_.position);
  if (reign_ != reign) return;  // a membership was committed that this node is no part of
  // The very first transaction of a group is its founding membership, so that whoever gets the history from the
  // beginning knows who governs it from there.
  if (log_.last() == 0) {
    std::string founding;
    membership().append_to(founding);
    append_own(EntryKind::kMembership, Payload(std::move(founding)));
  }
  beat();
}

// --- The follower ---

void Zab::cut_behind(Position position) {
  if (log_.true_last() <= position || planted(Bug::kZabNoTrunc)) return;
  log_.cut(position + 1);
  note_cut(position + 1);
}

void Zab::note_cut(Position from) {
  if (ack_) ack_ = std::min(*ack_, from - 1);
  if (configs_.truncate(from)) {
    fact(FactKind::kMembershipUndone, from);
    update_electorate();
  }
  while (!placed_.empty() && placed_.back().position >= from) {
    out_.refused(placed_.back().id, Refusal::kLost, known_leader());
    placed_.pop_back();
  }
  fact(FactKind::kTruncated, from);
}

void Zab::handle(NodeId, const Trunc& m) {
  // Late: the history is the leader's already. With a hole: see synchronise().
  if (current_ == m.epoch || log_.has_hole()) return;
  const Position to = m.to.position;
  if (to < synchronised_) return;  // late: DIFF overtook it, and what that brought was acknowledged
  if (to < log_.base() || to > log_.last() || point(to) != m.to) return join();
  if (to < commit_) {
    halt("told to cut the history behind " + std::to_string(to) + ", and everything up to " + std::to_string(commit_) +
         " is committed; compare the logs of the members");
    return;
  }
  cut_behind(to);
}

void Zab::handle(NodeId from, const NewLeader& m) {
  if (current_ != m.epoch) {
    const Position end = m.history.position;
    const bool mine = end >= log_.base() && end <= log_.last() && point(end) == m.history;
    if (!mine && !planted(Bug::kZabNewLeaderUnchecked)) return join();
    if (end < commit_) {
      halt("the initial history of epoch " + std::to_string(m.epoch) + " ends at " + std::to_string(end) +
           ", and everything up to " + std::to_string(commit_) + " is committed; compare the logs of the members");
      return;
    }
    cut_behind(end);
    current_ = m.epoch;
    state_dirty_ = true;
  }
  // The history, then the epoch, then this.
  send(from, Ack{m.epoch, Ack::Kind::kHistory, log_.last(), log_.last()},
       planted(Bug::kZabNewLeaderAckEarly) ? After::kNothing : After::kEverything);
}

void Zab::handle(NodeId, const UpToDate& m) {
  if (current_ != m.epoch) return;
  if (stage_ != Stage::kBroadcast) {
    stage_ = Stage::kBroadcast;
    join_due_ = kNever;
    fact(FactKind::kBecameFollower, 0, leader_);
  }
  learn_commit(m.commit);
}

}  // namespace clew::consensus

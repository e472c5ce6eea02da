// Phase 1, discovery (Zab §4, Algorithm 1): the leader learns from a quorum which epochs were promised, chooses a later
// one, and gets the promise of a quorum to follow nobody of an earlier one, with what their histories are. Both sides.
#include <algorithm>

#include "consensus/planted.h"
#include "consensus/zab/zab.h"

namespace clew::consensus {

using zab::AckEpoch;
using zab::Credentials;
using zab::FollowerInfo;
using zab::FollowerProgress;
using zab::NewEpoch;
using zab::Step;

// --- The leader ---

void Zab::lead() {
  phase_ = Phase::kLeading;
  stage_ = Stage::kDiscovery;
  leader_ = options_.self;
  reign_ = 0;
  renews_ = false;
  favoured_ = false;
  notify_due_ = look_deadline_ = settle_due_ = kNever;
  forwarded_.rest();
  stop_fetching();
  peers_.clear();
  sync_peers();
  uncommitted_bytes_ = 0;
  for (Position p = commit_ + 1; p <= log_.last(); ++p) uncommitted_bytes_ += cost(log_.at(p));
  fact(FactKind::kDiscoveryStarted, 0, options_.self);
  quorum_check_due_ = now_ + options_.election_max;
  establish_until_ = now_ + 4 * options_.election_max;
  beat();
  advance_reign();
}

void Zab::resign(std::string_view reason, bool avoid_me) { look(reason, avoid_me ? options_.self : kNobody); }

void Zab::check_quorum() {
  quorum_check_due_ = now_ + options_.election_min;
  if (planted(Bug::kNoCheckQuorum)) return;
  const bool heard = has_quorum(electorate_, [&](NodeId id) {
    if (id == options_.self) return true;
    const FollowerProgress* const other = peer(id);
    return other != nullptr && now_ - other->progress.heard <= options_.election_max;
  });
  if (!heard) resign("no quorum was heard for an election timeout");
}

bool Zab::has_reached(Step step) const {
  return has_quorum(electorate_, [&](NodeId id) {
    if (id == options_.self) return true;
    const FollowerProgress* const other = peer(id);
    return other != nullptr && other->step >= step;
  });
}

// Another epoch for the same leader: nobody else is asked, and nothing in its history is given up. What is not
// committed becomes part of the next initial history.
void Zab::renew_epoch(std::string_view reason) {
  if (reigns()) renews_ = true;
  if (transfer_) abort_transfer("the leader needs another epoch first");
  drop_leader_reads();
  for (FollowerProgress& other : peers_) {
    if (other.step <= Step::kJoined) continue;
    other.step = Step::kJoined;
    other.info = {std::max(other.info.epoch, reign_), options_.self};
  }
  stage_ = Stage::kDiscovery;
  reign_ = 0;
  establish_until_ = now_ + 4 * options_.election_max;
  fact(FactKind::kDiscoveryStarted, 0, options_.self, 0, reason);
  choose_epoch(reason);
}

bool Zab::used_up() const {
  return log_.last() - reign_start_.position >= options_.max_counter && !planted(Bug::kZabCounterWraps);
}

void Zab::choose_epoch(std::string_view reason) {
  // This node's own promise: another leader's lease may rest on it.
  if (leased_against(options_.self) || !has_reached(Step::kJoined)) return;
  reign_ = accepted_;
  for (const FollowerProgress& other : peers_) {
    if (other.step >= Step::kJoined) reign_ = std::max(reign_, other.info.epoch);
  }
  ++reign_;
  accepted_ = reign_;
  promised_to_ = options_.self;
  state_dirty_ = true;
  fact(FactKind::kEpochRaised, 0, kNobody, 0, reason);
  for (const FollowerProgress& other : peers_) {
    if (other.step >= Step::kJoined) send(other.id(), NewEpoch{reign_});
  }
}

void Zab::advance_reign() {
  if (!leading() || out_.halted()) return;
  if (reign_ == 0) choose_epoch({});
  if (reign_ == 0 || !epochs_durable()) return;
  if (stage_ == Stage::kDiscovery && (has_reached(Step::kPromised) || planted(Bug::kZabDiscoveryAlone))) {
    begin_synchronisation();
  }
  if (stage_ == Stage::kSynchronisation && epochs_durable() && log_.durable_position() >= reign_start_.position &&
      (has_reached(Step::kActive) || planted(Bug::kZabEstablishedAlone))) {
    establish();
  }
  if (reigns() && used_up()) renew_epoch("the counter of the epoch is used up");
}

void Zab::handle(NodeId from, const FollowerInfo& m) {
  if (phase_ == Phase::kLooking && ballot_.leader == options_.self) {  // as good as a vote: it follows already
    if (Contact* const other = contact(from)) {
      other->voted = true;
      other->ballot = ballot_;
      count();
    }
  }
  FollowerProgress* const other = leading() ? peer(from) : nullptr;
  if (other == nullptr) return;
  other->progress.heard = now_;
  other->info = m;
  other->step = Step::kJoined;
  if (reign_ == 0) {
    advance_reign();
  } else if (m.epoch > reign_ || (m.epoch == reign_ && m.promised_to != options_.self)) {
    renew_epoch("a member promised another leader a later epoch");
  } else {
    send(from, NewEpoch{reign_});
  }
}

// Whether `from` may have something committed that this node lacks. Of one whom the open membership leaves out a longer
// history of the same epoch is no reason: both contain that membership, and what stands behind it is committed only
// with a quorum of those who come, one of whom this node will hear. If it knows that membership to be committed, it
// does not stand, and its history would keep all others from leading for ever.
bool Zab::may_have_more(NodeId from, const Credentials& theirs) const {
  const Member* const member = electorate_.find(from);
  if (member == nullptr || !electorate_.votes(from)) return false;
  const bool leaves = electorate_.joint() && !member->incoming;
  return leaves ? theirs.current > credentials().current : theirs > credentials();
}

void Zab::handle(NodeId from, const AckEpoch& m) {
  FollowerProgress& other = *peer(from);
  if (other.step != Step::kJoined) return;
  const bool unchecked =
      planted(Bug::kZabRecencyUnchecked) || planted(Bug::kZabVoteByIdOnly) || planted(Bug::kZabVoteIgnoresEpoch);
  if (stage_ == Stage::kDiscovery && may_have_more(from, m.credentials) && !unchecked) {
    // It would lose what was committed. With a hole the follower cannot lead either: it counts when others made this
    // history the newest.
    if (!m.hole) resign("a follower's history is more recent");
    return;
  }
  other.history = m;
  other.step = Step::kPromised;
  if (stage_ == Stage::kDiscovery) {
    advance_reign();
  } else {
    synchronise(other);
  }
}

// --- The follower ---

bool Zab::leased_against(NodeId leader) const {
  return now_ < leased_until_ && leased_to_ != leader && !planted(Bug::kZabLeaseIgnored);
}

void Zab::join() {
  join_due_ = stage_ == Stage::kDiscovery ? now_ + options_.heartbeat : kNever;
  send(leader_, FollowerInfo{accepted_, promised_to_}, After::kNothing);
}

void Zab::handle(NodeId from, const NewEpoch& m) {
  const bool again = m.epoch == accepted_ && (promised_to_ == from || planted(Bug::kZabPromiseTwice));
  if (m.epoch < accepted_ || (m.epoch == accepted_ && !again)) return join();
  if (!again) {
    if (leased_against(from)) return;  // it asks again
    accepted_ = m.epoch;
    promised_to_ = from;
    state_dirty_ = true;
    synchronised_ = 0;
    ack_.reset();
    refuse_forwarded_reads();
    fact(FactKind::kEpochRaised);
    fact(FactKind::kVoteGranted, 0, from);
  }
  if (stage_ != Stage::kBroadcast || current_ != m.epoch) stage_ = Stage::kSynchronisation;
  join_due_ = kNever;
  if (planted(Bug::kZabEpochBeforeHistory)) {
    current_ = m.epoch;
    state_dirty_ = true;
  }
  AckEpoch reply{m.epoch, credentials(), log_.last(), log_.has_hole(), false, {}};
  Position end = log_.last();
  while (end > log_.base() && reply.ends.size() < zab::kMaxEnds) {
    reply.ends.push_back({log_.at(end).epoch, end});
    end = log_.back_off(end, log_.at(end).epoch - 1);
  }
  if (end == log_.base()) {
    const bool listed = !reply.ends.empty() && reply.ends.back().epoch == log_.base_epoch();
    if (end > 0 && !listed && reply.ends.size() < zab::kMaxEnds) reply.ends.push_back({log_.base_epoch(), end});
    reply.complete = end == 0 || reply.ends.size() < zab::kMaxEnds || reply.ends.back().position == end;
  }
  // It tells the history, which has to be there after a crash as well.
  send(from, reply, planted(Bug::kZabPromiseBeforeDurable) ? After::kNothing : After::kEverything);
}

}  // namespace clew::consensus

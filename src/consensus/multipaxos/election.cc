// Who proposes: asking before preparing, timeouts, check-quorum, leadership given away. Paxos is safe with any number
// of proposers and goes on with one (PMS §2.4, PMMC §3).
#include <algorithm>

#include "consensus/multipaxos/multipaxos.h"
#include "consensus/planted.h"

namespace clew::consensus {

using multipaxos::Ballot;
using multipaxos::kMaxNumber;
using multipaxos::Refused;
using multipaxos::TimeoutNow;

void MultiPaxos::reset_election_timer() {
  const Time range = options_.election_max - options_.election_min;
  const Time timeout = options_.election_min + static_cast<Time>(random_.below(static_cast<uint64_t>(range)));
  election_deadline_ = std::max(now_ + timeout, leased_until_);
}

void MultiPaxos::become_follower(NodeId leader, std::string_view reason) {
  if (commit_ > untold_) untold_ = 0;
  const Phase before = phase_;
  const NodeId old_leader = leader_;
  phase_ = Phase::kFollower;
  leader_ = leader;
  wished_by_ = Ballot();
  forget_answers();
  if (before == Phase::kLeader) {
    if (transfer_ && !transfer_->sent) abort_transfer("the leader stepped down");
    transfer_.reset();
    drop_leader_reads();
    peers_.clear();
    uncommitted_bytes_ = 0;
    settled_ = false;
    heartbeat_due_ = kNever;
    quorum_check_due_ = kNever;
    fact(FactKind::kSteppedDown, 0, kNobody, 0, reason);
  } else if (before == Phase::kPreparing && leader == kNobody) {
    fact(FactKind::kElectionLost, 0, kNobody, 0, reason);
  }
  if (leader_ != old_leader) {
    refuse_forwarded_reads();
    if (leader_ != kNobody) fact(FactKind::kBecameFollower, 0, leader_);
  }
  if (before != Phase::kFollower) reset_election_timer();
}

void MultiPaxos::follow(NodeId leader) {
  if (phase_ != Phase::kFollower || leader_ != leader) become_follower(leader, "there is a leader");
  withheld_until_ = now_ + options_.election_min;
  reset_election_timer();
}

bool MultiPaxos::may_campaign() const {
  if (planted(Bug::kWitnessLeads)) return governing().votes(options_.self);
  if (is_witness() || recovering() || (fetching_ && now_ < fetch_first_until_)) return false;
  if (governing().may_lead(options_.self)) return true;
  // Who is to decide from a stop-sign on, and was not told whether it was chosen, asks those who decided before: they
  // may be out of the group by it, all of them, so that nobody else would: membership_change.cc.
  return pending_ && !governing().empty() && pending_->target.may_lead(options_.self);
}

void MultiPaxos::campaign(bool pre, const Ballot& wish) {
  const Ballot reign = wish;  // it may be a member
  leader_ = kNobody;
  refuse_forwarded_reads();
  reset_election_timer();
  const uint64_t round = std::max(promise_.round, seen_round_) + 1;
  if (!may_campaign() || round > kMaxNumber) {
    phase_ = Phase::kFollower;
    return;
  }
  const Ballot ballot{round, options_.self, planted(Bug::kPaxosBallotReused) ? 0 : incarnation_};
  out_.fact({FactKind::kElectionStarted, now_, round, 0, kNobody, pre ? 1u : 0u, {}});
  wished_by_ = reign;
  asked_ = ballot;
  if (pre) {
    phase_ = Phase::kAsking;
  } else {
    raise_promise(ballot);
    wished_by_ = reign;
    phase_ = Phase::kPreparing;
  }
  start_phase_one();
}

void MultiPaxos::become_leader() {
  phase_ = Phase::kLeader;
  leader_ = options_.self;
  election_deadline_ = kNever;
  withheld_until_ = 0;
  forwarded_.rest();
  lease_forfeited_ = false;
  stop_fetching();
  fact(FactKind::kBecameLeader, slots_.high());
  peers_.clear();
  sync_peers();
  uncommitted_bytes_ = 0;
  last_ = commit_;
  if (planted(Bug::kReadRoundOfOldReign)) gate_ = ReadGate(options_.max_waiting_reads);
  quorum_check_due_ = now_ + options_.election_max;
}

void MultiPaxos::check_quorum() {
  quorum_check_due_ = now_ + options_.election_min;
  if (planted(Bug::kNoCheckQuorum)) return;
  const bool heard = has_quorum(electorate(), [&](NodeId id) {
    if (id == options_.self) return true;
    const Peer* const other = peer(id);
    return other != nullptr && now_ - other->heard <= options_.election_max;
  });
  if (!heard) resign("no quorum was heard for an election timeout");
}

void MultiPaxos::handle(NodeId from, const Refused& message) {
  seen_round_ = std::max(seen_round_, message.ballot.round);
  if (leading() && !view_.contains(from)) return;  // it was told that it was removed
  if (phase_ == Phase::kAsking) {
    if (!message.pre || message.asked != asked_) return;
    // Somebody promised more than was asked for. Asking again raises nothing, and the round grows each time.
    if (message.ballot > asked_) return campaign(true, wished_by_);
  } else if (phase_ == Phase::kPreparing || leading()) {
    if (message.pre) return;
    if (message.ballot > promise_) return resign("a higher ballot was promised");
    if (message.asked != promise_) return;
  } else {
    return;
  }
  if (planted(Bug::kPaxosRefusalsAsPromises) && !leading()) {
    if (Answer* const answer = answer_of(from); answer != nullptr) answer->complete = true;
    return count_answers();
  }
  if (Answer* const answer = answer_of(from); answer != nullptr && !answer->complete) answer->refused = true;
  if (!leading()) count_answers();
}

// --- Leadership given away: the successor prepares a ballot of its own at once ---

void MultiPaxos::transfer(Time now, NodeId to) {
  advance_clock(now);
  if (!started_ || out_.halted() || !leading()) {
    fact(FactKind::kLeadershipMoved, 0, to, 0, "asked of a node that does not lead");
    return;
  }
  if (transfer_) {
    fact(FactKind::kLeadershipMoved, 0, to, 0, "another transfer is under way");
    return;
  }
  if (to == kNobody) to = fittest();
  if (to == options_.self || !governing().may_lead(to) || peer(to) == nullptr) {
    fact(FactKind::kLeadershipMoved, 0, to, 0, "nobody there who may lead");
    return;
  }
  transfer_ = Transfer{to, now_ + options_.election_max};
  send_heartbeat(*peer(to), true);  // what is on its way may be lost: ask
}

NodeId MultiPaxos::fittest() const {
  const Peer* best = nullptr;
  for (const Peer& other : peers_) {
    if (!governing().may_lead(other.id) || now_ - other.heard > options_.election_max) continue;
    if (best == nullptr || other.match > best->match) best = &other;
  }
  return best == nullptr ? kNobody : best->id;
}

void MultiPaxos::advance_transfer() {
  if (!transfer_ || transfer_->sent) return;
  const Peer* const other = peer(transfer_->to);
  if (other == nullptr) {
    abort_transfer("the successor is no member any more");
    return;
  }
  if (other->match < last_) return;
  send(other->id, TimeoutNow{promise_});
  transfer_->sent = true;
  // The successor's prepare breaks through withheld promises, however late the message comes: no lease for the rest of
  // this reign.
  if (!planted(Bug::kLeaseKeptOnTransfer)) lease_forfeited_ = true;
  fact(FactKind::kLeadershipMoved, 0, other->id);
}

void MultiPaxos::abort_transfer(std::string_view reason) {
  fact(FactKind::kLeadershipMoved, 0, transfer_->to, 0, reason);
  transfer_.reset();
}

void MultiPaxos::handle(NodeId, const TimeoutNow&) {
  if (!leading() && now_ >= leased_against(promise_)) campaign(false, promise_);
}

}  // namespace clew::consensus

// Membership change by joint consensus: Raft §6, thesis §4.3. A membership governs from the moment that it stands in
// the log, committed or not.
//
//   reconfigure → C(old,new) appended → committed by both majorities → leader appends C(new) → committed → over
//
// One change at a time, and only when an entry of the own term is committed (the flaw of single-server changes that
// Ongaro announced on raft-dev in 2015 needs both rules broken). A leader that is not in C(new) leads until it is
// committed, and steps down then.
#include "consensus/planted.h"
#include "consensus/raft/raft.h"

namespace clew::consensus {

using raft::TimeoutNow;

bool Raft::change_pending() const {
  return configs_.newest().position > commit_ || configs_.newest().membership.joint();
}

void Raft::reconfigure(Time now, ProposalId id, const Membership& target) {
  advance_clock(now);
  const auto refuse = [&](Refusal why) { out_.refused(id, why, leader_); };
  if (!started_ || out_.halted() || !leading()) return refuse(Refusal::kNotLeader);
  const bool pending = change_pending() && !planted(Bug::kChangeDuringChange);
  if (transfer_ || pending || (!own_term_committed() && !planted(Bug::kSingleServerChange))) {
    return refuse(Refusal::kNotReady);
  }
  if (target.empty()) return refuse(Refusal::kInvalid);
  const Membership from = planted(Bug::kChangeDuringChange) ? membership().leave_joint() : membership();
  if (!from.can_become(target).ok()) return refuse(Refusal::kInvalid);
  const Membership next = planted(Bug::kSingleServerChange) ? target : from.enter_joint(target);
  std::string bytes;
  next.append_to(bytes);
  append_own(EntryKind::kMembership, Payload(std::move(bytes)));
  placed_.push_back({log_.last(), id});
  out_.placed(id, log_.last());
  fact(FactKind::kMembershipProposed, log_.last());
}

void Raft::membership_appended(Position position, const Payload& payload) {
  Result<Membership> parsed = Membership::parse(payload.view());
  if (!parsed.ok()) {  // own ones are made here, others were checked when they arrived
    halt("the membership at " + std::to_string(position) + " does not parse: " + parsed.error().message);
    return;
  }
  configs_.append(position, std::move(parsed).value());
  fact(FactKind::kMembershipTaken, position);
  if (leading()) sync_peers(position);
}

void Raft::after_commit() {
  release_deferred_reads();
  const ConfigTimeline::Item& newest = configs_.newest();
  if (newest.position > commit_) return;
  if (newest.membership.joint()) {
    std::string bytes;
    newest.membership.leave_joint().append_to(bytes);
    append_own(EntryKind::kMembership, Payload(std::move(bytes)));
    fact(FactKind::kMembershipProposed, log_.last());
    return;
  }
  if (newest.membership.may_lead(options_.self)) return;
  // This leader is not part of what it has just committed. Its peers learn the commit first, and the fittest goes on.
  broadcast_heartbeat();
  if (const NodeId successor = fittest(); successor != kNobody) send(successor, TimeoutNow{term_});
  resign("not a voter any more");
}

}  // namespace clew::consensus

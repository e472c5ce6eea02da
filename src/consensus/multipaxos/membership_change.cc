// Membership change by a stop-sign (Lampson, "The ABCD's of Paxos", 2001; Lorch et al., "The SMART Way to Migrate
// Replicated Stateful Services", 2006; why not a window of α slots: docs/decisions/0011).
//
//   reconfigure → the new membership proposed in slot s, nothing above → chosen by the old majority, held by the new
//   → phase 1 with the new members, for the slots above s → the leader goes on, or gives way when it is not among them
//
// Safe whatever the two memberships have in common: in each slot one configuration decides, the one that the chosen
// slots below name, and nobody proposes in a slot before he knows it.
//
// When the leader is lost between the second step and the third, only the old members may know that s was chosen, and
// none of them may be a voter any more; of the new ones a majority holds s without knowing. So whoever is a voter of a
// membership that waits may ask the old members for their promises (may_campaign()), learns from them what was chosen,
// and goes on, or gives way when it was something else. Whoever is removed stays until enough know: deliverable().
#include <algorithm>
#include <utility>

#include "consensus/multipaxos/multipaxos.h"
#include "consensus/planted.h"

namespace clew::consensus {

using multipaxos::Accept;
using multipaxos::Acceptance;
using multipaxos::Heartbeat;
using multipaxos::kMaxNumber;
using multipaxos::TimeoutNow;

void MultiPaxos::reconfigure(Time now, ProposalId id, const Membership& target) {
  advance_clock(now);
  const auto refuse = [&](Refusal why) { out_.refused(id, why, leader_); };
  if (!started_ || out_.halted() || !leading()) return refuse(Refusal::kNotLeader);
  if (transfer_ || !settled_ || change_pending() || !sure_of_reign()) return refuse(Refusal::kNotReady);
  if (target.empty() || !governing().can_become(target).ok()) return refuse(Refusal::kInvalid);
  std::string bytes;
  target.append_to(bytes);
  place(id, EntryKind::kMembership, Payload(std::move(bytes)));
  fact(FactKind::kMembershipProposed, last_);
}

void MultiPaxos::note_pending(Position position, const Acceptance& vote) {
  if (vote.entry.kind == EntryKind::kMembership) {
    Result<Membership> parsed = Membership::parse(vote.entry.payload.view());
    if (!parsed.ok()) {  // own ones are made here, others were checked when they arrived
      halt("the membership in slot " + std::to_string(position) + " does not parse: " + parsed.error().message);
      return;
    }
    pending_ = Pending{position, std::move(parsed).value()};
    if (!leading()) update_view();
  } else if (pending_ && pending_->position == position) {
    pending_.reset();
    fact(FactKind::kMembershipUndone, position);
    if (!leading()) update_view();
  }
}

// While a change waits, the members of both are spoken to; whose votes count is the governing one's to say.
void MultiPaxos::update_view() {
  view_ = governing();
  if (!pending_) return;
  if (governing().empty()) {
    view_ = pending_->target;
  } else if (governing().can_become(pending_->target).ok()) {
    view_ = governing().enter_joint(pending_->target);
  }
}

void MultiPaxos::membership_chosen(Position position, const Payload& payload) {
  Result<Membership> parsed = Membership::parse(payload.view());
  if (!parsed.ok()) {
    halt("the membership in slot " + std::to_string(position) + " does not parse: " + parsed.error().message);
    return;
  }
  if (!governing().empty() && !governing().can_become(*parsed).ok()) {
    // Whoever proposed it looked at what governs there: this member was told something else when it was founded.
    halt("slot " + std::to_string(position) + " says that the members are " + parsed->to_string() +
         ", and this one knows them as " + governing().to_string() +
         ", which cannot become that: the members were founded with lists that disagree; replace this one by a member "
         "that is given the same list as the others");
    return;
  }
  const bool others = !governing().empty() && other_voters(*parsed);
  if (others) untold_ = position;
  configs_.append(position, std::move(parsed).value());
  if (pending_ && pending_->position <= position) pending_.reset();
  update_view();
  state_dirty_ = true;  // who governs is known from now on, also after a crash
  fact(FactKind::kMembershipTaken, position);
  if (!leading()) return;
  const bool unprepared = others && !planted(Bug::kPaxosNewMembersUnprepared);
  if (unprepared || stopped_short_) settled_ = false;  // after_commit() goes on
  sync_peers();
}

void MultiPaxos::after_commit() {
  if (settled_) {
    leave_if_removed();
    if (leading()) release_deferred_reads();
    return;
  }
  if (!answers_.empty() && prepare_from_ == commit_ + 1) return;  // under way
  drop_leader_reads();    // confirmed by the old members they would prove nothing about the new ones
  broadcast_heartbeat();  // that the stop-sign was chosen goes ahead
  start_phase_one();
}

// Than those who govern as far as this node knows.
bool MultiPaxos::other_voters(const Membership& members) const {
  return !governing().can_become(members).ok() || governing().enter_joint(members).joint();
}

// A majority of those who govern knows who governs, and one of them may lead the others by that: they go on without
// whoever was removed.
void MultiPaxos::count_told() {
  if (!leading() || untold_ == 0) return;
  const auto knows = [&](NodeId id) {
    if (id == options_.self) return !state_dirty_ && out_.state_durable();
    const Peer* const other = peer(id);
    return other != nullptr && other->commit >= untold_;
  };
  const Membership& voters = electorate();
  const bool leadable = std::any_of(voters.members().begin(), voters.members().end(), [&](const Member& member) {
    return voters.may_lead(member.id) && knows(member.id);
  });
  if (leadable && has_quorum(voters, knows)) told();
}

void MultiPaxos::told() {
  untold_ = 0;
  if (!leading() || !settled_) return;
  broadcast_heartbeat();
  tell_removed();
  leave_if_removed();
}

// Whom the last change took out of the group hears so from everybody who begins to lead without him, and knows who
// governed before. Once: who misses it learns it when he asks those whom he takes for the members
// (learns_that_others_govern()), or from what those answer who follow him (learn_of()).
void MultiPaxos::tell_removed() {
  const ConfigTimeline::Item& newest = configs_.newest();
  if (newest.position == 0 || untold_ != 0) return;
  Heartbeat beat;
  beat.ballot = promise_;
  beat.commit = commit_;
  beat.known = kMaxNumber;
  beat.wants_reply = false;
  beat.told = true;
  const Acceptance* const vote = slots_.find(newest.position);
  for (const Member& member : configs_.at(newest.position - 1).membership.members()) {
    if (member.id == options_.self || view_.contains(member.id)) continue;
    if (vote != nullptr) send(member.id, Accept{promise_, false, newest.position, commit_, {*vote}});
    send(member.id, beat);
  }
}

void MultiPaxos::leave_if_removed() {
  if (!leading() || change_pending() || untold_ != 0 || governing().may_lead(options_.self)) return;
  // The members that go on learn what is chosen first, and the fittest of them takes over.
  broadcast_heartbeat();
  if (const NodeId successor = fittest(); successor != kNobody) {
    lease_forfeited_ = true;
    send(successor, TimeoutNow{promise_});
  }
  resign("not a voter any more");
}

}  // namespace clew::consensus

// Membership change: Shraer, Reed, Malkhi & Junqueira, "Dynamic Reconfiguration of Primary/Backup Clusters" (USENIX ATC
// 2012), without its non-incremental variants. A membership is a transaction like others. While it stands in the
// history and is not committed, quorums of the membership before it and of its own are both needed, for elections,
// discovery, synchronisation and commitment; committed, it governs alone.
//
//   reconfigure → C' proposed to the members of C and C' → acknowledged by quorums of both → committed: over
//
// Why one entry suffices where Raft's joint consensus takes two: a member that lacks C' needs a quorum of C for its
// discovery, which contains somebody who acknowledged C' and is more recent, so that it steps back.
//
// One change at a time: C' is proposed when nothing before it is open, so that of two memberships in a history the
// earlier one is committed. A leader that C' leaves out leads until C' is committed, and hands over then.
#include "consensus/planted.h"
#include "consensus/zab/zab.h"

namespace clew::consensus {

void Zab::reconfigure(Time now, ProposalId id, const Membership& target) {
  advance_clock(now);
  const auto refuse = [&](Refusal why) { out_.refused(id, why, known_leader()); };
  if (!started_ || out_.halted() || !leading()) return refuse(Refusal::kNotLeader);
  if (!reigns() || transfer_ || used_up() || (change_pending() && !planted(Bug::kZabChangeDuringChange))) {
    return refuse(Refusal::kNotReady);
  }
  if (target.empty() || !accepts(target).ok() || !membership().can_become(target).ok()) {
    return refuse(Refusal::kInvalid);
  }
  std::string bytes;
  target.append_to(bytes);
  append_own(EntryKind::kMembership, Payload(std::move(bytes)));
  placed_.push_back({log_.last(), id});
  out_.placed(id, log_.last());
  fact(FactKind::kMembershipProposed, log_.last());
}

void Zab::membership_appended(Position position, const Payload& payload) {
  Result<Membership> parsed = Membership::parse(payload.view());
  if (!parsed.ok() || !membership().can_become(*parsed).ok()) {  // own ones are made here, others were looked at
    halt("the membership at " + std::to_string(position) + " cannot follow the one before it; the log is damaged");
    return;
  }
  configs_.append(position, std::move(parsed).value());
  update_electorate();
  if (leading()) sync_peers();
}

void Zab::take_memberships(Position from) {
  for (Position p = std::max(from, log_.first()); p <= log_.last(); ++p) {
    const Entry& entry = log_.at(p);
    if (entry.kind == EntryKind::kMembership && p > configs_.newest().position) membership_appended(p, entry.payload);
  }
}

void Zab::update_electorate() {
  const ConfigTimeline::Item& newest = configs_.newest();
  const Membership& before = configs_.at(newest.position == 0 ? 0 : newest.position - 1).membership;
  const bool open = newest.position > commit_ && configs_.size() > 1 && !before.empty();
  const bool both = open && !planted(Bug::kZabNewQuorumOnly) && !planted(Bug::kZabOldQuorumOnly);
  electorate_ = both ? before.enter_joint(newest.membership)
                     : (open && planted(Bug::kZabOldQuorumOnly) ? before : newest.membership);
}

void Zab::after_commit(Position before) {
  const ConfigTimeline::Item& newest = configs_.newest();
  if (newest.position <= before || newest.position > commit_) return;
  update_electorate();
  fact(FactKind::kMembershipTaken, newest.position);
  if (!leading()) return;
  // Who is no member any more hears of it.
  for (const zab::FollowerProgress& other : peers_) {
    if (other.step == zab::Step::kActive) send(other.id(), zab::Commit{reign_, commit_});
  }
  sync_peers();
  if (!newest.membership.may_lead(options_.self)) hand_over(fittest());
}

}  // namespace clew::consensus

// Leadership transfer: thesis §3.10. The leader stops taking proposals, brings the successor up to date and tells it to
// campaign at once; when that has not ended the reign within an election timeout, it goes on.
#include <algorithm>

#include "consensus/planted.h"
#include "consensus/raft/raft.h"

namespace clew::consensus {

using raft::Progress;
using raft::TimeoutNow;

void Raft::transfer(Time now, NodeId to) {
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
  if (to == options_.self || !membership().may_lead(to) || progress(to) == nullptr) {
    fact(FactKind::kLeadershipMoved, 0, to, 0, "nobody there who may lead");
    return;
  }
  transfer_ = Transfer{to, now_ + options_.election_max};
  // What is on its way may be lost: ask.
  send_heartbeat(*progress(to), true);
}

NodeId Raft::fittest() const {
  const Progress* best = nullptr;
  for (const Progress& peer : peers_) {
    const Member* const member = membership().find(peer.id);
    if (member == nullptr || !member->incoming || member->role == Role::kWitness) continue;
    if (now_ - peer.heard > options_.election_max) continue;
    if (best == nullptr || peer.match > best->match) best = &peer;
  }
  return best == nullptr ? kNobody : best->id;
}

void Raft::advance_transfer() {
  if (!transfer_ || transfer_->sent) return;
  const Progress* const peer = progress(transfer_->to);
  if (peer == nullptr) {
    abort_transfer("the successor is no member any more");
    return;
  }
  if (peer->match < log_.last()) return;
  send(peer->id, TimeoutNow{term_});
  transfer_->sent = true;
  // The successor's campaign breaks through withheld votes, however late the message comes: no lease for the rest of
  // this reign.
  if (!planted(Bug::kLeaseKeptOnTransfer)) lease_forfeited_ = true;
  fact(FactKind::kLeadershipMoved, 0, peer->id);
}

void Raft::abort_transfer(std::string_view reason) {
  fact(FactKind::kLeadershipMoved, 0, transfer_->to, 0, reason);
  transfer_.reset();
}

void Raft::handle(NodeId from, const TimeoutNow&) {
  if (leading() || from != leader_) return;
  campaign(false, true);
}

}  // namespace clew::consensus

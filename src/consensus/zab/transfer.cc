// Leadership transfer: the leader takes no more proposals, waits until the successor has its whole history, tells it so
// and steps back. Both vote for the successor, whose ballot beats all with an equally recent history (election.cc).
#include "consensus/planted.h"
#include "consensus/zab/zab.h"

namespace clew::consensus {

using zab::FollowerProgress;
using zab::Handover;
using zab::Step;

void Zab::transfer(Time now, NodeId to) {
  advance_clock(now);
  const auto refuse = [&](std::string_view why) { fact(FactKind::kLeadershipMoved, 0, to, 0, why); };
  if (!started_ || out_.halted() || !reigns()) return refuse("asked of a node that does not lead");
  if (transfer_) return refuse("another transfer is under way");
  if (to == kNobody) to = fittest();
  if (to == options_.self || !electorate_.may_lead(to) || peer(to) == nullptr) {
    return refuse("nobody there who may lead");
  }
  transfer_ = Transfer{to, now_ + options_.election_max};
  ping(*peer(to), true);  // what is on its way may be lost: ask
}

NodeId Zab::fittest() const {
  const FollowerProgress* best = nullptr;
  for (const FollowerProgress& other : peers_) {
    const Member* const member = membership().find(other.id());
    if (member == nullptr || !member->incoming || other.step != Step::kActive) continue;
    if (now_ - other.progress.heard > options_.election_max) continue;
    if (best == nullptr || other.progress.match > best->progress.match) best = &other;
  }
  return best == nullptr ? kNobody : best->id();
}

void Zab::advance_transfer() {
  if (!transfer_ || !reigns()) return;
  const FollowerProgress* const other = peer(transfer_->to);
  if (other == nullptr) return abort_transfer("the successor is no member any more");
  if (other->step == Step::kActive && other->progress.match >= log_.last()) hand_over(transfer_->to);
}

void Zab::abort_transfer(std::string_view reason) {
  fact(FactKind::kLeadershipMoved, 0, transfer_->to, 0, reason);
  transfer_.reset();
}

// The lease ends with the reign, before anybody hears of it.
void Zab::hand_over(NodeId to) {
  transfer_.reset();
  if (to != kNobody) {
    send(to, Handover{reign_});
    fact(FactKind::kLeadershipMoved, 0, to);
  }
  const zab::Ballot successor{credentials(), zab::kHandedOver, to};
  leave("leadership is handed over");
  begin_round(round_ + 1);
  if (to != kNobody) ballot_ = successor;
  // Also a leader that is no voter any more says so: its followers need not wait for their patience to end.
  for (const Member& member : electorate_.members()) {
    if (member.id != options_.self) notify(member.id);
  }
  if (active_voter()) notify_due_ = now_ + options_.heartbeat;
}

void Zab::handle(NodeId from, const Handover&) {
  if (stage_ != Stage::kBroadcast) return;
  if (leased_to_ == from) leased_until_ = 0;
  favoured_ = true;
  look("the leader hands over");
}

}  // namespace clew::consensus

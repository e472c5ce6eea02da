#include "consensus/pbft/pbft.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "consensus/planted.h"

namespace clew::consensus {

using pbft::Message;
using pbft::State;
using pbft::StatusReport;

Pbft::Pbft(pbft::Options options, uint64_t seed)
    : options_(std::move(options)),
      random_(seed),
      valid_(0, DigestHash{random_.next()}),
      gate_(options_.max_waiting_reads) {
  CHECK(options_.check().ok());
  base_.state.header.membership = options_.founding;
  base_.meta.membership = options_.founding;
}

// --- Inputs: the rest is in the files of its subject ---

void Pbft::tick(Time now) {
  advance_clock(now);
  if (!running()) return;
  if (now_ >= beat_due_) beat();
  if (now_ >= round_due_) order_reads();
  if (now_ >= complaint_deadline()) complain();
}

void Pbft::connection(Time now, NodeId peer, bool up) {
  advance_clock(now);
  if (running() && up && view_members_.contains(peer)) send(peer, own_status(), After::kNothing);
}

// --- Outputs ---

void Pbft::send(NodeId to, const Message& message, After after) { out_.send(to, pbft::encode(message), after); }

void Pbft::broadcast(const Message& message, After after) {
  const std::string frame = pbft::encode(message);
  for (const Member& member : view_members_.members()) {
    if (member.id != options_.self) out_.send(member.id, frame, after);
  }
}

void Pbft::refuse_message(NodeId from, std::string_view reason) { fact(FactKind::kMessageRefused, 0, from, 0, reason); }

void Pbft::fact(FactKind kind, Position position, NodeId peer, uint64_t value, std::string_view reason) {
  out_.fact({kind, now_, view_, position, peer, value, reason});
}

void Pbft::halt(std::string why) {
  if (out_.halted()) return;
  fact(FactKind::kHalted, 0, kNobody, 0, "a broken invariant");
  out_.halt(std::move(why));
}

void Pbft::deliver(Effects& effects) {
  uint64_t bytes = 0;
  while (delivered_ < ledger_.position && bytes < options_.max_delivery_bytes && !lacks_state_) {
    const Entry& entry = entries_[delivered_ - base_.meta.position];
    bytes += cost(entry);
    effects.deliveries.push_back({++delivered_, entry});
    if (const auto own = placed_now_.find(delivered_); own != placed_now_.end()) {
      effects.placed.push_back({own->second, own->first});
      placed_now_.erase(own);
    }
  }
  if (snapshot_due_ != 0 && delivered_ >= snapshot_due_) effects.snapshot_at = std::exchange(snapshot_due_, 0);
}

void Pbft::collect(Time now, Effects& effects) {
  advance_clock(now);
  if (running()) {
    send_gathered();
    if (!active_ && own_change_) count_changes();  // what kept it from a new view may be over
    order_waiting();
    start_read_round();
    check_reads();
    StatusReport status = own_status();
    status.asks = true;
    for (const NodeId peer : behind_of_) {
      const auto known = peers_.find(peer);
      if (known != peers_.end() && known->second.status.executed > executed_) send(peer, status, After::kNothing);
    }
    behind_of_.clear();
  }
  if (ledger_.position > told_ && started_) {
    fact(FactKind::kCommitted, ledger_.position, kNobody, ledger_.position - told_);
    told_ = ledger_.position;
  }
  if (told_hole_ && !abstains()) {
    fact(FactKind::kHoleFilled, ledger_.position);
    told_hole_ = false;
  }
  if (started_ && !out_.halted()) deliver(effects);
  out_.collect(effects);
}

Time Pbft::deadline() const {
  if (!running()) return kNever;
  if (delivered_ < ledger_.position && !lacks_state_) return now_;
  return std::min({beat_due_, round_due_, suspects_ ? kNever : complaint_deadline()});
}

Standing Pbft::standing() const {
  if (!governing_.votes(options_.self)) return Standing::kLearner;
  if (abstains()) return Standing::kRecovering;
  if (!active_) return Standing::kCandidate;
  return primary_of(view_) == options_.self ? Standing::kLeader : Standing::kFollower;
}

Report Pbft::report() const {
  Report report;
  report.standing = standing();
  report.epoch = view_;
  report.leader = active_ ? primary_of(view_) : kNobody;
  report.gateway = running() && view_members_.contains(options_.self);
  report.first = base_.meta.position + 1;
  report.last = ledger_.position;
  report.committed = ledger_.position;
  report.delivered = delivered_;
  const pbft::Slot* const durable = slot(durable_executed_);
  report.durable_position = durable != nullptr ? durable->last : base_.meta.position;
  report.snapshot = base_.meta;
  report.log_bytes = log_bytes_;
  const auto own = waiting_bytes_.find(options_.self);
  report.uncommitted_bytes = own == waiting_bytes_.end() ? 0 : own->second;
  if (is_primary()) {
    for (const auto& [id, peer] : peers_) {
      const pbft::Slot* const there = slot(std::min(peer.status.executed, executed_));
      report.peers.push_back(
          {id, there == nullptr ? base_.meta.position : there->last, now_ - peer.heard <= 4 * options_.heartbeat});
    }
  }
  return report;
}

std::optional<EntryId> Pbft::entry_at(Position position) const {
  if (position <= base_.meta.position || position > base_.meta.position + entries_.size()) return std::nullopt;
  return identity(entries_[position - base_.meta.position - 1]);
}

State Pbft::state() const {
  State state;
  state.self = options_.self;
  state.standing = standing();
  state.view = view_;
  state.active = active_;
  state.votes = may_vote();
  state.base = base_.state.header.seq;
  state.stable = stable_.seq;
  state.executed = executed_;
  state.limit = limit();
  state.top = top_;
  state.recovering_to = abstain_until_;
  state.highest_slot = slots_.empty() ? 0 : slots_.rbegin()->first;
  state.slots = slots_.size();
  state.window = options_.window_length();
  state.committed = ledger_.position;
  state.delivered = delivered_;
  state.history = ledger_.history;
  state.reserved = reserved_;
  state.next_timestamp = next_timestamp_;
  state.next_seq = out_.last_record() + 1;
  state.durable_seq = out_.durable_seq();
  return state;
}

Status Pbft::check_invariants() const {
  if (!running()) return {};
  return transitions_.check(state());
}

}  // namespace clew::consensus

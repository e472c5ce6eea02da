// Executing what is committed, in the order of n: batches become entries, requests take effect once, members change.
#include <algorithm>
#include <utility>

#include "consensus/pbft/pbft.h"
#include "consensus/planted.h"

namespace clew::consensus {

using pbft::Batch;
using pbft::Request;

void Pbft::execute_ready() {
  if (lacks_state_) return;
  while (!out_.halted()) {
    auto next = slots_.find(executed_ + 1);
    if (planted(Bug::kPbftExecutesOutOfOrder)) {
      next = std::find_if(slots_.upper_bound(executed_), slots_.end(),
                          [](const auto& slot) { return slot.second.committed.has_value(); });
    }
    if (next == slots_.end() || !next->second.committed) return;
    Slot& here = next->second;
    const Sequence seq = next->first;
    execute(*here.committed_batch, seq);
    here.last = ledger_.position;
    progress_at_ = now_;
    if (active_) timeout_ = options_.request_timeout;
    if (seq % options_.checkpoint_every == 0) take_checkpoint(seq);
  }
}

void Pbft::execute(const Batch& batch, Sequence seq) {
  executed_ = seq;
  ledger_.seq = seq;
  ledger_.history = sha256(std::string(ledger_.history.view()) + std::string(batch.digest.view()));
  log_bytes_ += charge_of(batch);
  ledger_.since_snapshot += charge_of(batch);
  for (const Request& request : batch.requests) {
    forget_request({request.gateway, request.timestamp});
    if (!ledger_.membership.contains(request.gateway) && !ledger_.newest_membership().contains(request.gateway)) {
      continue;
    }
    const bool first = clients_.execute(request.gateway, request.timestamp, options_.client_window);
    if (!first && !planted(Bug::kPbftRequestReplayed)) continue;
    const Position before = ledger_.position;
    if (request.kind != EntryKind::kMembership) {
      for (const Payload& command : request.commands) append_entry({batch.origin, request.kind, command});
    } else {
      Entry entry{batch.origin, request.kind, request.commands.front()};
      const auto target = Membership::parse(entry.payload.view());
      const bool possible = target.ok() && ledger_.next_at == 0 && pbft::Options::accepts(*target).ok() &&
                            ledger_.membership.can_become(*target).ok();
      if (possible) {
        // Above whatever may be in agreement now.
        const uint64_t every = options_.checkpoint_every;
        ledger_.next = *target;
        ledger_.next_at = (seq + options_.window_length() + every - 1) / every * every;
        if (planted(Bug::kPbftMembershipAtOnce)) governing_ = *target;
        update_members();
      } else {
        entry = Entry{batch.origin, EntryKind::kNoop, {}};
      }
      append_entry(std::move(entry));
      if (possible && started_) fact(FactKind::kMembershipProposed, ledger_.position);
    }
    if (request.gateway == options_.self) answer_own(request, before + 1);
  }
  // A saved state needs a position of its own, also where nothing but null requests and repeated ones filled the log.
  if (seq % options_.checkpoint_every == 0 && snapshot_wanted(seq)) {
    append_entry({std::max<Epoch>(ledger_.epoch, 1), EntryKind::kNoop, {}});
  }
}

// What a batch costs memory and disk, also one without a request: its signatures.
uint64_t Pbft::charge_of(const Batch& batch) {
  constexpr uint64_t kCertificates = 1'024;
  return kCertificates + batch.bytes.size();
}

// Not where members change: those before sign the checkpoint, and those after would have to fetch it.
bool Pbft::snapshot_wanted(Sequence seq) const {
  return ledger_.next_at != seq && ledger_.since_snapshot >= options_.snapshot_every_bytes;
}

void Pbft::append_entry(Entry entry) {
  ledger_.epoch = entry.epoch;
  entries_.push_back(std::move(entry));
  ++ledger_.position;
}

// Its commands stand at `first` and behind it.
void Pbft::answer_own(const Request& request, Position first) {
  if (const auto own = proposed_.find(request.timestamp); own != proposed_.end()) {
    for (const ProposalId id : own->second) placed_now_[first++] = id;
    proposed_.erase(own);
  }
  if (const auto reads = ordered_reads_.find(request.timestamp); reads != ordered_reads_.end()) {
    for (const ReadGate::Waiting& read : gate_.confirmed(reads->second)) out_.read(read.id, first);
    ordered_reads_.erase(reads);
  }
}

// While a change is ordered and not in force, the members of both are spoken to; whose votes count says governing_.
void Pbft::update_members() {
  view_members_ = governing_;
  const Membership& newest = ledger_.newest_membership();
  if (!(newest == governing_) && governing_.can_become(newest).ok()) view_members_ = governing_.enter_joint(newest);
}

}  // namespace clew::consensus

// Checkpoints (PBFT §4.3): every K sequence numbers each member signs what executing has made; 2f + 1 equal ones make
// it stable, the window moves on, and the certificates below go. The host's state is saved at those that the log
// chooses; its file, too, is signed, and the log before it goes when f + 1 have the same.
#include <algorithm>
#include <iterator>
#include <utility>

#include "consensus/pbft/pbft.h"
#include "consensus/planted.h"

namespace clew::consensus {

using pbft::Certificate;
using pbft::CheckpointHeader;
using pbft::Claim;
using pbft::Offer;
using pbft::Stable;
using pbft::VoteMessage;

void Pbft::take_checkpoint(Sequence seq) {
  CheckpointHeader& header = ledger_;
  header.snapshot = snapshot_wanted(seq);
  header.changed = header.next_at == seq;
  if (header.changed) {
    header.membership = std::exchange(header.next, {});
    header.next_at = 0;
    switching_at_ = seq;
  }
  if (header.snapshot) header.since_snapshot = 0;
  std::string clients;
  clients_.append_to(clients);
  header.clients = sha256(clients);
  Checkpoint& own = checkpoints_[seq];
  own.state = {header, clients_};
  own.digest = header.digest();
  if (header.snapshot) snapshot_due_ = header.position;
  if (header.changed) update_members();
  if (!started_) return;  // recovering: what was said then was said
  fact(FactKind::kCheckpointTaken, seq);
  if (may_vote()) cast(Claim::kCheckpoint, seq, own.digest);
  count_checkpoint(seq);
}

void Pbft::handle_checkpoint(NodeId from, VoteMessage& message) {
  const Sequence seq = message.seq;
  checkpoint_votes_[seq][from] = std::move(message);
  count_checkpoint(seq);
}

void Pbft::count_checkpoint(Sequence seq) {
  const auto own = checkpoints_.find(seq);
  if (seq <= stable_.seq || own == checkpoints_.end() || !knows_signers(seq)) return;
  const auto& votes = checkpoint_votes_[seq];
  Certificate proof = gather(votes, 0, seq, own->second.digest, kNobody, quorum());
  if (proof.signatures.size() >= quorum()) return make_stable(std::move(proof));
  for (const auto& [voter, vote] : votes) {
    if (vote.digest == own->second.digest) continue;
    // f + 1 of another opinion: one of them is honest.
    if (gather(votes, 0, seq, vote.digest, kNobody, weak_quorum()).signatures.size() >= weak_quorum()) {
      return halt("pbft: what this member executed up to " + std::to_string(seq) +
                  " differs from what others did; replace it");
    }
  }
}

void Pbft::handle(NodeId, Stable& message) {
  const auto own = checkpoints_.find(message.proof.seq);
  if (own->second.digest != message.proof.digest) {
    return halt("pbft: what this member executed up to " + std::to_string(message.proof.seq) +
                " differs from the stable checkpoint; replace it");
  }
  make_stable(std::move(message.proof));
}

// A member that recovers may have executed beyond a checkpoint where members change: what stands above is signed by
// those after, whom it knows once that one is stable.
bool Pbft::knows_signers(Sequence seq) const {
  for (auto at = checkpoints_.upper_bound(std::max(stable_.seq, governs_from_));
       at != checkpoints_.end() && at->first < seq; ++at) {
    if (at->second.state.header.changed) return false;
  }
  return true;
}

// `proof` is of a checkpoint of this member's own, above the stable one, and its signers are known.
void Pbft::make_stable(Certificate proof) {
  const Sequence seq = proof.seq;
  const CheckpointHeader& header = checkpoints_.at(seq).state.header;
  if (header.snapshot) proofs_[seq] = proof;
  const bool changed = header.changed;
  if (changed) changes_of_members_.emplace_back(header, proof);
  // Below the one before, that was done then; and a log without a snapshot may be long.
  auto at = slots_.upper_bound(stable_.seq);
  stable_ = std::move(proof);
  fact(FactKind::kCheckpointStable, seq);
  for (; at != slots_.end() && at->first <= seq; ++at) {
    Slot& here = at->second;
    here.prepares.clear();
    here.commits.clear();
    here.prepared.reset();
    here.prepared_batch.reset();
    here.prepared_seq = 0;
  }
  checkpoint_votes_.erase(checkpoint_votes_.begin(), checkpoint_votes_.upper_bound(seq));
  std::erase_if(checkpoints_, [&](const auto& own) {
    return own.first < seq && !saved_.contains(own.first) && own.second.state.header.position != snapshot_due_ &&
           !(own.second.state.header.snapshot && own.first + options_.window_length() >= seq);
  });
  if (changed) {
    governing_ = checkpoints_.at(seq).state.header.membership;
    governs_from_ = seq;
    const auto next = std::find_if(checkpoints_.upper_bound(seq), checkpoints_.end(),
                                   [](const auto& own) { return own.second.state.header.changed; });
    switching_at_ = next == checkpoints_.end() ? 0 : next->first;
    update_members();
    std::erase_if(changes_, [&](const auto& change) { return !governing_.votes(change.first); });
    // Who comes back as a member may say something else.
    for (auto& [above, votes] : checkpoint_votes_) {
      std::erase_if(votes, [&](const auto& vote) { return !governing_.votes(vote.first); });
    }
    fact(FactKind::kMembershipTaken, ledger_.position);
    if (!is_primary()) end_reign("other members");
  }
  stable_seq_ = out_.record(record_of(this->header(pbft::RecordKind::kStable), stable_));
  if (changed) change_records_[seq] = stable_seq_;
  next_sequence_ = std::max(next_sequence_, seq + 1);
  forget_hopeless();
  count_snapshot(seq);
  // The members after learn by a view change which view it is, and from whom. Whom the others called there before it
  // knew why says so again, as one of the new members; in the view after it would be alone.
  if (changed && may_vote()) change_view(active_ ? view_ + 1 : view_, "other members");
}

// --- The host's state ---

void Pbft::snapshot_saved(Time now, const SnapshotMeta& meta) {
  advance_clock(now);
  if (!running() || meta.position <= base_.meta.position) return;
  const auto own = std::find_if(checkpoints_.begin(), checkpoints_.end(), [&](const auto& checkpoint) {
    return checkpoint.second.state.header.snapshot && checkpoint.second.state.header.position == meta.position;
  });
  if (own == checkpoints_.end()) return;
  const auto& [seq, checkpoint] = *own;
  const CheckpointHeader& header = checkpoint.state.header;
  if (meta.epoch != header.epoch) {
    return halt("pbft: a snapshot was saved at " + std::to_string(meta.position) + " in epoch " +
                std::to_string(meta.epoch) + ", where this log has " + std::to_string(header.epoch));
  }
  Saved& saved = saved_[seq];
  saved.meta = meta;
  saved.meta.membership = header.newest_membership();
  saved.digest = pbft::snapshot_digest(checkpoint.digest, saved.meta);
  fact(FactKind::kSnapshotSaved, meta.position);
  if (may_vote()) cast(Claim::kSnapshot, seq, saved.digest);
  count_snapshot(seq);
}

void Pbft::handle_snapshot(NodeId from, VoteMessage& message) {
  const Sequence seq = message.seq;
  snapshot_votes_[seq][from] = std::move(message);
  count_snapshot(seq);
}

void Pbft::count_snapshot(Sequence seq) {
  const auto saved = saved_.find(seq);
  const auto proof = proofs_.find(seq);
  if (saved == saved_.end() || proof == proofs_.end() || seq <= base_.state.header.seq) return;
  const pbft::LedgerState& state = checkpoints_.at(seq).state;
  const Membership& members = state.header.membership;
  const size_t enough = byzantine_weak_quorum(members.voters());
  Certificate vouched{0, seq, saved->second.digest, {}};
  for (const auto& [voter, vote] : snapshot_votes_[seq]) {
    if (vote.digest == vouched.digest && members.votes(voter) && vouched.signatures.size() < enough) {
      vouched.signatures.push_back({voter, vote.signature});
    }
  }
  if (vouched.signatures.size() < enough) return;
  Offer base{saved->second.meta, state, proof->second, std::move(vouched), {}};
  for (const auto& change : changes_of_members_) {
    if (change.first.seq < seq) base.changes.push_back(change);
  }
  compact_to(std::move(base));
}

// What leads to this checkpoint goes: whoever lacks it gets its state.
void Pbft::compact_to(Offer base) {
  const Sequence seq = base.state.header.seq;
  const Position position = base.meta.position;
  while (base_.meta.position < position && !entries_.empty()) {
    entries_.pop_front();
    ++base_.meta.position;
  }
  for (auto at = slots_.begin(); at != slots_.end() && at->first <= seq; at = slots_.erase(at)) {
    const pbft::BatchPtr& batch = at->second.committed_batch;
    log_bytes_ -= std::min(log_bytes_, batch == nullptr ? 0 : charge_of(*batch));
  }
  base_ = std::move(base);
  const auto drop = [&](auto& map) { map.erase(map.begin(), map.upper_bound(seq)); };
  drop(saved_);
  drop(proofs_);
  drop(snapshot_votes_);
  drop(change_records_);
  std::erase_if(checkpoints_, [&](const auto& own) { return own.first <= seq && own.first != stable_.seq; });
  durable_executed_ = std::max(durable_executed_, seq);
  record_base();
}

}  // namespace clew::consensus

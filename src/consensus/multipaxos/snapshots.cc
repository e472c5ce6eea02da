// Snapshots (PML §5.4): a snapshot stands for a chosen prefix of the slots. The host writes and fetches the bytes; here
// is decided when one is needed, and what becomes of the votes.
#include <algorithm>
#include <utility>
#include <vector>

#include "consensus/catch_up.h"
#include "consensus/multipaxos/multipaxos.h"
#include "consensus/planted.h"

namespace clew::consensus {
namespace {

// Who is told that others govern learns who before it asks to lead again: for so many election timeouts.
constexpr int kFetchesFirst = 20;

}  // namespace

using multipaxos::Acceptance;
using multipaxos::SnapshotOffer;

void MultiPaxos::snapshot_saved(Time now, const SnapshotMeta& meta) {
  advance_clock(now);
  if (!started_ || out_.halted() || meta.position <= snapshot_.position) return;
  const Acceptance* const vote = slots_.find(meta.position);
  if (meta.position > delivered_ || vote == nullptr || vote->entry.epoch != meta.epoch) {
    halt("a snapshot was saved at " + std::to_string(meta.position) + " in epoch " + std::to_string(meta.epoch) +
         ", which these slots do not hold as delivered (delivered: " + std::to_string(delivered_) + ")");
    return;
  }
  flush();
  snapshot_ = meta;
  // The membership that governs the position, not one that stands above it (scenario 13).
  snapshot_.membership =
      planted(Bug::kSnapshotUncommittedMembership) ? membership() : configs_.at(meta.position).membership;
  base_seq_ = record_base(snapshot_);
  if (planted(Bug::kReleaseBeforeBase)) update_release();
  compact();
  fact(FactKind::kSnapshotSaved, meta.position);
}

void MultiPaxos::compact() {
  std::vector<Position> offered;
  for (const Peer& other : peers_) {
    if (other.snapshot && now_ - other.heard <= 4 * options_.election_max) offered.push_back(other.offered);
  }
  const auto cost_at = [&](Position p) {
    const Acceptance* const vote = slots_.find(p);
    return vote == nullptr ? std::nullopt : std::optional(cost(vote->entry));
  };
  const Position begin = log_begins_at(slots_.first(), snapshot_.position, offered,
                                       {options_.keep_tail_bytes, options_.max_log_bytes}, cost_at);
  slots_.compact(begin - 1);
  configs_.compact(snapshot_.position);
}

void MultiPaxos::compact_witness() {
  if (safe_ < slots_.first() + options_.witness_log_entries) return;
  // It has no state to save: the description alone stands for the prefix.
  snapshot_ = SnapshotMeta{safe_, slots_.find(safe_)->entry.epoch, configs_.at(safe_).membership, 0, {}};
  snapshot_metadata_only_ = true;
  floor_ballot_ = promise_;
  flush();
  base_seq_ = record_base(snapshot_);
  slots_.compact(safe_);
  configs_.compact(safe_);
}

void MultiPaxos::offer_snapshot(NodeId to, bool without_commands) {
  if (snapshot_.position == 0 || (snapshot_metadata_only_ && !without_commands)) return;
  send(to, SnapshotOffer{promise_, without_commands, snapshot_});
}

void MultiPaxos::offer_snapshot(Peer& other) {
  if (!std::exchange(other.snapshot, true)) fact(FactKind::kSnapshotOffered, snapshot_.position, other.id);
  note_offer(other.offered, snapshot_.position, slots_.base());
  offer_snapshot(other.id, is_witness(other.id));
}

void MultiPaxos::handle(NodeId from, const SnapshotOffer& offer) {
  // A leader has everything that it calls chosen; unless others govern by now, and it missed that.
  const bool others = offer.meta.position > (leading() ? last_ : commit_) && other_voters(offer.meta.membership);
  if (leading() && !others) return;
  if (!takes(offer.without_commands)) {
    fact(FactKind::kMessageRefused, 0, from, 0, "a snapshot without commands for a member with data");
    return;
  }
  const SnapshotMeta& meta = offer.meta;
  if (meta.position <= commit_ && !planted(Bug::kSnapshotOverCommitted)) {
    acknowledge();
    return;
  }
  if (is_witness() || offer.without_commands) {
    snapshot_metadata_only_ = true;
    install(meta, from);
    return;
  }
  if (others && phase_ != Phase::kFollower) resign("others govern by now");
  if (fetching_ && !replaces(*fetching_, from, meta)) return;  // under way; offers are repeated
  const bool joins = planted(Bug::kSnapshotsMixedUp) && fetching_;
  fetching_ = FetchSnapshot{from, meta};
  fetch_first_until_ = others ? now_ + kFetchesFirst * options_.election_max : 0;
  if (joins) return;
  out_.fetch(*fetching_);
}

void MultiPaxos::snapshot_fetched(Time now, const SnapshotMeta& meta, bool ok) {
  advance_clock(now);
  if (!started_ || out_.halted() || !fetching_) return;
  // Of two fetches in quick succession the first may end late: only the bytes that are waited for count (scenario 15).
  if (fetching_->meta != meta && !planted(Bug::kSnapshotsMixedUp)) return;
  const FetchSnapshot done = *fetching_;
  fetching_.reset();
  out_.fetched();
  if (!ok) return;  // the offer comes again
  // Chosen slots may have overtaken it (scenario 11).
  if (done.meta.position <= commit_ && !planted(Bug::kSnapshotOverCommitted)) return;
  if (leading()) return;
  if (phase_ != Phase::kFollower) become_follower(kNobody, "a snapshot takes its place");
  install(done.meta, done.from);
}

// What it stands for is chosen. Votes above it stay: they may be part of what is chosen there.
void MultiPaxos::install(const SnapshotMeta& meta, NodeId from) {
  flush();
  slots_.install(meta.position);
  while (!placed_.empty() && placed_.front().position <= meta.position) placed_.pop_front();
  const bool witness = snapshot_metadata_only_;
  snapshot_ = meta;
  if (witness) floor_ballot_ = promise_;
  configs_.reset(meta.position, meta.membership);
  if (pending_ && pending_->position <= meta.position) pending_.reset();
  if (untold_ <= meta.position) untold_ = 0;
  update_view();
  const Position before = commit_;
  commit_ = meta.position;
  delivered_ = meta.position;
  extend_verified();
  if (!planted(Bug::kSnapshotWithoutBase)) base_seq_ = record_base(snapshot_);
  writes_.push_back({out_.last_record(), upto()});
  if (!witness) out_.install(meta);
  fact(FactKind::kSnapshotInstalled, meta.position, from);
  if (lost_to_ > 0 && before < lost_to_ && commit_ >= lost_to_) fact(FactKind::kHoleFilled, lost_to_);
  acknowledge();
}

void MultiPaxos::stop_fetching() {
  if (!fetching_) return;
  fetching_.reset();
  out_.cancel_fetch();
}

}  // namespace clew::consensus

// Snapshots: Raft §7. A snapshot stands for a committed prefix of the log. The host writes and fetches the bytes; here
// is decided when one is needed, and what becomes of the log.
#include <algorithm>
#include <vector>

#include "consensus/catch_up.h"
#include "consensus/planted.h"
#include "consensus/raft/raft.h"

namespace clew::consensus {

using raft::PeerState;
using raft::Progress;
using raft::SnapshotOffer;

void Raft::snapshot_saved(Time now, const SnapshotMeta& meta) {
  advance_clock(now);
  if (!started_ || out_.halted() || meta.position <= snapshot_.position) return;
  if (meta.position > delivered_ || !log_.contains(meta.position, meta.epoch)) {
    halt("a snapshot was saved at " + std::to_string(meta.position) + " in epoch " + std::to_string(meta.epoch) +
         ", which this log does not hold as delivered (delivered: " + std::to_string(delivered_) + ")");
    return;
  }
  flush();
  snapshot_ = meta;
  // The membership that governs the position, not one that stands above it (scenario 13).
  snapshot_.membership =
      planted(Bug::kSnapshotUncommittedMembership) ? membership() : configs_.at(meta.position).membership;
  snapshot_metadata_only_ = false;
  base_seq_ = record_base(snapshot_);
  if (planted(Bug::kReleaseBeforeBase)) update_release();
  compact();
  fact(FactKind::kSnapshotSaved, meta.position);
}

void Raft::compact() {
  std::vector<Position> offered;
  for (const Progress& peer : peers_) {
    if (peer.fetches(now_ - 4 * options_.election_max)) offered.push_back(peer.offered);
  }
  const Position begin =
      log_begins_at(log_.first(), snapshot_.position, offered, {options_.keep_tail_bytes, options_.max_log_bytes},
                    [&](Position p) { return std::optional(cost(log_.at(p))); });
  log_.compact(begin - 1);
  configs_.compact(snapshot_.position);
}

void Raft::compact_witness() {
  if (commit_ < log_.first() + options_.witness_log_entries) return;
  // It has no state to save: the description alone stands for the prefix.
  snapshot_ = SnapshotMeta{commit_, log_.at(commit_).epoch, configs_.at(commit_).membership, 0, {}};
  snapshot_metadata_only_ = true;
  flush();
  base_seq_ = record_base(snapshot_);
  log_.compact(commit_);
  configs_.compact(commit_);
}

void Raft::offer_snapshot(Progress& peer) {
  if (peer.state != PeerState::kSnapshot) {
    fact(FactKind::kSnapshotOffered, snapshot_.position, peer.id);
    peer.probe(peer.match + 1);
    peer.state = PeerState::kSnapshot;
  }
  note_offer(peer.offered, snapshot_.position, log_.base());
  send(peer.id, SnapshotOffer{term_, is_witness(peer.id), snapshot_});
}

void Raft::handle(NodeId from, const SnapshotOffer& offer) {
  if (!takes(offer.without_commands)) {
    fact(FactKind::kMessageRefused, 0, from, 0, "a snapshot without commands for a member with data");
    return;
  }
  const SnapshotMeta& meta = offer.meta;
  if (meta.position <= commit_ && !planted(Bug::kSnapshotOverCommitted)) {
    acknowledge(commit_);
    return;
  }
  if (log_.contains(meta.position, meta.epoch)) {
    // Log Matching: everything up to it is the same here, and it is committed.
    commit_to(std::max(commit_, meta.position));
    acknowledge(meta.position);
    return;
  }
  if (is_witness() || offer.without_commands) {
    metadata_only_ = true;
    install(meta, from);
    return;
  }
  const bool joined = planted(Bug::kSnapshotChunkUnchecked) && fetching_ && meta.position > fetching_->meta.position;
  if (fetching_ && !replaces(*fetching_, from, meta) && !joined) return;  // under way; offers are repeated
  const bool joins = planted(Bug::kSnapshotsMixedUp) && fetching_;
  fetching_ = FetchSnapshot{from, meta};
  if (joins) return;
  out_.fetch(*fetching_);
}

void Raft::snapshot_fetched(Time now, const SnapshotMeta& meta, bool ok) {
  advance_clock(now);
  if (!started_ || out_.halted() || !fetching_) return;
  // Of two fetches in quick succession the first may end late: only the bytes that are waited for count (scenario 15).
  if (fetching_->meta != meta && !planted(Bug::kSnapshotsMixedUp)) return;
  const FetchSnapshot done = *fetching_;
  fetching_.reset();
  out_.fetched();
  if (!ok) return;  // the offer comes again
  // Entries may have overtaken it (scenario 11).
  if (done.meta.position <= commit_ && !planted(Bug::kSnapshotOverCommitted)) return;
  if (log_.contains(done.meta.position, done.meta.epoch)) {
    commit_to(std::max(commit_, done.meta.position));
    acknowledge(done.meta.position);
    return;
  }
  install(done.meta, done.from);
}

void Raft::install(const SnapshotMeta& meta, NodeId from) {
  flush();
  log_.install(meta.position, meta.epoch);
  while (!placed_.empty() && placed_.front().position <= meta.position) placed_.pop_front();
  while (!placed_.empty() && placed_.back().position > log_.last()) {
    out_.refused(placed_.back().id, Refusal::kLost, leader_);
    placed_.pop_back();
  }
  snapshot_ = meta;
  snapshot_metadata_only_ = metadata_only_;
  configs_.reset(meta.position, meta.membership);
  take_memberships(meta.position + 1);
  commit_ = meta.position;
  delivered_ = meta.position;
  if (!planted(Bug::kSnapshotWithoutBase)) base_seq_ = record_base(snapshot_);
  log_.installed(out_.last_record());
  if (!metadata_only_) out_.install(meta);
  fact(FactKind::kSnapshotInstalled, meta.position, from);
  acknowledge(meta.position);
}

void Raft::stop_fetching() {
  if (!fetching_) return;
  fetching_.reset();
  out_.cancel_fetch();
}

}  // namespace clew::consensus

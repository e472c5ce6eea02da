// Snapshots (SNAP, Medeiros 2012, §4.3): a snapshot stands for a committed prefix of the history. The host writes and
// fetches the bytes; here is decided when one is needed, and what becomes of the log.
#include <algorithm>
#include <vector>

#include "consensus/catch_up.h"
#include "consensus/planted.h"
#include "consensus/zab/zab.h"

namespace clew::consensus {

using zab::FollowerProgress;
using zab::Snap;

void Zab::snapshot_saved(Time now, const SnapshotMeta& meta) {
  advance_clock(now);
  if (!started_ || out_.halted() || meta.position <= snapshot_.position) return;
  if (meta.position > delivered_ || !log_.contains(meta.position, meta.epoch)) {
    halt("a snapshot was saved at " + std::to_string(meta.position) + " in epoch " + std::to_string(meta.epoch) +
         ", which this log does not hold as delivered (delivered: " + std::to_string(delivered_) + ")");
    return;
  }
  flush();
  snapshot_ = meta;
  // The membership that governs the position, not one that stands above it.
  snapshot_.membership = configs_.at(meta.position).membership;
  snapshot_counter_ = zxid_at(meta.position).counter;
  base_seq_ = record_base();
  compact();
  fact(FactKind::kSnapshotSaved, meta.position);
}

void Zab::compact() {
  std::vector<Position> offered;
  for (const FollowerProgress& other : peers_) {
    if (other.progress.fetches(now_ - 4 * options_.election_max)) offered.push_back(other.progress.offered);
  }
  const Position begin =
      log_begins_at(log_.first(), snapshot_.position, offered, {options_.keep_tail_bytes, options_.max_log_bytes},
                    [&](Position p) { return std::optional(cost(log_.at(p))); });
  base_counter_ = zxid_at(begin - 1).counter;
  log_.compact(begin - 1);
  configs_.compact(snapshot_.position);
}

void Zab::offer_snapshot(FollowerProgress& other) {
  if (other.progress.state != raft::PeerState::kSnapshot) {
    fact(FactKind::kSnapshotOffered, snapshot_.position, other.id());
    other.progress.probe(other.progress.match + 1);
    other.progress.state = raft::PeerState::kSnapshot;
  }
  note_offer(other.progress.offered, snapshot_.position, log_.base());
  send(other.id(), Snap{reign_, snapshot_counter_, snapshot_});
}

void Zab::handle(NodeId from, const Snap& m) {
  const SnapshotMeta& meta = m.meta;
  if (!zab::Options::accepts(meta.membership).ok()) {
    fact(FactKind::kMessageRefused, 0, from, 0, "a snapshot of a group with witnesses");
    return;
  }
  if (meta.position <= commit_) {
    ack_ = std::max(ack_.value_or(0), commit_);
    return;
  }
  if (log_.contains(meta.position, meta.epoch)) {
    // The same zxid, and so the same up to it; and it is committed.
    commit_to(meta.position);
    ack_ = std::max(ack_.value_or(0), meta.position);
    return;
  }
  if (fetching_ && !replaces(fetching_->fetch, from, meta)) return;  // under way; offers are repeated
  fetching_ = Fetching{{from, meta}, m.counter};
  out_.fetch(fetching_->fetch);
}

void Zab::snapshot_fetched(Time now, const SnapshotMeta& meta, bool ok) {
  advance_clock(now);
  // Of two fetches in quick succession the first may end late: only the bytes that are waited for count.
  if (!started_ || out_.halted() || !fetching_ || fetching_->fetch.meta != meta) return;
  const Fetching done = *fetching_;
  fetching_.reset();
  out_.fetched();
  // The offer comes again; or transactions have overtaken it.
  if (!ok || meta.position <= commit_) return;
  if (log_.contains(meta.position, meta.epoch)) {
    commit_to(meta.position);
    ack_ = std::max(ack_.value_or(0), meta.position);
    return;
  }
  install(meta, done.counter, done.fetch.from);
}

void Zab::install(const SnapshotMeta& meta, uint64_t counter, NodeId from) {
  flush();
  log_.install(meta.position, meta.epoch);
  base_counter_ = counter;
  while (!placed_.empty() && placed_.front().position <= meta.position) placed_.pop_front();
  while (!placed_.empty() && placed_.back().position > log_.last()) {
    out_.refused(placed_.back().id, Refusal::kLost, known_leader());
    placed_.pop_back();
  }
  snapshot_ = meta;
  snapshot_counter_ = counter;
  configs_.reset(meta.position, meta.membership);
  commit_ = meta.position;
  delivered_ = meta.position;
  update_electorate();
  take_memberships(meta.position + 1);
  // It holds the initial history of its epoch, and so makes that epoch current, in the record that makes it known.
  current_ = std::max(current_, meta.epoch);
  base_seq_ = record_base();
  log_.installed(out_.last_record());
  out_.install(meta);
  fact(FactKind::kSnapshotInstalled, meta.position, from);
  ack_ = std::clamp(ack_.value_or(0), meta.position, log_.last());
}

void Zab::stop_fetching() {
  if (!fetching_) return;
  fetching_.reset();
  out_.cancel_fetch();
}

}  // namespace clew::consensus

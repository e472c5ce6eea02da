// Records out and in again: Raft, Figure 2 ("persistent state"), in the shape of raft/records.h. What damage costs:
// the table in raft.h.
#include <algorithm>

#include "base/check.h"
#include "consensus/planted.h"
#include "consensus/raft/raft.h"

namespace clew::consensus {

using raft::append_base;
using raft::append_entries_head;
using raft::append_entry;
using raft::append_header;
using raft::encoded_bound;
using raft::parse_record;
using raft::Record;
using raft::RecordHeader;
using raft::RecordKind;

// --- Out ---

RecordHeader Raft::header(RecordKind kind) const {
  return {kind, term_, vote_, log_.generation(), commit_, log_.true_last(), log_.true_last_epoch()};
}

void Raft::flush() {
  const auto unwritten = log_.unwritten();
  if (!unwritten && !state_dirty_) return;
  RecordHeader head = header(unwritten ? RecordKind::kAppend : RecordKind::kState);
  const bool old_term = planted(Bug::kTermNotInRecord) && unwritten && state_dirty_;
  if (old_term) {
    head.term = std::max(log_.true_last_epoch(), term_ - 1);
    head.vote = kNobody;
  }
  std::string record;
  if (unwritten) {
    size_t room = 128;
    for (Position p = unwritten->first; p <= unwritten->last; ++p) room += encoded_bound(log_.at(p));
    record.reserve(room);
  }
  append_header(record, head);
  if (unwritten) {
    append_entries_head(record, unwritten->truncates, metadata_only_, unwritten->first,
                        log_.epoch_at(unwritten->first - 1).value_or(0), unwritten->last + 1 - unwritten->first);
    for (Position p = unwritten->first; p <= unwritten->last; ++p) append_entry(record, log_.at(p), false);
  }
  const LogSeq seq = out_.record(std::move(record));
  if (unwritten) log_.wrote(seq);
  if (state_dirty_) out_.state_in(seq);
  state_dirty_ = old_term;
}

LogSeq Raft::record_base(const SnapshotMeta& meta) {
  std::string record;
  append_header(record, header(RecordKind::kBase));
  append_base(record, meta, snapshot_metadata_only_);
  const LogSeq seq = out_.record(std::move(record));
  if (std::exchange(state_dirty_, false)) out_.state_in(seq);
  return seq;
}

void Raft::update_release() {
  // Only once the record of the snapshot is durable; and never records of entries above it, wherever they stand.
  if (base_seq_ == 0 || (base_seq_ > out_.durable_seq() && !planted(Bug::kReleaseBeforeBase))) return;
  const LogSeq needed = log_.lowest_record_above(snapshot_.position);
  LogSeq below = needed == 0 ? base_seq_ : std::min(needed, base_seq_);
  if (planted(Bug::kReleaseNeededRecords)) below = base_seq_;
  base_seq_ = 0;
  out_.release_below(below);
}

// --- In ---

Status Raft::recover(LogSeq seq, std::string_view bytes) {
  CHECK(!started_);
  CLEW_ASSIGN(Record record, parse_record(bytes));
  const RecordHeader& head = record.header;
  const auto refuse = [&](std::string_view what) {
    return Status(Code::kDataLoss, "raft: record " + std::to_string(seq) + " " + std::string(what) +
                                       "; the log on disk is not of one piece, replace this member");
  };
  if (any_record_ && (head.term < term_ || (head.term == term_ && vote_ != kNobody && head.vote != vote_))) {
    return refuse("takes a term or a vote back");
  }
  if (!any_record_ || gap_open_) {
    // The beginning of the log was released, or records are damaged: what did they do to the log?
    const bool cuts = record.header.kind == RecordKind::kAppend && record.truncates;
    const uint64_t generation = head.generation - (cuts && head.generation > 0 ? 1 : 0);
    if (any_record_ && generation != log_.generation()) log_.distrust_above(commit_);
    log_.set_generation(generation);
  }
  const bool taken_for_end = planted(Bug::kHoleTakenForEnd) && lost_records_ > 0;
  any_record_ = true;
  gap_open_ = false;
  ++records_recovered_;
  term_ = head.term;
  vote_ = head.vote;
  metadata_only_ |= record.metadata_only;
  if (head.kind == RecordKind::kAppend) {
    if (taken_for_end && record.first > log_.last() + 1) return {};
    CLEW_TRY(log_.replay(seq, record.first, record.prev_epoch, std::move(record.entries), record.truncates));
  } else if (head.kind == RecordKind::kBase) {
    // The base before it was found to be lost: see start().
    if (record.meta.position < log_.base()) log_.forget_base();
    // Whether the snapshot took what stood behind it along is not to be seen by what is left of the log: the records of
    // the entries that it contradicted may have been released with the head. The generation says it.
    const bool cut = log_.generation() != head.generation;
    if (!log_.install(record.meta.position, record.meta.epoch) && cut) log_.distrust_above(record.meta.position);
    snapshot_ = std::move(record.meta);
    snapshot_metadata_only_ = record.metadata_only;
  }
  log_.set_generation(head.generation);
  if (taken_for_end) {
    commit_ = std::max(commit_, std::min(head.commit, log_.last()));
    return {};
  }
  log_.reached(head.last, head.last_epoch);
  if (log_.true_last() != head.last || log_.true_last_epoch() != head.last_epoch) {
    return refuse("leads to another log than it says");
  }
  commit_ = std::max(commit_, head.commit);
  return {};
}

Status Raft::recover_gap(LogSeq first, LogSeq last) {
  CHECK(!started_ && first <= last);
  gap_open_ = true;
  gap_first_ = first;
  lost_records_ += last - first + 1;
  return {};
}

SnapshotMeta Raft::recovered_snapshot() const { return snapshot_metadata_only_ ? SnapshotMeta{} : snapshot_; }

void Raft::start(Time now, LogSeq next, bool have_snapshot) {
  CHECK(!started_);
  advance_clock(now);
  started_ = true;
  out_.start(next);
  if (gap_open_) {
    halt("raft: the records from " + std::to_string(gap_first_) +
         " on are damaged, and none that is intact follows: a vote or an acknowledgement may be lost; replace this "
         "member");
    return;
  }
  const bool lost_base = !have_snapshot && snapshot_.position > 0 && !snapshot_metadata_only_;
  Position configs_from = snapshot_.position;
  configs_.reset(snapshot_.position, snapshot_.membership);
  if (lost_base) {
    // The members stay known; the state has to come again.
    log_.forget_base();
    configs_from = 0;
    configs_.reset(0, snapshot_.membership);
    snapshot_ = SnapshotMeta{0, 0, snapshot_.membership, 0, {}};
  }
  log_.replayed();
  for (Position p = std::max(configs_from, log_.base()) + 1; p <= log_.last(); ++p) {
    const Entry& entry = log_.at(p);
    if (entry.kind == EntryKind::kMembership) membership_appended(p, entry.payload);
  }
  commit_ = std::clamp(commit_, log_.base(), log_.last());
  delivered_ = log_.base();
  commit_told_ = commit_;
  forwarded_.start(planted(Bug::kReadContextReused) ? 0 : random_.next() >> 2);
  if (!any_record_ && !options_.founding.empty()) {
    snapshot_.membership = options_.founding;
    configs_.reset(0, options_.founding);
    out_.state_in(record_base(snapshot_));
  }
  // What comes in its place, entries or an older snapshot, must not be taken for void by the next start because of the
  // record of a base that is not there.
  if (lost_base) out_.state_in(record_base(snapshot_));
  // A leader's lease may rest on what this node promised before it restarted (thesis §6.4.1).
  if (any_record_ && !planted(Bug::kVoteRightAfterStart)) leased_until_ = now_ + options_.election_min;
  reset_election_timer();
  if (membership().voters() == 1 && membership().may_lead(options_.self)) election_deadline_ = now_;
  fact(FactKind::kStarted, log_.true_last(), kNobody, records_recovered_);
  if (log_.has_hole()) fact(FactKind::kHoleFound, log_.last() + 1, kNobody, log_.true_last() - log_.last());
}

}  // namespace clew::consensus

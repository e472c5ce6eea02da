// Records out and in again, in the shape of zab/records.h. What damage costs: zab.h.
#include <algorithm>

#include "base/check.h"
#include "consensus/planted.h"
#include "consensus/raft/records.h"
#include "consensus/zab/zab.h"

namespace clew::consensus {

using raft::append_entry;
using raft::encoded_bound;
using zab::append_base;
using zab::append_entries_head;
using zab::append_header;
using zab::parse_record;
using zab::Record;
using zab::RecordHeader;
using zab::RecordKind;

// --- Out ---

RecordHeader Zab::header(RecordKind kind) const {
  return {kind, accepted_, promised_to_, current_, log_.generation(), commit_, true_last()};
}

void Zab::flush() {
  const auto unwritten = log_.unwritten();
  if (!unwritten && !state_dirty_) return;
  std::string record;
  if (unwritten) {
    size_t room = 128;
    for (Position p = unwritten->first; p <= unwritten->last; ++p) room += encoded_bound(log_.at(p));
    record.reserve(room);
  }
  append_header(record, header(unwritten ? RecordKind::kAppend : RecordKind::kState));
  if (unwritten) {
    append_entries_head(record, unwritten->truncates, unwritten->first, log_.epoch_at(unwritten->first - 1).value_or(0),
                        unwritten->last + 1 - unwritten->first);
    for (Position p = unwritten->first; p <= unwritten->last; ++p) append_entry(record, log_.at(p), false);
  }
  const LogSeq seq = out_.record(std::move(record));
  if (unwritten) log_.wrote(seq);
  if (std::exchange(state_dirty_, false)) out_.state_in(seq);
}

LogSeq Zab::record_base() {
  std::string record;
  append_header(record, header(RecordKind::kBase));
  append_base(record, snapshot_counter_, snapshot_);
  const LogSeq seq = out_.record(std::move(record));
  state_dirty_ = false;
  out_.state_in(seq);
  return seq;
}

void Zab::update_release() {
  // Only once the record of the snapshot is durable; and never records of entries above it, wherever they stand.
  if (base_seq_ == 0 || base_seq_ > out_.durable_seq()) return;
  const LogSeq needed = log_.lowest_record_above(snapshot_.position);
  const LogSeq below = needed == 0 ? base_seq_ : std::min(needed, base_seq_);
  base_seq_ = 0;
  out_.release_below(below);
}

// --- In ---

Status Zab::recover(LogSeq seq, std::string_view bytes) {
  CHECK(!started_);
  CLEW_ASSIGN(Record record, parse_record(bytes));
  const RecordHeader& head = record.header;
  const auto refuse = [&](std::string_view what) {
    return Status(Code::kDataLoss, "zab: record " + std::to_string(seq) + " " + std::string(what) +
                                       "; the log on disk is not of one piece, replace this member");
  };
  const bool other_promise = promised_to_ != kNobody && head.promised_to != promised_to_;
  const bool forgotten = planted(Bug::kZabAcceptedNotInRecord);
  if (any_record_ && (head.accepted < accepted_ || (head.accepted == accepted_ && other_promise)) && !forgotten) {
    return refuse("takes a promise back");
  }
  if (head.current < current_) return refuse("takes the current epoch back");
  if (!any_record_ || gap_open_) {
    // The beginning of the log was released, or records are damaged: what did they do to the log?
    const bool cuts = head.kind == RecordKind::kAppend && record.truncates;
    const uint64_t generation = head.generation - (cuts && head.generation > 0 ? 1 : 0);
    if (any_record_ && generation != log_.generation()) log_.distrust_above(commit_);
    log_.set_generation(generation);
  }
  any_record_ = true;
  gap_open_ = false;
  ++records_recovered_;
  accepted_ = head.accepted;
  promised_to_ = head.promised_to;
  current_ = head.current;
  if (head.kind == RecordKind::kAppend) {
    CLEW_TRY(log_.replay(seq, record.first, record.prev_epoch, std::move(record.entries), record.truncates));
  } else if (head.kind == RecordKind::kBase) {
    // The base before it was found to be lost: see start().
    if (record.meta.position < log_.base()) log_.forget_base();
    // Whether the snapshot took what stood behind it along: the generation says it (raft/recovery.cc).
    const bool cut = log_.generation() != head.generation;
    if (!log_.install(record.meta.position, record.meta.epoch) && cut) log_.distrust_above(record.meta.position);
    snapshot_ = std::move(record.meta);
    snapshot_counter_ = base_counter_ = record.counter;
  }
  log_.set_generation(head.generation);
  log_.reached(head.last.position, head.last.zxid.epoch);
  if (log_.true_last() != head.last.position || log_.true_last_epoch() != head.last.zxid.epoch) {
    return refuse("leads to another log than it says");
  }
  lost_last_ = head.last;
  if (!log_.has_hole() && point(log_.last()) != head.last && !planted(Bug::kZabCounterWraps)) {
    return refuse("counts the transactions of an epoch otherwise");
  }
  commit_ = std::max(commit_, head.commit);
  return {};
}

Status Zab::recover_gap(LogSeq first, LogSeq last) {
  CHECK(!started_ && first <= last);
  gap_open_ = true;
  gap_first_ = first;
  return {};
}

void Zab::start(Time now, LogSeq next, bool have_snapshot) {
  CHECK(!started_);
  advance_clock(now);
  started_ = true;
  out_.start(next);
  if (gap_open_) {
    halt("zab: the records from " + std::to_string(gap_first_) +
         " on are damaged, and none that is intact follows: a promise or an acknowledgement may be lost; replace this "
         "member");
    return;
  }
  const bool lost_base = !have_snapshot && snapshot_.position > 0;
  Position configs_from = snapshot_.position;
  configs_.reset(snapshot_.position, snapshot_.membership);
  if (lost_base) {
    // The members stay known; the state has to come again.
    lost_last_ = true_last();
    log_.forget_base();
    configs_from = 0;
    configs_.reset(0, snapshot_.membership);
    snapshot_ = SnapshotMeta{0, 0, snapshot_.membership, 0, {}};
    snapshot_counter_ = base_counter_ = 0;
  }
  log_.replayed();
  commit_ = std::clamp(commit_, log_.base(), log_.last());
  delivered_ = log_.base();
  commit_told_ = commit_;
  for (Position p = std::max(configs_from, log_.base()) + 1; p <= log_.last() && !out_.halted(); ++p) {
    const Entry& entry = log_.at(p);
    if (entry.kind == EntryKind::kMembership) membership_appended(p, entry.payload);
  }
  if (out_.halted()) return;
  forwarded_.start(random_.next() >> 2);
  if (!any_record_ && !options_.founding.empty()) {
    snapshot_.membership = options_.founding;
    configs_.reset(0, options_.founding);
    record_base();
  }
  // What comes in its place, entries or an older snapshot, must not be taken for void by the next start because of the
  // record of a base that is not there.
  if (lost_base) record_base();
  update_electorate();
  // A leader's lease may rest on what this node promised before it restarted.
  if (any_record_ && !planted(Bug::kVoteRightAfterStart)) {
    leased_until_ = now_ + options_.election_min;
    leased_to_ = kNobody;
  }
  fact(FactKind::kStarted, log_.true_last(), kNobody, records_recovered_);
  if (log_.has_hole()) fact(FactKind::kHoleFound, log_.last() + 1, kNobody, log_.true_last() - log_.last());
  begin_round(1);
  notify_all();
  count();  // a group of one
}

}  // namespace clew::consensus

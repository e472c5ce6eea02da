// Records out and in again, in the shape of multipaxos/records.h (PML §5.1). What damage costs: multipaxos.h.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "consensus/multipaxos/multipaxos.h"
#include "consensus/planted.h"

namespace clew::consensus {

using multipaxos::Acceptance;
using multipaxos::append_base;
using multipaxos::append_entry;
using multipaxos::append_header;
using multipaxos::append_run_head;
using multipaxos::encoded_bound;
using multipaxos::kFarthest;
using multipaxos::parse_record;
using multipaxos::Record;
using multipaxos::RecordHeader;
using multipaxos::RecordKind;
using multipaxos::Slots;
using multipaxos::VoteRun;

// --- Out ---

RecordHeader MultiPaxos::header(RecordKind kind) const {
  return {kind, promise_, incarnation_, commit_, slots_.high(), recovering() ? lost_to_ : 0};
}

LogSeq MultiPaxos::push_record(std::string record) {
  const LogSeq seq = out_.record(std::move(record));
  if (std::exchange(state_dirty_, false)) out_.state_in(seq);
  return seq;
}

// The turn's votes, or the promise alone when it was raised, become a record: a vote never without the promise that it
// implies.
void MultiPaxos::flush() {
  if (!slots_.any_unwritten() && !state_dirty_) return;
  const std::vector<Slots::Run> unwritten = slots_.take_unwritten();
  // Runs of one ballot each.
  std::vector<Slots::Run> runs;
  size_t room = 128;
  for (const Slots::Run& run : unwritten) {
    for (Position p = std::max(run.first, slots_.first()); p <= run.last; ++p) {
      const Acceptance& vote = *slots_.find(p);
      room += encoded_bound(vote.entry);
      const bool joins =
          !runs.empty() && runs.back().last + 1 == p && slots_.find(runs.back().last)->ballot == vote.ballot;
      if (joins) {
        runs.back().last = p;
      } else {
        runs.push_back({p, p});
        room += 64;
      }
    }
  }
  std::string record;
  record.reserve(room);
  append_header(record, header(runs.empty() ? RecordKind::kState : RecordKind::kVotes));
  if (!runs.empty()) append_varint(record, runs.size());
  for (const Slots::Run& run : runs) {
    append_run_head(record, slots_.find(run.first)->ballot, run.first, run.last + 1 - run.first);
    for (Position p = run.first; p <= run.last; ++p) {
      const Acceptance& vote = *slots_.find(p);
      append_entry(record, vote.entry, vote.bare);
    }
  }
  const LogSeq seq = push_record(std::move(record));
  if (runs.empty()) return;
  for (const Slots::Run& run : runs) slots_.wrote(run, seq);
  votes_seq_ = seq;
  writes_.push_back({seq, upto()});
}

LogSeq MultiPaxos::record_base(const SnapshotMeta& meta) {
  std::string record;
  append_header(record, header(RecordKind::kBase));
  append_base(record, meta, snapshot_metadata_only_, floor_ballot_);
  votes_seq_ = push_record(std::move(record));
  return votes_seq_;
}

void MultiPaxos::update_release() {
  // Only once the record of the snapshot is durable; and never records of votes above it, wherever they stand.
  if (base_seq_ == 0 || (base_seq_ > out_.durable_seq() && !planted(Bug::kReleaseBeforeBase))) return;
  const LogSeq needed = slots_.lowest_record_above(snapshot_.position);
  LogSeq below = needed == 0 ? base_seq_ : std::min(needed, base_seq_);
  if (planted(Bug::kReleaseNeededRecords)) below = base_seq_;
  base_seq_ = 0;
  out_.release_below(below);
}

// --- In ---

Status MultiPaxos::recover(LogSeq seq, std::string_view bytes) {
  CHECK(!started_);
  CLEW_ASSIGN(Record record, parse_record(bytes));
  const RecordHeader& head = record.header;
  const auto refuse = [&](std::string_view what) {
    return Status(Code::kDataLoss, "multipaxos: record " + std::to_string(seq) + " " + std::string(what) +
                                       "; the log on disk is not of one piece, replace this member");
  };
  if (any_record_ && head.promise < promise_) return refuse("takes a promise back");
  if (gap_open_) {
    // What stands above the watermark may have been voted on again in the gap, and says nothing any more; but for votes
    // under the ballot that is still promised behind it, as nobody votes twice in a slot under one ballot.
    Position kept = commit_;
    for (const Acceptance* vote = slots_.find(kept + 1); vote != nullptr && vote->ballot == head.promise;
         vote = slots_.find(kept + 1)) {
      ++kept;
    }
    slots_.drop_above(kept);
    if (kept < head.high) lost_to_ = std::max(lost_to_, head.high);
    gap_open_ = false;
  }
  if (!any_record_) {
    // What was chosen before the first record that is left stands in a snapshot, whose record follows; unless damage
    // took that: see start().
    Position base = head.commit;
    for (const VoteRun& run : record.runs) base = std::min(base, run.first - 1);
    slots_.reset(base);
    commit_ = base;
  }
  any_record_ = true;
  ++records_recovered_;
  promise_ = head.promise;
  incarnation_ = std::max(incarnation_, head.incarnation);
  lost_to_ = std::max(lost_to_, head.lost_to);
  chosen_to_ = std::max(chosen_to_, head.commit);
  if (head.kind == RecordKind::kBase) {
    if (record.meta.position == 0) {
      // The very first record; or a snapshot was found to be lost, and everything with it.
      slots_.reset(0);
      commit_ = 0;
    } else if (record.meta.position >= slots_.base()) {
      slots_.install(record.meta.position);
      commit_ = std::max(commit_, record.meta.position);
    } else {
      // It had lost votes, and went on from an older state than the records before tell of; what was chosen since is in
      // the records behind this one.
      if (slots_.base() - record.meta.position > kFarthest) return refuse("goes back too far");
      slots_.lower(record.meta.position);
      commit_ = record.meta.position;
    }
    snapshot_ = std::move(record.meta);
    floor_ballot_ = record.floor_ballot;
    snapshot_metadata_only_ = record.metadata_only;
  }
  for (VoteRun& run : record.runs) {
    const Position last = run.first + run.votes.size() - 1;
    for (Position p = run.first; p <= last; ++p) {
      Acceptance& vote = run.votes[p - run.first];
      if (p <= slots_.base()) continue;
      const Acceptance* const here = slots_.find(p);
      if (here != nullptr && here->ballot > vote.ballot) return refuse("takes a vote back");
      if (p > slots_.high() + options_.max_open_slots + kFarthest) return refuse("votes too far ahead");
      metadata_only_ |= vote.bare;
      slots_.put(p, std::move(vote));
    }
    slots_.take_unwritten();  // it is there already
    if (run.votes.empty() || last <= slots_.base()) continue;
    slots_.wrote({run.first, last}, seq);
  }
  // Chosen, and here: after a gap only as far as there is no hole.
  while (commit_ < head.commit && slots_.find(commit_ + 1) != nullptr) ++commit_;
  return {};
}

Status MultiPaxos::recover_gap(LogSeq first, LogSeq last) {
  CHECK(!started_ && first <= last);
  gap_open_ = true;
  gap_first_ = first;
  return {};
}

SnapshotMeta MultiPaxos::recovered_snapshot() const { return snapshot_metadata_only_ ? SnapshotMeta{} : snapshot_; }

void MultiPaxos::start(Time now, LogSeq next, bool have_snapshot) {
  CHECK(!started_);
  advance_clock(now);
  started_ = true;
  out_.start(next);
  ++incarnation_;
  if (gap_open_) {
    halt("multipaxos: the records from " + std::to_string(gap_first_) +
         " on are damaged, and none that is intact follows: a promise or a vote may be lost; replace this member");
    return;
  }
  const bool lost_base = !have_snapshot && snapshot_.position > 0 && !snapshot_metadata_only_;
  const bool lost_record = slots_.base() > snapshot_.position;  // of a snapshot
  if (lost_base || lost_record) {
    // The members stay known; the state has to come again, and with it everything that was voted on.
    lost_to_ = std::max({lost_to_, slots_.high(), snapshot_.position});
    slots_.reset(0);
    commit_ = 0;
    snapshot_ = SnapshotMeta{0, 0, snapshot_.membership, 0, {}};
  }
  configs_.reset(snapshot_.position, snapshot_.membership);
  if (!any_record_ && !options_.founding.empty()) {
    snapshot_.membership = options_.founding;
    configs_.reset(0, options_.founding);
    out_.state_in(record_base(snapshot_));
  }
  if (lost_base || lost_record) out_.state_in(record_base(snapshot_));
  for (Position p = snapshot_.position + 1; p <= slots_.high(); ++p) {
    const Acceptance* const vote = slots_.find(p);
    if (vote == nullptr || vote->entry.kind != EntryKind::kMembership) continue;
    note_pending(p, *vote);
    if (p <= commit_) membership_chosen(p, vote->entry.payload);
  }
  if (commit_ > untold_) untold_ = 0;
  known_at_start_ = commit_;
  update_view();
  state_dirty_ = false;
  delivered_ = slots_.base();
  commit_told_ = commit_;
  extend_verified();
  durable_position_ = upto();
  seen_round_ = promise_.round;
  forwarded_.start(random_.next() >> 2);
  // A leader's lease may rest on what this node promised before it restarted.
  if (any_record_ && !planted(Bug::kVoteRightAfterStart)) leased_until_ = now_ + options_.election_min;
  reset_election_timer();
  if (governing().voters() == 1 && governing().may_lead(options_.self)) election_deadline_ = now_;
  fact(FactKind::kStarted, slots_.high(), kNobody, records_recovered_);
  if (recovering()) fact(FactKind::kHoleFound, commit_ + 1, kNobody, lost_to_ - commit_);
}

}  // namespace clew::consensus

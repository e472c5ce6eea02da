// Records out and in again, in the shape of pbft/records.h. What damage costs: pbft.h.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "consensus/pbft/pbft.h"
#include "consensus/planted.h"

namespace clew::consensus {

using pbft::Certificate;
using pbft::Record;
using pbft::RecordHeader;
using pbft::RecordKind;

// --- Out ---

RecordHeader Pbft::header(RecordKind kind) const {
  return {kind, view_, active_, reserved_, stable_.seq, top_, base_.state.header.seq};
}

// The base, and behind it anew what stands in no batch's records: everything before can go once this is durable.
void Pbft::record_base() {
  base_seq_ = out_.record(record_of(header(RecordKind::kBase), base_));
  if (!stable_.signatures.empty()) {
    stable_seq_ = out_.record(record_of(header(RecordKind::kStable), stable_));
    // Of a checkpoint where members change the first record serves as well.
    if (change_records_.contains(stable_.seq)) change_records_[stable_.seq] = stable_seq_;
  }
  if (own_change_) change_seq_ = out_.record(record_of(header(RecordKind::kViewChange), *own_change_));
  if (new_view_) change_seq_ = out_.record(record_of(header(RecordKind::kNewView), *new_view_));
}

LogSeq Pbft::lowest_needed() const {
  LogSeq lowest = base_seq_;
  const auto need = [&](LogSeq seq) {
    if (seq != 0) lowest = std::min(lowest, seq);
  };
  need(stable_seq_);
  if (own_change_ || new_view_) need(change_seq_);
  for (const auto& [seq, record] : change_records_) need(record);
  for (const auto& [seq, here] : slots_) {
    need(here.accepted_seq);
    need(here.prepared_seq);
    need(here.prepared_batch_seq);
    need(here.committed_seq);
    need(here.committed_batch_seq);
  }
  return lowest;
}

void Pbft::update_release() {
  if (base_seq_ == 0 || base_seq_ > out_.durable_seq()) return;
  // What is damaged stays as long as it costs this member its votes: the next start has to find it, too.
  if (abstains()) return;
  const LogSeq below = lowest_needed();
  out_.release_below(below);
}

void Pbft::durable(Time now, LogSeq seq) {
  advance_clock(now);
  const LogSeq before = out_.durable_seq();
  if (!out_.durable(seq)) return;
  while (durable_executed_ < executed_ && slot(durable_executed_ + 1)->committed_seq <= seq) {
    ++durable_executed_;
  }
  // Less is needed than before once a base or the proof of a stable checkpoint is durable. To look costs O(slots).
  const auto became_durable = [&](LogSeq record) { return before < record && record <= seq; };
  if (base_seq_ > out_.released_below() && (became_durable(base_seq_) || became_durable(stable_seq_))) update_release();
}

// --- In ---

Status Pbft::recover(LogSeq seq, std::string_view bytes) {
  CHECK(!started_);
  CLEW_ASSIGN(Record record, pbft::parse_record(bytes));
  const RecordHeader& head = record.header;
  const auto refuse = [&](std::string_view what) {
    return Status(Code::kDataLoss, "pbft: record " + std::to_string(seq) + " " + std::string(what) +
                                       "; the log on disk is not of one piece, replace this member");
  };
  if (any_record_ && (head.view < view_ || (head.view == view_ && active_ && !head.active))) {
    return refuse("takes a view back");
  }
  if (any_record_ && (head.top < top_ || head.reserved < reserved_)) return refuse("takes its word back");
  if (gap_open_) abstain_until_ = std::max(abstain_until_, head.top);
  any_record_ = true;
  gap_open_ = false;
  ++records_recovered_;
  view_ = head.view;
  active_ = head.active;
  reserved_ = head.reserved;
  top_ = head.top;
  switch (head.kind) {
    case RecordKind::kState:
      break;
    case RecordKind::kAccepted: {
      Slot& here = slots_[record.accepted.seq];
      here.view = record.accepted.view;
      here.batch = record.accepted.batch;
      here.digest = here.batch->digest;
      here.pre_prepare = {record.primary, std::move(record.accepted.signature)};
      here.accepted_seq = seq;
      break;
    }
    case RecordKind::kPrepared: {
      Slot& here = slots_[record.certificate.seq];
      if (here.batch == nullptr || here.digest != record.certificate.digest) break;  // lost with a gap: it abstains
      here.prepared = pbft::Prepared{here.pre_prepare, std::move(record.certificate)};
      here.prepared_batch = here.batch;
      here.prepared_batch_seq = here.accepted_seq;
      here.prepared_seq = seq;
      break;
    }
    case RecordKind::kCommitted: {
      Slot& here = slots_[record.certificate.seq];
      here.committed_batch = record.batch;
      if (here.committed_batch == nullptr) {
        here.committed_batch = find_batch(record.certificate.seq, record.certificate.digest);
        here.committed_batch_seq = here.accepted_seq;
      }
      if (here.committed_batch == nullptr) break;  // lost with a gap: it comes again
      here.committed = std::move(record.certificate);
      here.committed_seq = seq;
      break;
    }
    case RecordKind::kStable:
      stable_ = record.certificate;
      stable_seq_ = seq;
      proofs_[stable_.seq] = stable_;
      change_records_[stable_.seq] = seq;  // only those where members change are kept: start()
      break;
    case RecordKind::kViewChange:
      own_change_ = std::move(record.view_change);
      new_view_.reset();
      change_seq_ = seq;
      break;
    case RecordKind::kNewView:
      new_view_ = std::move(record.new_view);
      own_change_.reset();
      change_seq_ = seq;
      break;
    case RecordKind::kBase:
      if (!record.base.of_one_piece()) return refuse("holds a state that is not of one piece");
      base_ = std::move(record.base);
      base_seq_ = seq;
      slots_.erase(slots_.begin(), slots_.upper_bound(base_.state.header.seq));
      break;
  }
  // Records of what stands above the base may stand before it.
  if (base_seq_ != 0 && head.base != base_.state.header.seq) return refuse("rests on a state that is lost");
  return {};
}

Status Pbft::recover_gap(LogSeq first, LogSeq last) {
  CHECK(!started_ && first <= last);
  gap_open_ = true;
  gap_met_ = true;
  gap_first_ = first;
  return {};
}

void Pbft::start(Time now, LogSeq next, bool have_snapshot) {
  CHECK(!started_);
  advance_clock(now);
  out_.start(next);
  if (gap_open_) {
    started_ = true;
    halt("pbft: the records from " + std::to_string(gap_first_) +
         " on are damaged, and none that is intact follows: what this member promised last may be lost; replace it");
    return;
  }
  if (base_seq_ == 0 && any_record_) {
    started_ = true;
    halt(
        "pbft: the beginning of its log is gone from the disk, and with it the state that it rests on and what this "
        "member promised; it must not go on as its old self: remove it from the group and add a new one");
    return;
  }
  const SnapshotMeta meta = base_.meta;
  lacks_state_ = !have_snapshot && meta.position > 0;
  ledger_ = base_.state.header;
  clients_ = base_.state.clients;
  executed_ = ledger_.seq;
  delivered_ = meta.position;
  changes_of_members_ = base_.changes;
  governs_from_ = base_.changes.empty() ? 0 : base_.changes.back().first.seq;
  governing_ = ledger_.membership;
  if (stable_.seq < executed_) stable_ = base_.checkpoint;
  const Sequence stable_before = stable_.seq;
  checkpoints_[executed_] = {base_.state, ledger_.digest()};
  update_members();
  if (lacks_state_) base_.meta = SnapshotMeta{0, 0, meta.membership, 0, {}};
  execute_ready();
  if (lacks_state_) {
    delivered_ = 0;
    ledger_.position = 0;
  }
  snapshot_due_ = 0;
  // Members that changed meanwhile, as far as that was known to be stable.
  std::map<Sequence, LogSeq> records;
  for (const auto& [seq, checkpoint] : checkpoints_) {
    const auto proof = proofs_.find(seq);
    if (!checkpoint.state.header.changed || seq <= base_.state.header.seq || proof == proofs_.end()) continue;
    changes_of_members_.emplace_back(checkpoint.state.header, proof->second);
    records[seq] = change_records_[seq];
    governing_ = checkpoint.state.header.membership;
    governs_from_ = seq;
    if (switching_at_ == seq) switching_at_ = 0;
  }
  // Lost with a gap: what leads to the stable checkpoint, or the proof that members changed on the way. Both have to
  // come again before anything above counts, and before this member votes.
  if (stable_.seq > executed_ || (switching_at_ != 0 && stable_.seq > switching_at_)) {
    abstain_until_ = std::max({abstain_until_, stable_before, top_});
    stable_ = base_.checkpoint;
  }
  // What lies above the window of where this member stands now, as it lost a part, is fetched again in its turn; where
  // it lost nothing it never wrote such a thing.
  const Sequence within = std::max({stable_.seq, executed_, abstain_until_}) + options_.window_length();
  const auto beyond = slots_.upper_bound(within);
  if (beyond != slots_.end() && !gap_met_ && !lacks_state_) {
    started_ = true;
    halt("pbft: the log tells of batch " + std::to_string(slots_.rbegin()->first) + ", and leads to no more than " +
         std::to_string(within) + ": it is not of one piece, replace this member");
    return;
  }
  slots_.erase(beyond, slots_.end());
  change_records_ = std::move(records);
  proofs_.clear();
  std::erase_if(checkpoints_, [&](const auto& own) { return own.first < stable_.seq; });
  update_members();
  for (auto& [seq, here] : slots_) {
    if (seq > stable_.seq) continue;
    here.prepared.reset();
    here.prepared_batch.reset();
    here.prepared_seq = 0;
  }
  durable_executed_ = executed_;
  started_ = true;
  if (!any_record_) record_base();
  if (new_view_ && new_view_->view != view_) new_view_.reset();  // lost with a gap
  if (own_change_ && (active_ || own_change_->view != view_)) own_change_.reset();
  // A view change whose record is damaged cannot be told again; others go on without it.
  if (!active_ && !own_change_) abstain_until_ = std::max(abstain_until_, top_ + 1);
  next_timestamp_ = reserved_;
  reserve_timestamps();
  if (own_change_) changes_[options_.self] = *own_change_;
  timeout_ = options_.request_timeout;
  progress_at_ = active_since_ = now_;
  context_base_ = random_.next() >> 2;
  next_sequence_ = stable_.seq + 1;
  for (const auto& [seq, here] : slots_) {
    if (here.view == view_ && active_) {
      next_sequence_ = std::max(next_sequence_, seq + 1);
      ordered_to_ = seq;
    }
  }
  if (active_ && new_view_) next_sequence_ = std::max(next_sequence_, new_view_->first + new_view_->order.size());
  beat_due_ = now_ + options_.heartbeat;
  fact(FactKind::kStarted, ledger_.position, kNobody, records_recovered_);
  told_hole_ = abstains();
  if (told_hole_) {
    const uint64_t lost = std::max(abstain_until_, base_.state.header.seq) - (lacks_state_ ? 0 : stable_.seq);
    fact(FactKind::kHoleFound, ledger_.position + 1, kNobody, lost);
  }
  told_leader_ = is_primary();
  if (own_change_) fact(FactKind::kElectionStarted, stable_.seq, kNobody, 0, "begun before the start");
  // What it said before it says again: equal statements, made anew.
  for (auto& [seq, here] : slots_) {
    if (!active_ || !may_vote() || seq <= stable_.seq || here.view != view_ || here.batch == nullptr) continue;
    const Digest digest = here.digest;
    if (here.pre_prepare.by != options_.self) cast(pbft::Claim::kPrepare, seq, digest);
    if (here.prepared && here.prepared->prepares.view == view_) cast(pbft::Claim::kCommit, seq, digest);
  }
  if (may_vote()) {
    for (const auto& [seq, checkpoint] : checkpoints_) {
      if (seq > stable_.seq) cast(pbft::Claim::kCheckpoint, seq, checkpoint.digest);
    }
  }
  // What a new view orders binds, also where the batch has not come yet.
  if (active_ && new_view_) {
    const pbft::NewView known = *new_view_;
    for (size_t i = 0; i < known.order.size() && active_ && view_ == known.view; ++i) {
      const Sequence seq = known.first + i;
      const Slot* const here = slot(seq);
      if (seq <= stable_.seq || (here != nullptr && here->view == view_)) continue;
      const auto& [digest, signature] = known.order[i];
      accept_pre_prepare(seq, digest, find_batch(seq, digest), {primary_of(view_), signature});
    }
    fetch_missing();
  }
  broadcast(own_status(), After::kNothing);
}

}  // namespace clew::consensus

// Who is behind catches up: each member tells with every heartbeat where it stands, and whoever can sends what it
// lacks: votes that were lost, batches with the proof that they are committed, the proof of a stable checkpoint, a new
// view, or the state at a checkpoint when the log before it is gone (PBFT §4.6, and the retransmission of its long
// form).
#include <algorithm>
#include <utility>

#include "consensus/pbft/pbft.h"
#include "consensus/planted.h"

namespace clew::consensus {

using pbft::BatchFound;
using pbft::BatchPtr;
using pbft::Claim;
using pbft::Committed;
using pbft::FetchBatch;
using pbft::Message;
using pbft::Offer;
using pbft::PrePrepare;
using pbft::Stable;
using pbft::StatusReport;
using pbft::VoteMessage;

namespace {
constexpr size_t kMostSlotsRepeated = 32;
constexpr int kMostDoublings = 3;
constexpr Time kWantsAgain = 5 * kSecond;
constexpr uint64_t kMostAnswered = 4 << 20;  // bytes, to each, from heartbeat to heartbeat
constexpr uint64_t kFrameCharge = 128;       // what a frame costs beside its bytes
}  // namespace

StatusReport Pbft::own_status() const {
  StatusReport status;
  status.view = view_;
  status.active = active_;
  status.suspects = suspects_;
  status.stable = stable_.seq;
  status.executed = lacks_state_ ? 0 : executed_;
  status.base = base_.state.header.seq;
  status.wants = stable_.seq < abstain_until_ ? abstain_until_ : 0;
  return status;
}

void Pbft::beat() {
  beat_due_ = now_ + options_.heartbeat;
  answered_.clear();
  suspects_ = suspects_ && now_ >= complaint_deadline();
  broadcast(own_status(), After::kNothing);
  if (own_change_) broadcast(*own_change_);
  if (handing_over_ && is_primary()) broadcast(*handing_over_, After::kNothing);
  // What it said was in a record that is damaged; what it may have forgotten is below the checkpoint that made it
  // whole.
  if (!active_ && !own_change_ && may_vote()) change_view(view_ + 1, "its view change was lost");
  join_later_views();
  follow_who_is_ahead();
  if (!active_) count_changes();
  repeat_requests();
  fetch_missing();
  if (misses_primary()) submit(EntryKind::kNoop, {});
}

// In a group where nobody asks for anything a dead primary would not be noticed, nor would that what it sees to by
// itself is not done. A request that waits shows it; when only this member does not hear it, the request is executed.
bool Pbft::misses_primary() const {
  const NodeId primary = primary_of(view_);
  if (!active_ || !may_vote() || has_work() || primary == options_.self) return false;
  // What the primary sees to by itself is not done.
  const bool awaited = ledger_.next_at != 0 || fill_to_ > executed_;
  if (awaited && now_ - progress_at_ > options_.request_timeout) return true;
  const auto peer = peers_.find(primary);
  const Time heard = peer == peers_.end() ? 0 : peer->second.heard;
  return now_ - std::max(heard, active_since_) > options_.request_timeout;
}

bool Pbft::is_alone() const {
  const auto heard = std::count_if(peers_.begin(), peers_.end(), [this](const auto& peer) {
    return governing_.votes(peer.first) && peer.second.heard > 0 &&
           now_ - peer.second.heard <= 2 * options_.request_timeout;
  });
  return static_cast<size_t>(heard) + 1 < quorum();
}

void Pbft::handle(NodeId from, StatusReport& status) {
  if (!view_members_.contains(from)) {
    // An outsider learns from whoever speaks to it, and so does a voter whose fellows have been replaced while it
    // was away; what is signed protects it.
    if (status.asks) return;
    StatusReport mine = own_status();
    mine.asks = true;
    send(from, mine, After::kNothing);
    return;
  }
  Peer& peer = peers_[from];
  const StatusReport before = std::exchange(peer.status, status);
  peer.heard = now_;
  if (status.wants > stable_.seq && status.wants <= stable_.seq + options_.window_length() &&
      may_want(peer, status.wants)) {
    const uint64_t every = options_.checkpoint_every;
    fill_to_ = std::max(fill_to_, (status.wants + every - 1) / every * every);
  }
  // It may not vote, and orders nothing: where nobody asks for anything its group would wait for itself.
  if (active_ && may_vote() && from == primary_of(view_) && status.wants > stable_.seq) {
    return change_view(view_ + 1, "the primary lacks what it said");
  }
  // Who has moved since its last heartbeat gets there by itself.
  const bool stands_still = before.view == status.view && before.executed == status.executed &&
                            before.stable == status.stable && before.active == status.active;
  if (may_answer(from)) help(from, status, stands_still || status.asks);
  if (status.executed > executed_) behind_of_.insert(from);
  if (status.suspects) join_later_views();
}

// Batches that nobody needs are ordered for it. An honest member wants one checkpoint, until it is there.
bool Pbft::may_want(Peer& peer, Sequence checkpoint) {
  if (peer.wanted == checkpoint) return true;
  if (peer.wanted != 0 && now_ - peer.wanted_at < kWantsAgain) return false;
  peer.wanted = checkpoint;
  peer.wanted_at = now_;
  return true;
}

void Pbft::help(NodeId to, const StatusReport& status, bool stands_still) {
  const bool outside = status.view < view_ || (status.view == view_ && !status.active);
  if (active_ && outside && new_view_) answer(to, *new_view_, After::kEverything);
  if (!stands_still) return;
  if (status.executed < base_.state.header.seq) {
    if (base_.meta.position > 0) answer(to, base_, After::kNothing);
    return;
  }
  if (status.executed < executed_) send_committed(to, status.executed + 1);
  if (status.stable < stable_.seq && status.executed >= stable_.seq) answer(to, Stable{stable_}, After::kNothing);
  // Where members change, whoever comes there late needs the word of those before.
  for (const auto& [header, proof] : changes_of_members_) {
    if (status.stable < header.seq && status.executed >= header.seq && header.seq != stable_.seq) {
      answer(to, Stable{proof}, After::kNothing);
    }
  }
  const auto own_vote = [&](auto& all, Sequence seq) {
    const auto votes = all.find(seq);
    if (votes == all.end()) return;
    if (const auto own = votes->second.find(options_.self); own != votes->second.end())
      answer(to, own->second, After::kEverything);
  };
  for (const auto& [seq, checkpoint] : checkpoints_) {
    if (seq > status.stable) own_vote(checkpoint_votes_, seq);
    if (saved_.contains(seq)) own_vote(snapshot_votes_, seq);
  }
  // It may have saved the state that this log begins with, and lack a second voice.
  if (status.base < base_.state.header.seq) {
    for (const pbft::Signed& one : base_.snapshot.signatures) {
      if (one.by == options_.self) {
        answer(to, VoteMessage{Claim::kSnapshot, 0, base_.snapshot.seq, base_.snapshot.digest, one.signature},
               After::kEverything);
      }
    }
  }
  if (active_ && status.active && status.view == view_) repeat_votes(to, status.executed + 1);
}

// Questions are short, and answers long: what is left out is asked for again.
bool Pbft::may_answer(NodeId to) const {
  const auto answered = answered_.find(to);
  return answered == answered_.end() || answered->second < kMostAnswered;
}

void Pbft::answer(NodeId to, const Message& message, After after) {
  if (!may_answer(to)) return;
  std::string frame = pbft::encode(message);
  answered_[to] += kFrameCharge + frame.size();
  out_.send(to, std::move(frame), after);
}

void Pbft::send_committed(NodeId to, Sequence from) {
  uint64_t bytes = 0;
  for (auto at = slots_.find(from); at != slots_.end() && at->second.committed; ++at) {
    if (at->first != from++ || bytes > options_.max_message_bytes) return;
    bytes += at->second.committed_batch->bytes.size() + 64;
    answer(to, Committed{*at->second.committed, at->second.committed_batch}, After::kNothing);
  }
}

void Pbft::repeat_votes(NodeId to, Sequence from) {
  size_t repeated = 0;
  for (auto at = slots_.lower_bound(std::max(from, stable_.seq + 1)); at != slots_.end(); ++at) {
    const auto& [seq, here] = *at;
    if (here.view != view_ || here.batch == nullptr) continue;
    if (++repeated > kMostSlotsRepeated) return;
    if (here.pre_prepare.by == options_.self) {
      answer(to, PrePrepare{view_, seq, here.batch, here.pre_prepare.signature}, After::kEverything);
    }
    for (const auto* votes : {&here.prepares, &here.commits}) {
      if (const auto own = votes->find(options_.self); own != votes->end()) answer(to, own->second, After::kEverything);
    }
  }
}

// --- Batches ---

BatchPtr Pbft::find_batch(Sequence seq, const Digest& digest) const {
  if (digest == pbft::null_batch()->digest) return pbft::null_batch();
  const Slot* const here = slot(seq);
  if (here == nullptr) return nullptr;
  for (const BatchPtr& batch : {here->batch, here->prepared_batch, here->committed_batch}) {
    if (batch != nullptr && batch->digest == digest) return batch;
  }
  return nullptr;
}

// A new view names digests; whoever prepared them has the batches.
void Pbft::fetch_missing() {
  if (!active_) return;
  for (auto at = slots_.upper_bound(stable_.seq); at != slots_.end(); ++at) {
    const auto& [seq, here] = *at;
    if (here.view == view_ && here.batch == nullptr) broadcast(FetchBatch{seq, here.digest}, After::kNothing);
  }
}

void Pbft::handle(NodeId from, FetchBatch& message) {
  if (BatchPtr batch = find_batch(message.seq, message.digest); batch != nullptr) {
    answer(from, BatchFound{message.seq, std::move(batch)}, After::kNothing);
  }
}

void Pbft::handle(NodeId, BatchFound& message) {
  const auto found = slots_.find(message.seq);
  if (found == slots_.end()) return;
  Slot& here = found->second;
  if (here.view != view_ || !active_ || here.batch != nullptr || here.digest != message.batch->digest) return;
  here.batch = std::move(message.batch);
  batch_here(message.seq, here);
}

void Pbft::handle(NodeId from, Committed& message) {
  behind_of_.insert(from);
  const Sequence seq = message.commits.seq;
  commit(slots_[seq], std::move(message.commits), std::move(message.batch));
}

// --- States ---

// Of the changes of members in an offer those behind governs_from_ were checked; the others this member knows itself.
void Pbft::replace_known_changes(Offer& offer) const {
  if (governs_from_ == 0) return;
  auto& told = offer.changes;
  std::erase_if(told, [&](const auto& change) { return change.first.seq <= governs_from_; });
  const Sequence seq = offer.state.header.seq;
  std::vector<std::pair<pbft::CheckpointHeader, pbft::Certificate>> known;
  for (const auto& change : changes_of_members_) {
    if (change.first.seq <= governs_from_ && change.first.seq < seq) known.push_back(change);
  }
  told.insert(told.begin(), known.begin(), known.end());
}

void Pbft::handle(NodeId from, Offer& message) {
  replace_known_changes(message);
  out_.fetch({from, message.meta});
  fetching_from_ = from;
  fetching_since_ = now_;
  fetching_ = std::move(message);
}

void Pbft::snapshot_fetched(Time now, const SnapshotMeta& meta, bool ok) {
  advance_clock(now);
  if (!running() || !fetching_ || !(fetching_->meta == meta)) return;
  Offer offer = std::move(*fetching_);
  fetching_.reset();
  out_.fetched();
  if (!ok) {
    // It is offered again. A liar may be the first to do so each time, so others come first for a while, and longer the
    // more often it went wrong; an honest one whose file was gone has its turn again.
    Distrust& one = distrusted_[fetching_from_];
    one.until = now_ + (options_.request_timeout << std::min(one.times++, kMostDoublings));
    return;
  }
  if (objection(offer, fetching_from_) != nullptr) return;  // overtaken meanwhile
  install(std::move(offer), fetching_from_);
}

void Pbft::install(Offer offer, NodeId from) {
  distrusted_.clear();
  base_ = std::move(offer);
  const Sequence seq = base_.state.header.seq;
  executed_ = seq;
  ledger_ = base_.state.header;
  clients_ = base_.state.clients;
  lacks_state_ = false;
  entries_.clear();
  delivered_ = base_.meta.position;
  switching_at_ = 0;
  snapshot_due_ = 0;
  changes_of_members_ = base_.changes;
  const bool others = !(governing_ == ledger_.membership);
  governing_ = ledger_.membership;
  governs_from_ = base_.changes.empty() ? 0 : base_.changes.back().first.seq;
  update_members();
  slots_.erase(slots_.begin(), slots_.upper_bound(seq));
  log_bytes_ = 0;
  for (auto& [above, here] : slots_) {
    here.last = 0;
    if (here.committed_batch != nullptr) log_bytes_ += charge_of(*here.committed_batch);
  }
  if (others) {
    changes_.clear();
    if (own_change_) changes_[options_.self] = *own_change_;
  }
  checkpoints_.clear();
  checkpoints_[seq] = {base_.state, ledger_.digest()};
  saved_.clear();
  proofs_.clear();
  change_records_.clear();
  checkpoint_votes_.erase(checkpoint_votes_.begin(), checkpoint_votes_.upper_bound(seq));
  snapshot_votes_.erase(snapshot_votes_.begin(), snapshot_votes_.upper_bound(seq));
  if (seq > stable_.seq) fact(FactKind::kCheckpointStable, seq);
  if (seq >= stable_.seq) stable_ = base_.checkpoint;
  durable_executed_ = seq;
  next_sequence_ = std::max(next_sequence_, seq + 1);
  record_base();
  out_.install(base_.meta);
  fact(FactKind::kSnapshotInstalled, base_.meta.position, from);
  if (others) fact(FactKind::kMembershipTaken, base_.meta.position);
  if (others && !is_primary()) end_reign("other members");
  // Own ones in there took effect; what they answered is not known here, and their askers run out of patience.
  std::erase_if(proposed_, [&](const auto& own) { return clients_.executed(options_.self, own.first); });
  forget_hopeless();
  for (auto at = ordered_reads_.begin(); at != ordered_reads_.end();) {
    if (!clients_.executed(options_.self, at->first)) {
      ++at;
      continue;
    }
    for (const ReadGate::Waiting& read : gate_.confirmed(at->second)) out_.read(read.id, base_.meta.position);
    at = ordered_reads_.erase(at);
  }
  execute_ready();
}

void Pbft::stop_fetching() {
  if (!fetching_) return;
  fetching_.reset();
  out_.cancel_fetch();
}

}  // namespace clew::consensus

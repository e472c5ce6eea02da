// The leader's side of replication: Raft §5.3, pipelining and the own disk in parallel (thesis §10.2.1), and when an
// entry is committed (Raft §5.4.2).
#include <algorithm>
#include <array>

#include "consensus/planted.h"
#include "consensus/raft/raft.h"

namespace clew::consensus {

using raft::append_entry;
using raft::append_message_head;
using raft::AppendReply;
using raft::AppendRequest;
using raft::encoded_bound;
using raft::Heartbeat;
using raft::HeartbeatReply;
using raft::kMaxNumber;
using raft::PeerState;
using raft::Progress;

Progress* Raft::progress(NodeId id) {
  for (Progress& peer : peers_) {
    if (peer.id == id) return &peer;
  }
  return nullptr;
}

const Progress* Raft::progress(NodeId id) const { return const_cast<Raft*>(this)->progress(id); }

bool Raft::is_witness(NodeId id) const {
  const Member* const member = membership().find(id);
  return member != nullptr && member->role == Role::kWitness;
}

Position Raft::held_by(NodeId id) const {
  if (id == options_.self) return planted(Bug::kSingleNodeEarlyAck) ? log_.last() : log_.durable_position();
  const Progress* const peer = progress(id);
  return peer == nullptr ? 0 : peer->match;
}

Position Raft::data_safe() const {
  std::array<Position, kMaxMembers> held;
  size_t with_data = 0;
  bool witness = false;
  for (const Member& member : membership().members()) {
    if (member.role == Role::kWitness) {
      witness = true;
    } else if (member.incoming || member.outgoing) {
      held[with_data++] = held_by(member.id);
    }
  }
  const size_t copies = std::min(std::max<size_t>(options_.min_data_copies, 1), with_data);
  if (with_data == 0 || (!witness && copies == 1)) return log_.last();
  std::sort(held.begin(), held.begin() + static_cast<ptrdiff_t>(with_data), std::greater<>());
  return held[copies - 1];
}

void Raft::sync_peers(Position next) {
  std::erase_if(peers_, [&](const Progress& peer) { return !membership().contains(peer.id); });
  for (const Member& member : membership().members()) {
    if (member.id == options_.self || progress(member.id) != nullptr) continue;
    peers_.emplace_back(member.id, options_.window, next, now_);
  }
}

void Raft::append_own(EntryKind kind, Payload payload) {
  Entry entry{term_, kind, std::move(payload)};
  uncommitted_bytes_ += cost(entry);
  ++appended_now_;
  const bool membership_change = kind == EntryKind::kMembership;
  log_.append(std::move(entry));
  if (membership_change) membership_appended(log_.last(), log_.at(log_.last()).payload);
}

// --- Sending ---

void Raft::replicate() {
  for (Progress& peer : peers_) replicate_to(peer);
}

void Raft::replicate_to(Progress& peer) {
  // A witness never runs ahead of all data: raft.h.
  const Position limit = is_witness(peer.id) ? std::min(log_.last(), data_safe()) : log_.last();
  while (peer.may_send() && peer.next <= limit) {
    if (peer.next <= log_.base()) {
      offer_snapshot(peer);
      break;
    }
    send_entries(peer, limit);
  }
  // A commit that no entry carried goes by itself, so that followers need not wait for a heartbeat to apply it.
  if (peer.commit_sent < std::min(commit_, peer.match)) send_heartbeat(peer, false);
}

void Raft::send_entries(Progress& peer, Position limit) {
  AppendRequest head{term_, is_witness(peer.id), peer.next - 1, 0, commit_, {}};
  if (planted(Bug::kNonContiguousAppend) && peer.window.messages() > 0) head.prev = peer.match;
  head.prev_epoch = log_.epoch_at(head.prev).value_or(0);
  Position last = peer.next - 1;
  uint64_t bytes = 0;
  size_t room = 64;
  while (last < limit && (last < peer.next || bytes + cost(log_.at(last + 1)) <= options_.max_message_bytes)) {
    const Entry& entry = log_.at(++last);
    bytes += cost(entry);
    room += encoded_bound(entry);
  }
  std::string frame;
  frame.reserve(room);
  append_message_head(frame, head, last + 1 - peer.next);
  for (Position p = peer.next; p <= last; ++p) append_entry(frame, log_.at(p), head.without_commands);
  peer.commit_sent = std::max(peer.commit_sent, std::min(commit_, last));
  peer.sent(last, bytes);
  out_.send(peer.id, std::move(frame), After::kState);
}

void Raft::send_heartbeat(Progress& peer, bool wants_reply) {
  const Position verified = planted(Bug::kCommitToLast) ? commit_ : peer.match;
  Heartbeat beat{term_, std::min(commit_, verified), gate_.newest_round(), static_cast<uint64_t>(now_), 0, wants_reply};
  if (options_.leases && !lease_forfeited_) beat.lease_ns = static_cast<uint64_t>(options_.election_min);
  peer.commit_sent = std::max(peer.commit_sent, beat.commit);
  send(peer.id, beat);
}

void Raft::broadcast_heartbeat() {
  for (Progress& peer : peers_) send_heartbeat(peer, true);
}

void Raft::beat() {
  heartbeat_due_ = now_ + options_.heartbeat;
  broadcast_heartbeat();
  for (Progress& peer : peers_) {
    if (peer.state == PeerState::kSnapshot) offer_snapshot(peer);
  }
}

// --- Commitment ---

void Raft::advance_commit() {
  Position candidate = quorum_position(electorate(), [&](NodeId id) { return held_by(id); });
  if (planted(Bug::kCommitByOneLess)) {
    std::vector<Position> held;
    for (const Member& member : membership().members()) {
      if (membership().votes(member.id)) held.push_back(held_by(member.id));
    }
    std::sort(held.begin(), held.end(), std::greater<>());
    candidate = held[std::max<size_t>(majority(held.size()), 2) - 2];
  }
  candidate = std::min({candidate, data_safe(), log_.last()});
  if (candidate <= commit_) return;
  // An entry of an earlier term is never committed by counting, only by one of this term behind it (Raft §5.4.2 and
  // Figure 8).
  if (log_.at(candidate).epoch != term_ && !planted(Bug::kCommitPriorTerm)) return;
  commit_to(candidate);
  after_commit();
}

void Raft::commit_to(Position position) {
  if (leading()) {
    for (Position p = commit_ + 1; p <= position; ++p) uncommitted_bytes_ -= cost(log_.at(p));
  }
  commit_ = position;
  while (!placed_.empty() && placed_.front().position <= position) placed_.pop_front();
  if (fetching_ && fetching_->meta.position <= position && !planted(Bug::kSnapshotOverCommitted)) stop_fetching();
}

// --- Answers ---

void Raft::handle(NodeId from, const AppendReply& reply) {
  Progress* const peer = leading() ? progress(from) : nullptr;
  if (peer == nullptr || reply.outcome == AppendReply::Outcome::kStale) return;
  if (reply.outcome == AppendReply::Outcome::kAccepted ? reply.match > log_.last() : reply.hint > kMaxNumber) {
    fact(FactKind::kMessageRefused, reply.match, from, 0, "acknowledges what was never sent");
    return;
  }
  peer->heard = now_;
  switch (reply.outcome) {
    case AppendReply::Outcome::kStale:
      return;
    case AppendReply::Outcome::kAccepted:
      // Out of a snapshot only by an answer that the log can go on from.
      if (peer->state == PeerState::kSnapshot && std::max(peer->match, reply.match) >= log_.base()) {
        peer->probe(reply.match + 1);
      }
      peer->accepted(reply.match);
      advance_commit();
      return;
    case AppendReply::Outcome::kRejected: {
      if (peer->state == PeerState::kSnapshot) return;
      const Position expected = peer->state == PeerState::kProbe ? peer->next - 1 : reply.match;
      if (reply.match != expected || reply.match <= peer->match) return;  // late
      if (peer->state == PeerState::kReplicate) peer->went_back();
      // The hint tells where to look next and nothing else (scenario 3).
      Position agree = std::min(reply.hint, reply.match - 1);
      if (agree >= log_.base()) {
        agree = log_.back_off(agree, reply.hint_epoch);
        if (agree == log_.base() && agree > 0 && log_.base_epoch() > reply.hint_epoch) --agree;  // compacted
      }
      peer->probe(agree + 1);
      if (planted(Bug::kHintAsMatch)) {
        peer->match = std::max(peer->match, std::min(reply.hint, log_.last()));
        advance_commit();
      }
      return;
    }
    case AppendReply::Outcome::kLost:
      // Its disk lost acknowledged entries: what was committed stays so, and they are sent again.
      if (reply.match == 0 && peer->match <= reply.hint) return;  // told by a heartbeat, and known already
      peer->match = std::min(peer->match, reply.hint);
      peer->commit_sent = std::min(peer->commit_sent, reply.hint);
      if (peer->state == PeerState::kSnapshot) return;
      if (peer->state == PeerState::kProbe && peer->next == reply.hint + 1) return;  // known, and being mended
      peer->probe(reply.hint + 1);
      return;
  }
}

void Raft::handle(NodeId from, const HeartbeatReply& reply) {
  Progress* const peer = leading() ? progress(from) : nullptr;
  if (peer == nullptr) return;
  if (reply.round > gate_.newest_round() && !planted(Bug::kReadRoundOfOldReign)) {
    fact(FactKind::kMessageRefused, 0, from, reply.round, "confirms a round that was never started");
    return;
  }
  peer->heard = now_;
  peer->round = std::max(peer->round, reply.round);
  if (reply.stamp <= static_cast<uint64_t>(now_)) {
    peer->stamp = std::max(peer->stamp, planted(Bug::kLeaseFromReceipt) ? static_cast<uint64_t>(now_) : reply.stamp);
  }
  if (now_ - peer->checked >= options_.heartbeat) {
    if (peer->state == PeerState::kProbe) peer->probe_sent = false;  // a lost probe goes again
    if (peer->state == PeerState::kReplicate && peer->window.messages() > 0 && peer->match == peer->match_at_check) {
      // Nothing was acknowledged for a heartbeat. Was something lost? An append without entries asks: its rejection
      // leads back to where the logs agree.
      AppendRequest ask{term_, is_witness(peer->id), peer->next - 1, 0, commit_, {}};
      ask.prev_epoch = log_.epoch_at(ask.prev).value_or(0);
      send(peer->id, ask);
    }
    peer->match_at_check = peer->match;
    peer->checked = now_;
  }
  confirm_reads();
}

}  // namespace clew::consensus

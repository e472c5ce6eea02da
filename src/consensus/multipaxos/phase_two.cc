// The leader's phase 2: values flow to the acceptors without waiting for one another (PMS §3; PML §4.2), and become
// chosen when a quorum accepted them under this leader's ballot.
//
// Acknowledgements are cumulative: "everything up to here". What gets lost is sent again when nothing moved for a
// heartbeat, from the gap on; acceptors keep what arrived behind it.
#include <algorithm>
#include <array>

#include "base/check.h"
#include "consensus/multipaxos/multipaxos.h"
#include "consensus/planted.h"

namespace clew::consensus {

using multipaxos::Accept;
using multipaxos::Acceptance;
using multipaxos::Accepted;
using multipaxos::append_accept_head;
using multipaxos::append_entry;
using multipaxos::encoded_bound;
using multipaxos::Heartbeat;
using multipaxos::HeartbeatReply;
using multipaxos::kMaxNumber;

MultiPaxos::Peer* MultiPaxos::peer(NodeId id) {
  for (Peer& other : peers_) {
    if (other.id == id) return &other;
  }
  return nullptr;
}

const MultiPaxos::Peer* MultiPaxos::peer(NodeId id) const { return const_cast<MultiPaxos*>(this)->peer(id); }

Position MultiPaxos::held_by(NodeId id) const {
  if (id == options_.self) return planted(Bug::kSingleNodeEarlyAck) ? last_ : std::min(durable_position_, upto());
  const Peer* const other = peer(id);
  return other == nullptr ? 0 : other->match;
}

// What enough of these members have with its commands.
Position MultiPaxos::data_safe(const Membership& among) const {
  std::array<Position, kMaxMembers> held;
  size_t with_data = 0;
  bool witness = false;
  for (const Member& member : among.members()) {
    if (member.role == Role::kWitness) {
      witness = true;
    } else if (member.incoming || member.outgoing) {
      held[with_data++] = held_by(member.id);
    }
  }
  const size_t copies = std::min(std::max<size_t>(options_.min_data_copies, 1), with_data);
  if (with_data == 0 || (!witness && copies == 1)) return last_;
  std::sort(held.begin(), held.begin() + static_cast<ptrdiff_t>(with_data), std::greater<>());
  return held[copies - 1];
}

void MultiPaxos::sync_peers() {
  std::erase_if(peers_, [&](const Peer& other) { return !view_.contains(other.id); });
  for (const Member& member : view_.members()) {
    if (member.id == options_.self || peer(member.id) != nullptr) continue;
    Peer& added = peers_.emplace_back();
    added.id = member.id;
    added.window = InFlightWindow(options_.window);
    added.heard = now_;
    heartbeat_due_ = now_;  // it says where it stands
  }
}

void MultiPaxos::append_own(EntryKind kind, Payload payload) {
  Acceptance vote{promise_, Entry{promise_.round, kind, std::move(payload)}, false};
  uncommitted_bytes_ += cost(vote.entry);
  ++appended_now_;
  accept_here(++last_, std::move(vote));
  if (change_pending()) {
    update_view();
    sync_peers();
  }
}

void MultiPaxos::place(ProposalId id, EntryKind kind, Payload payload) {
  append_own(kind, payload);
  placed_.push_back({last_, id, promise_, std::move(payload)});
  out_.placed(id, last_);
}

// --- Sending ---

void MultiPaxos::replicate() {
  for (Peer& other : peers_) replicate_to(other);
}

void MultiPaxos::replicate_to(Peer& other) {
  if (!other.known || other.snapshot) return;
  // A witness is not given what no member with data holds: see the header.
  const Position limit = is_witness(other.id) ? std::min(last_, data_safe(view_)) : last_;
  while (!other.window.full() && other.next <= limit) {
    if (other.next <= slots_.base()) {
      offer_snapshot(other);
      return;
    }
    const Position first = other.next;
    other.next = send_values(other, first, limit) + 1;
  }
  // News of what is chosen that no value carried goes by itself, so that followers need not wait for a heartbeat.
  if (other.commit_sent < std::min(commit_, other.match)) send_heartbeat(other, false);
}

Position MultiPaxos::send_values(Peer& other, Position first, Position limit) {
  Accept head;
  head.ballot = promise_;
  head.without_commands = is_witness(other.id);
  head.first = first;
  head.commit = commit_;
  Position last = first - 1;
  uint64_t bytes = 0;
  size_t room = 64;
  while (last < limit) {
    const Acceptance* const vote = slots_.find(last + 1);
    CHECK(vote != nullptr);  // proposed or chosen, and not compacted
    if (last >= first && bytes + cost(vote->entry) > options_.max_message_bytes) break;
    ++last;
    bytes += cost(vote->entry);
    room += encoded_bound(vote->entry);
  }
  std::string frame;
  frame.reserve(room);
  append_accept_head(frame, head, last + 1 - first);
  for (Position p = first; p <= last; ++p) append_entry(frame, slots_.find(p)->entry, head.without_commands);
  other.commit_sent = std::max(other.commit_sent, std::min(commit_, last));
  if (!other.window.full()) other.window.sent(last, bytes);
  out_.send(other.id, std::move(frame), After::kState);
  return last;
}

void MultiPaxos::send_heartbeat(Peer& other, bool wants_reply) {
  Heartbeat beat;
  beat.ballot = promise_;
  beat.commit = commit_;
  beat.known = other.known ? other.match : kMaxNumber;
  if (is_witness(other.id)) beat.safe = held_by_the_living();
  beat.round = gate_.newest_round();
  beat.stamp = static_cast<uint64_t>(now_);
  beat.wants_reply = wants_reply;
  beat.told = settled_ && untold_ == 0;
  if (options_.leases && !lease_forfeited_) beat.lease_ns = static_cast<uint64_t>(options_.election_min);
  other.commit_sent = std::max(other.commit_sent, std::min(commit_, other.match));
  send(other.id, beat);
}

// One that is down does not make a witness remember for ever.
Position MultiPaxos::held_by_the_living() const {
  Position safe = std::min(commit_, held_by(options_.self));
  for (const Peer& other : peers_) {
    if (is_witness(other.id) || !view_.votes(other.id) || now_ - other.heard > options_.election_max) continue;
    safe = std::min(safe, other.match);
  }
  return safe;
}

void MultiPaxos::broadcast_heartbeat() {
  for (Peer& other : peers_) send_heartbeat(other, true);
}

void MultiPaxos::beat() {
  heartbeat_due_ = now_ + options_.heartbeat;
  broadcast_heartbeat();
  for (Peer& other : peers_) {
    if (other.snapshot) offer_snapshot(other);
  }
  // The page that is awaited goes again, or the last one for news of what is chosen; never all of them from the first
  // on, or an answer of more pages than fit between two heartbeats would have no end.
  for (Answer& answer : answers_) {
    if (answer.from == options_.self || (answer.complete && answer.commit + 1 >= prepare_from_)) continue;
    answer.complete = answer.refused = false;
    ask(answer);
  }
}

void MultiPaxos::go_back(Peer& other, Position to) {
  other.window.clear();
  other.refill_to = 0;
  other.next = to + 1;
}

// --- What is chosen ---

void MultiPaxos::advance_commit() {
  const auto held = [&](NodeId id) { return held_by(id); };
  Position candidate = std::min({quorum_position(electorate(), held), data_safe(view_), last_});
  if (planted(Bug::kCommitByOneLess)) {
    std::vector<Position> all;
    for (const Member& member : governing().members()) {
      if (governing().votes(member.id)) all.push_back(held_by(member.id));
    }
    std::sort(all.begin(), all.end(), std::greater<>());
    candidate = std::min(all[std::max<size_t>(majority(all.size()), 2) - 2], last_);
  }
  // A stop-sign: a majority of those who come hold everything, too, and enough of them with the commands, or a change
  // could take the data away.
  if (pending_ && candidate >= pending_->position &&
      std::min(quorum_position(view_, held), data_safe(pending_->target)) < pending_->position) {
    candidate = pending_->position - 1;
  }
  if (candidate <= commit_) return;
  commit_to(candidate);
  after_commit();
}

void MultiPaxos::commit_to(Position position) {
  const Position before = commit_;
  commit_ = position;
  verified_ = std::max(verified_, commit_);
  for (Position p = before + 1; p <= position; ++p) {
    const Acceptance* const vote = slots_.find(p);
    if (vote == nullptr) {
      CHECK(planted(Bug::kPaxosCommitByOlderVote));
      commit_ = p - 1;
      break;
    }
    if (leading()) uncommitted_bytes_ -= std::min(uncommitted_bytes_, cost(vote->entry));
    if (vote->entry.kind == EntryKind::kMembership) membership_chosen(p, vote->entry.payload);
  }
  if (!leading() && commit_ > untold_) untold_ = 0;  // those who chose what is above knew it
  extend_verified();
  while (!placed_.empty() && placed_.front().position <= commit_) {
    // In another reign the slot may have gone to another value.
    const Placed& placed = placed_.front();
    if (placed.ballot != promise_) {
      const Acceptance* const vote = slots_.find(placed.position);
      const bool ours =
          vote != nullptr && vote->entry.epoch == placed.ballot.round && vote->entry.payload == placed.value;
      if (!ours) out_.refused(placed.id, Refusal::kLost, leader_);
    }
    placed_.pop_front();
  }
  if (fetching_ && fetching_->meta.position <= position && !planted(Bug::kSnapshotOverCommitted)) stop_fetching();
  if (lost_to_ > 0 && before < lost_to_ && commit_ >= lost_to_) fact(FactKind::kHoleFilled, lost_to_);
}

// --- Answers ---

void MultiPaxos::handle(NodeId from, const Accepted& message) {
  Peer* const other = peer(from);
  if (other == nullptr) return;
  other->heard = now_;
  // One that knows more as chosen than was proposed in this reign, whose leader is behind a stop-sign.
  const Position accepted = std::min(message.upto, last_);
  if (message.lost) {
    // Damage took what it had accepted: what was chosen stays so, and it is sent again.
    if (accepted >= other->match) return;
    other->match = accepted;
    other->commit_sent = std::min(other->commit_sent, accepted);
    go_back(*other, accepted);
  } else if (!other->known) {
    other->known = true;
    other->match = std::max(other->match, accepted);
    go_back(*other, other->match);
  }
  const bool moved = accepted > other->match;
  other->match = std::max(other->match, accepted);
  other->next = std::max(other->next, other->match + 1);
  other->beyond = message.beyond;
  // A gap of more than one message is filled as fast as it is answered.
  if (moved && other->match < other->refill_to && other->match >= slots_.base()) {
    send_values(*other, other->match + 1, std::min(other->refill_to, last_));
  }
  other->window.acknowledged(other->match);
  if (other->snapshot && other->match >= slots_.base()) {
    other->snapshot = false;
    go_back(*other, other->match);
  }
  advance_commit();
}

void MultiPaxos::handle(NodeId from, const HeartbeatReply& reply) {
  Peer* const other = peer(from);
  if (other == nullptr) return;
  if (reply.round > gate_.newest_round() && !planted(Bug::kReadRoundOfOldReign)) {
    fact(FactKind::kMessageRefused, 0, from, reply.round, "confirms a round that was never started");
    return;
  }
  other->heard = now_;
  other->round = std::max(other->round, reply.round);
  other->commit = std::max(other->commit, reply.commit);
  if (reply.stamp <= static_cast<uint64_t>(now_)) {
    other->stamp = std::max(other->stamp, planted(Bug::kLeaseFromReceipt) ? static_cast<uint64_t>(now_) : reply.stamp);
  }
  if (now_ - other->checked >= options_.heartbeat) {
    if (other->known && !other->snapshot && other->match < last_ && other->match == other->match_at_check &&
        other->next > other->match + 1) {
      // Nothing moved for a heartbeat: something was lost. What it has behind the gap need not come again.
      const bool here = other->match >= slots_.base();
      if (here && other->beyond > other->match + 1 && other->beyond <= last_) {
        other->refill_to = other->beyond - 1;
        send_values(*other, other->match + 1, other->refill_to);
      } else {
        go_back(*other, other->match);
      }
    }
    other->match_at_check = other->match;
    other->checked = now_;
  }
  confirm_reads();
  if (reply.commit > last_ && settled_) learn_of(from);
  count_told();
}

}  // namespace clew::consensus

// Phase 3, broadcast (Zab §4, Algorithm 3): proposals in the order of their zxids, acknowledged when they are durable,
// committed in order by a quorum. Pipelined; the leader's own disk works in parallel with the network. DIFF in
// synchronisation takes the same way. Both sides.
#include <algorithm>

#include "consensus/planted.h"
#include "consensus/raft/records.h"
#include "consensus/zab/zab.h"

namespace clew::consensus {

using raft::append_entry;
using raft::encoded_bound;
using raft::kMaxNumber;
using raft::PeerState;
using zab::Ack;
using zab::append_message_head;
using zab::Commit;
using zab::FollowerProgress;
using zab::NewEpoch;
using zab::Ping;
using zab::Pong;
using zab::Propose;
using zab::Step;

// --- The leader: sending ---

FollowerProgress* Zab::peer(NodeId id) {
  for (FollowerProgress& other : peers_) {
    if (other.id() == id) return &other;
  }
  return nullptr;
}

const FollowerProgress* Zab::peer(NodeId id) const { return const_cast<Zab*>(this)->peer(id); }

void Zab::sync_peers() {
  std::erase_if(peers_, [&](const FollowerProgress& other) { return !electorate_.contains(other.id()); });
  for (const Member& member : electorate_.members()) {
    if (member.id != options_.self && peer(member.id) == nullptr) peers_.emplace_back(member.id, options_.window, now_);
  }
}

void Zab::append_own(EntryKind kind, Payload payload) {
  Entry entry{reign_, kind, std::move(payload)};
  uncommitted_bytes_ += cost(entry);
  ++appended_now_;
  log_.append(std::move(entry));
  if (kind == EntryKind::kMembership) membership_appended(log_.last(), log_.at(log_.last()).payload);
}

void Zab::replicate() {
  for (FollowerProgress& other : peers_) replicate_to(other);
}

void Zab::replicate_to(FollowerProgress& other) {
  if (other.step < Step::kSyncing) return;
  const bool active = other.step == Step::kActive;
  const Position limit = active ? log_.last() : reign_start_.position;
  while (other.progress.may_send() && other.progress.next <= limit) {
    if (other.progress.next <= log_.base()) {
      offer_snapshot(other);
      break;
    }
    send_entries(other, limit);
  }
  const bool synchronised = other.progress.match >= reign_start_.position || planted(Bug::kZabNewLeaderUnchecked);
  if (other.step == Step::kSyncing && synchronised) tell_new_leader(other);
  // A commit that no proposal carried goes by itself, so that followers need not wait for a ping to apply it.
  if (active && other.progress.commit_sent < std::min(commit_, other.progress.match)) {
    other.progress.commit_sent = commit_;
    send(other.id(), Commit{reign_, commit_});
  }
}

void Zab::send_entries(FollowerProgress& other, Position limit) {
  raft::Progress& progress = other.progress;
  const Propose head{reign_, other.step != Step::kActive, point(progress.next - 1), commit_, {}};
  Position last = progress.next - 1;
  uint64_t bytes = 0;
  size_t room = 64;
  while (last < limit && (last < progress.next || bytes + cost(log_.at(last + 1)) <= options_.max_message_bytes)) {
    const Entry& entry = log_.at(++last);
    bytes += cost(entry);
    room += encoded_bound(entry);
  }
  std::string frame;
  frame.reserve(room);
  append_message_head(frame, head, last + 1 - progress.next);
  for (Position p = progress.next; p <= last; ++p) append_entry(frame, log_.at(p), false);
  progress.commit_sent = std::max(progress.commit_sent, std::min(commit_, last));
  progress.sent(last, bytes);
  out_.send(other.id(), std::move(frame), After::kState);
}

void Zab::ping(FollowerProgress& other, bool wants_reply) {
  Ping m;
  m.epoch = reign_ != 0 ? reign_ : accepted_;
  m.established = reigns();
  m.wants_reply = wants_reply;
  m.election = round_;
  m.commit = commit_;
  m.round = gate_.newest_round();
  m.stamp = static_cast<uint64_t>(now_);
  if (options_.leases && reigns()) m.lease_ns = static_cast<uint64_t>(options_.election_min);
  send(other.id(), m);
}

void Zab::beat() {
  heartbeat_due_ = now_ + options_.heartbeat;
  for (FollowerProgress& other : peers_) {
    ping(other, true);
    // What may have been lost goes again.
    if (other.step == Step::kJoined && reign_ != 0) send(other.id(), NewEpoch{reign_});
    if (other.step == Step::kTold) tell_new_leader(other);
    if (other.step >= Step::kSyncing && other.progress.state == PeerState::kSnapshot) offer_snapshot(other);
  }
}

// --- The leader: commitment ---

// Only who acknowledged NEWLEADER counts: the others may still be told to cut what they have.
Position Zab::held_by(NodeId id) const {
  if (id == options_.self) return log_.durable_position();
  const FollowerProgress* const other = peer(id);
  return other == nullptr || other->step != Step::kActive ? 0 : other->progress.match;
}

void Zab::advance_commit() {
  if (!reigns()) return;
  Position candidate = quorum_position(electorate_, [&](NodeId id) { return held_by(id); });
  if (planted(Bug::kZabCommitByOneLess)) {
    std::vector<Position> held;
    for (const Member& member : electorate_.members()) {
      if (electorate_.votes(member.id)) held.push_back(held_by(member.id));
    }
    std::sort(held.begin(), held.end(), std::greater<>());
    candidate = held[std::max<size_t>(majority(held.size()), 2) - 2];
  }
  candidate = std::min(candidate, log_.last());
  if (candidate > commit_) commit_to(candidate);
}

void Zab::commit_to(Position position) {
  const Position before = commit_;
  if (leading()) {
    for (Position p = commit_ + 1; p <= position; ++p) uncommitted_bytes_ -= cost(log_.at(p));
  }
  commit_ = position;
  while (!placed_.empty() && placed_.front().position <= position) placed_.pop_front();
  if (fetching_ && fetching_->fetch.meta.position <= position) stop_fetching();
  after_commit(before);
}

// --- The leader: answers ---

void Zab::handle(NodeId from, const Ack& m) {
  FollowerProgress& other = *peer(from);
  raft::Progress& progress = other.progress;
  if (other.step < Step::kSyncing) return;
  if (m.kind == Ack::Kind::kRejected ? m.last > kMaxNumber : m.position > log_.last()) {
    fact(FactKind::kMessageRefused, m.position, from, 0, "acknowledges what was never sent");
    return;
  }
  switch (m.kind) {
    case Ack::Kind::kHistory:
    case Ack::Kind::kHeld: {
      // Out of a snapshot only by an answer that the log can go on from.
      if (progress.state == PeerState::kSnapshot && std::max(progress.match, m.position) >= log_.base()) {
        progress.probe(m.position + 1);
      }
      const bool news = progress.accepted(m.position);
      if (news && stage_ != Stage::kBroadcast) establish_until_ = now_ + 4 * options_.election_max;
      if (m.kind == Ack::Kind::kHistory) acknowledged_history(other);
      advance_commit();
      return;
    }
    case Ack::Kind::kRejected: {
      if (progress.state == PeerState::kSnapshot) return;
      const Position expected = progress.state == PeerState::kProbe ? progress.next - 1 : m.position;
      if (m.position != expected || m.position <= progress.match) return;  // late
      if (progress.state == PeerState::kReplicate) progress.went_back();
      progress.probe(std::min(m.last, m.position - 1) + 1);
      return;
    }
  }
}

void Zab::handle(NodeId from, const Pong& m) {
  FollowerProgress& other = *peer(from);
  raft::Progress& progress = other.progress;
  if (m.round > gate_.newest_round()) {
    fact(FactKind::kMessageRefused, 0, from, m.round, "confirms a round that was never started");
    return;
  }
  if (other.step == Step::kAbsent) {
    // It was no member for a while, and follows all the same: begin with what it has.
    other.step = Step::kJoined;
    other.info = {m.epoch, options_.self};
    send(from, NewEpoch{reign_});
  }
  progress.round = std::max(progress.round, m.round);
  if (m.stamp <= static_cast<uint64_t>(now_)) progress.stamp = std::max(progress.stamp, m.stamp);
  if (m.busy && stage_ != Stage::kBroadcast) establish_until_ = now_ + 4 * options_.election_max;
  if (m.hole && m.last < progress.match) {
    // Damage took what it had acknowledged: what was committed stays so, and it is sent again.
    progress.match = m.last;
    if (progress.state != PeerState::kSnapshot) progress.probe(m.last + 1);
  }
  if (now_ - progress.checked >= options_.heartbeat) {
    if (progress.state == PeerState::kProbe) progress.probe_sent = false;  // a lost probe goes again
    if (other.step >= Step::kSyncing && progress.state == PeerState::kReplicate && progress.window.messages() > 0 &&
        progress.match == progress.match_at_check) {
      // Nothing was acknowledged for a heartbeat. A proposal without transactions asks: was one lost, or an answer?
      if (progress.next <= log_.base()) {
        progress.probe(progress.match + 1);  // compacted meanwhile
      } else {
        send(from, Propose{reign_, other.step != Step::kActive, point(progress.next - 1), commit_, {}});
      }
    }
    progress.match_at_check = progress.match;
    progress.checked = now_;
  }
  confirm_reads();
}

// --- The follower ---

void Zab::learn_commit(Position commit) {
  if (current_ != accepted_ && !planted(Bug::kZabCommitSkips)) return;  // what stands here may still have to go
  const Position known = std::min(commit, log_.last());
  if (known > commit_ || planted(Bug::kZabCommitsReordered)) commit_to(known);
}

// A membership that cannot follow the one before it is not taken: every node would have to work with it.
bool Zab::possible(const Propose& m) const {
  Membership before = configs_.at(m.prev.position).membership;
  for (const Entry& entry : m.entries) {
    if (entry.kind != EntryKind::kMembership) continue;
    const Result<Membership> parsed = Membership::parse(entry.payload.view());
    if (!parsed.ok() || !zab::Options::accepts(*parsed).ok() || !before.can_become(*parsed).ok()) return false;
    before = *parsed;
  }
  return true;
}

void Zab::handle(NodeId from, Propose& m) {
  const Epoch newest = m.entries.empty() ? m.prev.zxid.epoch : m.entries.back().epoch;
  if (newest >= m.epoch && current_ != m.epoch && !planted(Bug::kZabStaleEpochAccepted)) return;  // overtook NEWLEADER
  if (log_.bytes() > options_.max_log_bytes || !possible(m)) {
    fact(FactKind::kMessageRefused, 0, from, 0,
         log_.bytes() > options_.max_log_bytes ? "the log's memory is full" : "a membership that cannot be");
    return;  // it comes again
  }
  Position prev = m.prev.position;
  size_t skip = 0;
  if (prev < commit_) {
    // What is committed is the same everywhere; it may be compacted here, so that it is not looked at.
    skip = std::min<uint64_t>(commit_ - prev, m.entries.size());
    prev += skip;
    if (prev < commit_) {
      ack_ = std::max(ack_.value_or(0), commit_);
      return;
    }
  }
  const bool whole = prev >= log_.base() && prev <= log_.last();
  if (!whole || (skip == 0 && point(prev) != m.prev)) {
    if (planted(Bug::kZabGapAccepted) && prev > log_.last() && !m.entries.empty()) {
      prev = log_.last();
    } else {
      send(from, Ack{m.epoch, Ack::Kind::kRejected, prev, log_.last()});
      return;
    }
  }
  const bool had_hole = log_.has_hole();
  const Position last_before = log_.last();
  const size_t count = m.entries.size() - skip;
  std::optional<Position> cut;
  for (size_t i = 0; i < count; ++i) {
    const Epoch epoch = m.entries[skip + i].epoch;
    const auto went = log_.take(prev + 1 + i, std::move(m.entries[skip + i]));
    if (went && (!cut || *went < *cut)) cut = went;
    // Whoever has a transaction of an epoch has that epoch's initial history before it.
    if (epoch > current_) {
      current_ = epoch;
      state_dirty_ = true;
    }
  }
  if (cut) note_cut(*cut);
  if (cut && *cut <= commit_) {
    halt("a proposal contradicts what is committed at " + std::to_string(*cut) + "; compare the logs of the members");
    return;
  }
  take_memberships(std::min(cut.value_or(last_before + 1), last_before + 1));
  if (had_hole && !log_.has_hole()) fact(FactKind::kHoleFilled, log_.last());
  if (log_.last() > last_before) appended_now_ += log_.last() - last_before;
  const Position verified = prev + count;
  if (!m.diff) learn_commit(std::min(m.commit, verified));
  synchronised_ = std::max(synchronised_, verified);
  ack_ = std::max(ack_.value_or(0), verified);
}

void Zab::handle(NodeId, const Commit& m) { learn_commit(m.commit); }

void Zab::handle(NodeId from, const Ping& m) {
  if (leading()) {
    if (!m.established) return;
    if (reigns() && m.epoch == reign_) {
      halt("two leaders in epoch " + std::to_string(reign_) + ": " + std::to_string(number(options_.self)) + " and " +
           std::to_string(number(from)) + "; promises were broken, compare the logs of both");
      return;
    }
    if (m.epoch < current_) {
      if (reigns()) notify(from);  // its reign is over
      return;
    }
    if (m.epoch < accepted_) return;
    resign("another leader is established in a later epoch");
  }
  if (phase_ == Phase::kFollowing && from != leader_) {
    const bool later = m.epoch > accepted_ || (m.epoch == accepted_ && promised_to_ == from);
    if (m.established && stage_ == Stage::kBroadcast && m.epoch < current_) notify(from);
    if (!m.established || (stage_ != Stage::kDiscovery && !later)) return;
    leave("another leader is established");
  }
  if (phase_ == Phase::kLooking) {
    // Whoever is established is followed; and who says that a quorum would have it, unless that came to nothing.
    if (!m.established && ballot_.leader != from && avoids(from)) return;
    round_ = std::max(round_, m.election);
    follow(from);
    return;
  }
  heard_leader();
  if (!follows(from, m.epoch)) {
    if (m.epoch > accepted_) join();  // NEWEPOCH was lost
    return;
  }
  const Time lease = static_cast<Time>(std::min<uint64_t>(m.lease_ns, static_cast<uint64_t>(options_.election_max)));
  if (lease > 0) {
    leased_until_ = std::max(leased_until_, now_ + lease);
    leased_to_ = from;
  }
  if (m.established) handle(from, zab::UpToDate{m.epoch, m.commit});
  if (planted(Bug::kZabCommitSkips)) learn_commit(m.commit);
  if (m.wants_reply) send(from, Pong{m.epoch, m.round, m.stamp, log_.last(), log_.has_hole(), fetching_.has_value()});
}

}  // namespace clew::consensus

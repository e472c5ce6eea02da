#include "consensus/multipaxos/multipaxos.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "consensus/planted.h"

namespace clew::consensus {

using multipaxos::Accept;
using multipaxos::Acceptance;
using multipaxos::Accepted;
using multipaxos::Ballot;
using multipaxos::ballot_of;
using multipaxos::decode;
using multipaxos::encode;
using multipaxos::Heartbeat;
using multipaxos::HeartbeatReply;
using multipaxos::Message;
using multipaxos::Options;
using multipaxos::ReadReply;
using multipaxos::ReadRequest;
using multipaxos::State;
using multipaxos::TimeoutNow;

MultiPaxos::MultiPaxos(Options options, uint64_t seed)
    : options_(std::move(options)),
      random_(seed),
      gate_(options_.max_waiting_reads),
      forwarded_(options_.max_waiting_reads, options_.heartbeat) {
  CHECK(options_.check().ok());
}

// --- Inputs ---

void MultiPaxos::advance_clock(Time now) { now_ = std::max(now_, now); }

void MultiPaxos::tick(Time now) {
  advance_clock(now);
  if (!started_ || out_.halted()) return;
  if (leading()) {
    if (now_ >= quorum_check_due_) check_quorum();
    if (leading() && now_ >= heartbeat_due_) beat();
    if (transfer_ && now_ >= transfer_->deadline) abort_transfer("the successor did not take over in time");
    return;
  }
  forwarded_.tick(now_);
  if (now_ >= election_deadline_) campaign(true, Ballot());
}

void MultiPaxos::receive(Time now, NodeId from, std::string_view frame) {
  advance_clock(now);
  if (!started_ || out_.halted()) return;
  if (from == kNobody || from == options_.self) {
    fact(FactKind::kMessageRefused, 0, from, 0, "from nobody or myself");
    return;
  }
  Result<Message> message = decode(frame);
  if (!message.ok()) {
    static constexpr std::string_view kReasons[] = {"unknown version", "unknown type"};
    std::string_view reason = "malformed";
    for (std::string_view known : kReasons) {
      if (message.error().message == known) reason = known;
    }
    fact(FactKind::kMessageRefused, 0, from, 0, reason);
    return;
  }
  dispatch(from, *message);
}

void MultiPaxos::dispatch(NodeId from, Message& message) {
  const Ballot ballot = ballot_of(message);
  const Ballot before = promise_;
  const bool leads = std::holds_alternative<Accept>(message) || std::holds_alternative<Heartbeat>(message);
  if (leads) {
    if (ballot.none() || ballot.proposer != from) {
      fact(FactKind::kMessageRefused, 0, from, 0, "leads under another's ballot");
      return;
    }
    if (ballot < promise_) return refuse(from, ballot, false);  // its reign is over: it learns so
    // To hear a leader is to promise: nothing older is accepted from now on (scenario 27).
    if (ballot > promise_) raise_promise(ballot);
    follow(from);
  } else if (std::holds_alternative<TimeoutNow>(message) || std::holds_alternative<ReadReply>(message)) {
    if (ballot != promise_ || from != leader_) return;
  } else if (std::holds_alternative<Accepted>(message) || std::holds_alternative<HeartbeatReply>(message) ||
             std::holds_alternative<ReadRequest>(message)) {
    if (!leading()) return;
    const bool old = ballot != promise_;
    if (old && !(planted(Bug::kReadRoundOfOldReign) && std::holds_alternative<HeartbeatReply>(message)) &&
        !(planted(Bug::kPaxosAcceptedOfOldBallot) && std::holds_alternative<Accepted>(message))) {
      return;
    }
  }
  std::visit([&](auto& m) { handle(from, m); }, message);
  if (planted(Bug::kPaxosAcceptWithoutPromise) && leads && promise_ > before) {
    flush();
    send_acknowledgement();
    promise_ = before;
  }
}

void MultiPaxos::propose(Time now, ProposalId id, Payload command) {
  advance_clock(now);
  const auto refuse = [&](Refusal why) { out_.refused(id, why, leader_); };
  if (!started_ || out_.halted() || !leading()) return refuse(Refusal::kNotLeader);
  // Nothing stands above a stop-sign before it is chosen and the members behind it have promised.
  if (transfer_ || ((!settled_ || change_pending()) && !planted(Bug::kPaxosBeyondStopSign))) {
    return refuse(Refusal::kNotReady);
  }
  const uint64_t bytes = cost(Entry{promise_.round, EntryKind::kCommand, command});
  if (uncommitted_bytes_ + bytes > options_.max_uncommitted_bytes || slots_.bytes() + bytes > options_.max_log_bytes ||
      last_ - commit_ >= options_.max_open_slots) {
    return refuse(Refusal::kOverloaded);
  }
  place(id, EntryKind::kCommand, std::move(command));
}

void MultiPaxos::durable(Time now, LogSeq seq) {
  advance_clock(now);
  if (!out_.durable(seq)) return;
  while (!writes_.empty() && writes_.front().seq <= seq) {
    durable_position_ = std::max(durable_position_, writes_.front().upto);
    writes_.pop_front();
  }
  update_release();
  if (phase_ == Phase::kPreparing || (leading() && !settled_)) count_answers();
  if (leading()) advance_commit();  // the own disk counts like a peer
  count_told();
}

void MultiPaxos::connection(Time now, NodeId id, bool up) {
  advance_clock(now);
  if (!started_ || out_.halted()) return;
  if (leading()) {
    Peer* const other = peer(id);
    if (other == nullptr) return;
    if (up) {
      send_heartbeat(*other, true);
    } else {
      other->known = false;  // until it says where it stands
    }
    return;
  }
  if (up || id != leader_) return;
  // A hint that the leader died: ask the others soon whether they think so too. An error is harmless: to ask raises
  // nothing. Promises are withheld no longer on the leader's behalf, except under its lease.
  withheld_until_ = 0;
  const Time soon = std::max(now_, leased_until_) + 1 +
                    static_cast<Time>(random_.below(static_cast<uint64_t>(options_.heartbeat / 2)));
  election_deadline_ = std::min(election_deadline_, soon);
}

void MultiPaxos::verified(Time, VerifyId, bool) {}  // Paxos asks for no verification

// --- Outputs ---

void MultiPaxos::send(NodeId to, const Message& message, After after) { out_.send(to, encode(message), after); }

void MultiPaxos::fact(FactKind kind, Position position, NodeId peer, uint64_t value, std::string_view reason) {
  out_.fact({kind, now_, promise_.round, position, peer, value, reason});
}

void MultiPaxos::halt(std::string why) {
  if (out_.halted()) return;
  fact(FactKind::kHalted, 0, kNobody, 0, "a broken invariant");
  out_.halt(std::move(why));
}

// Whoever proposed a change of the voters and delivers it answers the operator, who may switch off then whom it
// removed: so a stop-sign waits until a majority of the members behind it is known to know that it was chosen. What was
// known when this node was started nobody waits for any more.
Position MultiPaxos::deliverable() const {
  const bool held = untold_ > known_at_start_ && !planted(Bug::kPaxosDeliveredUntold);
  return held ? std::min(commit_, untold_ - 1) : commit_;
}

void MultiPaxos::deliver(Effects& effects) {
  if (is_witness()) {
    delivered_ = std::max(delivered_, commit_);
    compact_witness();
    return;
  }
  const Position limit = deliverable();
  uint64_t bytes = 0;
  while (delivered_ < limit && bytes < options_.max_delivery_bytes) {
    const Acceptance* const vote = slots_.find(delivered_ + 1);
    CHECK(vote != nullptr);
    ++delivered_;
    bytes += cost(vote->entry);
    effects.deliveries.push_back({delivered_, vote->entry});
  }
}

void MultiPaxos::collect(Time now, Effects& effects) {
  advance_clock(now);
  if (started_ && !out_.halted()) {
    if (leading()) {
      advance_transfer();
      start_read_round();
    } else {
      forward_reads();
    }
    flush();
    if (leading()) replicate();
    send_acknowledgement();
  }
  if (appended_now_ > 0) fact(FactKind::kAppended, slots_.high(), kNobody, std::exchange(appended_now_, 0));
  if (commit_ > commit_told_) {
    fact(FactKind::kCommitted, commit_, kNobody, commit_ - commit_told_);
    commit_told_ = commit_;
  }
  if (started_ && !out_.halted()) deliver(effects);
  out_.collect(effects);
}

Time MultiPaxos::deadline() const {
  if (!started_ || out_.halted()) return kNever;
  if (delivered_ < deliverable() && !is_witness()) return now_;
  if (!leading()) return std::min(election_deadline_, forwarded_.deadline());
  const Time due = std::min(heartbeat_due_, quorum_check_due_);
  return transfer_ ? std::min(due, transfer_->deadline) : due;
}

bool MultiPaxos::is_witness(NodeId id) const {
  const Member* const member = view_.find(id);
  return member != nullptr && member->role == Role::kWitness;
}

bool MultiPaxos::is_witness() const { return metadata_only_ || snapshot_metadata_only_ || is_witness(options_.self); }

Standing MultiPaxos::standing() const {
  if (leading()) return Standing::kLeader;
  if (is_witness()) return Standing::kWitness;
  if (recovering()) return Standing::kRecovering;
  if (phase_ != Phase::kFollower) return Standing::kCandidate;
  return governing().votes(options_.self) ? Standing::kFollower : Standing::kLearner;
}

Report MultiPaxos::report() const {
  Report report;
  report.standing = standing();
  report.epoch = promise_.round;
  report.leader = leader_;
  report.first = slots_.first();
  report.last = leading() ? last_ : slots_.high();
  report.committed = commit_;
  report.delivered = delivered_;
  report.durable_position = std::min(durable_position_, upto());
  report.snapshot = snapshot_;
  report.log_bytes = slots_.bytes();
  report.uncommitted_bytes = uncommitted_bytes_;
  for (const Peer& peer : peers_) {
    report.peers.push_back({peer.id, peer.match, now_ - peer.heard <= options_.election_max});
  }
  return report;
}

std::optional<EntryId> MultiPaxos::entry_at(Position position) const {
  const Acceptance* const vote = slots_.find(position);
  if (vote == nullptr) return std::nullopt;
  return identity(vote->entry);
}

const Membership& MultiPaxos::electorate() const {
  if (!planted(Bug::kLearnerCounts)) return governing();
  static thread_local Membership everybody;
  std::vector<NodeId> ids;
  for (const Member& member : governing().members()) ids.push_back(member.id);
  everybody = ids.empty() ? Membership() : Membership::of_voters(ids);
  return everybody;
}

State MultiPaxos::state() const {
  State state;
  state.self = options_.self;
  state.standing = standing();
  state.leading = leading();
  state.settled = settled_;
  state.sure = sure_of_reign();
  state.promise = promise_;
  state.leader = leader_;
  state.commit = commit_;
  state.delivered = delivered_;
  state.upto = upto();
  state.durable = std::min(durable_position_, upto());
  state.snapshot = snapshot_.position;
  state.last = last_;
  state.reign_start = reign_start_;
  state.stop_sign = pending_ ? pending_->position : 0;
  state.lost_to = lost_to_;
  state.lease_until = leading() ? lease_until() : 0;
  state.membership_position = configs_.newest().position;
  state.next_seq = out_.last_record() + 1;
  state.durable_seq = out_.durable_seq();
  for (const Peer& peer : peers_) state.peers.push_back({peer.id, peer.match, peer.next});
  return state;
}

Status MultiPaxos::check_invariants() const {
  if (!started_ || out_.halted()) return {};
  return transitions_.check(state(), slots_);
}

}  // namespace clew::consensus

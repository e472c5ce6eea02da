#include "consensus/raft/raft.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "consensus/planted.h"

namespace clew::consensus {

using raft::AppendReply;
using raft::AppendRequest;
using raft::decode;
using raft::encode;
using raft::Heartbeat;
using raft::HeartbeatReply;
using raft::Message;
using raft::Options;
using raft::PeerState;
using raft::Progress;
using raft::ReadReply;
using raft::SnapshotOffer;
using raft::State;
using raft::term_of;
using raft::VoteReply;
using raft::VoteRequest;

Raft::Raft(Options options, uint64_t seed)
    : options_(std::move(options)),
      random_(seed),
      gate_(options_.max_waiting_reads),
      forwarded_(options_.max_waiting_reads, options_.heartbeat) {
  CHECK(options_.check().ok());
}

// --- Inputs ---

void Raft::advance_clock(Time now) { now_ = std::max(now_, now); }

void Raft::tick(Time now) {
  advance_clock(now);
  if (!started_ || out_.halted()) return;
  if (leading()) {
    if (now_ >= quorum_check_due_) check_quorum();
    if (leading() && now_ >= heartbeat_due_) beat();
    if (transfer_ && now_ >= transfer_->deadline) abort_transfer("the successor did not take over in time");
    return;
  }
  forwarded_.tick(now_);
  if (now_ >= election_deadline_) campaign(true, false);
}

void Raft::receive(Time now, NodeId from, std::string_view frame) {
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

namespace {

// Only a leader of its term sends these.
bool from_leader(const Message& message) {
  return std::holds_alternative<AppendRequest>(message) || std::holds_alternative<Heartbeat>(message) ||
         std::holds_alternative<SnapshotOffer>(message);
}

}  // namespace

void Raft::dispatch(NodeId from, Message& message) {
  const Epoch term = term_of(message);
  if (const auto* request = std::get_if<VoteRequest>(&message)) {
    // Neither a vote nor its term may disturb a group whose leader lives (Raft §6, thesis §4.2.3).
    if (term > term_ && withholds_vote(*request)) {
      fact(FactKind::kVoteRefused, 0, from, 0, "the leader lives");
      if (request->pre) send(from, VoteReply{term_, true, false}, After::kNothing);
      return;
    }
    if (request->pre) {
      handle(from, *request);
      return;
    }
  }
  const auto* vote = std::get_if<VoteReply>(&message);
  const bool promise = vote != nullptr && vote->pre && vote->granted;  // of a term that nobody is in yet
  if (term > term_ && !promise) become_follower(term, kNobody, "a higher term");
  if (term < term_) {
    const bool accept = (planted(Bug::kStaleTermAccepted) && std::holds_alternative<AppendRequest>(message)) ||
                        (planted(Bug::kElectedByOldVotes) && vote != nullptr) ||
                        (planted(Bug::kReadRoundOfOldReign) && std::holds_alternative<HeartbeatReply>(message)) ||
                        (planted(Bug::kReadContextReused) && std::holds_alternative<ReadReply>(message));
    if (!accept) {
      handle_stale(from, message);
      return;
    }
  }
  if (from_leader(message)) {
    if (leading()) {
      if (planted(Bug::kStaleTermAccepted) && term < term_) return;
      halt("two leaders in term " + std::to_string(term_) + ": " + std::to_string(number(options_.self)) + " and " +
           std::to_string(number(from)) + "; election safety is broken, compare the logs of both");
      return;
    }
    follow(from);
  }
  std::visit([&](auto& m) { handle(from, m); }, message);
}

void Raft::handle_stale(NodeId from, const Message& message) {
  // A leader of an earlier term learns that it is over, so that a member with a higher term cannot be stuck outside
  // (it would take entries from nobody).
  if (from_leader(message)) {
    send(from, AppendReply{term_, AppendReply::Outcome::kStale, 0, 0, 0});
  } else if (const auto* request = std::get_if<VoteRequest>(&message)) {
    send(from, VoteReply{term_, request->pre, false});
  }
}

void Raft::propose(Time now, ProposalId id, Payload command) {
  advance_clock(now);
  const auto refuse = [&](Refusal why) { out_.refused(id, why, leader_); };
  if (!started_ || out_.halted() || !leading()) return refuse(Refusal::kNotLeader);
  if (transfer_) return refuse(Refusal::kNotReady);
  const uint64_t bytes = cost(Entry{term_, EntryKind::kCommand, command});
  if (uncommitted_bytes_ + bytes > options_.max_uncommitted_bytes || log_.bytes() + bytes > options_.max_log_bytes) {
    return refuse(Refusal::kOverloaded);
  }
  append_own(EntryKind::kCommand, std::move(command));
  placed_.push_back({log_.last(), id});
  out_.placed(id, log_.last());
}

void Raft::durable(Time now, LogSeq seq) {
  advance_clock(now);
  if (!out_.durable(seq)) return;
  log_.durable(seq);
  update_release();
  if (leading()) advance_commit();  // the own disk counts like a peer (thesis §10.2.1)
}

void Raft::connection(Time now, NodeId peer, bool up) {
  advance_clock(now);
  if (!started_ || out_.halted()) return;
  if (leading()) {
    Progress* const other = progress(peer);
    if (other == nullptr) return;
    if (up) {
      send_heartbeat(*other, true);
    } else if (other->state == PeerState::kReplicate) {
      other->probe(other->match + 1);
      other->probe_sent = true;  // until it answers a heartbeat
    }
    return;
  }
  if (up || peer != leader_) return;
  // A hint that the leader died: ask the others soon whether they think so too. The pre-vote makes an error harmless.
  // Votes are withheld no longer on the leader's behalf, except under its lease.
  withheld_until_ = 0;
  const Time spread = options_.heartbeat / 2 + options_.priority * (options_.election_max - options_.election_min);
  const Time soon = std::max(now_, leased_until_) + 1 + static_cast<Time>(random_.below(static_cast<uint64_t>(spread)));
  election_deadline_ = std::min(election_deadline_, soon);
}

void Raft::verified(Time, VerifyId, bool) {}  // Raft asks for no verification

// --- Outputs ---

void Raft::send(NodeId to, const Message& message, After after) { out_.send(to, encode(message), after); }

void Raft::fact(FactKind kind, Position position, NodeId peer, uint64_t value, std::string_view reason) {
  out_.fact({kind, now_, term_, position, peer, value, reason});
}

void Raft::halt(std::string why) {
  if (out_.halted()) return;
  fact(FactKind::kHalted, 0, kNobody, 0, "a broken invariant");
  out_.halt(std::move(why));
}

void Raft::deliver(Effects& effects) {
  if (is_witness()) {
    delivered_ = commit_;
    compact_witness();
    return;
  }
  uint64_t bytes = 0;
  while (delivered_ < commit_ && bytes < options_.max_delivery_bytes) {
    const Entry* entry = log_.find(delivered_ + 1);
    if (entry == nullptr && planted(Bug::kHoleSkipped)) {
      ++delivered_;
      continue;
    }
    CHECK(entry != nullptr);
    ++delivered_;
    bytes += cost(*entry);
    effects.deliveries.push_back({delivered_, *entry});
  }
}

void Raft::collect(Time now, Effects& effects) {
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
    if (ack_ && leader_ != kNobody) {
      const AppendReply reply{term_, AppendReply::Outcome::kAccepted, *ack_, 0, 0};
      out_.send(leader_, encode(reply), After::kState, planted(Bug::kAckBeforeDurable) ? 0 : log_.needed_for(*ack_));
    }
    ack_.reset();
  }
  if (appended_now_ > 0) fact(FactKind::kAppended, log_.last(), kNobody, std::exchange(appended_now_, 0));
  if (commit_ > commit_told_) {
    fact(FactKind::kCommitted, commit_, kNobody, commit_ - commit_told_);
    commit_told_ = commit_;
  }
  if (started_ && !out_.halted()) deliver(effects);
  out_.collect(effects);
}

Time Raft::deadline() const {
  if (!started_ || out_.halted()) return kNever;
  if (delivered_ < commit_ && !is_witness()) return now_;
  if (!leading()) return std::min(election_deadline_, forwarded_.deadline());
  const Time due = std::min(heartbeat_due_, quorum_check_due_);
  return transfer_ ? std::min(due, transfer_->deadline) : due;
}

bool Raft::is_witness() const { return metadata_only_ || is_witness(options_.self); }

Standing Raft::standing() const {
  if (leading()) return Standing::kLeader;
  if (is_witness()) return Standing::kWitness;  // also with a hole: it has no commands either way
  if (log_.has_hole()) return Standing::kRecovering;
  if (phase_ == Phase::kCandidate || phase_ == Phase::kPreCandidate) return Standing::kCandidate;
  return membership().votes(options_.self) ? Standing::kFollower : Standing::kLearner;
}

Report Raft::report() const {
  Report report;
  report.standing = standing();
  report.epoch = term_;
  report.leader = leader_;
  report.first = log_.first();
  report.last = log_.true_last();
  report.committed = commit_;
  report.delivered = delivered_;
  report.durable_position = log_.durable_position();
  report.snapshot = snapshot_;
  report.log_bytes = log_.bytes();
  report.uncommitted_bytes = uncommitted_bytes_;
  for (const Progress& peer : peers_) {
    report.peers.push_back({peer.id, peer.match, now_ - peer.heard <= options_.election_max});
  }
  return report;
}

std::optional<EntryId> Raft::entry_at(Position position) const {
  const Entry* entry = log_.find(position);
  if (entry == nullptr) return std::nullopt;
  return identity(*entry);
}

const Membership& Raft::electorate() const {
  if (planted(Bug::kMembershipAtApply)) return configs_.at(delivered_).membership;
  if (planted(Bug::kJointNewMajorityOnly) && membership().joint()) {
    static thread_local Membership incoming;
    incoming = membership().leave_joint();
    return incoming;
  }
  if (planted(Bug::kLearnerCounts)) {
    static thread_local Membership everybody;
    std::vector<NodeId> ids;
    for (const Member& member : membership().members()) ids.push_back(member.id);
    everybody = ids.empty() ? Membership() : Membership::of_voters(ids);
    return everybody;
  }
  return membership();
}

State Raft::state() const {
  State state;
  state.self = options_.self;
  state.standing = standing();
  state.leading = leading();
  state.may_lead = membership().may_lead(options_.self);
  state.term = term_;
  state.vote = vote_;
  state.leader = leader_;
  state.commit = commit_;
  state.delivered = delivered_;
  state.snapshot = snapshot_.position;
  state.reign_start = reign_start_;
  state.lease_until = leading() ? lease_until() : 0;
  state.membership_position = configs_.newest().position;
  state.next_seq = out_.last_record() + 1;
  state.durable_seq = out_.durable_seq();
  for (const Progress& peer : peers_) state.peers.push_back({peer.id, peer.match, peer.next});
  return state;
}

Status Raft::check_invariants() const {
  if (!started_ || out_.halted()) return {};
  return transitions_.check(state(), log_);
}

}  // namespace clew::consensus

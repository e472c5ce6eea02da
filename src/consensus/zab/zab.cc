#include "consensus/zab/zab.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "consensus/planted.h"

namespace clew::consensus {

using zab::Ack;
using zab::FollowerProgress;
using zab::Message;
using zab::Options;
using zab::Point;
using zab::State;
using zab::Zxid;

Zab::Zab(Options options, uint64_t seed)
    : options_(std::move(options)),
      random_(seed),
      gate_(options_.max_waiting_reads),
      forwarded_(options_.max_waiting_reads, options_.heartbeat) {
  CHECK(options_.check().ok());
}

// --- The history ---

Zxid Zab::zxid_at(Position position) const {
  if (position == log_.base()) return {log_.base_epoch(), base_counter_};
  const Epoch epoch = log_.at(position).epoch;
  const Position before = log_.back_off(position, epoch - 1);  // the base when the epoch has nothing before it here
  const bool begins_before = before == log_.base() && log_.base_epoch() == epoch;
  const uint64_t counter = position - before + (begins_before ? base_counter_ : 0);
  if (planted(Bug::kZabCounterKept)) return {epoch, position - log_.base() + base_counter_};
  if (planted(Bug::kZabCounterWraps)) return {epoch, (counter - 1) % options_.max_counter + 1};
  return {epoch, counter};
}

Point Zab::true_last() const { return log_.has_hole() ? lost_last_ : point(log_.last()); }

// --- Inputs ---

void Zab::advance_clock(Time now) { now_ = std::max(now_, now); }

void Zab::tick(Time now) {
  advance_clock(now);
  if (!started_ || out_.halted()) return;
  switch (phase_) {
    case Phase::kLeading:
      if (now_ >= quorum_check_due_) check_quorum();
      if (leading() && stage_ != Stage::kBroadcast && now_ >= establish_until_) {
        resign("no quorum was synchronised in time", true);
      }
      if (!leading()) return;
      if (now_ >= heartbeat_due_) beat();
      if (transfer_ && now_ >= transfer_->deadline) abort_transfer("the successor did not catch up in time");
      advance_reign();  // a lease that was waited for may be over
      return;
    case Phase::kFollowing:
      forwarded_.tick(now_);
      if (now_ >= patience_until_) {
        const bool settled = stage_ == Stage::kBroadcast;
        look("the leader is silent", settled ? kNobody : leader_);
      } else if (now_ >= join_due_) {
        join();
      }
      return;
    case Phase::kLooking:
      if (now_ >= settle_due_) {
        decide();
      } else if (now_ >= look_deadline_) {
        favoured_ = false;
        look("nobody was found", ballot_.leader == options_.self ? kNobody : ballot_.leader);
      } else if (now_ >= notify_due_) {
        notify_all();
      }
      return;
  }
}

void Zab::receive(Time now, NodeId from, std::string_view frame) {
  advance_clock(now);
  if (!started_ || out_.halted()) return;
  if (from == kNobody || from == options_.self) {
    fact(FactKind::kMessageRefused, 0, from, 0, "from nobody or myself");
    return;
  }
  Result<Message> message = zab::decode(frame);
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

// Whose word a message is: what a leader says to its followers, or the other way round.
template <typename T>
constexpr Zab::Origin Zab::origin() {
  if constexpr (std::is_same_v<T, zab::NewEpoch> || std::is_same_v<T, zab::Trunc> || std::is_same_v<T, zab::Snap> ||
                std::is_same_v<T, zab::NewLeader> || std::is_same_v<T, zab::UpToDate> ||
                std::is_same_v<T, zab::Propose> || std::is_same_v<T, zab::Commit> ||
                std::is_same_v<T, zab::SyncReply> || std::is_same_v<T, zab::Handover>) {
    return Origin::kLeader;
  } else if constexpr (std::is_same_v<T, zab::AckEpoch> || std::is_same_v<T, zab::Ack> ||
                       std::is_same_v<T, zab::Pong> || std::is_same_v<T, zab::SyncRequest>) {
    return Origin::kFollower;
  } else {
    return Origin::kAnybody;
  }
}

void Zab::dispatch(NodeId from, Message& message) {
  std::visit(
      [&](auto& m) {
        using T = std::decay_t<decltype(m)>;
        if constexpr (origin<T>() == Origin::kLeader) {
          // Of an earlier reign, or of a leader that this node does not follow: nothing is owed to it.
          const bool mine = std::is_same_v<T, zab::NewEpoch> ? phase_ == Phase::kFollowing && from == leader_
                                                             : follows(from, m.epoch);
          if (!mine && !planted(Bug::kZabStaleEpochAccepted)) return;
          if (phase_ != Phase::kFollowing) return;
          heard_leader();
        } else if constexpr (origin<T>() == Origin::kFollower) {
          zab::FollowerProgress* const other = leading() ? peer(from) : nullptr;
          if (other == nullptr) return;
          other->progress.heard = now_;
          if (reign_ == 0 || (m.epoch != reign_ && !planted(Bug::kZabStaleEpochAccepted))) return;
        }
        handle(from, m);
      },
      message);
}

void Zab::propose(Time now, ProposalId id, Payload command) {
  advance_clock(now);
  const auto refuse = [&](Refusal why) { out_.refused(id, why, known_leader()); };
  if (!started_ || out_.halted() || !leading()) return refuse(Refusal::kNotLeader);
  if (!reigns() || transfer_ || used_up()) return refuse(Refusal::kNotReady);
  const uint64_t bytes = cost(Entry{reign_, EntryKind::kCommand, command});
  if (uncommitted_bytes_ + bytes > options_.max_uncommitted_bytes || log_.bytes() + bytes > options_.max_log_bytes) {
    return refuse(Refusal::kOverloaded);
  }
  append_own(EntryKind::kCommand, std::move(command));
  placed_.push_back({log_.last(), id});
  out_.placed(id, log_.last());
}

void Zab::durable(Time now, LogSeq seq) {
  advance_clock(now);
  if (!out_.durable(seq)) return;
  log_.durable(seq);
  update_release();
  if (!started_ || out_.halted() || !leading()) return;
  advance_reign();
  advance_commit();  // the own disk counts like a follower
}

void Zab::connection(Time now, NodeId id, bool up) {
  advance_clock(now);
  if (!started_ || out_.halted()) return;
  if (leading()) {
    FollowerProgress* const other = peer(id);
    if (other == nullptr) return;
    if (up) {
      ping(*other, true);
    } else if (other->progress.state == raft::PeerState::kReplicate) {
      other->progress.probe(other->progress.match + 1);
      other->progress.probe_sent = true;  // until it answers a ping
    }
  } else if (phase_ == Phase::kLooking) {
    if (up && active_voter()) notify(id);
  } else if (id == leader_) {
    if (up) {
      if (join_due_ != kNever) join();
    } else {
      // A hint that the leader died: soon this node asks the others. If it lives, its next ping ends that.
      const Time spread = options_.heartbeat / 2;
      const Time soon = now_ + 1 + static_cast<Time>(random_.below(static_cast<uint64_t>(spread)));
      patience_until_ = std::min(patience_until_, soon);
    }
  }
}

void Zab::verified(Time, VerifyId, bool) {}  // ZAB asks for no verification

// --- Outputs ---

void Zab::send(NodeId to, const Message& message, After after) { out_.send(to, zab::encode(message), after); }

void Zab::fact(FactKind kind, Position position, NodeId peer, uint64_t value, std::string_view reason) {
  out_.fact({kind, now_, leading() && reign_ != 0 ? reign_ : accepted_, position, peer, value, reason});
}

void Zab::halt(std::string why) {
  if (out_.halted()) return;
  fact(FactKind::kHalted, 0, kNobody, 0, "a broken invariant");
  out_.halt(std::move(why));
}

void Zab::deliver(Effects& effects) {
  uint64_t bytes = 0;
  while (delivered_ < commit_ && bytes < options_.max_delivery_bytes) {
    const Entry* const entry = log_.find(delivered_ + 1);
    CHECK(entry != nullptr);
    ++delivered_;
    bytes += cost(*entry);
    effects.deliveries.push_back({delivered_, *entry});
  }
}

void Zab::collect(Time now, Effects& effects) {
  advance_clock(now);
  if (started_ && !out_.halted()) {
    if (leading()) {
      advance_reign();
      advance_transfer();
    }
    if (leading()) {
      start_read_round();
    } else {
      forward_reads();
    }
    flush();
    if (leading()) replicate();
    if (ack_ && phase_ == Phase::kFollowing && follows(leader_, accepted_)) {
      const Ack reply{accepted_, Ack::Kind::kHeld, *ack_, log_.last()};
      out_.send(leader_, zab::encode(reply), After::kState,
                planted(Bug::kZabAckBeforeDurable) ? 0 : log_.needed_for(*ack_));
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

Time Zab::deadline() const {
  if (!started_ || out_.halted()) return kNever;
  if (delivered_ < commit_) return now_;
  switch (phase_) {
    case Phase::kLooking:
      return std::min({notify_due_, look_deadline_, settle_due_});
    case Phase::kFollowing:
      return std::min({patience_until_, join_due_, forwarded_.deadline()});
    case Phase::kLeading:
      break;
  }
  Time due = std::min(heartbeat_due_, quorum_check_due_);
  if (stage_ != Stage::kBroadcast) due = std::min(due, establish_until_);
  if (transfer_) due = std::min(due, transfer_->deadline);
  return due;
}

bool Zab::follows(NodeId leader, Epoch epoch) const {
  return phase_ == Phase::kFollowing && leader == leader_ && stage_ != Stage::kDiscovery && epoch == accepted_ &&
         promised_to_ == leader;
}

NodeId Zab::known_leader() const { return stage_ == Stage::kBroadcast ? leader_ : kNobody; }

Standing Zab::standing() const {
  if (reigns()) return Standing::kLeader;
  if (log_.has_hole()) return Standing::kRecovering;
  if (!electorate_.votes(options_.self)) return Standing::kLearner;
  return phase_ == Phase::kFollowing && stage_ == Stage::kBroadcast ? Standing::kFollower : Standing::kCandidate;
}

Report Zab::report() const {
  Report report;
  report.standing = standing();
  report.epoch = current_;
  report.leader = known_leader();
  report.first = log_.first();
  report.last = log_.true_last();
  report.committed = commit_;
  report.delivered = delivered_;
  report.durable_position = log_.durable_position();
  report.snapshot = snapshot_;
  report.log_bytes = log_.bytes();
  report.uncommitted_bytes = uncommitted_bytes_;
  if (reigns()) {
    for (const FollowerProgress& peer : peers_) {
      report.peers.push_back({peer.id(), peer.progress.match, now_ - peer.progress.heard <= options_.election_max});
    }
  }
  return report;
}

std::optional<EntryId> Zab::entry_at(Position position) const {
  const Entry* const entry = log_.find(position);
  if (entry == nullptr) return std::nullopt;
  return identity(*entry);
}

State Zab::state() const {
  State state;
  state.self = options_.self;
  state.standing = standing();
  state.leading = leading();
  state.established = reigns();
  state.leader = leader_;
  state.reign = reign_;
  state.accepted = accepted_;
  state.promised_to = promised_to_;
  state.current = current_;
  state.last = true_last();
  state.commit = commit_;
  state.delivered = delivered_;
  state.snapshot = snapshot_.position;
  state.reign_start = reign_start_.position;
  state.max_counter = options_.max_counter;
  state.lease_until = lease_until();
  state.membership_position = configs_.newest().position;
  state.next_seq = out_.last_record() + 1;
  state.durable_seq = out_.durable_seq();
  for (const FollowerProgress& peer : peers_) {
    state.peers.push_back({peer.id(), peer.step, peer.progress.match, peer.progress.next});
  }
  return state;
}

Status Zab::check_invariants() const {
  if (!started_ || out_.halted()) return {};
  return transitions_.check(state(), log_);
}

}  // namespace clew::consensus

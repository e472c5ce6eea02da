// Linearizable reads without writing: a round to a majority, or a lease (PML §5.2); rounds in consensus/read_gate.h.
//
// A majority that still answers to this ballot has promised to nobody else, so that no other leader has begun: what was
// chosen when the read arrived is what this leader knows. Reads of a follower: consensus/forwarded_reads.h.
#include <algorithm>

#include "consensus/multipaxos/multipaxos.h"
#include "consensus/planted.h"

namespace clew::consensus {

using multipaxos::ReadReply;
using multipaxos::ReadRequest;

// Before that a new leader does not know which of the slots that it found were chosen by its predecessors.
bool MultiPaxos::sure_of_reign() const { return leading() && settled_ && commit_ >= reign_start_; }

void MultiPaxos::read(Time now, ReadId id, ReadBarrier barrier) {
  advance_clock(now);
  if (!started_ || out_.halted()) return refuse_read(id, Refusal::kNotLeader);
  if (leading()) {
    const bool sure = (barrier == ReadBarrier::kLease &&
                       (planted(Bug::kLeaseAcrossPause) ? heartbeat_due_ - options_.heartbeat : now) < lease_until()) ||
                      planted(Bug::kReadWithoutQuorum);
    if (sure) {
      out_.read(id, commit_);
    } else {
      admit_read({id, kNobody, 0});
    }
    return;
  }
  if (leader_ == kNobody) return refuse_read(id, Refusal::kNotLeader);
  if (!forwarded_.add(id)) refuse_read(id, Refusal::kOverloaded);
}

// On this clock; 0 when there is none.
Time MultiPaxos::lease_until() const {
  if (!options_.leases || lease_forfeited_ || !sure_of_reign()) return 0;
  // When a quorum last promised patience: counted from the sending, by this clock, and shortened by what this clock may
  // be slow and theirs fast. A pause of this process passes in `now` as well (scenario 10).
  const uint64_t since = quorum_position(electorate(), [&](NodeId id) {
    if (id == options_.self) return static_cast<uint64_t>(kNever);
    const Peer* const other = peer(id);
    return other == nullptr ? 0 : other->stamp;
  });
  if (since == 0 || since >= static_cast<uint64_t>(kNever)) return static_cast<Time>(since);  // kNever: a group of one
  Time patience = sure_patience(options_.election_min, options_.clock_error_ppm);
  if (planted(Bug::kLeaseIgnoresDrift)) patience = options_.election_max;
  return static_cast<Time>(since) + patience;
}

void MultiPaxos::admit_read(ReadGate::Waiting read) {
  if (!sure_of_reign() && !planted(Bug::kReadBeforeOwnCommit)) {
    if (deferred_reads_.size() < options_.max_waiting_reads) {
      deferred_reads_.push_back(read);
      return;
    }
  } else {
    read.position = commit_;
    if (gate_.add(read)) return;
  }
  if (read.from == kNobody) {
    refuse_read(read.id, Refusal::kOverloaded);
  } else {
    send(read.from, ReadReply{promise_, static_cast<uint64_t>(read.id), false, 0});
  }
}

void MultiPaxos::release_deferred_reads() {
  if (!sure_of_reign()) return;
  std::deque<ReadGate::Waiting> waiting;
  waiting.swap(deferred_reads_);
  for (const ReadGate::Waiting& read : waiting) admit_read(read);
}

void MultiPaxos::start_read_round() {
  if (!gate_.waiting()) return;
  const uint64_t round = gate_.start_round();
  if (round == 0) return;
  own_round_ = round;
  for (Peer& other : peers_) {
    if (view_.votes(other.id)) send_heartbeat(other, true);
  }
  confirm_reads();  // a group of one needs nobody else
}

void MultiPaxos::confirm_reads() {
  if (!gate_.waiting()) return;
  const uint64_t round = quorum_position(electorate(), [&](NodeId id) {
    if (id == options_.self) return own_round_;
    const Peer* const other = peer(id);
    return other == nullptr ? 0 : other->round;
  });
  for (const ReadGate::Waiting& read : gate_.confirmed(round)) answer_read(read);
}

void MultiPaxos::answer_read(const ReadGate::Waiting& read) {
  if (read.from == kNobody) {
    out_.read(read.id, read.position);
  } else {
    send(read.from, ReadReply{promise_, static_cast<uint64_t>(read.id), true, read.position});
  }
}

void MultiPaxos::refuse_read(ReadId id, Refusal why) {
  out_.read_refused(id, why, leader_);
  fact(FactKind::kReadRefused, 0, leader_, 0, refusal_name(why));
}

// The reign ends, or its electorate. Those who asked from elsewhere ask again, or give up.
void MultiPaxos::drop_leader_reads() {
  for (const ReadGate::Waiting& read : gate_.clear()) {
    if (read.from == kNobody) refuse_read(read.id, Refusal::kNotLeader);
  }
  for (const ReadGate::Waiting& read : deferred_reads_) {
    if (read.from == kNobody) refuse_read(read.id, Refusal::kNotLeader);
  }
  deferred_reads_.clear();
}

// --- Reads of a follower ---

void MultiPaxos::forward_reads() {
  if (leader_ == kNobody) return;
  if (const auto number = forwarded_.question(now_)) send(leader_, ReadRequest{promise_, *number});
}

void MultiPaxos::refuse_forwarded_reads() {
  forwarded_.clear([&](ReadId id) { refuse_read(id, Refusal::kNotLeader); });
}

void MultiPaxos::handle(NodeId from, const ReadRequest& request) {
  if (view_.contains(from)) admit_read({ReadId{request.context}, from, 0});
}

void MultiPaxos::handle(NodeId, const ReadReply& reply) {
  forwarded_.answered(reply.context, [&](ReadId id) {
    if (reply.ok) {
      out_.read(id, reply.position);
    } else {
      refuse_read(id, Refusal::kOverloaded);
    }
  });
}

}  // namespace clew::consensus

// Linearizable reads without writing: ReadIndex and leases, thesis §6.4; rounds in consensus/read_gate.h, the
// reads of a follower in consensus/forwarded_reads.h.
#include <algorithm>

#include "consensus/planted.h"
#include "consensus/raft/raft.h"

namespace clew::consensus {

using raft::Progress;
using raft::ReadReply;
using raft::ReadRequest;

// Before that a new leader does not know what its predecessors committed (thesis §6.4; scenario 8).
bool Raft::own_term_committed() const { return leading() && commit_ >= reign_start_; }

void Raft::read(Time now, ReadId id, ReadBarrier barrier) {
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
Time Raft::lease_until() const {
  if (!options_.leases || lease_forfeited_ || !own_term_committed()) return 0;
  // When a quorum last promised patience: counted from the sending, by this clock, and shortened by what this clock may
  // be slow and theirs fast. A pause of this process passes in `now` as well (scenario 10).
  const uint64_t since = quorum_position(electorate(), [&](NodeId id) {
    if (id == options_.self) return static_cast<uint64_t>(kNever);
    const Progress* const peer = progress(id);
    return peer == nullptr ? 0 : peer->stamp;
  });
  if (since == 0 || since >= static_cast<uint64_t>(kNever)) return static_cast<Time>(since);  // kNever: a group of one
  Time patience = sure_patience(options_.election_min, options_.clock_error_ppm);
  if (planted(Bug::kLeaseIgnoresDrift)) patience = options_.election_max;
  return static_cast<Time>(since) + patience;
}

void Raft::admit_read(ReadGate::Waiting read) {
  if (!own_term_committed() && !planted(Bug::kReadBeforeOwnCommit)) {
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
    send(read.from, ReadReply{term_, static_cast<uint64_t>(read.id), false, 0});
  }
}

void Raft::release_deferred_reads() {
  if (!own_term_committed()) return;
  std::deque<ReadGate::Waiting> waiting;
  waiting.swap(deferred_reads_);
  for (const ReadGate::Waiting& read : waiting) admit_read(read);
}

void Raft::start_read_round() {
  if (!gate_.waiting()) return;
  const uint64_t round = gate_.start_round();
  if (round == 0) return;
  own_round_ = round;
  for (Progress& peer : peers_) {
    if (membership().votes(peer.id)) send_heartbeat(peer, true);
  }
  confirm_reads();  // a group of one needs nobody else
}

void Raft::confirm_reads() {
  if (!gate_.waiting()) return;
  const uint64_t round = quorum_position(electorate(), [&](NodeId id) {
    if (id == options_.self) return own_round_;
    const Progress* const peer = progress(id);
    return peer == nullptr ? 0 : peer->round;
  });
  for (const ReadGate::Waiting& read : gate_.confirmed(round)) answer_read(read);
}

void Raft::answer_read(const ReadGate::Waiting& read) {
  if (read.from == kNobody) {
    out_.read(read.id, read.position);
  } else {
    send(read.from, ReadReply{term_, static_cast<uint64_t>(read.id), true, read.position});
  }
}

void Raft::refuse_read(ReadId id, Refusal why) {
  out_.read_refused(id, why, leader_);
  fact(FactKind::kReadRefused, 0, leader_, 0, refusal_name(why));
}

// The reign ends. Those who asked from elsewhere ask the next leader, or give up.
void Raft::drop_leader_reads() {
  for (const ReadGate::Waiting& read : gate_.clear()) {
    if (read.from == kNobody) refuse_read(read.id, Refusal::kNotLeader);
  }
  for (const ReadGate::Waiting& read : deferred_reads_) {
    if (read.from == kNobody) refuse_read(read.id, Refusal::kNotLeader);
  }
  deferred_reads_.clear();
}

// --- Reads of a follower ---

void Raft::forward_reads() {
  if (leader_ == kNobody) return;
  if (const auto number = forwarded_.question(now_)) send(leader_, ReadRequest{term_, *number});
}

void Raft::refuse_forwarded_reads() {
  forwarded_.clear([&](ReadId id) { refuse_read(id, Refusal::kNotLeader); });
  if (planted(Bug::kReadContextReused)) forwarded_.start(0);
}

void Raft::handle(NodeId from, const ReadRequest& request) {
  if (!leading() || !membership().contains(from)) return;
  admit_read({ReadId{request.context}, from, 0});
}

void Raft::handle(NodeId from, const ReadReply& reply) {
  if (from != leader_ && !planted(Bug::kReadContextReused)) return;
  forwarded_.answered(reply.context, [&](ReadId id) {
    if (reply.ok) {
      out_.read(id, reply.position);
    } else {
      refuse_read(id, Refusal::kOverloaded);
    }
  });
}

}  // namespace clew::consensus

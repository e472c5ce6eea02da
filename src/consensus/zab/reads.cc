// Linearizable reads without a transaction: `sync` as ZooKeeper's clients want it to be. The leader confirms by a round
// of pings that a quorum has promised nobody a later epoch since the read arrived (rounds: consensus/read_gate.h), or
// relies on a lease that the same quorum granted; the read may then see whatever was committed when it arrived. That is
// everything: a leader in broadcast has committed the initial history of its epoch.
// Reads of a follower: consensus/forwarded_reads.h.
#include <algorithm>

#include "consensus/planted.h"
#include "consensus/zab/zab.h"

namespace clew::consensus {

using zab::FollowerProgress;
using zab::SyncReply;
using zab::SyncRequest;

void Zab::read(Time now, ReadId id, ReadBarrier barrier) {
  advance_clock(now);
  if (!started_ || out_.halted()) return refuse_read(id, Refusal::kNotLeader);
  if (leading()) {
    if (!reigns()) return refuse_read(id, Refusal::kNotReady);
    if ((barrier == ReadBarrier::kLease && now < lease_until()) || planted(Bug::kZabSyncUnconfirmed)) {
      out_.read(id, commit_);
    } else {
      admit_read({id, kNobody, 0});
    }
    return;
  }
  if (known_leader() == kNobody) return refuse_read(id, Refusal::kNotLeader);
  if (!forwarded_.add(id)) refuse_read(id, Refusal::kOverloaded);
}

// On this clock; 0 when there is none.
Time Zab::lease_until() const {
  if (!options_.leases || !reigns()) return 0;
  // When a quorum last promised patience: counted from the sending, by this clock, and shortened by what this clock may
  // be slow and theirs fast. A pause of this process passes in `now` as well. Who answered a ping of before broadcast
  // promised nothing by that: it may have left since, and follow another.
  const uint64_t since = quorum_position(electorate_, [&](NodeId id) {
    if (id == options_.self) return static_cast<uint64_t>(kNever);
    const FollowerProgress* const other = peer(id);
    const bool granted = other != nullptr && other->step == zab::Step::kActive &&
                         other->progress.stamp > static_cast<uint64_t>(established_at_);
    return granted ? other->progress.stamp : 0;
  });
  if (since == 0 || since >= static_cast<uint64_t>(kNever)) return static_cast<Time>(since);  // kNever: a group of one
  const Time patience = sure_patience(options_.election_min, options_.clock_error_ppm);
  return static_cast<Time>(since) + patience;
}

void Zab::admit_read(ReadGate::Waiting read) {
  read.position = commit_;
  if (gate_.add(read)) return;
  if (read.from == kNobody) {
    refuse_read(read.id, Refusal::kOverloaded);
  } else {
    send(read.from, SyncReply{reign_, static_cast<uint64_t>(read.id), false, 0});
  }
}

void Zab::start_read_round() {
  if (!reigns() || !gate_.waiting()) return;
  const uint64_t round = gate_.start_round();
  if (round == 0) return;
  own_round_ = round;
  for (FollowerProgress& other : peers_) {
    if (electorate_.votes(other.id())) ping(other, true);
  }
  confirm_reads();  // a group of one needs nobody else
}

void Zab::confirm_reads() {
  if (!reigns() || !gate_.waiting()) return;
  const uint64_t round = quorum_position(electorate_, [&](NodeId id) {
    if (id == options_.self) return own_round_;
    const FollowerProgress* const other = peer(id);
    return other == nullptr ? 0 : other->progress.round;
  });
  for (const ReadGate::Waiting& read : gate_.confirmed(round)) answer_read(read);
}

void Zab::answer_read(const ReadGate::Waiting& read) {
  if (read.from == kNobody) {
    out_.read(read.id, read.position);
  } else {
    send(read.from, SyncReply{reign_, static_cast<uint64_t>(read.id), true, read.position});
  }
}

void Zab::refuse_read(ReadId id, Refusal why) {
  out_.read_refused(id, why, known_leader());
  fact(FactKind::kReadRefused, 0, known_leader(), 0, refusal_name(why));
}

// The reign ends. Those who asked from elsewhere ask the next leader, or give up.
void Zab::drop_leader_reads() {
  for (const ReadGate::Waiting& read : gate_.clear()) {
    if (read.from == kNobody) refuse_read(read.id, Refusal::kNotLeader);
  }
}

// --- Reads of a follower ---

void Zab::forward_reads() {
  if (known_leader() == kNobody) return;
  if (const auto number = forwarded_.question(now_)) send(leader_, SyncRequest{accepted_, *number});
}

void Zab::refuse_forwarded_reads() {
  forwarded_.clear([&](ReadId id) { refuse_read(id, Refusal::kNotLeader); });
}

void Zab::handle(NodeId from, const SyncRequest& m) {
  if (reigns()) admit_read({ReadId{m.context}, from, 0});
}

void Zab::handle(NodeId, const SyncReply& m) {
  forwarded_.answered(m.context, [&](ReadId id) {
    if (m.ok) {
      out_.read(id, m.position);
    } else {
      refuse_read(id, Refusal::kOverloaded);
    }
  });
}

}  // namespace clew::consensus

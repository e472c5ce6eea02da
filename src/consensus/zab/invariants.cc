#include "consensus/zab/invariants.h"

#include <algorithm>
#include <string>

namespace clew::consensus::zab {

namespace {

Status broken(const State& state, std::string_view what) {
  return {Code::kInternal, "zab: node " + std::to_string(number(state.self)) + " in epoch " +
                               std::to_string(state.current) + ": " + std::string(what)};
}

// What one state owes by itself.
Status check_state(const State& s, const raft::Log& log) {
  if (s.current > s.accepted) return broken(s, "its current epoch is above the one that it accepted");
  if (log.last_epoch() > s.current || log.true_last_epoch() > s.current) {
    return broken(s, "a transaction is newer than the current epoch");
  }
  if (s.commit > log.last()) return broken(s, "commit is beyond the history");
  if (s.delivered > s.commit) return broken(s, "delivered is beyond commit");
  if (s.snapshot > s.commit) return broken(s, "the snapshot is beyond commit");
  if (log.base() > s.snapshot) return broken(s, "the log begins behind the snapshot");
  if (log.durable_position() > log.last()) return broken(s, "more is durable than there is");
  if (s.durable_seq >= s.next_seq) return broken(s, "a record is durable before it was made");
  if (s.membership_position > log.true_last() && s.membership_position > log.base()) {
    return broken(s, "a membership governs that is not in the history");
  }
  if (!s.leading) return {};
  if (s.leader != s.self) return broken(s, "leads and follows another");
  if (log.has_hole()) return broken(s, "leads with a hole in its history");
  if (s.reign != 0 && (s.reign != s.accepted || s.promised_to != s.self)) {
    return broken(s, "leads an epoch that it promised to another");
  }
  if (s.established && (s.current != s.reign || s.commit < s.reign_start)) {
    return broken(s, "broadcasts before its initial history is committed");
  }
  if (s.established && s.last.zxid.epoch == s.reign && s.last.zxid.counter > s.max_counter) {
    return broken(s, "the counter of its epoch ran over");
  }
  for (const State::Peer& peer : s.peers) {
    if (peer.id == s.self) return broken(s, "is its own follower");
    if (peer.step < Step::kSyncing) continue;
    if (s.reign == 0) return broken(s, "synchronises a follower without an epoch");
    if (peer.match > log.last()) return broken(s, "a follower has more than the leader");
    if (peer.next <= peer.match) return broken(s, "a follower is sent again what it acknowledged");
    if (peer.next > log.last() + 1) return broken(s, "a follower is ahead of the history");
    if (peer.step == Step::kActive && s.current != s.reign)
      return broken(s, "a follower is ahead of the leader's epoch");
  }
  return {};
}

}  // namespace

Status TransitionCheck::check(const State& s, const raft::Log& log) {
  CLEW_TRY(check_state(s, log));
  if (any_) {
    const State& b = before_;
    if (s.accepted < b.accepted) return broken(s, "the accepted epoch fell");
    if (s.accepted == b.accepted && s.promised_to != b.promised_to) return broken(s, "a promise went to another");
    if (s.current < b.current) return broken(s, "the current epoch fell");
    if (s.commit < b.commit) return broken(s, "commit fell");
    if (s.delivered < b.delivered) return broken(s, "delivered fell");
    if (s.snapshot < b.snapshot) return broken(s, "the snapshot fell");
    if (s.durable_seq < b.durable_seq || s.next_seq < b.next_seq) return broken(s, "records became fewer");
    if (log.generation() < before_generation_) return broken(s, "cuts were forgotten");
    if (s.leading && b.leading && log.generation() != before_generation_) {
      return broken(s, "a leader cut its own history");
    }
    if (s.established && !b.established && s.reign == led_) return broken(s, "was established twice in an epoch");
    // Without a cut, what was last before is still there.
    if (log.generation() == before_generation_ && before_last_ > log.base() &&
        !log.contains(before_last_, before_last_epoch_)) {
      return broken(s, "a transaction changed without a cut");
    }
    // Local primary order: epochs never fall along the history; their counters rise by one.
    const Position from = std::max(std::min(before_last_, log.last()), log.base());
    for (Position p = std::max(from, log.base() + 1); p < log.last(); ++p) {
      if (log.at(p).epoch > log.at(p + 1).epoch) return broken(s, "epochs fall along the history");
    }
  }
  any_ = true;
  if (s.established) led_ = s.reign;
  before_ = s;
  before_last_ = log.last();
  before_last_epoch_ = log.last_epoch();
  before_generation_ = log.generation();
  return {};
}

}  // namespace clew::consensus::zab

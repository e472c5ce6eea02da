#include "consensus/raft/invariants.h"

#include <algorithm>

namespace clew::consensus::raft {

namespace {

Status broken(const State& state, std::string_view what) {
  return {Code::kInternal, "raft: node " + std::to_string(number(state.self)) + " in term " +
                               std::to_string(state.term) + ": " + std::string(what)};
}

// What one state owes by itself.
Status check_state(const State& s, const Log& log) {
  if (s.commit > log.last()) return broken(s, "commit is beyond the log");
  if (s.delivered > s.commit) return broken(s, "delivered is beyond commit");
  if (s.snapshot > s.commit) return broken(s, "the snapshot is beyond commit");
  if (log.base() > s.snapshot) return broken(s, "the log begins behind the snapshot");
  if (log.last_epoch() > s.term || log.true_last_epoch() > s.term) return broken(s, "an entry is newer than the term");
  if (log.last() > log.base() && log.at(log.first()).epoch < log.base_epoch()) {
    return broken(s, "the log goes on behind its snapshot with an older epoch: the two contradict each other");
  }
  if (log.true_last() < log.last()) return broken(s, "the log is longer than it ever was");
  if (log.durable_position() > log.last()) return broken(s, "more is durable than there is");
  if (s.durable_seq >= s.next_seq) return broken(s, "a record is durable before it was made");
  if (s.membership_position > log.true_last() && s.membership_position > log.base()) {
    return broken(s, "a membership governs that is not in the log");
  }
  if (!s.leading) return {};
  if (s.leader != s.self) return broken(s, "leads and follows another");
  if (log.has_hole()) return broken(s, "leads with a hole in its log");
  if (s.vote != s.self) return broken(s, "leads without its own vote");
  if (s.reign_start == 0 || s.reign_start > log.last()) return broken(s, "leads without an entry of its term");
  if (s.reign_start > log.base() && log.at(s.reign_start).epoch != s.term) {
    return broken(s, "the first entry of its reign is of another term");
  }
  for (const State::Peer& peer : s.peers) {
    if (peer.match > log.last()) return broken(s, "a peer matches beyond the log");
    if (peer.next <= peer.match) return broken(s, "a peer is sent again what it acknowledged");
    if (peer.next > log.last() + 1) return broken(s, "a peer is ahead of the log");
    if (peer.id == s.self) return broken(s, "is its own peer");
  }
  return {};
}

}  // namespace

Status TransitionCheck::check(const State& s, const Log& log) {
  CLEW_TRY(check_state(s, log));
  if (any_) {
    const State& b = before_;
    if (s.term < b.term) return broken(s, "the term fell");
    if (s.term == b.term && b.vote != kNobody && s.vote != b.vote) return broken(s, "the vote changed within a term");
    if (s.commit < b.commit) return broken(s, "commit fell");
    if (s.delivered < b.delivered) return broken(s, "delivered fell");
    if (s.snapshot < b.snapshot) return broken(s, "the snapshot fell");
    if (s.durable_seq < b.durable_seq || s.next_seq < b.next_seq) return broken(s, "records became fewer");
    if (log.generation() < before_generation_) return broken(s, "cuts were forgotten");
    if (s.leading && b.leading && s.term == b.term) {
      // Electorates of two changes need not overlap: the one before has to be agreed on first (thesis §4.1).
      if (s.membership_position > b.membership_position && b.membership_position > s.commit) {
        return broken(s, "a change of membership begins before the one before it is committed");
      }
      if (log.generation() != before_generation_) return broken(s, "a leader cut its own log");
      if (log.last() < before_last_) return broken(s, "a leader's log became shorter");
      if (s.commit > b.commit && log.epoch_at(s.commit) != s.term) {
        return broken(s, "a leader committed by counting an entry of another term");
      }
    }
    if (s.leading && !b.leading && s.term == led_term_) return broken(s, "led twice in a term");
    // Without a cut, what was last before is still there.
    if (log.generation() == before_generation_ && before_last_ > log.base() &&
        !log.contains(before_last_, before_last_epoch_)) {
      return broken(s, "an entry changed without a cut");
    }
    // Epochs never fall along the log.
    const Position from = std::max(std::min(before_last_, log.last()), log.base());
    for (Position p = std::max(from, log.base() + 1); p < log.last(); ++p) {
      if (log.at(p).epoch > log.at(p + 1).epoch) return broken(s, "epochs fall along the log");
    }
  }
  any_ = true;
  if (s.leading) led_term_ = s.term;
  before_ = s;
  before_last_ = log.last();
  before_last_epoch_ = log.last_epoch();
  before_generation_ = log.generation();
  return {};
}

// --- A group ---

namespace {

Status broken(std::string_view property, NodeId id, Position position, std::string_view what) {
  return {Code::kInternal, std::string(property) + ": node " + std::to_string(number(id)) + ", position " +
                               std::to_string(position) + ": " + std::string(what)};
}

}  // namespace

void GroupCheck::crashed(NodeId id) { nodes_.erase(id); }

Status GroupCheck::check_leader(NodeId id, Node& node, const Protocol& core, const Report& report) {
  const auto [leader, first] = leaders_.emplace(report.epoch, id);
  if (leader->second != id) {
    return broken(
        "election safety", id, report.last,
        "leads epoch " + std::to_string(report.epoch) + ", and so did node " + std::to_string(number(leader->second)));
  }
  if (node.leading && node.epoch == report.epoch) {
    const auto entry = core.entry_at(node.led_last);
    if (report.last < node.led_last || (entry && *entry != node.led_entry)) {
      return broken("leader append-only", id, node.led_last, "the leader changed its own log");
    }
  } else {
    // A new leader holds everything that was committed in earlier epochs. (Late votes may still elect the leader of an
    // epoch that is over; it commits nothing.)
    const Position committed = static_cast<Position>(
        std::lower_bound(committed_in_.begin(), committed_in_.end(), report.epoch) - committed_in_.begin());
    if (report.last < committed) {
      return broken("leader completeness", id, committed, "a new leader's log ends at " + std::to_string(report.last));
    }
    for (Position p = committed; p >= report.first && p + 64 > committed; --p) {
      if (core.entry_at(p)->epoch != chosen_[p - 1].epoch) {
        return broken("leader completeness", id, p, "a new leader has another entry than was committed");
      }
    }
  }
  node.led_last = report.last;
  node.led_entry = core.entry_at(report.last).value_or(EntryId{});
  return {};
}

Status GroupCheck::check(NodeId id, const Protocol& core) {
  CLEW_TRY(core.check_invariants());
  const Report report = core.report();
  Node& node = nodes_[id];
  const bool leading = report.standing == Standing::kLeader;
  if (leading) CLEW_TRY(check_leader(id, node, core, report));
  // State-machine safety, and with it Log Matching for all that matters: equal entries at every committed position. A
  // witness has no commands: its epochs are compared.
  const bool witness = report.standing == Standing::kWitness;
  Position p = std::max(node.compared + 1, report.first);
  for (; p <= report.committed; ++p) {
    const auto entry = core.entry_at(p);
    if (!entry) break;
    if (p > chosen_.size()) {
      if (p > chosen_.size() + 1 || witness) break;  // compared when somebody with data knows it
      chosen_.push_back(*entry);
      committed_in_.push_back(std::max(report.epoch, committed_in_.empty() ? 0 : committed_in_.back()));
    } else if (witness ? entry->epoch != chosen_[p - 1].epoch : *entry != chosen_[p - 1]) {
      return broken("state-machine safety", id, p,
                    "committed with epoch " + std::to_string(entry->epoch) + ", elsewhere with epoch " +
                        std::to_string(chosen_[p - 1].epoch));
    }
    node.compared = p;
  }
  node.epoch = report.epoch;
  node.leading = leading;
  return {};
}

}  // namespace clew::consensus::raft

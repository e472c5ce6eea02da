#include "consensus/multipaxos/invariants.h"

#include <algorithm>

#include "consensus/multipaxos/multipaxos.h"

namespace clew::consensus::multipaxos {
namespace {

Status broken(const State& state, std::string_view what) {
  return {Code::kInternal, "multipaxos: node " + std::to_string(number(state.self)) + " with ballot " +
                               to_string(state.promise) + ": " + std::string(what)};
}

// What one state owes by itself.
Status check_state(const State& s, const Slots& slots) {
  if (s.commit > slots.high()) return broken(s, "more is chosen than there are slots");
  if (s.commit < slots.base()) return broken(s, "a slot was compacted that is not known as chosen");
  if (s.delivered > s.commit) return broken(s, "delivered is beyond what is chosen");
  if (s.snapshot > s.commit) return broken(s, "the snapshot is beyond what is chosen");
  if (slots.base() > s.snapshot) return broken(s, "the slots begin behind the snapshot");
  if (s.upto < s.commit || s.upto > slots.high()) return broken(s, "acknowledges what it does not hold");
  if (s.durable_seq >= s.next_seq) return broken(s, "a record is durable before it was made");
  if (s.membership_position > s.commit) return broken(s, "a membership governs that is not chosen");
  if (s.upto > s.commit) {
    const Acceptance* const vote = slots.find(s.upto);
    if (vote == nullptr || vote->ballot != s.promise) return broken(s, "acknowledges a vote of another ballot");
  }
  if (s.upto < slots.high()) {
    const Acceptance* const vote = slots.find(slots.high());
    if (vote == nullptr || vote->ballot > s.promise) return broken(s, "voted above its promise");
  }
  if (!s.leading) return {};
  if (s.leader != s.self) return broken(s, "leads and follows another");
  if (s.promise.proposer != s.self) return broken(s, "leads under another's ballot");
  if (s.commit < s.lost_to) return broken(s, "leads although it forgot votes");
  if (s.last < s.commit || s.last > s.upto) return broken(s, "proposed what it did not accept itself");
  if (s.stop_sign != 0 && s.stop_sign != s.last) return broken(s, "proposed beyond a stop-sign");
  for (const State::Peer& peer : s.peers) {
    if (peer.match > s.last) return broken(s, "a peer accepted what was not proposed");
    if (peer.next <= peer.match) return broken(s, "a peer is sent again what it acknowledged");
    if (peer.next > s.last + 1) return broken(s, "a peer is ahead of the leader");
    if (peer.id == s.self) return broken(s, "is its own peer");
  }
  return {};
}

}  // namespace

Status TransitionCheck::check(const State& s, const Slots& slots) {
  CLEW_TRY(check_state(s, slots));
  if (any_) {
    const State& b = before_;
    if (s.promise < b.promise) return broken(s, "the promise fell");
    if (s.commit < b.commit) return broken(s, "the chosen prefix became shorter");
    if (s.delivered < b.delivered) return broken(s, "delivered fell");
    if (s.snapshot < b.snapshot) return broken(s, "the snapshot fell");
    if (s.promise == b.promise && s.upto < b.upto) return broken(s, "a vote under one ballot was taken back");
    if (s.durable_seq < b.durable_seq || s.next_seq < b.next_seq) return broken(s, "records became fewer");
    if (s.leading && b.leading && s.promise == b.promise) {
      if (s.last < b.last) return broken(s, "a leader took a proposal back");
    } else if (s.leading && s.promise == led_) {
      return broken(s, "led twice under one ballot");
    }
  }
  any_ = true;
  if (s.leading) led_ = s.promise;
  before_ = s;
  return {};
}

// --- A group ---

namespace {

Status broken(std::string_view property, NodeId id, Position position, std::string_view what) {
  return {Code::kInternal, std::string(property) + ": node " + std::to_string(number(id)) + ", slot " +
                               std::to_string(position) + ": " + std::string(what)};
}

}  // namespace

void GroupCheck::crashed(NodeId id) { nodes_.erase(id); }

Status GroupCheck::check(NodeId id, const Protocol& core) {
  CLEW_TRY(core.check_invariants());
  const auto& paxos = static_cast<const MultiPaxos&>(core);
  const State state = paxos.state();
  Node& node = nodes_[id];
  if (state.leading && !(node.leading && node.ballot == state.promise)) {
    const auto [leader, first] = leaders_.emplace(state.promise, id);
    if (!first) {
      return broken(
          "one leader a ballot", id, state.last,
          "leads ballot " + to_string(state.promise) + ", and so did node " + std::to_string(number(leader->second)));
    }
    // A new leader proposes again everything that was chosen under lower ballots (PMS §2.2, P2), as far as the
    // configuration goes that it knows of. (A leader whose time is over may still be elected; it gets nothing chosen.)
    const Position chosen = static_cast<Position>(
        std::lower_bound(chosen_by_.begin(), chosen_by_.end(), state.promise) - chosen_by_.begin());
    const Position from = std::max(state.commit, core.report().first - 1);
    for (Position p = from + 1; p <= std::min(chosen, state.last); ++p) {
      const auto entry = core.entry_at(p);
      if (!entry || *entry != chosen_[p - 1]) {
        return broken("only a chosen value is proposed again", id, p, "a new leader proposes another value");
      }
    }
    if (state.last < chosen && state.stop_sign == 0) {
      return broken("only a chosen value is proposed again", id, chosen,
                    "a new leader knows of nothing above " + std::to_string(state.last));
    }
  }
  const Report report = core.report();
  // One value a slot. What a witness holds has no command: epochs are compared.
  for (Position p = std::max(node.compared + 1, report.first); p <= report.committed; ++p) {
    const auto entry = core.entry_at(p);
    if (!entry) break;
    const bool bare = paxos.slots().find(p)->bare;
    if (p > chosen_.size()) {
      if (p > chosen_.size() + 1 || bare) break;  // compared when somebody with data knows it
      chosen_.push_back(*entry);
      chosen_by_.push_back(std::max(state.promise, chosen_by_.empty() ? Ballot{} : chosen_by_.back()));
    } else if (bare ? entry->epoch != chosen_[p - 1].epoch : *entry != chosen_[p - 1]) {
      return broken("one value a slot", id, p,
                    "chosen with epoch " + std::to_string(entry->epoch) + ", elsewhere with epoch " +
                        std::to_string(chosen_[p - 1].epoch));
    }
    node.compared = p;
  }
  node.leading = state.leading;
  node.ballot = state.promise;
  return {};
}

}  // namespace clew::consensus::multipaxos

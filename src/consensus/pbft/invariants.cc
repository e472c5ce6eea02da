#include "consensus/pbft/invariants.h"

#include <algorithm>
#include <string>

#include "consensus/pbft/pbft.h"

namespace clew::consensus::pbft {

namespace {

std::string place(Epoch view, Sequence seq) {
  return "(view " + std::to_string(view) + ", n " + std::to_string(seq) + ")";
}

}  // namespace

Status TransitionCheck::check(const State& s) {
  const auto broken = [&](std::string_view what) {
    return Status(Code::kInternal, "pbft: node " + std::to_string(number(s.self)) + " in view " +
                                       std::to_string(s.view) + ": " + std::string(what));
  };
  if (s.stable > s.executed && s.standing != Standing::kRecovering) {
    return broken("a checkpoint is stable that it has not executed");
  }
  if (s.base > s.stable) return broken("the log begins above the stable checkpoint");
  if (s.delivered > s.committed) return broken("delivered is beyond what was executed");
  if (s.limit > s.stable + s.window) return broken("the window is too long");
  if (s.highest_slot > std::max({s.stable, s.executed, s.recovering_to}) + s.window)
    return broken("it keeps what is outside of the window");
  if (s.next_timestamp > s.reserved) return broken("it used a timestamp that was not set aside");
  if (s.durable_seq >= s.next_seq) return broken("a record is durable before it was made");
  if (any_) {
    const State& b = before_;
    if (s.view < b.view || (s.view == b.view && b.active && !s.active)) return broken("it went back to an older view");
    if (s.stable < b.stable) return broken("the stable checkpoint fell");
    if (s.executed < b.executed && b.standing != Standing::kRecovering) return broken("it executed less than before");
    if (s.executed == b.executed && s.history != b.history) return broken("its history changed");
    if (s.top < b.top) return broken("it takes back its word");
    if (s.durable_seq < b.durable_seq || s.next_seq < b.next_seq) return broken("records became fewer");
  }
  any_ = true;
  before_ = s;
  return {};
}

void GroupCheck::crashed(NodeId id) {
  Node& node = nodes_[id];
  node.compared = node.executed = 0;
  node.next_seq = node.durable_seq = 0;
}

Status GroupCheck::check(NodeId id, const Pbft& core) {
  CLEW_TRY(core.check_invariants());
  Node& node = nodes_[id];
  const auto broken = [&](const std::string& what) {
    return Status(Code::kInternal, "pbft: node " + std::to_string(number(id)) + " " + what);
  };
  const State state = core.state();
  const Sequence from = std::max(state.base, std::min(state.stable, node.executed));
  // What is looked at in a slot is made with a record, or counts once that is durable.
  const bool news = state.next_seq != node.next_seq || state.durable_seq != node.durable_seq;
  node.next_seq = state.next_seq;
  node.durable_seq = state.durable_seq;
  for (Sequence seq = from + 1; news && seq <= state.highest_slot; ++seq) {
    const Slot* const slot = core.slot(seq);
    if (slot == nullptr) continue;
    // What is not durable was told to nobody, and a crash may take it.
    if (slot->accepted_seq != 0 && slot->accepted_seq <= state.durable_seq && slot->batch != nullptr) {
      const auto [word, first] = node.accepted.try_emplace({slot->view, seq}, slot->digest);
      if (!first && word->second != slot->digest) return broken("accepted two batches at " + place(slot->view, seq));
    }
    if (slot->prepared) {
      const Certificate& proof = slot->prepared->prepares;
      const auto [known, first] = prepared_.try_emplace({proof.view, seq}, id, proof.digest);
      if (!first && known->second.second != proof.digest) {
        return broken("prepared another batch than node " + std::to_string(number(known->second.first)) + " at " +
                      place(proof.view, seq));
      }
    }
    if (slot->committed) {
      const auto [known, first] = committed_.try_emplace(seq, id, slot->committed->digest);
      if (!first && known->second.second != slot->committed->digest) {
        return broken("committed another batch than node " + std::to_string(number(known->second.first)) + " at n " +
                      std::to_string(seq));
      }
    }
  }
  node.executed = state.executed;
  if (node.compared == state.committed) return {};
  const Report report = core.report();
  node.compared = std::max(std::min(node.compared, report.committed), report.first - 1);
  while (node.compared < report.committed) {
    const Position position = ++node.compared;
    const auto entry = core.entry_at(position);
    if (!entry) continue;
    if (position > chosen_.size() + 1) return broken("knows an entry behind one that nobody knows");
    if (position == chosen_.size() + 1) {
      chosen_.push_back(*entry);
    } else if (chosen_[position - 1] != *entry) {
      return broken("has another entry at position " + std::to_string(position));
    }
  }
  return {};
}

}  // namespace clew::consensus::pbft

// LinearSearch: is there an order of the operations that respects what preceded what and in which the model gives every
// recorded answer? (Wing & Gong 1993, with Lowe's memoisation on (what is placed, state): "Testing for
// linearizability", 2017, §4.) Depth first; exact; exponential at worst, hence the budget.
//
// Two things make real histories quick. A possible operation that can never change anything (a read) is placed at once:
// moving it forward in any order that exists harms nobody. And of several operations of unknown outcome that would do
// the same, only the one invoked first is tried.
// One use, one thread. Memory is bounded by `max_bytes`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_set>
#include <vector>

#include "sim/check/history.h"
#include "sim/check/model.h"
#include "sim/check/result.h"

namespace clew::sim::check {

// An operation as the search sees it: it takes effect at one moment after event `invoked` and before event `returned`.
struct Entry {
  OpIndex op = 0;
  uint64_t invoked = 0;
  uint64_t returned = kNever;
  bool required = true;  // else it may be left out; `returned` is kNever then
  bool pure = false;     // can never change anything
  uint32_t group = 0;    // of those that are not required: equal ones do the same
};

// Numbers for Entry::group.
class EffectGroups {
 public:
  uint32_t of(const Operation& op, bool answered) {
    return ids_
        .try_emplace({op.kind, op.key, op.input.value, op.input.expected, op.input.amount, op.input.target, answered},
                     static_cast<uint32_t>(ids_.size()))
        .first->second;
  }

 private:
  using Effect = std::tuple<Kind, std::string, std::string, std::optional<std::string>, int64_t, std::string, bool>;
  std::map<Effect, uint32_t> ids_;
};

class LinearSearch {
 public:
  struct Limits {
    uint64_t max_steps = 0;
    uint64_t max_bytes = 0;
  };
  // `entries` by `invoked`.
  LinearSearch(std::vector<Entry> entries, Model& model, Limits limits);

  // kFine, kViolated, or kUnknown when a limit was reached. Once.
  Verdict run();

  uint64_t steps() const { return steps_; }  // calls of Model::step
  bool out_of_memory() const { return bytes_ > limits_.max_bytes; }
  // After kViolated: the order that got furthest, the state after it, and the operations that had to be placed next,
  // none of which can.
  const std::vector<OpIndex>& longest() const { return longest_; }
  State longest_state() const { return longest_state_; }
  const std::vector<OpIndex>& blocked() const { return blocked_; }

 private:
  struct Candidate {
    uint32_t entry;
    State next;
  };
  struct Frame {
    size_t trail = 0;       // what is placed when the frame is left
    size_t candidates = 0;  // its first
    size_t next = 0;        // to be tried
  };
  uint32_t invocation(uint32_t entry) const { return 1 + 2 * entry; }  // places in the list of events; 0 is its head
  void unlink(uint32_t place);
  void relink(uint32_t place);
  void put(uint32_t entry);
  void undo_to(size_t trail);
  void absorb(State state);
  void gather(State state);
  bool remember(State state);
  void note_dead_end(State state);
  bool over_budget() const { return steps_ > limits_.max_steps || bytes_ > limits_.max_bytes; }

  const std::vector<Entry> entries_;
  Model& model_;
  const Limits limits_;
  // Events in order, doubly linked; those of placed operations are taken out.
  std::vector<uint32_t> next_, previous_;
  // Bits of the entries that are placed, required and others apart: the former are a prefix and little more.
  std::vector<uint32_t> bit_of_;
  std::vector<uint64_t> required_bits_, other_bits_;
  size_t required_ = 0, placed_required_ = 0, placed_others_ = 0;
  size_t lowest_ = 0;  // the first required bit that may be unset
  std::vector<uint32_t> trail_;
  std::vector<Candidate> candidates_;
  std::unordered_set<std::string> seen_;
  std::string key_;
  uint64_t steps_ = 0;
  uint64_t bytes_ = 0;
  std::vector<OpIndex> longest_, blocked_;
  State longest_state_ = 0;
  size_t longest_required_ = 0;
  bool longest_noted_ = false;
};

}  // namespace clew::sim::check

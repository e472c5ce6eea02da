// Models: what each kind of object would have answered, had the operations come one after the other. The truth that
// the searches compare a history with.
//
// A state is a number that only its model understands (values, lists, sets and balances are interned), so that
// comparing and remembering states is cheap. A Model belongs to one part of a history: the operations of one key, or
// the whole of a bank. One thread; interning makes step() non-const. O(1) a step; of sets and banks O(size) for a new
// state.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/check/history.h"

namespace clew::sim::check {

using State = uint64_t;

class Model {
 public:
  virtual ~Model() = default;
  virtual State initial() const = 0;
  // True and the state after it when the operation, executed in `state`, answers what the history says. An operation
  // of unknown outcome answers anything, but is refused where it would change nothing: then it need not be placed.
  virtual bool step(State state, OpIndex op, State& next) = 0;
  virtual std::string describe(State state) const = 0;
  // What the operation would answer in `state`: for "it would see …".
  virtual std::string answer(State state, OpIndex op) const = 0;
};

// Operations that are independent of all others of the history: those of one key, or all of a bank. Linearizability
// is local (Herlihy & Wing 1990, §3.3), so that each part is judged alone.
struct Part {
  std::string key;
  std::vector<OpIndex> operations;  // by invocation; those of outcome fail left out
};
std::vector<Part> parts_of(const History& history);

// `history` and what `part` refers to outlive the model and do not change.
// `foresees`: the model refuses at once what contradicts an answer that comes later: a list that was seen by a read of
// level linearizable is never anything but a prefix of it before, so that no other order of appends is tried. Right for
// whole histories only, not for one that is cut.
std::unique_ptr<Model> make_model(const History& history, const Part& part, bool foresees = false);

// Whether the operation, as answered, cannot have changed anything: a read, a cas that did not find what it expected.
bool changes_nothing(const Operation& op);

// Who could have brought about what was seen. For values that only one operation of the part can produce.
struct Evidence {
  bool unique = false;                // only this operation can have produced its value
  bool observed = false;              // an answer proves that it took effect
  uint64_t observed_before = kNever;  // number of the return that proves it first
  // Nothing that was answered depends on it: were it left out, the rest could be explained as well as before.
  bool irrelevant = false;
};
// For each of `operations` (of one part; outcome fail left out), in their order. Events from `cut` on did not happen.
// Only answers that claim at least `level` prove anything.
std::vector<Evidence> evidence_of(const History& history, const std::vector<OpIndex>& operations, uint64_t cut,
                                  Level level);

}  // namespace clew::sim::check

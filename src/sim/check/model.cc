#include "sim/check/model.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/check.h"

namespace clew::sim::check {
namespace {

constexpr uint32_t kAbsent = 0;

// Strings as small numbers from 1 on; 0 is "no value".
class Names {
 public:
  uint32_t id(const std::string& text) {
    const auto [at, added] = ids_.try_emplace(text, static_cast<uint32_t>(texts_.size() + 1));
    if (added) texts_.push_back(&at->first);
    return at->second;
  }
  uint32_t id(const std::optional<std::string>& text) { return text ? id(*text) : kAbsent; }
  std::optional<std::string> text(uint32_t id) const {
    if (id == kAbsent) return std::nullopt;
    return *texts_[id - 1];
  }

 private:
  std::map<std::string, uint32_t> ids_;
  std::vector<const std::string*> texts_;
};

// Vectors as small numbers.
template <typename T>
class Interned {
 public:
  State id(std::vector<T> value) {
    const auto [at, added] = ids_.try_emplace(std::move(value), values_.size());
    if (added) values_.push_back(&at->first);
    return at->second;
  }
  const std::vector<T>& value(State id) const { return *values_[id]; }

 private:
  std::map<std::vector<T>, State> ids_;
  std::vector<const std::vector<T>*> values_;
};

// What the model needs to know of each operation, by its index in the history.
template <typename T>
class Compiled {
 public:
  explicit Compiled(const Part& part) : indices_(part.operations), compiled_(part.operations.size()) {}
  T& at(OpIndex op) { return compiled_[place(op)]; }
  const T& at(OpIndex op) const { return compiled_[place(op)]; }

 private:
  size_t place(OpIndex op) const {
    const auto found = std::lower_bound(indices_.begin(), indices_.end(), op);
    CHECK(found != indices_.end() && *found == op);
    return static_cast<size_t>(found - indices_.begin());
  }
  const std::vector<OpIndex>& indices_;
  std::vector<T> compiled_;
};

const Output& initial_of(const History& history, const std::string& key) {
  static const Output kEmpty;
  const auto found = history.initial.find(key);
  return found == history.initial.end() ? kEmpty : found->second;
}

class RegisterModel final : public Model {
 public:
  RegisterModel(const History& history, const Part& part) : compiled_(part) {
    initial_ = values_.id(initial_of(history, part.key).value);
    for (const OpIndex i : part.operations) {
      const Operation& op = history.operations[i];
      Op& c = compiled_.at(i);
      c.kind = op.kind;
      c.known = op.ok();
      c.applied = op.output.applied;
      if (op.kind == Kind::kRead) c.expected = values_.id(op.output.value);
      if (op.kind == Kind::kCas) c.expected = values_.id(op.input.expected);
      if (op.kind == Kind::kWrite || op.kind == Kind::kCas) c.value = values_.id(op.input.value);
    }
  }
  State initial() const override { return initial_; }
  bool step(State state, OpIndex op, State& next) override {
    const Op& c = compiled_.at(op);
    next = state;
    switch (c.kind) {
      case Kind::kRead:
        return !c.known || c.expected == state;
      case Kind::kCas:
        if (!c.known) {
          next = c.value;
          return c.expected == state && c.value != state;
        }
        if (c.applied) next = c.value;
        return c.applied == (c.expected == state);
      default:  // write, delete
        next = c.value;
        return c.known || next != state;
    }
  }
  std::string describe(State state) const override {
    return describe_value(values_.text(static_cast<uint32_t>(state)));
  }
  std::string answer(State state, OpIndex op) const override {
    const Op& c = compiled_.at(op);
    if (c.kind == Kind::kRead) return describe(state);
    if (c.kind == Kind::kCas) return c.expected == state ? "replaced" : "not as expected";
    return "ok";
  }

 private:
  struct Op {
    Kind kind = Kind::kRead;
    bool known = false;
    bool applied = false;
    uint32_t expected = kAbsent;  // of a read: what it saw
    uint32_t value = kAbsent;     // after it
  };
  Names values_;
  Compiled<Op> compiled_;
  State initial_;
};

// Lists share their beginnings: a state is a node of a tree whose edges are appended elements.
class ListModel final : public Model {
 public:
  ListModel(const History& history, const Part& part, bool foresees) : compiled_(part) {
    nodes_.push_back({0, kAbsent, 0});
    initial_ = chain(initial_of(history, part.key).values);
    for (const OpIndex i : part.operations) {
      const Operation& op = history.operations[i];
      Op& c = compiled_.at(i);
      c.append = op.kind == Kind::kAppend;
      c.known = op.ok();
      if (c.append) {
        c.element = values_.id(op.input.value);
      } else if (c.known) {
        c.seen = chain(op.output.values);
        if (foresees && op.level == Level::kLinearizable && nodes_[c.seen].size > nodes_[longest_].size)
          longest_ = c.seen;
      }
    }
    for (State at = longest_; nodes_[at].size > 0; at = nodes_[at].parent) foreseen_.push_back(at);
    std::reverse(foreseen_.begin(), foreseen_.end());
  }
  State initial() const override { return initial_; }
  bool step(State state, OpIndex op, State& next) override {
    const Op& c = compiled_.at(op);
    if (!c.append) {
      next = state;
      return !c.known || c.seen == state;
    }
    const size_t size = nodes_[state].size;
    next = child(state, c.element);
    return size >= foreseen_.size() || next == foreseen_[size];
  }
  std::string describe(State state) const override {
    std::vector<std::string> values(nodes_[state].size);
    for (State at = state; nodes_[at].size > 0; at = nodes_[at].parent) {
      values[nodes_[at].size - 1] = *values_.text(nodes_[at].element);
    }
    return describe_values(values);
  }
  std::string answer(State state, OpIndex op) const override {
    return compiled_.at(op).append ? "ok" : describe(state);
  }

 private:
  struct Op {
    bool append = false;
    bool known = false;
    uint32_t element = kAbsent;
    State seen = 0;
  };
  struct Node {
    State parent;
    uint32_t element;
    size_t size;
  };
  State child(State parent, uint32_t element) {
    const auto [at, added] = children_.try_emplace({parent, element}, nodes_.size());
    if (added) nodes_.push_back({parent, element, nodes_[parent].size + 1});
    return at->second;
  }
  State chain(const std::vector<std::string>& values) {
    State state = 0;
    for (const std::string& value : values) state = child(state, values_.id(value));
    return state;
  }
  Names values_;
  std::vector<Node> nodes_;
  std::map<std::pair<State, uint32_t>, State> children_;
  Compiled<Op> compiled_;
  State longest_ = 0;            // the longest list that was seen
  std::vector<State> foreseen_;  // by size - 1: the states on the way to it; empty: not looked at
  State initial_;
};

class CounterModel final : public Model {
 public:
  CounterModel(const History& history, const Part& part)
      : history_(history), initial_(static_cast<State>(initial_of(history, part.key).number)) {}
  State initial() const override { return initial_; }
  bool step(State state, OpIndex op, State& next) override {
    const Operation& o = history_.operations[op];
    next = state;
    if (o.kind == Kind::kRead) return !o.ok() || o.output.number == static_cast<int64_t>(state);
    next = state + static_cast<State>(o.input.amount);  // wraps, as the counter does
    return o.ok() || next != state;
  }
  std::string describe(State state) const override { return std::to_string(static_cast<int64_t>(state)); }
  std::string answer(State state, OpIndex op) const override {
    return history_.operations[op].kind == Kind::kRead ? describe(state) : "ok";
  }

 private:
  const History& history_;
  State initial_;
};

class SetModel final : public Model {
 public:
  SetModel(const History& history, const Part& part) : compiled_(part) {
    initial_ = set(initial_of(history, part.key).values);
    for (const OpIndex i : part.operations) {
      const Operation& op = history.operations[i];
      Op& c = compiled_.at(i);
      c.kind = op.kind;
      c.known = op.ok();
      c.applied = op.output.applied;
      if (op.kind != Kind::kRead) {
        c.element = values_.id(op.input.value);
      } else if (c.known) {
        c.seen = set(op.output.values);
        // A set has no element twice; an answer that has matches no state.
        c.possible = sets_.value(c.seen).size() == op.output.values.size();
      }
    }
  }
  State initial() const override { return initial_; }
  bool step(State state, OpIndex op, State& next) override {
    const Op& c = compiled_.at(op);
    next = state;
    if (c.kind == Kind::kRead) return !c.known || (c.possible && c.seen == state);
    const std::vector<uint32_t>& now = sets_.value(state);
    const auto at = std::lower_bound(now.begin(), now.end(), c.element);
    const bool contains = at != now.end() && *at == c.element;
    const bool changes = contains == (c.kind == Kind::kErase);
    if (changes) {
      std::vector<uint32_t> then = now;
      const auto place = then.begin() + (at - now.begin());
      if (contains) {
        then.erase(place);
      } else {
        then.insert(place, c.element);
      }
      next = sets_.id(std::move(then));
    }
    return c.known ? changes == c.applied : changes;
  }
  std::string describe(State state) const override {
    std::vector<std::string> values;
    for (const uint32_t id : sets_.value(state)) values.push_back(*values_.text(id));
    std::sort(values.begin(), values.end());
    return describe_values(values);
  }
  std::string answer(State state, OpIndex op) const override {
    const Op& c = compiled_.at(op);
    if (c.kind == Kind::kRead) return describe(state);
    const std::vector<uint32_t>& now = sets_.value(state);
    const bool contains = std::binary_search(now.begin(), now.end(), c.element);
    return contains == (c.kind == Kind::kErase) ? "changed" : "no change";
  }

 private:
  struct Op {
    Kind kind = Kind::kRead;
    bool known = false;
    bool applied = false;
    bool possible = true;
    uint32_t element = kAbsent;
    State seen = 0;
  };
  State set(const std::vector<std::string>& values) {
    std::vector<uint32_t> ids;
    ids.reserve(values.size());
    for (const std::string& value : values) ids.push_back(values_.id(value));
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return sets_.id(std::move(ids));
  }
  Names values_;
  Interned<uint32_t> sets_;
  Compiled<Op> compiled_;
  State initial_;
};

class BankModel final : public Model {
 public:
  BankModel(const History& history, const Part& part) : history_(history), compiled_(part) {
    for (const auto& [account, output] : history.initial) accounts_.id(account);
    for (const OpIndex i : part.operations) {
      const Operation& op = history.operations[i];
      Op& c = compiled_.at(i);
      if (op.kind == Kind::kTransfer) {
        c.from = accounts_.id(op.key);
        c.to = accounts_.id(op.input.target);
        count_ = std::max({count_, c.from, c.to});
      } else {
        for (const auto& [account, balance] : op.output.balances) c.seen.emplace_back(accounts_.id(account), balance);
        for (const auto& [id, balance] : c.seen) count_ = std::max(count_, id);
      }
    }
    count_ = std::max<uint32_t>(count_, static_cast<uint32_t>(history.initial.size()));
    std::vector<int64_t> balances(count_, 0);
    for (const auto& [account, output] : history.initial) balances[accounts_.id(account) - 1] = output.number;
    initial_ = balances_.id(std::move(balances));
  }
  State initial() const override { return initial_; }
  bool step(State state, OpIndex op, State& next) override {
    const Operation& o = history_.operations[op];
    const Op& c = compiled_.at(op);
    const std::vector<int64_t>& now = balances_.value(state);
    next = state;
    if (o.kind == Kind::kRead) {
      return !o.ok() || std::all_of(c.seen.begin(), c.seen.end(),
                                    [&](const auto& seen) { return now[seen.first - 1] == seen.second; });
    }
    const bool pays = now[c.from - 1] >= o.input.amount;
    if (pays && c.from != c.to) {
      std::vector<int64_t> then = now;
      // Wraps rather than overflows: the amounts come from a file.
      then[c.from - 1] =
          static_cast<int64_t>(static_cast<uint64_t>(now[c.from - 1]) - static_cast<uint64_t>(o.input.amount));
      then[c.to - 1] =
          static_cast<int64_t>(static_cast<uint64_t>(now[c.to - 1]) + static_cast<uint64_t>(o.input.amount));
      next = balances_.id(std::move(then));
    }
    return o.ok() ? pays == o.output.applied : next != state;
  }
  std::string describe(State state) const override {
    std::string out = "{";
    const std::vector<int64_t>& now = balances_.value(state);
    for (uint32_t id = 1; id <= now.size(); ++id) {
      if (id > 1) out += ", ";
      out += describe_value(accounts_.text(id)) + ": " + std::to_string(now[id - 1]);
    }
    return out + "}";
  }
  std::string answer(State state, OpIndex op) const override {
    const Operation& o = history_.operations[op];
    if (o.kind == Kind::kRead) return describe(state);
    return balances_.value(state)[compiled_.at(op).from - 1] >= o.input.amount ? "paid" : "not enough";
  }

 private:
  struct Op {
    uint32_t from = kAbsent;
    uint32_t to = kAbsent;
    std::vector<std::pair<uint32_t, int64_t>> seen;
  };
  const History& history_;
  Names accounts_;
  Interned<int64_t> balances_;
  Compiled<Op> compiled_;
  uint32_t count_ = 0;
  State initial_;
};

}  // namespace

std::vector<Part> parts_of(const History& history) {
  std::map<std::string, Part> by_key;
  for (OpIndex i = 0; i < history.operations.size(); ++i) {
    const Operation& op = history.operations[i];
    if (op.outcome == Outcome::kFail) continue;
    const std::string key = history.workload == Workload::kBank ? std::string() : op.key;
    Part& part = by_key[key];
    part.key = key;
    part.operations.push_back(i);
  }
  std::vector<Part> parts;
  parts.reserve(by_key.size());
  for (auto& [key, part] : by_key) parts.push_back(std::move(part));
  return parts;
}

std::unique_ptr<Model> make_model(const History& history, const Part& part, bool foresees) {
  switch (history.workload) {
    case Workload::kRegister:
      return std::make_unique<RegisterModel>(history, part);
    case Workload::kList:
      return std::make_unique<ListModel>(history, part, foresees);
    case Workload::kCounter:
      return std::make_unique<CounterModel>(history, part);
    case Workload::kSet:
      return std::make_unique<SetModel>(history, part);
    case Workload::kBank:
      return std::make_unique<BankModel>(history, part);
  }
  CHECK(false);
}

bool changes_nothing(const Operation& op) { return op.reads() || (op.ok() && !op.output.applied); }

}  // namespace clew::sim::check

// evidence_of() of model.h: what answers prove about operations whose value nobody else can have produced.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "sim/check/model.h"

namespace clew::sim::check {
namespace {

struct Seen {
  size_t producers = 0;
  bool initial = false;
  bool wanted = false;  // by an operation of unknown outcome, which it may have enabled
  uint64_t observed_before = kNever;
};

const Output* initial_of(const History& history, const std::string& key) {
  const auto found = history.initial.find(key);
  return found == history.initial.end() ? nullptr : &found->second;
}

class Collector {
 public:
  Collector(const History& history, const std::vector<OpIndex>& operations, uint64_t cut, Level level)
      : history_(history), operations_(operations), cut_(cut), level_(level) {}

  std::vector<Evidence> of_register() {
    std::map<std::optional<std::string>, Seen> seen;
    const Output* initial = operations_.empty() ? nullptr : initial_of(history_, op(operations_[0]).key);
    seen[initial ? initial->value : std::nullopt].initial = true;
    bool mismatch = false;  // a cas that was not as expected depends on whatever was there instead
    for (const OpIndex i : operations_) {
      const Operation& o = op(i);
      if (o.kind == Kind::kRead && known(o)) see(seen[o.output.value], o);
      if (o.kind == Kind::kCas) {
        Seen& expected = seen[o.input.expected];
        if (!known(o)) {
          expected.wanted = true;
        } else if (o.output.applied) {
          see(expected, o);
        } else {
          mismatch = true;
        }
      }
      if (produces(o)) ++seen[product(o)].producers;
    }
    return judge([&](const Operation& o) -> Evidence {
      if (!produces(o)) return {};
      const Seen& s = seen[product(o)];
      Evidence evidence = evidence_from(s);
      evidence.irrelevant = evidence.unique && !evidence.observed && !s.wanted && !mismatch;
      return evidence;
    });
  }

  std::vector<Evidence> of_list() {
    std::map<std::string, Seen> seen = elements();
    return judge([&](const Operation& o) -> Evidence {
      if (o.kind != Kind::kAppend) return {};
      Evidence evidence = evidence_from(seen[o.input.value]);
      // What no read shows was appended after all reads, or not at all.
      evidence.irrelevant = !evidence.observed;
      return evidence;
    });
  }

  std::vector<Evidence> of_set() {
    std::map<std::string, Seen> seen = elements();
    std::set<std::string> erased;
    for (const OpIndex i : operations_) {
      if (op(i).kind == Kind::kErase) erased.insert(op(i).input.value);
    }
    return judge([&](const Operation& o) -> Evidence {
      if (o.kind != Kind::kInsert || erased.count(o.input.value) > 0) return {};
      Evidence evidence = evidence_from(seen[o.input.value]);
      evidence.irrelevant = evidence.unique && !evidence.observed;
      return evidence;
    });
  }

  std::vector<Evidence> none() {
    return judge([](const Operation&) { return Evidence(); });
  }

 private:
  const Operation& op(OpIndex i) const { return history_.operations[i]; }
  bool known(const Operation& o) const { return o.ok() && o.returned < cut_ && o.level >= level_; }
  bool produces(const Operation& o) const {
    return o.kind != Kind::kRead && !(o.kind == Kind::kCas && known(o) && !o.output.applied);
  }
  static std::optional<std::string> product(const Operation& o) {
    if (o.kind == Kind::kDelete) return std::nullopt;
    return o.input.value;
  }
  static void see(Seen& seen, const Operation& o) { seen.observed_before = std::min(seen.observed_before, o.returned); }
  static Evidence evidence_from(const Seen& seen) {
    Evidence evidence;
    evidence.unique = seen.producers == 1 && !seen.initial;
    evidence.observed = seen.observed_before != kNever;
    evidence.observed_before = seen.observed_before;
    return evidence;
  }
  // Elements of lists and sets.
  std::map<std::string, Seen> elements() {
    std::map<std::string, Seen> seen;
    if (operations_.empty()) return seen;
    if (const Output* initial = initial_of(history_, op(operations_[0]).key)) {
      for (const std::string& value : initial->values) seen[value].initial = true;
    }
    for (const OpIndex i : operations_) {
      const Operation& o = op(i);
      if (o.kind == Kind::kAppend || o.kind == Kind::kInsert) ++seen[o.input.value].producers;
      if (o.kind != Kind::kRead || !known(o)) continue;
      for (const std::string& value : o.output.values) see(seen[value], o);
    }
    return seen;
  }
  template <typename Judge>
  std::vector<Evidence> judge(Judge judge_one) {
    std::vector<Evidence> all;
    all.reserve(operations_.size());
    for (const OpIndex i : operations_) all.push_back(judge_one(op(i)));
    return all;
  }

  const History& history_;
  const std::vector<OpIndex>& operations_;
  const uint64_t cut_;
  const Level level_;
};

}  // namespace

std::vector<Evidence> evidence_of(const History& history, const std::vector<OpIndex>& operations, uint64_t cut,
                                  Level level) {
  Collector collector(history, operations, cut, level);
  switch (history.workload) {
    case Workload::kRegister:
      return collector.of_register();
    case Workload::kList:
      return collector.of_list();
    case Workload::kSet:
      return collector.of_set();
    case Workload::kCounter:
    case Workload::kBank:
      break;
  }
  return collector.none();
}

}  // namespace clew::sim::check

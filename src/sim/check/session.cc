// check_monotonic_reads and check_read_your_writes; sequential.cc has the third.
#include "sim/check/session.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/check/model.h"
#include "sim/check/session_order.h"

namespace clew::sim::check {
namespace {

// What can be told of a key's values without positions.
class Values {
 public:
  explicit Values(const History& history) : history_(history) {
    for (const auto& [key, output] : history.initial) {
      Key& k = keys_[key];
      k.number = output.number;
      k.initial = output.value;
      for (const std::string& value : output.values) k.elements.insert(value);
    }
    for (const Operation& op : history.operations) {
      if (op.outcome == Outcome::kFail) continue;
      Key& k = keys_[op.key];
      k.erases |= op.kind == Kind::kErase;
      k.shrinks |= op.kind == Kind::kAdd && op.input.amount < 0;
      if (op.kind == Kind::kAppend && !k.elements.insert(op.input.value).second) k.repeats = true;
      if (produces(op)) ++k.producers[product(op)];
    }
    // Of a register: the value at the start counts as written once.
    for (auto& [key, k] : keys_) ++k.producers[k.initial];
  }

  bool only_grows(const Operation& op) const {
    const Key& k = key(op);
    switch (history_.workload) {
      case Workload::kList:
        return !k.repeats;
      case Workload::kSet:
        return !k.erases;
      case Workload::kCounter:
        return !k.shrinks;
      case Workload::kRegister:
      case Workload::kBank:
        return false;
    }
    return false;
  }
  int64_t initial_number(const Operation& op) const { return key(op).number; }
  const std::optional<std::string>& initial(const Operation& op) const { return key(op).initial; }
  bool unique(const Operation& op, const std::optional<std::string>& value) const {
    const auto found = key(op).producers.find(value);
    return found != key(op).producers.end() && found->second == 1;
  }
  static bool produces(const Operation& op) {
    return op.kind == Kind::kWrite || op.kind == Kind::kDelete ||
           (op.kind == Kind::kCas && !(op.ok() && !op.output.applied));
  }
  static std::optional<std::string> product(const Operation& op) {
    if (op.kind == Kind::kDelete) return std::nullopt;
    return op.input.value;
  }

 private:
  struct Key {
    std::optional<std::string> initial;
    int64_t number = 0;
    bool erases = false;
    bool shrinks = false;
    bool repeats = false;  // an element is appended twice
    std::set<std::string> elements;
    std::map<std::optional<std::string>, size_t> producers;
  };
  const Key& key(const Operation& op) const { return keys_.at(op.key); }
  const History& history_;
  std::map<std::string, Key> keys_;
};

// nullopt: shown in full; else an element of `less` that `more` lacks, or that stands elsewhere.
std::optional<std::string> not_contained(Workload workload, const std::vector<std::string>& less,
                                         const std::vector<std::string>& more) {
  if (workload == Workload::kList) {
    for (size_t i = 0; i < less.size(); ++i) {
      if (i >= more.size() || more[i] != less[i]) return less[i];
    }
    return std::nullopt;
  }
  const std::set<std::string> all(more.begin(), more.end());
  for (const std::string& value : less) {
    if (all.count(value) == 0) return value;
  }
  return std::nullopt;
}

class SessionJudge {
 public:
  SessionJudge(const History& history, const CheckOptions& options, std::string_view checker)
      : history_(history), options_(options), values_(history) {
    result_.checker = checker;
  }
  virtual ~SessionJudge() = default;

  CheckResult run() {
    walk_sessions(history_,
                  {[&] { forget(); }, [&](OpIndex i) { note_invoked(i); }, [&](OpIndex i) { note_returned(i); }});
    if (result_.verdict == Verdict::kViolated) return std::move(result_);
    if (undecided_ > 0) {
      result_.verdict = Verdict::kUnknown;
      result_.reason = std::to_string(undecided_) + " reads, the first " + describe(history_, first_undecided_) +
                       ", cannot be judged: record positions, or write distinct values";
    } else if (result_.looked_at > 0) {
      result_.verdict = Verdict::kFine;
    } else {
      result_.reason = "no read has a past in its session that can be compared with it";
    }
    return std::move(result_);
  }

 protected:
  virtual void forget() = 0;
  virtual void note_invoked(OpIndex i) = 0;
  virtual void note_returned(OpIndex i) = 0;

  const Operation& op(OpIndex i) const { return history_.operations[i]; }
  bool judged(const Operation& o) const { return o.reads() && o.ok() && o.level >= Level::kCausal; }
  void undecided(OpIndex i) {
    if (op(i).level == Level::kLinearizable) return;
    if (undecided_++ == 0) first_undecided_ = i;
  }
  void looked() { ++result_.looked_at; }
  void report(std::string summary, OpIndex before, OpIndex read) {
    add_violation(result_, options_,
                  {std::move(summary),
                   {before, read},
                   "  " + describe_in_time(history_, before) + "\n  " + describe_in_time(history_, read) + '\n'});
  }
  std::string key_text(OpIndex i) const { return "key " + describe_value(op(i).key); }

  const History& history_;
  const CheckOptions& options_;
  const Values values_;
  CheckResult result_;

 private:
  uint64_t undecided_ = 0;
  OpIndex first_undecided_ = 0;
};

// Highest position among the operations of a session that returned so far.
struct Floor {
  uint64_t position = 0;
  std::optional<OpIndex> by;
  void raise(const Operation& o, OpIndex i) {
    if (!o.position || (by && *o.position <= position)) return;
    position = *o.position;
    by = i;
  }
};

class MonotonicReads final : public SessionJudge {
 public:
  MonotonicReads(const History& history, const CheckOptions& options)
      : SessionJudge(history, options, "monotonic-reads") {}

 private:
  struct Past {  // of a read, when it was invoked
    Floor floor;
    std::optional<OpIndex> last;  // read of its key
  };
  void forget() override {
    floor_ = {};
    last_.clear();
    gone_.clear();
    pending_.clear();
  }
  void note_invoked(OpIndex i) override {
    if (!judged(op(i))) return;
    Past& past = pending_[i];
    past.floor = floor_;
    if (const auto found = last_.find(op(i).key); found != last_.end()) past.last = found->second;
  }
  void note_returned(OpIndex i) override {
    const Operation& o = op(i);
    if (!judged(o)) return;
    const auto found = pending_.find(i);
    const Past past = found->second;
    pending_.erase(found);
    if (past.floor.by && o.position) {
      looked();
      if (*o.position < past.floor.position) {
        report("a read at position " + std::to_string(*o.position) + " follows one at position " +
                   std::to_string(past.floor.position) + " in its session",
               *past.floor.by, i);
      }
    }
    if (past.last && !(o.position && op(*past.last).position)) judge_values(*past.last, i);
    floor_.raise(o, i);
    last_[o.key] = i;
  }
  void judge_values(OpIndex before, OpIndex read) {
    const Operation& then = op(before);
    const Operation& now = op(read);
    if (history_.workload == Workload::kRegister) return judge_register(before, read);
    if (!values_.only_grows(now)) return undecided(read);
    looked();
    if (history_.workload == Workload::kCounter) {
      if (now.output.number < then.output.number) {
        report("a read of " + key_text(read) + ", which only grows, shows " + std::to_string(now.output.number) +
                   " after " + std::to_string(then.output.number),
               before, read);
      }
    } else if (const auto missing = not_contained(history_.workload, then.output.values, now.output.values)) {
      report("a read of " + key_text(read) + " lacks " + describe_value(*missing) + ", which its session saw there",
             before, read);
    }
  }
  // A value that came once, was seen and was seen replaced does not come back.
  void judge_register(OpIndex before, OpIndex read) {
    const std::optional<std::string>& then = op(before).output.value;
    const std::optional<std::string>& now = op(read).output.value;
    if (then == now) return looked();
    auto& gone = gone_[op(read).key];
    gone.try_emplace(then, read);
    if (!values_.unique(op(read), now)) return undecided(read);
    looked();
    const auto found = gone.find(now);
    if (found == gone.end() || op(found->second).returned > op(read).invoked) return;
    report(
        "a read of " + key_text(read) + " shows " + describe_value(now) + " again, after its session saw it replaced",
        found->second, read);
  }

  Floor floor_;
  std::map<std::string, OpIndex> last_;
  // By key: values that the session saw replaced, with the read that showed another.
  std::map<std::string, std::map<std::optional<std::string>, OpIndex>> gone_;
  std::map<OpIndex, Past> pending_;
};

class ReadYourWrites final : public SessionJudge {
 public:
  ReadYourWrites(const History& history, const CheckOptions& options)
      : SessionJudge(history, options, "read-your-writes") {}

 private:
  struct Past {
    Floor floor;
    size_t own = 0;  // writes of its key, without a position or not
  };
  void forget() override {
    floor_ = {};
    own_.clear();
    pending_.clear();
  }
  void note_invoked(OpIndex i) override {
    if (judged(op(i))) pending_[i] = {floor_, own_[op(i).key].size()};
  }
  void note_returned(OpIndex i) override {
    const Operation& o = op(i);
    if (!o.reads()) {
      if (changes_nothing(o)) return;
      floor_.raise(o, i);
      own_[o.key].push_back(i);
      return;
    }
    if (!judged(o)) return;
    const auto found = pending_.find(i);
    const Past past = found->second;
    pending_.erase(found);
    if (past.floor.by && o.position) {
      looked();
      if (*o.position < past.floor.position) {
        report("a read at position " + std::to_string(*o.position) + " follows a write of its session at position " +
                   std::to_string(past.floor.position),
               *past.floor.by, i);
      }
    }
    const std::vector<OpIndex>& all = own_[o.key];
    std::vector<OpIndex> own;  // that positions cannot compare with the read
    for (size_t k = 0; k < past.own; ++k) {
      if (!o.position || !op(all[k]).position) own.push_back(all[k]);
    }
    if (!own.empty()) judge_values(own, i);
  }
  void judge_values(const std::vector<OpIndex>& own, OpIndex read) {
    const Operation& o = op(read);
    if (history_.workload == Workload::kRegister) return judge_register(own, read);
    if (!values_.only_grows(o)) return undecided(read);
    looked();
    if (history_.workload == Workload::kCounter) {
      // Sums of amounts from a file may be beyond 64 bits.
      __int128 least = values_.initial_number(o);
      for (const OpIndex i : own) least += op(i).input.amount;
      if (o.output.number < least) {
        report("a read of " + key_text(read) + ", which only grows, shows " + std::to_string(o.output.number) +
                   ", less than what its session added alone",
               own.back(), read);
      }
      return;
    }
    const std::set<std::string> shown(o.output.values.begin(), o.output.values.end());
    for (const OpIndex i : own) {
      if (shown.count(op(i).input.value) > 0) continue;
      return report("a read of " + key_text(read) + " lacks " + describe_value(op(i).input.value) +
                        ", which its session had put there",
                    i, read);
    }
  }
  void judge_register(const std::vector<OpIndex>& own, OpIndex read) {
    const Operation& o = op(read);
    const OpIndex last = own.back();
    if (o.output.value == Values::product(op(last))) return looked();
    if (!values_.unique(o, o.output.value)) return undecided(read);
    looked();
    // Older than the session's last write: what was there at the start, and what it had written before.
    bool older = o.output.value == values_.initial(o);
    for (const OpIndex i : own) {
      older |= op(i).returned < op(last).invoked && Values::product(op(i)) == o.output.value;
    }
    if (older) {
      report("a read of " + key_text(read) + " shows " + describe_value(o.output.value) +
                 ", which its session had overwritten",
             last, read);
    }
  }

  Floor floor_;
  std::map<std::string, std::vector<OpIndex>> own_;  // acknowledged writes by key
  std::map<OpIndex, Past> pending_;
};

}  // namespace

CheckResult check_monotonic_reads(const History& history, const CheckOptions& options) {
  return MonotonicReads(history, options).run();
}

CheckResult check_read_your_writes(const History& history, const CheckOptions& options) {
  return ReadYourWrites(history, options).run();
}

}  // namespace clew::sim::check

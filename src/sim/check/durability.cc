#include "sim/check/durability.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/check/model.h"

namespace clew::sim::check {
namespace {

// Sums of amounts that a file chose: they saturate nowhere, for 128 bits hold more than any history.
using Wide = __int128;

std::string text(Wide value) {
  if (value < 0) return "-" + text(-value);
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
    value /= 10;
  } while (value > 0);
  return digits;
}

struct Range {
  Wide low = 0;
  Wide high = 0;
  void add(int64_t amount, bool certain) {
    if (certain || amount < 0) low += amount;
    if (certain || amount > 0) high += amount;
  }
  bool contains(Wide value) const { return low <= value && value <= high; }
};

class Judge {
 public:
  Judge(const History& history, const CheckOptions& options) : history_(history), options_(options) {
    result_.checker = "durability";
  }

  CheckResult run() {
    for (const Part& part : parts_of(history_)) {
      std::vector<OpIndex> finals;
      bool acknowledged = false;
      for (const OpIndex i : part.operations) {
        const Operation& op = history_.operations[i];
        if (op.reads() && op.final && op.ok()) finals.push_back(i);
        acknowledged |= op.ok() && !changes_nothing(op);
      }
      if (finals.empty()) {
        if (acknowledged) unread_.push_back(part.key);
        continue;
      }
      for (const OpIndex read : finals) judge(part, read);
    }
    conclude();
    return std::move(result_);
  }

 private:
  const Operation& op(OpIndex i) const { return history_.operations[i]; }
  const Output& initial(const std::string& key) const {
    static const Output kEmpty;
    const auto found = history_.initial.find(key);
    return found == history_.initial.end() ? kEmpty : found->second;
  }
  // Acknowledged before the final read was asked for, so that it must show.
  static bool must_show(const Operation& o, const Operation& read) {
    return o.ok() && !changes_nothing(o) && o.returned < read.invoked;
  }
  static bool may_show(const Operation& o, const Operation& read) {
    return !changes_nothing(o) && o.invoked < read.returned;
  }

  void judge(const Part& part, OpIndex read) {
    ++result_.looked_at;
    switch (history_.workload) {
      case Workload::kRegister:
        return judge_register(part, read);
      case Workload::kList:
        return judge_list(part, read);
      case Workload::kCounter:
        return judge_counter(part, read);
      case Workload::kSet:
        return judge_set(part, read);
      case Workload::kBank:
        return judge_bank(part, read);
    }
  }

  void judge_register(const Part& part, OpIndex read) {
    const Operation& final_read = op(read);
    uint64_t superseded_before = 0;  // what had returned by then is overwritten
    std::optional<OpIndex> last;
    bool acknowledged = false;
    for (const OpIndex i : part.operations) {
      const Operation& o = op(i);
      if (!must_show(o, final_read)) continue;
      ++result_.looked_at;
      acknowledged = true;
      if (o.level != Level::kLinearizable) continue;
      superseded_before = o.invoked;  // operations stand in the order of their invocations
      last = i;
    }
    if (!acknowledged && final_read.output.value == initial(part.key).value) return;
    std::optional<OpIndex> overwritten;
    for (const OpIndex i : part.operations) {
      const Operation& o = op(i);
      if (!may_show(o, final_read)) continue;
      const std::optional<std::string> value =
          o.kind == Kind::kDelete ? std::nullopt : std::optional<std::string>(o.input.value);
      if (value != final_read.output.value) continue;
      const bool over = o.ok() && o.level == Level::kLinearizable && o.returned < superseded_before;
      if (!over) return;
      overwritten = i;
    }
    const std::string shows = "the final read of key " + describe_value(part.key) + " shows " +
                              describe_value(final_read.output.value) + ", ";
    std::vector<OpIndex> involved;
    if (overwritten) involved.push_back(*overwritten);
    if (last) involved.push_back(*last);
    if (overwritten) {
      report(read, shows + "which an acknowledged operation had replaced", std::move(involved));
    } else if (final_read.output.value == initial(part.key).value) {
      report(read, shows + "as at the start: what was acknowledged is lost", std::move(involved));
    } else {
      report(read, shows + "which nobody wrote", std::move(involved));
    }
  }

  void judge_list(const Part& part, OpIndex read) {
    std::map<std::string, int64_t> missing;  // how often each must still be found
    for (const std::string& value : initial(part.key).values) ++missing[value];
    for (const OpIndex i : part.operations) {
      if (!must_show(op(i), op(read))) continue;
      ++result_.looked_at;
      ++missing[op(i).input.value];
    }
    for (const std::string& value : op(read).output.values) --missing[value];
    for (const OpIndex i : part.operations) {
      if (!must_show(op(i), op(read))) continue;
      const auto found = missing.find(op(i).input.value);
      if (found->second <= 0) continue;
      found->second = 0;
      lost(read, "element " + describe_value(op(i).input.value) + " of key " + describe_value(part.key), i);
    }
    for (const auto& [value, count] : missing) {
      if (count > 0) {
        report(read,
               "initial element " + describe_value(value) + " of key " + describe_value(part.key) +
                   " is not in the final read",
               {});
      }
    }
  }

  void judge_set(const Part& part, OpIndex read) {
    const std::set<std::string> shown(op(read).output.values.begin(), op(read).output.values.end());
    struct Fate {
      std::optional<OpIndex> last_insert, last_erase;  // acknowledged, by invocation
      // The last moment at which somebody may have inserted or erased it: kNever while an answer is missing.
      uint64_t inserted_until = 0, erased_until = 0;
      bool inserted = false, erased = false;
    };
    std::map<std::string, Fate> fates;
    for (const OpIndex i : part.operations) {
      const Operation& o = op(i);
      if (o.reads()) continue;
      Fate& fate = fates[o.input.value];
      // Acknowledged without a change: the element was as the operation wanted it, and that is no less acknowledged.
      const bool shows = o.ok() && o.returned < op(read).invoked;
      if (shows) ++result_.looked_at;
      const uint64_t until = o.ok() && o.level == Level::kLinearizable ? o.returned : kNever;
      const bool may = may_show(o, op(read));
      if (o.kind == Kind::kInsert) {
        if (shows) fate.last_insert = i;
        if (may) {
          fate.inserted = true;
          fate.inserted_until = std::max(fate.inserted_until, until);
        }
      } else {
        if (shows) fate.last_erase = i;
        if (may) {
          fate.erased = true;
          fate.erased_until = std::max(fate.erased_until, until);
        }
      }
    }
    for (const std::string& value : initial(part.key).values) {
      const auto found = fates.find(value);
      if ((found == fates.end() || !found->second.erased) && shown.count(value) == 0) {
        report(read,
               "initial element " + describe_value(value) + " of key " + describe_value(part.key) +
                   " is not in the final read, and nobody erased it",
               {});
      }
    }
    for (const auto& [value, fate] : fates) {
      const bool there = shown.count(value) > 0;
      const std::string what = "element " + describe_value(value) + " of key " + describe_value(part.key);
      if (fate.last_insert && !there) {
        if (!fate.erased || fate.erased_until < op(*fate.last_insert).invoked) lost(read, what, *fate.last_insert);
      }
      if (fate.last_erase && there) {
        if (!fate.inserted || fate.inserted_until < op(*fate.last_erase).invoked) {
          report(read, what + " was erased, acknowledged, and is in the final read", {*fate.last_erase});
        }
      }
    }
  }

  void judge_counter(const Part& part, OpIndex read) {
    Range range{initial(part.key).number, initial(part.key).number};
    for (const OpIndex i : part.operations) {
      const Operation& o = op(i);
      if (!may_show(o, op(read))) continue;
      ++result_.looked_at;
      range.add(o.input.amount, must_show(o, op(read)));
    }
    if (!range.contains(op(read).output.number))
      outside(read, "key " + describe_value(part.key), op(read).output.number, range);
  }

  void judge_bank(const Part& part, OpIndex read) {
    std::map<std::string, Range> ranges;
    Wide total = 0;
    for (const auto& [account, output] : history_.initial) {
      ranges[account] = {output.number, output.number};
      total += output.number;
    }
    for (const OpIndex i : part.operations) {
      const Operation& o = op(i);
      if (!may_show(o, op(read)) || o.key == o.input.target) continue;
      ++result_.looked_at;
      const bool certain = must_show(o, op(read));
      Range& payer = ranges[o.key];
      payer.low -= o.input.amount;
      if (certain) payer.high -= o.input.amount;
      Range& receiver = ranges[o.input.target];
      receiver.high += o.input.amount;
      if (certain) receiver.low += o.input.amount;
    }
    Wide shown = 0;
    size_t accounts = 0;
    for (const auto& [account, balance] : op(read).output.balances) {
      shown += balance;
      accounts += history_.initial.count(account);
      if (!ranges[account].contains(balance))
        outside(read, "account " + describe_value(account), balance, ranges[account]);
    }
    if (accounts == history_.initial.size() && shown != total) {
      report(
          read,
          "all accounts together hold " + text(shown) + " in the final read, and held " + text(total) + " at the start",
          {});
    }
  }

  void outside(OpIndex read, const std::string& what, int64_t value, const Range& range) {
    report(read,
           what + " is " + std::to_string(value) + " in the final read; what was acknowledged makes it " +
               (range.low == range.high ? text(range.low) : text(range.low) + " to " + text(range.high)),
           {});
  }
  void lost(OpIndex read, const std::string& what, OpIndex write) {
    report(read, what + " was acknowledged and is not in the final read", {write});
  }
  void report(OpIndex read, std::string summary, std::vector<OpIndex> involved) {
    involved.push_back(read);
    std::string play;
    for (const OpIndex i : involved) play += "  " + describe_in_time(history_, i) + '\n';
    add_violation(result_, options_, {std::move(summary), std::move(involved), std::move(play)});
  }

  void conclude() {
    if (result_.verdict == Verdict::kViolated) return;
    if (result_.looked_at == 0) {
      result_.reason = "no read is marked as final";
    } else if (!unread_.empty()) {
      result_.verdict = Verdict::kUnknown;
      result_.reason = "key " + describe_value(unread_.front()) +
                       (unread_.size() > 1 ? " and " + std::to_string(unread_.size() - 1) + " more" : std::string()) +
                       " had acknowledged writes and no final read";
    } else {
      result_.verdict = Verdict::kFine;
    }
  }

  const History& history_;
  const CheckOptions& options_;
  CheckResult result_;
  std::vector<std::string> unread_;
};

}  // namespace

CheckResult check_durability(const History& history, const CheckOptions& options) {
  return Judge(history, options).run();
}

}  // namespace clew::sim::check

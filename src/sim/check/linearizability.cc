#include "sim/check/linearizability.h"

#include <algorithm>
#include <memory>
#include <tuple>
#include <utility>

#include "sim/check/linear_search.h"
#include "sim/check/model.h"

namespace clew::sim::check {
namespace {

constexpr size_t kShownBefore = 8;  // lines of the order that got furthest
constexpr size_t kShownBlocked = 12;

// One part of a history, as it had been recorded up to event `cut`, less the operations that are left out.
struct Excerpt {
  const Part* part;
  std::vector<OpIndex> operations;
  uint64_t cut = kNever;
};

bool held_to_it(const Operation& op, uint64_t cut) {
  return op.ok() && op.returned < cut && op.level == Level::kLinearizable;
}

std::vector<Entry> entries_of(const History& history, const Excerpt& excerpt) {
  const std::vector<Evidence> evidence = evidence_of(history, excerpt.operations, excerpt.cut, Level::kLinearizable);
  std::vector<Entry> entries;
  EffectGroups groups;
  for (size_t i = 0; i < excerpt.operations.size(); ++i) {
    const OpIndex index = excerpt.operations[i];
    const Operation& op = history.operations[index];
    if (op.invoked >= excerpt.cut) continue;
    const Evidence& proof = evidence[i];
    Entry entry;
    entry.op = index;
    entry.invoked = op.invoked;
    entry.required = held_to_it(op, excerpt.cut);
    entry.pure = changes_nothing(op);
    if (entry.required) entry.returned = op.returned;
    if (!entry.required && (entry.pure || proof.irrelevant)) continue;
    // Seen by somebody, and nobody else can have done it: then it took effect, and before that answer was there.
    if (proof.unique && proof.observed && proof.observed_before > entry.invoked) {
      entry.required = true;
      entry.returned = std::min(entry.returned, proof.observed_before);
    }
    if (!entry.required) entry.group = groups.of(op, op.ok());
    entries.push_back(entry);
  }
  return entries;
}

class Judge {
 public:
  Judge(const History& history, const CheckOptions& options) : history_(history), options_(options) {}

  CheckResult run() {
    CheckResult result;
    result.checker = "linearizability";
    size_t undecided = 0;
    for (const Part& part : parts_of(history_)) {
      const auto held =
          static_cast<uint64_t>(std::count_if(part.operations.begin(), part.operations.end(),
                                              [&](OpIndex i) { return held_to_it(history_.operations[i], kNever); }));
      if (held == 0) continue;
      result.looked_at += held;
      const std::unique_ptr<Model> model = make_model(history_, part, true);
      if (log_explains(part, *model, result.steps)) continue;
      Excerpt all{&part, part.operations, kNever};
      LinearSearch search(entries_of(history_, all), *model, {options_.max_steps, options_.max_bytes});
      const Verdict verdict = search.run();
      result.steps += search.steps();
      if (verdict == Verdict::kUnknown && undecided++ == 0) {
        result.reason = "not decided" + of(part) + " after " + std::to_string(search.steps()) + " steps" +
                        (search.out_of_memory() ? ": out of memory for remembered configurations" : "") +
                        "; raise the budget, or record fewer concurrent or unknown operations";
      }
      if (verdict == Verdict::kViolated) add_violation(result, options_, explain(all, *make_model(history_, part)));
    }
    if (result.looked_at == 0) {
      result.reason = "no answered operation claims to be linearizable";
    } else if (result.verdict != Verdict::kViolated) {
      result.verdict = undecided > 0 ? Verdict::kUnknown : Verdict::kFine;
      if (undecided > 1) result.reason += " (and " + std::to_string(undecided - 1) + " more keys)";
    }
    return result;
  }

 private:
  // Where the answers carry positions, the order of the log is tried first: if it respects what preceded what and gives
  // every answer, it is an order, and no other needs to be searched for. If not, that says nothing.
  bool log_explains(const Part& part, Model& model, uint64_t& steps) const {
    std::vector<OpIndex> order;
    for (const OpIndex i : part.operations) {
      const Operation& op = history_.operations[i];
      if (held_to_it(op, kNever) && !op.position) return false;
      if (held_to_it(op, kNever) || (op.position && !op.reads())) order.push_back(i);
    }
    const auto key = [&](OpIndex i) {
      const Operation& op = history_.operations[i];
      return std::tuple(*op.position, op.reads(), op.invoked);
    };
    std::sort(order.begin(), order.end(), [&](OpIndex a, OpIndex b) { return key(a) < key(b); });
    State state = model.initial();
    uint64_t latest_invocation = 0;
    for (const OpIndex i : order) {
      const Operation& op = history_.operations[i];
      if (op.ok() && op.returned < latest_invocation) return false;
      latest_invocation = std::max(latest_invocation, op.invoked);
      State next = 0;
      ++steps;
      if (!model.step(state, i, next)) return false;
      state = next;
    }
    return true;
  }

  std::string of(const Part& part) const {
    return history_.workload == Workload::kBank ? std::string() : " for key " + describe_value(part.key);
  }

  // Spends from the budget of shrinking. A search that it does not cover says "not violated".
  bool still_violated(const Excerpt& excerpt, Model& model) {
    if (shrink_left_ <= excerpt.operations.size()) return false;
    shrink_left_ -= excerpt.operations.size();
    LinearSearch search(entries_of(history_, excerpt), model, {shrink_left_, options_.max_bytes});
    const Verdict verdict = search.run();
    shrink_left_ -= std::min(shrink_left_, search.steps());
    return verdict == Verdict::kViolated;
  }

  // What has no order does not get one by going on: the first return after which there is none is found by halving.
  void cut(Excerpt& excerpt, Model& model) {
    std::vector<uint64_t> returns;
    for (const OpIndex i : excerpt.operations) {
      if (held_to_it(history_.operations[i], kNever)) returns.push_back(history_.operations[i].returned);
    }
    std::sort(returns.begin(), returns.end());
    size_t good = 0, bad = returns.size();  // that many returns have an order; have none
    while (good + 1 < bad) {
      const size_t middle = good + (bad - good) / 2;
      Excerpt shorter{excerpt.part, excerpt.operations, returns[middle - 1] + 1};
      if (still_violated(shorter, model)) {
        bad = middle;
      } else {
        good = middle;
      }
    }
    excerpt.cut = returns[bad - 1] + 1;
    std::erase_if(excerpt.operations, [&](OpIndex i) { return history_.operations[i].invoked >= excerpt.cut; });
  }

  // Without answers that change nothing, and without writes that nothing depends on, a history that has an order keeps
  // it. So those whose absence leaves the violation standing play no part in it.
  void thin_out(Excerpt& excerpt, Model& model) {
    for (size_t chunk = excerpt.operations.size() / 2 + 1; chunk > 0; chunk /= 2) {
      for (size_t begin = 0; begin < excerpt.operations.size();) {
        const std::vector<Evidence> evidence =
            evidence_of(history_, excerpt.operations, excerpt.cut, Level::kLinearizable);
        Excerpt thinner{excerpt.part, {}, excerpt.cut};
        for (size_t i = 0; i < excerpt.operations.size(); ++i) {
          const Operation& op = history_.operations[excerpt.operations[i]];
          const bool in_chunk = i >= begin && i < begin + chunk;
          if (!in_chunk || !(changes_nothing(op) || evidence[i].irrelevant)) {
            thinner.operations.push_back(excerpt.operations[i]);
          }
        }
        if (thinner.operations.size() < excerpt.operations.size() && still_violated(thinner, model)) {
          excerpt.operations = std::move(thinner.operations);
        } else {
          begin += chunk;
        }
      }
    }
  }

  Violation explain(Excerpt excerpt, Model& model) {
    shrink_left_ = options_.max_shrink_steps;
    cut(excerpt, model);
    thin_out(excerpt, model);
    LinearSearch search(entries_of(history_, excerpt), model, {options_.max_steps, options_.max_bytes});
    search.run();  // as before: what it went through is looked at now
    return tell(excerpt, search, model);
  }

  Violation tell(const Excerpt& excerpt, const LinearSearch& search, const Model& model) {
    const std::vector<OpIndex>& order = search.longest();
    Violation violation;
    violation.summary = "no order of the operations" + of(*excerpt.part) + " explains what was answered";
    std::string& play = violation.play;
    play += "The order that gets furthest:\n";
    const size_t first = order.size() > kShownBefore ? order.size() - kShownBefore : 0;
    if (first > 0) play += "  … " + std::to_string(first) + " before\n";
    if (order.empty()) play += "  (nothing)\n";
    for (size_t i = first; i < order.size(); ++i) play += "  " + line(order[i]) + '\n';
    play += "  then the state is " + model.describe(search.longest_state()) + '\n';
    play += "Next would have to come one of these, and none can:\n";
    size_t shown = 0;
    for (const OpIndex op : search.blocked()) {
      if (++shown > kShownBlocked) {
        play += "  … and " + std::to_string(search.blocked().size() - kShownBlocked) + " more\n";
        break;
      }
      play += "  " + line(op) + "; here it would be " + model.answer(search.longest_state(), op) + '\n';
    }
    // What takes part: those that cannot follow, and the end of the order.
    violation.operations = search.blocked();
    violation.operations.insert(violation.operations.end(), order.begin() + static_cast<std::ptrdiff_t>(first),
                                order.end());
    std::sort(violation.operations.begin(), violation.operations.end());
    return violation;
  }
  std::string line(OpIndex op) const { return describe_in_time(history_, op); }

  const History& history_;
  const CheckOptions& options_;
  uint64_t shrink_left_ = 0;
};

}  // namespace

CheckResult check_linearizability(const History& history, const CheckOptions& options) {
  return Judge(history, options).run();
}

}  // namespace clew::sim::check

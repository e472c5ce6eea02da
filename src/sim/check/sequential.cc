// check_sequential of session.h.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "sim/check/linear_search.h"
#include "sim/check/model.h"
#include "sim/check/session.h"
#include "sim/check/session_order.h"

namespace clew::sim::check {
namespace {

bool held_to_it(const Operation& op) { return op.ok() && op.level >= Level::kSequential; }

// --- With positions: the log is the order ---

class ByPosition {
 public:
  ByPosition(const History& history, const CheckOptions& options, CheckResult& result)
      : history_(history), options_(options), result_(result), least_(history.operations.size(), 0) {}

  void run() {
    judge_sessions();
    judge_writes();
    if (result_.verdict == Verdict::kViolated) return;  // positions that contradict each other order nothing
    size_t undecided = 0;
    for (const Part& part : parts_of(history_)) {
      const std::unique_ptr<Model> model = make_model(history_, part, true);
      LinearSearch search(entries_of(part), *model, {options_.max_steps, options_.max_bytes});
      const Verdict verdict = search.run();
      result_.steps += search.steps();
      if (verdict == Verdict::kViolated) tell(part, search, *model);
      if (verdict == Verdict::kUnknown && undecided++ == 0) {
        result_.reason = "key " + describe_value(part.key) + " is not decided after " + std::to_string(search.steps()) +
                         " steps; raise the budget";
      }
    }
    if (result_.verdict != Verdict::kViolated) result_.verdict = undecided > 0 ? Verdict::kUnknown : Verdict::kFine;
  }

 private:
  const Operation& op(OpIndex i) const { return history_.operations[i]; }

  void judge_sessions() {
    std::optional<OpIndex> highest;
    std::map<OpIndex, std::optional<OpIndex>> at_invocation;
    walk_sessions(history_, {[&] {
                               highest.reset();
                               at_invocation.clear();
                             },
                             [&](OpIndex i) {
                               at_invocation[i] = highest;
                               if (highest) least_[i] = *op(*highest).position;
                             },
                             [&](OpIndex i) {
                               if (!held_to_it(op(i))) return;
                               if (const auto before = at_invocation[i]) compare(*before, i);
                               if (!highest || *op(i).position > *op(*highest).position) highest = i;
                             }});
  }
  void compare(OpIndex before, OpIndex after) {
    const uint64_t then = *op(before).position, now = *op(after).position;
    if (now > then || (now == then && op(after).reads())) return;
    add_violation(result_, options_,
                  {"position " + std::to_string(now) + " follows position " + std::to_string(then) + " in a session",
                   {before, after},
                   "  " + describe_in_time(history_, before) + "\n  " + describe_in_time(history_, after) + '\n'});
  }
  void judge_writes() {
    std::map<uint64_t, OpIndex> writes;
    for (OpIndex i = 0; i < history_.operations.size(); ++i) {
      if (op(i).reads() || !held_to_it(op(i))) continue;
      const auto [first, added] = writes.try_emplace(*op(i).position, i);
      if (added) continue;
      add_violation(result_, options_,
                    {"two commands took effect at position " + std::to_string(*op(i).position),
                     {first->second, i},
                     "  " + describe_in_time(history_, first->second) + "\n  " + describe_in_time(history_, i) + '\n'});
    }
  }
  // Positions as the time of the search: at position p first its command, then the reads that were served there.
  std::vector<Entry> entries_of(const Part& part) const {
    std::vector<Entry> entries;
    EffectGroups groups;
    const std::vector<Evidence> evidence = evidence_of(history_, part.operations, kNever, Level::kSequential);
    for (size_t k = 0; k < part.operations.size(); ++k) {
      const OpIndex i = part.operations[k];
      Entry entry;
      entry.op = i;
      // Of unknown outcome, and yet the log says where it took effect.
      const bool known = op(i).outcome == Outcome::kUnknown && op(i).position.has_value();
      entry.required = held_to_it(op(i)) || known;
      entry.pure = changes_nothing(op(i));
      if (!entry.required && (entry.pure || evidence[k].irrelevant)) continue;
      if (entry.required) {
        entry.invoked = 4 * *op(i).position + (op(i).reads() ? 2 : 0);
        entry.returned = entry.invoked + 1;
      } else {
        entry.invoked = 4 * (least_[i] + 1);
        entry.group = groups.of(op(i), op(i).ok());
      }
      entries.push_back(entry);
    }
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.invoked < b.invoked; });
    return entries;
  }
  void tell(const Part& part, const LinearSearch& search, const Model& model) {
    Violation violation;
    violation.summary = "answers";
    if (history_.workload != Workload::kBank) violation.summary += " of key " + describe_value(part.key);
    violation.summary += " are not those of the log at their positions";
    violation.play = "The log up to there makes it " + model.describe(search.longest_state()) + ", but:\n";
    for (const OpIndex i : search.blocked()) {
      violation.play +=
          "  " + describe(history_, i) + "; here it would be " + model.answer(search.longest_state(), i) + '\n';
    }
    violation.operations = search.blocked();
    add_violation(result_, options_, std::move(violation));
  }

  const History& history_;
  const CheckOptions& options_;
  CheckResult& result_;
  std::vector<uint64_t> least_;  // position that the operation's session had seen when it was invoked
};

// --- Without: a search for an order ---

// Depth first over (how far each session is, state of every key), remembered. A session that overlaps its own
// operations is split into as many lines as it needs, and an operation remembers how far the other lines must be before
// it. An unknown operation never returned, so it ends its line: leaving it out is not going there.
class BySearch {
 public:
  BySearch(const History& history, const CheckOptions& options) : history_(history), options_(options) {
    parts_ = parts_of(history);
    for (size_t p = 0; p < parts_.size(); ++p) {
      models_.push_back(make_model(history, parts_[p]));
      states_.push_back(models_.back()->initial());
      for (const OpIndex i : parts_[p].operations) part_of_[i] = p;
    }
    lay_out();
  }

  Verdict run() {
    struct Frame {
      size_t next = 0;          // lines to be tried: from here
      size_t end = 0;           // to here
      size_t moved = SIZE_MAX;  // what leaving the frame takes back
      State state = 0;
    };
    std::vector<Frame> frames;
    const auto enter = [&](size_t moved, State state) {
      const size_t forced = sure_step();
      frames.push_back(forced != SIZE_MAX ? Frame{forced, forced + 1, moved, state}
                                          : Frame{0, lines_.size(), moved, state});
    };
    if (done()) return Verdict::kFine;
    enter(SIZE_MAX, 0);
    while (!frames.empty()) {
      if (steps_ > options_.max_steps || bytes_ > options_.max_bytes) return Verdict::kUnknown;
      Frame& frame = frames.back();
      if (frame.next == frame.end) {
        if (frame.moved != SIZE_MAX) take_back(frame.moved, frame.state);
        frames.pop_back();
        continue;
      }
      const size_t line = frame.next++;
      State after = 0;
      if (!possible(line, after)) continue;
      State& state = states_[part_of_[lines_[line][at_[line]].op]];
      const State before = state;
      state = after;
      ++at_[line];
      if (done()) return Verdict::kFine;
      if (remember()) {
        enter(line, before);
      } else {
        take_back(line, before);
      }
    }
    return Verdict::kViolated;
  }
  uint64_t steps() const { return steps_; }

 private:
  struct Step {
    OpIndex op;
    bool required;
    // For each other line of the session, how many of its operations come first.
    std::vector<std::pair<size_t, size_t>> after;
  };

  void lay_out() {
    std::map<SessionKey, std::vector<OpIndex>> sessions;
    for (const Part& part : parts_) {
      for (const OpIndex i : part.operations) {
        const Operation& op = history_.operations[i];
        if (!held_to_it(op) && changes_nothing(op)) continue;
        sessions[session_of(op)].push_back(i);
      }
    }
    for (auto& [key, operations] : sessions) {
      std::sort(operations.begin(), operations.end());  // by invocation
      const size_t first_line = lines_.size();
      for (const OpIndex i : operations) place(i, first_line);
    }
    at_.assign(lines_.size(), 0);
  }
  uint64_t returned(OpIndex i) const {
    return held_to_it(history_.operations[i]) ? history_.operations[i].returned : kNever;
  }
  void place(OpIndex i, size_t first_line) {
    const uint64_t invoked = history_.operations[i].invoked;
    size_t line = first_line;
    while (line < lines_.size() && returned(lines_[line].back().op) > invoked) ++line;
    if (line == lines_.size()) lines_.emplace_back();
    Step step{i, held_to_it(history_.operations[i]), {}};
    for (size_t other = first_line; other < lines_.size(); ++other) {
      if (other == line) continue;
      size_t before = 0;
      while (before < lines_[other].size() && returned(lines_[other][before].op) < invoked) ++before;
      if (before > 0) step.after.emplace_back(other, before);
    }
    lines_[line].push_back(std::move(step));
  }
  bool possible(size_t line, State& after) {
    if (at_[line] == lines_[line].size()) return false;
    const Step& step = lines_[line][at_[line]];
    if (!ready(step)) return false;
    ++steps_;
    const size_t part = part_of_[step.op];
    return models_[part]->step(states_[part], step.op, after);
  }
  // A line whose next operation can never change anything and is possible now: doing it first harms nobody.
  size_t sure_step() {
    for (size_t line = 0; line < lines_.size(); ++line) {
      if (at_[line] == lines_[line].size()) continue;
      const Step& step = lines_[line][at_[line]];
      State after = 0;
      if (step.required && changes_nothing(history_.operations[step.op]) && possible(line, after)) return line;
    }
    return SIZE_MAX;
  }
  bool ready(const Step& step) const {
    return std::all_of(step.after.begin(), step.after.end(),
                       [&](const auto& other) { return at_[other.first] >= other.second; });
  }
  bool done() const {
    for (size_t line = 0; line < lines_.size(); ++line) {
      for (size_t k = at_[line]; k < lines_[line].size(); ++k) {
        if (lines_[line][k].required) return false;
      }
    }
    return true;
  }
  void take_back(size_t line, State state) {
    --at_[line];
    states_[part_of_[lines_[line][at_[line]].op]] = state;
  }
  bool remember() {
    std::string key;
    const auto append = [&](uint64_t value) {
      for (int shift = 0; shift < 64; shift += 8) key.push_back(static_cast<char>(value >> shift));
    };
    for (const size_t at : at_) append(at);
    for (const State state : states_) append(state);
    if (!seen_.insert(key).second) return false;
    bytes_ += key.size() + 64;
    return true;
  }

  const History& history_;
  const CheckOptions& options_;
  std::vector<Part> parts_;
  std::vector<std::unique_ptr<Model>> models_;
  std::vector<State> states_;
  std::map<OpIndex, size_t> part_of_;
  std::vector<std::vector<Step>> lines_;
  std::vector<size_t> at_;
  std::unordered_set<std::string> seen_;
  uint64_t steps_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace

CheckResult check_sequential(const History& history, const CheckOptions& options) {
  CheckResult result;
  result.checker = "sequential";
  size_t with = 0, without = 0, claims_less = 0;
  for (const Operation& op : history.operations) {
    if (!held_to_it(op)) continue;
    ++(op.position ? with : without);
    if (op.level != Level::kLinearizable) ++claims_less;
  }
  result.looked_at = with + without;
  if (result.looked_at == 0) {
    result.reason = "no answered operation claims to be sequential";
  } else if (without == 0) {
    ByPosition(history, options, result).run();
  } else if (claims_less == 0) {
    result.looked_at = 0;
    result.reason = "all answers claim to be linearizable, which implies this, and not all carry a position";
  } else if (with > 0) {
    result.verdict = Verdict::kUnknown;
    result.reason = std::to_string(without) + " of " + std::to_string(result.looked_at) +
                    " answers carry no position; record one for all, or for none";
  } else {
    BySearch search(history, options);
    const Verdict verdict = search.run();
    result.steps = search.steps();
    if (verdict == Verdict::kViolated) {
      add_violation(result, options,
                    {"no order of all operations agrees with every session and explains every answer", {}, {}});
    } else {
      result.verdict = verdict;
      if (verdict == Verdict::kUnknown) {
        result.reason = "not decided after " + std::to_string(result.steps) + " steps; record positions";
      }
    }
  }
  return result;
}

}  // namespace clew::sim::check

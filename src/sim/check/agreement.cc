#include "sim/check/agreement.h"

#include <map>
#include <string>
#include <utility>

namespace clew::sim::check {
namespace {

using Command = std::pair<uint64_t, uint64_t>;  // session, sequence

std::string text(const Command& command) {
  return "session " + std::to_string(command.first) + " sequence " + std::to_string(command.second);
}
std::string text(NodeId node) { return "node " + std::to_string(number(node)); }
Command command_of(const Applied& applied) { return {number(applied.session), applied.sequence}; }

void judge_commands(const History& history, const CheckOptions& options, CheckResult& result) {
  std::map<Command, const Applied*> executed;
  for (const Applied& applied : history.applied) {
    ++result.looked_at;
    const auto [first, added] = executed.try_emplace(command_of(applied), &applied);
    if (added || first->second->position == applied.position) continue;
    add_violation(result, options,
                  {text(first->first) + " was executed twice: at position " + std::to_string(first->second->position) +
                       " (" + text(first->second->node) + ") and at position " + std::to_string(applied.position) +
                       " (" + text(applied.node) + ")",
                   {},
                   {}});
  }
  if (history.applied.empty()) return;
  for (OpIndex i = 0; i < history.operations.size(); ++i) {
    const Operation& op = history.operations[i];
    if (op.reads() || !op.session || op.sequence == 0 || op.outcome == Outcome::kUnknown) continue;
    ++result.looked_at;
    const Command command{number(*op.session), op.sequence};
    const auto found = executed.find(command);
    std::string what;
    if (op.ok() && found == executed.end()) {
      what = text(command) + " was acknowledged, and no node executed it";
    } else if (op.outcome == Outcome::kFail && found != executed.end()) {
      what = text(command) + " failed for its client, and " + text(found->second->node) + " executed it at position " +
             std::to_string(found->second->position);
    } else if (op.ok() && op.position && *op.position != found->second->position) {
      what = text(command) + " was acknowledged at position " + std::to_string(*op.position) + " and executed at " +
             std::to_string(found->second->position);
    }
    if (!what.empty()) {
      add_violation(result, options, {std::move(what), {i}, "  " + describe_in_time(history, i) + '\n'});
    }
  }
}

struct Appends {
  uint64_t initial = 0;
  uint64_t acknowledged = 0;
  uint64_t unknown = 0;
  uint64_t failed = 0;
};

void judge_read(const History& history, OpIndex read, std::map<std::string, Appends>& appends,
                const CheckOptions& options, CheckResult& result) {
  const Operation& op = history.operations[read];
  std::map<std::string, uint64_t> seen;
  for (const std::string& value : op.output.values) ++seen[value];
  const auto report = [&](const std::string& value, const std::string& what) {
    add_violation(result, options,
                  {"element " + describe_value(value) + " of key " + describe_value(op.key) + ' ' + what,
                   {read},
                   "  " + describe_in_time(history, read) + '\n'});
  };
  for (const auto& [value, count] : seen) {
    const Appends& of = appends[value];
    const uint64_t most = of.initial + of.acknowledged + of.unknown;
    if (count <= most) continue;
    if (most > 0) {
      report(value, "stands there " + std::to_string(count) + " times and was appended " + std::to_string(most) +
                        (most == 1 ? " time" : " times"));
    } else {
      report(value, of.failed > 0 ? "is there, though its append failed" : "is there, and nobody appended it");
    }
  }
  if (!op.final) return;
  for (const auto& [value, of] : appends) {
    const auto found = seen.find(value);
    const uint64_t count = found == seen.end() ? 0 : found->second;
    if (count < of.initial + of.acknowledged) {
      report(value, "was acknowledged " + std::to_string(of.initial + of.acknowledged) +
                        " times and stands in the final read " + std::to_string(count) + " times");
    }
  }
}

void judge_lists(const History& history, const CheckOptions& options, CheckResult& result) {
  std::map<std::string, std::map<std::string, Appends>> by_key;
  for (const auto& [key, output] : history.initial) {
    for (const std::string& value : output.values) ++by_key[key][value].initial;
  }
  for (const Operation& op : history.operations) {
    if (op.kind != Kind::kAppend) continue;
    Appends& of = by_key[op.key][op.input.value];
    (op.ok() ? of.acknowledged : op.outcome == Outcome::kFail ? of.failed : of.unknown) += 1;
  }
  for (OpIndex i = 0; i < history.operations.size(); ++i) {
    const Operation& op = history.operations[i];
    if (!op.reads() || !op.ok()) continue;
    ++result.looked_at;
    judge_read(history, i, by_key[op.key], options, result);
  }
}

void conclude(CheckResult& result, const char* nothing) {
  if (result.verdict == Verdict::kViolated) return;
  result.verdict = result.looked_at > 0 ? Verdict::kFine : Verdict::kNothing;
  if (result.looked_at == 0) result.reason = nothing;
}

}  // namespace

CheckResult check_agreement(const History& history, const CheckOptions& options) {
  CheckResult result;
  result.checker = "agreement";
  std::map<uint64_t, const Digest*> digests;
  for (const Digest& digest : history.digests) {
    ++result.looked_at;
    const auto [first, added] = digests.try_emplace(digest.position, &digest);
    if (added || first->second->digest == digest.digest) continue;
    add_violation(
        result, options,
        {"states differ at position " + std::to_string(digest.position) + ": " + text(first->second->node) + " has " +
             describe_value(first->second->digest) + ", " + text(digest.node) + " has " + describe_value(digest.digest),
         {},
         {}});
  }
  std::map<uint64_t, const Applied*> commands;
  for (const Applied& applied : history.applied) {
    ++result.looked_at;
    const auto [first, added] = commands.try_emplace(applied.position, &applied);
    if (added || command_of(*first->second) == command_of(applied)) continue;
    add_violation(
        result, options,
        {"position " + std::to_string(applied.position) + " is " + text(command_of(*first->second)) + " for " +
             text(first->second->node) + " and " + text(command_of(applied)) + " for " + text(applied.node),
         {},
         {}});
  }
  conclude(result, "no node reported digests or commands");
  return result;
}

CheckResult check_exactly_once(const History& history, const CheckOptions& options) {
  CheckResult result;
  result.checker = "exactly-once";
  judge_commands(history, options, result);
  if (history.workload == Workload::kList) judge_lists(history, options, result);
  conclude(result, "no node reported commands, and lists are not read");
  return result;
}

}  // namespace clew::sim::check

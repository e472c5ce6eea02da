#include "sim/check/history.h"

#include <array>
#include <utility>

#include "base/check.h"

namespace clew::sim::check {
namespace {

constexpr size_t kShownBytes = 40;   // of one value
constexpr size_t kShownValues = 12;  // of a list

constexpr std::array<std::string_view, 5> kWorkloads = {"register", "list", "counter", "set", "bank"};
constexpr std::array<std::string_view, 9> kKinds = {"read", "write",  "cas",   "delete",  "append",
                                                    "add",  "insert", "erase", "transfer"};
constexpr std::array<std::string_view, 3> kOutcomes = {"ok", "fail", "unknown"};
constexpr std::array<std::string_view, 4> kLevels = {"eventual", "causal", "sequential", "linearizable"};

template <typename T, size_t N>
std::optional<T> find_name(const std::array<std::string_view, N>& names, std::string_view name) {
  for (size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<T>(i);
  }
  return std::nullopt;
}

// Quoted; control characters as '?', for values come from anywhere and a terminal obeys them.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kShownBytes)) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  // Not in the middle of a character.
  if (text.size() > kShownBytes) {
    while (out.size() > 1 && (static_cast<unsigned char>(text[out.size() - 1]) & 0xc0) == 0x80) out.pop_back();
    out += "…";
  }
  return out + '"';
}

std::string describe_balances(const std::map<std::string, int64_t>& balances) {
  std::string out = "{";
  size_t shown = 0;
  for (const auto& [account, balance] : balances) {
    if (out.size() > 1) out += ", ";
    if (++shown > kShownValues) return out + "… " + std::to_string(balances.size()) + " accounts}";
    out += quoted(account) + ": " + std::to_string(balance);
  }
  return out + "}";
}

std::string request(const Operation& op) {
  std::string out(name(op.kind));
  if (!op.key.empty() || op.kind != Kind::kRead) out += ' ' + quoted(op.key);
  switch (op.kind) {
    case Kind::kRead:
    case Kind::kDelete:
      break;
    case Kind::kWrite:
    case Kind::kAppend:
    case Kind::kInsert:
    case Kind::kErase:
      out += ' ' + quoted(op.input.value);
      break;
    case Kind::kCas:
      out += ' ' + describe_value(op.input.expected) + " -> " + quoted(op.input.value);
      break;
    case Kind::kAdd:
      out += ' ' + std::to_string(op.input.amount);
      break;
    case Kind::kTransfer:
      out += " -> " + quoted(op.input.target) + ' ' + std::to_string(op.input.amount);
      break;
  }
  return out;
}

std::string answer_text(Workload workload, const Operation& op) {
  if (op.outcome == Outcome::kFail) return "failed";
  if (op.outcome == Outcome::kUnknown) return "unknown";
  switch (op.kind) {
    case Kind::kRead:
      switch (workload) {
        case Workload::kRegister:
          return describe_value(op.output.value);
        case Workload::kList:
        case Workload::kSet:
          return describe_values(op.output.values);
        case Workload::kCounter:
          return std::to_string(op.output.number);
        case Workload::kBank:
          return describe_balances(op.output.balances);
      }
      return "";
    case Kind::kCas:
      return op.output.applied ? "replaced" : "not as expected";
    case Kind::kInsert:
    case Kind::kErase:
      return op.output.applied ? "changed" : "no change";
    case Kind::kTransfer:
      return op.output.applied ? "paid" : "not enough";
    case Kind::kWrite:
    case Kind::kDelete:
    case Kind::kAppend:
    case Kind::kAdd:
      return "ok";
  }
  return "";
}

}  // namespace

bool belongs(Kind kind, Workload workload) {
  if (kind == Kind::kRead) return true;
  switch (workload) {
    case Workload::kRegister:
      return kind == Kind::kWrite || kind == Kind::kCas || kind == Kind::kDelete;
    case Workload::kList:
      return kind == Kind::kAppend;
    case Workload::kCounter:
      return kind == Kind::kAdd;
    case Workload::kSet:
      return kind == Kind::kInsert || kind == Kind::kErase;
    case Workload::kBank:
      return kind == Kind::kTransfer;
  }
  return false;
}

OpIndex History::invoke(Operation operation) {
  CHECK(belongs(operation.kind, workload));
  CHECK(operation.kind != Kind::kTransfer || operation.input.amount >= 0);
  operation.outcome = Outcome::kUnknown;
  operation.output = {};
  operation.position.reset();
  operation.invoked = events++;
  operation.returned = kNever;
  operation.returned_ns = 0;
  operations.push_back(std::move(operation));
  return operations.size() - 1;
}

void History::answer(OpIndex index, Outcome outcome, Output output, std::optional<uint64_t> position, int64_t time_ns) {
  CHECK(index < operations.size());
  Operation& op = operations[index];
  CHECK(op.returned == kNever);
  CHECK(!position || *position <= kMaxPosition);
  op.outcome = outcome;
  op.returned = events++;
  op.returned_ns = time_ns;
  if (outcome != Outcome::kOk) return;
  op.output = std::move(output);
  op.position = position;
}

std::string_view name(Workload workload) { return kWorkloads[static_cast<size_t>(workload)]; }
std::string_view name(Kind kind) { return kKinds[static_cast<size_t>(kind)]; }
std::string_view name(Outcome outcome) { return kOutcomes[static_cast<size_t>(outcome)]; }
std::string_view name(Level level) { return kLevels[static_cast<size_t>(level)]; }
std::optional<Workload> workload_from(std::string_view name) { return find_name<Workload>(kWorkloads, name); }
std::optional<Kind> kind_from(std::string_view name) { return find_name<Kind>(kKinds, name); }
std::optional<Outcome> outcome_from(std::string_view name) { return find_name<Outcome>(kOutcomes, name); }
std::optional<Level> level_from(std::string_view name) { return find_name<Level>(kLevels, name); }

std::string describe_value(const std::optional<std::string>& value) { return value ? quoted(*value) : "absent"; }

std::string describe_values(const std::vector<std::string>& values) {
  std::string out = "[";
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ", ";
    // The end of a list tells more than its middle.
    if (values.size() > kShownValues && i == 2) {
      i = values.size() - (kShownValues - 2);
      out += "… " + std::to_string(values.size()) + " values …, ";
    }
    out += quoted(values[i]);
  }
  return out + "]";
}

std::string describe(const History& history, OpIndex index) {
  const Operation& op = history.operations[index];
  std::string out = "#" + std::to_string(index) + " client " + std::to_string(number(op.process));
  if (op.session) {
    out += " session " + std::to_string(number(*op.session));
    if (op.sequence != 0) out += "/" + std::to_string(op.sequence);
  }
  if (op.node) out += " node " + std::to_string(number(*op.node));
  out += ": " + request(op) + " = " + answer_text(history.workload, op);
  if (op.position) out += " at position " + std::to_string(*op.position);
  return out;
}

std::string describe_in_time(const History& history, OpIndex index) {
  const Operation& op = history.operations[index];
  std::string out = "[" + std::to_string(op.invoked) + ", ";
  out += op.returned == kNever ? "…" : std::to_string(op.returned);
  out += "] ";
  return out + describe(history, index);
}

}  // namespace clew::sim::check

// Properties: histories of a real atomic object are accepted; altered ones are judged as by trying every order; and
// what healthy systems do is judged in few steps.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/random.h"
#include "sim/check/linearizability.h"
#include "sim/check/play_test.h"
#include "sim/check/session.h"

namespace clew::sim::check {
namespace {

// The atomic object itself, written apart from model.h, to be compared with it.
struct Object {
  std::map<std::string, std::optional<std::string>> registers;
  std::map<std::string, std::vector<std::string>> lists;
  std::map<std::string, int64_t> numbers;  // counters, accounts
  std::map<std::string, std::set<std::string>> sets;

  Output execute(Workload workload, const Operation& op) {
    Output output;
    switch (op.kind) {
      case Kind::kRead:
        if (workload == Workload::kRegister) output.value = registers[op.key];
        if (workload == Workload::kList) output.values = lists[op.key];
        if (workload == Workload::kCounter) output.number = numbers[op.key];
        if (workload == Workload::kSet) output.values.assign(sets[op.key].begin(), sets[op.key].end());
        if (workload == Workload::kBank) output.balances = numbers;
        break;
      case Kind::kWrite:
        registers[op.key] = op.input.value;
        break;
      case Kind::kDelete:
        registers[op.key].reset();
        break;
      case Kind::kCas:
        output.applied = registers[op.key] == op.input.expected;
        if (output.applied) registers[op.key] = op.input.value;
        break;
      case Kind::kAppend:
        lists[op.key].push_back(op.input.value);
        break;
      case Kind::kAdd:
        numbers[op.key] += op.input.amount;
        break;
      case Kind::kInsert:
        output.applied = sets[op.key].insert(op.input.value).second;
        break;
      case Kind::kErase:
        output.applied = sets[op.key].erase(op.input.value) > 0;
        break;
      case Kind::kTransfer:
        output.applied = numbers[op.key] >= op.input.amount;
        if (output.applied) {
          numbers[op.key] -= op.input.amount;
          numbers[op.input.target] += op.input.amount;
        }
        break;
    }
    return output;
  }
};

struct Shape {
  Workload workload = Workload::kRegister;
  size_t operations = 8;
  size_t clients = 3;
  size_t keys = 1;
  size_t values = 3;        // 0: each value once
  uint64_t unknown_in = 6;  // one of so many gets no answer
};

Operation draw(const Shape& shape, Generator& random, size_t number) {
  Operation op;
  op.key = std::string(1, static_cast<char>('a' + random.below(shape.keys)));
  op.input.value = std::to_string(shape.values == 0 ? number : random.below(shape.values));
  if (random.one_in(2)) return op;  // a read
  switch (shape.workload) {
    case Workload::kRegister:
      op.kind = random.one_in(2) ? Kind::kWrite : random.one_in(4) ? Kind::kDelete : Kind::kCas;
      if (op.kind == Kind::kCas && !random.one_in(4)) {
        op.input.expected = std::to_string(random.below(shape.values == 0 ? number + 1 : shape.values));
      }
      break;
    case Workload::kList:
      op.kind = Kind::kAppend;
      break;
    case Workload::kCounter:
      op.kind = Kind::kAdd;
      op.input.amount = static_cast<int64_t>(random.below(4)) - 1;
      break;
    case Workload::kSet:
      op.kind = random.one_in(3) ? Kind::kErase : Kind::kInsert;
      break;
    case Workload::kBank:
      op.kind = Kind::kTransfer;
      op.input.target = std::string(1, static_cast<char>('a' + random.below(shape.keys)));
      op.input.amount = static_cast<int64_t>(random.below(6));
      break;
  }
  return op;
}

// Clients that ask one atomic object; each operation takes effect at a random moment after its invocation, answered
// ones before their return, unknown ones at any later time or never.
History simulate(const Shape& shape, Generator& random) {
  History history;
  history.workload = shape.workload;
  Object object;
  if (shape.workload == Workload::kBank) {
    for (size_t k = 0; k < shape.keys; ++k) {
      const std::string account(1, static_cast<char>('a' + k));
      history.initial[account].number = object.numbers[account] = 10;
    }
  }
  struct Client {
    enum { kIdle, kAsked, kDone } state = kIdle;
    OpIndex op = 0;
    Output output;
  };
  std::vector<Client> clients(shape.clients);
  std::vector<OpIndex> abandoned;
  while (history.operations.size() < shape.operations ||
         std::any_of(clients.begin(), clients.end(), [](const Client& c) { return c.state != Client::kIdle; })) {
    if (!abandoned.empty() && random.one_in(8)) {  // late
      const size_t which = random.below(abandoned.size());
      object.execute(shape.workload, history.operations[abandoned[which]]);
      abandoned.erase(abandoned.begin() + static_cast<std::ptrdiff_t>(which));
    }
    const size_t process = random.below(clients.size());
    Client& client = clients[process];
    switch (client.state) {
      case Client::kIdle: {
        if (history.operations.size() >= shape.operations) break;
        Operation op = draw(shape, random, history.operations.size());
        op.process = ProcessId{process};
        client.op = history.invoke(std::move(op));
        client.state = Client::kAsked;
        break;
      }
      case Client::kAsked:
        if (random.one_in(shape.unknown_in)) {
          if (random.one_in(2)) history.answer(client.op, Outcome::kUnknown);
          abandoned.push_back(client.op);
          client.state = Client::kIdle;
        } else if (random.one_in(20)) {
          history.answer(client.op, Outcome::kFail);
          client.state = Client::kIdle;
        } else {
          client.output = object.execute(shape.workload, history.operations[client.op]);
          client.state = Client::kDone;
        }
        break;
      case Client::kDone:
        history.answer(client.op, Outcome::kOk, client.output);
        client.state = Client::kIdle;
        break;
    }
  }
  return history;
}

// Every order of every choice of unknown operations, without any cleverness. `real_time`: what returned before another
// was invoked comes first; else only within a process.
class EveryOrder {
 public:
  EveryOrder(const History& history, bool real_time)
      : history_(history), real_time_(real_time), placed_(history.operations.size(), false) {
    for (const auto& [account, output] : history.initial) object_.numbers[account] = output.number;
  }
  bool any_explains() {
    bool left = false;
    for (OpIndex i = 0; i < placed_.size(); ++i) left |= !placed_[i] && history_.operations[i].ok();
    if (!left) return true;
    for (OpIndex i = 0; i < placed_.size(); ++i) {
      const Operation& op = history_.operations[i];
      if (placed_[i] || op.outcome == Outcome::kFail || preceded(op)) continue;
      const Object before = object_;
      if (explains(op, object_.execute(history_.workload, op))) {
        placed_[i] = true;
        if (any_explains()) return true;
        placed_[i] = false;
      }
      object_ = before;
    }
    return false;
  }

 private:
  bool preceded(const Operation& op) const {
    for (OpIndex i = 0; i < placed_.size(); ++i) {
      const Operation& other = history_.operations[i];
      if (!placed_[i] && other.ok() && other.returned < op.invoked && (real_time_ || other.process == op.process)) {
        return true;
      }
    }
    return false;
  }
  bool explains(const Operation& op, Output output) const {
    if (!op.ok()) return true;
    Output answered = op.output;
    if (history_.workload == Workload::kSet) std::sort(answered.values.begin(), answered.values.end());
    return answered == output;
  }
  const History& history_;
  const bool real_time_;
  std::vector<bool> placed_;
  Object object_;
};

// Makes an answer wrong, or only different.
void alter(History& history, Generator& random) {
  std::vector<OpIndex> answered, reads;
  for (OpIndex i = 0; i < history.operations.size(); ++i) {
    const Operation& op = history.operations[i];
    if (!op.ok()) continue;
    answered.push_back(i);
    if (op.reads()) reads.push_back(i);
  }
  if (answered.empty()) return;
  Operation& op = history.operations[answered[random.below(answered.size())]];
  switch (random.below(4)) {
    case 0:  // two reads get each other's answer
      if (reads.size() >= 2) {
        std::swap(history.operations[reads[random.below(reads.size())]].output,
                  history.operations[reads[random.below(reads.size())]].output);
      }
      break;
    case 1:  // an answer is forgotten
      op.outcome = Outcome::kUnknown;
      op.output = {};
      break;
    case 2:  // said not to have happened
      op.outcome = Outcome::kFail;
      op.output = {};
      break;
    case 3:
      if (op.kind == Kind::kCas || op.kind == Kind::kInsert || op.kind == Kind::kErase || op.kind == Kind::kTransfer) {
        op.output.applied = !op.output.applied;
      } else if (op.reads()) {
        if (history.workload == Workload::kRegister) op.output.value = std::to_string(random.below(3));
        if (history.workload == Workload::kCounter) op.output.number += static_cast<int64_t>(random.below(3)) - 1;
        if (!op.output.values.empty()) op.output.values.pop_back();
        if (!op.output.balances.empty()) op.output.balances.begin()->second += 1;
      }
      break;
  }
}

constexpr Workload kWorkloads[] = {Workload::kRegister, Workload::kList, Workload::kCounter, Workload::kSet,
                                   Workload::kBank};

std::string text(const History& history) {
  std::string out;
  for (OpIndex i = 0; i < history.operations.size(); ++i) out += describe_in_time(history, i) + '\n';
  return out;
}

TEST(RandomHistory, ofAnAtomicObjectIsAccepted) {
  EXPECT_TRUE(rc::check("an atomic object is linearizable", [] {
    Generator random(*rc::gen::arbitrary<uint64_t>());
    Shape shape;
    shape.workload = kWorkloads[random.below(5)];
    shape.operations = 1 + random.below(120);
    shape.clients = 1 + random.below(6);
    shape.keys = 1 + random.below(3);
    shape.values = random.below(5);
    shape.unknown_in = 4 + random.below(30);
    const History history = simulate(shape, random);
    const CheckResult result = check_linearizability(history);
    if (result.verdict == Verdict::kViolated) RC_FAIL(text(history) + result.violations[0].play);
    RC_ASSERT(result.verdict != Verdict::kUnknown);
  }));
}

TEST(RandomHistory, alteredIsJudgedAsByTryingEveryOrder) {
  size_t good = 0, bad = 0;
  EXPECT_TRUE(rc::check("the search and every order agree", [&] {
    Generator random(*rc::gen::arbitrary<uint64_t>());
    for (int round = 0; round < 40; ++round) {
      Shape shape;
      shape.workload = kWorkloads[random.below(5)];
      shape.operations = 2 + random.below(7);
      shape.clients = 2 + random.below(3);
      shape.keys = 1 + random.below(2);
      shape.values = random.below(4);
      shape.unknown_in = 2 + random.below(8);
      History history = simulate(shape, random);
      for (uint64_t times = random.below(4); times > 0; --times) alter(history, random);
      const bool expected = EveryOrder(history, true).any_explains();
      (expected ? good : bad) += 1;
      const CheckResult result = check_linearizability(history);
      const bool judged = result.verdict == Verdict::kFine || result.verdict == Verdict::kNothing;
      if (judged != expected) {
        RC_FAIL(std::string(expected ? "has an order:\n" : "has none:\n") + text(history));
      }
    }
  }));
  // Both kinds were among them, or nothing was tested.
  EXPECT_GT(good, 500u);
  EXPECT_GT(bad, 500u);
}

TEST(RandomHistory, alteredIsJudgedSequentialAsByTryingEveryOrder) {
  size_t good = 0, bad = 0;
  EXPECT_TRUE(rc::check("the search by sessions and every order agree", [&] {
    Generator random(*rc::gen::arbitrary<uint64_t>());
    for (int round = 0; round < 40; ++round) {
      Shape shape;
      shape.workload = kWorkloads[random.below(5)];
      shape.operations = 2 + random.below(7);
      shape.clients = 2 + random.below(3);
      shape.keys = 1 + random.below(2);
      shape.values = random.below(4);
      shape.unknown_in = 2 + random.below(8);
      History history = simulate(shape, random);
      for (Operation& op : history.operations) op.level = Level::kSequential;
      for (uint64_t times = random.below(6); times > 0; --times) alter(history, random);
      const bool expected = EveryOrder(history, false).any_explains();
      (expected ? good : bad) += 1;
      const CheckResult result = check_sequential(history);
      const bool judged = result.verdict == Verdict::kFine || result.verdict == Verdict::kNothing;
      if (judged != expected) {
        RC_FAIL(std::string(expected ? "has an order:\n" : "has none:\n") + text(history));
      }
    }
  }));
  EXPECT_GT(good, 500u);
  EXPECT_GT(bad, 300u);
}

TEST(RandomHistory, ofTenThousandOperationsIsDecidedInFewSteps) {
  for (const Workload workload : {Workload::kRegister, Workload::kList, Workload::kCounter, Workload::kSet}) {
    for (const size_t values : {size_t{0}, size_t{5}}) {
      Generator random(static_cast<uint64_t>(workload) * 10 + values);
      Shape shape{.workload = workload, .operations = 10'000, .clients = 10, .keys = 20, .values = values};
      shape.unknown_in = 100;
      const History history = simulate(shape, random);
      const CheckResult result = check_linearizability(history);
      EXPECT_EQ(result.verdict, Verdict::kFine) << name(workload) << " values " << values << ": " << result.reason;
      // 20 keys may spend the budget each; healthy histories need a few steps an operation.
      EXPECT_LT(result.steps, 2'000'000u) << name(workload) << " values " << values;
    }
  }
}

TEST(RandomHistory, aStaleReadAmongTenThousandOperationsIsFoundAndToldShortly) {
  Generator random(7);
  Shape shape{.workload = Workload::kRegister, .operations = 10'000, .clients = 10, .keys = 20, .values = 0};
  shape.unknown_in = 1000;
  History history = simulate(shape, random);
  // The last read of key a answers what the first one did.
  std::vector<OpIndex> reads;
  for (OpIndex i = 0; i < history.operations.size(); ++i) {
    const Operation& op = history.operations[i];
    if (op.reads() && op.ok() && op.key == "a") reads.push_back(i);
  }
  ASSERT_GT(reads.size(), 100u);
  history.operations[reads[200]].output = history.operations[reads[20]].output;
  const CheckResult result = check_linearizability(history);
  ASSERT_EQ(result.verdict, Verdict::kViolated);
  ASSERT_EQ(result.violations.size(), 1u);
  EXPECT_LE(result.violations[0].operations.size(), 12u) << result.violations[0].play;
}

}  // namespace
}  // namespace clew::sim::check

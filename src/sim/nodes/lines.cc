#include "sim/nodes/lines.h"

#include <algorithm>
#include <utility>

namespace clew::sim::nodes {

using control::CallError;
using control::CallReply;

namespace {

constexpr int64_t kMillisecond = 1'000'000;

}  // namespace

Lines::Lines(Stage stage, size_t count) : stage_(stage), lines_(count) {
  history_.workload = check::Workload::kList;
  Generator random(mix64(stage_.seed, 0x11e5));
  for (size_t i = 0; i < count; ++i) {
    lines_[i].key = "s" + std::to_string(i);
    lines_[i].random = Generator(random.next());
    lines_[i].machine = stage_.switchboard.door(random);
  }
}

void Lines::stopped(NodeIndex machine) {
  for (Line& line : lines_) {
    if (line.machine == machine) line.session.reset();
    end_retired(line, machine);
  }
}

void Lines::end_retired(Line& line, NodeIndex machine) {
  std::erase_if(line.retired, [&](const auto& one) { return one.first == machine; });
}

void Lines::go_elsewhere(size_t index, NodeIndex machine) {
  Line& line = lines_[index];
  Serving* const before = stage_.switchboard.serving(line.machine);
  if (line.session != nullptr && before != nullptr) {
    line.retired.emplace_back(line.machine, std::move(line.session));
    before->machine().loop.post([this, index, from = line.machine] { end_retired(lines_[index], from); });
  }
  line.machine = machine;
}

// The first call of a line in a process makes its session.
template <typename F>
void Lines::with_session(size_t index, int64_t timeout_ns, F ask, Switchboard::Then<CallReply> then) {
  Line& line = lines_[index];
  ++line.open;
  // A session may have to be opened first, and it begins to count then.
  stage_.switchboard.call<CallReply>(
      line.machine, 2 * timeout_ns,
      [this, index, ask = std::move(ask)](control::Service& service, control::Done<CallReply> done) {
        Line& asking = lines_[index];
        if (asking.session == nullptr) asking.session = std::make_unique<control::Session>(service);
        ask(*asking.session, std::move(done));
      },
      [this, index, then = std::move(then)](std::variant<CallReply, CallError> answer) {
        --lines_[index].open;
        then(std::move(answer));
      });
}

void Lines::append(size_t index) {
  Line& line = lines_[index];
  const std::string value = "v" + std::to_string(++next_number_);
  kv::AppendRequest request;
  request.key = line.key;
  request.suffix = value + ";";
  stage_.truth.proposed(request);
  check::Operation op;
  op.process = check::ProcessId{++next_process_};
  op.key = line.key;
  op.kind = check::Kind::kAppend;
  op.input.value = value;
  op.invoked_ns = stage_.now_ns();
  const check::OpIndex at = history_.invoke(std::move(op));
  const uint64_t hash = hashes_[at] = Truth::hash_of(request);
  control::CallOptions options;
  options.timeout_ns = static_cast<int64_t>(50 + line.random.below(2'500)) * kMillisecond;
  with_session(
      index, options.timeout_ns,
      [request, options](control::Session& session, control::Done<CallReply> done) {
        session.execute(kv::Space::kUser, request, options, std::move(done));
      },
      [this, at, hash](const std::variant<CallReply, CallError>& answer) {
        if (const auto* error = std::get_if<CallError>(&answer)) {
          ++(error->uncertain ? tally_.unknown : tally_.failed);
          return history_.answer(at, error->uncertain ? check::Outcome::kUnknown : check::Outcome::kFail, {}, {},
                                 stage_.now_ns());
        }
        ++tally_.answered;
        const auto execution = stage_.truth.canon().execution_of(hash);
        if (!execution) return stage_.world.fail("a command of a session was answered, and nobody has applied it");
        history_.answer(at, check::Outcome::kOk, {}, execution->position, stage_.now_ns());
      });
}

void Lines::read(size_t index, bool final) {
  Line& line = lines_[index];
  kv::RangeRequest request;
  request.key = line.key;
  check::Operation op;
  op.process = check::ProcessId{++next_process_};
  op.key = line.key;
  op.final = final;
  op.invoked_ns = stage_.now_ns();
  control::CallOptions options;
  options.timeout_ns = static_cast<int64_t>(50 + line.random.below(2'500)) * kMillisecond;
  if (!final && line.random.one_in(2)) {
    options.consistency = control::Consistency::kSequential;
    op.level = check::Level::kSequential;
  }
  const check::OpIndex at = history_.invoke(std::move(op));
  // What the session has seen when it is asked: the answer must not be older.
  auto seen = std::make_shared<consensus::Position>(0);
  with_session(
      index, options.timeout_ns,
      [request, options, seen](control::Session& session, control::Done<CallReply> done) {
        *seen = session.position();
        session.execute(kv::Space::kUser, request, options, std::move(done));
      },
      [this, at, seen](const std::variant<CallReply, CallError>& answer) {
        const auto* const reply = std::get_if<CallReply>(&answer);
        ++(reply != nullptr ? tally_.answered : tally_.failed);
        if (reply == nullptr) return history_.answer(at, check::Outcome::kFail, {}, {}, stage_.now_ns());
        if (reply->position < *seen) {
          stage_.world.fail("a read of a session went backwards: it had seen position " + std::to_string(*seen) +
                            ", and was answered from the state at " + std::to_string(reply->position));
        }
        check::Output output;
        const auto& kvs = std::get<kv::RangeResponse>(reply->response).kvs;
        if (!kvs.empty()) output.values = elements(kvs[0].value);
        history_.answer(at, check::Outcome::kOk, std::move(output), reply->position, stage_.now_ns());
      });
}

void Lines::issue(Generator random) {
  const size_t index = random.below(lines_.size());
  Line& line = lines_[index];
  if (line.open == 0 && random.one_in(6)) go_elsewhere(index, stage_.switchboard.door(random));
  if (line.open >= 16) {
    ++tally_.busy;
    return;
  }
  for (uint64_t burst = 1 + random.below(6); burst > 0; --burst) {
    random.one_in(4) ? read(index, false) : append(index);
  }
}

std::string Lines::settle() {
  for (const Line& line : lines_) {
    if (line.open != 0) return "an answer to " + line.key + " at " + sim::name(line.machine);
  }
  if (!std::exchange(finals_started_, true)) {
    for (size_t i = 0; i < lines_.size(); ++i) read(i, true);
    return "final reads";
  }
  // Those that were not answered are asked again, elsewhere.
  bool all = true;
  for (size_t i = 0; i < lines_.size(); ++i) {
    const bool read_once =
        std::any_of(history_.operations.begin(), history_.operations.end(),
                    [&](const check::Operation& op) { return op.final && op.ok() && op.key == lines_[i].key; });
    if (!read_once) {
      go_elsewhere(i, stage_.switchboard.door(lines_[i].random));
      read(i, true);
    }
    all = all && read_once;
  }
  return all ? "" : "final reads";
}

void Lines::finish() {
  for (const auto& [index, hash] : hashes_) {
    check::Operation& op = history_.operations[index];
    const auto execution = stage_.truth.canon().execution_of(hash);
    if (op.outcome == check::Outcome::kFail && execution) {
      stage_.world.fail("a command of a session was told to have had no effect, and it took effect at position " +
                        std::to_string(execution->position) + ": " + describe(history_, index));
    }
    if (op.outcome != check::Outcome::kUnknown) continue;
    if (!execution) {
      op.outcome = check::Outcome::kFail;
    } else {
      op.position = execution->position;
    }
  }
}

std::vector<check::History> Lines::histories() {
  std::vector<check::History> all;
  all.push_back(std::move(history_));
  return all;
}

}  // namespace clew::sim::nodes

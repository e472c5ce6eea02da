#include "sim/groups/clients.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace clew::sim::groups {

using check::Kind;
using check::Outcome;
using check::Workload;

namespace {

constexpr Workload kWorkloads[] = {Workload::kRegister, Workload::kList, Workload::kCounter, Workload::kBank};
constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kGiveUpNs = 3'000 * kMillisecond;
constexpr int64_t kGiveUpFinalNs = 600'000 * kMillisecond;
constexpr int64_t kSilenceNs = 2'500 * kMillisecond;  // of a node, for a client without patience

std::string key_of(Workload workload, uint64_t number) {
  if (workload == Workload::kBank) return account(static_cast<int>(number % kAccounts));
  return std::string(1, "rlcsb"[static_cast<size_t>(workload)]) + std::to_string(number);
}

}  // namespace

Clients::Clients(Scheduler& scheduler, Endpoints& endpoints, const Shape& shape, uint64_t seed)
    : scheduler_(scheduler), endpoints_(endpoints), shape_(shape) {
  for (const Workload workload : kWorkloads) {
    check::History& history = histories_.emplace_back();
    history.workload = workload;
    if (workload != Workload::kBank) continue;
    for (int i = 0; i < kAccounts; ++i) history.initial[account(i)].number = kInitialBalance;
  }
  command_hashes_.resize(histories_.size());
  Generator random(mix64(seed, 0xc11e));
  for (size_t i = 0; i < shape.clients * histories_.size(); ++i) {
    Client& client = clients_.emplace_back();
    client.process = check::ProcessId{i + 1};
    client.history = i % histories_.size();
    client.has_session = shape.sessions && !random.one_in(4);
    client.random = Generator(random.next());
  }
}

void Clients::later(int64_t delay_ns, std::function<void()> task) {
  scheduler_.at(scheduler_.now_ns() + delay_ns, Task(std::move(task)));
}

bool Clients::idle() const {
  return std::none_of(clients_.begin(), clients_.end(), [](const Client& client) { return client.busy; });
}

std::string Clients::who_waits() const {
  std::string text;
  for (const Client& client : clients_) {
    if (!client.busy) continue;
    text += text.empty() ? "" : ", ";
    text += "client " + std::to_string(check::number(client.process)) + (client.opening ? " (for a session)" : "") +
            " at " + name(client.asked);
  }
  return text;
}

bool Clients::issue(NodeIndex node, bool read, Generator random) {
  const size_t first = random.below(clients_.size());
  for (size_t i = 0; i < clients_.size(); ++i) {
    Client& client = clients_[(first + i) % clients_.size()];
    if (client.busy) continue;
    draw_operation(client, read, random);
    begin(client, node);
    return true;
  }
  ++skipped_;
  return false;
}

void Clients::draw_operation(Client& client, bool read, Generator& random) {
  const Workload workload = kWorkloads[client.history];
  check::Operation op;
  op.process = client.process;
  op.key = key_of(workload, random.below(shape_.keys));
  client.reading = read;
  client.level = consensus::ReadLevel::kLinearizable;
  client.at_least = 0;
  const uint64_t number = ++next_number_;
  if (read) {
    if (workload == Workload::kBank) op.key.clear();
    const uint64_t level = random.below(10);
    if (level < 3) {
      client.level = consensus::ReadLevel::kLease;
    } else if (level < 5) {
      client.level = consensus::ReadLevel::kLocal;
      client.at_least = client.seen;
      op.level = check::Level::kSequential;
    }
    client.body = encode_query(workload, op.key);
    client.wanted = std::move(op);
    return;
  }
  op.input.value = "v" + std::to_string(number);
  switch (workload) {
    case Workload::kRegister: {
      op.kind = Kind::kWrite;
      const uint64_t dice = random.below(10);
      if (dice == 0) op.kind = Kind::kDelete;
      if (dice >= 5) {
        op.kind = Kind::kCas;
        // What was there lately, so that some succeed.
        const auto& history = histories_[client.history];
        for (size_t i = history.operations.size(); i > 0 && i + 12 > history.operations.size(); --i) {
          const check::Operation& before = history.operations[i - 1];
          if (before.key != op.key || before.outcome != Outcome::kOk) continue;
          if (before.kind == Kind::kRead) op.input.expected = before.output.value;
          if (before.kind == Kind::kWrite) op.input.expected = before.input.value;
          break;
        }
      }
      if (op.kind == Kind::kDelete) op.input.value.clear();
      break;
    }
    case Workload::kList:
      op.kind = Kind::kAppend;
      break;
    case Workload::kCounter:
      op.kind = Kind::kAdd;
      op.input.value.clear();
      op.input.amount = static_cast<int64_t>(1 + random.below(9));
      break;
    default:
      op.kind = Kind::kTransfer;
      op.input.value.clear();
      op.input.amount = static_cast<int64_t>(random.below(40));
      op.input.target = account(static_cast<int>(random.below(kAccounts)));
  }
  client.body = encode({workload, op.kind, number, op.key, op.input});
  endpoints_.proposed(client.body);
  client.wanted = std::move(op);
}

void Clients::begin(Client& client, NodeIndex node) {
  client.busy = true;
  ++client.serial;
  client.invoked = false;
  client.tries = 0;
  client.uncertain = 0;
  client.asked = node;
  client.give_up_ns = scheduler_.now_ns() + (client.final ? kGiveUpFinalNs : kGiveUpNs);
  const auto index = static_cast<size_t>(&client - clients_.data());
  client.opening = client.has_session && !client.reading && client.session == consensus::kNoSession;
  if (client.opening) {
    open_session(index);
  } else {
    try_once(index);
  }
}

// The answer travels back: the client acts on it in an event of its own.
template <typename T>
consensus::Answer<T> Clients::answer_to(size_t index, uint64_t serial, NodeIndex node,
                                        void (Clients::*handler)(size_t, uint64_t, NodeIndex, Answered<T>)) {
  return [this, index, serial, node, handler](std::variant<T, consensus::RequestError> answer) {
    if (!endpoints_.speaks(node)) return;
    const int64_t delay = static_cast<int64_t>(50'000 + clients_[index].random.below(500'000));
    scheduler_.at(scheduler_.now_ns() + delay,
                  [this, index, serial, node, handler, answer = std::move(answer)]() mutable {
                    if (clients_[index].serial == serial) (this->*handler)(index, serial, node, std::move(answer));
                  });
  };
}

void Clients::open_session(size_t index) {
  Client& client = clients_[index];
  const uint64_t serial = client.serial, tries = ++client.tries;
  const NodeIndex node = client.asked;
  endpoints_.post(node, [this, index, serial, node](consensus::Replica& replica) {
    replica.open_session(answer_to<consensus::SessionId>(index, serial, node, &Clients::on_session));
  });
  later(kSilenceNs, [this, index, serial, tries] { on_silence(index, serial, tries); });
}

void Clients::try_once(size_t index) {
  Client& client = clients_[index];
  check::History& history = histories_[client.history];
  if (!client.invoked) {
    client.invoked = true;
    client.agreed = endpoints_.agreed();
    client.wanted.node = check::NodeId{at(client.asked)};
    client.wanted.final = client.final;
    client.wanted.invoked_ns = scheduler_.now_ns();
    if (client.session != consensus::kNoSession) {
      client.wanted.session = check::SessionId{static_cast<uint64_t>(client.session)};
      if (!client.reading) client.wanted.sequence = ++client.sequence;
    }
    client.op = history.invoke(client.wanted);
    if (!client.reading) command_hashes_[client.history][client.op] = stable_hash64(client.body);
  }
  const uint64_t serial = client.serial, tries = ++client.tries;
  const NodeIndex node = client.asked;
  ++client.uncertain;
  if (client.reading) {
    endpoints_.post(node, [this, index, serial, node](consensus::Replica& replica) {
      const Client& asking = clients_[index];
      if (asking.serial != serial) return;
      replica.query({asking.level, asking.at_least, asking.body},
                    answer_to<consensus::Reply>(index, serial, node, &Clients::on_reply));
    });
  } else {
    consensus::Command command;
    command.session = client.session;
    command.sequence = client.session == consensus::kNoSession ? 0 : client.sequence;
    command.acknowledged_below = command.sequence;
    command.body = client.body;
    endpoints_.post(node, [this, index, serial, node, command](consensus::Replica& replica) {
      replica.submit(command, answer_to<consensus::Reply>(index, serial, node, &Clients::on_reply));
    });
  }
  const bool repeats = client.reading || client.session != consensus::kNoSession;
  later(repeats ? shape_.patience_ns : kSilenceNs, [this, index, serial, tries] { on_silence(index, serial, tries); });
}

void Clients::on_session(size_t index, uint64_t, NodeIndex, Answered<consensus::SessionId> answer) {
  Client& client = clients_[index];
  if (!client.opening) return;
  if (const auto* error = std::get_if<consensus::RequestError>(&answer)) return ask_again(index, error->leader);
  client.session = std::get<consensus::SessionId>(answer);
  client.sequence = 0;
  client.opening = false;
  client.seen = std::max<consensus::Position>(client.seen, static_cast<uint64_t>(client.session));
  try_once(index);
}

void Clients::on_reply(size_t index, uint64_t, NodeIndex, Answered<consensus::Reply> answer) {
  Client& client = clients_[index];
  if (const auto* error = std::get_if<consensus::RequestError>(&answer)) {
    switch (error->code) {
      case Code::kUnavailable:
      case Code::kResourceExhausted:
        --client.uncertain;  // this try certainly had no effect
        return ask_again(index, error->leader);
      case Code::kFailedPrecondition:
        // The session is gone. Reads and commands without one are never told so.
        if (client.session == consensus::kNoSession || client.reading) {
          endpoints_.wrong("a request without a session was refused as of a session that has ended");
        }
        --client.uncertain;
        client.session = consensus::kNoSession;
        return end(client, client.uncertain == 0 ? Outcome::kFail : Outcome::kUnknown);
      case Code::kDeadlineExceeded:
        if (client.reading || client.session != consensus::kNoSession) return ask_again(index, error->leader);
        return end(client, Outcome::kUnknown);
      default:
        endpoints_.wrong("a request was answered with " + std::string(code_name(error->code)) + ": " + error->message);
        return end(client, Outcome::kUnknown);
    }
  }
  auto& reply = std::get<consensus::Reply>(answer);
  std::optional<uint64_t> position = reply.position;
  if (!client.reading && client.session != consensus::kNoSession) {
    // A repeated command is answered at the position of its repetition; what counts is where it took effect.
    position = endpoints_.applied_at(client.session, client.sequence);
    if (!position) endpoints_.wrong("a command of a session was answered, and nobody has applied it");
  }
  if (client.level == consensus::ReadLevel::kLocal && client.reading && reply.position < client.at_least) {
    endpoints_.wrong("a read of the state at " + std::to_string(client.at_least) + " or later was answered from " +
                     std::to_string(reply.position));
  }
  if (client.level != consensus::ReadLevel::kLocal && client.reading && reply.position < client.agreed) {
    endpoints_.wrong("stale read: asked when everything up to " + std::to_string(client.agreed) +
                     " was committed, answered from the state at " + std::to_string(reply.position));
  }
  client.seen = std::max(client.seen, position.value_or(0));
  end(client, Outcome::kOk, decode_answer(reply.result), position);
}

void Clients::on_silence(size_t index, uint64_t serial, uint64_t tries) {
  Client& client = clients_[index];
  if (client.serial != serial || client.tries != tries) return;
  const bool repeats = client.opening || client.reading || client.session != consensus::kNoSession;
  if (!repeats) return end(client, Outcome::kUnknown);
  ask_again(index, consensus::kNobody);
}

void Clients::ask_again(size_t index, consensus::NodeId hint) {
  Client& client = clients_[index];
  const uint64_t serial = client.serial;
  if (scheduler_.now_ns() >= client.give_up_ns) {
    return end(client, client.uncertain == 0 || client.reading ? Outcome::kFail : Outcome::kUnknown);
  }
  const bool hinted = hint != consensus::kNobody && client.random.below(8) != 0;
  client.asked =
      hinted ? endpoints_.machine_of(hint) : NodeIndex{static_cast<uint32_t>(client.random.below(endpoints_.nodes()))};
  const uint64_t tries = ++client.tries;  // answers to earlier tries still count; their silence does not
  const auto pause = static_cast<int64_t>(hinted ? client.random.below(2'000'000) : client.random.below(60'000'000));
  later(pause, [this, index, serial, tries] {
    const Client& asking = clients_[index];
    if (asking.serial != serial || asking.tries != tries) return;
    asking.opening ? open_session(index) : try_once(index);
  });
}

void Clients::end(Client& client, Outcome outcome, check::Output output, std::optional<uint64_t> position) {
  ++(outcome == Outcome::kOk ? answered_ : outcome == Outcome::kFail ? failed_ : unknown_);
  if (client.invoked) {
    histories_[client.history].answer(client.op, outcome, std::move(output), position, scheduler_.now_ns());
  }
  client.busy = false;
  ++client.serial;
  if (client.final) {
    client.final = false;
    --finals_open_;
  }
}

void Clients::resolve(const std::function<std::optional<Canon::Execution>(uint64_t)>& execution_of) {
  for (size_t h = 0; h < histories_.size(); ++h) {
    for (const auto& [index, hash] : command_hashes_[h]) {
      check::Operation& op = histories_[h].operations[index];
      if (op.outcome != Outcome::kUnknown) continue;
      const auto execution = execution_of(hash);
      if (!execution) {
        op.outcome = Outcome::kFail;
      } else if (execution->changed) {
        op.position = execution->position;
      }
    }
  }
}

void Clients::start_final_reads() {
  finals_started_ = true;
  uint64_t process = clients_.size();
  for (size_t h = 0; h < histories_.size(); ++h) {
    std::set<std::string> keys;
    for (const check::Operation& op : histories_[h].operations) {
      if (histories_[h].workload == Workload::kBank)
        keys.insert("");
      else
        keys.insert(op.key);
    }
    for (const std::string& key : keys) {
      Client& client = clients_.emplace_back();
      client.process = check::ProcessId{++process};
      client.history = h;
      client.random = Generator(mix64(process, 0xf17a1));
      client.reading = client.final = true;
      client.wanted.process = client.process;
      client.wanted.key = key;
      client.body = encode_query(histories_[h].workload, key);
      ++finals_open_;
      begin(client, NodeIndex{static_cast<uint32_t>(client.random.below(endpoints_.nodes()))});
    }
  }
}

}  // namespace clew::sim::groups

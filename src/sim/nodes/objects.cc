#include "sim/nodes/objects.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

namespace clew::sim::nodes {

using check::Kind;
using check::Outcome;
using Object = check::Workload;
using control::CallError;
using control::CallReply;
using control::Consistency;

namespace {

constexpr Object kKinds[] = {Object::kRegister, Object::kList, Object::kBank};
constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kGiveUpNs = 4'000 * kMillisecond;
constexpr int64_t kGiveUpFinalNs = 600'000 * kMillisecond;
constexpr int kAccounts = 4;
constexpr int64_t kInitialBalance = 100;
constexpr char kBank[] = "b/";

std::string account(uint64_t number) { return kBank + std::to_string(number % kAccounts); }

// "70:v12": the balance, and what makes the bytes unique.
int64_t balance_in(std::string_view value) {
  int64_t balance = INT64_MIN;
  std::from_chars(value.data(), value.data() + value.size(), balance);
  return balance;
}

kv::RequestOp put_op(std::string key, std::string value) {
  kv::PutRequest put;
  put.key = std::move(key);
  put.value = std::move(value);
  return {std::move(put)};
}

kv::Compare compare(kv::Compare::Target target, std::string key, int64_t number) {
  kv::Compare compare;
  compare.target = target;
  compare.key = std::move(key);
  compare.number = number;
  return compare;
}

}  // namespace

Objects::Objects(Stage stage) : stage_(stage) {
  for (const Object kind : kKinds) {
    check::History& history = histories_.emplace_back();
    history.workload = kind;
    if (kind != Object::kBank) continue;
    for (uint64_t i = 0; i < kAccounts; ++i) history.initial[account(i)].number = kInitialBalance;
  }
  hashes_.resize(histories_.size());
  Generator random(mix64(stage_.seed, 0x0b1ec7));
  for (size_t i = 0; i < stage_.clients; ++i) {
    Client& client = clients_.emplace_back();
    client.process = check::ProcessId{i + 1};
    client.history = i % histories_.size();
    client.has_session = stage_.sessions && !random.one_in(3);
    client.random = Generator(random.next());
  }
}

void Objects::issue(Generator random) {
  const size_t first = random.below(clients_.size());
  for (size_t i = 0; i < clients_.size(); ++i) {
    Client& client = clients_[(first + i) % clients_.size()];
    if (client.busy) continue;
    client.machine = stage_.switchboard.door(random);
    draw(client, random);
    return begin(client);
  }
  ++tally_.busy;
}

// --- What to ask for ---

void Objects::draw_read(Client& client, Generator& random) {
  check::Operation& op = client.wanted;
  const Object kind = kKinds[client.history];
  kv::RangeRequest range;
  range.key = op.key;
  if (kind == Object::kBank) {
    op.key.clear();
    range.key = kBank;
    range.range_end = kv::prefix_end(kBank);
  }
  client.request = std::move(range);
  const uint64_t dice = random.below(10);
  if (dice < 3) {
    client.level = Consistency::kLease;
  } else if (dice < 5 && !client.transfers) {
    client.level = Consistency::kSequential;
    client.at_least = client.seen;
    op.level = check::Level::kSequential;
  }
}

void Objects::draw_register(Client& client, Generator& random) {
  check::Operation& op = client.wanted;
  const std::string number = std::to_string(next_number_);
  const uint64_t dice = random.below(10);
  if (dice == 0) {  // a deletion by itself has no bytes of its own
    op.kind = Kind::kDelete;
    op.input.value.clear();
    kv::TxnRequest txn;
    txn.compare.push_back(compare(kv::Compare::Target::kVersion, "~" + number, 0));
    kv::DeleteRangeRequest erase;
    erase.key = op.key;
    txn.success.push_back({std::move(erase)});
    client.request = std::move(txn);
    return;
  }
  if (dice < 5) {
    op.kind = Kind::kWrite;
    kv::PutRequest put;
    put.key = op.key;
    put.value = op.input.value;
    client.request = std::move(put);
    return;
  }
  op.kind = Kind::kCas;
  // What was there lately, so that some succeed.
  const check::History& history = histories_[client.history];
  for (size_t i = history.operations.size(); i > 0 && i + 12 > history.operations.size(); --i) {
    const check::Operation& before = history.operations[i - 1];
    if (before.key != op.key || before.outcome != Outcome::kOk) continue;
    if (before.kind == Kind::kRead) op.input.expected = before.output.value;
    if (before.kind == Kind::kWrite) op.input.expected = before.input.value;
    break;
  }
  if (random.one_in(2)) {
    kv::CompareAndSetRequest swap;
    swap.key = op.key;
    swap.expect =
        op.input.expected ? kv::CompareAndSetRequest::Expect::kValue : kv::CompareAndSetRequest::Expect::kAbsent;
    swap.expected_value = op.input.expected.value_or("");
    swap.value = op.input.value;
    client.request = std::move(swap);
    return;
  }
  kv::TxnRequest txn;  // as etcd's clients have it
  kv::Compare expected = compare(kv::Compare::Target::kVersion, op.key, 0);
  if (op.input.expected) {
    expected.target = kv::Compare::Target::kValue;
    expected.value = *op.input.expected;
  }
  txn.compare.push_back(std::move(expected));
  txn.success.push_back(put_op(op.key, op.input.value));
  client.request = std::move(txn);
}

void Objects::draw(Client& client, Generator& random) {
  const Object kind = kKinds[client.history];
  client.level = Consistency::kLinearizable;
  client.at_least = 0;
  client.wanted = check::Operation();
  check::Operation& op = client.wanted;
  op.process = client.process;
  op.key = kind == Object::kBank
               ? account(random.next())
               : std::string(1, kind == Object::kList ? 'l' : 'r') + std::to_string(random.below(stage_.keys));
  op.input.value = "v" + std::to_string(++next_number_);
  client.transfers = kind == Object::kBank && !random.one_in(3);
  if (client.transfers || (kind != Object::kBank && random.below(10) < 4) || kind == Object::kBank) {
    op.input = {};
    return draw_read(client, random);
  }
  if (kind == Object::kRegister) return draw_register(client, random);
  op.kind = Kind::kAppend;
  kv::AppendRequest append;
  append.key = op.key;
  append.suffix = op.input.value + ";";
  client.request = std::move(append);
}

// Between two accounts as they were read: only if nobody has touched them since.
void Objects::draw_transfer(Client& client, const std::map<std::string, Account>& accounts) {
  Generator& random = client.random;
  client.level = Consistency::kLinearizable;
  client.at_least = 0;
  client.wanted = check::Operation();
  check::Operation& op = client.wanted;
  op.process = client.process;
  op.kind = Kind::kTransfer;
  const uint64_t from = random.below(kAccounts), to = (from + 1 + random.below(kAccounts - 1)) % kAccounts;
  op.key = account(from);
  op.input.target = account(to);
  const Account& payer = accounts.at(op.key);
  const Account& payee = accounts.at(op.input.target);
  const auto most = static_cast<uint64_t>(std::clamp<int64_t>(payer.balance, 1, 40));
  op.input.amount = static_cast<int64_t>(1 + random.below(most));
  // Who has nothing pays nothing: then the comparison does not hold.
  const bool enough = op.input.amount <= payer.balance;
  const std::string unique = ":v" + std::to_string(++next_number_);
  kv::TxnRequest txn;
  txn.compare.push_back(compare(kv::Compare::Target::kMod, op.key, enough ? payer.mod_revision : -1));
  txn.compare.push_back(compare(kv::Compare::Target::kMod, op.input.target, payee.mod_revision));
  txn.success.push_back(put_op(op.key, std::to_string(payer.balance - op.input.amount) + unique));
  txn.success.push_back(put_op(op.input.target, std::to_string(payee.balance + op.input.amount) + unique));
  client.request = std::move(txn);
}

// --- Asking ---

void Objects::begin(Client& client) {
  client.busy = true;
  ++client.serial;
  client.invoked = false;
  client.uncertain = 0;
  client.give_up_ns = stage_.now_ns() + (client.final ? kGiveUpFinalNs : kGiveUpNs);
  if (!client.wanted.reads()) {
    stage_.truth.proposed(client.request);
    client.hash = Truth::hash_of(client.request);
  }
  const auto index = static_cast<size_t>(&client - clients_.data());
  const bool opens = client.has_session && !client.wanted.reads() && client.session == consensus::kNoSession;
  if (opens) {
    open_session(index);
  } else {
    ask(index);
  }
}

void Objects::open_session(size_t index) {
  Client& client = clients_[index];
  control::CallOptions options;
  options.timeout_ns = static_cast<int64_t>(100 + client.random.below(2'000)) * kMillisecond;
  stage_.switchboard.call<consensus::SessionId>(
      client.machine, options.timeout_ns,
      [options](control::Service& service, control::Done<consensus::SessionId> done) {
        service.open_session(options, std::move(done));
      },
      [this, index, serial = client.serial](Answered<consensus::SessionId> answer) {
        Client& asking = clients_[index];
        if (asking.serial != serial) return;
        if (std::holds_alternative<CallError>(answer)) {
          if (stage_.now_ns() >= asking.give_up_ns) return end(asking, Outcome::kFail);
          return ask_again(index);
        }
        asking.session = std::get<consensus::SessionId>(answer);
        asking.sequence = 0;
        ask(index);
      });
}

void Objects::ask(size_t index) {
  Client& client = clients_[index];
  const bool reads = client.wanted.reads();
  check::History& history = histories_[client.history];
  if (!client.invoked) {
    client.invoked = true;
    client.agreed = stage_.truth.last();
    client.wanted.final = client.final;
    client.wanted.invoked_ns = stage_.now_ns();
    if (client.session != consensus::kNoSession) {
      client.wanted.session = check::SessionId{static_cast<uint64_t>(client.session)};
      if (!reads) client.wanted.sequence = ++client.sequence;
    }
    client.op = history.invoke(client.wanted);
    if (!reads) hashes_[client.history][client.op] = client.hash;
  }
  control::CallOptions options;
  options.consistency = client.level;
  options.at_least = client.at_least;
  options.timeout_ns = static_cast<int64_t>(50 + client.random.below(2'500)) * kMillisecond;
  options.forward = !client.random.one_in(12);
  if (!reads && client.session != consensus::kNoSession) {
    options.session = client.session;
    options.sequence = options.acknowledged_below = client.sequence;
  }
  ++client.uncertain;
  stage_.switchboard.call<CallReply>(
      client.machine, options.timeout_ns,
      [request = client.request, options](control::Service& service, control::Done<CallReply> done) {
        service.execute(kv::Space::kUser, request, options, std::move(done));
      },
      [this, index, serial = client.serial](Answered<CallReply> answer) {
        if (clients_[index].serial == serial) on_reply(index, std::move(answer));
      });
}

void Objects::ask_again(size_t index) {
  Client& client = clients_[index];
  client.machine = stage_.switchboard.door(client.random);
  stage_.later(static_cast<int64_t>(client.random.below(60 * kMillisecond)), [this, index, serial = client.serial] {
    Client& asking = clients_[index];
    if (asking.serial != serial) return;
    if (asking.invoked || asking.session != consensus::kNoSession || !asking.has_session || asking.wanted.reads()) {
      ask(index);
    } else {
      open_session(index);
    }
  });
}

// --- Answers ---

void Objects::wrong(const Client& client, const std::string& what) {
  stage_.world.fail(what + " (client " + std::to_string(check::number(client.process)) + ", at " +
                    sim::name(client.machine) + ", " + describe(histories_[client.history], client.op) + ")");
}

void Objects::on_reply(size_t index, Answered<CallReply> answer) {
  if (const auto* error = std::get_if<CallError>(&answer)) return on_error(index, *error);
  const CallReply& reply = std::get<CallReply>(answer);
  clients_[index].wanted.reads() ? on_read(index, reply) : on_written(index, reply);
}

void Objects::on_error(size_t index, const CallError& error) {
  Client& client = clients_[index];
  const bool reads = client.wanted.reads();
  if (reads || !error.uncertain) --client.uncertain;  // this try certainly had no effect
  const auto give_up = [&] { end(client, client.uncertain == 0 ? Outcome::kFail : Outcome::kUnknown); };
  if (error.session_ended) {
    if (client.session == consensus::kNoSession || reads) {
      wrong(client, "a request without a session was refused as of a session that has ended");
    }
    client.session = consensus::kNoSession;
    return give_up();
  }
  switch (error.code) {
    case Code::kUnavailable:
    case Code::kResourceExhausted:
    case Code::kDeadlineExceeded:
      break;
    default:
      wrong(client, "a request was answered with " + std::string(code_name(error.code)) + ": " + error.message);
      return give_up();
  }
  const bool repeats = reads || client.session != consensus::kNoSession || client.uncertain == 0;
  if (!repeats || stage_.now_ns() >= client.give_up_ns) return give_up();
  ask_again(index);
}

void Objects::on_read(size_t index, const CallReply& reply) {
  Client& client = clients_[index];
  const auto* range = std::get_if<kv::RangeResponse>(&reply.response);
  if (range == nullptr) return wrong(client, "a read was answered with something else");
  if (client.level == Consistency::kSequential && reply.position < client.at_least) {
    wrong(client, "a read of the state at " + std::to_string(client.at_least) + " or later was answered from " +
                      std::to_string(reply.position));
  }
  if (client.level != Consistency::kSequential && reply.position < client.agreed) {
    wrong(client, "stale read: asked when everything up to " + std::to_string(client.agreed) +
                      " was committed, answered from the state at " + std::to_string(reply.position));
  }
  client.seen = std::max(client.seen, reply.position);
  check::Output output;
  std::map<std::string, Account> accounts;
  switch (kKinds[client.history]) {
    case Object::kRegister:
      if (!range->kvs.empty()) output.value = range->kvs[0].value;
      break;
    case Object::kList:
      if (!range->kvs.empty()) output.values = elements(range->kvs[0].value);
      break;
    default: {
      for (uint64_t i = 0; i < kAccounts; ++i) accounts[account(i)].balance = kInitialBalance;
      for (const kv::KeyValue& kv : range->kvs) accounts[kv.key] = {balance_in(kv.value), kv.mod_revision};
      int64_t sum = 0;
      for (const auto& [key, known] : accounts) {
        output.balances[key] = known.balance;
        sum += known.balance;
      }
      if (accounts.size() != kAccounts || sum != kAccounts * kInitialBalance) {
        wrong(client, "bank: a read at position " + std::to_string(reply.position) + " shows " + std::to_string(sum) +
                          " in all accounts together; it is always " + std::to_string(kAccounts * kInitialBalance));
      }
    }
  }
  end(client, Outcome::kOk, std::move(output), reply.position);
  if (!std::exchange(client.transfers, false)) return;
  draw_transfer(client, accounts);
  begin(client);
}

void Objects::on_written(size_t index, const CallReply& reply) {
  Client& client = clients_[index];
  std::optional<uint64_t> position = reply.position;
  if (client.session != consensus::kNoSession) {
    // A repeated command is answered at the position of its repetition; what counts is where it took effect.
    position = stage_.truth.canon().executed_at(client.session, client.sequence);
    if (!position) wrong(client, "a command of a session was answered, and nobody has applied it");
  } else {
    const auto execution = stage_.truth.canon().execution_of(client.hash);
    if (!execution || execution->position != reply.position) {
      wrong(client, "a command was answered as applied at position " + std::to_string(reply.position) +
                        (execution ? "; it was at " + std::to_string(execution->position) : ", and nobody applied it"));
    }
  }
  check::Output output;
  output.applied = changed_something(reply.response);
  client.seen = std::max(client.seen, position.value_or(0));
  // A transfer between accounts that somebody has touched was not made, whatever they held.
  if (client.wanted.kind == Kind::kTransfer && !output.applied) return end(client, Outcome::kFail);
  if (client.wanted.kind != Kind::kCas && client.wanted.kind != Kind::kDelete && !output.applied) {
    wrong(client, "a write was answered as if it had done nothing");
  }
  end(client, Outcome::kOk, std::move(output), position);
}

void Objects::end(Client& client, Outcome outcome, check::Output output, std::optional<uint64_t> position) {
  ++(outcome == Outcome::kOk ? tally_.answered : outcome == Outcome::kFail ? tally_.failed : tally_.unknown);
  if (client.invoked) {
    histories_[client.history].answer(client.op, outcome, std::move(output), position, stage_.now_ns());
  }
  if (outcome != Outcome::kOk) client.transfers = false;
  client.busy = false;
  ++client.serial;
  if (!client.final) return;
  client.final = false;
  --finals_open_;
}

// --- The end ---

std::string Objects::settle() {
  std::string waits;
  for (const Client& client : clients_) {
    if (!client.busy) continue;
    waits += (waits.empty() ? "client " : ", ") + std::to_string(check::number(client.process)) + " at " +
             sim::name(client.machine);
  }
  if (!waits.empty()) return waits;
  if (!std::exchange(finals_started_, true)) {
    start_final_reads();
    return "final reads";
  }
  return finals_open_ == 0 ? "" : "final reads";
}

void Objects::start_final_reads() {
  uint64_t process = clients_.size();
  const size_t before = clients_.size();
  for (size_t h = 0; h < histories_.size(); ++h) {
    std::set<std::string> keys;
    for (const check::Operation& op : histories_[h].operations) {
      keys.insert(histories_[h].workload == Object::kBank ? "" : op.key);
    }
    for (const std::string& key : keys) {
      Client& client = clients_.emplace_back();
      client.process = check::ProcessId{++process};
      client.history = h;
      client.random = Generator(mix64(process, 0xf17a1));
      client.final = true;
      client.wanted.process = client.process;
      client.wanted.key = key;
      kv::RangeRequest range;
      range.key = key.empty() ? kBank : key;
      if (key.empty()) range.range_end = kv::prefix_end(kBank);
      client.request = std::move(range);
    }
  }
  finals_open_ = clients_.size() - before;
  for (size_t i = before; i < clients_.size(); ++i) {
    clients_[i].machine = stage_.switchboard.door(clients_[i].random);
    begin(clients_[i]);
  }
}

// An operation of unknown outcome that no log knows failed; of one that changed something the log knows the position.
void Objects::finish() {
  for (size_t h = 0; h < histories_.size(); ++h) {
    for (const auto& [index, hash] : hashes_[h]) {
      check::Operation& op = histories_[h].operations[index];
      const auto execution = stage_.truth.canon().execution_of(hash);
      if (op.outcome == Outcome::kFail && execution && execution->changed) {
        stage_.world.fail("an operation was told to have had no effect, and it took effect at position " +
                          std::to_string(execution->position) + ": " + describe(histories_[h], index));
      }
      if (op.outcome != Outcome::kUnknown) continue;
      if (!execution) {
        op.outcome = Outcome::kFail;
      } else if (execution->changed) {
        op.position = execution->position;
      }
    }
  }
}

}  // namespace clew::sim::nodes

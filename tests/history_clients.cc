// Clients of a real cluster, at work until they are told to end; what they asked and were told is recorded as two
// histories (docs/format/history.md). Driven by tests/history_load.py.
//
//   history_clients --own 127.0.0.1:4331,… --etcd 127.0.0.1:2379,… --lists A.history --registers B.history --tag 1
//
//   lists       our own protocol, with sessions: each append exactly once; reads at every level. Positions are
//               revisions: a repeated answer carries the one at which the command took effect.
//   registers   etcd's API and our own protocol without sessions, on the same keys
// Beside them a watcher of all lists, which must see every append once and in order, and a holder of leases, which must
// keep what it renews. Commands on standard input: "counts" prints how many operations were answered and refused so
// far; "finish", when the cluster is whole again, ends the clients, reads every key a last time, and prints what was
// found wrong. Exit code 0: nothing, 1: something, 2: no end.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "app/control_client.h"
#include "base/random.h"
#include "control/session.h"
#include "etcd/api/etcdserverpb/rpc_service.grpc.pb.h"
#include "otlp/encode.h"
#include "sim/check/history_file.h"

// Behind ours: both define macros for thread annotations, and theirs may be redefined.
#include <grpcpp/grpcpp.h>

namespace {

namespace check = clew::sim::check;
namespace control = clew::control;
namespace kv = clew::kv;
namespace pb = etcdserverpb;
using clew::Generator;
using clew::app::ControlClient;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kLastProcess = 1'000;  // who reads at the end
constexpr auto kPatience = std::chrono::seconds(90);

struct Flags {
  std::vector<std::string> own, etcd;
  std::string lists, registers, tag = "1";
  std::vector<std::string> levels{"linearizable", "linearizable", "sequential"};
  size_t list_clients = 3, own_registers = 1, etcd_registers = 3;
  uint64_t seed = 1;
};

// What all clients share.
class Stage {
 public:
  bool over() const { return over_; }
  void end() {
    over_ = true;
    changed_.notify_all();
  }
  // A client that was refused does not ask again in the same breath.
  void pause(milliseconds time) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [this] { return over_.load(); });
  }
  void count(bool ok) { ++(ok ? answered : refused); }
  // Of any client, for whoever waits for an answer in vain.
  void refusal(const std::string& why) {
    const std::lock_guard lock(mutex_);
    last_refusal_ = why;
  }
  std::string last_refusal() {
    const std::lock_guard lock(mutex_);
    return last_refusal_;
  }
  void wrong(const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (problems_.size() < 20) problems_.push_back(what);
  }
  std::vector<std::string> problems() {
    const std::lock_guard lock(mutex_);
    return problems_;
  }
  std::atomic<uint64_t> answered{0}, refused{0};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> over_{false};
  std::vector<std::string> problems_;
  std::string last_refusal_;
};

// The order of the lines is the clock: each is one write under a lock.
class Recorder {
 public:
  Recorder(const std::string& path, check::Workload workload)
      : workload_(workload), file_(::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644)) {
    write(check::header_line(workload, {}));
  }
  ~Recorder() { ::close(file_); }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  void invoked(const check::Operation& operation) { write(check::invoke_line(operation)); }
  void returned(const check::Operation& operation) { write(check::return_line(workload_, operation)); }

 private:
  void write(const std::string& line) {
    const std::lock_guard lock(mutex_);
    if (::write(file_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
      std::perror("a history cannot be written");
      std::exit(2);
    }
  }
  const check::Workload workload_;
  std::mutex mutex_;
  const int file_;
};

// Three keys at a time, of so many operations together: long lists, and keys with many operations of unknown outcome,
// make histories that are hard to judge.
class Keys {
 public:
  Keys(std::string prefix, uint64_t at_a_time) : prefix_(std::move(prefix)), at_a_time_(at_a_time) {}
  std::string some(Generator& random) {
    const std::lock_guard lock(mutex_);
    const std::string key = prefix_ + std::to_string(used_++ / at_a_time_ * 3 + random.below(3));
    all_.insert(key);
    return key;
  }
  std::set<std::string> all() {
    const std::lock_guard lock(mutex_);
    return all_;
  }
  const std::string& prefix() const { return prefix_; }

 private:
  const std::string prefix_;
  const uint64_t at_a_time_;
  std::mutex mutex_;
  uint64_t used_ = 0;
  std::set<std::string> all_;
};

// The same addresses for each client, another one in front.
std::string rotated(const std::vector<std::string>& addresses, size_t by) {
  std::string out;
  for (size_t i = 0; i < addresses.size(); ++i) {
    out += (i > 0 ? "," : "") + addresses[(i + by) % addresses.size()];
  }
  return out;
}

std::unique_ptr<ControlClient> connected(const Flags& flags, size_t number) {
  clew::app::ControlFlags control;
  control.servers = rotated(flags.own, number);
  control.timeout = "2s";
  ControlClient::Options options;
  options.fail_fast = false;
  auto client = ControlClient::connect(control, options);
  if (!client.ok()) {
    std::fprintf(stderr, "%s\n", client.status().to_string().c_str());
    std::exit(2);
  }
  return std::move(*client);
}

check::Outcome outcome_of(const control::CallError& error) {
  return error.uncertain || error.session_ended ? check::Outcome::kUnknown : check::Outcome::kFail;
}

kv::RangeRequest range_of(const std::string& key) {
  kv::RangeRequest request;
  request.key = key;
  return request;
}

// --- Lists ---

std::vector<std::string> elements_of(const std::string& value) {
  std::vector<std::string> elements;
  for (size_t begin = 0; begin < value.size();) {
    const size_t end = value.find(' ', begin);
    elements.push_back(value.substr(begin, end - begin));
    begin = end == std::string::npos ? value.size() : end + 1;
  }
  return elements;
}

class ListClient {
 public:
  ListClient(const Flags& flags, Stage& stage, Recorder& recorder, Keys& keys, uint64_t number)
      : flags_(flags),
        stage_(stage),
        recorder_(recorder),
        keys_(keys),
        number_(number),
        random_(flags.seed * 1'000 + number),
        client_(connected(flags, number)) {
    (void)client_->wait<bool>([this](auto done) {
      session_ = std::make_unique<control::Session>(client_->client());
      done(true);
    });
  }
  ~ListClient() {
    (void)client_->wait<bool>([this](auto done) {
      session_.reset();
      done(true);
    });
  }
  ListClient(const ListClient&) = delete;
  ListClient& operator=(const ListClient&) = delete;

  void run() {
    while (!stage_.over()) {
      const std::string key = keys_.some(random_);
      const bool ok =
          random_.below(100) < 55 ? append(key) : read(key, flags_.levels[random_.below(flags_.levels.size())]);
      stage_.count(ok);
      if (!ok) stage_.pause(milliseconds(20));
    }
  }

  bool append(const std::string& key) {
    check::Operation operation = begun(key, check::Kind::kAppend);
    operation.input.value = std::to_string(number_) + "." + std::to_string(++appended_);
    recorder_.invoked(operation);
    kv::AppendRequest request;
    request.key = key;
    request.suffix = operation.input.value + " ";
    const auto result = ask(std::move(request), control::Consistency::kLinearizable);
    if (const auto* error = std::get_if<control::CallError>(&result)) {
      operation.outcome = outcome_of(*error);
      stage_.refusal("own, append: " + error->message);
    } else {
      operation.outcome = check::Outcome::kOk;
      operation.position =
          static_cast<uint64_t>(std::get<kv::AppendResponse>(std::get<control::CallReply>(result).response).revision);
    }
    recorder_.returned(operation);
    return operation.ok();
  }

  bool read(const std::string& key, const std::string& level, bool final = false) {
    check::Operation operation = begun(key, check::Kind::kRead);
    const auto consistency = control::parse_consistency(level).value();
    if (consistency == control::Consistency::kSequential) operation.level = check::Level::kSequential;
    operation.final = final;
    recorder_.invoked(operation);
    const auto result = ask(range_of(key), consistency);
    if (const auto* error = std::get_if<control::CallError>(&result)) {
      operation.outcome = check::Outcome::kFail;  // a read has no effect
      stage_.refusal("own, read: " + error->message);
    } else {
      const auto& range = std::get<kv::RangeResponse>(std::get<control::CallReply>(result).response);
      operation.outcome = check::Outcome::kOk;
      operation.position = static_cast<uint64_t>(range.revision);
      last_read = range.kvs.empty() ? std::string() : range.kvs[0].value;
      operation.output.values = elements_of(last_read);
    }
    recorder_.returned(operation);
    return operation.ok();
  }
  std::string last_read;

 private:
  check::Operation begun(const std::string& key, check::Kind kind) const {
    check::Operation operation;
    operation.process = check::ProcessId{number_};
    operation.session = check::SessionId{number_};
    operation.key = key;
    operation.kind = kind;
    return operation;
  }
  std::variant<control::CallReply, control::CallError> ask(kv::Request request, control::Consistency level) {
    control::CallOptions options = client_->call_options();
    options.consistency = level;
    return client_->wait<control::CallReply>(
        [&](auto done) { session_->execute(kv::Space::kUser, std::move(request), options, std::move(done)); });
  }

  const Flags& flags_;
  Stage& stage_;
  Recorder& recorder_;
  Keys& keys_;
  const uint64_t number_;
  Generator random_;
  uint64_t appended_ = 0;
  std::unique_ptr<ControlClient> client_;
  std::unique_ptr<control::Session> session_;  // on the client's loop
};

// Sees every list grow: by one element each time, at ever higher revisions.
class Watcher {
 public:
  Watcher(const Flags& flags, Stage& stage, const std::string& prefix) : stage_(stage), client_(connected(flags, 1)) {
    stream_ = client_->client().watch(kv::Space::kUser);
    kv::WatchRequest request;
    request.key = prefix;
    request.range_end = kv::prefix_end(prefix);
    stream_->create(request);
    next();
  }
  ~Watcher() {
    stream_.reset();
    client_.reset();  // afterwards nothing of it runs
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // False: not within kPatience.
  bool created() {
    return wait([this] { return created_; });
  }
  bool saw(const std::map<std::string, std::string>& values) {
    return wait([&] { return seen_ == values; });
  }

 private:
  template <typename F>
  bool wait(F condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, condition);
  }
  void next() {
    stream_->next(1 << 20, [this](std::variant<std::vector<kv::WatchResponse>, control::CallError> result) {
      if (const auto* error = std::get_if<control::CallError>(&result)) {
        if (!stage_.over()) stage_.wrong("the watch ended: " + error->message);
        return;
      }
      {
        const std::lock_guard lock(mutex_);
        for (const kv::WatchResponse& response : std::get<0>(result)) look(response);
      }
      changed_.notify_all();
      next();
    });
  }
  void look(const kv::WatchResponse& response) {
    created_ = created_ || response.created;
    if (response.cancelled) stage_.wrong("the watch was cancelled: " + response.cancel_reason);
    for (const auto& event : response.events) {
      const std::string &key = event->kv.key, &value = event->kv.value;
      std::string& before = seen_[key];
      if (event->kv.mod_revision < revision_)
        stage_.wrong("a watch went back to " + std::to_string(event->kv.mod_revision));
      revision_ = event->kv.mod_revision;
      if (!value.starts_with(before) || elements_of(value).size() != elements_of(before).size() + 1) {
        stage_.wrong("a watch of " + key + " saw \"" + value + "\" after \"" + before + "\"");
      }
      before = value;
    }
  }

  Stage& stage_;
  std::unique_ptr<ControlClient> client_;
  std::unique_ptr<control::WatchStream> stream_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool created_ = false;
  int64_t revision_ = 0;
  std::map<std::string, std::string> seen_;
};

// --- Registers ---

struct Told {
  check::Outcome outcome = check::Outcome::kUnknown;
  std::optional<std::string> value;  // of a read
  bool applied = true;               // of a compare-and-set
};

class Register {
 public:
  virtual ~Register() = default;
  virtual Told read(const std::string& key) = 0;
  virtual Told write(const std::string& key, const std::string& value) = 0;
  virtual Told cas(const std::string& key, const std::optional<std::string>& expected, const std::string& value) = 0;
  virtual Told erase(const std::string& key) = 0;
};

class OwnRegister final : public Register {
 public:
  OwnRegister(const Flags& flags, Stage& stage, size_t number) : stage_(stage), client_(connected(flags, number)) {}

  Told read(const std::string& key) override {
    return ask(range_of(key), [](const kv::Response& response, Told& told) {
      const auto& range = std::get<kv::RangeResponse>(response);
      if (!range.kvs.empty()) told.value = range.kvs[0].value;
    });
  }
  Told write(const std::string& key, const std::string& value) override {
    kv::PutRequest request;
    request.key = key;
    request.value = value;
    return ask(std::move(request));
  }
  Told cas(const std::string& key, const std::optional<std::string>& expected, const std::string& value) override {
    kv::CompareAndSetRequest request;
    request.key = key;
    request.value = value;
    if (expected) {
      request.expect = kv::CompareAndSetRequest::Expect::kValue;
      request.expected_value = *expected;
    }
    return ask(std::move(request), [](const kv::Response& response, Told& told) {
      told.applied = std::get<kv::CompareAndSetResponse>(response).swapped;
    });
  }
  Told erase(const std::string& key) override {
    kv::DeleteRangeRequest request;
    request.key = key;
    return ask(std::move(request));
  }

 private:
  Told ask(
      kv::Request request, const std::function<void(const kv::Response&, Told&)>& take = [](auto&, auto&) {}) {
    Told told;
    const auto result = client_->execute(kv::Space::kUser, std::move(request), client_->call_options());
    if (const auto* error = std::get_if<control::CallError>(&result)) {
      told.outcome = outcome_of(*error);
      stage_.refusal("own: " + error->message);
      return told;
    }
    told.outcome = check::Outcome::kOk;
    take(std::get<control::CallReply>(result).response, told);
    return told;
  }
  Stage& stage_;
  std::unique_ptr<ControlClient> client_;
};

class EtcdRegister final : public Register {
 public:
  EtcdRegister(const Flags& flags, Stage& stage, size_t number) : stage_(stage), at_(number) {
    for (const std::string& address : flags.etcd) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
      arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
      channels_.push_back(grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
      stubs_.push_back(pb::KV::NewStub(channels_.back()));
    }
  }

  Told read(const std::string& key) override {
    pb::RangeRequest request;
    request.set_key(key);
    pb::RangeResponse response;
    Told told = ask(&pb::KV::Stub::Range, request, response);
    if (response.kvs_size() > 0) told.value = response.kvs(0).value();
    return told;
  }
  Told write(const std::string& key, const std::string& value) override {
    pb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    pb::PutResponse response;
    return ask(&pb::KV::Stub::Put, request, response);
  }
  Told cas(const std::string& key, const std::optional<std::string>& expected, const std::string& value) override {
    pb::TxnRequest request;
    auto* const compare = request.add_compare();
    compare->set_key(key);
    if (expected) {
      compare->set_target(pb::Compare::VALUE);
      compare->set_value(*expected);
    } else {
      compare->set_target(pb::Compare::VERSION);
      compare->set_version(0);
    }
    auto* const put = request.add_success()->mutable_request_put();
    put->set_key(key);
    put->set_value(value);
    pb::TxnResponse response;
    Told told = ask(&pb::KV::Stub::Txn, request, response);
    told.applied = response.succeeded();
    return told;
  }
  Told erase(const std::string& key) override {
    pb::DeleteRangeRequest request;
    request.set_key(key);
    pb::DeleteRangeResponse response;
    return ask(&pb::KV::Stub::DeleteRange, request, response);
  }

 private:
  template <typename Request, typename Response>
  Told ask(grpc::Status (pb::KV::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
           const Request& request, Response& response) {
    Told told;
    // Connections are made only while somebody waits for them; and what was not sent certainly had no effect.
    if (!channels_[at_ % channels_.size()]->WaitForConnected(std::chrono::system_clock::now() + milliseconds(200))) {
      stage_.refusal("etcd " + std::to_string(at_++ % channels_.size()) + ": no connection");
      told.outcome = check::Outcome::kFail;
      return told;
    }
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
    const grpc::Status status = (stubs_[at_ % stubs_.size()].get()->*method)(&context, request, &response);
    if (status.ok()) {
      told.outcome = check::Outcome::kOk;
      return told;
    }
    stage_.refusal("etcd " + std::to_string(at_ % stubs_.size()) + ": " + status.error_message());
    ++at_;  // elsewhere, as etcd's own clients do
    return told;
  }
  Stage& stage_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;  // as gRPC has them
  std::vector<std::unique_ptr<pb::KV::Stub>> stubs_;
  size_t at_;
};

class RegisterClient {
 public:
  RegisterClient(const Flags& flags, Stage& stage, Recorder& recorder, Keys& keys, uint64_t number,
                 std::unique_ptr<Register> store)
      : stage_(stage),
        recorder_(recorder),
        keys_(keys),
        number_(number),
        random_(flags.seed * 1'000 + number),
        store_(std::move(store)) {}

  void run() {
    while (!stage_.over()) {
      const std::string key = keys_.some(random_);
      const uint64_t what = random_.below(100);
      const bool ok = what < 40   ? read(key)
                      : what < 65 ? change(key, check::Kind::kWrite)
                      : what < 92 ? change(key, check::Kind::kCas)
                                  : change(key, check::Kind::kDelete);
      stage_.count(ok);
      if (!ok) stage_.pause(milliseconds(20));
    }
  }

  bool read(const std::string& key, bool final = false) {
    check::Operation operation = begun(key, check::Kind::kRead);
    operation.final = final;
    recorder_.invoked(operation);
    const Told told = store_->read(key);
    operation.outcome = told.outcome == check::Outcome::kOk ? told.outcome : check::Outcome::kFail;
    if (operation.ok()) known_[key] = operation.output.value = told.value;
    recorder_.returned(operation);
    return operation.ok();
  }

 private:
  bool change(const std::string& key, check::Kind kind) {
    check::Operation operation = begun(key, kind);
    if (kind != check::Kind::kDelete)
      operation.input.value = std::to_string(number_) + "." + std::to_string(++written_);
    if (kind == check::Kind::kCas) operation.input.expected = known_[key];
    recorder_.invoked(operation);
    const Told told = kind == check::Kind::kWrite ? store_->write(key, operation.input.value)
                      : kind == check::Kind::kCas ? store_->cas(key, operation.input.expected, operation.input.value)
                                                  : store_->erase(key);
    operation.outcome = told.outcome;
    operation.output.applied = told.applied;
    if (operation.ok() && told.applied) {
      known_[key] = kind == check::Kind::kDelete ? std::nullopt : std::optional(operation.input.value);
    }
    recorder_.returned(operation);
    return operation.ok();
  }
  check::Operation begun(const std::string& key, check::Kind kind) const {
    check::Operation operation;
    operation.process = check::ProcessId{number_};
    operation.key = key;
    operation.kind = kind;
    return operation;
  }

  Stage& stage_;
  Recorder& recorder_;
  Keys& keys_;
  const uint64_t number_;
  Generator random_;
  uint64_t written_ = 0;
  std::map<std::string, std::optional<std::string>> known_;
  std::unique_ptr<Register> store_;
};

// --- Leases ---

// Holds a key by a lease that it renews. While the last renewal that was answered is not over, lease and key are there.
class Holder {
 public:
  Holder(const Flags& flags, Stage& stage) : stage_(stage), key_("held/" + flags.tag), client_(connected(flags, 2)) {}

  void run() {
    while (!stage_.over()) {
      if (!begin()) {
        stage_.pause(milliseconds(50));
        continue;
      }
      while (!stage_.over() && renew() && there()) stage_.pause(milliseconds(100));
    }
  }
  // Nobody renews it any more: it has to end.
  bool ends() {
    const auto until = Clock::now() + kPatience;
    while (Clock::now() < until) {
      const auto answer = ask(range_of(key_));
      if (!answer || !std::get<kv::RangeResponse>(*answer).kvs.empty()) {
        std::this_thread::sleep_for(milliseconds(50));
        continue;
      }
      return true;
    }
    return false;
  }

 private:
  static constexpr int64_t kTtl = 3;

  std::optional<kv::Response> ask(kv::Request request) {
    auto result = client_->execute(kv::Space::kUser, std::move(request), client_->call_options());
    if (std::holds_alternative<control::CallError>(result)) return std::nullopt;
    return std::move(std::get<control::CallReply>(result).response);
  }
  bool begin() {
    kv::LeaseGrantRequest grant;
    grant.ttl_s = kTtl;
    asked_ = Clock::now();
    const auto granted = ask(grant);
    if (!granted) return false;
    lease_ = std::get<kv::LeaseGrantResponse>(*granted).id;
    held_until_ = asked_ + std::chrono::seconds(std::get<kv::LeaseGrantResponse>(*granted).ttl_s);
    kv::PutRequest put;
    put.key = key_;
    put.value = "held";
    put.lease = lease_;
    return ask(put).has_value();
  }
  bool renew() {
    asked_ = Clock::now();
    const auto answer = client_->wait<int64_t>(
        [&](auto done) { client_->client().keep_alive(lease_, client_->call_options(), std::move(done)); });
    const auto* const ttl_s = std::get_if<int64_t>(&answer);
    if (ttl_s == nullptr) return Clock::now() < held_until_;
    if (*ttl_s == 0) return gone("lease");
    held_until_ = asked_ + std::chrono::seconds(*ttl_s);
    return true;
  }
  bool there() {
    const auto answer = ask(range_of(key_));
    if (answer && std::get<kv::RangeResponse>(*answer).kvs.empty()) return gone("key");
    return true;
  }
  // Whatever was answered was decided before now.
  bool gone(const char* what) {
    if (Clock::now() < held_until_) {
      stage_.wrong(std::string("a ") + what + " was gone " +
                   std::to_string(std::chrono::duration_cast<milliseconds>(held_until_ - Clock::now()).count()) +
                   " ms before its lease was over");
    }
    return false;
  }

  Stage& stage_;
  const std::string key_;
  std::unique_ptr<ControlClient> client_;
  kv::LeaseId lease_{};
  Clock::time_point asked_, held_until_;
};

// --- All of them ---

template <typename F>
bool repeated(F attempt) {
  const auto until = Clock::now() + kPatience;
  while (!attempt()) {
    if (Clock::now() > until) return false;
    std::this_thread::sleep_for(milliseconds(50));
  }
  return true;
}

int run(const Flags& flags) {
  Stage stage;
  Recorder lists(flags.lists, check::Workload::kList), registers(flags.registers, check::Workload::kRegister);
  Keys list_keys("list/" + flags.tag + "/", 100), register_keys("register/" + flags.tag + "/", 200);
  Watcher watcher(flags, stage, list_keys.prefix());
  if (!watcher.created()) return std::fprintf(stderr, "no watch was made\n"), 2;
  Holder holder(flags, stage);
  std::vector<std::unique_ptr<ListClient>> list_clients;
  std::vector<std::unique_ptr<RegisterClient>> register_clients;
  std::vector<std::thread> threads;
  for (size_t i = 1; i <= flags.list_clients; ++i) {
    list_clients.push_back(std::make_unique<ListClient>(flags, stage, lists, list_keys, i));
    threads.emplace_back([client = list_clients.back().get()] { client->run(); });
  }
  const auto make = [&](size_t number, bool last) -> std::unique_ptr<RegisterClient> {
    std::unique_ptr<Register> store;
    if (number <= flags.own_registers || flags.etcd.empty()) {
      store = std::make_unique<OwnRegister>(flags, stage, number);
    } else {
      store = std::make_unique<EtcdRegister>(flags, stage, number);
    }
    return std::make_unique<RegisterClient>(flags, stage, registers, register_keys, last ? kLastProcess : number,
                                            std::move(store));
  };
  for (size_t i = 1; i <= flags.own_registers + flags.etcd_registers; ++i) {
    register_clients.push_back(make(i, false));
    threads.emplace_back([client = register_clients.back().get()] { client->run(); });
  }
  threads.emplace_back([&holder] { holder.run(); });

  std::string line;
  bool finish = false;
  while (!finish && std::getline(std::cin, line)) {
    finish = line == "finish";
    if (!finish) {
      std::string why;
      clew::otlp::append_json_string(stage.last_refusal(), why);
      std::printf("{\"answered\":%llu,\"refused\":%llu,\"last\":%s}\n",
                  static_cast<unsigned long long>(stage.answered.load()),
                  static_cast<unsigned long long>(stage.refused.load()), why.c_str());
      std::fflush(stdout);
    }
  }
  stage.end();
  for (std::thread& thread : threads) thread.join();
  if (!finish) return 2;

  ListClient last(flags, stage, lists, list_keys, kLastProcess);
  std::map<std::string, std::string> values;
  for (const std::string& key : list_keys.all()) {
    if (!repeated([&] { return last.read(key, "linearizable", true); })) stage.wrong("no last read of " + key);
    if (!last.last_read.empty()) values[key] = last.last_read;
  }
  const auto reader = make(flags.own_registers + 1, true);
  for (const std::string& key : register_keys.all()) {
    if (!repeated([&] { return reader->read(key, true); })) stage.wrong("no last read of " + key);
  }
  if (!watcher.saw(values)) stage.wrong("the watch did not come to the last values");
  if (!holder.ends()) stage.wrong("the key of a lease that nobody renews stays");
  const std::vector<std::string> problems = stage.problems();
  for (const std::string& problem : problems) std::printf("WRONG %s\n", problem.c_str());
  return problems.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App program("clients of a cluster whose histories are recorded");
  program.add_option("--own", flags.own, "client ports")->delimiter(',')->required();
  program.add_option("--etcd", flags.etcd, "ports of etcd's API")->delimiter(',');
  program.add_option("--lists", flags.lists, "file")->required();
  program.add_option("--registers", flags.registers, "file")->required();
  program.add_option("--tag", flags.tag, "part of all keys: another one for each run");
  program.add_option("--levels", flags.levels, "of reads of lists")->delimiter(',');
  program.add_option("--list-clients", flags.list_clients, "");
  program.add_option("--own-registers", flags.own_registers, "clients of registers by our own protocol");
  program.add_option("--etcd-registers", flags.etcd_registers, "and by etcd's API");
  program.add_option("--seed", flags.seed, "");
  CLI11_PARSE(program, argc, argv);
  return run(flags);
}

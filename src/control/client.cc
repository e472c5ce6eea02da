#include "control/client.h"

#include <atomic>
#include <utility>

#include "control/client_core.h"
#include "control/client_streams.h"
#include "control/reply_quorum.h"

namespace clew::control {
namespace {

// What reads the bytes of an answer for `done`.
template <typename T, typename Body, typename F>
ClientCore::Answer reads(Done<T> done, F value) {
  return [done = std::move(done), value](std::variant<std::string_view, CallError> result) mutable {
    if (auto* error = std::get_if<CallError>(&result)) return done(std::move(*error));
    auto body = parse<Body>(std::get<0>(result));
    if (body.ok()) return done(value(std::move(*body)));
    CallError error;
    error.code = Code::kDataLoss;
    error.message = "the member's answer makes no sense: " + body.error().message;
    error.uncertain = true;
    done(std::move(error));
  };
}

template <typename T>
ClientCore::Answer reads_number(Done<T> done) {
  return reads<T, NumberBody>(std::move(done), [](NumberBody body) {
    if constexpr (std::is_enum_v<T>) {
      return T{static_cast<std::underlying_type_t<T>>(body.number)};
    } else {
      return static_cast<T>(body.number);
    }
  });
}

ClientCore::Ask ask(MessageKind kind, const CallOptions& options) {
  ClientCore::Ask ask;
  ask.kind = kind;
  append_options(ask.body, options);
  ask.timeout_ns = options.timeout_ns;
  ask.follow = options.forward;
  return ask;
}

ClientCore::Ask ask_member(MessageKind kind, const CallOptions& options, consensus::NodeId id,
                           std::string address = {}) {
  ClientCore::Ask result = ask(kind, options);
  append(result.body, MemberBody{id, std::move(address)});
  return result;
}

// What the handle of a user's watches leads to: one member's stream, or those of all where members may lie. What is
// asked before it is known which of them waits. On the loop.
class WatchDoor : public std::enable_shared_from_this<WatchDoor> {
 public:
  void open(ClientCore& core, const std::shared_ptr<ReplyQuorum>& quorum, kv::Space space) {
    if (quorum == nullptr) return choose(std::make_shared<ClientWatches>(core, space), core);
    quorum->decide(kDecideTimeout, [self = shared_from_this(), weak = std::weak_ptr(quorum),
                                    core = core.shared_from_this(), space](std::variant<bool, CallError> byzantine) {
      const auto there = weak.lock();
      if (self->closed_ || there == nullptr) return;
      if (auto* error = std::get_if<CallError>(&byzantine)) {
        auto none = std::make_shared<ClientWatches>(*core, space);
        none->end(*error);
        self->choose(std::move(none), *core);
      } else if (std::get<bool>(byzantine)) {
        self->verified_ = there->watch(space, core->options().watch_window_bytes);
        self->catch_up();
      } else {
        self->choose(std::make_shared<ClientWatches>(*core, space), *core);
      }
    });
  }
  void close(ClientCore& core) {
    closed_ = true;
    waiting_.clear();
    if (direct_ != nullptr) core.remove_stream(direct_->id());
    if (verified_ != nullptr) verified_->discard();
  }
  // `ask` is called with the ClientWatches or the WatchQuorum.
  template <typename Ask>
  void pass(Ask ask) {
    if (direct_ != nullptr) return ask(*direct_);
    if (verified_ != nullptr) return ask(*verified_);
    waiting_.push_back([this, ask = std::move(ask)]() mutable { pass(std::move(ask)); });
  }

 private:
  static constexpr int64_t kDecideTimeout = 10'000'000'000;
  void choose(std::shared_ptr<ClientWatches> direct, ClientCore& core) {
    direct_ = std::move(direct);
    core.add_stream(direct_);
    catch_up();
  }
  void catch_up() {
    for (Task& task : std::exchange(waiting_, {})) task();
  }

  std::shared_ptr<ClientWatches> direct_;
  std::shared_ptr<WatchQuorum> verified_;
  std::vector<Task> waiting_;
  bool closed_ = false;
};

class WatchHandle final : public WatchStream {
 public:
  WatchHandle(std::shared_ptr<ClientCore> core, std::shared_ptr<ReplyQuorum> quorum, kv::Space space)
      : core_(std::move(core)) {
    core_->run([door = door_, quorum = std::move(quorum), space](ClientCore& c) { door->open(c, quorum, space); });
  }
  ~WatchHandle() override {
    core_->run([door = std::move(door_)](ClientCore& core) { door->close(core); });
  }
  void create(kv::WatchRequest request) override {
    pass([request = std::move(request)](auto& watches) mutable { watches.create(std::move(request)); });
  }
  void cancel(kv::WatchId id) override {
    pass([id](auto& watches) { watches.cancel(id); });
  }
  void request_progress() override {
    pass([](auto& watches) { watches.request_progress(); });
  }
  void next(size_t max_bytes, Done<std::vector<kv::WatchResponse>> done) override {
    pass([max_bytes, done = std::move(done)](auto& watches) mutable { watches.next(max_bytes, std::move(done)); });
  }

 private:
  template <typename Ask>
  void pass(Ask ask) {
    core_->run([door = door_, ask = std::move(ask)](ClientCore&) mutable { door->pass(std::move(ask)); });
  }

  std::shared_ptr<ClientCore> core_;
  std::shared_ptr<WatchDoor> door_ = std::make_shared<WatchDoor>();
};

class SnapshotHandle final : public Service::SnapshotStream {
 public:
  explicit SnapshotHandle(std::shared_ptr<ClientCore> core)
      : core_(std::move(core)), snapshot_(std::make_shared<ClientSnapshot>(*core_)) {
    core_->run([snapshot = snapshot_](ClientCore& c) { c.add_stream(snapshot); });
  }
  ~SnapshotHandle() override {
    core_->run([snapshot = snapshot_](ClientCore& core) { core.remove_stream(snapshot->id()); });
  }
  void next(size_t max_bytes, Done<std::string> done) override {
    core_->run([total = total_, snapshot = snapshot_, max_bytes, done = std::move(done)](ClientCore&) mutable {
      snapshot->next(max_bytes, [total, snapshot, done = std::move(done)](auto result) mutable {
        total->store(snapshot->total_bytes);
        done(std::move(result));
      });
    });
  }
  uint64_t total_bytes() const override { return total_->load(); }

 private:
  std::shared_ptr<ClientCore> core_;
  std::shared_ptr<ClientSnapshot> snapshot_;
  // Written on the loop, read wherever the user is.
  std::shared_ptr<std::atomic<uint64_t>> total_ = std::make_shared<std::atomic<uint64_t>>(0);
};

}  // namespace

std::unique_ptr<Client> Client::open(env::Loop& loop, env::Network& network, env::Random& random,
                                     ClientOptions options) {
  std::shared_ptr<ReplyQuorum> quorum;
  if (!options.trust_gateway && options.addresses.size() >= ReplyQuorum::kLeastVoters) {
    std::vector<ReplyQuorum::Voter> voters;
    for (const std::string& address : options.addresses) {
      ClientOptions one = options;
      one.addresses = {address};
      one.trust_gateway = one.fail_fast = true;
      std::shared_ptr<Client> member = open(loop, network, random, std::move(one));
      voters.push_back({address, member, [member = member.get()] { return member->connected_to(); },
                        [member = member.get()] { return member->cluster(); }});
    }
    quorum = std::make_shared<ReplyQuorum>(loop, random.next(), std::move(voters),
                                           ReplyQuorum::Options{.fail_fast = options.fail_fast});
  }
  return std::unique_ptr<Client>(
      new Client(std::make_shared<ClientCore>(loop, network, random.next(), std::move(options)), std::move(quorum)));
}

Client::Client(std::shared_ptr<ClientCore> core, std::shared_ptr<ReplyQuorum> quorum)
    : core_(std::move(core)), quorum_(std::move(quorum)) {}

Client::~Client() {
  if (quorum_ != nullptr) quorum_->close();
  core_->close();
}

// `direct(core, done)` when one member is enough, else `verified(quorum, done)`.
template <typename T, typename Verified, typename Direct>
void Client::choose(const CallOptions& options, Done<T> done, Verified verified, Direct direct) {
  if (quorum_ == nullptr) {
    return core_->run([direct = std::move(direct), done = std::move(done)](ClientCore& core) mutable {
      direct(core, std::move(done));
    });
  }
  core_->run([quorum = quorum_, core = core_, timeout_ns = options.timeout_ns, verified = std::move(verified),
              direct = std::move(direct), done = std::move(done)](ClientCore&) mutable {
    ReplyQuorum& asked = *quorum;
    asked.decide(timeout_ns,
                 [quorum = std::move(quorum), core = std::move(core), verified = std::move(verified),
                  direct = std::move(direct), done = std::move(done)](std::variant<bool, CallError> byzantine) mutable {
                   if (auto* error = std::get_if<CallError>(&byzantine)) return done(std::move(*error));
                   if (std::get<bool>(byzantine)) return verified(*quorum, std::move(done));
                   direct(*core, std::move(done));
                 });
  });
}

void Client::execute(kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done) {
  ClientCore::Ask asked = ask(MessageKind::kExecute, options);
  asked.read = kv::read_only(request);
  asked.leader = !asked.read || options.consistency != Consistency::kSequential;
  asked.repeatable = asked.read || options.session != consensus::kNoSession ||
                     std::holds_alternative<kv::LeaseKeepAliveRequest>(request);
  asked.vouched = true;
  append_execute(asked.body, space, request);
  choose<CallReply>(
      options, std::move(done),
      [space, request = std::move(request), options](ReplyQuorum& quorum, Done<CallReply> then) mutable {
        quorum.execute(space, std::move(request), options, std::move(then));
      },
      [asked = std::move(asked)](ClientCore& core, Done<CallReply> then) mutable {
        core.call(std::move(asked),
                  reads<CallReply, CallReply>(std::move(then), [](CallReply reply) { return reply; }));
      });
}

void Client::keep_alive(kv::LeaseId lease, CallOptions options, Done<int64_t> done) {
  ClientCore::Ask asked = ask(MessageKind::kKeepAlive, options);
  asked.repeatable = asked.vouched = true;
  append(asked.body, NumberBody{kv::number(lease)});
  choose<int64_t>(
      options, std::move(done),
      [lease, options](ReplyQuorum& quorum, Done<int64_t> then) { quorum.keep_alive(lease, options, std::move(then)); },
      [asked = std::move(asked)](ClientCore& core, Done<int64_t> then) mutable {
        core.call(std::move(asked), reads_number(std::move(then)));
      });
}

void Client::attest(consensus::SessionId session, uint64_t sequence, CallOptions options, Done<Attestation> done) {
  ClientCore::Ask asked = ask(MessageKind::kAttest, options);
  asked.repeatable = asked.read = true;
  asked.leader = false;
  append(asked.body, AttestBody{session, sequence});
  core_->run([asked = std::move(asked), done = std::move(done)](ClientCore& core) mutable {
    core.call(std::move(asked),
              reads<Attestation, Attestation>(std::move(done), [](Attestation told) { return told; }));
  });
}

void Client::open_session(CallOptions options, Done<consensus::SessionId> done) {
  ClientCore::Ask asked = ask(MessageKind::kOpenSession, options);
  asked.repeatable = true;  // one that nobody uses ends by itself
  asked.vouched = true;
  choose<consensus::SessionId>(
      options, std::move(done),
      [options](ReplyQuorum& quorum, Done<consensus::SessionId> then) {
        quorum.open_session(options, std::move(then));
      },
      [asked = std::move(asked)](ClientCore& core, Done<consensus::SessionId> then) mutable {
        core.call(std::move(asked), reads_number(std::move(then)));
      });
}

void Client::close_session(consensus::SessionId session, CallOptions options) {
  std::string body;
  append_options(body, options);
  append(body, NumberBody{static_cast<int64_t>(session)});
  core_->run([quorum = quorum_, session, options, body = std::move(body)](ClientCore& core) {
    if (quorum != nullptr && quorum->verifies()) return quorum->close_session(session, options);
    core.stream_send(MessageKind::kCloseSession, 0, [&](std::string& out) { out += body; });
  });
}

std::unique_ptr<WatchStream> Client::watch(kv::Space space) {
  return std::make_unique<WatchHandle>(core_, quorum_, space);
}

void Client::status(CallOptions options, Done<GroupStatus> done) {
  ClientCore::Ask asked = ask(MessageKind::kStatus, options);
  asked.repeatable = asked.read = true;
  asked.leader = false;
  core_->run([asked = std::move(asked), done = std::move(done)](ClientCore& core) mutable {
    core.call(std::move(asked),
              reads<GroupStatus, GroupStatus>(std::move(done), [](GroupStatus status) { return status; }));
  });
}

void Client::add_member(NewMember member, CallOptions options, Done<consensus::NodeId> done) {
  ClientCore::Ask asked = ask(MessageKind::kAddMember, options);
  append(asked.body, member);
  core_->run([asked = std::move(asked), done = std::move(done)](ClientCore& core) mutable {
    core.call(std::move(asked), reads_number(std::move(done)));
  });
}

void Client::remove_member(consensus::NodeId id, CallOptions options, Done<consensus::Position> done) {
  core_->run([asked = ask_member(MessageKind::kRemoveMember, options, id), done = std::move(done)](
                 ClientCore& core) mutable { core.call(std::move(asked), reads_number(std::move(done))); });
}

void Client::promote_member(consensus::NodeId id, CallOptions options, Done<consensus::Position> done) {
  core_->run([asked = ask_member(MessageKind::kPromoteMember, options, id), done = std::move(done)](
                 ClientCore& core) mutable { core.call(std::move(asked), reads_number(std::move(done))); });
}

void Client::update_member(consensus::NodeId id, std::string peer_address, CallOptions options,
                           Done<consensus::Position> done) {
  core_->run([asked = ask_member(MessageKind::kUpdateMember, options, id, std::move(peer_address)),
              done = std::move(done)](ClientCore& core) mutable {
    core.call(std::move(asked), reads_number(std::move(done)));
  });
}

void Client::transfer_leadership(consensus::NodeId to, CallOptions options, Done<consensus::NodeId> done) {
  core_->run([asked = ask_member(MessageKind::kTransfer, options, to), done = std::move(done)](
                 ClientCore& core) mutable { core.call(std::move(asked), reads_number(std::move(done))); });
}

void Client::propose_decree(std::string name, std::string value, CallOptions options,
                            Done<consensus::paxos::Outcome> done) {
  using consensus::paxos::Outcome;
  ClientCore::Ask asked = ask(MessageKind::kDecree, options);
  asked.repeatable = true;  // a value that is proposed twice is chosen once at most
  asked.leader = false;
  append(asked.body, DecreeBody{std::move(name), std::move(value)});
  core_->run([asked = std::move(asked), done = std::move(done)](ClientCore& core) mutable {
    core.call(std::move(asked), reads<Outcome, Outcome>(std::move(done), [](Outcome outcome) { return outcome; }));
  });
}

void Client::set_alarm(Alarm alarm, bool on, CallOptions options, Done<consensus::Position> done) {
  ClientCore::Ask asked = ask(MessageKind::kAlarm, options);
  asked.repeatable = true;
  append(asked.body, AlarmBody{alarm, on});
  core_->run([asked = std::move(asked), done = std::move(done)](ClientCore& core) mutable {
    core.call(std::move(asked), reads_number(std::move(done)));
  });
}

std::unique_ptr<Service::SnapshotStream> Client::snapshot() { return std::make_unique<SnapshotHandle>(core_); }

ClientStats Client::stats() const {
  ClientStats stats = core_->stats;
  if (quorum_ != nullptr) {
    stats.verified = quorum_->stats().verified;
    stats.contradicted = quorum_->stats().contradicted;
    stats.unproven = quorum_->stats().unproven;
  }
  return stats;
}
uint64_t Client::cluster() const {
  return quorum_ != nullptr && quorum_->verifies() ? quorum_->cluster() : core_->cluster();
}
consensus::NodeId Client::connected_to() const { return core_->connected_to(); }

}  // namespace clew::control

// For tests and benchmarks of the etcd API only: a control::Service of one member that loses nothing and asks nobody: a
// real state machine and watch hub on a loop of its own, with the machine's clock. It can be told that it has no
// leader, to keep requests waiting, and who else is a member.
#pragma once

#include <algorithm>
#include <atomic>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "control/service.h"
#include "kv/memory_engine.h"
#include "kv/state_machine.h"
#include "kv/validate.h"
#include "kv/watch.h"

namespace clew::api::etcd::test {

class SingleNode final : public control::Service {
 public:
  static constexpr uint64_t kCluster = 0xc1e4;
  static constexpr consensus::NodeId kSelf{7};

  explicit SingleNode(kv::WatchOptions watches = {}) {
    auto opened = kv::KvStateMachine::open(engine_, registry_);
    CHECK(opened.ok());
    machine_ = std::move(*opened);
    hub_ = std::make_unique<kv::WatchHub>(machine_->store(), watches);
    machine_->on_commit([this] {
      hub_->on_commit();
      pump();
    });
    control::MemberStatus self;
    self.record.id = kSelf;
    self.record.name = "one";
    self.record.etcd_urls = {"http://127.0.0.1:2379"};
    self.record.peer_urls = {"http://127.0.0.1:2380"};
    self.role = control::MemberRole::kPrimary;
    self.state = control::MemberState::kOnline;
    members_[kSelf] = self;
    CHECK(apply(kv::LeaseExtendRequest{1}).ok());
    thread_ = std::thread([this] { io_.run(); });
    post([this] { tick(); });
  }
  ~SingleNode() override {
    guard_.reset();
    io_.stop();
    thread_.join();
  }

  // --- For the tests; any thread ---
  void set_leader(bool there) {
    on_loop([&] { leader_ = there; });
  }
  // Requests wait until release().
  void hold() {
    on_loop([&] { held_ = true; });
  }
  void release() {
    on_loop([&] {
      held_ = false;
      for (auto& task : std::exchange(waiting_, {})) task();
    });
  }
  void wait_for_held(size_t count) {
    while (true) {
      size_t waiting = 0;
      on_loop([&] { waiting = waiting_.size(); });
      if (waiting >= count) return;
      std::this_thread::yield();
    }
  }
  size_t statuses() const { return statuses_.load(); }  // how often it was asked for
  size_t watchers() {
    size_t count = 0;
    on_loop([&] { count = hub_->watchers(); });
    return count;
  }
  double cpu_seconds() {
    clockid_t clock;
    timespec time{};
    if (pthread_getcpuclockid(thread_.native_handle(), &clock) != 0) return 0;
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }
  control::CallOptions last_options() {
    control::CallOptions options;
    on_loop([&] { options = last_options_; });
    return options;
  }
  boost::asio::io_context& context() { return io_; }

  // --- Service ---
  void execute(kv::Space space, kv::Request request, control::CallOptions options,
               control::Done<control::CallReply> done) override {
    CHECK(space == kv::Space::kUser);
    later([this, request = std::move(request), options, done = std::move(done)]() mutable {
      last_options_ = options;
      if (!leader_ && options.consistency != control::Consistency::kSequential) return done(no_leader());
      if (const Status valid = kv::validate(request); !valid.ok()) return done(refused(valid.error()));
      if (auto* ttl = std::get_if<kv::LeaseTimeToLiveRequest>(&request)) ttl->now_ns = now();
      auto response = kv::read_only(request) ? machine_->read(request) : apply(request);
      if (!response.ok()) return done(refused(response.error()));
      done(control::CallReply{std::move(*response), position_, kEpoch});
    });
  }
  void keep_alive(kv::LeaseId lease, control::CallOptions /*options*/, control::Done<int64_t> done) override {
    later([this, lease, done = std::move(done)]() mutable {
      if (!leader_) return done(no_leader());
      done(std::get<kv::LeaseKeepAliveResponse>(*apply(kv::LeaseKeepAliveRequest{{lease}})).ttl_s.front());
    });
  }
  void attest(consensus::SessionId, uint64_t, control::CallOptions, control::Done<control::Attestation> done) override {
    later([done = std::move(done)]() mutable { done(refused({Code::kUnimplemented, "no sessions here"})); });
  }
  void open_session(control::CallOptions, control::Done<consensus::SessionId> done) override {
    later([done = std::move(done)]() mutable { done(refused({Code::kUnimplemented, "no sessions here"})); });
  }
  void close_session(consensus::SessionId, control::CallOptions) override {}

  std::unique_ptr<control::WatchStream> watch(kv::Space) override { return std::make_unique<Stream>(*this); }

  void status(control::CallOptions, control::Done<control::GroupStatus> done) override {
    statuses_++;
    post([this, done = std::move(done)]() mutable {
      control::GroupStatus status;
      status.cluster = kCluster;
      status.self = kSelf;
      status.protocol = "raft";
      status.consensus.epoch = kEpoch;
      status.consensus.leader = leader_ ? leads_ : consensus::kNobody;
      status.consensus.committed = position_;
      status.applied = position_;
      status.state_bytes = 4096;
      for (const auto& [id, member] : members_) status.members.push_back(member);
      status.leader_view = true;
      status.alarms = alarms_;
      done(std::move(status));
    });
  }

  void add_member(NewMember member, control::CallOptions, control::Done<consensus::NodeId> done) override {
    later([this, member = std::move(member), done = std::move(done)]() mutable {
      if (!leader_) return done(no_leader());
      const std::string url = "http://" + member.peer_address;
      for (const auto& [id, other] : members_) {
        if (other.record.peer_urls.front() == url) return done(refused({Code::kAlreadyExists, "the address is taken"}));
      }
      const consensus::NodeId id{next_member_++};
      control::MemberStatus added;
      added.record.id = id;
      added.record.peer_urls = {url};
      added.role =
          member.role == consensus::Role::kLearner ? control::MemberRole::kLearner : control::MemberRole::kSecondary;
      members_[id] = added;
      done(id);
    });
  }
  void remove_member(consensus::NodeId id, control::CallOptions, control::Done<consensus::Position> done) override {
    change_member(id, std::move(done), [this, id](auto&) -> Status {
      members_.erase(id);
      return {};
    });
  }
  void promote_member(consensus::NodeId id, control::CallOptions, control::Done<consensus::Position> done) override {
    change_member(id, std::move(done), [](control::MemberStatus& member) -> Status {
      if (member.behind > 0) return Error{Code::kFailedPrecondition, "it is too far behind"};
      member.role = control::MemberRole::kSecondary;
      return {};
    });
  }
  void update_member(consensus::NodeId id, std::string peer_address, control::CallOptions,
                     control::Done<consensus::Position> done) override {
    change_member(id, std::move(done), [url = "http://" + peer_address](control::MemberStatus& member) -> Status {
      member.record.peer_urls = {url};
      return {};
    });
  }
  void set_behind(consensus::NodeId id, consensus::Position behind) {
    on_loop([&] { members_[id].behind = behind; });
  }
  void transfer_leadership(consensus::NodeId to, control::CallOptions, control::Done<consensus::NodeId> done) override {
    later([this, to, done = std::move(done)]() mutable {
      leads_ = to;
      done(to);
    });
  }
  void propose_decree(std::string, std::string, control::CallOptions,
                      control::Done<consensus::paxos::Outcome> done) override {
    later([done = std::move(done)]() mutable {
      done(control::CallError{Code::kUnimplemented, "no decrees here", false, {}, {}});
    });
  }
  void set_alarm(control::Alarm alarm, bool on, control::CallOptions,
                 control::Done<consensus::Position> done) override {
    later([this, alarm, on, done = std::move(done)]() mutable {
      std::erase(alarms_, alarm);
      if (on) alarms_.push_back(alarm);
      done(position_);
    });
  }
  std::unique_ptr<SnapshotStream> snapshot() override { return std::make_unique<Snapshot>(*this); }

 private:
  static constexpr consensus::Epoch kEpoch = 3;
  using Timer =
      boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                        boost::asio::io_context::executor_type>;

  // Shared with the tasks on the loop: the stream may be destroyed at any time.
  class Stream final : public control::WatchStream {
   public:
    explicit Stream(SingleNode& node) : node_(node), state_(std::make_shared<State>()) {
      node_.post([&node, state = state_] { state->id = node.hub_->open([&node, state] { answer(node, *state); }); });
    }
    ~Stream() override {
      node_.post([&node = node_, state = state_] {
        state->done = {};
        node.hub_->close(state->id);
      });
    }
    void create(kv::WatchRequest request) override {
      node_.post([&node = node_, state = state_, request = std::move(request)] {
        node.hub_->create(state->id, request);
        node.pump();
      });
    }
    void cancel(kv::WatchId id) override {
      node_.post([&node = node_, state = state_, id] { node.hub_->cancel(state->id, id); });
    }
    void request_progress() override {
      node_.post([&node = node_, state = state_] { node.hub_->request_progress(state->id); });
    }
    void next(size_t max_bytes, control::Done<std::vector<kv::WatchResponse>> done) override {
      node_.post([&node = node_, state = state_, max_bytes, done = std::move(done)]() mutable {
        CHECK(!state->done);
        state->done = std::move(done);
        state->max_bytes = max_bytes;
        answer(node, *state);
        node.pump();
      });
    }

   private:
    struct State {
      kv::StreamId id{};
      control::Done<std::vector<kv::WatchResponse>> done;
      size_t max_bytes = 0;
    };
    static void answer(SingleNode& node, State& state) {
      if (!state.done) return;
      std::vector<kv::WatchResponse> responses;
      size_t bytes = 0;
      kv::WatchResponse response;
      while (bytes < state.max_bytes && node.hub_->next(state.id, response)) {
        for (const auto& event : response.events) bytes += event->kv.key.size() + event->kv.value.size() + 64;
        responses.push_back(std::move(response));
      }
      if (!responses.empty()) std::exchange(state.done, {})(std::move(responses));
    }
    SingleNode& node_;
    const std::shared_ptr<State> state_;
  };

  class Snapshot final : public SnapshotStream {
   public:
    explicit Snapshot(SingleNode& node) : node_(node), state_(std::make_shared<State>()) {}
    void next(size_t max_bytes, control::Done<std::string> done) override {
      node_.post([&node = node_, state = state_, max_bytes, done = std::move(done)]() mutable {
        if (!state->taken) {
          Sink sink(state->bytes);
          CHECK(node.machine_->freeze()(sink).ok());
          state->taken = true;
        }
        std::string piece = state->bytes.substr(state->at, max_bytes);
        state->at += piece.size();
        done(std::move(piece));
      });
    }
    uint64_t total_bytes() const override { return state_->bytes.size(); }

   private:
    struct Sink final : consensus::SnapshotSink {
      explicit Sink(std::string& to) : out(to) {}
      Status write(std::string_view bytes) override {
        out += bytes;
        return {};
      }
      std::string& out;
    };
    struct State {
      bool taken = false;
      std::string bytes;
      size_t at = 0;
    };
    SingleNode& node_;
    const std::shared_ptr<State> state_;
  };

  static int64_t now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  static control::CallError refused(const Error& error) { return {error.code, error.message, false, kSelf, {}}; }
  static control::CallError no_leader() {
    return {Code::kUnavailable, "no leader: 1 of 3 voters is reachable, 2 needed", false, consensus::kNobody, {}};
  }

  void post(Task task) {
    boost::asio::post(io_, [t = std::make_shared<Task>(std::move(task))] { (*t)(); });
  }
  // Now, or when the requests are let go.
  void later(Task task) {
    post([this, task = std::move(task)]() mutable {
      if (!held_) return task();
      waiting_.push_back(std::move(task));
    });
  }
  template <typename F>
  void on_loop(F task) {
    std::promise<void> done;
    post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }
  Result<kv::Response> apply(const kv::Request& request) {
    return kv::decode_response(machine_->apply({++position_, now(), 1}, kv::encode(request)));
  }
  void pump() {
    if (pumping_ || hub_->behind() == 0) return;
    pumping_ = true;
    post([this] {
      pumping_ = false;
      if (hub_->pump()) pump();
    });
  }
  void tick() {
    hub_->tick_progress();
    const auto due = machine_->leases().next_deadline_ns();
    if (due.has_value() && *due <= now()) CHECK(apply(kv::LeaseExpireRequest{1}).ok());
    auto timer = std::make_shared<Timer>(io_, std::chrono::milliseconds(50));
    timer->async_wait([this, timer](boost::system::error_code error) {
      if (!error) tick();
    });
  }
  void change_member(consensus::NodeId id, control::Done<consensus::Position> done,
                     std::function<Status(control::MemberStatus&)> change) {
    later([this, id, done = std::move(done), change = std::move(change)]() mutable {
      if (!leader_) return done(no_leader());
      const auto member = members_.find(id);
      if (member == members_.end()) return done(refused({Code::kNotFound, "there is no such member"}));
      if (const Status changed = change(member->second); !changed.ok()) return done(refused(changed.error()));
      done(position_);
    });
  }

  kv::MemoryEngine engine_;
  kv::CustomRegistry registry_;
  std::unique_ptr<kv::KvStateMachine> machine_;
  std::unique_ptr<kv::WatchHub> hub_;
  consensus::Position position_ = 0;
  bool leader_ = true, held_ = false, pumping_ = false;
  consensus::NodeId leads_ = kSelf;
  uint64_t next_member_ = 100;
  std::atomic<size_t> statuses_{0};
  std::map<consensus::NodeId, control::MemberStatus> members_;
  std::vector<control::Alarm> alarms_;
  std::deque<Task> waiting_;
  control::CallOptions last_options_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{io_.get_executor()};
  std::thread thread_;
};

}  // namespace clew::api::etcd::test

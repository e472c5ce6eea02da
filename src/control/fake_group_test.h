// A group of members without consensus, for tests of the client protocol: one state machine that all of them answer
// from, at once right and in order, with a session table in front; and Member, a Service over it that is the leader or
// is not, answers late, or never, or lies. Commands are applied when they arrive, so that an answer that gets lost
// leaves its effect behind.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "consensus/session_table.h"
#include "control/service.h"
#include "env/loop.h"
#include "kv/command.h"
#include "kv/custom.h"
#include "kv/memory_engine.h"
#include "kv/state_machine.h"
#include "kv/validate.h"
#include "kv/watch.h"

namespace clew::control::fake {

class Member;

struct Group {
  Group() : sessions(consensus::SessionLimits()), machine(kv::KvStateMachine::open(engine, registry).value()) {}

  std::variant<CallReply, CallError> apply(const kv::Request& request, const CallOptions& options) {
    const consensus::Applied at{++position, 0};
    std::string result;
    std::string_view kept;
    switch (options.session == consensus::kNoSession
                ? consensus::SessionTable::Verdict::kApply
                : sessions.check(at, options.session, options.sequence, options.acknowledged_below, &kept)) {
      case consensus::SessionTable::Verdict::kForgotten: {
        CallError error;
        error.code = Code::kFailedPrecondition;
        error.message = "the session has ended";
        error.session_ended = error.uncertain = true;
        return error;
      }
      case consensus::SessionTable::Verdict::kRepeated:
        ++repeated;
        result = kept;
        break;
      case consensus::SessionTable::Verdict::kApply:
        ++applied;
        result = machine->apply(at, kv::encode(request));
        if (options.session != consensus::kNoSession) {
          sessions.keep(options.session, options.sequence, result);
          const std::pair key(options.session, options.sequence);
          executed[key] = {position, command_digest(kv::Space::kUser, request), sha256(result)};
          for (auto& tell : std::exchange(asked_about[key], {})) tell(executed[key]);
        }
        break;
    }
    return answer(kv::decode_response(result), position);
  }
  static std::variant<CallReply, CallError> answer(Result<kv::Response> response, consensus::Position position) {
    if (response.ok()) return CallReply{std::move(*response), position, 1};
    CallError error;
    error.code = response.error().code;
    error.message = response.error().message;
    return error;
  }

  kv::CustomRegistry registry;
  kv::MemoryEngine engine;
  consensus::SessionTable sessions;
  std::unique_ptr<kv::KvStateMachine> machine;
  consensus::Position position = 0;
  uint64_t applied = 0;   // commands
  uint64_t repeated = 0;  // commands that came again
  consensus::NodeId leader{1};
  std::string protocol = "none";  // of one whose members may lie each is a gateway
  std::map<std::pair<consensus::SessionId, uint64_t>, Attestation> executed;
  std::map<std::pair<consensus::SessionId, uint64_t>, std::vector<UniqueFunction<void(const Attestation&)>>>
      asked_about;
  std::map<consensus::NodeId, std::string> addresses;
};

// What members share of the news: each has a hub of its own.
class Hub {
 public:
  explicit Hub(Group& group, kv::WatchOptions options = {}) : hub(group.machine->store(), options) {}
  void committed() {
    hub.on_commit();
    while (hub.pump()) {
    }
  }
  kv::WatchHub hub;
};

class Member final : public Service {
 public:
  Member(env::Loop& loop, Group& group, consensus::NodeId id, std::vector<Member*>& all)
      : loop_(loop), group_(group), id_(id), all_(all), hub_(group, watch_options()) {
    all_.push_back(this);
  }
  ~Member() override { std::erase(all_, this); }

  int64_t latency_ns = 0;
  bool mute = false;          // takes requests and never answers
  bool cut_off = false;       // from the others: knows no leader
  bool no_state = false;      // a witness: watches end at once
  uint64_t asked = 0;         // requests that came
  uint64_t attested = 0;      // questions what was executed that came
  std::set<uint64_t> askers;  // of them
  size_t max_waiting = 0;     // answers that were due at once
  size_t waiting = 0;
  std::vector<std::string> log;  // of membership calls
  // Lies.
  std::function<void(const kv::Request&, std::variant<CallReply, CallError>&)> twist;
  std::function<void(std::variant<Attestation, CallError>&)> twist_attested;
  std::function<void(std::variant<consensus::SessionId, CallError>&)> twist_session;
  std::function<void(const kv::Request&, const CallOptions&)> before;  // a change is carried out
  bool pretends = false;                                               // changes are answered and not carried out
  std::function<void(std::vector<kv::WatchResponse>&)> twist_watch;

  void execute(kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done) override {
    ++asked;
    if (const Status valid = kv::validate(request); !valid.ok()) {
      return later(std::move(done), error(valid.code(), std::string(valid.message())));
    }
    if (options.consistency != Consistency::kSequential || !kv::read_only(request)) {
      if (auto refused = not_leader(options)) return later(std::move(done), std::move(*refused));
    }
    EXPECT_EQ(space, kv::Space::kUser);
    std::variant<CallReply, CallError> result;
    if (kv::read_only(request)) {
      result = Group::answer(group_.machine->read(request), group_.position);
    } else if (pretends) {
      const kv::Revision next = group_.machine->store().revision() + 1;
      result = CallReply{kv::PutResponse{next, std::nullopt}, group_.position + 1, 1};
    } else {
      if (before) before(request, options);
      result = group_.apply(request, options);
      for (Member* member : all_) member->news();
    }
    if (twist) twist(request, result);
    later(std::move(done), std::move(result));
  }
  void attest(consensus::SessionId session, uint64_t sequence, CallOptions options, Done<Attestation> done) override {
    ++attested;
    askers.insert(options.asker);
    const std::pair key(session, sequence);
    UniqueFunction<void(const Attestation&)> tell = [this, alive = std::weak_ptr<char>(alive_),
                                                     done = std::move(done)](const Attestation& told) mutable {
      if (alive.expired()) return;
      std::variant<Attestation, CallError> result = told;
      if (twist_attested) twist_attested(result);
      later(std::move(done), std::move(result));
    };
    const auto found = group_.executed.find(key);
    if (found != group_.executed.end()) return tell(found->second);
    group_.asked_about[key].push_back(std::move(tell));
  }
  void keep_alive(kv::LeaseId lease, CallOptions options, Done<int64_t> done) override {
    if (auto refused = not_leader(options)) return later(std::move(done), std::move(*refused));
    auto result = group_.apply(kv::LeaseKeepAliveRequest{{lease}}, CallOptions());
    const auto& reply = std::get<CallReply>(result);
    later(std::move(done),
          std::variant<int64_t, CallError>(std::get<kv::LeaseKeepAliveResponse>(reply.response).ttl_s[0]));
  }
  void open_session(CallOptions options, Done<consensus::SessionId> done) override {
    if (auto refused = not_leader(options)) return later(std::move(done), std::move(*refused));
    std::variant<consensus::SessionId, CallError> opened = group_.sessions.open({++group_.position, 0});
    if (twist_session) twist_session(opened);
    later(std::move(done), std::move(opened));
  }
  void close_session(consensus::SessionId session, CallOptions) override { group_.sessions.close(session); }
  void status(CallOptions, Done<GroupStatus> done) override {
    GroupStatus status;
    status.cluster = status.founding = 7;
    status.self = id_;
    status.protocol = group_.protocol;
    status.consensus.leader = group_.leader;
    status.applied = group_.position;
    for (const auto& [id, address] : group_.addresses) {
      MemberStatus member;
      member.record.id = id;
      member.record.client_address = address;
      member.record.etcd_urls = {"http://127.0.0.1:2379"};
      member.role = id == group_.leader ? MemberRole::kPrimary : MemberRole::kSecondary;
      member.state = MemberState::kOnline;
      status.members.push_back(std::move(member));
    }
    status.alarms = {{id_, AlarmKind::kCorrupt}};
    status.problems = {"this is a test"};
    later(std::move(done), std::variant<GroupStatus, CallError>(std::move(status)));
  }
  void add_member(NewMember member, CallOptions, Done<consensus::NodeId> done) override {
    log.push_back("add " + member.peer_address + (member.catch_up_first ? " later" : ""));
    later(std::move(done), std::variant<consensus::NodeId, CallError>(consensus::NodeId{9}));
  }
  void remove_member(consensus::NodeId id, CallOptions, Done<consensus::Position> done) override {
    noted("remove", id, "", std::move(done));
  }
  void promote_member(consensus::NodeId id, CallOptions, Done<consensus::Position> done) override {
    noted("promote", id, "", std::move(done));
  }
  void update_member(consensus::NodeId id, std::string address, CallOptions, Done<consensus::Position> done) override {
    noted("update", id, address, std::move(done));
  }
  void transfer_leadership(consensus::NodeId to, CallOptions, Done<consensus::NodeId> done) override {
    group_.leader = to;
    later(std::move(done), std::variant<consensus::NodeId, CallError>(to));
  }
  void propose_decree(std::string name, std::string value, CallOptions, Done<consensus::paxos::Outcome> done) override {
    log.push_back("decree " + name);
    later(std::move(done), std::variant<consensus::paxos::Outcome, CallError>(an_outcome(std::move(value))));
  }
  static consensus::paxos::Outcome an_outcome(std::string value) {
    consensus::paxos::Attempt refused;
    refused.ballot = {1, consensus::NodeId{1}, 4};
    refused.refused = {consensus::NodeId{3}};
    refused.refused_for = {6, consensus::NodeId{2}, 1};
    refused.end = consensus::paxos::Attempt::End::kRefused;
    consensus::paxos::Attempt chosen;
    chosen.ballot = {7, consensus::NodeId{1}, 4};
    chosen.promised = chosen.accepted = {consensus::NodeId{3}, consensus::NodeId{1}};
    chosen.bound_to = {{6, consensus::NodeId{2}, 1}, value};
    chosen.end = consensus::paxos::Attempt::End::kChosen;
    return {{chosen.ballot, std::move(value)},
            {consensus::NodeId{1}, consensus::NodeId{2}, consensus::NodeId{3}},
            {refused, chosen},
            2};
  }
  void set_alarm(Alarm alarm, bool on, CallOptions, Done<consensus::Position> done) override {
    noted(on ? "alarm" : "disarm", alarm.member, "", std::move(done));
  }
  std::unique_ptr<WatchStream> watch(kv::Space) override { return std::make_unique<Watches>(*this); }
  std::unique_ptr<SnapshotStream> snapshot() override { return std::make_unique<Snapshot>(*this); }

  static std::string snapshot_bytes() {
    std::string bytes;
    for (int i = 0; i < 400'000; ++i) bytes += std::to_string(i);
    return bytes;
  }

 private:
  static kv::WatchOptions watch_options() {
    kv::WatchOptions options;
    options.max_queued_bytes = 64 << 10;
    options.max_fragment_bytes = 2'000;
    return options;
  }
  static CallError error(Code code, std::string message) {
    CallError error;
    error.code = code;
    error.message = std::move(message);
    return error;
  }
  std::optional<CallError> not_leader(const CallOptions& options) {
    if (cut_off) return error(Code::kUnavailable, "etcdserver: no leader");
    if (group_.protocol == "pbft" || group_.leader == id_ || (options.forward && group_.leader != consensus::kNobody))
      return std::nullopt;
    CallError refused = error(Code::kUnavailable, "etcdserver: not leader");
    refused.leader = group_.leader;
    if (refused.leader != consensus::kNobody) refused.leader_address = group_.addresses.at(group_.leader);
    return refused;
  }
  void noted(const char* what, consensus::NodeId id, const std::string& more, Done<consensus::Position> done) {
    log.push_back(std::string(what) + " " + std::to_string(consensus::number(id)) + (more.empty() ? "" : " " + more));
    later(std::move(done), std::variant<consensus::Position, CallError>(++group_.position));
  }
  template <typename T, typename V>
  void later(Done<T> done, V result) {
    if (mute) {
      muted_.push_back([done = std::move(done)]() mutable {});
      return;
    }
    max_waiting = std::max(max_waiting, ++waiting);
    loop_.after(latency_ns, [this, alive = std::weak_ptr<char>(alive_), done = std::move(done),
                             result = std::variant<T, CallError>(std::move(result))]() mutable {
      if (!alive.expired()) --waiting;
      done(std::move(result));
    });
  }
  void news() {
    hub_.committed();
    for (const auto& [stream, watches] : streams_) watches->deliver();
  }

  class Watches final : public WatchStream {
   public:
    explicit Watches(Member& member) : member_(member), id_(member.hub_.hub.open([] {})) {
      member_.streams_[id_] = this;
    }
    ~Watches() override {
      if (alive_.expired()) return;
      member_.hub_.hub.close(id_);
      member_.streams_.erase(id_);
    }
    void create(kv::WatchRequest request) override {
      member_.hub_.hub.create(id_, request);
      member_.news();
    }
    void cancel(kv::WatchId id) override {
      member_.hub_.hub.cancel(id_, id);
      deliver();
    }
    void request_progress() override {
      member_.hub_.hub.request_progress(id_);
      deliver();
    }
    void next(size_t max_bytes, Done<std::vector<kv::WatchResponse>> done) override {
      EXPECT_FALSE(done_) << "one next() at a time";
      max_bytes_ = max_bytes;
      done_ = std::move(done);
      deliver();
    }
    void deliver() {
      if (!done_) return;
      if (member_.no_state) {
        return member_.later(std::exchange(done_, nullptr), error(Code::kUnavailable, "a witness keeps no state"));
      }
      std::vector<kv::WatchResponse> responses;
      size_t bytes = 0;
      for (kv::WatchResponse response; bytes < max_bytes_ && member_.hub_.hub.next(id_, response);) {
        for (const auto& event : response.events) bytes += event->kv.key.size() + event->kv.value.size() + 32;
        bytes += 32;
        responses.push_back(std::move(response));
      }
      while (member_.hub_.hub.behind() != 0 && member_.hub_.hub.pump()) {
      }
      if (!responses.empty() && member_.twist_watch) member_.twist_watch(responses);
      if (!responses.empty()) member_.later(std::exchange(done_, nullptr), std::move(responses));
    }

   private:
    Member& member_;
    std::weak_ptr<char> alive_ = member_.alive_;
    kv::StreamId id_;
    size_t max_bytes_ = 0;
    Done<std::vector<kv::WatchResponse>> done_;
  };

  class Snapshot final : public SnapshotStream {
   public:
    explicit Snapshot(Member& member) : member_(member), bytes_(snapshot_bytes()) {}
    void next(size_t max_bytes, Done<std::string> done) override {
      const std::string piece = bytes_.substr(at_, max_bytes);
      at_ += piece.size();
      member_.later(std::move(done), piece);
    }
    uint64_t total_bytes() const override { return bytes_.size(); }

   private:
    Member& member_;
    std::string bytes_;
    size_t at_ = 0;
  };

  env::Loop& loop_;
  Group& group_;
  const consensus::NodeId id_;
  std::vector<Member*>& all_;
  Hub hub_;
  std::map<kv::StreamId, Watches*> streams_;
  std::vector<Task> muted_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace clew::control::fake

// For tests of planes: whole members in one simulated network, whose followers reach their leader by calls in memory
// that can be lost.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "consensus/peer_transport.h"
#include "consensus/raft/raft.h"
#include "control/plane.h"
#include "kv/memory_engine.h"
#include "sim/disk.h"
#include "sim/links.h"
#include "sim/loop.h"
#include "sim/network.h"
#include "sim/random.h"
#include "sim/scheduler.h"

namespace clew::control {

using consensus::kMicrosecond;
using consensus::kMillisecond;
using consensus::kNobody;
using consensus::kSecond;
using consensus::Member;
using consensus::Membership;
using consensus::NodeId;
using consensus::Position;
using consensus::Time;

// Where calls in memory find the planes that run: by the address of a client port.
struct Exchange {
  std::map<std::string, Plane*> planes;
  std::function<bool(NodeId from, const std::string& to)> cut = [](NodeId, const std::string&) { return false; };
  // Whether an answer is lost on its way back: the call has been carried out then.
  std::function<bool(NodeId from)> loses_answer = [](NodeId) { return false; };
  uint64_t calls = 0;
};

// A connection to another member, in memory: answers come on the caller's loop, a call to nobody fails as certain, a
// call whose answer never comes as uncertain.
class MemoryClient final : public Service {
 public:
  MemoryClient(env::Loop& loop, Exchange& exchange, NodeId from, std::string to)
      : loop_(loop), exchange_(exchange), from_(from), to_(std::move(to)) {}

  void execute(kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done) override {
    if (Plane* const plane = reach(done)) plane->execute(space, std::move(request), options, back(std::move(done)));
  }
  void keep_alive(kv::LeaseId lease, CallOptions options, Done<int64_t> done) override {
    if (Plane* const plane = reach(done)) plane->keep_alive(lease, options, back(std::move(done)));
  }
  void attest(consensus::SessionId session, uint64_t sequence, CallOptions options, Done<Attestation> done) override {
    if (Plane* const plane = reach(done)) plane->attest(session, sequence, options, back(std::move(done)));
  }
  void open_session(CallOptions options, Done<consensus::SessionId> done) override {
    if (Plane* const plane = reach(done)) plane->open_session(options, back(std::move(done)));
  }
  void close_session(consensus::SessionId session, CallOptions options) override {
    const auto at = exchange_.planes.find(to_);
    if (at != exchange_.planes.end()) at->second->close_session(session, options);
  }
  std::unique_ptr<WatchStream> watch(kv::Space) override { return nullptr; }  // nobody passes watches on
  std::unique_ptr<SnapshotStream> snapshot() override { return nullptr; }
  void status(CallOptions options, Done<GroupStatus> done) override {
    if (Plane* const plane = reach(done)) plane->status(options, back(std::move(done)));
  }
  void add_member(NewMember member, CallOptions options, Done<NodeId> done) override {
    if (Plane* const plane = reach(done)) plane->add_member(std::move(member), options, back(std::move(done)));
  }
  void remove_member(NodeId id, CallOptions options, Done<Position> done) override {
    if (Plane* const plane = reach(done)) plane->remove_member(id, options, back(std::move(done)));
  }
  void promote_member(NodeId id, CallOptions options, Done<Position> done) override {
    if (Plane* const plane = reach(done)) plane->promote_member(id, options, back(std::move(done)));
  }
  void update_member(NodeId id, std::string address, CallOptions options, Done<Position> done) override {
    if (Plane* const plane = reach(done)) plane->update_member(id, std::move(address), options, back(std::move(done)));
  }
  void transfer_leadership(NodeId to, CallOptions options, Done<NodeId> done) override {
    if (Plane* const plane = reach(done)) plane->transfer_leadership(to, options, back(std::move(done)));
  }
  void propose_decree(std::string name, std::string value, CallOptions options,
                      Done<consensus::paxos::Outcome> done) override {
    if (Plane* const plane = reach(done)) {
      plane->propose_decree(std::move(name), std::move(value), options, back(std::move(done)));
    }
  }
  void set_alarm(Alarm alarm, bool on, CallOptions options, Done<Position> done) override {
    if (Plane* const plane = reach(done)) plane->set_alarm(alarm, on, options, back(std::move(done)));
  }

 private:
  template <typename T>
  struct Way {
    env::Loop& loop;
    Done<T> done;
    ~Way() {
      if (done) answer(CallError{Code::kUnavailable, "the connection broke", true, {}, {}});
    }
    void answer(std::variant<T, CallError> value) {
      loop.post([done = std::exchange(done, nullptr), value = std::move(value)]() mutable { done(std::move(value)); });
    }
  };
  template <typename T>
  Plane* reach(Done<T>& done) {
    ++exchange_.calls;
    const auto at = exchange_.planes.find(to_);
    if (at != exchange_.planes.end() && !exchange_.cut(from_, to_)) return at->second;
    loop_.post([done = std::move(done)]() mutable {
      done(CallError{Code::kUnavailable, "connection refused", false, {}, {}});
    });
    return nullptr;
  }
  template <typename T>
  Done<T> back(Done<T> done) {
    auto way = std::shared_ptr<Way<T>>(new Way<T>{loop_, std::move(done)});
    return [way = std::move(way), this](std::variant<T, CallError> value) {
      if (exchange_.loses_answer(from_)) value = CallError{Code::kUnavailable, "the connection broke", true, {}, {}};
      way->answer(std::move(value));
    };
  }

  env::Loop& loop_;
  Exchange& exchange_;
  const NodeId from_;
  const std::string to_;
};

inline std::string client_address(uint64_t id) { return "client-" + std::to_string(id); }
inline std::string peer_address(uint64_t id) {
  return sim::SimNetwork::address(sim::NodeIndex{static_cast<uint32_t>(id - 1)}, 4330);
}
inline Member member_of(uint64_t id, consensus::Role role = consensus::Role::kVoter) {
  Member one;
  one.id = NodeId{id};
  one.role = role;
  one.incoming = role != consensus::Role::kLearner;
  one.address = peer_address(id);
  return one;
}

// What lives from a start to a death.
struct Process {
  Process(sim::Scheduler& scheduler, sim::SimNetwork& network, sim::SimClock& clock, env::Disk& disk, Exchange& all,
          uint64_t number, uint64_t life, PlaneOptions options, const Membership& founding,
          const kv::CustomRegistry& registry, int64_t random_seed)
      : id(number),
        node{static_cast<uint32_t>(number - 1)},
        exchange(all),
        loop(scheduler, clock, node),
        random(static_cast<uint64_t>(random_seed) + number * 1'000 + life) {
    network.set_up(node);
    consensus::PeerTransportOptions peers;
    peers.cluster = options.replica.cluster;
    peers.self = NodeId{id};
    peers.listen = ":4330";
    peers.advertised = peer_address(id);
    transport = consensus::PeerTransport::open(loop, network.host(node), random, peers).value();
    consensus::raft::Options raft;
    raft.self = NodeId{id};
    raft.founding = founding;
    options.replica.self = NodeId{id};
    options.record.name = "node-" + std::to_string(id);
    options.record.client_address = client_address(id);
    auto opened = Plane::open({loop,
                               disk,
                               random,
                               *transport,
                               {std::make_unique<kv::MemoryEngine>(), std::make_unique<kv::MemoryEngine>()},
                               [raft](uint64_t seed) { return std::make_unique<consensus::Raft>(raft, seed); },
                               registry,
                               [this](const std::string& address) {
                                 return std::make_unique<MemoryClient>(loop, exchange, NodeId{id}, address);
                               }},
                              std::move(options), [this](Status why) { halts.push_back(std::move(why)); });
    open_status = opened.status();
    if (!opened.ok()) return;
    plane = std::move(opened).value();
    exchange.planes[client_address(id)] = plane.get();
  }
  ~Process() { exchange.planes.erase(client_address(id)); }

  const uint64_t id;
  const sim::NodeIndex node;
  Exchange& exchange;
  sim::SimLoop loop;
  sim::SimRandom random;
  std::vector<Status> halts;
  Status open_status;
  std::unique_ptr<consensus::PeerTransport> transport;
  std::unique_ptr<Plane> plane;
};

// What a call came to, once it has.
template <typename T>
struct Answer {
  std::optional<std::variant<T, CallError>> value;
  bool came() const { return value.has_value(); }
  bool ok() const { return came() && std::holds_alternative<T>(*value); }
  const T& get() const { return std::get<T>(*value); }
  const CallError& error() const { return std::get<CallError>(*value); }
  std::string text() const {
    if (!came()) return "nothing";
    return ok() ? "ok" : std::string(code_name(error().code)) + ": " + error().message;
  }
};
template <typename T>
Done<T> into(std::shared_ptr<Answer<T>> answer) {
  return [answer = std::move(answer)](std::variant<T, CallError> value) {
    EXPECT_FALSE(answer->came()) << "answered twice";
    answer->value = std::move(value);
  };
}

class Planes : public testing::Test {
 protected:
  static constexpr size_t kMachines = 5;
  Planes() {
    for (size_t i = 0; i < kMachines; ++i) {
      clocks_.push_back(std::make_unique<sim::SimClock>(scheduler_, sim::SimLoop::kDefaultEpochNs));
      disks_.push_back(std::make_unique<sim::SimDisk>());
      disks_.back()->set_latency(100 * kMicrosecond);
    }
    processes_.resize(kMachines);
    options_.replica.cluster = 7;
    options_.cluster = 9;
    options_.replica.directory = "/data";
    options_.replica.log_file_bytes = 4 << 20;
    options_.replica.snapshot_chunk_bytes = 1'000;
  }

  Process& start(uint64_t id, bool bootstrap, const Membership& founding) {
    PlaneOptions options = options_;
    options.replica.bootstrap = bootstrap;
    processes_[id - 1].reset();  // its port is free before the next one listens
    processes_[id - 1] = std::make_unique<Process>(scheduler_, network_, *clocks_[id - 1], *disks_[id - 1], exchange_,
                                                   id, ++lives_, options, founding, *registries_[id - 1], 1);
    return *processes_[id - 1];
  }
  void found(std::vector<Member> members) {
    founding_ = Membership::make(members).value();
    for (const Member& member : members) ASSERT_TRUE(start(number(member.id), true, founding_).open_status.ok());
    leader();
  }
  void found(size_t count) {
    std::vector<Member> members;
    for (size_t id = 1; id <= count; ++id) members.push_back(member_of(id));
    found(std::move(members));
  }
  void restart(uint64_t id) { ASSERT_TRUE(start(id, false, founding_).open_status.ok()); }
  void power_cut(uint64_t id) {
    exchange_.planes.erase(client_address(id));
    process(id).loop.kill();
    processes_[id - 1].reset();
    network_.set_down(sim::NodeIndex{static_cast<uint32_t>(id - 1)}, true);
    disks_[id - 1]->crash_and_restart(++lives_);
  }
  void isolate(uint64_t id) {
    const sim::NodeMask one = sim::mask_of(sim::NodeIndex{static_cast<uint32_t>(id - 1)});
    links_.cut(one, ~one);
    links_.cut(~one, one);
    exchange_.cut = [id](NodeId from, const std::string& to) { return from == NodeId{id} || to == client_address(id); };
  }
  void heal() {
    links_.heal();
    exchange_.cut = [](NodeId, const std::string&) { return false; };
  }
  Process& process(uint64_t id) { return *processes_[id - 1]; }
  Plane& plane(uint64_t id) { return *process(id).plane; }

  bool wait(const std::function<bool()>& condition, Time limit = 60 * kSecond) {
    const Time end = scheduler_.now_ns() + limit;
    bool holds = false;
    scheduler_.run_until([&] { return (holds = condition()) || scheduler_.now_ns() > end; });
    return holds;
  }
  void run(Time time) { scheduler_.run_for(time); }

  // The member that leads and that all who run and are members name.
  uint64_t leader(uint64_t ignored = 0) {
    uint64_t found = 0;
    EXPECT_TRUE(wait([&] {
      found = 0;
      std::set<NodeId> named;
      for (const auto& process : processes_) {
        if (process == nullptr || process->plane == nullptr || process->id == ignored) continue;
        const auto& replica = process->plane->replica();
        if (!replica.protocol().membership().contains(NodeId{process->id})) continue;
        named.insert(replica.report().leader);
        if (process->plane->leading()) found = process->id;
      }
      return found != 0 && named.size() == 1 && named.contains(NodeId{found});
    }));
    return found;
  }
  uint64_t follower() {
    const uint64_t leads = leader();
    for (const auto& process : processes_) {
      if (process != nullptr && process->id != leads && process->plane != nullptr) return process->id;
    }
    return 0;
  }

  std::shared_ptr<Answer<CallReply>> send(uint64_t to, kv::Request request, CallOptions options = {},
                                          kv::Space space = kv::Space::kUser) {
    auto answer = std::make_shared<Answer<CallReply>>();
    plane(to).execute(space, std::move(request), options, into(answer));
    EXPECT_FALSE(answer->came()) << "answered from inside the call";
    return answer;
  }
  std::shared_ptr<Answer<CallReply>> call(uint64_t to, kv::Request request, CallOptions options = {},
                                          kv::Space space = kv::Space::kUser) {
    auto answer = send(to, std::move(request), options, space);
    EXPECT_TRUE(wait([&] { return answer->came(); }));
    return answer;
  }
  static kv::PutRequest put(std::string key, std::string value) {
    kv::PutRequest request;
    request.key = std::move(key);
    request.value = std::move(value);
    return request;
  }
  static kv::RangeRequest range(std::string key) {
    kv::RangeRequest request;
    request.key = std::move(key);
    return request;
  }
  // The value, "none", or the error.
  std::string get(uint64_t from, std::string key, CallOptions options = {}) {
    const auto answer = call(from, range(std::move(key)), options);
    if (!answer->ok()) return answer->text();
    const auto& response = std::get<kv::RangeResponse>(answer->get().response);
    return response.kvs.empty() ? "none" : response.kvs[0].value;
  }
  GroupStatus status(uint64_t of) {
    auto answer = std::make_shared<Answer<GroupStatus>>();
    plane(of).status({}, into(answer));
    EXPECT_TRUE(wait([&] { return answer->came(); }));
    return answer->get();
  }
  template <typename T>
  std::shared_ptr<Answer<T>> ask(const std::function<void(Done<T>)>& how) {
    auto answer = std::make_shared<Answer<T>>();
    how(into(answer));
    EXPECT_TRUE(wait([&] { return answer->came(); }));
    return answer;
  }
  void expect_agreement() {
    const auto agree = [&] {
      std::set<std::pair<uint64_t, uint64_t>> digests;
      for (const auto& process : processes_) {
        if (process == nullptr || process->plane == nullptr) continue;
        const Hash128 digest = process->plane->spaces().digest();
        digests.emplace(digest.lo, digest.hi);
      }
      return digests.size() == 1;
    };
    EXPECT_TRUE(wait(agree));
  }

  sim::Scheduler scheduler_;
  sim::Links links_{kMachines, 1};
  sim::SimNetwork network_{scheduler_, links_};
  std::vector<std::unique_ptr<sim::SimClock>> clocks_;
  std::vector<std::unique_ptr<sim::SimDisk>> disks_;
  kv::CustomRegistry registry_;
  std::array<const kv::CustomRegistry*, kMachines> registries_{&registry_, &registry_, &registry_, &registry_,
                                                               &registry_};
  PlaneOptions options_;
  Exchange exchange_;
  Membership founding_;
  uint64_t lives_ = 0;
  std::vector<std::unique_ptr<Process>> processes_;
};

}  // namespace clew::control

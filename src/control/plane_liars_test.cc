// Four whole members under PBFT, with their client ports, and our own client: what it asks them by the wire, and what
// they remember of what they executed. One of them may lie to the others, or to its clients.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "consensus/pbft/pbft.h"
#include "consensus/pbft/test_keys.h"
#include "consensus/peer_transport.h"
#include "consensus/replica_records.h"
#include "control/client.h"
#include "control/plane.h"
#include "control/server.h"
#include "kv/memory_engine.h"
#include "sim/disk.h"
#include "sim/groups/pbft_liar.h"
#include "sim/links.h"
#include "sim/loop.h"
#include "sim/network.h"
#include "sim/random.h"
#include "sim/scheduler.h"

namespace clew::control {
namespace {

using consensus::kMicrosecond;
using consensus::NodeId;
using sim::groups::PbftHabits;

constexpr uint64_t kGroup = 11;
constexpr uint32_t kCount = 4;
constexpr sim::NodeIndex kClients{kCount};

sim::NodeIndex machine_of(uint64_t id) { return sim::NodeIndex{static_cast<uint32_t>(id - 1)}; }
std::string address_of(uint64_t id, uint16_t port) { return sim::SimNetwork::address(machine_of(id), port); }

class TestVerifier final : public consensus::Verifier {
 public:
  bool verify(NodeId signer, std::string_view message, std::string_view signature) const override {
    return consensus::pbft::test_signature_holds(signer, message, signature);
  }
};

// Between a member and its peers.
class LyingTransport final : public consensus::Transport {
 public:
  explicit LyingTransport(consensus::Transport& behind) : behind_(behind) {}
  std::unique_ptr<sim::groups::Liar> liar;

  void start(Handler handler) override { behind_.start(std::move(handler)); }
  void set_peers(const std::vector<consensus::Member>& peers) override { behind_.set_peers(peers); }
  void send(NodeId to, std::string frame) override {
    if (liar == nullptr || frame.empty() || frame.back() != consensus::kProtocolFrame) {
      return behind_.send(to, std::move(frame));
    }
    frame.pop_back();
    for (std::string& instead : liar->twist(to, frame)) {
      instead.push_back(consensus::kProtocolFrame);
      behind_.send(to, std::move(instead));
    }
  }
  void flush() override { behind_.flush(); }

 private:
  consensus::Transport& behind_;
};

struct Process {
  Process(sim::Scheduler& scheduler, sim::SimNetwork& network, sim::SimClock& clock, env::Disk& disk, uint64_t id,
          uint64_t life, const consensus::Membership& founding, const std::optional<PbftHabits>& habits)
      : loop(scheduler, clock, machine_of(id)), random(id * 1'000 + life) {
    network.set_up(machine_of(id));
    consensus::PeerTransportOptions peers;
    peers.cluster = kGroup;
    peers.self = NodeId{id};
    peers.listen = ":4330";
    peers.advertised = address_of(id, 4330);
    peer_transport = consensus::PeerTransport::open(loop, network.host(machine_of(id)), random, peers).value();
    transport = std::make_unique<LyingTransport>(*peer_transport);
    if (habits) {
      sim::groups::PbftLiarOptions lies;
      lies.self = NodeId{id};
      lies.voters = kCount;
      lies.seed = 1;
      lies.group = kGroup;
      lies.habits = *habits;
      lies.sign = [id](std::string_view message) { return consensus::pbft::test_signature(NodeId{id}, message); };
      transport->liar = sim::groups::make_pbft_liar(std::move(lies));
    }
    consensus::pbft::Options pbft;
    pbft.self = NodeId{id};
    pbft.founding = founding;
    pbft.group = kGroup;
    pbft.signer = std::make_shared<consensus::pbft::TestSigner>(NodeId{id});
    PlaneOptions options;
    options.replica.cluster = kGroup;
    options.replica.self = NodeId{id};
    options.replica.directory = "/data";
    options.replica.bootstrap = life == 1;
    options.replica.snapshot_every_bytes = uint64_t{1} << 62;
    options.attests = true;
    options.record.name = "node-" + std::to_string(id);
    options.record.client_address = address_of(id, 4331);
    plane = Plane::open({loop,
                         disk,
                         random,
                         *transport,
                         {std::make_unique<kv::MemoryEngine>(), std::make_unique<kv::MemoryEngine>()},
                         [pbft](uint64_t seed) { return std::make_unique<consensus::Pbft>(pbft, seed); },
                         registry,
                         [](const std::string&) { return nullptr; },
                         nullptr,
                         &verifier},
                        std::move(options), [](const Status& why) { ADD_FAILURE() << why.to_string(); })
                .value();
    ServerOptions server_options;
    server_options.listen = ":4331";
    server_options.cluster = [] { return kGroup; };
    server_options.node = NodeId{id};
    server_options.byzantine = true;
    server = Server::open(loop, network.host(machine_of(id)), *plane, server_options).value();
  }

  sim::SimLoop loop;
  sim::SimRandom random;
  TestVerifier verifier;
  kv::CustomRegistry registry;
  std::unique_ptr<consensus::PeerTransport> peer_transport;
  std::unique_ptr<LyingTransport> transport;
  std::unique_ptr<Plane> plane;
  std::unique_ptr<Server> server;
};

class FourMembers : public testing::Test {
 protected:
  void found(const std::optional<PbftHabits>& of_the_first) {
    std::vector<consensus::Member> members;
    for (uint64_t id = 1; id <= kCount; ++id) {
      consensus::Member one;
      one.id = NodeId{id};
      one.incoming = true;
      one.address = address_of(id, 4330);
      members.push_back(std::move(one));
      clocks_.push_back(std::make_unique<sim::SimClock>(scheduler_, sim::SimLoop::kDefaultEpochNs));
      disks_.push_back(std::make_unique<sim::SimDisk>());
      disks_.back()->set_latency(100 * kMicrosecond);
    }
    founding_ = consensus::Membership::make(members).value();
    habits_ = of_the_first;
    processes_.resize(kCount);
    for (uint64_t id = 1; id <= kCount; ++id) start(id, 1);
    ClientOptions options;
    for (uint64_t id = 1; id <= kCount; ++id) options.addresses.push_back(address_of(id, 4331));
    client_ = Client::open(loop_, network_.host(kClients), random_, options);
  }
  void start(uint64_t id, uint64_t life) {
    processes_[id - 1] = std::make_unique<Process>(scheduler_, network_, *clocks_[id - 1], *disks_[id - 1], id, life,
                                                   founding_, id == 1 ? habits_ : std::nullopt);
  }
  void restart(uint64_t id) {
    processes_[id - 1]->loop.kill();
    processes_[id - 1].reset();
    network_.set_down(machine_of(id), true);
    disks_[id - 1]->crash_and_restart(++lives_);
    start(id, ++lives_);
  }
  ~FourMembers() override { client_.reset(); }

  bool wait(const std::function<bool()>& condition) {
    const int64_t end = scheduler_.now_ns() + 60 * consensus::kSecond;
    bool holds = false;
    scheduler_.run_until([&] { return (holds = condition()) || scheduler_.now_ns() > end; });
    return holds;
  }
  // What was read, "done", or the error.
  std::string ask(kv::Request request) {
    std::optional<std::string> answer;
    CallOptions options;
    options.timeout_ns = 20 * consensus::kSecond;
    client_->execute(kv::Space::kUser, std::move(request), options, [&](std::variant<CallReply, CallError> said) {
      if (const auto* error = std::get_if<CallError>(&said)) {
        answer = std::string(code_name(error->code)) + ": " + error->message;
      } else if (const auto* range = std::get_if<kv::RangeResponse>(&std::get<CallReply>(said).response)) {
        answer = range->kvs.empty() ? "none" : range->kvs[0].value;
      } else {
        answer = "done";
      }
    });
    EXPECT_TRUE(wait([&] { return answer.has_value(); }));
    return answer.value_or("nothing");
  }
  static kv::PutRequest put(std::string value) {
    kv::PutRequest request;
    request.key = "key";
    request.value = std::move(value);
    return request;
  }
  static kv::AppendRequest append(std::string suffix) {
    kv::AppendRequest request;
    request.key = "log";
    request.suffix = std::move(suffix);
    return request;
  }
  static kv::RangeRequest get(std::string key) {
    kv::RangeRequest request;
    request.key = std::move(key);
    return request;
  }
  void goes_on() {
    std::string log;
    for (int i = 0; i < 6; ++i) {
      ASSERT_EQ(ask(put(std::to_string(i))), "done");
      EXPECT_EQ(ask(get("key")), std::to_string(i));
      ASSERT_EQ(ask(append("x")), "done");
      log += "x";
    }
    EXPECT_EQ(ask(get("log")), log);
  }
  void expect_agreement(uint64_t from) {
    EXPECT_TRUE(wait([&] {
      std::set<std::pair<uint64_t, uint64_t>> digests;
      for (uint64_t id = from; id <= kCount; ++id) {
        const Hash128 digest = processes_[id - 1]->plane->spaces().digest();
        digests.emplace(digest.lo, digest.hi);
      }
      return digests.size() == 1;
    }));
  }

  sim::Scheduler scheduler_;
  sim::Links links_{kCount + 1, 1};
  sim::SimNetwork network_{scheduler_, links_};
  std::vector<std::unique_ptr<sim::SimClock>> clocks_;
  std::vector<std::unique_ptr<sim::SimDisk>> disks_;
  consensus::Membership founding_;
  std::optional<PbftHabits> habits_;
  uint64_t lives_ = 1;
  std::vector<std::unique_ptr<Process>> processes_;
  sim::SimClock clock_{scheduler_, sim::SimLoop::kDefaultEpochNs};
  sim::SimLoop loop_{scheduler_, clock_, kClients};
  sim::SimRandom random_{7};
  std::unique_ptr<Client> client_;
};

TEST_F(FourMembers, whoAreHonest_proveEveryAnswer) {
  found(std::nullopt);
  goes_on();
  expect_agreement(1);
  EXPECT_EQ(client_->stats().unproven, 0);
  EXPECT_EQ(client_->stats().contradicted, 0);
  EXPECT_EQ(client_->stats().verified, 19);
  EXPECT_EQ(client_->cluster(), kGroup);
  uint64_t told = 0;
  for (const auto& process : processes_) told += process->plane->stats().attested;
  EXPECT_EQ(told, 12 * 2) << "of each change by f + 1";
}

TEST_F(FourMembers, whoseMachinesAllWentDown_oneAfterTheOther_proveTheNextChanges) {
  found(std::nullopt);
  ASSERT_EQ(ask(put("before")), "done");
  for (uint64_t id = 1; id <= kCount; ++id) {
    restart(id);
    ASSERT_EQ(ask(get("key")), "before");
  }
  ASSERT_EQ(ask(put("after")), "done");
  EXPECT_EQ(ask(get("key")), "after");
  expect_agreement(1);
}

// The client's own session is forgotten after an hour without a command, and its user has none.
TEST_F(FourMembers, whoForgotASession_areAskedInTheNextOne) {
  found(std::nullopt);
  ASSERT_EQ(ask(append("x")), "done");
  scheduler_.run_for(3'601 * consensus::kSecond);
  EXPECT_EQ(ask(append("y")), "done");
  EXPECT_EQ(ask(get("log")), "xy");
}

TEST_F(FourMembers, ofWhomThePrimaryEquivocates_leaveItsViewAndGoOn) {
  PbftHabits habits;
  habits.equivocates = habits.steadily = true;
  found(habits);
  goes_on();
  expect_agreement(2);
  for (uint64_t id = 2; id <= kCount; ++id) {
    const auto report = processes_[id - 1]->plane->replica().report();
    EXPECT_GT(report.epoch, 1);
    EXPECT_NE(report.leader, NodeId{1});
  }
}

TEST_F(FourMembers, ofWhomThePrimaryIsSilentToSome_leaveItsViewAndGoOn) {
  PbftHabits habits;
  habits.silent = habits.steadily = true;
  found(habits);
  goes_on();
  expect_agreement(2);
  for (uint64_t id = 2; id <= kCount; ++id) {
    EXPECT_NE(processes_[id - 1]->plane->replica().report().leader, NodeId{1});
  }
}

}  // namespace
}  // namespace clew::control

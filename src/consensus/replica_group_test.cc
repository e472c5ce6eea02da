// Whole members (replica, Raft, transport, snapshots) in one simulated network, without the faults of the simulator's
// worlds (sim/groups): what each promise looks like when it is kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "consensus/peer_transport.h"
#include "consensus/raft/raft.h"
#include "consensus/replica_rig_test.h"
#include "sim/links.h"
#include "sim/network.h"

namespace clew::consensus {
namespace {

using ::testing::HasSubstr;

constexpr uint16_t kPort = 4330;
constexpr size_t kMachines = 5;

Member member(uint64_t id) {
  Member one;
  one.id = NodeId{id};
  one.address = sim::SimNetwork::address(sim::NodeIndex{static_cast<uint32_t>(id - 1)}, kPort);
  return one;
}
Membership members(std::initializer_list<uint64_t> ids) {
  std::vector<Member> all;
  for (const uint64_t id : ids) all.push_back(member(id));
  return Membership::make(std::move(all)).value();
}

// What lives from a start to a death.
struct Process {
  Process(sim::Scheduler& scheduler, sim::SimNetwork& network, sim::SimClock& clock, env::Disk& disk, uint64_t id,
          uint64_t life, ReplicaOptions options, const Membership& founding)
      : node{static_cast<uint32_t>(id - 1)}, loop(scheduler, clock, node), random(id * 1'000 + life) {
    network.set_up(node);
    PeerTransportOptions peers;
    peers.cluster = options.cluster;
    peers.self = NodeId{id};
    peers.listen = ":" + std::to_string(kPort);
    peers.advertised = member(id).address;
    transport = PeerTransport::open(loop, network.host(node), random, peers).value();
    raft::Options raft;
    raft.self = NodeId{id};
    raft.founding = founding;
    auto opened = Replica::open(
        {loop, disk, random, *transport, machine}, std::move(options),
        [raft](uint64_t seed) { return std::make_unique<Raft>(raft, seed); },
        [this](Status why) { halts.push_back(std::move(why)); });
    open_status = opened.status();
    if (opened.ok()) replica = std::move(opened).value();
  }
  sim::NodeIndex node;
  sim::SimLoop loop;
  sim::SimRandom random;
  ListMachine machine;
  std::vector<Status> halts;
  Status open_status;
  std::unique_ptr<PeerTransport> transport;
  std::unique_ptr<Replica> replica;
};

class Group : public testing::Test {
 protected:
  Group() {
    for (uint32_t i = 0; i < kMachines; ++i) {
      clocks_.push_back(std::make_unique<sim::SimClock>(scheduler_, 0));
      disks_.push_back(std::make_unique<sim::SimDisk>());
      disks_.back()->set_latency(100 * kMicrosecond);
    }
    processes_.resize(kMachines);
    options_.cluster = 7;
    options_.directory = "/data";
    options_.log_file_bytes = 256 << 10;
    options_.snapshot_chunk_bytes = 1'000;
    options_.request_timeout_ns = kSecond;
  }

  Process& start(uint64_t id, bool bootstrap, const Membership& founding) {
    ReplicaOptions options = options_;
    options.self = NodeId{id};
    options.bootstrap = bootstrap;
    processes_[id - 1] = std::make_unique<Process>(scheduler_, network_, *clocks_[id - 1], *disks_[id - 1], id,
                                                   ++lives_, options, founding);
    return *processes_[id - 1];
  }
  void found(std::initializer_list<uint64_t> ids) {
    founding_ = members(ids);
    for (const uint64_t id : ids) ASSERT_TRUE(start(id, true, founding_).open_status.ok());
    leader();
  }
  void restart(uint64_t id) { ASSERT_TRUE(start(id, false, founding_).open_status.ok()); }
  void power_cut(uint64_t id) {
    process(id).loop.kill();
    processes_[id - 1].reset();
    network_.set_down(sim::NodeIndex{static_cast<uint32_t>(id - 1)}, true);
    disks_[id - 1]->crash_and_restart(++lives_);
  }
  Process& process(uint64_t id) { return *processes_[id - 1]; }

  // Until `condition` holds; a minute at most.
  bool wait(const std::function<bool()>& condition) {
    const Time end = scheduler_.now_ns() + 60 * kSecond;
    bool holds = false;
    scheduler_.run_until([&] { return (holds = condition()) || scheduler_.now_ns() > end; });
    return holds;
  }
  // The member that leads and is known to all members that run; waits for it.
  Process& leader() {
    Process* found = nullptr;
    const bool there = wait([&] {
      found = nullptr;
      std::set<NodeId> named;
      for (const auto& process : processes_) {
        if (process == nullptr || process->replica == nullptr || left_.contains(process.get())) continue;
        if (process->replica->protocol().membership().empty()) continue;  // it has yet to hear of its group
        named.insert(process->replica->report().leader);
        if (process->replica->report().standing == Standing::kLeader) found = process.get();
      }
      return found != nullptr && named.size() == 1;
    });
    CHECK(there);
    return *found;
  }
  std::string submit(Process& to, std::string body, SessionId session = kNoSession, uint64_t sequence = 0) {
    auto text = std::make_shared<std::string>();  // the answer may come after this call gave up
    to.replica->submit({session, sequence, 0, std::move(body)}, [text](std::variant<Reply, RequestError> answer) {
      *text = std::holds_alternative<Reply>(answer) ? std::get<Reply>(answer).result
                                                    : std::string(code_name(std::get<RequestError>(answer).code));
    });
    wait([&] { return !text->empty(); });
    return *text;
  }
  // By whoever leads, as often as it takes.
  std::string insist(const std::string& body, SessionId session = kNoSession, uint64_t sequence = 0) {
    for (int i = 0; i < 20; ++i) {
      const std::string got = submit(leader(), body, session, sequence);
      if (got.find_first_not_of("0123456789") == std::string::npos) return got;
    }
    return "never";
  }
  std::string reconfigure(const Membership& target) {
    auto text = std::make_shared<std::string>();
    leader().replica->reconfigure(target, [text](std::variant<Position, RequestError> answer) {
      *text = std::holds_alternative<Position>(answer) ? "done" : std::get<RequestError>(answer).message;
    });
    wait([&] { return !text->empty(); });
    return *text;
  }
  void run(Time time) { scheduler_.run_for(time); }
  // All who run have the same state.
  void expect_agreement() {
    run(kSecond);
    const Hash128 digest = leader().replica->digest();
    for (const auto& process : processes_) {
      if (process == nullptr || left_.contains(process.get())) continue;
      EXPECT_EQ(process->replica->digest(), digest) << "machine " << sim::at(process->node);
    }
  }

  sim::Scheduler scheduler_;
  sim::Links links_{kMachines, 1};
  sim::SimNetwork network_{scheduler_, links_};
  std::vector<std::unique_ptr<sim::SimClock>> clocks_;
  std::vector<std::unique_ptr<sim::SimDisk>> disks_;
  ReplicaOptions options_;
  Membership founding_;
  uint64_t lives_ = 0;
  std::set<const Process*> left_;  // no members any more
  std::vector<std::unique_ptr<Process>> processes_;
};

TEST_F(Group, threeMembersAgreeAndAnyOneMayDieAndComeBack) {
  found({1, 2, 3});
  uint64_t commands = 0;
  const auto command = [&] {
    ++commands;
    EXPECT_EQ(insist("command " + std::to_string(commands)), std::to_string(commands));
  };
  for (uint64_t round = 0; round < 6; ++round) {
    command();
    const uint64_t victim = round % 2 == 0 ? number(leader().replica->report().leader) : 1 + round % 3;
    power_cut(victim);
    command();
    restart(victim);
    expect_agreement();
  }
}

TEST_F(Group, aMinorityAnswersNothingAndLosesNothing) {
  found({1, 2, 3});
  insist("first");
  Process& old = leader();
  const sim::NodeMask minority = sim::mask_of(old.node);
  links_.cut(minority, ~minority);
  links_.cut(~minority, minority);
  EXPECT_EQ(submit(old, "nobody hears this"), "DEADLINE_EXCEEDED");
  run(5 * kSecond);
  links_.heal();
  run(5 * kSecond);
  EXPECT_EQ(insist("second"), "2");
  expect_agreement();
}

TEST_F(Group, aRetriedCommandOfASessionIsAppliedOnceWhoeverLeads) {
  found({1, 2, 3});
  std::optional<SessionId> session;
  leader().replica->open_session([&](std::variant<SessionId, RequestError> answer) {
    if (std::holds_alternative<SessionId>(answer)) session = std::get<SessionId>(answer);
  });
  ASSERT_TRUE(wait([&] { return session.has_value(); }));
  EXPECT_EQ(insist("once", *session, 1), "1");
  const uint64_t victim = number(leader().replica->report().leader);
  power_cut(victim);
  EXPECT_EQ(insist("once", *session, 1), "1");
  restart(victim);
  expect_agreement();
  EXPECT_EQ(leader().machine.list.size(), 1u);
}

TEST_F(Group, aNewMemberIsBroughtUpByASnapshotAndThenCounts) {
  found({1, 2, 3});
  for (int i = 1; i <= 40; ++i) insist("command " + std::to_string(i) + std::string(200, '.'));
  for (uint64_t id = 1; id <= 3; ++id) process(id).replica->take_snapshot();
  run(kSecond);
  Process& joiner = start(4, true, Membership());
  ASSERT_TRUE(joiner.open_status.ok());
  EXPECT_EQ(reconfigure(members({1, 2, 3, 4})), "done");
  expect_agreement();
  EXPECT_EQ(joiner.machine.list.size(), 40u);
  // Its vote counts: with two of the four gone, nothing is decided; with it and two others, everything is.
  power_cut(1);
  EXPECT_EQ(insist("forty-first"), "41");
  EXPECT_GE(joiner.machine.list.size(), 40u);
  restart(1);
  expect_agreement();
}

TEST_F(Group, aMemberThatIsRemovedIsNotNeededAnyMore) {
  found({1, 2, 3});
  insist("first");
  const uint64_t leaving = number(leader().replica->report().leader) == 3 ? 2 : 3;
  EXPECT_EQ(reconfigure(leaving == 3 ? members({1, 2}) : members({1, 3})), "done");
  left_.insert(&process(leaving));
  power_cut(leaving);
  left_.clear();
  EXPECT_EQ(insist("second"), "2");
  expect_agreement();
}

TEST_F(Group, aWipedDiskIsRecognisedAndNeverCountsAsItsOldSelf) {
  found({1, 2, 3});
  insist("first");
  const uint64_t victim = number(leader().replica->report().leader) == 3 ? 2 : 3;
  power_cut(victim);
  disks_[victim - 1]->wipe();
  Process& refused = start(victim, false, founding_);
  EXPECT_THAT(std::string(refused.open_status.message()), HasSubstr("is empty"));
  processes_[victim - 1].reset();
  network_.set_down(sim::NodeIndex{static_cast<uint32_t>(victim - 1)}, true);
  disks_[victim - 1]->kill_and_restart();
  // Somebody insists and starts it as if it were new.
  Process& impostor = start(victim, true, founding_);
  ASSERT_TRUE(impostor.open_status.ok());
  left_.insert(&impostor);
  run(5 * kSecond);
  uint64_t refusals = 0;
  for (const auto& process : processes_) {
    if (process != nullptr && process.get() != &impostor) {
      refusals += process->transport->stats().refused[static_cast<size_t>(PeerRefusal::kStaleInstance)];
    }
  }
  EXPECT_GT(refusals, 0u);
  EXPECT_TRUE(impostor.machine.list.empty());
  EXPECT_EQ(insist("second"), "2");
  // With one of the two real ones gone it could be the second half of a majority, and must not be.
  const uint64_t next = number(leader().replica->report().leader);
  Process& last = process(6 - victim - next);
  power_cut(next);
  run(10 * kSecond);
  EXPECT_NE(last.replica->report().standing, Standing::kLeader);
  EXPECT_NE(impostor.replica->report().standing, Standing::kLeader);
}

TEST_F(Group, aFollowerWithAFullDiskFallsBehindAndCatchesUpWhenThereIsRoom) {
  found({1, 2, 3});
  insist("first");
  const uint64_t full = number(leader().replica->report().leader) == 3 ? 2 : 3;
  disks_[full - 1]->set_capacity(disks_[full - 1]->used_bytes());
  for (int i = 0; i < 150; ++i) insist(std::string(10'000, 'x'));
  EXPECT_GT(process(full).replica->stats().frames_without_room, 0u);
  EXPECT_LT(process(full).replica->applied(), leader().replica->applied());
  EXPECT_FALSE(process(full).replica->halted());
  disks_[full - 1]->end_faults();
  run(5 * kSecond);
  insist("last");
  expect_agreement();
}

TEST_F(Group, membersWithOtherSessionLimitsDoNotMeet) {
  founding_ = members({1, 2});
  start(1, true, founding_);
  options_.sessions.max_sessions = 17;
  start(2, true, founding_);
  run(3 * kSecond);
  EXPECT_GT(process(1).transport->stats().refused[static_cast<size_t>(PeerRefusal::kSettings)], 0u);
  EXPECT_NE(process(1).replica->report().standing, Standing::kLeader);
}

}  // namespace
}  // namespace clew::consensus

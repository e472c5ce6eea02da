#include "consensus/replica.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "consensus/replica_directory.h"
#include "consensus/replica_rig_test.h"

namespace clew::consensus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Replica, aCommandIsAnsweredWhenItsRecordIsDurableAndNotBefore) {
  sim::SimDisk disk;
  disk.set_latency(10 * kMillisecond);
  Life life(disk, solo_options());
  const auto outcome = life.submit("a");
  life.scheduler.run_for(9 * kMillisecond);
  EXPECT_EQ(outcome->text, "nothing");
  life.scheduler.run_for(2 * kMillisecond);
  EXPECT_EQ(outcome->text, "1");
  EXPECT_EQ(outcome->position, 1u);
}

TEST(Replica, commandsOfOneMomentShareATurnAndASync) {
  sim::SimDisk disk;
  Life life(disk, solo_options());
  life.settle();
  const ReplicaStats before = life.replica->stats();
  std::vector<std::shared_ptr<Life::Outcome>> outcomes;
  for (int i = 0; i < 100; ++i) outcomes.push_back(life.submit("x"));
  life.settle();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(outcomes[i]->text, std::to_string(i + 1));
  const ReplicaStats after = life.replica->stats();
  EXPECT_EQ(after.syncs - before.syncs, 1u);
  EXPECT_LE(after.turns - before.turns, 2u);  // one that writes, one that delivers
}

TEST(Replica, aFrameWaitsForTheRecordThatItDependsOn) {
  sim::SimDisk disk;
  disk.set_latency(10 * kMillisecond);
  Life life(disk, solo_options());
  life.submit("a");
  life.scheduler.run_for(9 * kMillisecond);
  EXPECT_TRUE(life.transport.sent.empty());
  life.scheduler.run_for(2 * kMillisecond);
  ASSERT_EQ(life.transport.sent.size(), 1u);
  EXPECT_EQ(life.transport.sent[0].second, protocol_frame("written 1"));
}

TEST(Replica, whatWasAnsweredSurvivesAnyPowerCut) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    sim::SimDisk disk;
    disk.set_latency(100 * kMicrosecond, 200 * kMicrosecond);
    std::vector<std::string> answered;
    size_t asked = 0;
    for (uint64_t run = 1; run <= 4; ++run) {
      ReplicaOptions options = solo_options();
      options.snapshot_every_bytes = 2'000;
      Life life(disk, options, seed * 10 + run);
      ASSERT_TRUE(life.open_status.ok()) << "seed " << seed << ": " << life.open_status.to_string();
      life.scheduler.run_for(kMillisecond);
      ASSERT_GE(life.machine.list.size(), answered.size()) << "seed " << seed;
      for (size_t i = 0; i < answered.size(); ++i) ASSERT_EQ(life.machine.list[i], answered[i]) << "seed " << seed;
      ASSERT_LE(life.machine.list.size(), asked) << "seed " << seed;
      answered = life.machine.list;
      Generator random(seed * 100 + run);
      std::vector<std::pair<std::string, std::shared_ptr<Life::Outcome>>> outcomes;
      const int64_t end = life.scheduler.now_ns() + static_cast<int64_t>(random.below(8 * kMillisecond));
      while (life.scheduler.now_ns() < end) {
        const std::string body = std::to_string(asked++) + std::string(random.below(200), '.');
        outcomes.emplace_back(body, life.submit(body));
        life.scheduler.run_for(static_cast<int64_t>(random.below(300 * kMicrosecond)));
      }
      for (const auto& [body, outcome] : outcomes) {
        if (outcome->text != "nothing") answered.push_back(body);
      }
      life.loop.kill();
      disk.crash_and_restart(seed * 7 + run);
    }
  }
}

TEST(Replica, aFailedSyncHaltsForGoodAndConfirmsNothing) {
  sim::SimDisk disk;
  Life life(disk, solo_options());
  const auto first = life.submit("a");
  life.settle();
  EXPECT_EQ(first->text, "1");
  disk.fail_sync(1);
  const auto second = life.submit("b");
  const auto third = life.submit("c");
  life.settle();
  EXPECT_TRUE(life.replica->halted());
  ASSERT_EQ(life.halts.size(), 1u);
  EXPECT_THAT(std::string(life.halts[0].message()), HasSubstr("sync"));
  EXPECT_EQ(second->text, "DEADLINE_EXCEEDED");  // nobody can know
  EXPECT_EQ(third->text, "DEADLINE_EXCEEDED");
  const auto late = life.submit("d");
  life.settle();
  EXPECT_EQ(late->text, "UNAVAILABLE");
  EXPECT_THAT(life.machine.list, ElementsAre("a"));
  EXPECT_EQ(life.halts.size(), 1u);
}

TEST(Replica, aFullDiskRefusesCommandsAndTakesThemAgainWhenThereIsRoom) {
  sim::SimDisk disk;
  Life life(disk, solo_options());
  life.transport.handler.on_frame(NodeId{2}, Instance{5}, protocol_frame("hello"));
  life.settle();
  disk.set_capacity(disk.used_bytes());
  std::string text;
  int taken = 0;
  for (int i = 0; i < 10'000 && text != "RESOURCE_EXHAUSTED"; ++i) {
    const auto outcome = life.submit(std::string(10'000, 'x'));
    life.scheduler.run_for(5 * kMillisecond);
    text = outcome->text;
    taken += text != "RESOURCE_EXHAUSTED" ? 1 : 0;
  }
  EXPECT_EQ(text, "RESOURCE_EXHAUSTED");
  EXPECT_EQ(life.machine.list.size(), static_cast<size_t>(taken));
  EXPECT_FALSE(life.replica->halted());

  // A follower in this state stops taking what would have to be written, and does not die.
  for (int i = 0; i < 100; ++i) {
    life.transport.handler.on_frame(NodeId{2}, Instance{5}, protocol_frame("write" + std::string(10'000, 'y')));
    life.scheduler.run_for(5 * kMillisecond);
  }
  EXPECT_GT(life.replica->stats().frames_without_room, 0u);
  EXPECT_FALSE(life.replica->halted());

  disk.set_capacity(UINT64_MAX);
  const auto asks_for_room = life.submit("a");
  life.settle();
  const auto outcome = life.submit("a");
  life.settle();
  EXPECT_EQ(outcome->text, std::to_string(life.machine.list.size()));
  EXPECT_EQ(life.machine.list.back(), "a");
}

TEST(Replica, aBurstThatTheLogHasNoRoomForYetWaitsForItInOrder) {
  sim::SimDisk disk;
  Life life(disk, solo_options());
  std::vector<std::shared_ptr<Life::Outcome>> outcomes;
  for (int i = 0; i < 300; ++i) outcomes.push_back(life.submit(std::string(10'000, 'x')));  // of a log of 256 KiB
  life.transport.handler.on_frame(NodeId{2}, Instance{5}, protocol_frame("write" + std::string(10'000, 'y')));
  life.scheduler.run_for(kSecond / 2);
  for (int i = 0; i < 300; ++i) ASSERT_EQ(outcomes[i]->text, std::to_string(i + 1));
  EXPECT_EQ(life.protocol->received.size(), 1u);
  EXPECT_EQ(life.replica->stats().frames_without_room, 0u);
}

TEST(Replica, smallFramesWaitInOrderForRoomThatIsBeingMade) {
  sim::SimDisk disk;
  ReplicaOptions options = solo_options();
  options.log_file_bytes = 16 << 10;  // four groups
  Life life(disk, options);
  for (int i = 0; i < 300; ++i) {  // each a group of its own, faster than files are made
    life.transport.handler.on_frame(NodeId{2}, Instance{5}, protocol_frame("write" + std::to_string(i)));
    life.scheduler.run_for(kMillisecond / 5);
  }
  life.settle();
  EXPECT_EQ(life.replica->stats().frames_without_room, 0u);
  ASSERT_EQ(life.protocol->received.size(), 300u);
  for (int i = 0; i < 300; ++i) ASSERT_EQ(life.protocol->received[i].second, "write" + std::to_string(i));
}

TEST(Replica, aRetriedCommandOfASessionTakesEffectOnceAlsoAcrossARestart) {
  sim::SimDisk disk;
  std::optional<SessionId> session;
  {
    Life life(disk, solo_options());
    session = life.open_session();
    ASSERT_TRUE(session);
    const auto first = life.submit("a", *session, 1);
    const auto again = life.submit("a", *session, 1);
    life.settle();
    EXPECT_EQ(first->text, "1");
    EXPECT_EQ(again->text, "1");
  }
  disk.crash_and_restart(1);
  Life life(disk, solo_options(), 2);
  life.settle();
  const auto again = life.submit("a", *session, 1);
  const auto stranger = life.submit("b", SessionId{999}, 1);
  const auto unnumbered = life.submit("b", *session, 0);
  life.settle();
  EXPECT_EQ(again->text, "1");
  EXPECT_EQ(stranger->text, "FAILED_PRECONDITION");
  EXPECT_EQ(unnumbered->text, "INVALID_ARGUMENT");
  EXPECT_THAT(life.machine.list, ElementsAre("a"));
  life.replica->close_session(*session);
  const auto after = life.submit("c", *session, 2);
  life.settle();
  EXPECT_EQ(after->text, "FAILED_PRECONDITION");
}

TEST(Replica, replicatedTimeGoesOnAsTimePassesWhateverTheClockIsSetTo) {
  sim::SimDisk disk;
  Life life(disk, solo_options());
  for (const int64_t shift_s : {0, -3'600, 3'600, 86'400}) {
    life.loop.sim_clock().set_wall_offset(shift_s * kSecond);
    life.submit("a");
    life.settle();
  }
  const auto& times = life.machine.times;
  ASSERT_EQ(times.size(), 4u);
  for (size_t i = 1; i < times.size(); ++i) {
    EXPECT_GE(times[i], times[i - 1]);
    EXPECT_LT(times[i] - times[i - 1], kSecond);
  }
}

TEST(Replica, readsWaitForTheStateThatTheyAskedFor) {
  sim::SimDisk disk;
  disk.set_latency(10 * kMillisecond);
  Life life(disk, solo_options());
  life.submit("a");
  const auto linearizable = life.query({.level = ReadLevel::kLinearizable, .body = "last"});
  const auto own = life.query({.level = ReadLevel::kLocal, .at_least = 1, .body = "last"});
  const auto stale = life.query({.level = ReadLevel::kLocal, .body = "count"});
  const auto never = life.query({.level = ReadLevel::kLocal, .at_least = 5, .body = "last"});
  life.scheduler.run_for(5 * kMillisecond);
  EXPECT_EQ(stale->text, "0");
  EXPECT_EQ(linearizable->text, "nothing");
  EXPECT_EQ(own->text, "nothing");
  life.scheduler.run_for(10 * kMillisecond);
  EXPECT_EQ(linearizable->text, "a");
  EXPECT_EQ(own->text, "a");
  life.scheduler.run_for(2 * kSecond);
  EXPECT_EQ(never->text, "DEADLINE_EXCEEDED");
  EXPECT_EQ(life.replica->stats().pending, 0u);
}

TEST(Replica, refusalsNameTheLeader) {
  sim::SimDisk disk;
  auto script = std::make_shared<SoloProtocol::Script>();
  script->leads = false;
  Life life(disk, solo_options(), 1, script);
  const auto command = life.submit("a");
  const auto read = life.query({.level = ReadLevel::kLinearizable, .body = "last"});
  life.settle();
  EXPECT_EQ(command->error.code, Code::kUnavailable);
  EXPECT_EQ(command->error.leader, NodeId{7});
  EXPECT_EQ(read->error.leader, NodeId{7});
}

TEST(Replica, anUnansweredRequestIsGivenUpInTime) {
  sim::SimDisk disk;
  disk.set_latency(3 * kSecond);
  ReplicaOptions options = solo_options();
  options.max_pending = 2;
  Life life(disk, options);
  const auto first = life.submit("a");
  const auto second = life.submit("b");
  const auto third = life.submit("c");
  life.scheduler.run_for(kSecond + kMillisecond);
  EXPECT_EQ(first->text, "DEADLINE_EXCEEDED");
  EXPECT_EQ(second->text, "DEADLINE_EXCEEDED");
  EXPECT_EQ(third->text, "RESOURCE_EXHAUSTED");
  life.scheduler.run_for(5 * kSecond);
  EXPECT_THAT(life.machine.list, ElementsAre("a", "b"));  // as the error said: it may still take effect
}

TEST(Replica, commandsThatAreTooLargeAreRefused) {
  sim::SimDisk disk;
  ReplicaOptions options = solo_options();
  options.max_command_bytes = 10;
  Life life(disk, options);
  const auto outcome = life.submit(std::string(11, 'x'));
  life.settle();
  EXPECT_EQ(outcome->text, "INVALID_ARGUMENT");
}

TEST(Replica, aMembershipIsAnsweredWhenItGovernsAndReachesTheTransport) {
  sim::SimDisk disk;
  Life life(disk, solo_options());
  EXPECT_TRUE(life.transport.peers.empty());
  life.script->in_force = false;
  std::optional<Position> position;
  life.replica->reconfigure(Membership::of_voters({NodeId{1}, NodeId{2}}), [&](std::variant<Position, RequestError> a) {
    if (std::holds_alternative<Position>(a)) position = std::get<Position>(a);
  });
  life.settle();
  EXPECT_EQ(life.replica->applied(), 1u);
  EXPECT_EQ(position, std::nullopt);
  life.script->in_force = true;
  life.submit("x");
  life.settle();
  EXPECT_EQ(position, 1u);
  ASSERT_EQ(life.transport.peers.size(), 1u);
  EXPECT_EQ(life.transport.peers[0].id, NodeId{2});
}

TEST(Replica, ticksComeWhenTheProtocolWantsThem) {
  sim::SimDisk disk;
  Life life(disk, solo_options());
  life.scheduler.run_for(5 * kSecond + kMillisecond);
  EXPECT_EQ(life.protocol->ticks, 5);
}

// --- The directory ---

TEST(ReplicaDirectory, belongsToOneNodeOfOneClusterWithOneProtocol) {
  sim::SimDisk disk;
  { Life life(disk, solo_options()); }
  const auto refusal = [&](auto change) {
    disk.kill_and_restart();
    ReplicaOptions options = solo_options();
    change(options);
    Life life(disk, options);
    EXPECT_EQ(life.open_status.code(), Code::kFailedPrecondition);
    return std::string(life.open_status.message());
  };
  EXPECT_THAT(refusal([](auto& options) { options.cluster = 5; }), HasSubstr("belongs to cluster 000000000000c1e3"));
  EXPECT_THAT(refusal([](auto& options) { options.self = NodeId{2}; }), HasSubstr("belongs to node 1, not to 2"));
  EXPECT_THAT(refusal([](auto& options) { options.sessions.max_sessions = 5; }), HasSubstr("session limits"));
  EXPECT_THAT(refusal([](auto& options) {
                options.directory = "/elsewhere";
                options.bootstrap = false;
              }),
              HasSubstr("/elsewhere is empty"));
  disk.kill_and_restart();
  EXPECT_TRUE(Life(disk, solo_options()).open_status.ok());
}

TEST(ReplicaDirectory, isUsedByOneProcessAtATime) {
  sim::SimDisk disk;
  Life life(disk, solo_options());
  EXPECT_EQ(Life(disk, solo_options()).open_status.code(), Code::kFailedPrecondition);
}

TEST(ReplicaDirectory, withoutItsLogItsIdentityOrItsPeersItIsNotStarted) {
  for (const std::string lost : {"/data/log/00000001.wal", "/data/identity", "/data/peers"}) {
    sim::SimDisk disk;
    {
      Life life(disk, solo_options());
      life.submit("a");
      life.settle();
    }
    disk.kill_and_restart();
    ASSERT_TRUE(disk.remove(lost).ok());
    Life life(disk, solo_options());
    EXPECT_EQ(life.open_status.code(), Code::kDataLoss) << lost << ": " << life.open_status.to_string();
  }
}

TEST(ReplicaDirectory, ofAnEarlierVersionMayHaveMetNobodyAndRemembersFromThenOn) {
  sim::SimDisk disk;
  { Life life(disk, solo_options()); }
  disk.kill_and_restart();
  Identity identity = Identity::parse(disk.content("/data/identity"), "identity").value();
  identity.keeps_peers = false;
  ASSERT_TRUE(env::write_file_atomically(disk, "/data", "identity", identity.encode()).ok());
  ASSERT_TRUE(disk.remove("/data/peers").ok());
  EXPECT_TRUE(Life(disk, solo_options()).open_status.ok());
  disk.kill_and_restart();
  ASSERT_TRUE(disk.remove("/data/peers").ok());
  EXPECT_EQ(Life(disk, solo_options()).open_status.code(), Code::kDataLoss);
}

TEST(ReplicaDirectory, aDamagedIdentityIsToldApartFromAnotherNodes) {
  sim::SimDisk disk;
  { Life life(disk, solo_options()); }
  disk.kill_and_restart();
  disk.flip("/data/identity", 40, 1);
  EXPECT_EQ(Life(disk, solo_options()).open_status.code(), Code::kDataLoss);
}

TEST(ReplicaDirectory, aFirstStartThatIsCutShortAnywhereIsFinishedByTheNext) {
  uint64_t changes = 0;
  {
    sim::SimDisk disk;
    Life life(disk, solo_options());
    changes = disk.io_count();
  }
  for (uint64_t cut = 1; cut <= changes; ++cut) {
    sim::SimDisk disk;
    disk.crash_at_io(cut);
    { Life life(disk, solo_options()); }
    disk.crash_and_restart(cut);
    Life life(disk, solo_options(), 2);
    ASSERT_TRUE(life.open_status.ok()) << "cut at change " << cut << ": " << life.open_status.to_string();
    const auto outcome = life.submit("a");
    life.settle();
    EXPECT_EQ(outcome->text, "1") << cut;
  }
}

// --- Peers ---

TEST(ReplicaDirectory, aFirstStartWithoutRoomForALogIsRefusedAndNoLossToTheNext) {
  sim::SimDisk disk;
  disk.set_capacity(16 << 10);
  {
    Life life(disk, solo_options());
    EXPECT_EQ(life.open_status.code(), Code::kResourceExhausted) << life.open_status.to_string();
  }
  disk.kill_and_restart();
  disk.set_capacity(UINT64_MAX);
  Life life(disk, solo_options(), 2);
  EXPECT_TRUE(life.open_status.ok()) << life.open_status.to_string();
}

TEST(ReplicaPeers, aPeerIsHeardOnceItsInstanceIsRememberedDurably) {
  sim::SimDisk disk;
  Life life(disk, solo_options());
  life.transport.handler.on_frame(NodeId{2}, Instance{5}, protocol_frame("hello"));
  life.transport.handler.on_frame(NodeId{2}, Instance{5}, protocol_frame("again"));
  EXPECT_TRUE(life.protocol->received.empty());
  life.settle();
  ASSERT_EQ(life.protocol->received.size(), 2u);
  EXPECT_EQ(life.protocol->received[0].second, "hello");
  disk.crash_and_restart(3);
  EXPECT_THAT(disk.content("/data/peers"), HasSubstr("2 0000000000000005"));
}

TEST(ReplicaPeers, aPeerWithAnotherDirectoryIsRefusedAlsoAfterARestart) {
  sim::SimDisk disk;
  {
    Life life(disk, solo_options());
    life.transport.handler.on_frame(NodeId{2}, Instance{5}, protocol_frame("hello"));
    life.settle();
    life.transport.handler.on_frame(NodeId{2}, Instance{6}, protocol_frame("wiped"));
    life.settle();
    EXPECT_EQ(life.protocol->received.size(), 1u);
    EXPECT_EQ(life.replica->stats().stale_instances, 1u);
  }
  disk.crash_and_restart(1);
  Life life(disk, solo_options(), 2);
  EXPECT_FALSE(life.transport.handler.admits(NodeId{2}, Instance{6}));
  EXPECT_TRUE(life.transport.handler.admits(NodeId{2}, Instance{5}));
  EXPECT_TRUE(life.transport.handler.admits(NodeId{3}, Instance{6}));  // no member: nothing is remembered
  EXPECT_TRUE(life.transport.handler.admits(NodeId{3}, Instance{7}));
  life.transport.handler.on_frame(NodeId{2}, Instance{6}, protocol_frame("wiped"));
  life.transport.handler.on_frame(NodeId{2}, Instance{5}, protocol_frame("itself"));
  life.settle();
  ASSERT_EQ(life.protocol->received.size(), 1u);
  EXPECT_EQ(life.protocol->received[0].second, "itself");
}

// --- Damage ---

// Three records, each in a group of its own, and a start after them, so that the last one has a proof behind it.
void write_three(sim::SimDisk& disk) {
  Life life(disk, solo_options());
  for (const char* body : {"one", "two", "three"}) {
    life.submit(body);
    life.settle();
  }
}

TEST(ReplicaRecovery, aTornTailIsCut) {
  sim::SimDisk disk;
  write_three(disk);
  disk.kill_and_restart();
  disk.flip("/data/log/00000001.wal", 3 * 4096 + 60, 1);  // group 0 is a mark
  Life life(disk, solo_options(), 2);
  ASSERT_TRUE(life.open_status.ok());
  life.settle();
  EXPECT_TRUE(life.protocol->gaps.empty());
  EXPECT_GT(life.replica->recovery().torn_tail_bytes, 0u);
  EXPECT_THAT(life.machine.list, ElementsAre("one", "two"));
}

TEST(ReplicaRecovery, ACorruptMiddleIsGivenToTheProtocolWithItsNumbers) {
  sim::SimDisk disk;
  write_three(disk);
  disk.kill_and_restart();
  { Life second(disk, solo_options(), 2); }  // its log begins with a mark behind the three
  disk.kill_and_restart();
  disk.flip("/data/log/00000001.wal", 2 * 4096 + 60, 1);
  disk.flip("/data/log/00000001.wal", 3 * 4096 + 60, 1);
  Life life(disk, solo_options(), 3);
  ASSERT_TRUE(life.open_status.ok());
  EXPECT_THAT(life.protocol->gaps, ElementsAre(std::make_pair(LogSeq{2}, LogSeq{3})));
  EXPECT_FALSE(life.replica->recovery().damage.empty());
}

}  // namespace
}  // namespace clew::consensus

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "sim/disk.h"
#include "sim/loop.h"
#include "sim/random.h"

namespace clew::sim {
namespace {

TEST(SimLoop, runsEventsByTimeAndThenByOrderOfAsking) {
  Scheduler scheduler;
  SimLoop loop(scheduler);
  std::vector<int> order;
  loop.after(20, [&] { order.push_back(4); });
  loop.after(10, [&] { order.push_back(2); });
  loop.post([&] { order.push_back(1); });
  loop.after(10, [&] { order.push_back(3); });
  scheduler.run_until_idle();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(scheduler.now_ns(), 20);
}

TEST(SimLoop, timeMovesOnlyWithEventsAndRunFor) {
  Scheduler scheduler;
  SimLoop loop(scheduler, 1'000);
  EXPECT_EQ(loop.clock().wall_ns(), 1'000);
  int fired = 0;
  loop.after(50, [&] { ++fired; });
  scheduler.run_for(49);
  EXPECT_EQ(fired, 0);
  scheduler.run_for(1);
  EXPECT_EQ(fired, 1);
  scheduler.run_for(950);
  EXPECT_EQ(loop.clock().mono_ns(), 1'000);
  loop.sim_clock().set_wall_offset(-500);
  EXPECT_EQ(loop.clock().wall_ns(), 1'500);
  EXPECT_EQ(loop.clock().mono_ns(), 1'000);
}

TEST(SimLoop, cancelledTimersAndKilledLoopsStayQuiet) {
  Scheduler scheduler;
  SimLoop loop(scheduler), other(scheduler);
  int ran = 0;
  const env::TimerId timer = loop.after(5, [&] { ++ran; });
  loop.after(6, [&] { ++ran; });
  loop.cancel(timer);
  loop.cancel(12345);
  scheduler.run_for(6);
  EXPECT_EQ(ran, 1);
  loop.post([&] { ++ran; });
  loop.after(1, [&] { ++ran; });
  loop.offload(
      env::Lane::kQuery, [&] { ++ran; }, [&] { ++ran; });
  other.post([&] { ran += 100; });
  loop.kill();
  loop.post([&] { ++ran; });
  scheduler.run_until_idle();
  EXPECT_EQ(ran, 101);
}

TEST(SimLoop, offloadedWorkTakesTimeRunsInOrderAndComesBack) {
  Scheduler scheduler;
  SimLoop loop(scheduler);
  loop.set_offload_latency(100);
  std::vector<std::string> order;
  for (const std::string name : {"a", "b"}) {
    loop.offload(
        env::Lane::kBackground,
        [&, name] {
          EXPECT_FALSE(loop.on_this_thread());
          order.push_back("work " + name);
        },
        [&, name] {
          EXPECT_TRUE(loop.on_this_thread());
          order.push_back("done " + name);
        });
  }
  EXPECT_TRUE(order.empty());
  scheduler.run_until_idle();
  EXPECT_EQ(order, (std::vector<std::string>{"work a", "done a", "work b", "done b"}));
  EXPECT_EQ(scheduler.now_ns(), 200);
}

std::unique_ptr<env::File> create(SimDisk& disk, const std::string& path) {
  EXPECT_TRUE(disk.make_dirs("/d").ok());
  auto file = disk.open(path, {.create = true, .writable = true});
  EXPECT_TRUE(file.ok());
  return std::move(file).value();
}

TEST(SimDisk, syncedBytesUnderASyncedNameAlwaysSurvive) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimDisk disk;
    auto file = create(disk, "/d/f");
    ASSERT_TRUE(file->write_at(0, "durable").ok());
    ASSERT_TRUE(file->sync().ok());
    ASSERT_TRUE(disk.sync_dir("/d").ok());
    ASSERT_TRUE(file->write_at(0, "DURABLE?").ok());
    disk.crash_and_restart(seed);
    const std::string content = disk.content("/d/f");
    EXPECT_TRUE(content == "durable" || content == "DURABLE?") << content;
  }
}

TEST(SimDisk, unsyncedWritesAreKeptDroppedAndTornAtSectors) {
  bool kept = false, dropped = false, torn = false;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SimDisk disk;
    auto file = create(disk, "/d/f");
    ASSERT_TRUE(file->write_at(0, std::string(2048, 'a')).ok());
    ASSERT_TRUE(file->sync().ok());
    ASSERT_TRUE(disk.sync_dir("/d").ok());
    ASSERT_TRUE(file->write_at(0, std::string(2048, 'b')).ok());
    disk.crash_and_restart(seed);
    const std::string content = disk.content("/d/f");
    ASSERT_EQ(content.size(), 2048u);
    std::set<char> seen(content.begin(), content.end());
    if (seen == std::set<char>{'a'}) dropped = true;
    if (seen == std::set<char>{'b'}) kept = true;
    if (seen.size() == 2) torn = true;
    for (size_t sector = 0; sector < 4; ++sector) {
      const std::string_view bytes = std::string_view(content).substr(sector * 512, 512);
      EXPECT_EQ(bytes.find_first_not_of(bytes[0]), std::string_view::npos) << "a sector is torn itself";
    }
  }
  EXPECT_TRUE(kept && dropped && torn);
}

TEST(SimDisk, namesAreDurableOnlyAfterTheDirectoryWasSynced) {
  bool lost = false, found = false;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimDisk disk;
    auto file = create(disk, "/d/f");
    ASSERT_TRUE(file->sync().ok());
    disk.crash_and_restart(seed);
    (disk.exists("/d/f") ? found : lost) = true;
  }
  EXPECT_TRUE(lost && found);
}

TEST(SimDisk, anUnsyncedRenameOverAFileLeavesOneOfTheTwo) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimDisk disk;
    auto a = create(disk, "/d/a"), b = create(disk, "/d/b");
    ASSERT_TRUE(a->write_at(0, "A").ok() && a->sync().ok() && b->write_at(0, "B").ok() && b->sync().ok());
    ASSERT_TRUE(disk.sync_dir("/d").ok());
    ASSERT_TRUE(disk.rename("/d/a", "/d/b").ok());
    disk.crash_and_restart(seed);
    seen.insert(disk.content("/d/b"));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"A", "B"}));
}

TEST(SimDisk, afterThePowerCutNothingAnswersAndOldHandlesStayDead) {
  SimDisk disk;
  auto file = create(disk, "/d/f");
  disk.crash_at_io(disk.io_count() + 1);
  EXPECT_FALSE(file->write_at(0, "x").ok());
  EXPECT_TRUE(disk.crashed());
  EXPECT_FALSE(file->sync().ok());
  EXPECT_FALSE(disk.list("/d").ok());
  disk.crash_and_restart(1);
  EXPECT_FALSE(file->write_at(0, "x").ok());
  EXPECT_TRUE(disk.list("/d").ok());
}

TEST(SimDisk, completionsNeverComeAfterThePowerCut) {
  Scheduler scheduler;
  SimLoop loop(scheduler);
  SimDisk disk;
  auto file = create(disk, "/d/f");
  int completed = 0;
  file->submit_write(loop, 0, "abc", true, [&](Status) { ++completed; });
  disk.crash_at_io(disk.io_count() + 1);  // the sync of that write
  scheduler.run_until_idle();
  EXPECT_EQ(completed, 0);
  EXPECT_TRUE(disk.crashed());
}

TEST(SimDisk, submittedWritesCompleteInOrderAndLater) {
  Scheduler scheduler;
  SimLoop loop(scheduler);
  SimDisk disk;
  auto file = create(disk, "/d/f");
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) {
    file->submit_write(loop, static_cast<uint64_t>(i), "x", i == 1, [&, i](Status status) {
      EXPECT_TRUE(status.ok());
      order.push_back(i);
    });
    disk.set_latency(10);  // the later ones are faster, and still not first
  }
  EXPECT_TRUE(order.empty());
  scheduler.run_until_idle();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST(SimDisk, aFullDiskRefusesAndTakesAgainWhenSpaceIsFreed) {
  SimDisk disk;
  disk.set_capacity(8192);
  auto a = create(disk, "/d/a"), b = create(disk, "/d/b");
  EXPECT_TRUE(a->preallocate(8192).ok());
  EXPECT_EQ(b->write_at(0, "x").code(), Code::kResourceExhausted);
  EXPECT_TRUE(a->write_at(4096, "within what is reserved").ok());
  EXPECT_EQ(disk.space("/d").value().free_bytes, 0u);
  ASSERT_TRUE(disk.remove("/d/a").ok());
  EXPECT_EQ(b->write_at(0, "x").code(), Code::kResourceExhausted);  // an open file keeps its blocks
  a.reset();
  ASSERT_TRUE(disk.sync_dir("/d").ok());
  EXPECT_TRUE(b->write_at(0, "x").ok());
}

TEST(SimDisk, injectedErrorsHitTheChosenCallOnly) {
  SimDisk disk;
  auto file = create(disk, "/d/f");
  disk.fail_write(2);
  EXPECT_TRUE(file->write_at(0, std::string(8192, 'x')).ok());
  EXPECT_FALSE(file->write_at(0, "y").ok());
  EXPECT_TRUE(file->write_at(0, "z").ok());
  disk.fail_sync(1);
  EXPECT_FALSE(file->sync().ok());
  EXPECT_TRUE(file->sync().ok());
  disk.fail_reads("/d/f", 4096, 1);
  char out[1];
  EXPECT_FALSE(file->read_at(4096, out, 1).ok());
  EXPECT_TRUE(file->read_at(4097, out, 1).ok());
  disk.flip("/d/f", 0, 0xff);
  EXPECT_EQ(disk.content("/d/f")[0], static_cast<char>('z' ^ 0xff));
}

TEST(SimDisk, theDirectoryLockEndsWithItsHolder) {
  SimDisk disk;
  ASSERT_TRUE(disk.make_dirs("/d").ok());
  auto lock = disk.lock_dir("/d");
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(disk.lock_dir("/d").status().code(), Code::kFailedPrecondition);
  lock.value().reset();
  EXPECT_TRUE(disk.lock_dir("/d").ok());
}

TEST(SimRandom, repeatsItsSeed) {
  SimRandom a(3), b(3), c(4);
  const uint64_t first = a.next();
  EXPECT_EQ(first, b.next());
  EXPECT_NE(first, c.next());
}

}  // namespace
}  // namespace clew::sim

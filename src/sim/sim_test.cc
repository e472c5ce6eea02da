#include <gtest/gtest.h>

#include <set>
#include <utility>
#include <vector>

#include "sim/disk.h"
#include "sim/file_image.h"
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

TEST(SimLoop, workThatTakesItsTimeHasTheWorkerThatIsFreeFirst) {
  Scheduler scheduler;
  SimLoop loop(scheduler);
  loop.set_offload_latency(1);
  loop.set_workers(2);
  std::vector<std::pair<int64_t, int64_t>> done;  // what it took, and when it was done
  for (const int64_t takes : {100, 300, 100, 0}) {
    loop.offload(
        env::Lane::kQuery, [&loop, takes] { loop.take(takes); },
        [&, takes] { done.emplace_back(takes, scheduler.now_ns()); });
  }
  scheduler.run_until_idle();
  EXPECT_EQ(done, (std::vector<std::pair<int64_t, int64_t>>{{0, 4}, {100, 101}, {100, 201}, {300, 302}}));
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

TEST(Scheduler, theHashIsOfWhatRanAndWhen) {
  const auto hash = [](int64_t first, int64_t second, bool cancel) {
    Scheduler scheduler;
    SimLoop loop(scheduler);
    loop.after(first, [] {});
    const env::TimerId timer = loop.after(second, [] {});
    if (cancel) loop.cancel(timer);
    scheduler.run_until_idle();
    return scheduler.trace_hash();
  };
  EXPECT_EQ(hash(1, 2, false), hash(1, 2, false));
  EXPECT_EQ((std::set<uint64_t>{hash(1, 2, false), hash(1, 3, false), hash(2, 1, false), hash(1, 2, true)}).size(), 4u);
}

TEST(Scheduler, idsOfPastEventsCancelNothing) {
  Scheduler scheduler;
  SimLoop loop(scheduler);
  int ran = 0;
  const env::TimerId past = loop.after(1, [&] { ++ran; });
  scheduler.run_until_idle();
  loop.after(1, [&] { ++ran; });  // takes the same slot
  loop.cancel(past);
  scheduler.run_until_idle();
  EXPECT_EQ(ran, 2);
}

TEST(Scheduler, whatATaskHoldsMayScheduleAndCancelWhenItDies) {
  struct Goodbye {
    SimLoop* loop;
    env::TimerId* other;
    ~Goodbye() {
      if (loop == nullptr) return;
      loop->cancel(*other);
      loop->post([] {});
    }
    Goodbye(SimLoop* l, env::TimerId* o) : loop(l), other(o) {}
    Goodbye(Goodbye&& from) noexcept : loop(std::exchange(from.loop, nullptr)), other(from.other) {}
  };
  Scheduler scheduler;
  auto loop = std::make_unique<SimLoop>(scheduler);
  env::TimerId other = 0;
  const env::TimerId first = loop->after(5, [goodbye = Goodbye(loop.get(), &other)] {});
  other = loop->after(6, [] {});
  loop->after(7, [goodbye = Goodbye(loop.get(), &other)] {});
  loop->cancel(first);
  loop->kill();
  scheduler.run_until_idle();
  EXPECT_EQ(scheduler.events_run(), 0u);
}

TEST(SimClock, aDriftingClockRunsAtItsRateAndTimersGoByIt) {
  Scheduler scheduler;
  SimLoop loop(scheduler, 0);
  loop.sim_clock().set_drift_ppm(100'000);  // a tenth too fast
  scheduler.run_for(1'000'000);
  EXPECT_EQ(loop.clock().mono_ns(), 1'100'000);
  EXPECT_EQ(loop.clock().wall_ns(), 1'100'000);
  int64_t fired_at = 0;
  loop.after(1'100'000, [&] { fired_at = scheduler.now_ns(); });
  scheduler.run_until_idle();
  EXPECT_EQ(fired_at, 2'000'000);
  loop.sim_clock().set_drift_ppm(0);
  EXPECT_EQ(loop.clock().mono_ns(), 2'200'000) << "a change of rate is no jump";
}

TEST(SimClock, noTimerIsEarlyByItsOwnClockWhenThatIsSlowed) {
  Scheduler scheduler;
  SimLoop loop(scheduler);
  const int64_t asked_at = loop.clock().mono_ns();
  int64_t fired_at = 0;
  bool cancelled_ran = false;
  loop.after(1'000'000, [&] { fired_at = loop.clock().mono_ns(); });
  const env::TimerId cancelled = loop.after(1'000'000, [&] { cancelled_ran = true; });
  loop.sim_clock().set_drift_ppm(-500'000);
  scheduler.run_for(1'500'000);
  EXPECT_EQ(fired_at, 0);
  loop.cancel(cancelled);  // by the id that was given, though it was scheduled anew
  scheduler.run_until_idle();
  EXPECT_GE(fired_at - asked_at, 1'000'000);
  EXPECT_FALSE(cancelled_ran);
}

TEST(SimLoop, whatCameDueWhileItWasPausedRunsLateAndInOrder) {
  Scheduler scheduler;
  SimLoop loop(scheduler);
  std::vector<std::string> order;
  env::TimerId third = 0;
  loop.after(10, [&] {
    order.push_back("first");
    loop.cancel(third);
  });
  loop.after(20, [&] { order.push_back("second"); });
  third = loop.after(30, [&] { order.push_back("third"); });
  loop.after(2'000, [&] { order.push_back("last"); });
  loop.pause();
  loop.post([&] { order.push_back("posted"); });
  scheduler.run_for(1'000);
  EXPECT_TRUE(order.empty());
  EXPECT_EQ(loop.clock().mono_ns(), 1'000) << "time goes on without it";
  loop.resume();
  EXPECT_TRUE(order.empty());
  scheduler.run_until_idle();
  EXPECT_EQ(order, (std::vector<std::string>{"posted", "first", "second", "last"}));
}

TEST(SimLoop, aTimerCancelledWhileItsProcessIsPausedStaysQuiet) {
  Scheduler scheduler;
  SimLoop loop(scheduler);
  int ran = 0;
  const env::TimerId timer = loop.after(10, [&] { ++ran; });
  loop.pause();
  scheduler.run_for(100);
  loop.cancel(timer);
  loop.resume();
  scheduler.run_until_idle();
  EXPECT_EQ(ran, 0);
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

TEST(SimDisk, aFailedSyncMayHaveDroppedWhatLaterSyncsPretendToKeep) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SimDisk disk;
    auto file = create(disk, "/d/f");
    ASSERT_TRUE(disk.sync_dir("/d").ok());
    ASSERT_TRUE(file->write_at(0, "first").ok() && file->sync().ok());
    ASSERT_TRUE(file->write_at(0, "SECOND").ok());
    disk.fail_sync(1, true);
    EXPECT_FALSE(file->sync().ok());
    EXPECT_TRUE(file->sync().ok());
    EXPECT_EQ(disk.content("/d/f"), "SECOND") << "the page cache still shows it";
    ASSERT_TRUE(file->write_at(6, "!").ok() && file->sync().ok());
    disk.crash_and_restart(seed);
    EXPECT_EQ(disk.content("/d/f"), std::string("first\0!", 7));
  }
}

TEST(SimDisk, aMisdirectedWriteIsReportedDoneAndIsElsewhere) {
  SimDisk disk;
  auto file = create(disk, "/d/f");
  ASSERT_TRUE(file->write_at(0, std::string(12'288, 'a')).ok());
  disk.misdirect_write(2, 8192);
  EXPECT_TRUE(file->write_at(0, "b").ok());
  EXPECT_TRUE(file->write_at(1, "c").ok());
  EXPECT_TRUE(file->write_at(2, "d").ok());
  const std::string content = disk.content("/d/f");
  EXPECT_EQ(content.substr(0, 3), "bad");
  EXPECT_EQ(content[8193], 'c');
}

TEST(SimDisk, aDamagedSectorStaysUntilItIsWritten) {
  SimDisk disk;
  auto file = create(disk, "/d/f");
  ASSERT_TRUE(disk.sync_dir("/d").ok());
  ASSERT_TRUE(file->write_at(0, std::string(2048, 'a')).ok() && file->sync().ok());
  disk.damage("/d/f", 600, 10);
  char out[512];
  EXPECT_FALSE(file->read_at(512, out, 512).ok());
  EXPECT_TRUE(file->read_at(0, out, 512).ok());
  disk.crash_and_restart(1);
  file = std::move(disk.open("/d/f", {.writable = true})).value();
  EXPECT_FALSE(file->read_at(1023, out, 1).ok());
  ASSERT_TRUE(file->write_at(512, std::string(512, 'b')).ok());
  EXPECT_TRUE(file->read_at(512, out, 512).ok());
}

TEST(SimDisk, aTransientReadErrorPasses) {
  SimDisk disk;
  auto file = create(disk, "/d/f");
  ASSERT_TRUE(file->write_at(0, "abc").ok());
  disk.fail_reads("/d/f", 0, 3, 2);
  char out[3];
  EXPECT_FALSE(file->read_at(0, out, 3).ok());
  EXPECT_FALSE(file->read_at(0, out, 3).ok());
  EXPECT_TRUE(file->read_at(0, out, 3).ok());
}

TEST(SimDisk, aKilledProcessLosesItsHandlesAndNothingElse) {
  SimDisk disk;
  auto file = create(disk, "/d/f");
  auto lock = disk.lock_dir("/d");
  ASSERT_TRUE(lock.ok() && file->write_at(0, "unsynced").ok());
  disk.kill_and_restart();
  EXPECT_FALSE(file->sync().ok());
  EXPECT_EQ(disk.content("/d/f"), "unsynced");
  EXPECT_TRUE(disk.lock_dir("/d").ok());
  disk.wipe();
  EXPECT_FALSE(disk.exists("/d/f"));
  EXPECT_EQ(disk.used_bytes(), 0u);
  EXPECT_FALSE(disk.list("/d").ok());
}

// The image against the plain reading of its contract: what was synced is there, byte by byte from some allowed mix.
TEST(FileImage, zerosTakeNoRoomAndAreTornLikeOtherBytes) {
  FileImage image;
  image.write(0, std::string(4 * kPageBytes, 'x'));
  image.sync();
  image.write(kPageBytes, std::string(2 * kPageBytes, '\0'));
  image.write(4 * kPageBytes, std::string(8 * kPageBytes, '\0'));  // ahead
  EXPECT_EQ(image.size(), 12 * kPageBytes);
  EXPECT_EQ(image.now().written_end(), 4 * kPageBytes);
  EXPECT_EQ(image.now().substr(kPageBytes, 2 * kPageBytes), std::string(2 * kPageBytes, '\0'));
  image.flip(2 * kPageBytes, 1);
  EXPECT_EQ(image.now().substr(2 * kPageBytes, 1), "\1");
  bool kept = false, dropped = false, torn = false;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    FileImage copy;
    copy.write(0, std::string(4 * kPageBytes, 'x'));
    copy.sync();
    copy.write(0, std::string(2 * kPageBytes, '\0'));
    Generator random(seed);
    copy.cut(random);
    const std::string now = copy.now().substr(0, 2 * kPageBytes);
    const auto zeros = static_cast<size_t>(std::count(now.begin(), now.end(), '\0'));
    EXPECT_EQ(zeros % kSectorBytes, 0u);
    kept = kept || zeros == now.size();
    dropped = dropped || zeros == 0;
    torn = torn || (zeros != 0 && zeros != now.size());
  }
  EXPECT_TRUE(kept && dropped && torn);
}

TEST(FileImage, afterACutEverySectorIsOfTheLastSyncOrLater) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Generator random(seed);
    FileImage image;
    std::string model, durable;
    std::vector<std::string> since{std::string()};  // states that programs saw since the last sync
    for (int step = 0; step < 30; ++step) {
      const uint64_t what = random.below(8);
      if (what < 5) {
        const uint64_t offset = random.below(6000);
        const std::string bytes(1 + random.below(3000), static_cast<char>('a' + random.below(26)));
        image.write(offset, bytes);
        if (model.size() < offset + bytes.size()) model.resize(offset + bytes.size());
        model.replace(offset, bytes.size(), bytes);
      } else if (what == 5) {
        const uint64_t size = random.below(8000);
        image.truncate(size);
        model.resize(size);
      } else if (what == 6) {
        const uint64_t size = random.below(8000);
        image.allocate(size);
        if (model.size() < size) model.resize(size);
      } else {
        image.sync();
        durable = model;
        since.clear();
      }
      since.push_back(model);
      ASSERT_EQ(image.now().substr(0, image.size()), model) << "seed " << seed;
    }
    image.cut(random);
    const std::string left = image.now().substr(0, image.size());
    if (since.size() == 1 && durable == model) {
      EXPECT_EQ(left, model);
    }
    for (size_t at = 0; at < left.size(); ++at) {
      // Dropped truncations and allocations leave older bytes or zeros.
      bool known = left[at] == '\0' || (at < durable.size() && left[at] == durable[at]);
      for (const std::string& state : since) known = known || (at < state.size() && left[at] == state[at]);
      ASSERT_TRUE(known) << "seed " << seed << ", byte " << at;
    }
  }
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

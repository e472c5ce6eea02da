#include "wal/wal.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "wal/format.h"
#include "wal/wal_rig_test.h"

namespace clew::wal {
namespace {

void expect_replays(LogRun& run, const std::map<uint64_t, std::string>& expected) {
  ASSERT_TRUE(run.open_status.ok()) << run.open_status.to_string();
  std::vector<std::pair<uint64_t, std::string>> wanted(expected.begin(), expected.end());
  ASSERT_EQ(run.replayed.size(), wanted.size());
  EXPECT_TRUE(run.replayed == wanted);
}

TEST(Wal, replaysWhatWasCompletedInOrder) {
  sim::SimDisk disk;
  std::map<uint64_t, std::string> written;
  {
    LogRun run(disk);
    ASSERT_TRUE(run.open_status.ok()) << run.open_status.to_string();
    for (int i = 0; i < 100; ++i) run.append_random(900);
    run.settle();
    EXPECT_EQ(run.completed.size(), 100u);
    EXPECT_TRUE(std::is_sorted(run.completed.begin(), run.completed.end()));
    EXPECT_EQ(run.wal->durable_record(), 100u);
    written = run.appended;
  }
  disk.crash_and_restart(1);
  LogRun again(disk);
  expect_replays(again, written);
  EXPECT_TRUE(again.report.damage.empty());
  EXPECT_EQ(again.wal->last_record(), 100u);
}

TEST(Wal, appendsDuringAWriteShareTheNextGroup) {
  sim::SimDisk disk;
  LogRun run(disk);
  for (int i = 0; i < 10; ++i) run.append("first burst");
  run.scheduler.run_for(1'000);  // the write of the first group is under way
  for (int i = 0; i < 10; ++i) run.append("second burst");
  run.settle();
  EXPECT_EQ(run.completed.size(), 20u);
  EXPECT_EQ(run.wal->sync_count(), 2u);
}

TEST(Wal, aRecordLargerThanAGroupHasOneOfItsOwn) {
  sim::SimDisk disk;
  std::map<uint64_t, std::string> written;
  {
    LogRun run(disk);
    run.append("before");
    run.append(std::string(500'000, 'x'));
    run.append("behind");
    run.append("");
    run.settle();
    EXPECT_EQ(run.completed.size(), 4u);
    written = run.appended;
  }
  LogRun again(disk);
  expect_replays(again, written);
}

TEST(Wal, completionsThatAppendAreServed) {
  sim::SimDisk disk;
  LogRun run(disk);
  int done = 0;
  UniqueFunction<void()> chain;
  chain = [&] {
    if (++done < 5) {
      const std::string_view piece[] = {"link"};
      run.wal->append(piece, [&] { chain(); });
    }
  };
  const std::string_view piece[] = {"link"};
  run.wal->append(piece, [&] { chain(); });
  run.settle();
  EXPECT_EQ(done, 5);
}

TEST(Wal, memoryDurabilityCompletesBeforeTheDisk) {
  sim::SimDisk disk;
  disk.set_latency(1'000'000);
  Options options = small_options();
  options.durability = Durability::kMemory;
  LogRun run(disk, options);
  run.append("x");
  EXPECT_TRUE(run.completed.empty());  // later, never inside append
  run.scheduler.run_for(10);
  EXPECT_EQ(run.completed.size(), 1u);
  EXPECT_EQ(run.wal->durable_record(), 0u);
  run.settle();
  EXPECT_EQ(run.wal->durable_record(), 1u);
}

TEST(Wal, osDurabilityWritesWithoutSync) {
  sim::SimDisk disk;
  Options options = small_options();
  options.durability = Durability::kOs;
  LogRun run(disk, options);
  const uint64_t before = disk.sync_count();
  run.append("x");
  run.settle();
  EXPECT_EQ(run.completed.size(), 1u);
  EXPECT_EQ(disk.sync_count(), before);
}

TEST(Wal, rotationReleaseAndRecyclingNeverReplayStaleGroups) {
  sim::SimDisk disk;
  std::map<uint64_t, std::string> live;
  uint64_t run_number = 1;
  for (int life = 0; life < 3; ++life) {
    LogRun run(disk, small_options(), ++run_number);
    expect_replays(run, live);
    EXPECT_TRUE(run.report.damage.empty());
    uint64_t rotations = 0;
    for (int i = 0; i < 600; ++i) {
      run.append_random(3000);
      run.scheduler.run_for(300'000);
      if (run.wal->wants_rotation()) {
        run.wal->rotate();
        ++rotations;
        run.wal->release(std::max<uint64_t>(run.wal->last_record(), 40) - 40);
      }
    }
    run.settle();
    EXPECT_GT(rotations, 5u);
    EXPECT_LT(run.wal->disk_bytes(), 8 * small_options().file_bytes);
    live.insert(run.appended.begin(), run.appended.end());
    // Everything up to the first record that a file on the disk still holds is gone.
    disk.crash_and_restart(static_cast<uint64_t>(life));
    LogRun look(disk);
    ASSERT_TRUE(look.open_status.ok()) << look.open_status.to_string();
    ASSERT_FALSE(look.replayed.empty());
    live.erase(live.begin(), live.lower_bound(look.replayed.front().first));
    expect_replays(look, live);
  }
}

TEST(Wal, numbersGoOnAfterEverythingWasReleased) {
  sim::SimDisk disk;
  {
    LogRun run(disk);
    for (int i = 0; i < 7; ++i) run.append("x");
    run.settle();
    run.wal->rotate();
    run.wal->release(7);
    run.settle();
  }
  disk.crash_and_restart(3);
  LogRun again(disk);
  ASSERT_TRUE(again.open_status.ok());
  EXPECT_TRUE(again.replayed.empty());
  EXPECT_EQ(again.wal->last_record(), 7u);
  EXPECT_EQ(again.append("y"), 8u);
}

TEST(Wal, nothingIsReleasedBeforeTheNewFileIsDurable) {
  sim::SimDisk disk;
  LogRun run(disk);
  run.append("x");
  run.settle();
  run.wal->rotate();
  run.wal->release(1);
  EXPECT_TRUE(disk.exists("/wal/00000001.wal"));
  run.settle();
  EXPECT_FALSE(disk.exists("/wal/00000001.wal"));
}

TEST(Wal, trimGivesBackAllButALittle) {
  sim::SimDisk disk;
  Options options = small_options();
  options.file_bytes = 8 << 20;
  options.max_group_bytes = 1 << 20;
  LogRun run(disk, options);
  EXPECT_GE(run.wal->disk_bytes(), options.file_bytes);
  run.append_random(900);
  run.settle();
  run.wal->trim();
  run.settle();
  EXPECT_LE(run.wal->disk_bytes(), uint64_t{(1 << 20) + (64 << 10)});
  EXPECT_LE(disk.used_bytes(), uint64_t{(1 << 20) + (64 << 10)});
  EXPECT_TRUE(run.wal->reserve(100'000).ok());  // and admits at once all the same
  run.settle();
  EXPECT_LE(disk.used_bytes(), uint64_t{(1 << 20) + (64 << 10)});  // a promise alone takes nothing back
  for (int i = 0; i < 100; ++i) run.append(std::string(30'000, 'y'));
  run.settle();
  EXPECT_EQ(run.completed.size(), 101u);
  const auto written = run.appended;
  disk.crash_and_restart(1);
  LogRun again(disk, options);
  expect_replays(again, written);
}

TEST(Wal, appendDuringATrimIsNotCutOff) {
  sim::SimDisk disk;
  Options options = small_options();
  options.file_bytes = 8 << 20;
  options.max_group_bytes = 1 << 20;
  LogRun run(disk, options);
  run.wal->trim();
  run.append(std::string(900'000, 'a'));
  run.append(std::string(900'000, 'b'));
  run.settle();
  EXPECT_EQ(run.completed.size(), 2u);
  const auto written = run.appended;
  disk.crash_and_restart(5);
  LogRun again(disk, options);
  expect_replays(again, written);
}

// --- Full disk and I/O errors ---

TEST(Wal, fullDiskRefusesReservationsAndRecoversByItself) {
  sim::SimDisk disk;
  disk.set_capacity(400 << 10);
  LogRun run(disk);
  ASSERT_TRUE(run.open_status.ok());
  int refused = 0, admitted = 0;
  for (int i = 0; i < 400; ++i) {
    if (run.wal->reserve(3000).ok()) {
      run.append(std::string(3000, 'x'));
      ++admitted;
    } else {
      ++refused;
    }
    run.scheduler.run_for(1'000'000);
    if (run.wal->wants_rotation()) run.wal->rotate();
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(admitted, 50);
  EXPECT_TRUE(run.halts.empty());
  EXPECT_EQ(run.completed.size(), static_cast<size_t>(admitted));
  EXPECT_EQ(run.wal->reserve(3000).code(), Code::kResourceExhausted);
  disk.set_capacity(4 << 20);
  (void)run.wal->reserve(3000);  // the client's retry
  run.scheduler.run_for(10'000'000);
  EXPECT_TRUE(run.wal->reserve(3000).ok());
}

TEST(Wal, opensOnAFullDiskAndAdmitsOnceThereIsRoom) {
  sim::SimDisk disk;
  disk.set_capacity(8 << 10);
  LogRun run(disk);
  ASSERT_TRUE(run.open_status.ok()) << run.open_status.to_string();
  EXPECT_EQ(run.wal->reserve(100).code(), Code::kResourceExhausted);
  disk.set_capacity(4 << 20);
  run.settle();
  ASSERT_TRUE(run.wal->reserve(100).ok());
  run.append("x");
  run.settle();
  EXPECT_EQ(run.completed.size(), 1u);
  EXPECT_TRUE(run.halts.empty());
}

TEST(Wal, rotationOntoAFullDiskKeepsAdmittedRecordsUntilThereIsRoom) {
  sim::SimDisk disk;
  LogRun run(disk);
  run.append("x");
  run.settle();
  disk.set_capacity(disk.used_bytes());
  run.wal->rotate();
  run.append("y");
  run.settle();
  EXPECT_EQ(run.completed.size(), 1u);
  EXPECT_TRUE(run.halts.empty());
  disk.set_capacity(4 << 20);
  run.settle();
  EXPECT_EQ(run.completed.size(), 2u);
}

TEST(Wal, reservationsWithinTheAnswerNeverMeetAFullDisk) {
  sim::SimDisk disk;
  LogRun run(disk);
  Generator random(7);
  for (int round = 0; round < 300; ++round) {
    const uint64_t bytes = random.below(12'000);
    if (run.wal->reserve(bytes).ok()) {
      disk.set_capacity(disk.used_bytes());  // not a block more than there is
      run.append(std::string(bytes, 'x'));
      run.scheduler.run_for(1'000'000);
      disk.set_capacity(64 << 20);
    } else {
      run.scheduler.run_for(1'000'000);
    }
    if (run.wal->wants_rotation()) run.wal->rotate();
  }
  run.settle();
  EXPECT_TRUE(run.halts.empty());
  EXPECT_EQ(run.completed.size(), run.appended.size());
}

TEST(Wal, aSlowDiskRefusesInsteadOfFillingMemory) {
  sim::SimDisk disk;
  disk.set_latency(10'000'000'000);
  Options options = small_options();
  options.file_bytes = 64 << 20;
  options.max_pending_bytes = 100'000;
  LogRun run(disk, options);
  int admitted = 0;
  while (admitted < 1000 && run.wal->reserve(10'000).ok()) {
    run.append(std::string(10'000, 'x'));
    ++admitted;
  }
  EXPECT_LE(admitted, 10);
  EXPECT_GE(admitted, 8);
}

class WalIoError : public testing::TestWithParam<bool> {};  // of the sync, else of the write

TEST_P(WalIoError, haltsOnceAndCompletesNothingMore) {
  sim::SimDisk disk;
  LogRun run(disk);
  run.append("good");
  run.settle();
  ASSERT_EQ(run.completed.size(), 1u);
  if (GetParam()) {
    disk.fail_sync(1);
  } else {
    disk.fail_write(1);
  }
  run.append("bad");
  run.append("bad, too");
  run.scheduler.run_for(1'000);
  run.append("gathered meanwhile");
  run.settle();
  run.append("after");
  run.settle();
  EXPECT_EQ(run.halts.size(), 1u);
  EXPECT_TRUE(run.wal->halted());
  EXPECT_EQ(run.completed.size(), 1u);
  EXPECT_EQ(run.wal->durable_record(), 1u);
  EXPECT_FALSE(run.wal->reserve(1).ok());
}

INSTANTIATE_TEST_SUITE_P(Wal, WalIoError, testing::Bool(),
                         [](const auto& each) { return each.param ? "ofTheSync" : "ofTheWrite"; });

}  // namespace
}  // namespace clew::wal

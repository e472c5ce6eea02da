// The power goes at every change that a script makes to the disk, once for each of several fates of the unsynced bytes.
// Afterwards: every completed record is there, in order; no record that was not appended; nothing is called damage; and
// the log goes on.
#include <gtest/gtest.h>

#include <algorithm>

#include "wal/wal_rig_test.h"

namespace clew::wal {
namespace {

constexpr uint64_t kMaxBytes = 6000;

// Bursts that share groups, groups of several blocks, rotations with recycling, releases, a trim.
void script(LogRun& run, const sim::SimDisk& disk) {
  for (int step = 0; step < 60 && !disk.crashed(); ++step) {
    for (int i = 0; i < 1 + step % 4; ++i) run.append_random(kMaxBytes);
    run.scheduler.run_for(step % 3 == 0 ? 20'000 : 400'000);
    if (run.wal->wants_rotation() || step == 20) run.wal->rotate();
    if (step % 15 == 14) run.wal->release(run.wal->durable_record() / 2);
    if (step == 40) {
      run.settle();
      run.wal->trim();
    }
  }
  run.settle();
}

struct Verdict {
  bool ok = true;
  std::string what;
};

// What `again` replayed against what is known. Replay may begin anywhere at or before `released` + 1: files go as a
// whole.
Verdict judge(const LogRun& again, const std::map<uint64_t, std::string>& appended, uint64_t released,
              uint64_t completed) {
  if (!again.open_status.ok()) return {false, "open: " + again.open_status.to_string()};
  if (!again.report.damage.empty()) {
    const auto& damage = again.report.damage.front();
    return {false, "damage: " + damage.file + "@" + std::to_string(damage.offset) + " " + damage.what};
  }
  uint64_t previous = 0;
  for (const auto& [number, content] : again.replayed) {
    if (previous != 0 && number != previous + 1) return {false, "a hole behind record " + std::to_string(previous)};
    const auto it = appended.find(number);
    if (it == appended.end() || it->second != content) return {false, "phantom record " + std::to_string(number)};
    previous = number;
  }
  if (completed > released) {
    if (previous < completed) return {false, "completed record " + std::to_string(completed) + " is lost"};
    if (again.replayed.front().first > released + 1)
      return {false, "record " + std::to_string(released + 1) + " is lost"};
  }
  if (again.wal->last_record() < completed) return {false, "the numbers went back"};
  return {};
}

// Runs the script with the power going at change `crash_at`, then a second life that appends on top, and a third that
// looks.
Verdict crash_once(bool forgetful, uint64_t crash_at, uint64_t seed) {
  sim::SimDisk disk;
  sim::ForgetfulDisk mutant(disk);
  env::Disk& seen = forgetful ? static_cast<env::Disk&>(mutant) : disk;
  std::map<uint64_t, std::string> appended;
  uint64_t completed = 0;
  uint64_t released = 0;
  {
    disk.crash_at_io(crash_at);
    LogRun run(seen, small_options(), 1);
    if (run.open_status.ok()) {
      script(run, disk);
      appended = run.appended;
      completed = run.completed.empty() ? 0 : run.completed.back();
      released = completed / 2 + 1;  // the script never lets go of more
    }
  }
  disk.crash_and_restart(seed);
  uint64_t continued_from = 0;
  {
    LogRun again(seen, small_options(), 2);
    const Verdict verdict = judge(again, appended, released, completed);
    if (!verdict.ok) return verdict;
    continued_from = again.wal->last_record();
    for (int i = 0; i < 5; ++i) again.append_random(kMaxBytes);
    again.settle();
    appended.erase(appended.upper_bound(continued_from), appended.end());
    appended.insert(again.appended.begin(), again.appended.end());
    if (again.completed.size() != 5) return {false, "the second life does not complete"};
    completed = again.completed.back();
  }
  disk.crash_and_restart(seed + 1'000'000);
  LogRun third(seen, small_options(), 3);
  return judge(third, appended, released, completed);
}

uint64_t changes_of_the_script() {
  sim::SimDisk disk;
  LogRun run(disk);
  script(run, disk);
  return disk.io_count();
}

TEST(WalCrash, atEveryChangeNothingCompletedIsLostAndNothingAppears) {
  const uint64_t changes = changes_of_the_script();
  ASSERT_GT(changes, 100u);
  for (uint64_t crash_at = 1; crash_at <= changes + 1; ++crash_at) {
    for (uint64_t seed = 0; seed < 8; ++seed) {
      const Verdict verdict = crash_once(false, crash_at, seed * 7919 + crash_at);
      ASSERT_TRUE(verdict.ok) << verdict.what << "; power cut at change " << crash_at << ", seed " << seed;
    }
  }
}

TEST(WalCrash, aDiskThatForgetsToSyncIsCaught) {
  const uint64_t changes = changes_of_the_script();
  uint64_t caught = 0;
  for (uint64_t crash_at = 10; crash_at <= changes; crash_at += 5) {
    if (!crash_once(true, crash_at, crash_at).ok) ++caught;
  }
  EXPECT_GT(caught, changes / 20);
}

TEST(WalCrash, theSameSeedGivesTheSameDisk) {
  const auto content = [](uint64_t seed) {
    sim::SimDisk disk;
    disk.crash_at_io(60);
    {
      LogRun run(disk);
      script(run, disk);
    }
    disk.crash_and_restart(seed);
    std::string all;
    const auto names = disk.list("/wal");
    for (const std::string& name : *names) all += name + ":" + disk.content("/wal/" + name);
    return all;
  };
  EXPECT_EQ(content(5), content(5));
  EXPECT_NE(content(5), content(6));
}

// Recovery itself may be interrupted, at every change that it makes.
TEST(WalCrash, duringRecoveryNothingMoreIsLost) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    for (uint64_t at = 1; at <= 12; ++at) {
      sim::SimDisk disk;
      std::map<uint64_t, std::string> appended;
      uint64_t completed = 0;
      {
        disk.crash_at_io(90 + seed);
        LogRun run(disk);
        script(run, disk);
        appended = run.appended;
        completed = run.completed.back();
      }
      disk.crash_and_restart(seed);
      disk.crash_at_io(disk.io_count() + at);
      { LogRun interrupted(disk, small_options(), 2); }
      disk.crash_and_restart(seed + 100);
      LogRun again(disk, small_options(), 3);
      const Verdict verdict = judge(again, appended, completed / 2 + 1, completed);
      ASSERT_TRUE(verdict.ok) << verdict.what << "; seed " << seed << ", recovery cut at " << at;
    }
  }
}

}  // namespace
}  // namespace clew::wal

#include "env/disk.h"

#include <gtest/gtest.h>

#include "sim/disk.h"

namespace clew::env {
namespace {

TEST(AlignedBuffer, isAlignedRoundedUpAndMoves) {
  AlignedBuffer buffer(5000);
  EXPECT_EQ(buffer.capacity(), 8192u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % kDiskAlignment, 0u);
  char* const data = buffer.data();
  AlignedBuffer other = std::move(buffer);
  EXPECT_EQ(other.data(), data);
  EXPECT_EQ(buffer.capacity(), 0u);  // NOLINT(bugprone-use-after-move)
  AlignedBuffer third(1);
  third = std::move(other);
  EXPECT_EQ(third.data(), data);
}

// A power cut at any change, with any fate of what was unsynced, leaves the old content or the new one.
TEST(WriteFileAtomically, leavesTheOldOrTheNewContentAtEveryPowerCut) {
  bool old_seen = false, new_seen = false;
  for (uint64_t at = 1; at < 10; ++at) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      sim::SimDisk disk;
      ASSERT_TRUE(disk.make_dirs("/d").ok());
      ASSERT_TRUE(write_file_atomically(disk, "/d", "f", "the old content").ok());
      disk.crash_at_io(disk.io_count() + at);
      const Status written = write_file_atomically(disk, "/d", "f", "new");
      disk.crash_and_restart(seed);
      const auto found = read_file(disk, "/d/f", 100);
      ASSERT_TRUE(found.ok()) << "cut at " << at << ", seed " << seed;
      ASSERT_TRUE(*found == "the old content" || *found == "new") << *found;
      ASSERT_TRUE(!written.ok() || *found == "new");
      (*found == "new" ? new_seen : old_seen) = true;
    }
  }
  EXPECT_TRUE(old_seen && new_seen);
}

TEST(WriteFileAtomically, theTestAboveNoticesAMissingSync) {
  bool broken = false;
  for (uint64_t at = 1; at < 10; ++at) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      sim::SimDisk disk;
      sim::ForgetfulDisk forgetful(disk);
      ASSERT_TRUE(disk.make_dirs("/d").ok());
      ASSERT_TRUE(write_file_atomically(disk, "/d", "f", "the old content").ok());
      disk.crash_at_io(disk.io_count() + at);
      (void)write_file_atomically(forgetful, "/d", "f", "new");
      disk.crash_and_restart(seed);
      const auto found = read_file(disk, "/d/f", 100);
      broken |= !found.ok() || (*found != "the old content" && *found != "new");
    }
  }
  EXPECT_TRUE(broken);
}

TEST(ReadFile, refusesMoreThanIsAllowed) {
  sim::SimDisk disk;
  ASSERT_TRUE(disk.make_dirs("/d").ok());
  ASSERT_TRUE(write_file_atomically(disk, "/d", "f", "12345").ok());
  EXPECT_EQ(read_file(disk, "/d/f", 4).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(read_file(disk, "/d/f", 5).value(), "12345");
  EXPECT_EQ(read_file(disk, "/d/g", 5).status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace clew::env

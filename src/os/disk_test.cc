#include "os/disk.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>
#include <vector>

#include "os/errors.h"
#include "os/loop.h"
#include "os/workers.h"

namespace clew::os {
namespace {

class OsDiskTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!std::filesystem::is_directory(GetParam())) GTEST_SKIP() << GetParam() << " is not there";
    std::string pattern = std::string(GetParam()) + "/clew-disk-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override {
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }

  std::string directory_;
  OsDisk disk_;
};

INSTANTIATE_TEST_SUITE_P(FileSystem, OsDiskTest, testing::Values("/tmp", "/dev/shm"),
                         [](const auto& each) { return std::string(each.param) == "/tmp" ? "tmp" : "tmpfs"; });

TEST_P(OsDiskTest, readsBackWhatWasWritten) {
  auto file = disk_.open(path("a"), {.create = true, .writable = true});
  ASSERT_TRUE(file.ok()) << file.status().to_string();
  ASSERT_TRUE((*file)->write_at(5, "hello").ok());
  ASSERT_TRUE((*file)->sync().ok());
  char out[16] = {};
  const auto got = (*file)->read_at(3, out, sizeof out);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(std::string_view(out, *got), std::string_view("\0\0hello", 7));
  EXPECT_EQ((*file)->size().value(), 10u);
  ASSERT_TRUE((*file)->truncate(7).ok());
  EXPECT_EQ((*file)->size().value(), 7u);
}

TEST_P(OsDiskTest, directFilesWorkWhereverTheFileSystemStands) {
  auto file = disk_.open(path("d"), {.create = true, .exclusive = true, .writable = true, .direct = true});
  ASSERT_TRUE(file.ok()) << file.status().to_string();
  ASSERT_TRUE((*file)->preallocate(64 << 10).ok());
  EXPECT_EQ((*file)->size().value(), 64u << 10);
  env::AlignedBuffer buffer(8192);
  std::memset(buffer.data(), 'x', buffer.capacity());
  ASSERT_TRUE((*file)->write_at(4096, {buffer.data(), buffer.capacity()}).ok());
  env::AlignedBuffer back(16384);
  const auto got = (*file)->read_at(0, back.data(), back.capacity());
  ASSERT_TRUE(got.ok()) << got.status().to_string();
  ASSERT_EQ(*got, 16384u);
  EXPECT_EQ(back.data()[4095], '\0');
  EXPECT_EQ(back.data()[4096], 'x');
  EXPECT_EQ(back.data()[12287], 'x');
  EXPECT_EQ(back.data()[12288], '\0');
}

TEST_P(OsDiskTest, submittedWritesOfAFileCompleteInOrderOnTheLoop) {
  Workers workers;
  OsLoop loop("test", workers);
  auto one = disk_.open(path("one"), {.create = true, .writable = true});
  auto two = disk_.open(path("two"), {.create = true, .writable = true});
  ASSERT_TRUE(one.ok() && two.ok());
  std::vector<int> order[2];
  std::promise<void> finished;
  int left = 100;
  for (int i = 0; i < 100; ++i) {
    env::File& file = i % 2 == 0 ? **one : **two;
    file.submit_write(loop, static_cast<uint64_t>(i / 2) * 3, "abc", i % 10 == 0, [&, i](Status status) {
      EXPECT_TRUE(status.ok());
      EXPECT_TRUE(loop.on_this_thread());
      order[i % 2].push_back(i);
      if (--left == 0) finished.set_value();
    });
  }
  finished.get_future().wait();
  for (const auto& of_file : order) EXPECT_TRUE(std::is_sorted(of_file.begin(), of_file.end()));
  EXPECT_EQ((*one)->size().value(), 150u);
}

TEST_P(OsDiskTest, aFileMayDieBeforeItsSubmittedWrites) {
  Workers workers;
  OsLoop loop("test", workers);
  std::promise<Status> result;
  {
    auto file = disk_.open(path("short-lived"), {.create = true, .writable = true});
    ASSERT_TRUE(file.ok());
    (*file)->submit_write(loop, 0, "still written", true, [&](Status status) { result.set_value(std::move(status)); });
  }
  EXPECT_TRUE(result.get_future().get().ok());
  EXPECT_EQ(env::read_file(disk_, path("short-lived"), 100).value(), "still written");
}

TEST_P(OsDiskTest, namesComeAndGo) {
  ASSERT_TRUE(disk_.make_dirs(path("x/y/z")).ok());
  ASSERT_TRUE(disk_.make_dirs(path("x/y/z")).ok());
  ASSERT_TRUE(env::write_file_atomically(disk_, path("x"), "f", "1").ok());
  ASSERT_TRUE(env::write_file_atomically(disk_, path("x"), "f", "22").ok());
  EXPECT_EQ(disk_.list(path("x")).value(), (std::vector<std::string>{"f", "y"}));
  EXPECT_EQ(env::read_file(disk_, path("x/f"), 10).value(), "22");
  EXPECT_EQ(env::read_file(disk_, path("x/f"), 1).status().code(), Code::kResourceExhausted);
  ASSERT_TRUE(disk_.rename(path("x/f"), path("x/g")).ok());
  ASSERT_TRUE(disk_.sync_dir(path("x")).ok());
  EXPECT_EQ(disk_.remove(path("x/f")).code(), Code::kNotFound);
  EXPECT_TRUE(disk_.remove(path("x/g")).ok());
  EXPECT_GT(disk_.space(directory_).value().total_bytes, 0u);
}

TEST_P(OsDiskTest, theDirectoryLockIsTakenOnceAndGivenBack) {
  auto mine = disk_.lock_dir(directory_);
  ASSERT_TRUE(mine.ok()) << mine.status().to_string();
  const auto second = disk_.lock_dir(directory_);
  EXPECT_EQ(second.status().code(), Code::kFailedPrecondition);
  EXPECT_NE(second.status().message().find("process " + std::to_string(::getpid())), std::string_view::npos)
      << second.status().message();
  mine.value().reset();
  EXPECT_TRUE(disk_.lock_dir(directory_).ok());
}

TEST_P(OsDiskTest, errorsNameThePathAndTheReason) {
  const auto absent = disk_.open(path("absent"), {});
  EXPECT_EQ(absent.status().code(), Code::kNotFound);
  EXPECT_NE(absent.status().message().find(path("absent")), std::string_view::npos);
  ASSERT_TRUE(disk_.open(path("there"), {.create = true, .writable = true}).ok());
  EXPECT_EQ(disk_.open(path("there"), {.create = true, .exclusive = true, .writable = true}).status().code(),
            Code::kAlreadyExists);
  EXPECT_EQ(disk_.make_dirs(path("there/below")).code(), Code::kFailedPrecondition);
}

TEST_P(OsDiskTest, aFailedWriteIsReportedToItsSubmitter) {
  Workers workers;
  OsLoop loop("test", workers);
  auto file = disk_.open("/dev/full", {.writable = true});
  ASSERT_TRUE(file.ok());
  std::promise<Status> result;
  (*file)->submit_write(loop, 0, "x", true, [&](Status status) { result.set_value(std::move(status)); });
  const Status status = result.get_future().get();
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_NE(status.message().find("free space"), std::string_view::npos);
}

TEST(SystemError, fullDisksAndQuotasAreRetryable) {
  EXPECT_EQ(system_error("write", "f", ENOSPC).code, Code::kResourceExhausted);
  EXPECT_EQ(system_error("write", "f", EDQUOT).code, Code::kResourceExhausted);
  EXPECT_EQ(system_error("write", "f", EIO).code, Code::kDataLoss);
}

}  // namespace
}  // namespace clew::os

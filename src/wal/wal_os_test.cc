// The same log on real threads and files: what the simulator cannot show is whether the ports mean the same there.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <future>

#include "os/disk.h"
#include "os/loop.h"
#include "os/workers.h"
#include "wal/wal.h"

namespace clew::wal {
namespace {

class WalOnFiles : public testing::TestWithParam<Durability> {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/clew-wal-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    options_.directory = pattern + "/wal";
    directory_ = pattern;
    options_.durability = GetParam();
    options_.file_bytes = 256 << 10;
    options_.max_group_bytes = 64 << 10;
  }
  void TearDown() override {
    loop_.stop();
    std::filesystem::remove_all(directory_);
  }
  template <typename F>
  void on_loop(F function) {
    std::promise<void> done;
    loop_.post([&] {
      function();
      done.set_value();
    });
    done.get_future().wait();
  }
  void open() {
    on_loop([&] {
      replayed_.clear();
      auto opened = Wal::open(
          loop_, disk_, options_,
          [&](uint64_t, uint64_t, std::string_view bytes) {
            replayed_.emplace_back(bytes);
            return Status();
          },
          &report_, [](Status status) { ADD_FAILURE() << status.to_string(); });
      ASSERT_TRUE(opened.ok()) << opened.status().to_string();
      wal_ = std::move(*opened);
    });
  }
  static std::string record(int i) { return std::to_string(i) + std::string(static_cast<size_t>(i * 37 % 5000), 'r'); }

  std::string directory_;
  Options options_;
  os::Workers workers_;
  os::OsLoop loop_{"test", workers_};
  os::OsDisk disk_;
  ReplayReport report_;
  std::vector<std::string> replayed_;
  std::unique_ptr<Wal> wal_;
};

INSTANTIATE_TEST_SUITE_P(
    Wal, WalOnFiles, testing::Values(Durability::kDisk, Durability::kOs, Durability::kMemory), [](const auto& each) {
      return std::string(each.param == Durability::kDisk ? "disk" : each.param == Durability::kOs ? "os" : "memory");
    });

TEST_P(WalOnFiles, replaysAfterRotationsAndARestart) {
  constexpr int kRecords = 600;
  open();
  int completed = 0;
  uint64_t first_kept = 1;
  for (int begin = 0; begin < kRecords; begin += 20) {
    std::promise<void> burst;
    loop_.post([&, begin] {
      for (int i = begin; i < begin + 20; ++i) {
        const std::string bytes = record(i);
        const std::string_view pieces[] = {bytes};
        wal_->append(pieces, [&, i, begin] {
          EXPECT_EQ(completed, i);
          ++completed;
          if (i == begin + 19) burst.set_value();
        });
      }
      if (begin % 200 == 180) {
        wal_->rotate();
        first_kept = wal_->last_record() / 2 + 1;
        wal_->release(first_kept - 1);
      }
    });
    burst.get_future().wait();
  }
  // Everything is written once a last record, of whatever durability, is durable.
  for (bool all = false; !all;) on_loop([&] { all = wal_->durable_record() == kRecords; });
  on_loop([&] { wal_.reset(); });
  open();
  ASSERT_FALSE(replayed_.empty());
  EXPECT_TRUE(report_.damage.empty());
  EXPECT_EQ(report_.torn_tail_bytes, 0u);
  const int first = kRecords - static_cast<int>(replayed_.size());
  EXPECT_LE(first, static_cast<int>(first_kept) - 1);
  for (size_t i = 0; i < replayed_.size(); ++i) ASSERT_EQ(replayed_[i], record(first + static_cast<int>(i)));
  on_loop([&] {
    EXPECT_EQ(wal_->last_record(), static_cast<uint64_t>(kRecords));
    wal_.reset();
  });
}

}  // namespace
}  // namespace clew::wal

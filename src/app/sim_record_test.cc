#include "app/sim_record.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace clew::app {
namespace {

SimRecord record(uint64_t seed, const std::string& profile) {
  SimRecord one;
  one.seed = seed;
  one.profile = profile;
  one.cpu_seconds = 0.25;
  one.virtual_ns = 20'500'000'000;
  one.events = 1'000;
  one.faults[static_cast<size_t>(sim::FaultKind::kPowerCut)] = 3;
  one.faults[static_cast<size_t>(sim::FaultKind::kPartition)] = 4;
  one.deeds.answered = 500;
  one.deeds.entries = 600;
  return one;
}

class SimLogTest : public testing::Test {
 protected:
  ~SimLogTest() override { std::filesystem::remove(path_); }
  std::string content() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  const std::string path_ =
      testing::TempDir() + "sim_log." + testing::UnitTest::GetInstance()->current_test_info()->name() + ".jsonl";
};

TEST(SimRecord, ALineAndBack) {
  SimRecord one = record(17, "leases");
  one.failed = true;
  one.text = "seed 17 failed:\n\"broken\"\n";
  const std::string line = encode(one);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto back = decode_sim_record(line);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(encode(*back), line);
  EXPECT_EQ(back->text, one.text);
  EXPECT_FALSE(decode_sim_record("{\"seed\":1}").ok());
  EXPECT_FALSE(decode_sim_record("no").ok());
}

TEST(SimRecord, TheTableHasARowAProfileAndTheSum) {
  const std::string table = figures_table({record(2, "disks"), record(1, "calm"), record(3, "calm")});
  const size_t calm = table.find("| calm | 2 | 0 | 0 | 41 | 82 | 14 | 6 | 1,000 | 1,200 |");
  const size_t disks = table.find("| disks | 1 | 0 | 0 | 20 | 82 | 7 | 3 | 500 | 600 |");
  const size_t all = table.find("| **all** | 3 | 0 | 0 | 61 | 82 | 21 | 9 | 1,500 | 1,800 |");
  ASSERT_NE(all, std::string::npos) << table;
  EXPECT_LT(calm, disks) << table;
  EXPECT_LT(disks, all) << table;
}

TEST_F(SimLogTest, AHuntGoesOnWhereItWasBrokenOff) {
  std::vector<SimRecord> records;
  {
    SimLog log;
    ASSERT_TRUE(log.open(path_, "{\"hunt\":1}", records).ok());
    ASSERT_TRUE(log.append(record(5, "calm")).ok());
    ASSERT_TRUE(log.append(record(6, "disks")).ok());
  }
  std::ofstream(path_, std::ios::app) << "{\"seed\":7,\"prof";  // a write that was broken off
  EXPECT_TRUE(records.empty());
  SimLog log;
  ASSERT_TRUE(log.open(path_, "{\"hunt\":1}", records).ok());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].seed, 6u);
  ASSERT_TRUE(log.append(record(7, "reads")).ok());
  EXPECT_EQ(content(), "{\"hunt\":1}\n" + encode(record(5, "calm")) + "\n" + encode(record(6, "disks")) + "\n" +
                           encode(record(7, "reads")) + "\n");
}

TEST_F(SimLogTest, ALogOfAnotherHuntIsRefusedAndStays) {
  std::ofstream(path_) << "{\"hunt\":1}\n";
  std::vector<SimRecord> records;
  SimLog log;
  EXPECT_EQ(log.open(path_, "{\"hunt\":2}", records).code(), Code::kFailedPrecondition);
  EXPECT_EQ(content(), "{\"hunt\":1}\n");
}

}  // namespace
}  // namespace clew::app

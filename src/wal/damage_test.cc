// Torn and flipped bytes at every kind of place, and what recovery makes of them (the table in recovery.cc).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "wal/format.h"
#include "wal/wal_rig_test.h"

namespace clew::wal {
namespace {

// A log with one file of data: the mark at 0, then four groups of three records each, each group two blocks long.
class WalDamage : public testing::Test {
 protected:
  static constexpr uint64_t kGroupBytes = 2 * kBlockBytes;
  static constexpr uint64_t kBodyBytes = 2000;
  static constexpr const char* kFile = "/wal/00000001.wal";

  void SetUp() override {
    LogRun run(disk_);
    for (int group = 0; group < 4; ++group) {
      for (int i = 0; i < 3; ++i) run.append(record(run.wal->last_record() + 1));
      run.settle();
    }
    ASSERT_EQ(run.completed.size(), 12u);
  }
  static std::string record(uint64_t number) {
    std::string body = record_content(1, number, 100);
    body.resize(kBodyBytes, static_cast<char>('a' + number));
    return body;
  }
  static uint64_t group_at(uint64_t index) { return kBlockBytes + index * kGroupBytes; }
  static uint64_t record_at(uint64_t group, uint64_t index) {
    return group_at(group) + kGroupHeaderBytes + index * (kRecordHeaderBytes + kBodyBytes);
  }
  // Opens, expects exactly the records that are not in `lost`, and that a second opening says the same.
  void expect_lost(const std::set<uint64_t>& lost, size_t damages, uint64_t torn_bytes, uint64_t last = 12) {
    for (int life = 0; life < 2; ++life) {
      LogRun run(disk_, small_options(), static_cast<uint64_t>(life) + 2);
      ASSERT_TRUE(run.open_status.ok()) << run.open_status.to_string();
      std::vector<std::pair<uint64_t, std::string>> wanted;
      for (uint64_t number = 1; number <= 12; ++number) {
        if (!lost.contains(number)) wanted.emplace_back(number, record(number));
      }
      EXPECT_TRUE(run.replayed == wanted) << run.replayed.size() << " replayed, " << wanted.size() << " wanted";
      EXPECT_EQ(run.report.records, wanted.size());
      EXPECT_EQ(run.report.damage.size(), damages);
      for (const auto& damage : run.report.damage) {
        EXPECT_EQ(damage.file, kFile);
        EXPECT_FALSE(damage.what.empty());
      }
      EXPECT_EQ(run.report.torn_tail_bytes, life == 0 ? torn_bytes : 0);  // a cut is made once
      EXPECT_EQ(run.wal->last_record(), last);
    }
  }

  sim::SimDisk disk_;
};

TEST_F(WalDamage, anIntactLogHasNone) { expect_lost({}, 0, 0); }

TEST_F(WalDamage, aFlippedByteInARecordsBodyLosesThatRecord) {
  disk_.flip(kFile, record_at(1, 1) + kRecordHeaderBytes + 700, 0x10);
  expect_lost({5}, 1, 0);
}

TEST_F(WalDamage, aFlippedByteInARecordsChecksumLosesThatRecord) {
  disk_.flip(kFile, record_at(2, 0) + 1, 0x80);
  expect_lost({7}, 1, 0);
}

TEST_F(WalDamage, anImpossibleLengthLosesTheRestOfItsGroup) {
  disk_.flip(kFile, record_at(1, 1) + 7, 0x7f);
  expect_lost({5, 6}, 1, 0);
}

TEST_F(WalDamage, aWrongButPossibleLengthLosesNoMoreThanTheRestOfItsGroup) {
  disk_.flip(kFile, record_at(1, 1) + 4, 0x08);
  LogRun run(disk_);
  std::set<uint64_t> there;
  for (const auto& [number, content] : run.replayed) {
    EXPECT_EQ(content, record(number));
    there.insert(number);
  }
  EXPECT_EQ(there, (std::set<uint64_t>{1, 2, 3, 4, 7, 8, 9, 10, 11, 12}));
  EXPECT_GE(run.report.damage.size(), 1u);
}

TEST_F(WalDamage, everyByteOfAGroupHeaderIsGuarded) {
  for (uint64_t byte = 0; byte < kGroupHeaderBytes; ++byte) {
    disk_.flip(kFile, group_at(1) + byte, 0x01);
    LogRun run(disk_);
    ASSERT_EQ(run.report.damage.size(), 1u) << "byte " << byte;
    EXPECT_EQ(run.report.damage[0].offset, group_at(1));
    EXPECT_EQ(run.report.damage[0].bytes, kGroupBytes);
    EXPECT_NE(run.report.damage[0].what.find("3 records lost"), std::string::npos) << run.report.damage[0].what;
    EXPECT_EQ(run.report.records, 9u);
    disk_.flip(kFile, group_at(1) + byte, 0x01);
  }
}

TEST_F(WalDamage, flippedPaddingMattersToNobody) {
  disk_.flip(kFile, group_at(2) - 1, 0xff);
  disk_.flip(kFile, kBlockBytes - 1, 0xff);
  expect_lost({}, 0, 0);
}

TEST_F(WalDamage, theFirstGroupMayBeTheDamagedOne) {
  disk_.flip(kFile, 3, 0xff);  // the mark that begins the file
  expect_lost({}, 1, 0);
}

TEST_F(WalDamage, theLastGroupWithABadRecordIsATornTail) {
  disk_.flip(kFile, record_at(3, 1) + 100, 0x01);
  expect_lost({10, 11, 12}, 0, kGroupBytes, 9);
}

TEST_F(WalDamage, aTornSectorOfTheLastGroupCutsIt) {
  for (uint64_t sector = 512; sector < kGroupBytes - 2048; sector += 512) {
    sim::SimDisk disk;
    ASSERT_TRUE(disk.make_dirs("/wal").ok());
    std::string bytes = disk_.content(kFile);
    std::memset(bytes.data() + group_at(3) + sector, 0, 512);
    {
      auto file = disk.open(kFile, {.create = true, .writable = true});
      ASSERT_TRUE((*file)->write_at(0, bytes).ok());
    }
    LogRun run(disk);
    EXPECT_EQ(run.report.records, 9u) << "sector at " << sector;
    EXPECT_TRUE(run.report.damage.empty());
    EXPECT_EQ(run.report.torn_tail_bytes, kGroupBytes);
  }
}

TEST_F(WalDamage, anUnstartedLastGroupIsTheEndOfTheLog) {
  disk_.flip(kFile, group_at(3), 0xff);
  expect_lost({10, 11, 12}, 0, 0, 9);
}

TEST_F(WalDamage, afterATrimTheLastRecordsAreProvenAndTheirDamageIsReported) {
  std::string file;
  {
    LogRun run(disk_);
    file = "/wal/" + file_name(run.wal->current_file());
    run.append(record_content(9, 13, 3000));
    run.settle();
    run.wal->trim();
    run.settle();
  }
  disk_.flip(file, kBlockBytes + kGroupHeaderBytes + kRecordHeaderBytes, 0x01);
  LogRun run(disk_);
  EXPECT_EQ(run.report.records, 12u);
  EXPECT_EQ(run.report.damage.size(), 1u);
  EXPECT_EQ(run.report.torn_tail_bytes, 0u);
  EXPECT_EQ(run.wal->last_record(), 13u);
}

TEST_F(WalDamage, damageBeforeALaterFileIsNeverTakenForATail) {
  { LogRun run(disk_); }  // begins a file
  disk_.flip(kFile, record_at(3, 2) + 100, 0x01);
  expect_lost({12}, 1, 0);
}

TEST_F(WalDamage, aLostEndOfAnEarlierFileIsToldByTheNumbers) {
  { LogRun run(disk_); }
  {
    auto file = disk_.open(kFile, {.writable = true});
    ASSERT_TRUE((*file)->truncate(group_at(2)).ok());
  }
  LogRun run(disk_);
  EXPECT_EQ(run.report.records, 6u);
  ASSERT_EQ(run.report.damage.size(), 1u);
  EXPECT_NE(run.report.damage[0].what.find("6 records lost"), std::string::npos) << run.report.damage[0].what;
  EXPECT_EQ(run.wal->last_record(), 12u);
}

TEST_F(WalDamage, anUnreadableStretchIsDamageEvenInTheLastGroup) {
  disk_.fail_reads(kFile, group_at(3) + kBlockBytes, 512);
  LogRun run(disk_);
  ASSERT_TRUE(run.open_status.ok()) << run.open_status.to_string();
  EXPECT_EQ(run.report.records, 9u);
  EXPECT_EQ(run.report.torn_tail_bytes, 0u);
  ASSERT_EQ(run.report.damage.size(), 1u);
  EXPECT_NE(run.report.damage[0].what.find("I/O error"), std::string::npos);
  EXPECT_EQ(run.wal->last_record(), 12u);  // numbers that were given out are not given again
}

TEST_F(WalDamage, whatCannotBeReadAtOnceIsTriedAgainAndNotCutOffAsATornTail) {
  disk_.fail_reads(kFile, group_at(2), 4 * kBlockBytes, 2);
  LogRun run(disk_);
  ASSERT_TRUE(run.open_status.ok()) << run.open_status.to_string();
  EXPECT_EQ(run.report.records, 12u);
  EXPECT_TRUE(run.report.damage.empty());
  EXPECT_EQ(run.report.torn_tail_bytes, 0u);
}

TEST_F(WalDamage, anEndThatCannotBeReadIsNotCutOff) {
  const auto size = [&] { return (*disk_.open(kFile, {}))->size().value(); };
  const uint64_t before = size();
  disk_.fail_reads(kFile, group_at(3), kBlockBytes);
  LogRun run(disk_);
  EXPECT_EQ(run.open_status.code(), Code::kDataLoss) << run.open_status.to_string();
  EXPECT_EQ(size(), before);
}

TEST_F(WalDamage, anUnreadableStretchInTheMiddleLosesItsGroupOnly) {
  disk_.fail_reads(kFile, group_at(1), 512);
  LogRun run(disk_);
  EXPECT_EQ(run.report.records, 9u);
  EXPECT_EQ(run.report.damage.size(), 1u);
}

TEST_F(WalDamage, garbageFilesAreHarmless) {
  for (const char* name : {"/wal/00000007.wal", "/wal/notes.txt", "/wal/00000003.wal.spare", "/wal/99999999999.wal"}) {
    auto file = disk_.open(name, {.create = true, .writable = true});
    ASSERT_TRUE((*file)->write_at(0, record_content(4, 4, 20'000)).ok());
  }
  LogRun run(disk_);
  ASSERT_TRUE(run.open_status.ok()) << run.open_status.to_string();
  EXPECT_EQ(run.report.records, 12u);
  EXPECT_TRUE(disk_.exists("/wal/notes.txt"));
  EXPECT_FALSE(disk_.exists("/wal/00000003.wal.spare"));
}

TEST_F(WalDamage, arbitraryFlipsNeverBreakRecoveryNorMakeUpARecord) {
  const uint64_t size = group_at(4);
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Generator random(seed);
    std::vector<std::pair<uint64_t, uint8_t>> flips;
    for (uint64_t i = 0; i < 1 + seed % 7; ++i) {
      flips.emplace_back(random.below(size), static_cast<uint8_t>(1 + random.below(255)));
    }
    sim::SimDisk disk;
    ASSERT_TRUE(disk.make_dirs("/wal").ok());
    {
      auto file = disk.open(kFile, {.create = true, .writable = true});
      ASSERT_TRUE((*file)->write_at(0, disk_.content(kFile)).ok());
    }
    for (const auto& [offset, mask] : flips) disk.flip(kFile, offset, mask);
    LogRun run(disk);
    ASSERT_TRUE(run.open_status.ok()) << run.open_status.to_string();
    for (const auto& [number, content] : run.replayed) ASSERT_TRUE(content == record(number)) << "seed " << seed;
  }
}

// A sender knows the format and puts groups into its records, at every block boundary, each fitting its place but for
// the salt. One real header is damaged: the search for the next group walks over the forgeries.
TEST(WalForgery, groupsInsideRecordsAreNotTakenForGroups) {
  sim::SimDisk disk;
  Options options = small_options();
  options.max_group_bytes = 256 << 10;
  std::string body;
  for (uint64_t at = kBlockBytes; at < 40 * kBlockBytes; at += kBlockBytes) {
    std::string block(kBlockBytes, '\0');
    GroupHeader forged;
    forged.file = 1;
    forged.offset = at;
    forged.salt = options.salt + 1;  // a guess
    forged.first_record = 2;
    forged.records = 1;
    forged.payload_bytes = kRecordHeaderBytes + 4;
    write_group_header(block.data(), forged);
    std::memcpy(block.data() + kGroupHeaderBytes + kRecordHeaderBytes, "evil", 4);
    write_record_header(block.data() + kGroupHeaderBytes, 4, forged.salt, 2);
    // Record bodies begin behind two headers; shifted so that forged headers stand at block boundaries.
    body += at == kBlockBytes ? block.substr(kGroupHeaderBytes + kRecordHeaderBytes) : block;
  }
  {
    LogRun run(disk, options);
    run.append(body);
    run.settle();
    run.append("behind");
    run.settle();
    ASSERT_EQ(run.completed.size(), 2u);
  }
  ASSERT_TRUE(
      read_group_header(std::string_view(disk.content("/wal/00000001.wal")).substr(2 * kBlockBytes)).has_value());
  disk.flip("/wal/00000001.wal", kBlockBytes, 0x01);
  LogRun run(disk, options);
  ASSERT_EQ(run.replayed.size(), 1u);
  EXPECT_EQ(run.replayed[0].second, "behind");
  EXPECT_EQ(run.report.damage.size(), 1u);
}

TEST(WalFormat, fileNamesAreReadStrictly) {
  EXPECT_EQ(file_name(7), "00000007.wal");
  EXPECT_EQ(file_number("00000007.wal"), 7u);
  EXPECT_EQ(file_number(file_name(123456789012)), 123456789012u);
  for (const char* name :
       {"7.wal", "00000000.wal", "0000007a.wal", "00000007.wal.spare", "000000007.wal", ".wal", ""}) {
    EXPECT_FALSE(file_number(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace clew::wal

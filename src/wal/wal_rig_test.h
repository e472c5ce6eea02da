// For the tests of wal: a log on the simulated disk that knows what it was given and what must come back.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "sim/disk.h"
#include "sim/loop.h"
#include "wal/wal.h"

namespace clew::wal {

// The content of record `number` as the run `run` wrote it: length and bytes differ from record to record.
inline std::string record_content(uint64_t run, uint64_t number, uint64_t max_bytes) {
  Generator random(run * 1'000'003 + number);
  std::string bytes(random.below(max_bytes + 1), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.next());
  return bytes;
}

inline Options small_options() {
  Options options;
  options.directory = "/wal";
  options.file_bytes = 64 << 10;
  options.max_group_bytes = 16 << 10;
  options.max_record_bytes = 1 << 20;
  options.salt = 0x5a17;
  return options;
}

// One process on a disk. Its death is the destructor; what the disk then holds is the disk's business.
class LogRun {
 public:
  explicit LogRun(env::Disk& disk, Options options = small_options(), uint64_t number = 1)
      : loop(scheduler), number_(number) {
    auto opened = Wal::open(
        loop, disk, std::move(options),
        [this](uint64_t record, uint64_t file, std::string_view bytes) {
          replayed.emplace_back(record, std::string(bytes));
          replayed_files.push_back(file);
          return Status();
        },
        &report, [this](Status status) { halts.push_back(std::move(status)); });
    open_status = opened.status();
    if (opened.ok()) wal = std::move(*opened);
  }

  uint64_t append(std::string content) {
    const std::string_view pieces[] = {std::string_view(content).substr(0, content.size() / 3),
                                       std::string_view(content).substr(content.size() / 3)};
    const uint64_t record = wal->append(pieces, [this, next = wal->last_record() + 1] { completed.push_back(next); });
    appended[record] = std::move(content);
    return record;
  }
  uint64_t append_random(uint64_t max_bytes) {
    return append(record_content(number_, wal->last_record() + 1, max_bytes));
  }
  void settle() { scheduler.run_for(1'000'000'000); }

  sim::Scheduler scheduler;
  sim::SimLoop loop;
  ReplayReport report;
  Status open_status;
  std::vector<std::pair<uint64_t, std::string>> replayed;
  std::vector<uint64_t> replayed_files;
  std::vector<uint64_t> completed;
  std::map<uint64_t, std::string> appended;
  std::vector<Status> halts;
  std::unique_ptr<Wal> wal;

 private:
  uint64_t number_;
};

}  // namespace clew::wal

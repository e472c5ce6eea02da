#include "sim/groups/log_damage.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "base/check.h"
#include "wal/recovery.h"

namespace clew::sim::groups {

std::optional<std::vector<consensus::LogSeq>> records_lost_with(const SimDisk& disk, const std::string& directory,
                                                                const std::string& path, uint64_t offset,
                                                                uint64_t size) {
  const auto replayed = [&](bool damaged) -> std::optional<std::set<consensus::LogSeq>> {
    std::set<consensus::LogSeq> records;
    SimDisk copy;
    bool made = copy.make_dirs(directory).ok();
    for (const SimDisk::FileInfo& info : disk.files()) {
      if (!info.path.starts_with(directory + "/")) continue;
      auto file = copy.open(info.path, {.create = true, .writable = true});
      made = made && file.ok() && (*file)->write_at(0, disk.content(info.path)).ok();
    }
    CHECK(made);
    if (damaged) copy.damage(path, offset, size);
    wal::Options options;
    options.directory = directory;
    wal::ReplayReport report;
    wal::ReplayFn note = [&](uint64_t record, uint64_t, std::string_view) -> Status {
      records.insert(record);
      return {};
    };
    const Status status = wal::recover(copy, options, note, report).status();
    if (!status.ok()) return std::nullopt;
    return records;
  };
  const auto before = replayed(false), after = replayed(true);
  if (!before || !after) return std::nullopt;
  std::vector<consensus::LogSeq> lost;
  std::set_difference(before->begin(), before->end(), after->begin(), after->end(), std::back_inserter(lost));
  return lost;
}

void see_to(SimDisk& disk) {
  for (const SimDisk::FileInfo& info : disk.files()) {
    const std::string content = disk.content(info.path);
    CHECK(disk.remove(info.path).ok());  // a bad sector stays bad while a part of it is written
    auto file = disk.open(info.path, {.create = true, .writable = true});
    const bool copied = file.ok() && (*file)->write_at(0, content).ok() && (*file)->sync().ok() &&
                        disk.sync_dir(info.path.substr(0, info.path.rfind('/'))).ok();
    CHECK(copied);
  }
}

}  // namespace clew::sim::groups

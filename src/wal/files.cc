#include "wal/files.h"

#include <algorithm>
#include <utility>

#include "wal/format.h"

namespace clew::wal {
namespace {

Result<LogFile> try_make(env::Disk& disk, const std::string& directory, uint64_t number, const std::string& spare,
                         uint64_t bytes, bool direct) {
  LogFile made;
  made.number = number;
  made.path = directory + "/" + file_name(number);
  if (!spare.empty()) CLEW_TRY(disk.rename(spare, made.path));
  CLEW_ASSIGN(made.file, disk.open(made.path, {.create = true, .writable = true, .direct = direct}));
  CLEW_ASSIGN(made.written, made.file->size());  // of a spare
  CLEW_TRY(made.file->preallocate(bytes));
  CLEW_TRY(disk.sync_dir(directory));
  CLEW_ASSIGN(const uint64_t size, made.file->size());
  made.allocated = std::max(bytes, size);
  return made;
}

}  // namespace

Result<LogFile> make_file(env::Disk& disk, const std::string& directory, uint64_t number, const std::string& spare,
                          uint64_t bytes, bool direct) {
  auto made = try_make(disk, directory, number, spare, bytes, direct);
  if (!made.ok()) {
    // The half-made file holds no record; what cannot be removed now is cut at the next start.
    (void)disk.remove(directory + "/" + file_name(number));
    if (!spare.empty()) (void)disk.remove(spare);
  }
  return made;
}

Status retire_file(env::Disk& disk, const std::string& directory, const std::string& path, std::string* spare_path) {
  if (spare_path != nullptr) {
    *spare_path = path + ".spare";
    CLEW_TRY(disk.rename(path, *spare_path));
  } else {
    Status removed = disk.remove(path);
    if (!removed.ok() && removed.code() != Code::kNotFound) return removed;
  }
  return disk.sync_dir(directory);
}

}  // namespace clew::wal

// env::Disk on POSIX files. Linux.
//
// `direct` opens with O_DIRECT and falls back to the page cache where the file system refuses (at open, or only at the
// first write); the alignment rules are checked either way, so that code does not work on one file system only.
// Submitted writes run on `io_threads` threads of the disk, in order for each file, different files side by side.
// Files, directories and names are made durable by fdatasync and fsync of the directory. Reservations are fallocate;
// where a file system has none, zeros are written instead. A copy-on-write file system may still run out of space
// in reserved blocks: then the write fails and the caller halts.
// Thread-safe. A File may die while its submitted writes are under way: they finish, and the descriptor closes after
// them. Destroying the disk finishes the writes that are under way. A loop lives until its writes have completed: at
// the end of the process, stop the loops, destroy the disk, then the loops.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "env/disk.h"

namespace clew::os {

class OsDisk final : public env::Disk {
 public:
  explicit OsDisk(uint32_t io_threads = 2);
  ~OsDisk() override;

  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenOptions options) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status make_dirs(const std::string& path) override;  // durable, parents included
  Status sync_dir(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  Result<env::DiskSpace> space(const std::string& path) override;
  Result<std::unique_ptr<env::File>> lock_dir(const std::string& path) override;

  struct Queue;  // of files with submitted writes; shared with the files, which may outlive the disk

 private:
  std::shared_ptr<Queue> queue_;
  std::vector<std::thread> threads_;
};

}  // namespace clew::os

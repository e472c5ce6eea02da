// The files of a log on the disk: made ready, set aside, taken away. Blocking functions for start-up and the kFiles
// lane; they touch nothing but what they are given.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "env/disk.h"

namespace clew::wal {

struct LogFile {
  uint64_t number = 0;
  std::string path;
  std::unique_ptr<env::File> file;  // none until it is ready
  uint64_t allocated = 0;           // bytes on the disk
  uint64_t written = 0;             // of them, from the start, were written before: see WalImpl::write_ahead()
};

// Creates the file `number`, or makes it of `spare` (a path, may be empty), with `bytes` allocated; its name is durable
// when this returns ok. After a failure neither the spare nor the new file is left.
// The name must be durable before the first group: bytes of the new number under an old name would look like damage.
Result<LogFile> make_file(env::Disk& disk, const std::string& directory, uint64_t number, const std::string& spare,
                          uint64_t bytes, bool direct);

// Takes the file out of the log, durably: renamed to `*spare_path` when that is asked for, else removed.
// One file after the other and in order, so that a power cut never leaves a hole between the files that come back.
Status retire_file(env::Disk& disk, const std::string& directory, const std::string& path, std::string* spare_path);

}  // namespace clew::wal

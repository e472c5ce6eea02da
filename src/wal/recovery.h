// What a log's directory says after a stop of any kind: replays the intact records, reports damage, cuts the torn tail.
// Blocking; start-up only. O(bytes of the log); memory: one window of 1 MiB and one group.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "env/disk.h"
#include "wal/wal.h"

namespace clew::wal {

struct Recovered {
  struct File {
    uint64_t number = 0;
    std::string path;
    uint64_t bytes = 0;        // after the cut
    uint64_t last_record = 0;  // the file can go when this one is released
  };
  std::vector<File> files;  // ascending; what release() has to let go of later
  uint64_t next_record = 1;
  uint64_t next_file = 1;
};

// The directory exists. `report` is filled in; an error of `replay` ends everything and is returned.
Result<Recovered> recover(env::Disk& disk, const Options& options, ReplayFn& replay, ReplayReport& report);

}  // namespace clew::wal

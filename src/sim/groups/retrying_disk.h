// RetryingDisk: a mutant of a disk: what a failed sync could not write is synced once more and believed (scenario 18 of
// docs/mutants.md; Rebello et al., "Can applications recover from fsync failures?", ATC 2020: the second sync tells
// nothing). Used by the planted bug sync-error-retried only. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "env/disk.h"

namespace clew::sim::groups {

class RetryingDisk final : public env::Disk {
 public:
  explicit RetryingDisk(env::Disk& disk) : disk_(disk) {}
  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenOptions options) override;
  Status rename(const std::string& from, const std::string& to) override { return disk_.rename(from, to); }
  Status remove(const std::string& path) override { return disk_.remove(path); }
  Status make_dirs(const std::string& path) override { return disk_.make_dirs(path); }
  Status sync_dir(const std::string& path) override { return disk_.sync_dir(path); }
  Result<std::vector<std::string>> list(const std::string& path) override { return disk_.list(path); }
  Result<env::DiskSpace> space(const std::string& path) override { return disk_.space(path); }
  Result<std::unique_ptr<env::File>> lock_dir(const std::string& path) override { return disk_.lock_dir(path); }

 private:
  env::Disk& disk_;
};

}  // namespace clew::sim::groups

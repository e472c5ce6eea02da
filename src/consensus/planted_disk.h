// The disk of a replica that tries a failed sync again and believes the second answer (Bug::kSyncErrorRetried): for the
// mutants only. Forwards everything else.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "env/disk.h"

namespace clew::consensus {

class SyncRetryingDisk final : public env::Disk {
 public:
  explicit SyncRetryingDisk(env::Disk& disk) : disk_(disk) {}
  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenOptions options) override {
    CLEW_ASSIGN(auto file, disk_.open(path, options));
    return std::unique_ptr<env::File>(std::make_unique<Retrying>(std::move(file)));
  }
  Status rename(const std::string& from, const std::string& to) override { return disk_.rename(from, to); }
  Status remove(const std::string& path) override { return disk_.remove(path); }
  Status make_dirs(const std::string& path) override { return disk_.make_dirs(path); }
  Status sync_dir(const std::string& path) override { return disk_.sync_dir(path); }
  Result<std::vector<std::string>> list(const std::string& path) override { return disk_.list(path); }
  Result<env::DiskSpace> space(const std::string& path) override { return disk_.space(path); }
  Result<std::unique_ptr<env::File>> lock_dir(const std::string& path) override { return disk_.lock_dir(path); }

 private:
  class Retrying final : public env::File {
   public:
    explicit Retrying(std::unique_ptr<env::File> file) : file_(std::move(file)) {}
    Result<size_t> read_at(uint64_t offset, char* out, size_t size) const override {
      return file_->read_at(offset, out, size);
    }
    Status write_at(uint64_t offset, std::string_view bytes) override { return file_->write_at(offset, bytes); }
    Status sync() override {
      const Status first = file_->sync();
      return first.ok() ? first : file_->sync();
    }
    Status preallocate(uint64_t size) override { return file_->preallocate(size); }
    Status truncate(uint64_t size) override { return file_->truncate(size); }
    Result<uint64_t> size() const override { return file_->size(); }
    void submit_write(env::Loop& loop, uint64_t offset, std::string_view bytes, bool sync,
                      UniqueFunction<void(Status)> done) override {
      // The write did arrive in the cache; only its sync is asked for again.
      file_->submit_write(loop, offset, bytes, sync, [file = file_, done = std::move(done)](Status status) mutable {
        done(status.ok() ? std::move(status) : file->sync());
      });
    }

   private:
    std::shared_ptr<env::File> file_;  // shared with the writes under way
  };
  env::Disk& disk_;
};

}  // namespace clew::consensus

#include "sim/groups/retrying_disk.h"

namespace clew::sim::groups {
namespace {

class RetryingFile final : public env::File {
 public:
  explicit RetryingFile(std::unique_ptr<env::File> file) : file_(std::move(file)) {}
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
    // The file may be gone when the write is done: then nobody asks any more.
    file_->submit_write(loop, offset, bytes, sync, [file = file_, done = std::move(done)](Status status) mutable {
      done(status.ok() ? std::move(status) : file->sync());
    });
  }

 private:
  const std::shared_ptr<env::File> file_;  // shared with completions
};

}  // namespace

Result<std::unique_ptr<env::File>> RetryingDisk::open(const std::string& path, env::OpenOptions options) {
  CLEW_ASSIGN(auto file, disk_.open(path, options));
  return std::unique_ptr<env::File>(new RetryingFile(std::move(file)));
}

}  // namespace clew::sim::groups

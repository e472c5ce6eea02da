// MemoryDisk: files as strings, for benchmarks and fuzzers of this folder, which must not pay for a real or simulated
// disk. No faults, no durability, no asynchronous writes; one thread. For tests that need faults use sim/disk.h.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "env/disk.h"

namespace clew::store {

class MemoryDisk final : public env::Disk {
 public:
  std::map<std::string, std::shared_ptr<std::string>> files;  // shared: open files outlive their names

  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenOptions options) override {
    auto& content = files[path];
    if (content == nullptr) {
      if (!options.create) {
        files.erase(path);
        return Error{Code::kNotFound, path};
      }
      content = std::make_shared<std::string>();
    }
    return std::unique_ptr<env::File>(std::make_unique<MemoryFile>(content));
  }
  Status rename(const std::string& from, const std::string& to) override {
    files[to] = files[from];
    files.erase(from);
    return {};
  }
  Status remove(const std::string& path) override {
    return files.erase(path) != 0 ? Status() : Status(Code::kNotFound, path);
  }
  Status make_dirs(const std::string&) override { return {}; }
  Status sync_dir(const std::string&) override { return {}; }
  Result<std::vector<std::string>> list(const std::string& path) override {
    std::vector<std::string> names;
    for (const auto& [name, content] : files) {
      if (name.starts_with(path + "/")) names.push_back(name.substr(path.size() + 1));
    }
    return names;
  }
  Result<env::DiskSpace> space(const std::string&) override { return env::DiskSpace{1ull << 40, 1ull << 40}; }
  Result<std::unique_ptr<env::File>> lock_dir(const std::string& path) override {
    return open(path + "/LOCK", {.create = true});
  }

 private:
  class MemoryFile final : public env::File {
   public:
    explicit MemoryFile(std::shared_ptr<std::string> content) : content_(std::move(content)) {}
    Result<size_t> read_at(uint64_t offset, char* out, size_t size) const override {
      if (offset >= content_->size()) return size_t{0};
      return content_->copy(out, size, offset);
    }
    Status write_at(uint64_t offset, std::string_view bytes) override {
      if (content_->size() < offset + bytes.size()) content_->resize(offset + bytes.size());
      std::memcpy(content_->data() + offset, bytes.data(), bytes.size());
      return {};
    }
    Status sync() override { return {}; }
    Status preallocate(uint64_t) override { return {}; }
    Status truncate(uint64_t size) override {
      content_->resize(size);
      return {};
    }
    Result<uint64_t> size() const override { return content_->size(); }
    void submit_write(env::Loop&, uint64_t offset, std::string_view bytes, bool,
                      UniqueFunction<void(Status)> done) override {
      done(write_at(offset, bytes));
    }

   private:
    std::shared_ptr<std::string> content_;
  };
};

}  // namespace clew::store

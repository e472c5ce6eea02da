#include "env/disk.h"

#include <cstdlib>
#include <utility>

namespace clew::env {

AlignedBuffer::AlignedBuffer(size_t capacity)
    : capacity_((capacity + kDiskAlignment - 1) / kDiskAlignment * kDiskAlignment) {
  data_ = static_cast<char*>(std::aligned_alloc(kDiskAlignment, capacity_));
  CHECK(data_ != nullptr || capacity_ == 0);
}

AlignedBuffer::~AlignedBuffer() { std::free(data_); }

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), capacity_(std::exchange(other.capacity_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(capacity_, other.capacity_);
  return *this;
}

Result<std::string> read_file(Disk& disk, const std::string& path, uint64_t max_bytes) {
  CLEW_ASSIGN(auto file, disk.open(path, {}));
  CLEW_ASSIGN(const uint64_t size, file->size());
  if (size > max_bytes) {
    return Error{Code::kResourceExhausted,
                 path + ": " + std::to_string(size) + " bytes, more than the allowed " + std::to_string(max_bytes)};
  }
  std::string content(size, '\0');
  CLEW_ASSIGN(const size_t got, file->read_at(0, content.data(), size));
  content.resize(got);
  return content;
}

Status write_file_atomically(Disk& disk, const std::string& directory, const std::string& name,
                             std::string_view bytes) {
  const std::string path = directory + "/" + name;
  const std::string temporary = path + ".tmp";
  {
    CLEW_ASSIGN(auto file, disk.open(temporary, {.create = true, .writable = true}));
    CLEW_TRY(file->truncate(0));
    CLEW_TRY(file->write_at(0, bytes));
    CLEW_TRY(file->sync());
  }
  CLEW_TRY(disk.rename(temporary, path));
  return disk.sync_dir(directory);
}

}  // namespace clew::env

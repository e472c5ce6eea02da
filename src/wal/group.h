// A group being gathered: the aligned buffer that will be written as it stands, and the completions that wait for it.
// One memory copy and one checksum a byte. Single-threaded.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/function.h"
#include "env/disk.h"
#include "wal/files.h"
#include "wal/format.h"

namespace clew::wal {

class Group {
 public:
  Group(std::shared_ptr<LogFile> target, uint64_t first_record, env::AlignedBuffer buffer)
      : target_(std::move(target)), buffer_(std::move(buffer)) {
    header_.first_record = first_record;
  }

  // Copies one record, whose number is the next one of this group.
  void add(std::span<const std::string_view> pieces, uint32_t body_bytes, uint64_t salt, Task done);
  // Fills in header and padding; `bytes()` are then what goes to `offset` of the target.
  void seal(uint64_t offset, uint64_t salt);

  std::string_view bytes() const { return {buffer_.data(), header_.bytes_on_disk()}; }
  uint64_t bytes_on_disk() const { return header_.bytes_on_disk(); }
  uint64_t payload_bytes() const { return header_.payload_bytes; }
  uint64_t offset() const { return header_.offset; }
  uint64_t next_record() const { return header_.next_record(); }
  uint32_t records() const { return header_.records; }
  const std::shared_ptr<LogFile>& target() const { return target_; }
  std::vector<Task> take_completions() { return std::move(completions_); }
  env::AlignedBuffer take_buffer() { return std::move(buffer_); }

 private:
  void make_room(uint64_t bytes);

  std::shared_ptr<LogFile> target_;  // shared: the log moves on to the next file while this group waits for its write
  env::AlignedBuffer buffer_;
  GroupHeader header_;
  std::vector<Task> completions_;
};

}  // namespace clew::wal

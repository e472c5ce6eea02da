#include "wal/group.h"

#include <algorithm>
#include <cstring>

namespace clew::wal {
namespace {
constexpr uint64_t kFirstBufferBytes = 64 << 10;
}

void Group::make_room(uint64_t bytes) {
  if (bytes <= buffer_.capacity()) return;
  env::AlignedBuffer larger(std::max<uint64_t>({bytes, 2 * buffer_.capacity(), kFirstBufferBytes}));
  if (header_.payload_bytes > 0) {
    std::memcpy(larger.data() + kGroupHeaderBytes, buffer_.data() + kGroupHeaderBytes, header_.payload_bytes);
  }
  buffer_ = std::move(larger);
}

void Group::add(std::span<const std::string_view> pieces, uint32_t body_bytes, uint64_t salt, Task done) {
  const uint64_t begin = kGroupHeaderBytes + header_.payload_bytes;
  make_room(align_up(begin + kRecordHeaderBytes + body_bytes));
  char* const record = buffer_.data() + begin;
  char* at = record + kRecordHeaderBytes;
  for (const std::string_view piece : pieces) {
    if (piece.empty()) continue;
    std::memcpy(at, piece.data(), piece.size());
    at += piece.size();
  }
  write_record_header(record, body_bytes, salt, next_record());
  header_.payload_bytes += kRecordHeaderBytes + body_bytes;
  ++header_.records;
  if (done) completions_.push_back(std::move(done));
}

void Group::seal(uint64_t offset, uint64_t salt) {
  const uint64_t used = kGroupHeaderBytes + header_.payload_bytes;
  make_room(align_up(used));
  std::memset(buffer_.data() + used, 0, align_up(used) - used);
  header_.file = target_->number;
  header_.offset = offset;
  header_.salt = salt;
  write_group_header(buffer_.data(), header_);
}

}  // namespace clew::wal

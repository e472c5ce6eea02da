#include "store/row_chunk.h"

#include "model/row.h"
#include "store/chunk_index.h"

namespace clew::store {

RowChunk::RowChunk(uint32_t number, uint64_t wal_file, std::shared_ptr<const model::Dictionary> dictionary,
                   size_t capacity_bytes)
    : number_(number),
      wal_file_(wal_file),
      dictionary_(std::move(dictionary)),
      capacity_(capacity_bytes & ~size_t{7}),
      buffer_(new char[capacity_]) {  // not make_unique: that would write a mebibyte of zeros
  CHECK(number != 0);
  CHECK(dictionary_ != nullptr);
  CHECK(capacity_bytes >= sizeof(RowRecord) && capacity_bytes <= kMaxBytes);
}

RowChunk::~RowChunk() { delete index_.load(std::memory_order_acquire); }

RowLink RowChunk::append(model::TenantId tenant, model::TraceId trace, model::Stamp stamp, RowLink previous,
                         std::string_view row) {
  CHECK(has_room(row.size()));
  CHECK(!closed_.load(std::memory_order_relaxed));
  char* at = buffer_.get() + written_;
  auto* record = new (at) RowRecord;
  record->row_size = static_cast<uint32_t>(row.size());
  record->previous = previous;
  record->tenant = tenant;
  record->trace = trace;
  record->hlc = stamp.hlc;
  record->sequence = stamp.sequence;
  record->origin = stamp.origin;
  std::memcpy(at + sizeof(RowRecord), row.data(), row.size());
  const RowLink link = static_cast<uint64_t>(number_) << 32 | written_;
  written_ += bytes_for(row.size());
  ++live_rows_;
  if (const auto start_ns = model::row_start_ns(row); start_ns && *start_ns > max_start_ns()) {
    max_start_ns_.store(*start_ns, std::memory_order_relaxed);
  }
  committed_.store(written_, std::memory_order_release);
  return link;
}

bool RowChunk::release_rows(uint32_t rows) {
  CHECK(rows <= live_rows_);
  live_rows_ -= rows;
  return live_rows_ == 0;
}

const ChunkIndex* RowChunk::publish_index(std::unique_ptr<const ChunkIndex> index) const {
  const ChunkIndex* built = index.release();
  CHECK(index_.exchange(built, std::memory_order_acq_rel) == nullptr);
  return built;
}

}  // namespace clew::store

// RowChunk: a slab of rows that are not sealed yet. The shard appends, query workers scan, nobody locks.
//
// A chunk is a fixed buffer, about 1 MiB, filled once from front to back. Each record is a RowRecord header and the
// bytes of one row (model/row.h), padded to 8. Records of one trace are linked backwards, across chunks, by RowLink;
// the newest link of a trace lives in the open-trace table. All rows of a chunk use one dictionary and belong to one
// WAL file, so the chunk says which WAL file may go once no row of it is live.
//
// Threads: one owner appends and releases. Any thread that holds the chunk by shared_ptr may scan it meanwhile.
//   1. Bytes below `committed()` never change.
//   2. `committed()` is stored with release after the record's bytes and loaded with acquire, so every record below it
//      is whole, and every dictionary code in it was interned before.
// A sealed row stays in its chunk until the last row of the chunk is sealed: a scan finds candidates, and only the
// shard's table of open traces says which of them are still open. Rows of a trace are taken from the table, by link.
// When not to use it: for sealed rows (segments), or as a general arena; nothing is ever freed inside a chunk.
// Costs: append is one copy of the row and 56 bytes of header.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/check.h"
#include "model/dictionary.h"
#include "model/ids.h"

namespace clew::store {

// chunk number << 32 | offset in the chunk. 0: none. Numbers start at 1 and are unique within a shard's process.
using RowLink = uint64_t;
constexpr uint32_t link_chunk(RowLink link) { return static_cast<uint32_t>(link >> 32); }
constexpr uint32_t link_offset(RowLink link) { return static_cast<uint32_t>(link); }

struct alignas(8) RowRecord {  // in memory only, never on disk
  uint32_t row_size = 0;
  uint32_t origin = 0;
  RowLink previous = 0;  // the row of the same trace that arrived before, or 0
  model::TenantId tenant;
  model::TraceId trace;
  uint64_t hlc = 0;
  uint64_t sequence = 0;

  std::string_view row() const { return {reinterpret_cast<const char*>(this + 1), row_size}; }
  model::Stamp stamp() const { return {hlc, origin, sequence}; }
};
static_assert(sizeof(RowRecord) == 56);

class ChunkIndex;

class RowChunk {
 public:
  static constexpr size_t kDefaultBytes = 1 << 20;
  static constexpr size_t kMaxBytes = 1u << 31;
  // What a row of that size takes. A row that no chunk of the usual size could hold gets a chunk of exactly this size.
  static constexpr size_t bytes_for(size_t row_size) { return sizeof(RowRecord) + ((row_size + 7) & ~size_t{7}); }

  // `number` is not 0; `capacity_bytes` at most kMaxBytes.
  RowChunk(uint32_t number, uint64_t wal_file, std::shared_ptr<const model::Dictionary> dictionary,
           size_t capacity_bytes = kDefaultBytes);
  ~RowChunk();
  RowChunk(const RowChunk&) = delete;
  RowChunk& operator=(const RowChunk&) = delete;

  // Constant after construction.
  uint32_t number() const { return number_; }
  uint64_t wal_file() const { return wal_file_; }
  const model::Dictionary& dictionary() const { return *dictionary_; }
  const std::shared_ptr<const model::Dictionary>& shared_dictionary() const { return dictionary_; }
  size_t capacity() const { return capacity_; }
  // Without the index: what a chunk counts for stays the same while it lives. An index is a sixteenth of it.
  uint64_t memory_bytes() const { return sizeof(*this) + capacity_; }

  // Owner only.
  bool has_room(size_t row_size) const { return capacity_ - written_ >= bytes_for(row_size); }
  // Copies the row in and publishes it. CHECKs has_room(). The returned link is never 0.
  RowLink append(model::TenantId tenant, model::TraceId trace, model::Stamp stamp, RowLink previous,
                 std::string_view row);
  // No more appends will come: the index may be built (by whichever query comes first).
  void close() { closed_.store(true, std::memory_order_release); }
  uint32_t live_rows() const { return live_rows_; }
  // `rows` more rows of this chunk are sealed and published; true when none is live any more.
  bool release_rows(uint32_t rows);

  // Any thread.
  // No committed row starts later; INT64_MIN when there is none, or none whose start could be read.
  int64_t max_start_ns() const { return max_start_ns_.load(std::memory_order_relaxed); }
  size_t committed() const { return committed_.load(std::memory_order_acquire); }
  bool closed() const { return closed_.load(std::memory_order_acquire); }
  const RowRecord& at(RowLink link) const {
    CHECK(link_chunk(link) == number_ && link_offset(link) < capacity_);
    return *reinterpret_cast<const RowRecord*>(buffer_.get() + link_offset(link));
  }
  RowLink link_of(const RowRecord& record) const {
    const auto offset = static_cast<uint64_t>(reinterpret_cast<const char*>(&record) - buffer_.get());
    return static_cast<uint64_t>(number_) << 32 | offset;
  }
  // Calls visit(const RowRecord&) for each committed record in order of arrival until it returns false.
  // Returns the offset after the last visited one, to continue from later.
  template <typename Visit>
  size_t scan(Visit&& visit, size_t from = 0) const {
    const size_t end = committed();
    while (from < end) {
      const auto& record = *reinterpret_cast<const RowRecord*>(buffer_.get() + from);
      from += bytes_for(record.row_size);
      if (!visit(record)) break;
    }
    return from;
  }

  // The index over a closed chunk (chunk_index.h), or null; it never changes afterwards. Who claims it first builds it.
  const ChunkIndex* index() const { return index_.load(std::memory_order_acquire); }
  bool claim_index() const { return !index_claimed_.exchange(true, std::memory_order_relaxed); }
  const ChunkIndex* publish_index(std::unique_ptr<const ChunkIndex> index) const;

 private:
  const uint32_t number_;
  const uint64_t wal_file_;
  const std::shared_ptr<const model::Dictionary> dictionary_;  // shared: by the chunks of one WAL file and its writer
  const size_t capacity_;
  const std::unique_ptr<char[]> buffer_;

  // Owner's.
  size_t written_ = 0;
  uint32_t live_rows_ = 0;

  // Own synchronisation.
  std::atomic<size_t> committed_{0};
  std::atomic<int64_t> max_start_ns_{INT64_MIN};  // stored before committed_
  std::atomic<bool> closed_{false};
  mutable std::atomic<bool> index_claimed_{false};
  mutable std::atomic<const ChunkIndex*> index_{nullptr};
};

// Walks a trace's rows from the newest to the oldest. `chunk_of(number)` gives a const RowChunk* or null;
// visit(const RowChunk&, const RowRecord&) returns false to stop. The walk ends at link 0, or where a chunk is gone: it
// was released, so all its rows, and all older rows of the trace, are in segments.
template <typename ChunkOf, typename Visit>
void walk_rows(RowLink newest, ChunkOf&& chunk_of, Visit&& visit) {
  while (newest != 0) {
    const RowChunk* chunk = chunk_of(link_chunk(newest));
    if (chunk == nullptr) return;
    const RowRecord& record = chunk->at(newest);
    if (!visit(*chunk, record)) return;
    newest = record.previous;
  }
}

}  // namespace clew::store

// ChunkSet: the live row chunks of a shard, by number. A copy is a snapshot: it keeps its chunks alive, and query and
// seal workers walk it while the shard goes on. Copying costs one reference count a chunk. Threads: a set belongs to
// one thread; its chunks may be read from any (row_chunk.h). Not a container of rows to iterate for queries:
// chunk_index.h skips chunks that cannot match.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "store/row_chunk.h"

namespace clew::store {

struct ChunkRow {
  const model::Dictionary* dictionary = nullptr;
  std::string_view row;
  model::Stamp stamp;
  uint32_t chunk_position = 0;  // in the set
};

class ChunkSet {
 public:
  size_t size() const { return chunks_.size(); }
  bool empty() const { return chunks_.empty(); }
  // Shared: the shard and every snapshot hold the chunk.
  const std::shared_ptr<RowChunk>& operator[](size_t position) const { return chunks_[position]; }
  const std::shared_ptr<RowChunk>& back() const { return chunks_.back(); }

  void push_back(std::shared_ptr<RowChunk> chunk) {  // numbers rise
    CHECK(chunks_.empty() || chunks_.back()->number() < chunk->number());
    chunks_.push_back(std::move(chunk));
  }
  template <typename Predicate>
  void remove_if(Predicate&& predicate) {
    std::erase_if(chunks_, predicate);
  }
  void clear() { chunks_.clear(); }

  // Position of the chunk that a link points into; size() when it is not in the set. O(1) while numbers are dense.
  size_t find(RowLink link) const {
    const uint32_t number = link_chunk(link);
    if (chunks_.empty() || number < chunks_.front()->number() || number > chunks_.back()->number()) return size();
    size_t guess = std::min<size_t>(number - chunks_.front()->number(), chunks_.size() - 1);
    while (guess > 0 && chunks_[guess]->number() > number) --guess;
    return chunks_[guess]->number() == number ? guess : size();
  }

  void prefetch(RowLink link) const {
    const size_t position = find(link);
    if (position == size()) return;
    const char* record = reinterpret_cast<const char*>(&chunks_[position]->at(link));
    __builtin_prefetch(record);
    __builtin_prefetch(record + 64);
  }

  // The `rows` newest rows of a trace, newest first.
  void chain(RowLink newest, uint32_t rows, std::vector<ChunkRow>& out) const {
    out.clear();
    for (RowLink link = newest; link != 0 && out.size() < rows;) {
      const size_t position = find(link);
      CHECK(position < size());  // a chunk with live rows is never dropped
      const RowRecord& record = chunks_[position]->at(link);
      if (record.previous != 0) prefetch(record.previous);
      out.push_back({&chunks_[position]->dictionary(), record.row(), record.stamp(), static_cast<uint32_t>(position)});
      link = record.previous;
    }
  }

 private:
  std::vector<std::shared_ptr<RowChunk>> chunks_;
};

}  // namespace clew::store

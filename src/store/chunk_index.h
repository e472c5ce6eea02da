// ChunkIndex: what a closed RowChunk certainly does not contain. Built once, on a query worker, by the first search
// that meets the chunk; so ingest without queries pays nothing for it. Immutable; any thread.
//
// One Bloom filter (blocked, 8 bits in one cache line) over hashes of: (scope of the key, key), (scope, key, value) for
// string, int, bool and double values, span names, services; next to it the extremes of start and duration. ~180 ns a
// row to build, ~60 KiB for a chunk of 8,000 rows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "model/ids.h"
#include "model/row.h"
#include "store/matcher.h"
#include "store/row_chunk.h"
#include "store/row_matcher.h"

namespace clew::store {

class ChunkIndex {
 public:
  static std::unique_ptr<const ChunkIndex> build(const RowChunk& chunk);

  // False: certainly no row of the chunk satisfies the expression. O(nodes).
  bool may_match(const Matcher& matcher) const;
  bool may_contain(model::TenantId tenant) const;

  uint64_t memory_bytes() const { return sizeof(*this) + filter_.size() * sizeof(uint64_t); }
  uint32_t rows() const { return rows_; }
  // Over rows that parse; min > max when there is none.
  int64_t min_start_ns() const { return min_start_ns_; }
  int64_t max_start_ns() const { return max_start_ns_; }
  int64_t min_duration_ns() const { return min_duration_ns_; }
  int64_t max_duration_ns() const { return max_duration_ns_; }

 private:
  explicit ChunkIndex(size_t rows);
  void add(uint64_t hash);
  bool has(uint64_t hash) const;
  void add_row(const model::Dictionary& dictionary, const RowRecord& record, struct IndexScratch& scratch);
  bool may_hold(const Condition& condition) const;
  bool may_hold_value(uint64_t scope, const Condition& condition) const;
  bool may_hold_text(uint64_t scoped_key, std::string_view text) const;

  uint32_t rows_ = 0;
  uint8_t kinds_ = 0, statuses_ = 0;  // bit per number
  int64_t min_start_ns_ = INT64_MAX, max_start_ns_ = INT64_MIN;
  int64_t min_duration_ns_ = INT64_MAX, max_duration_ns_ = INT64_MIN;
  uint64_t mask_ = 0;             // blocks - 1
  std::vector<uint64_t> filter_;  // 8 words a block
};

// The index of the chunk, built now when the chunk is closed and has none; null for an open one.
const ChunkIndex* ensure_index(const RowChunk& chunk);

struct RowHit {
  const RowRecord* record = nullptr;
  model::RowHead head;
  bool exact = true;  // false: the trace's root or duration must still be asked (RowMatch::kMaybe)
};

struct ScanStats {
  uint64_t rows = 0;     // evaluated
  uint64_t chunks = 0;   // scanned
  uint64_t skipped = 0;  // chunks that their index ruled out
};

// Calls sink(const RowHit&) for each row of the tenant in the chunk that satisfies the expression, sealed ones
// included, in order of arrival, until it returns false. Not exact hits must be checked with store::matches on the
// trace. Any thread; blocking work of ~40 ns a row.
void search_chunk(const RowChunk& chunk, RowMatcher& matcher, model::TenantId tenant,
                  const std::function<bool(const RowHit&)>& sink, ScanStats* stats = nullptr);

}  // namespace clew::store

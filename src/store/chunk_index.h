// ChunkIndex: where in a closed RowChunk a match certainly is not. Built once, off the loop, after a search met the
// chunk without it; so ingest without queries pays nothing for it. Immutable; any thread.
//
// The chunk is cut into 16 granules of equal bytes. A sliced Bloom filter over facts answers for all of them at once:
// a fact's hash chooses a line and in it a few words, bit g of each word belongs to granule g, and the AND of the words
// are the granules that may hold the fact. Facts: (scope of the key, key), (scope, key, value) for string, int, bool
// and double values, span names, services, and (service, name) as one, because each alone is in nearly every granule.
// Beside it the extremes of start and duration by granule. ~200 ns a row to build, a sixteenth of the chunk's bytes.
// When not to use it: to answer a negation, or anything that an equality, a key or an interval does not bound.
#pragma once

#include <array>
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
  static constexpr size_t kGranules = 16;
  using Mask = uint16_t;  // bit g: granule g

  struct Granule {
    uint32_t begin = 0, end = 0;      // offsets of its records in the chunk
    uint32_t rows = 0;                // that parse
    uint8_t kinds = 0, statuses = 0;  // bit per number
    // Over rows that parse; min > max when there is none.
    int64_t min_start_ns = INT64_MAX, max_start_ns = INT64_MIN;
    int64_t min_duration_ns = INT64_MAX, max_duration_ns = INT64_MIN;
  };

  static std::unique_ptr<const ChunkIndex> build(const RowChunk& chunk);

  // Granules outside the mask certainly have no row of the tenant that satisfies the expression. O(nodes).
  Mask may_match(const Matcher& matcher, model::TenantId tenant) const;

  const std::array<Granule, kGranules>& granules() const { return granules_; }
  uint64_t memory_bytes() const { return sizeof(*this) + lines_.size() * sizeof(Line); }
  uint32_t rows() const;  // that parse

 private:
  struct alignas(128) Line {
    std::array<Mask, 64> words{};
  };
  explicit ChunkIndex(size_t bytes);
  void add(uint64_t hash, size_t granule);
  Mask has(uint64_t hash) const;
  void add_row(const model::Dictionary& dictionary, const RowRecord& record, size_t granule,
               struct IndexScratch& scratch);
  template <typename Predicate>
  Mask where(Predicate predicate) const;
  Mask may_hold(const Condition& condition) const;
  Mask may_hold_value(uint64_t scope, const Condition& condition) const;
  template <typename Hash>
  Mask may_hold_text(Hash hash_of, std::string_view text) const;
  Mask may_hold_pair(const Matcher& matcher, const Matcher::Node& node) const;

  std::array<Granule, kGranules> granules_;
  std::vector<Line> lines_;
};

// The index of the chunk, built now when the chunk is closed and has none; null for an open one, and while another
// thread builds it.
const ChunkIndex* ensure_index(const RowChunk& chunk);

struct RowHit {
  const RowRecord* record = nullptr;
  model::RowHead head;
  bool exact = true;  // false: the trace's root or duration must still be asked (RowMatch::kMaybe)
};

struct ScanStats {
  uint64_t rows = 0;     // evaluated
  uint64_t ranges = 0;   // scanned: granules, or whole chunks without an index
  uint64_t skipped = 0;  // granules that an index ruled out
};

// A part of a chunk that may hold matches, and the newest start of a span in it.
struct RowRange {
  const RowChunk* chunk = nullptr;
  size_t begin = 0, end = 0;  // offsets; end beyond the committed bytes: to their end
  int64_t max_start_ns = INT64_MAX;
};

// Adds the parts of the chunk that may hold a match: granules when it has an index, else all of it.
void add_ranges(const RowChunk& chunk, const Matcher& matcher, model::TenantId tenant, std::vector<RowRange>& out,
                ScanStats* stats = nullptr);

// Calls sink(const RowHit&) for each row of the tenant in the range that satisfies the expression, sealed ones
// included, in order of arrival, until it returns false. Not exact hits must be checked with store::matches on the
// trace. Any thread; blocking work of ~40 ns a row.
void search_rows(const RowRange& range, RowMatcher& matcher, model::TenantId tenant,
                 const std::function<bool(const RowHit&)>& sink, ScanStats* stats = nullptr);
// The same for a chunk, by its ranges.
void search_chunk(const RowChunk& chunk, RowMatcher& matcher, model::TenantId tenant,
                  const std::function<bool(const RowHit&)>& sink, ScanStats* stats = nullptr);

}  // namespace clew::store

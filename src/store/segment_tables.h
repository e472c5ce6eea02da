// The table of traces of a segment: pages of 128 traces in key order, and the same traces newest first, in chunks.
// Builders for the writer, views for readers; both are pure and single-threaded, a view borrows the bytes it reads.
//
//   page   := u8 one_tenant, u64 tenant (or one per trace), n × (u64 hi, u64 lo) trace ids, n × (u64, u64) digests,
//             15 packed columns (enum TraceColumn), varint roots, u64[roots], varint stamps, u64[stamps]
//   chunk  := zigzag start of the first, packed differences to the one before, packed trace numbers, n × u8 class
//   class  := state (2 bits) | duration_bucket of the longest span << 2
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/summary.h"
#include "store/bitpack.h"
#include "store/segment_format.h"

namespace clew::store {

enum TraceColumn : uint8_t {
  kTraceSpans,        // in this segment
  kTraceStart,        // sign bit turned
  kTraceDuration,     // end - start
  kTraceRoot,         // 0: none; 1: the next of `roots`; else index of the root among the trace's spans here + 2
  kTraceRootService,  // string code
  kTraceRootName,     // string code
  kTraceSpanCount,    // of the whole trace, minus kTraceSpans; wraps
  kTraceErrors,
  kTraceOrphans,
  kTraceServices,
  kTraceState,
  kTraceVersion,
  kTraceFindings,    // bit per FindingKind of the newest verdict
  kTraceFirstStamp,  // 0: the next of `stamps`; else number of a stamp with that hlc + 1
  kTraceLastStamp,   // likewise
  kTraceColumns,
};

struct TraceRow {
  model::TraceKey key;
  uint32_t spans = 0;
  uint32_t root_index = UINT32_MAX;  // among its spans here; UINT32_MAX: elsewhere
  uint32_t root_service = 0, root_name = 0;
  uint32_t findings = 0;
  uint32_t first_stamp = UINT32_MAX, last_stamp = UINT32_MAX;  // UINT32_MAX: no stamp of this segment
};

class TracePageBuilder {
 public:
  void add(const TraceRow& row, const model::TraceSummary& summary);
  size_t size() const { return keys_.size(); }
  const model::TraceKey& first() const { return keys_.front(); }
  void flush(std::string& out);  // appends the page and empties the builder

 private:
  std::vector<model::TraceKey> keys_;
  std::vector<Hash128> digests_;
  std::array<std::vector<uint64_t>, kTraceColumns> columns_;
  std::vector<uint64_t> roots_, stamps_;
};

class TracePageView {
 public:
  bool parse(std::string_view bytes, uint32_t traces);
  uint32_t size() const { return traces_; }
  model::TraceKey key(uint32_t i) const;
  uint64_t at(TraceColumn column, uint32_t i) const { return columns_[column].at(i); }
  int64_t start_ns(uint32_t i) const { return static_cast<int64_t>(at(kTraceStart, i) ^ (uint64_t{1} << 63)); }
  Hash128 digest(uint32_t i) const;
  uint64_t spans_before(uint32_t i) const { return spans_before_[i]; }
  // Places in `roots` and `stamps` are found by counting, so these are O(i).
  model::SpanId root_aside(uint32_t i) const;
  // Of the first (or last) arrival, when its column says 0.
  uint64_t stamp_aside(TraceColumn column, uint32_t i) const;
  // Index of the key, or size() when absent.
  uint32_t find(const model::TraceKey& key) const;

 private:
  uint32_t traces_ = 0;
  bool one_tenant_ = true;
  const char* tenants_ = nullptr;
  const char* ids_ = nullptr;
  const char* digests_ = nullptr;
  std::array<PackedView, kTraceColumns> columns_;
  std::vector<uint64_t> spans_before_;  // a search asks for each trace that it passes
  const char* roots_ = nullptr;
  const char* stamps_ = nullptr;
  uint64_t root_count_ = 0, stamp_count_ = 0;
};

struct OrderedTrace {
  int64_t start_ns = 0;
  model::TraceId trace;  // ties; not stored
  uint32_t number = 0;
  uint8_t classes = 0;
};
// Sorts newest first.
void sort_newest_first(std::vector<OrderedTrace>& traces);
void append_order_chunk(const OrderedTrace* begin, const OrderedTrace* end, std::string& out);
// False: no entry is of one of the states (a bit each) and of the duration bucket or above. Looks at one byte an entry.
bool order_chunk_may_fit(std::string_view bytes, uint32_t entries, uint32_t states, uint8_t min_bucket);
// Without trace ids. False when malformed.
bool read_order_chunk(std::string_view bytes, uint32_t entries, std::vector<OrderedTrace>& out);

}  // namespace clew::store

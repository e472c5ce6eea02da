// Segment: one immutable segment file, open for reading. Any thread; every read checks bounds and checksums first, so
// that flipped bytes cost the piece that they hit, never the process. Reads are one pread a piece, no mapping.
//
// Kept in memory: directories and key filter (about 2 bytes a span). Blocks, pages and names go through the PieceCache.
// Damage, which is what the bytes or the device say (kDataLoss), is told to the DamageLog once per piece. Any other
// failure to read is no damage: it is answered with its own code, and the same read may succeed later.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "env/disk.h"
#include "store/block_view.h"
#include "store/bloom.h"
#include "store/piece_cache.h"
#include "store/segment_names.h"
#include "store/segment_tables.h"

namespace clew::store {

// Counts damaged pieces and tells about each once. Any thread; `report` may be called on any.
class DamageLog {
 public:
  explicit DamageLog(std::function<void(const std::string&)> report) : report_(std::move(report)) {}
  void add(const std::string& file, uint64_t offset, const std::string& what);
  uint64_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  const std::function<void(const std::string&)> report_;
  std::atomic<uint64_t> count_{0};
  Mutex mutex_;
  std::set<std::pair<std::string, uint64_t>> seen_ CLEW_GUARDED_BY(mutex_);
};

// What segments share.
struct SegmentEnvironment {
  env::Disk* disk = nullptr;
  std::shared_ptr<PieceCache> cache;
  std::shared_ptr<DamageLog> damage;
  uint64_t hash_seed = 0;
};

class Segment {
 public:
  // kDataLoss: header, footer or an index section is damaged or of an unknown version; the file cannot be used.
  static Result<std::shared_ptr<const Segment>> open(const SegmentEnvironment& environment, const std::string& path,
                                                     uint64_t number);

  uint64_t number() const { return number_; }
  const std::string& path() const { return path_; }
  const SegmentInfo& info() const { return info_; }
  uint64_t file_bytes() const { return file_bytes_; }
  const std::vector<BlockEntry>& blocks() const { return blocks_; }
  const std::vector<PageEntry>& pages() const { return pages_; }
  const std::vector<OrderEntry>& order() const { return order_; }
  const std::vector<TenantEntry>& tenants() const { return tenants_; }

  // False: certainly absent. In memory.
  bool may_contain(uint64_t hash) const { return filter_.has(hash); }
  // The trace's number, or nothing.
  Result<std::optional<uint32_t>> find(const model::TraceKey& key) const;

  // A page, parsed; it keeps its bytes alive.
  struct Page {
    std::shared_ptr<const std::string> bytes;
    TracePageView view;
    const PageEntry* entry = nullptr;
  };
  Result<std::shared_ptr<const Page>> page_of(uint32_t trace) const;
  uint32_t first_trace_of(const Page& page) const {
    return page_first_trace_[static_cast<size_t>(page.entry - pages_.data())];
  }
  Status read_verdicts_of(const Page& page, uint32_t index, std::span<const model::SpanId> ids,
                          std::vector<model::Verdict>& out) const;
  model::TraceSummary summary(const SegmentNames& names, const Page& page, uint32_t index,
                              std::span<const model::SpanId> ids) const;

  Result<std::shared_ptr<const SegmentNames>> names() const;

  // A block, parsed; it keeps its bytes alive. Tails and heap are read when asked for.
  struct Block {
    std::shared_ptr<const std::string> bytes;
    BlockView view;
  };
  Result<std::shared_ptr<const Block>> block(uint32_t number) const;
  Result<std::shared_ptr<const std::string>> tails(uint32_t number) const;  // decompressed
  Result<std::shared_ptr<const std::string>> heap(uint32_t number) const;
  uint32_t block_of_span(uint32_t span) const;

  Result<std::shared_ptr<const std::string>> order_chunk(const OrderEntry& entry) const;
  // Which blocks may hold a value with that filter hash: added to `out`. All of them when there is no filter.
  Status add_filtered_blocks(uint64_t hash, BlockSet& out) const;
  // [first, end) of a tenant's traces and blocks; empty when the tenant is not here.
  struct Range {
    uint32_t first_trace = 0, end_trace = 0, first_block = 0, end_block = 0;
  };
  Range tenant_range(model::TenantId tenant) const;
  int tenant_index(model::TenantId tenant) const;  // -1: not here

  // A read failed, for whatever reason: what this holds may still be there, so it must not be merged away. Any thread.
  bool read_failed() const { return read_failed_.load(std::memory_order_relaxed); }
  // After this the file is deleted when the last holder lets go. Any thread.
  void remove_when_unused() const { doomed_.store(true, std::memory_order_release); }
  ~Segment();

 private:
  Segment(const SegmentEnvironment& environment, std::string path, uint64_t number);
  Status load();
  Result<std::string> read_bytes(uint64_t offset, uint64_t size) const;
  Result<std::shared_ptr<const std::string>> read_piece(const Piece& piece, bool compressed, bool cached) const;
  Status damaged(uint64_t offset, const std::string& what) const;
  Status unread(uint64_t offset, const Error& error) const;  // what to answer after a failed read

  struct SectionEntry {
    uint16_t id = 0, flags = 0;
    uint64_t offset = 0, size = 0;
    uint32_t checksum = 0;
  };
  Result<std::string> read_section(const SectionEntry& entry) const;
  const SectionEntry* section(Section id) const;

  // Constant after open().
  const SegmentEnvironment environment_;
  const std::string path_;
  const uint64_t number_;
  const uint64_t cache_id_;
  std::unique_ptr<env::File> file_;
  uint64_t file_bytes_ = 0;
  SegmentInfo info_;
  std::vector<SectionEntry> sections_;
  std::vector<BlockEntry> blocks_;
  std::vector<PageEntry> pages_;
  std::vector<uint32_t> page_first_trace_;
  std::vector<OrderEntry> order_;
  std::vector<TenantEntry> tenants_;
  KeyFilter filter_{0};

  mutable std::atomic<bool> doomed_{false};
  mutable std::atomic<bool> read_failed_{false};
};

}  // namespace clew::store

// EmbeddedStore: SpanStore on a directory of segment files. The default engine.
//
// Directory: seg-<number>.clew (segment.h), MANIFEST (which of them are live), *.tmp (being written). What the manifest
// does not name is removed at open, so a crash leaves neither half a segment nor, after a compaction, a segment twice.
// A segment whose footer or index is damaged is renamed *.damaged, reported and counted; the rest serves.
//
// Threads: prepare and maintain on the background lane, any number at a time; publish on an owner's loop; view and
// stats anywhere. One mutex guards the list of segments and is never held over I/O, but for the manifest's, which has
// its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "store/compaction.h"
#include "store/segment.h"
#include "store/segment_view.h"
#include "store/span_store.h"

namespace clew::store {

struct EmbeddedOptions {
  std::string directory;
  Retention retention;
  uint64_t cache_bytes = 48ull << 20;     // blocks, pages and names kept in memory
  uint64_t hash_seed = 0;                 // drawn at start-up
  uint32_t max_segment_spans = 1u << 19;  // a batch or a merge above it becomes several segments
  uint32_t step_spans = 1u << 15;         // what one maintain() copies at most
};

class EmbeddedStore final : public SpanStore {
 public:
  // `report` hears about damage, a sentence each; it may be called on any thread.
  static Result<std::unique_ptr<EmbeddedStore>> open(env::Disk& disk, EmbeddedOptions options,
                                                     std::function<void(const std::string&)> report);
  ~EmbeddedStore() override;

  Result<std::unique_ptr<Prepared>> prepare(std::span<const SealTrace> traces) override;
  void publish(std::unique_ptr<Prepared> batch) override;
  std::shared_ptr<const View> view() const override;
  Result<bool> maintain(int64_t wall_now_ns) override;
  StoreStats stats() const override;

 private:
  using SegmentPtr = std::shared_ptr<const Segment>;  // shared: by views that outlive the segment's place in the store
  EmbeddedStore(env::Disk& disk, EmbeddedOptions options, std::function<void(const std::string&)> report);
  Status load();
  std::string path_of(uint64_t number) const;
  uint64_t take_number();
  // In the manifest `add` appear and `remove` go, in one atomic step.
  Status change_manifest(const std::vector<uint64_t>& add, const std::vector<uint64_t>& remove);
  // The same for readers. `split`: what the added segments share with others, found at some earlier time. Reads pages,
  // never under mutex_: when something else was published meanwhile, it does so again.
  void replace(const std::vector<SegmentPtr>& remove, const std::vector<SegmentPtr>& add,
               const std::vector<model::TraceKey>& split);
  struct Snapshot {
    std::vector<SegmentPtr> segments;
    std::shared_ptr<const SegmentView> view;
    uint64_t generation = 0;
  };
  Snapshot snapshot() const;
  Result<bool> start_merge() CLEW_REQUIRES(merge_mutex_);
  Result<bool> expire(int64_t wall_now_ns);
  Result<bool> step_merge();

  env::Disk& disk_;
  const EmbeddedOptions options_;
  SegmentEnvironment environment_;
  std::function<void(const std::string&)> report_;

  Mutex manifest_mutex_;
  std::vector<uint64_t> live_ CLEW_GUARDED_BY(manifest_mutex_);  // as the manifest on disk names them

  mutable Mutex mutex_;
  std::vector<SegmentPtr> segments_ CLEW_GUARDED_BY(mutex_);
  std::shared_ptr<const SegmentView> view_ CLEW_GUARDED_BY(mutex_);
  uint64_t generation_ CLEW_GUARDED_BY(mutex_) = 0;  // counts changes of segments_ and view_
  uint64_t next_number_ CLEW_GUARDED_BY(mutex_) = 1;
  uint64_t compactions_ CLEW_GUARDED_BY(mutex_) = 0, expired_ CLEW_GUARDED_BY(mutex_) = 0;

  Mutex merge_mutex_;  // one merge at a time, whoever calls maintain
  std::unique_ptr<Merge> merge_ CLEW_GUARDED_BY(merge_mutex_);
  std::set<uint64_t> unmergeable_ CLEW_GUARDED_BY(merge_mutex_);  // segments whose names cannot be read
  // Batches that are prepared and not published. shared: a batch may outlive the store. A merge waits with its swap
  // until there is none, so that publish() finds the store as prepare() saw it and has nothing to read.
  const std::shared_ptr<std::atomic<int>> unpublished_ = std::make_shared<std::atomic<int>>(0);
};

}  // namespace clew::store

// SpanStore: where decided traces live. `embedded` (embedded_store.h) keeps them in immutable segments of its own;
// other engines can stand behind the same interface.
//
// Writing is in two steps, so that nothing is ever in both or in neither place for a reader: `prepare` (background
// lane, blocking) makes a batch of traces durable and returns it; `publish` (owner's loop) makes it visible in the same
// task in which the owner forgets its open rows. A batch that was prepared but not published before a crash is found at
// the next start; its rows are then also replayed from the WAL, and readers drop duplicates by span id and content.
// Reading goes through a View: an immutable snapshot, usable on any thread while the store moves on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/row.h"
#include "model/span.h"
#include "store/name_filter.h"
#include "store/query.h"

namespace clew::store {

struct SealSpan {
  const model::Dictionary* dictionary = nullptr;
  std::string_view row;
  model::Stamp stamp;
  int32_t parent = -1;  // index among the spans of this SealTrace, -1 root, -2 its parent is elsewhere
};

// One trace (or the late part of one: a delta) to be stored. Spans are distinct, in order of arrival.
struct SealTrace {
  model::TraceKey key;
  model::TraceSummary summary;           // of the whole trace, parts stored before included
  std::vector<model::Verdict> verdicts;  // new ones only
  std::span<const SealSpan> spans;
};

class Prepared {
 public:
  virtual ~Prepared() = default;
  virtual uint64_t bytes() const = 0;
};

// Names for completion: those that fit `wanted`, distinct, in its order and bound. Readers add to what is there.
struct Vocabulary {
  std::vector<std::string> values;
  bool truncated = false;
  NameFilter wanted = {};
};

class View {
 public:
  virtual ~View() = default;
  // False: certainly absent (filters in memory; ~10 ns a segment). Any thread.
  virtual bool may_contain(const model::TraceKey& key) const = 0;
  // Adds every stored span, verdict and the newest summary of the trace to `out`; ok and untouched when absent. What is
  // damaged is left out: kDataLoss when nothing else is there. Any other error: not all of it could be read, and it may
  // be later; `out` is then of no use. Blocking.
  virtual Status read(const model::TraceKey& key, model::TraceData& out) const = 0;
  // Hits in order, at most query.limit; `out` is appended to. Damaged parts are left out. Blocking.
  virtual Status search(const TraceQuery& query, std::vector<TraceHit>& out) const = 0;
  virtual Status services(model::TenantId tenant, int64_t from_ns, int64_t to_ns, Vocabulary& out) const = 0;
  virtual Status operations(model::TenantId tenant, std::string_view service, Vocabulary& names,
                            std::vector<uint8_t>& kinds) const = 0;  // kinds[i] of names.values[i]
  virtual Status keys(model::TenantId tenant, Field scope, Vocabulary& out) const = 0;
  virtual Status values(model::TenantId tenant, Field field, std::string_view key, Vocabulary& out) const = 0;
};

struct StoreStats {
  uint64_t segments = 0, traces = 0, spans = 0, bytes = 0;
  uint64_t damaged_blocks = 0;  // reported, skipped, counted
  uint64_t compactions = 0, expired_segments = 0;
  int64_t oldest_arrival_ns = 0;
};

struct Retention {
  int64_t max_age_ns = 0;       // since arrival; 0: no limit
  uint64_t max_bytes = 0;       // 0: no limit
  double max_disk_share = 0.9;  // of the file system
};

class SpanStore {
 public:
  virtual ~SpanStore() = default;
  // Background lane. `traces` in TraceKey order. kResourceExhausted when the disk is full (nothing is left behind; the
  // caller keeps its rows and tries again later).
  virtual Result<std::unique_ptr<Prepared>> prepare(std::span<const SealTrace> traces) = 0;
  virtual void publish(std::unique_ptr<Prepared> batch) = 0;  // owner's loop
  virtual std::shared_ptr<const View> view() const = 0;       // any thread
  // One bounded step of compaction or retention (background lane); true when there is more to do now. On an error
  // everything that was stored still is: what a step would replace or drop stays until its successor is durable. The
  // same step may be asked for again.
  virtual Result<bool> maintain(int64_t wall_now_ns) = 0;
  virtual StoreStats stats() const = 0;  // any thread
};

}  // namespace clew::store

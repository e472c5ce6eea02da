// A seal job: traces whose time has come are assessed, and those that are decided become a batch of the store.
// Runs on the background lane over rows that no longer change (their chunks may still grow); the shard applies the
// outcome on its loop: only then does anything become visible or go away. When a run fails nothing was stored, and the
// job's rows stay open. What is stored of a trace is read before it is decided; when that fails, the trace is left open
// and tried again, so that nothing is stored twice and no verdict forgets another. Only damage is final (kDataLoss):
// the store has reported it, and what can be read counts. A trace that is not whole and only quiet is left to go on
// collecting; a timeout decides it as it is; a spill stores its rows as an active part, without deciding. Not for
// queries: they assemble open traces for themselves.
//
// Threads: one Sealer a shard, one run at a time. Everything in a job is borrowed from it or kept alive by it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "cluster/assembly.h"
#include "store/chunk_set.h"
#include "store/span_store.h"
#include "trace/client_server.h"
#include "trace/lifecycle.h"

namespace clew::cluster {

// Learnt by the sealer, read by queries on other threads.
struct SharedPeerHistory {
  Mutex mutex;
  trace::DecayedPeerHistory peers CLEW_GUARDED_BY(mutex);
};

struct SealItem {
  enum class Outcome : uint8_t {
    kNotWhole,  // something may still come: it goes on collecting
    kSealed,    // its rows are in `prepared` (or were stored already: duplicates)
    kUnread,    // what is stored of it could not be read: to be tried again
  };
  uint32_t slot = 0;
  model::TraceKey key;
  trace::RowLink newest = 0;
  uint32_t rows = 0;
  trace::Due why = trace::Due::kQuiet;
  int64_t open_ns = 0;  // how long its oldest row has been open
  Outcome outcome = Outcome::kNotWhole;
};

struct SealJob {
  std::vector<SealItem> items;
  store::ChunkSet chunks;
  std::shared_ptr<const store::View> view;
  int64_t wall_ns = 0;
};

struct SealOutcome {
  Status status;  // kResourceExhausted: the disk is full, try again later; other errors: nothing was stored
  std::unique_ptr<store::Prepared> prepared;  // null when no item had anything new to store
  std::vector<uint32_t> rows_per_chunk;       // rows no longer needed, by position in job.chunks
  uint64_t sealed_rows = 0, complete = 0, timed_out = 0, reopened = 0, duplicates = 0, malformed = 0;
  uint64_t read_failures = 0;
};

class Sealer {
 public:
  Sealer(const trace::Policy& policy, SharedPeerHistory& history) : assembly_(policy), history_(history) {}
  // One call at a time.
  SealOutcome run(SealJob& job, store::SpanStore& store);

 private:
  SealItem::Outcome seal_one(const SealItem& item, SealJob& job, SealOutcome& outcome);

  Assembly assembly_;
  SharedPeerHistory& history_;
  std::vector<store::ChunkRow> chain_;
  std::vector<store::SealSpan> spans_;  // of all traces of the batch
  struct Range {
    size_t first = 0, count = 0;
  };
  std::vector<Range> ranges_;
  std::vector<store::SealTrace> traces_;
};

}  // namespace clew::cluster

// What a node offers to api/: ingest and queries, as values in and completions out. api/ only transcodes between these
// and the protocols; the simulator drives them without a socket.
//
// Any thread may call. A call never blocks; its `done` runs exactly once, unless the loops are stopped first: then it
// is dropped. Names and sizes in requests are strangers' input: the service checks the tenant's name and the body's
// framing; the bounds of a query's `limit` are the caller's. Not for code of this layer or below: a shard is asked
// directly.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/function.h"
#include "base/status.h"
#include "model/span.h"
#include "otlp/envelope.h"
#include "store/query.h"
#include "store/span_store.h"

namespace clew::cluster {

struct IngestRequest {
  std::string tenant;                       // validated name
  std::shared_ptr<const std::string> body;  // shared: the shards that own its spans each decode their part
};
struct IngestReply {
  // kInvalidArgument: malformed, nothing stored. kUnavailable: retry after retry_after_ms (memory, disk full, shutting
  // down), nothing or a part stored: a retry stores nothing twice. ok: durable as configured.
  Status status;
  uint64_t accepted = 0;
  uint64_t rejected = 0;
  std::string message;  // for partial_success
  uint32_t retry_after_ms = 0;
};

class IngestService {
 public:
  virtual ~IngestService() = default;
  // Any thread. `done` runs once: on the calling thread when the request is refused at once, else on a loop of the
  // node; it must not block.
  virtual void ingest(IngestRequest request, UniqueFunction<void(IngestReply)> done) = 0;
};

struct SearchPage {
  std::vector<store::TraceHit> hits;
  bool more = false;  // then `next` continues
  store::SearchCursor next;
};

// Whole traces are heavy: an answer ends before the trace that would pass either bound. The first one is always given.
struct TraceBounds {
  uint64_t spans = 200'000;
  uint64_t bytes = 256ull << 20;  // of texts and spans in memory; about those of the reply
};
// What counts against TraceBounds::bytes.
inline uint64_t memory_bytes_of(const model::TraceData& trace) {
  return trace.arena.memory_bytes() + trace.spans.size() * sizeof(model::Span);
}
struct FoundTraces {
  std::vector<std::unique_ptr<model::TraceData>> traces;  // newest first
  uint64_t found = 0;                                     // hits within the query's limit
  bool bounded = false;                                   // some of them are left out for the bounds
};

struct NodeStats {
  uint64_t accepted_spans = 0;
  otlp::RejectCounts rejected{};
  uint64_t refused_requests = 0;  // back-pressure
  uint64_t duplicate_spans = 0;
  uint64_t malformed_rows = 0;        // met while sealing, left out
  uint64_t seal_read_failures = 0;    // stored parts of a trace that could not be read: its seal was put off
  uint64_t maintenance_failures = 0;  // compaction or retention that failed: nothing is lost, it is tried again
  uint64_t open_traces = 0, open_rows = 0, memory_bytes = 0, memory_limit_bytes = 0;
  uint64_t verdicts_complete = 0, verdicts_timed_out = 0, reopened = 0;
  uint64_t wal_bytes = 0, wal_syncs = 0, wal_damage = 0, wal_torn_bytes = 0;
  uint64_t wal_lost_spans = 0;  // met in the log, unreadable without what a damaged record held
  store::StoreStats store;
  bool ready = false;
  bool disk_full = false;
};

// Queries cover open and sealed spans alike. Any thread; `done` runs on a query worker, which may also build the reply
// (that of stats(): on a loop).
class QueryService {
 public:
  virtual ~QueryService() = default;
  template <typename T>
  using Done = UniqueFunction<void(Result<T>)>;
  // kNotFound when no span of it is known to this tenant.
  virtual void trace(model::TenantId tenant, model::TraceId id, Done<std::unique_ptr<model::TraceData>> done) = 0;
  virtual void search(store::TraceQuery query, Done<SearchPage> done) = 0;
  // The same hits with whole traces (Jaeger).
  virtual void search_traces(store::TraceQuery query, TraceBounds bounds, Done<FoundTraces> done) = 0;
  // Names for completion, that fit `wanted` and within its bound.
  virtual void services(model::TenantId tenant, int64_t from_ns, int64_t to_ns, store::NameFilter wanted,
                        Done<store::Vocabulary> done) = 0;
  struct Operation {
    std::string name;
    uint8_t kind = 0;
  };
  virtual void operations(model::TenantId tenant, std::string service, store::NameFilter wanted,
                          Done<std::vector<Operation>> done) = 0;
  virtual void keys(model::TenantId tenant, store::Field scope, store::NameFilter wanted,
                    Done<store::Vocabulary> done) = 0;
  virtual void values(model::TenantId tenant, store::Field field, std::string key, store::NameFilter wanted,
                      Done<store::Vocabulary> done) = 0;
  virtual void stats(Done<NodeStats> done) = 0;
};

}  // namespace clew::cluster

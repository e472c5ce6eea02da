// Queries on one shard: open rows and stored segments as one. Each step that needs the shard's state hops to its loop
// for a snapshot and continues on the query lane, so a long search never holds up ingest.
//
// Search, newest first: a span's start is never before its trace's, so it bounds the trace's start from above. Matching
// rows are candidates with that bound; candidates are summed up in the order of their bounds until no remaining bound
// can beat the page's last hit. Ranges of rows are visited by their newest span, so usually only the last few are read,
// and of the store only what is newer than a full page's last hit. A chunk without an index is read whole; it gets its
// index when the answer is out.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "cluster/options.h"
#include "cluster/services.h"
#include "cluster/shard.h"

namespace clew::cluster {

// Hits of one shard, at most query.limit, in order. `done` runs on the query lane.
void search_shard(Shard& shard, const NodeOptions& options, std::shared_ptr<const store::TraceQuery> query,
                  UniqueFunction<void(Result<std::vector<store::TraceHit>>)> done);

// Whole traces by key (all of this shard), in the order of `keys`; absent ones are null, and so are those after the one
// with which the traces have `max_bytes` (memory_bytes_of). `done` runs on the query lane.
void read_traces(Shard& shard, const NodeOptions& options, std::vector<model::TraceKey> keys, uint64_t max_bytes,
                 UniqueFunction<void(Result<std::vector<std::unique_ptr<model::TraceData>>>)> done);

// The readable trace of a part: stored and open spans, the history, and for open rows the verdict as of now.
// Null when nothing of it is known. Query lane.
Result<std::unique_ptr<model::TraceData>> materialise(const OpenPart& part, const NodeOptions& options,
                                                      SharedPeerHistory& peers, int64_t wall_ns);

// Calls visit(dictionary, row) for rows of the tenant in the newest chunks, at most `max_rows`. Query lane.
void visit_recent_rows(const OpenSnapshot& snapshot, model::TenantId tenant, size_t max_rows,
                       const std::function<void(const model::Dictionary&, std::string_view)>& visit);

}  // namespace clew::cluster

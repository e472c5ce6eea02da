// Node: one Clew process without its sockets. Owns the shards, routes spans to them by token, gathers queries from
// them.
//
// A trace belongs to one shard (token range), a shard to one loop. Requests may come on any thread: the envelope is
// opened there, then each owning shard decodes its spans on its own loop, so no dictionary and no table is ever shared.
// The directory remembers its number of shards; loops may differ from it (shards are dealt out round robin).
//
// Life: open (blocking: locks the directory, replays the WALs) → serve → drain → destroy. Anything that endangers
// admitted data (a failed write or sync) calls `on_halt` once: the process must end; what was acknowledged is on disk.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "clock/hlc.h"
#include "cluster/options.h"
#include "cluster/services.h"
#include "env/disk.h"
#include "env/loop.h"
#include "env/random.h"

namespace clew::cluster {

class Shard;

struct ReplayTotals {
  uint64_t records = 0, bytes = 0, spans = 0, torn_tail_bytes = 0;
  std::vector<wal::ReplayReport::Damage> damage;
};

class Node final : public IngestService, public QueryService {
 public:
  struct Ports {
    std::vector<env::Loop*> loops;  // at least one; outlive the node
    env::Disk* disk = nullptr;
    env::Random* random = nullptr;
    OpenStore open_store;
    std::function<void(const std::string&)> report;  // troubles that endanger nothing admitted; any loop; may be empty
  };
  static Result<std::unique_ptr<Node>> open(Ports ports, NodeOptions options, ReplayTotals* replay,
                                            UniqueFunction<void(Status)> on_halt);
  // When no loop and no worker runs any more: their tasks refer to the shards.
  ~Node() override;

  void ingest(IngestRequest request, UniqueFunction<void(IngestReply)> done) override;

  void trace(model::TenantId tenant, model::TraceId id, Done<std::unique_ptr<model::TraceData>> done) override;
  void search(store::TraceQuery query, Done<SearchPage> done) override;
  void search_traces(store::TraceQuery query, TraceBounds bounds, Done<FoundTraces> done) override;
  void services(model::TenantId tenant, int64_t from_ns, int64_t to_ns, store::NameFilter wanted,
                Done<store::Vocabulary> done) override;
  void operations(model::TenantId tenant, std::string service, store::NameFilter wanted,
                  Done<std::vector<Operation>> done) override;
  void keys(model::TenantId tenant, store::Field scope, store::NameFilter wanted,
            Done<store::Vocabulary> done) override;
  void values(model::TenantId tenant, store::Field field, std::string key, store::NameFilter wanted,
              Done<store::Vocabulary> done) override;
  void stats(Done<NodeStats> done) override;

  // Refuses new requests, waits until admitted ones are durable and background work stands still, then calls `done`
  // once, on a loop. The node must not be destroyed within `done`; queries may still run and end with the workers.
  void drain(Task done);

 private:
  Node(Ports ports, NodeOptions options);
  size_t shard_number_of(model::TraceId id) const;
  Shard& shard_of(model::TraceId id) { return *shards_[shard_number_of(id)]; }
  Status admit_tenant(const std::string& name, model::TenantId id);
  void halt(Status status);

  // Constant after open.
  Ports ports_;
  NodeOptions options_;
  std::unique_ptr<env::File> directory_lock_;
  std::vector<std::unique_ptr<Shard>> shards_;
  UniqueFunction<void(Status)> on_halt_;

  // Own synchronisation.
  std::atomic<uint64_t> accepted_spans_{0};
  std::atomic<uint64_t> refused_requests_{0};
  std::array<std::atomic<uint64_t>, static_cast<size_t>(otlp::Reject::kCount)> rejected_{};
  std::atomic<bool> draining_{false};
  std::atomic<bool> halted_{false};

  Mutex mutex_;
  clock::HybridClock hlc_ CLEW_GUARDED_BY(mutex_);
  uint64_t next_sequence_ CLEW_GUARDED_BY(mutex_) = 1;
  std::unordered_map<uint64_t, std::string> tenants_ CLEW_GUARDED_BY(mutex_);
};

}  // namespace clew::cluster

// NodeOptions: everything that a node is told at its start. Plain values; app/ fills them from the configuration and
// has checked their ranges. Limits are for the whole node: each shard gets an equal part. Times in nanoseconds, sizes
// in bytes. Constant while the node lives; the shards hold a reference.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "env/disk.h"
#include "model/dictionary.h"
#include "otlp/envelope.h"
#include "store/span_store.h"
#include "trace/assess.h"
#include "trace/lifecycle.h"
#include "wal/wal.h"

namespace clew::cluster {

// Opens the store of one shard: store::EmbeddedStore unless another engine is chosen.
struct StoreOptions {
  std::string directory;
  store::Retention retention;
  uint64_t block_cache_bytes = 0;
};
using OpenStore = std::function<Result<std::unique_ptr<store::SpanStore>>(env::Disk&, const StoreOptions&)>;

struct NodeOptions {
  std::string data_directory;
  uint32_t shards = 0;  // 0: one per loop, when the directory is new; later the directory decides
  wal::Durability durability = wal::Durability::kDisk;
  uint64_t wal_file_bytes = 64ull << 20;
  otlp::Limits limits;
  model::DictionaryLimits dictionary;
  trace::Policy policy;  // of verdicts
  trace::LifecyclePolicy lifecycle;
  store::Retention retention;
  uint64_t block_cache_bytes = 32ull << 20;  // over all shards
  // The whole process should stay below it: two thirds are for open rows and their tables, the rest for batches being
  // sealed, log buffers and requests. Near it requests wait, then are refused as retryable.
  uint64_t memory_limit_bytes = 1024ull << 20;
  // The largest body that a receiver hands over: open() refuses a memory limit under which such a body could never be
  // admitted. 0: not checked.
  uint64_t largest_request_bytes = 0;
  // Tenants that a node knows by name, met in requests or in its log since its start; a request of one more is refused.
  uint32_t max_tenants = 10'000;
  // Decided traces wait until a batch is worth a segment.
  uint32_t seal_rows = 192 * 1024;
  int64_t seal_delay_ns = 5'000'000'000;
};

// The part of the limit that is for open rows, their tables and a batch being sealed; all else has to fit beside it.
uint64_t open_rows_limit_bytes(uint64_t memory_limit_bytes);
// The largest body that a node of so many shards can ever admit.
uint64_t largest_admissible_bytes(uint64_t memory_limit_bytes, uint32_t shards);

}  // namespace clew::cluster

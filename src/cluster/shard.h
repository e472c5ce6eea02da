// Shard: the spans of one token range, on one loop: dictionary, data WAL, open traces and their rows, the store of what
// is decided. Everything here runs on the shard's loop, except what says otherwise.
//
//   ingest: decode → rows into chunks and into one WAL record → open-trace table → (durable) → reply
//   tick:   traces whose time has come → pending → seal job (background lane) → publish, forget rows, release WAL
//   query:  snapshot() on the loop; the work on it runs on the query lane
//
// Each WAL file has a dictionary of its own (docs/decisions): rotate() starts both anew. A WAL file is released once no
// open row stands in it; an idle shard rotates and releases everything, so that a settled store costs what its segments
// cost. The newest stamp that it gave to a record stays in the log always, in a record without rows when nothing else
// is left, so that no later start gives it out again.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cluster/options.h"
#include "cluster/parsed_request.h"
#include "cluster/seal.h"
#include "cluster/services.h"
#include "env/disk.h"
#include "env/loop.h"
#include "env/random.h"
#include "otlp/decode.h"
#include "store/chunk_set.h"
#include "store/span_store.h"
#include "trace/lifecycle.h"
#include "wal/wal.h"

namespace clew::cluster {

struct ReplayTotals;

// What a query sees of a shard at one moment: nothing is in both or in neither of the two.
struct OpenSnapshot {
  store::ChunkSet chunks;
  std::shared_ptr<const store::View> view;
};

// One open trace at one moment.
struct OpenPart {
  model::TraceKey key;
  bool found = false;
  trace::RowLink newest = 0;
  uint32_t rows = 0;
  int64_t quiet_ns = 0;                          // since its last row
  std::shared_ptr<const OpenSnapshot> snapshot;  // shared by the parts that were asked for together
};

class Shard {
 public:
  struct Ports {
    env::Loop* loop = nullptr;
    env::Disk* disk = nullptr;
    env::Random* random = nullptr;
    OpenStore open_store;
    std::function<void(const std::string&)> report;  // what a person should know of and nothing ends by; on the loop
  };
  // Blocking: opens the store, replays the WAL. `on_tenant` is told the tenants met in the WAL.
  static Result<std::unique_ptr<Shard>> open(Ports ports, uint32_t number, const NodeOptions& options,
                                             const std::string& directory, ReplayTotals& totals,
                                             const std::function<void(std::string_view)>& on_tenant,
                                             UniqueFunction<void(Status)> on_halt);
  ~Shard();

  void start();  // timers
  void ingest(std::shared_ptr<const ParsedRequest> request, UniqueFunction<void(PartReply)> done);
  // Calls `done` on the loop once no admitted request and no background work is left. No more ingest after it.
  void drain(Task done);

  OpenSnapshot snapshot() const;
  // All of one moment.
  std::vector<OpenPart> parts(std::span<const model::TraceKey> keys);
  NodeStats stats() const;

  env::Loop& loop() { return *ports_.loop; }            // any thread
  SharedPeerHistory& peer_history() { return peers_; }  // any thread, locked inside
  uint64_t last_hlc() const { return last_hlc_; }
  uint64_t last_sequence() const { return last_sequence_; }

 private:
  Shard(Ports ports, uint32_t number, const NodeOptions& options, UniqueFunction<void(Status)> on_halt);
  Status replay(uint64_t record, uint64_t file, std::string_view bytes,
                const std::function<void(std::string_view)>& on_tenant);
  void new_dictionary();
  void rotate();
  void log_stamp();
  bool has_durable_record(uint64_t file_index) const;
  void add_row(model::TenantId tenant, model::TraceId trace, std::string_view row, const model::Stamp& stamp,
               int64_t now);
  Status admit(uint64_t bytes);
  void take(std::shared_ptr<const ParsedRequest> request, UniqueFunction<void(PartReply)> done, int64_t deadline_ns);
  void wait_for_room(std::shared_ptr<const ParsedRequest> request, UniqueFunction<void(PartReply)> done,
                     int64_t deadline_ns);
  void serve_waiting();
  uint64_t memory_bytes() const;
  bool under_pressure() const;

  void schedule_tick();
  void tick();
  void collect_due(int64_t now);
  void relieve_memory();
  void start_seal_if_due(int64_t now);
  void push_pending(trace::OpenTrace& open, trace::Due why, int64_t since_ns, bool begun);
  void evacuate(trace::OpenTrace& open);
  const std::shared_ptr<store::RowChunk>& new_chunk(uint64_t wal_file,
                                                    std::shared_ptr<const model::Dictionary> dictionary,
                                                    size_t row_size);
  SealJob make_job();
  void apply(SealJob& job, SealOutcome outcome);
  void release_wal();
  void settle(int64_t now);
  void maintain(int64_t now);
  void finish_drain();

  // Constant after open.
  Ports ports_;
  uint32_t number_;
  const NodeOptions& options_;
  uint64_t memory_limit_;
  UniqueFunction<void(Status)> on_halt_;
  std::unique_ptr<store::SpanStore> store_;
  std::unique_ptr<wal::Wal> wal_;

  otlp::SpanDecoder decoder_;
  std::shared_ptr<model::Dictionary> dictionary_;
  store::ChunkSet chunks_;
  std::shared_ptr<store::RowChunk> chunk_;  // the one that takes new rows; shared: chunks_ and snapshots hold it, too
  std::map<uint32_t, std::shared_ptr<store::RowChunk>> keepers_;  // by number: see evacuate(); shared likewise
  std::vector<store::ChunkRow> chain_;
  trace::OpenTraces traces_;

  // Live rows and the last record of each WAL file that is not released.
  struct FileUse {
    uint64_t file = 0;
    uint64_t first_record = 0;  // 0: none yet
    uint64_t last_record = 0;   // when the file has none: the last one before it
    uint64_t live_rows = 0;
  };
  std::deque<FileUse> files_;

  struct Waiting {
    std::shared_ptr<const ParsedRequest> request;  // shared by the owning shards
    UniqueFunction<void(PartReply)> done;
    int64_t deadline_ns = 0;
  };
  std::vector<Waiting> waiting_;  // for room in the log

  struct Pending {
    uint32_t slot = 0;
    model::TenantId tenant;
    model::TraceId trace;
    trace::Due why = trace::Due::kQuiet;
    int64_t since_ns = 0;
    bool begun = false;  // begin_seal was called already
  };
  std::deque<Pending> pending_;
  uint64_t pending_rows_ = 0;
  bool sealing_ = false;  // a job is on the background lane
  bool maintaining_ = false;
  bool draining_ = false;
  env::TimerId tick_timer_ = 0;
  bool store_full_ = false;  // the last seal met a full disk
  int64_t retry_seal_ns_ = 0;
  int64_t next_maintenance_ns_ = 0;
  std::string maintenance_error_;  // of the last one, while it lasts
  int64_t last_ingest_ns_ = 0;
  uint64_t in_flight_ = 0;
  std::vector<Task> on_drained_;

  Sealer sealer_;  // background lane only, while sealing_
  SharedPeerHistory peers_;

  uint32_t next_chunk_ = 1;
  uint64_t chunk_bytes_ = 0;
  // Dictionaries of former files: the chunks with their rows keep them, and they count as long. Only watched here.
  struct FormerDictionary {
    std::weak_ptr<const model::Dictionary> dictionary;
    uint64_t bytes = 0;
  };
  std::vector<FormerDictionary> former_dictionaries_;
  uint64_t sealing_bytes_ = 0;  // what the job on the background lane may take beside the rows it reads
  uint64_t last_hlc_ = 0, last_sequence_ = 0;
  NodeStats counters_;  // the parts that a shard counts
  wal::ReplayReport replay_report_;
  // Scratch of ingest.
  std::string row_, rows_, head_, additions_;
  std::vector<int64_t> resource_codes_, scope_codes_;
};

}  // namespace clew::cluster

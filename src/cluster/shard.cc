#include "cluster/shard.h"

#include <algorithm>

#include "cluster/ingest_record.h"
#include "cluster/node.h"

namespace clew::cluster {
namespace {

constexpr int64_t kRetryFullDiskNs = 2'000'000'000;
constexpr int64_t kWaitForRoomNs = 3'000'000'000;
constexpr int64_t kLookForRoomNs = 2'000'000;
constexpr uint64_t kRequestOverhead = 65'536;  // in the log beside a request's own bytes: dictionary additions, headers
// Percent of a shard's memory limit. From kSealShare on, what is decided is sealed at once; when nothing is decided,
// the oldest traces are spilled. From kWaitShare on, requests wait (and are refused when it lasts): the sealer gets the
// cores.
constexpr uint64_t kSealShare = 60;
constexpr uint64_t kUrgentShare = 85;
constexpr uint64_t kWaitShare = 90;
// What the setting has to cover beside open rows and their tables: batches being sealed, log buffers, requests.
constexpr uint64_t kRowsShare = 65;

// What a batch of the sealer holds at a time for each byte of a dictionary that it writes from: the entry, its section,
// and that compressed.
constexpr uint64_t kSealCopies = 3;
// A batch ends where it would hold more than this share of the limit: rows, and the dictionaries that they need.
constexpr uint64_t kBatchShare = 10;
// Scratch buffers beyond it are given back: they have seen an unusual request.
constexpr size_t kScratchBytes = 1u << 20;

void give_back(std::string& scratch) {
  if (scratch.capacity() > kScratchBytes) scratch = std::string();
}

Error exhausted(std::string what) { return Error{Code::kResourceExhausted, std::move(what)}; }

}  // namespace

uint64_t open_rows_limit_bytes(uint64_t memory_limit_bytes) { return memory_limit_bytes * kRowsShare / 100; }

uint64_t largest_admissible_bytes(uint64_t memory_limit_bytes, uint32_t shards) {
  const uint64_t most = open_rows_limit_bytes(memory_limit_bytes) / std::max(1u, shards) * kWaitShare / 100;
  return most > kRequestOverhead ? most - kRequestOverhead : 0;
}

Shard::Shard(Ports ports, uint32_t number, const NodeOptions& options, UniqueFunction<void(Status)> on_halt)
    : ports_(ports),
      number_(number),
      options_(options),
      memory_limit_(open_rows_limit_bytes(options.memory_limit_bytes) / std::max(1u, options.shards)),
      on_halt_(std::move(on_halt)),
      decoder_(options.limits),
      traces_(options.lifecycle, ports.random->next()),
      sealer_(options.policy, peers_) {}

Shard::~Shard() = default;

Result<std::unique_ptr<Shard>> Shard::open(Ports ports, uint32_t number, const NodeOptions& options,
                                           const std::string& directory, ReplayTotals& totals,
                                           const std::function<void(std::string_view)>& on_tenant,
                                           UniqueFunction<void(Status)> on_halt) {
  std::unique_ptr<Shard> shard(new Shard(ports, number, options, std::move(on_halt)));

  StoreOptions store_options;
  store_options.directory = directory + "/segments";
  store_options.retention = options.retention;
  store_options.retention.max_bytes /= std::max(1u, options.shards);
  store_options.block_cache_bytes = options.block_cache_bytes / std::max(1u, options.shards);
  CLEW_ASSIGN(shard->store_, ports.open_store(*ports.disk, store_options));

  wal::Options wal_options;
  wal_options.directory = directory + "/wal";
  wal_options.durability = options.durability;
  wal_options.file_bytes = options.wal_file_bytes;
  wal_options.salt = ports.random->next();
  Shard* self = shard.get();
  CLEW_ASSIGN(shard->wal_, wal::Wal::open(
                               *ports.loop, *ports.disk, wal_options,
                               [self, &on_tenant](uint64_t record, uint64_t file, std::string_view bytes) {
                                 return self->replay(record, file, bytes, on_tenant);
                               },
                               &shard->replay_report_, [self](Status status) { self->on_halt_(std::move(status)); }));
  const wal::ReplayReport& report = shard->replay_report_;
  totals.records += report.records;
  totals.bytes += report.bytes;
  totals.torn_tail_bytes += report.torn_tail_bytes;
  totals.damage.insert(totals.damage.end(), report.damage.begin(), report.damage.end());
  for (const FileUse& file : shard->files_) totals.spans += file.live_rows;

  // What comes now has a file and a dictionary of its own: opening a log starts a file.
  shard->files_.push_back({.file = shard->wal_->current_file(), .last_record = shard->wal_->last_record()});
  shard->new_dictionary();
  shard->release_wal();
  return shard;
}

Status Shard::replay(uint64_t record, uint64_t file, std::string_view bytes,
                     const std::function<void(std::string_view)>& on_tenant) {
  IngestRecord parsed;
  const auto damaged = [&](uint64_t lost_bytes, std::string what) {
    replay_report_.damage.push_back({"wal file " + std::to_string(file), 0, lost_bytes,
                                     "record " + std::to_string(record) + ": " + std::move(what)});
  };
  if (Status status = parse_record(bytes, parsed); !status.ok()) {
    // Its checksum holds: another version wrote it, and letting it go would lose what that version acknowledged.
    if (status.code() == Code::kFailedPrecondition) return status;
    damaged(bytes.size(), std::string(status.message()));
    return {};
  }
  if (files_.empty() || files_.back().file != file) {
    files_.push_back({.file = file, .first_record = record});
    new_dictionary();
  }
  files_.back().last_record = record;
  if (!parsed.tenant.empty()) on_tenant(parsed.tenant);  // a record may be but a stamp
  last_hlc_ = std::max(last_hlc_, parsed.stamp.hlc);
  last_sequence_ = std::max(last_sequence_, parsed.stamp.sequence);
  // Where a record before this one is missing, its dictionary entries are, too: their codes stay empty, and only rows
  // that use them are lost.
  if (parsed.dictionary_sizes != dictionary_->sizes()) {
    uint64_t damaged_bytes = 0;
    for (const auto& damage : replay_report_.damage) damaged_bytes += damage.bytes;
    if (Status status = dictionary_->skip_to(parsed.dictionary_sizes, damaged_bytes); !status.ok()) {
      damaged(bytes.size(), std::string(status.message()));
      return {};
    }
  }
  const Status additions = dictionary_->apply_additions(parsed.dictionary_additions);
  if (!additions.ok()) damaged(parsed.dictionary_additions.size(), std::string(additions.message()));
  const bool check_rows = dictionary_->has_lost() || !additions.ok();
  const model::TenantId tenant = model::tenant_id(parsed.tenant);
  const int64_t now = ports_.loop->clock().mono_ns();
  RowReader reader(parsed.rows);
  model::TraceId trace;
  std::string_view row;
  uint64_t rows = 0, lost_rows = 0, lost_bytes = 0;
  while (reader.next(trace, row)) {
    ++rows;
    if (check_rows && !model::check_row(*dictionary_, row)) {
      ++lost_rows;
      lost_bytes += row.size();
      continue;
    }
    add_row(tenant, trace, row, parsed.stamp, now);
  }
  if (lost_rows != 0) {
    counters_.wal_lost_spans += lost_rows;
    damaged(lost_bytes, std::to_string(lost_rows) + " of its " + std::to_string(rows) +
                            " spans use dictionary entries of a damaged record");
  }
  if (!reader.ok()) damaged(bytes.size(), "it ends within a row");
  if (memory_bytes() * 100 > memory_limit_ * kSealShare) {
    // More was open than memory holds: what is oldest goes to segments now, on this thread (nothing else runs yet).
    relieve_memory();
    SealJob job = make_job();
    SealOutcome outcome = sealer_.run(job, *store_);
    if (!outcome.status.ok()) return outcome.status;
    apply(job, std::move(outcome));
  }
  return {};
}

void Shard::new_dictionary() {
  if (dictionary_ != nullptr) former_dictionaries_.push_back({dictionary_, dictionary_->memory_bytes()});
  dictionary_ = std::make_shared<model::Dictionary>(ports_.random->next(), options_.dictionary);
  decoder_.use_dictionary(*dictionary_);
  if (chunk_ != nullptr) chunk_->close();
  chunk_ = nullptr;
  std::erase_if(former_dictionaries_, [](const FormerDictionary& former) { return former.dictionary.expired(); });
}

void Shard::add_row(model::TenantId tenant, model::TraceId trace, std::string_view row, const model::Stamp& stamp,
                    int64_t now) {
  if (chunk_ == nullptr || !chunk_->has_room(row.size())) {
    if (chunk_ != nullptr) chunk_->close();
    chunk_ = new_chunk(files_.back().file, dictionary_, row.size());
  }
  bool created = false;
  trace::OpenTrace& open = traces_.touch(tenant, trace, now, created);
  open.newest = chunk_->append(tenant, trace, stamp, open.newest, row);
  open.bytes += static_cast<uint32_t>(row.size());
  if (open.first_hlc == 0) open.first_hlc = stamp.hlc;
  open.last_hlc = stamp.hlc;
  ++files_.back().live_rows;
  ++counters_.open_rows;
}

bool Shard::under_pressure() const { return memory_bytes() * 100 > memory_limit_ * kSealShare; }

uint64_t Shard::memory_bytes() const {
  uint64_t bytes = chunk_bytes_ + traces_.memory_bytes() + dictionary_->memory_bytes() + sealing_bytes_;
  for (const FormerDictionary& former : former_dictionaries_) {
    if (!former.dictionary.expired()) bytes += former.bytes;
  }
  return bytes;
}

// kUnavailable: the log or memory will have room soon, so the request may wait. kResourceExhausted: waiting is of no
// use. To the client both are kUnavailable, which it retries.
Status Shard::admit(uint64_t bytes) {
  if (draining_) return exhausted("the node is shutting down; send to another node or retry");
  const uint64_t memory = memory_bytes();
  if ((memory + bytes) * 100 > memory_limit_ * kWaitShare) {
    return Error{Code::kUnavailable, "open traces hold " + std::to_string(memory >> 20) + " MiB of this shard's " +
                                         std::to_string(memory_limit_ >> 20) + " MiB (limits.memory); retry later"};
  }
  if (store_full_) return exhausted("the disk is full; free space or lower retention, and retry");
  Status status = wal_->reserve(bytes);
  counters_.disk_full = status.code() == Code::kResourceExhausted;
  return status;
}

// Room in the log is milliseconds away, room in memory a batch: the request waits, in order, instead of being sent
// home. Bounded by the receivers' budget of bytes in flight and by kWaitForRoomNs.
void Shard::wait_for_room(std::shared_ptr<const ParsedRequest> request, UniqueFunction<void(PartReply)> done,
                          int64_t deadline_ns) {
  waiting_.push_back({std::move(request), std::move(done), deadline_ns});
  if (waiting_.size() > 1) return;
  ports_.loop->after(kLookForRoomNs, [this] { serve_waiting(); });
}

void Shard::serve_waiting() {
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    take(std::move(waiting.request), std::move(waiting.done), waiting.deadline_ns);
  }
  if (draining_) finish_drain();
}

void Shard::ingest(std::shared_ptr<const ParsedRequest> request, UniqueFunction<void(PartReply)> done) {
  const int64_t deadline_ns = ports_.loop->clock().mono_ns() + kWaitForRoomNs;
  if (!waiting_.empty()) return wait_for_room(std::move(request), std::move(done), deadline_ns);
  take(std::move(request), std::move(done), deadline_ns);
}

void Shard::take(std::shared_ptr<const ParsedRequest> request, UniqueFunction<void(PartReply)> done,
                 int64_t deadline_ns) {
  PartReply reply;
  const otlp::Envelope& envelope = request->envelope;
  // A row is smaller than its protobuf bytes in nearly every case; dictionary additions and headers are the rest.
  if (Status status = admit(request->body->size() + kRequestOverhead); !status.ok()) {
    if (status.code() == Code::kUnavailable && !wal_->halted() && ports_.loop->clock().mono_ns() < deadline_ns) {
      return wait_for_room(std::move(request), std::move(done), deadline_ns);
    }
    reply.status = Error{Code::kUnavailable, std::string(status.message())};
    return done(std::move(reply));
  }
  if (wal_->wants_rotation() || dictionary_->wants_rotation()) rotate();

  const int64_t now = ports_.loop->clock().mono_ns();
  last_ingest_ns_ = now;
  const uint64_t dictionary_from = dictionary_->position();
  const model::Dictionary::Sizes dictionary_sizes = dictionary_->sizes();
  resource_codes_.assign(envelope.resources.size(), -1);
  scope_codes_.assign(envelope.scopes.size(), -1);
  rows_.clear();
  for (size_t i = 0; i < envelope.spans.size(); ++i) {
    if (request->shard_of[i] != number_) continue;
    const otlp::EnvelopeSpan& span = envelope.spans[i];
    const otlp::EnvelopeScope& scope = envelope.scopes[span.scope];
    int64_t& resource_code = resource_codes_[scope.resource];
    if (resource_code < 0) resource_code = decoder_.resource_code(envelope.resources[scope.resource]);
    int64_t& scope_code = scope_codes_[span.scope];
    if (scope_code < 0) scope_code = decoder_.scope_code(scope.bytes);
    row_.clear();
    const otlp::Reject reject =
        decoder_.decode(span.bytes, static_cast<uint32_t>(resource_code), static_cast<uint32_t>(scope_code), row_);
    if (reject != otlp::Reject::kNone) {
      ++reply.rejected[static_cast<size_t>(reject)];
      continue;
    }
    append_record_row(span.trace, row_, rows_);
    add_row(request->tenant, span.trace, row_, request->stamp, now);
    ++reply.accepted;
  }
  // Rejected spans, too, may have left entries in the dictionary. A replay finds codes by counting entries, so these
  // are logged even when no row is.
  if (reply.accepted == 0 && dictionary_->position() == dictionary_from) return done(std::move(reply));

  additions_.clear();
  dictionary_->write_additions(dictionary_from, additions_);
  head_.clear();
  append_record_head({request->stamp, request->tenant_name, dictionary_sizes, additions_, {}}, head_);
  const std::string_view pieces[] = {head_, additions_, rows_};
  ++in_flight_;
  FileUse& file = files_.back();
  file.last_record = wal_->append(pieces, [this, reply = std::move(reply), done = std::move(done)]() mutable {
    --in_flight_;
    done(std::move(reply));
    if (draining_) finish_drain();
  });
  if (file.first_record == 0) file.first_record = file.last_record;
  last_hlc_ = std::max(last_hlc_, request->stamp.hlc);
  last_sequence_ = std::max(last_sequence_, request->stamp.sequence);
  for (std::string* scratch : {&row_, &rows_, &additions_}) give_back(*scratch);
  schedule_tick();
}

void Shard::push_pending(trace::OpenTrace& open, trace::Due why, int64_t since_ns, bool begun) {
  pending_.push_back({open.slot, open.tenant, open.id, why, since_ns, begun});
  pending_rows_ += open.rows + open.sealing_rows;
}

void Shard::collect_due(int64_t now) {
  trace::Due why;
  while (trace::OpenTrace* open = traces_.due(now, why)) push_pending(*open, why, now, false);
}

// Takes the traces that have been silent longest until what stays is well below the limit. A spilled trace is written
// twice and read once more, so one that will be decided in a moment is left alone: meanwhile requests wait. One that
// still has long to go is taken only when requests would wait for it.
void Shard::relieve_memory() {
  uint64_t bytes = 0;
  const uint64_t enough = memory_limit_ / 4;
  const int64_t now = ports_.loop->clock().mono_ns();
  const int64_t due_now = now - options_.seal_delay_ns;
  const bool urgent = memory_bytes() * 100 > memory_limit_ * kUrgentShare;
  while (bytes < enough) {
    trace::OpenTrace* open = traces_.oldest();
    if (open == nullptr) break;
    // During a replay nothing is decided and nothing can wait.
    const int64_t until_due = options_.lifecycle.quiet_period_ns - (now - open->last_ns);
    if (wal_ != nullptr && open->state == model::TraceState::kActive && (!urgent || until_due < kWaitForRoomNs)) break;
    bytes += open->bytes + open->rows * sizeof(store::RowRecord);
    traces_.begin_seal(*open, trace::Seal::kPart);
    push_pending(*open, trace::Due::kSpill, due_now, true);
  }
}

void Shard::start_seal_if_due(int64_t now) {
  if (sealing_ || pending_.empty() || now < retry_seal_ns_) return;
  const bool enough = pending_rows_ >= options_.seal_rows;
  const bool old = now - pending_.front().since_ns >= options_.seal_delay_ns;
  if (!enough && !old && !under_pressure() && !draining_) return;
  auto job = std::make_shared<SealJob>(make_job());  // shared: by the work and its completion
  if (job->items.empty()) return;
  sealing_ = true;
  auto outcome = std::make_shared<SealOutcome>();
  ports_.loop->offload(
      env::Lane::kBackground, [this, job, outcome] { *outcome = sealer_.run(*job, *store_); },
      [this, job, outcome] {
        sealing_ = false;
        apply(*job, std::move(*outcome));
        const int64_t later = ports_.loop->clock().mono_ns();
        start_seal_if_due(later);
        if (draining_) finish_drain();
      });
}

SealJob Shard::make_job() {
  SealJob job;
  job.chunks = chunks_;
  job.view = store_->view();
  job.wall_ns = ports_.loop->clock().wall_ns();
  const int64_t now = ports_.loop->clock().mono_ns();
  uint64_t rows = 0, bytes = 0;
  std::vector<const model::Dictionary*> dictionaries;
  while (!pending_.empty() && rows < options_.seal_rows + options_.seal_rows / 2) {
    // An unusual batch: large dictionaries, or large rows. At least one trace is taken.
    if (!job.items.empty() && bytes * 100 > memory_limit_ * kBatchShare) break;
    const Pending pending = pending_.front();
    pending_.pop_front();
    trace::OpenTrace* open = traces_.find(pending.tenant, pending.trace);
    if (open == nullptr) continue;
    if (!pending.begun) {
      // A span that came meanwhile put the trace back on its queue: it will be due again.
      const bool part = pending.why == trace::Due::kSpill;
      if (part ? open->sealing || open->rows == 0 : !traces_.awaits_answer(*open)) continue;
      traces_.begin_seal(*open, part ? trace::Seal::kPart : trace::Seal::kFinal);
    }
    SealItem item;
    item.slot = open->slot;
    item.key = model::trace_key(open->tenant, open->id);
    item.newest = open->sealing_link;
    item.rows = open->sealing_rows;
    item.why = pending.why;
    item.open_ns = now - open->since_ns;
    rows += item.rows;
    bytes += open->sealing_bytes;
    if (const size_t chunk = chunks_.find(item.newest); chunk < chunks_.size()) {
      const model::Dictionary* dictionary = &chunks_[chunk]->dictionary();
      if (std::find(dictionaries.begin(), dictionaries.end(), dictionary) == dictionaries.end()) {
        dictionaries.push_back(dictionary);
        bytes += kSealCopies * dictionary->context_bytes();
      }
    }
    job.items.push_back(item);
  }
  sealing_bytes_ = bytes;
  pending_rows_ = pending_.empty() ? 0 : pending_rows_ - std::min(pending_rows_, rows);
  return job;
}

void Shard::apply(SealJob& job, SealOutcome outcome) {
  const int64_t now = ports_.loop->clock().mono_ns();
  sealing_bytes_ = 0;
  counters_.seal_read_failures += outcome.read_failures;
  store_full_ = outcome.status.code() == Code::kResourceExhausted;
  if (!outcome.status.ok()) {
    if (!store_full_) return on_halt_(outcome.status);
    for (const SealItem& item : job.items) {
      trace::OpenTrace& open = traces_.at(item.slot);
      traces_.unsealed(open, now, trace::OpenTraces::Unseal::kTryAgain);
      // One that came back to a queue of its own will be due again.
      if (item.why == trace::Due::kSpill || traces_.awaits_answer(open)) {
        push_pending(open, item.why, now - options_.seal_delay_ns, false);
      }
    }
    retry_seal_ns_ = now + kRetryFullDiskNs;
    return;
  }
  // In one task of the loop: visible in the store, gone from the open rows.
  if (outcome.prepared != nullptr) store_->publish(std::move(outcome.prepared));
  for (const SealItem& item : job.items) {
    trace::OpenTrace& open = traces_.at(item.slot);
    if (item.outcome == SealItem::Outcome::kSealed) {
      traces_.sealed(open, now);
      continue;
    }
    if (item.outcome == SealItem::Outcome::kUnread) {
      traces_.unsealed(open, now, trace::OpenTraces::Unseal::kTryAgain);
      if (item.why == trace::Due::kSpill || traces_.awaits_answer(open)) push_pending(open, item.why, now, false);
      continue;
    }
    traces_.unsealed(open, now, trace::OpenTraces::Unseal::kNotWhole);
    if (open.rows == item.rows) evacuate(open);
    // Waiting for more, yet its rows have been in memory and in the log for long: they need not wait there.
    if (item.open_ns > options_.lifecycle.max_open_ns) push_pending(open, trace::Due::kSpill, now, false);
  }
  for (size_t i = 0; i < outcome.rows_per_chunk.size(); ++i) {
    const uint32_t rows = outcome.rows_per_chunk[i];
    if (rows == 0) continue;
    for (FileUse& file : files_) {
      if (file.file == job.chunks[i]->wal_file()) file.live_rows -= rows;
    }
    job.chunks[i]->release_rows(rows);
  }
  chunks_.remove_if([this](const std::shared_ptr<store::RowChunk>& chunk) {
    if (chunk->live_rows() != 0 || chunk == chunk_) return false;
    chunk_bytes_ -= chunk->memory_bytes();
    keepers_.erase(chunk->number());
    return true;
  });
  counters_.open_rows -= outcome.sealed_rows;
  counters_.verdicts_complete += outcome.complete;
  counters_.verdicts_timed_out += outcome.timed_out;
  counters_.reopened += outcome.reopened;
  counters_.duplicate_spans += outcome.duplicates;
  counters_.malformed_rows += outcome.malformed;
  if (outcome.sealed_rows == 0 && outcome.read_failures > 0) retry_seal_ns_ = now + kRetryFullDiskNs;
  release_wal();
}

// A trace that waits for the missing part of it may wait long, and would keep whole chunks of sealed rows with it: its
// rows move to a chunk of such rows. One keeper chunk is open per WAL file, since a chunk has one dictionary.
void Shard::evacuate(trace::OpenTrace& open) {
  chunks_.chain(open.newest, open.rows, chain_);
  store::RowLink newest = 0;
  for (size_t i = chain_.size(); i-- > 0;) {
    const std::shared_ptr<store::RowChunk> from = chunks_[chain_[i].chunk_position];
    if (keepers_.contains(from->number()))
      return;  // its older rows were moved before; what came since stays where it is
    store::RowChunk* keeper = nullptr;
    for (const auto& [number, chunk] : keepers_) {
      if (chunk->wal_file() == from->wal_file() && !chunk->closed()) keeper = chunk.get();
    }
    if (keeper != nullptr && !keeper->has_room(chain_[i].row.size())) {
      keeper->close();
      keeper = nullptr;
    }
    if (keeper == nullptr) {
      keeper = new_chunk(from->wal_file(), from->shared_dictionary(), chain_[i].row.size()).get();
      keepers_.emplace(keeper->number(), chunks_.back());
    }
    newest = keeper->append(open.tenant, open.id, chain_[i].stamp, newest, chain_[i].row);
    from->release_rows(1);
  }
  open.newest = newest;
}

const std::shared_ptr<store::RowChunk>& Shard::new_chunk(uint64_t wal_file,
                                                         std::shared_ptr<const model::Dictionary> dictionary,
                                                         size_t row_size) {
  const size_t bytes = std::max(store::RowChunk::kDefaultBytes, store::RowChunk::bytes_for(row_size));
  chunks_.push_back(std::make_shared<store::RowChunk>(next_chunk_++, wal_file, std::move(dictionary), bytes));
  chunk_bytes_ += chunks_.back()->memory_bytes();
  return chunks_.back();
}

OpenSnapshot Shard::snapshot() const { return {chunks_, store_->view()}; }

std::vector<OpenPart> Shard::parts(std::span<const model::TraceKey> keys) {
  const auto now = std::make_shared<const OpenSnapshot>(snapshot());
  const int64_t mono_ns = ports_.loop->clock().mono_ns();
  std::vector<OpenPart> parts;
  parts.reserve(keys.size());
  for (const model::TraceKey& key : keys) {
    OpenPart& part = parts.emplace_back();
    part.key = key;
    part.snapshot = now;
    const trace::OpenTrace* open = traces_.find(key.tenant, key.trace);
    if (open == nullptr || open->rows + open->sealing_rows == 0) continue;
    part.found = true;
    part.newest = open->newest;
    part.rows = open->rows + open->sealing_rows;
    part.quiet_ns = mono_ns - open->last_ns;
  }
  return parts;
}

NodeStats Shard::stats() const {
  NodeStats stats = counters_;
  stats.open_traces = traces_.size();
  stats.memory_bytes = memory_bytes();
  stats.wal_bytes = wal_->disk_bytes();
  stats.wal_syncs = wal_->sync_count();
  stats.wal_damage = replay_report_.damage.size();
  stats.wal_torn_bytes = replay_report_.torn_tail_bytes;
  // No request may have come since there is room again: the log is asked, which also makes it look.
  const bool log_full = counters_.disk_full && wal_->reserve(kRequestOverhead).code() == Code::kResourceExhausted;
  stats.disk_full = log_full || store_full_;
  stats.store = store_->stats();
  return stats;
}

}  // namespace clew::cluster

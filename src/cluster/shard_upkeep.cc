// What a shard does when time passes and nobody asks: its tick, the files of its log, the upkeep of its store, its end.
#include "cluster/ingest_record.h"
#include "cluster/shard.h"

namespace clew::cluster {
namespace {

constexpr int64_t kTickNs = 100'000'000;
constexpr int64_t kMaintenanceNs = 1'000'000'000;
constexpr int64_t kRetryMaintenanceNs = 10'000'000'000;
constexpr int64_t kSettleNs = 3'000'000'000;  // quiet this long with nothing open: give spare space back
constexpr uint64_t kStampRecordBytes = 4096;  // more than a record without rows takes

}  // namespace

void Shard::start() {
  next_maintenance_ns_ = ports_.loop->clock().mono_ns() + kMaintenanceNs;
  ports_.loop->post([this] { schedule_tick(); });
}

void Shard::schedule_tick() {
  if (tick_timer_ != 0 || draining_) return;
  tick_timer_ = ports_.loop->after(kTickNs, [this] {
    tick_timer_ = 0;
    tick();
    schedule_tick();
  });
}

void Shard::tick() {
  const int64_t now = ports_.loop->clock().mono_ns();
  collect_due(now);
  if (under_pressure() && !sealing_ && pending_.empty()) relieve_memory();
  start_seal_if_due(now);
  settle(now);
  maintain(now);
}

void Shard::rotate() {
  const uint64_t file = wal_->rotate();
  files_.push_back({.file = file, .last_record = wal_->last_record()});
  new_dictionary();
}

// A record without rows: it carries the newest stamp on when the files before it go.
void Shard::log_stamp() {
  if (!wal_->reserve(kStampRecordBytes).ok()) return;  // asked again with the next tick
  head_.clear();
  append_record_head({{.hlc = last_hlc_, .sequence = last_sequence_}, {}, dictionary_->sizes(), {}, {}}, head_);
  const std::string_view pieces[] = {head_};
  ++in_flight_;
  FileUse& file = files_.back();
  file.last_record = wal_->append(pieces, [this] {
    --in_flight_;
    release_wal();
    if (draining_) finish_drain();
  });
  file.first_record = file.last_record;
}

bool Shard::has_durable_record(uint64_t file_index) const {
  const uint64_t first = files_[file_index].first_record;
  return first != 0 && first <= wal_->durable_record();
}

void Shard::release_wal() {
  if (wal_ == nullptr) return;  // a seal during the replay: open() releases when the log is open
  uint64_t up_to = 0;
  // Some later file holds a stamp at least as new.
  size_t newest = files_.size() - 1;
  while (newest > 0 && !has_durable_record(newest)) --newest;
  for (; newest > 0 && files_.front().live_rows == 0; --newest) {
    up_to = files_.front().last_record;
    files_.pop_front();
  }
  if (up_to != 0) wal_->release(up_to);
}

// An idle shard: nothing is open and nothing comes. Its log and its dictionary go, so that both cost nothing.
void Shard::settle(int64_t now) {
  if (counters_.open_rows != 0 || in_flight_ != 0 || sealing_ || now - last_ingest_ns_ < kSettleNs) return;
  if (dictionary_->position() != 0) {
    rotate();
    release_wal();
    chunks_.clear();
    keepers_.clear();
    chunk_bytes_ = 0;
  }
  if (files_.size() > 1 && files_.back().first_record == 0 && last_sequence_ != 0) return log_stamp();
  wal_->trim();  // settled, but for what the log still has to give back
}

// A failure endangers nothing that was admitted (span_store.h), so it does not halt the node: it is counted, said once
// while it lasts, and tried again in peace.
void Shard::maintain(int64_t now) {
  if (maintaining_ || now < next_maintenance_ns_) return;
  maintaining_ = true;
  auto more = std::make_shared<Result<bool>>(false);  // shared: by the work and its completion
  const int64_t wall = ports_.loop->clock().wall_ns();
  ports_.loop->offload(
      env::Lane::kBackground, [this, more, wall] { *more = store_->maintain(wall); },
      [this, more] {
        maintaining_ = false;
        next_maintenance_ns_ = ports_.loop->clock().mono_ns();
        if (!more->ok()) {
          ++counters_.maintenance_failures;
          next_maintenance_ns_ += kRetryMaintenanceNs;
          if (more->error().message != maintenance_error_ && ports_.report) ports_.report(more->status().to_string());
          maintenance_error_ = more->error().message;
        } else {
          maintenance_error_.clear();
          next_maintenance_ns_ += more->value() ? 0 : kMaintenanceNs;
        }
        if (draining_) finish_drain();
      });
}

void Shard::drain(Task done) {
  draining_ = true;
  ports_.loop->cancel(std::exchange(tick_timer_, 0));  // or it would start work on a shard that is gone
  on_drained_.push_back(std::move(done));
  finish_drain();
}

void Shard::finish_drain() {
  if (in_flight_ != 0 || !waiting_.empty() || sealing_ || maintaining_) return;
  for (Task& task : std::exchange(on_drained_, {})) task();
}

}  // namespace clew::cluster

// Snapshots of a replica: written beside its work, fetched, installed, and what they let go of.
#include <limits>
#include <utility>

#include "consensus/planted.h"
#include "consensus/replica_impl.h"

namespace clew::consensus {
namespace {

class StringSource final : public SnapshotSource {
 public:
  explicit StringSource(std::string_view bytes) : bytes_(bytes) {}
  Result<std::string_view> read() override { return std::exchange(bytes_, {}); }

 private:
  std::string_view bytes_;
};

}  // namespace

void ReplicaImpl::take_snapshot() {
  if (!running() || saving_ || saved_ || install_ || applied() <= base_) return;
  if (applied() < ports_.machine.ahead()) return;  // the state is newer than the position that would stand beside it
  saving_ = true;
  bytes_since_snapshot_ = 0;
  auto outcome = std::make_shared<Result<SnapshotMeta>>(Error{});  // shared by the work and its completion
  auto frozen = applier_.freeze();
  if (planted(Bug::kSnapshotOfMovingState)) {
    frozen = [this](SnapshotSink& sink) { return applier_.freeze()(sink); };
  }
  ports_.loop.offload(
      env::Lane::kBackground,
      [&disk = ports_.disk, directory = directory_.snapshots(), meta = applier_.describe(), write = std::move(frozen),
       stem = "written-" + std::to_string(++snapshot_attempts_), outcome]() mutable {
        *outcome = [&]() -> Result<SnapshotMeta> {
          CLEW_ASSIGN(const auto writer, SnapshotWriter::create(disk, directory, stem));
          CLEW_TRY(write(*writer));
          return writer->seal(std::move(meta));
        }();
      },
      [this, alive = Guard(alive_), outcome] {
        if (alive.expired()) return;
        saving_ = false;
        if (running()) snapshot_written(std::move(*outcome));
      });
}

void ReplicaImpl::snapshot_written(Result<SnapshotMeta> meta) {
  if (!meta.ok()) {
    // Nothing is lost but room: the log stays as it is, and the next try comes when it has grown by a quarter.
    ++stats_.snapshots_failed;
    bytes_since_snapshot_ += options_.snapshot_every_bytes / 4 * 3;
    return;
  }
  saved_ = std::move(meta).value();
  report_saved();
}

// The core may drop log up to the snapshot only when the entries that it covers are durable here by themselves: until
// then other members may count on this node's log.
void ReplicaImpl::report_saved() {
  const Report report = core_->report();
  if (report.durable_position < saved_->position && report.snapshot.position < saved_->position) return;
  const SnapshotMeta meta = std::move(*saved_);
  saved_.reset();
  ++stats_.snapshots_saved;
  if (report.snapshot.position >= meta.position) return;  // a newer one was installed meanwhile
  core_->snapshot_saved(now(), meta);
  turn_soon();
}

void ReplicaImpl::on_fetched(const SnapshotMeta& meta, const Status& status) {
  if (!running()) return;
  if (!status.ok()) ++stats_.snapshots_failed;
  core_->snapshot_fetched(now(), meta, status.ok());
  turn_soon();
}

void ReplicaImpl::start_install(const InstallSnapshot& install) {
  install_ = install;
  deliveries_.clear();  // what they would have changed is part of the snapshot
  try_install();
}

void ReplicaImpl::try_install() {
  if (installing_ || install_->after > durable_) return;
  installing_ = true;
  auto state = std::make_shared<Result<std::string>>(Error{});  // shared by the work and its completion
  ports_.loop.offload(
      env::Lane::kBackground,
      [&disk = ports_.disk, directory = directory_.snapshots(), meta = install_->meta, state] {
        *state = [&]() -> Result<std::string> {
          CLEW_ASSIGN(const auto reader, SnapshotReader::open(disk, directory, meta.position));
          CLEW_ASSIGN(auto bytes, reader->read_at(0, meta.bytes));
          const bool same = bytes.size() == meta.bytes && sha256(bytes) == meta.digest;
          if (!same && !planted(Bug::kSnapshotChunkUnchecked)) {
            return Error{Code::kDataLoss, "the snapshot of position " + std::to_string(meta.position) + " in " +
                                              directory + " has changed since it was fetched; look at the disk"};
          }
          return bytes;
        }();
      },
      [this, alive = Guard(alive_), meta = install_->meta, state] {
        if (alive.expired()) return;
        installing_ = false;
        if (running()) installed(meta, *state);
      });
}

void ReplicaImpl::installed(const SnapshotMeta& meta, const Result<std::string>& state) {
  if (!install_ || install_->meta != meta) return install_ ? try_install() : void();  // a newer one came meanwhile
  // It was whole when it had come: the next start sees what is wrong with the file, and fetches it again.
  if (!state.ok()) return halt(state.status(), "a fetched snapshot that cannot be read");
  StringSource source(*state);
  Status status = applier_.restore(meta, source);
  if (!status.ok()) return halt(std::move(status), "a snapshot that cannot be installed");
  ++stats_.snapshots_installed;
  time_.applied(applier_.time_ns());
  install_.reset();
  bytes_since_snapshot_ = 0;
  deliver();
  if (halted_) return;
  serve_waiting_reads();
  turn_soon();
}

// Old log and snapshots go when the new base is durable, not when it is decided (scenario 14).
void ReplicaImpl::release_soon(LogSeq below) {
  release_ = Release{below, wal_->last_record(), core_->report().snapshot.position};
  if (release_->after <= durable_ || planted(Bug::kReleaseBeforeBase)) release_durable();
}

void ReplicaImpl::release_durable() {
  if (release_->after > durable_ && !planted(Bug::kReleaseBeforeBase)) return;
  const Release release = *release_;
  release_.reset();
  wal_->release(release.below - 1);
  if (release.base <= base_) return;
  previous_base_ = std::exchange(base_, release.base);
  ports_.loop.offload(
      env::Lane::kBackground,
      [&disk = ports_.disk, directory = directory_.snapshots(), first = previous_base_,
       fetched = exchange_.being_fetched()] {
        const Status ignored = keep_snapshots(disk, directory, first, std::numeric_limits<Position>::max(), fetched);
        (void)ignored;  // what stays is taken away with the next one
      },
      [] {});
}

}  // namespace clew::consensus

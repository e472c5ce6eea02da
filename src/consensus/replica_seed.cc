#include "consensus/replica_seed.h"

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "consensus/replica_applier.h"
#include "consensus/replica_directory.h"
#include "consensus/replica_records.h"
#include "consensus/snapshot_files.h"
#include "wal/wal.h"

namespace clew::consensus {
namespace {

struct Seeding {
  std::optional<ReplicaDirectory> directory;
  std::unique_ptr<wal::Wal> log;
  UniqueFunction<void(Status)> done;
  void end(Status status) {
    log.reset();
    if (status.ok()) status = directory->complete();
    directory.reset();
    if (done) std::exchange(done, nullptr)(std::move(status));
  }
};

Result<SnapshotMeta> write_snapshot(env::Loop& loop, env::Disk& disk, const ReplicaSeed& seed, StateMachine& machine,
                                    const std::string& directory) {
  Applier applier(machine, seed.sessions, loop.clock());
  applier.start_from(seed.founders, seed.position, seed.epoch, seed.time_ns);
  CLEW_ASSIGN(auto writer, SnapshotWriter::create(disk, directory, "seed"));
  CLEW_TRY(applier.freeze()(*writer));
  return writer->seal(applier.describe());
}

}  // namespace

void seed_replica(env::Loop& loop, env::Disk& disk, env::Random& random, ReplicaSeed seed, StateMachine& machine,
                  UniqueFunction<std::string(const SnapshotMeta&)> first_record, UniqueFunction<void(Status)> done) {
  CHECK(seed.position > 0 && seed.epoch > 0 && seed.founders.contains(seed.self));
  // Shared with the completions, which come from the log that it owns: it ends in a task of its own.
  auto seeding = std::make_shared<Seeding>();
  seeding->done = std::move(done);
  const auto end_soon = [&loop, seeding](Status status) {
    loop.post([seeding, status = std::move(status)]() mutable { seeding->end(std::move(status)); });
  };
  const Status begun = [&]() -> Status {
    Identity identity;
    identity.cluster = seed.cluster;
    identity.node = seed.self;
    identity.protocol = seed.protocol;
    identity.sessions = seed.sessions;
    CLEW_ASSIGN(seeding->directory, ReplicaDirectory::open(disk, seed.directory, std::move(identity), true, random));
    CLEW_ASSIGN(const SnapshotMeta meta, write_snapshot(loop, disk, seed, machine, seeding->directory->snapshots()));
    wal::Options options;
    options.directory = seeding->directory->log();
    options.file_bytes = seed.log_file_bytes;
    options.wait_for_company = false;
    options.salt = random.next();
    CLEW_ASSIGN(seeding->log, wal::Wal::open(
                                  loop, disk, std::move(options),
                                  [](uint64_t, uint64_t, std::string_view) -> Status {
                                    return {Code::kFailedPrecondition, "there is a log already"};
                                  },
                                  nullptr, end_soon));
    const std::string_view kind(&kProtocolRecord, 1);
    const std::string record = first_record(meta);
    const std::string_view pieces[] = {kind, record};
    (void)seeding->log->append(pieces, [end_soon] { end_soon({}); });
    return {};
  }();
  if (!begun.ok()) end_soon(begun);
}

}  // namespace clew::consensus

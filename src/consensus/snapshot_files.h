// Snapshots as files of one directory: written or received front to back, complete once their name ends in `.snap`.
// Format: docs/format/replica.md. A file that is torn, cut or altered is told apart from a whole one by its footer and
// the digest of its state.
//
// Everything here blocks: for offloaded work and start-up. One thread at a time for each object; different objects side
// by side. Memory: one buffer of 256 KiB an object.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "base/status.h"
#include "consensus/snapshot.h"
#include "consensus/state_machine.h"
#include "env/disk.h"

namespace clew::consensus {

std::string snapshot_file_name(Position position);

// Writes one snapshot under a temporary name. Without a seal the destructor takes the file away.
class SnapshotWriter final : public SnapshotSink {
 public:
  // `stem` tells the temporary files of one process apart.
  static Result<std::unique_ptr<SnapshotWriter>> create(env::Disk& disk, const std::string& directory,
                                                        const std::string& stem);
  ~SnapshotWriter() override;

  Status write(std::string_view bytes) override;
  uint64_t bytes() const { return bytes_; }  // written so far

  // The file is complete and durable under its name: fills in `bytes` and `digest`.
  Result<SnapshotMeta> seal(SnapshotMeta meta);
  // The same for bytes that came from elsewhere: kDataLoss when they are not what `meta` says.
  Status seal_as(const SnapshotMeta& meta);

 private:
  SnapshotWriter(env::Disk& disk, std::string directory, std::string path, std::unique_ptr<env::File> file);
  Status flush();
  Status finish(const SnapshotMeta& meta);

  env::Disk& disk_;
  const std::string directory_;
  const std::string path_;
  std::unique_ptr<env::File> file_;
  Sha256 hasher_;
  std::string buffer_;
  uint64_t bytes_ = 0;
  bool sealed_ = false;
};

// Reads the state of a snapshot file from front to back.
class SnapshotReader final : public SnapshotSource {
 public:
  // Reads the footer: kNotFound, or kDataLoss when there is none that holds.
  static Result<std::unique_ptr<SnapshotReader>> open(env::Disk& disk, const std::string& directory, Position position);

  const SnapshotMeta& meta() const { return meta_; }
  Result<std::string_view> read() override;
  // `size` bytes of the state from `offset` on, fewer only at its end. Independent of read().
  Result<std::string> read_at(uint64_t offset, uint64_t size) const;
  // Reads everything and compares the digest; read() begins at the front again.
  Status verify();

 private:
  SnapshotReader(std::string path, std::unique_ptr<env::File> file, SnapshotMeta meta);

  const std::string path_;
  std::unique_ptr<env::File> file_;
  const SnapshotMeta meta_;
  std::string buffer_;
  uint64_t offset_ = 0;
};

// Positions of the complete files, ascending; takes leftovers of an earlier process away.
Result<std::vector<Position>> find_snapshots(env::Disk& disk, const std::string& directory);
// Takes away the complete files outside of [first, last] but for those of `others`, and durably.
Status keep_snapshots(env::Disk& disk, const std::string& directory, Position first, Position last,
                      const std::vector<Position>& others = {});

}  // namespace clew::consensus

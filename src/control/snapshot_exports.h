// SnapshotExports: the newest state as a file for whoever asks, beside the replica's own snapshots: written by a
// worker, then handed out in pieces, so that a backup of gigabytes costs neither memory nor the loop's time. The file
// is removed with its stream, and at the next start when that did not happen.
//
// An export is the spaces' snapshot (docs/format/kv.md) and the XXH3-128 of it: sessions and membership are no part, as
// what is restored is another cluster.
//
// On the plane's loop. Bounds: kMaxExports at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "control/service.h"
#include "env/disk.h"
#include "env/loop.h"
#include "kv/spaces.h"

namespace clew::control {

class SnapshotExports {
 public:
  static constexpr size_t kMaxExports = 4;
  static constexpr size_t kMaxPieceBytes = 1u << 20;

  SnapshotExports(env::Loop& loop, env::Disk& disk, const kv::Spaces& spaces, std::string directory)
      : loop_(loop), disk_(disk), spaces_(spaces), directory_(std::move(directory)) {}
  ~SnapshotExports();

  using Key = uint64_t;
  void open(Key key, std::shared_ptr<std::atomic<uint64_t>> total);  // `total` is set before the first answer
  void next(Key key, size_t max_bytes, Done<std::string> done);
  void close(Key key);

 private:
  struct Export;
  void read(const std::shared_ptr<Export>& one);

  env::Loop& loop_;
  env::Disk& disk_;
  const kv::Spaces& spaces_;
  const std::string directory_;
  bool cleared_ = false;
  std::map<Key, std::shared_ptr<Export>> exports_;  // shared with work that is under way
};

}  // namespace clew::control

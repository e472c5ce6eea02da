// A disk in memory that behaves as badly as env/disk.h allows, reproducibly.
//
// Every file has a durable image and a list of operations that no sync has covered yet; what programs read is both
// together. Names work the same way per directory. Faults that exist here, and nothing else:
//   - power cut (`crash_and_restart(seed)`): each uncovered write is kept, dropped, or torn at 512-byte sectors; each
//   uncovered
//     truncation or preallocation kept or dropped; uncovered names either lost from some point on (as a journal
//     does) or each on its own (as POSIX allows). The seed decides.
//   - power cut in the middle: `crash_at_io(n)`: from the n-th change on, that one half done, every call fails and no
//   completion
//     comes. Changes are writes, syncs, preallocations, truncations, creations, renames, removals and directory syncs.
//   - full disk: `set_capacity`. Space counts in 4 KiB blocks of files that have a name or an open handle.
//   - I/O errors: the n-th write or sync from now fails (`fail_write`, `fail_sync`), a range cannot be read
//   (`fail_reads`).
//   - bit rot: `flip` changes one byte under everybody's feet.
// Not modelled: a disk that answers wrongly once and rightly later, misdirected writes, hard links, permissions.
//
// A submitted write reaches the volatile image at once (so a cut may keep it, drop it or tear it) and completes
// `latency_ns` later on its loop; its sync takes place at completion. Completions of one file come in order.
// Single-threaded: only for SimLoop. Files may outlive a crash, but every call on one opened before it fails.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "env/disk.h"

namespace clew::sim {

class SimDisk final : public env::Disk {
 public:
  SimDisk();
  ~SimDisk() override;

  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenOptions options) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status make_dirs(const std::string& path) override;  // durable at once: directories are made once, at first start
  Status sync_dir(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  Result<env::DiskSpace> space(const std::string& path) override;
  Result<std::unique_ptr<env::File>> lock_dir(const std::string& path) override;

  // --- Faults ---
  // The state after a power cut now. Clears every injected fault except flipped bytes; the capacity stays.
  void crash_and_restart(uint64_t seed);
  void crash_at_io(uint64_t nth);  // counted from the beginning of this disk, from 1: see io_count(); 0: never
  bool crashed() const;
  void set_capacity(uint64_t bytes);
  void fail_write(uint64_t nth);  // the nth write from now (1: the next one); only that one
  void fail_sync(uint64_t nth);
  void fail_reads(const std::string& path, uint64_t offset, uint64_t size);
  void flip(const std::string& path, uint64_t offset, uint8_t mask);
  void set_latency(int64_t latency_ns);

  // --- What a test looks at ---
  uint64_t io_count() const;    // changes so far
  uint64_t sync_count() const;  // of files
  uint64_t used_bytes() const;
  std::string content(const std::string& path) const;  // as programs see it; empty when absent
  bool exists(const std::string& path) const;

  struct World;  // shared with files, which may outlive the disk object

 private:
  std::shared_ptr<World> world_;
};

// A mutant: forwards everything to `disk`, but no sync of a file ever happens, though it reports success. A crash test
// that passes on this disk tests nothing.
class ForgetfulDisk final : public env::Disk {
 public:
  explicit ForgetfulDisk(env::Disk& disk) : disk_(disk) {}
  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenOptions options) override;
  Status rename(const std::string& from, const std::string& to) override { return disk_.rename(from, to); }
  Status remove(const std::string& path) override { return disk_.remove(path); }
  Status make_dirs(const std::string& path) override { return disk_.make_dirs(path); }
  Status sync_dir(const std::string& path) override { return disk_.sync_dir(path); }
  Result<std::vector<std::string>> list(const std::string& path) override { return disk_.list(path); }
  Result<env::DiskSpace> space(const std::string& path) override { return disk_.space(path); }
  Result<std::unique_ptr<env::File>> lock_dir(const std::string& path) override { return disk_.lock_dir(path); }

 private:
  env::Disk& disk_;
};

}  // namespace clew::sim

// A disk in memory that behaves as badly as env/disk.h allows, reproducibly, and on demand worse.
//
// Every file has an image and the changes that no sync has covered yet (sim/file_image.h); names work the same way per
// directory. What a correct program must survive:
//   - power cut (`crash_and_restart(seed)`): each uncovered write is kept, dropped, or torn at 512-byte sectors; each
//     uncovered truncation or preallocation kept or dropped; uncovered names either lost from some point on (as a
//     journal does) or each on its own (as POSIX allows). The seed decides.
//   - power cut in the middle: `crash_at_io(n)`: from the n-th change on, that one half done, every call fails and no
//     completion comes. Changes are writes, syncs, preallocations, truncations, creations, renames, removals and
//     directory syncs.
//   - death of the process alone (`kill_and_restart`): nothing is lost, handles and locks are gone.
//   - full disk: `set_capacity`. Space counts in 4 KiB blocks of files that have a name or an open handle.
//   - I/O errors: the n-th write or sync from now fails (`fail_write`, `fail_sync`; a failed sync may have dropped what
//     it was to write, though the next one succeeds), a range cannot be read (`fail_reads`: always or a few times).
//   - a slow disk: `set_latency`.
// What only redundancy survives (whoever deals it asks sim/atlas.h first):
//   - bit rot: `flip` changes one byte under everybody's feet.
//   - latent sector errors: `damage`: unreadable until written again, also after a restart.
//   - a misdirected write: `misdirect_write`: reported as done, and landed elsewhere in the file.
//   - the loss of everything: `wipe`.
// Not modelled: hard links, permissions, a synced write that is dropped as a whole without any error.
//
// A submitted write reaches the volatile image at once (so a cut may keep it, drop it or tear it) and completes
// `latency_ns` later on its loop; its sync takes place at completion. Completions of one file come in order.
// Cost: a write copies its bytes three times and allocates twice; a sync is free. With `set_trace` every change is
// hashed. Single-threaded: only for SimLoop. Files may outlive a crash, but every call on one opened before it fails.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "env/disk.h"
#include "sim/trace.h"

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
  // The state after a power cut now. Clears every injected fault except flipped bytes and damaged sectors; the capacity
  // and the latency stay.
  void crash_and_restart(uint64_t seed);
  void kill_and_restart();         // clears no injected fault
  void wipe();                     // every file and directory, and what was injected; handles are dead
  void end_faults();               // what was injected and not yet met; no limit of space. Damage done stays
  void crash_at_io(uint64_t nth);  // counted from the beginning of this disk, from 1: see io_count(); 0: never
  bool crashed() const;
  void set_capacity(uint64_t bytes);
  void fail_write(uint64_t nth);  // the nth write from now (1: the next one); only that one
  // The nth sync from now. `drops`: what it should have written is then lost at the next power cut, whatever later
  // syncs report.
  void fail_sync(uint64_t nth, bool drops = false);
  void fail_reads(const std::string& path, uint64_t offset, uint64_t size, uint64_t times = 0);  // 0: always
  void damage(const std::string& path, uint64_t offset, uint64_t size);
  void flip(const std::string& path, uint64_t offset, uint8_t mask);
  void misdirect_write(uint64_t nth, int64_t distance_bytes);  // never to before the file's first byte
  // Of a submitted write: `latency_ns` and up to `jitter_ns` more.
  void set_latency(int64_t latency_ns, int64_t jitter_ns = 0);
  void set_seed(uint64_t seed);      // of the latencies
  void set_trace(TraceHash* trace);  // null: none; outlives the disk and its files

  // --- What a test looks at ---
  uint64_t io_count() const;    // changes so far
  bool ever_spoilt() const;     // what was written was made unreadable or changed at some time, or went astray
  uint64_t sync_count() const;  // of files
  uint64_t used_bytes() const;
  std::string content(const std::string& path) const;  // as programs see it; empty when absent
  bool exists(const std::string& path) const;
  struct FileInfo {
    std::string path;
    uint64_t size;
    uint64_t written;  // all behind that is zero
  };
  std::vector<FileInfo> files() const;  // by path

  struct State;  // shared with files, which may outlive the disk object

 private:
  std::shared_ptr<State> state_;
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

// Wal: a checksummed, append-only log of records with group commit and prefix release. One a shard of the data plane
// (rows), and one a consensus replica; each is its loop's alone.
//
// Records are opaque bytes, numbered from 1 without gaps. Appends made while a write is in flight form the next group:
// one write and one sync per group. A group waits a fraction of a millisecond for clients that the last one answered, a
// lone client never. Files are preallocated and recycled; `rotate()` starts a new file and the
// first record after it opens that file. `release(n)` lets go of whole files whose records are all <= n.
// Released records may be replayed once more after a crash (a removed name can come back): the owner knows what it has
// stored. When idle, spare and preallocated space is given back (`trim()`), so that a settled log costs what it holds.
//
// Space: `reserve(bytes)` guarantees that the next appends up to that size cannot meet a full disk, or answers
// kResourceExhausted (the disk is full) or kUnavailable (space is being made, or a slow disk is behind: ask again in
// milliseconds); admission control calls it before it accepts a request. It looks at the space that is there and
// takes none: append in the same task of the loop, or ask again. A refusal sets the making of space going (off the
// loop), so that a retry succeeds as soon as the disk has some; it also refuses while too many bytes wait for a slow
// disk. A failed write or sync of an admitted record is final: `on_halt` is called once, no completion reports success
// any more, and the owner stops the node. No retry.
//
// Recovery (open): replays every intact record in order. A torn tail (a last group that did not finish) is cut. A
// damaged record in the middle, with intact records after it, is reported, skipped and counted: never taken for a tail.
// Reads that fail are tried again; an end of the log that still cannot be read is kDataLoss, and nothing is cut.
//
// Pure towards env: runs on the simulated disk. All methods on the owner's loop, except open (start-up, blocking).
// Destroying a Wal drops what is not yet durable, without completions; never destroy it inside one of its completions.
// Format: docs/format/wal.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/function.h"
#include "base/status.h"
#include "env/disk.h"
#include "env/loop.h"

namespace clew::wal {

enum class Durability : uint8_t {
  kDisk,    // completed = fsynced (default)
  kOs,      // completed = handed to the operating system
  kMemory,  // completed at once; written in the background
};

struct Options {
  std::string directory;
  Durability durability = Durability::kDisk;
  uint64_t file_bytes = 64ull << 20;         // preallocation step and size at which wants_rotation() turns true
  uint64_t max_group_bytes = 4ull << 20;     // of one write
  uint64_t max_record_bytes = 256ull << 20;  // larger records in a file are damage, not data
  uint32_t spare_files = 2;                  // kept for recycling under load
  uint64_t max_pending_bytes = 64ull << 20;  // appended and not yet written: beyond it, reserve() refuses
  bool direct = true;                        // O_DIRECT where the file system can
  // A group waits a moment for the clients that the last one answered (see above). Off for an owner that batches by
  // itself, as a consensus replica does: it would only add to the latency.
  bool wait_for_company = true;
  // Unpredictable (env::Random), new for every open. Groups carry it, so that a sender who puts forged groups into its
  // records cannot have them taken for groups when a damaged stretch is searched for the next intact one.
  uint64_t salt = 0;
};

struct ReplayReport {
  uint64_t files = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;
  uint64_t torn_tail_bytes = 0;  // cut
  struct Damage {
    std::string file;
    uint64_t offset = 0;
    uint64_t bytes = 0;  // skipped
    std::string what;
  };
  std::vector<Damage> damage;
};

// Called for each intact record; `file` numbers the WAL file that it stands in (rows of one file share a dictionary).
using ReplayFn = UniqueFunction<Status(uint64_t record, uint64_t file, std::string_view bytes)>;

class Wal {
 public:
  static Result<std::unique_ptr<Wal>> open(env::Loop& loop, env::Disk& disk, Options options, ReplayFn replay,
                                           ReplayReport* report, UniqueFunction<void(Status)> on_halt);
  virtual ~Wal() = default;

  // Copies the pieces, as one record, into the group being gathered. `done` runs on the loop with ok once the record is
  // as durable as the options ask for; after a halt it never runs. Returns the record's number.
  // At most max_record_bytes in all. Never call back into `done`'s owner before append returned: `done` always comes
  // later.
  virtual uint64_t append(std::span<const std::string_view> pieces, Task done) = 0;
  // Starts writing what has been gathered now, unless a write is under way, rather than after the tasks that are
  // queued on the loop.
  virtual void flush() = 0;
  virtual Status reserve(uint64_t bytes) = 0;
  virtual bool wants_rotation() const = 0;  // the file is full and the next one is ready
  virtual uint64_t rotate() = 0;            // the number of the new file
  virtual uint64_t current_file() const = 0;
  virtual void release(uint64_t up_to_record) = 0;
  virtual void trim() = 0;  // idle: give back spare space
  virtual uint64_t last_record() const = 0;
  virtual uint64_t durable_record() const = 0;
  virtual uint64_t disk_bytes() const = 0;  // of live, spare and preallocated files
  virtual uint64_t sync_count() const = 0;  // groups committed so far
  virtual bool halted() const = 0;
};

}  // namespace clew::wal

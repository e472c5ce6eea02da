// The port to stable storage. os/ implements it on POSIX files, sim/ on memory with lost writes, torn sectors and
// crashes.
//
// Two manners: `submit_*` (any loop; completes by a task on that loop) for the write path of a loop, and blocking
// calls, allowed only inside offloaded work and during start-up. Nothing above os/ maps a file. What survives a crash:
// bytes of a file after a successful sync() of it; names (create, rename, remove) after a successful sync_dir() of the
// directory. Anything else may be lost, kept, or torn at 512-byte sectors. A failed write or sync is never retried on
// admitted data: the caller halts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/function.h"
#include "base/status.h"
#include "env/loop.h"

namespace clew::env {

constexpr size_t kDiskAlignment = 4096;  // of offsets, lengths and memory when a file is opened `direct`

// Memory for direct I/O: aligned to kDiskAlignment, capacity a multiple of it. Value semantics by move.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t capacity);
  ~AlignedBuffer();
  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
  char* data() { return data_; }
  const char* data() const { return data_; }
  size_t capacity() const { return capacity_; }

 private:
  char* data_ = nullptr;
  size_t capacity_ = 0;
};

class File {
 public:
  virtual ~File() = default;  // closes; never syncs

  // Blocking. read_at returns fewer bytes only at the end of the file.
  virtual Result<size_t> read_at(uint64_t offset, char* out, size_t size) const = 0;
  virtual Status write_at(uint64_t offset, std::string_view bytes) = 0;
  virtual Status sync() = 0;                      // fdatasync: data and size
  virtual Status preallocate(uint64_t size) = 0;  // reserves blocks up to `size`; kResourceExhausted when full
  virtual Status truncate(uint64_t size) = 0;
  virtual Result<uint64_t> size() const = 0;

  // Asynchronous: `bytes` stays valid until `done` runs on `loop`. Submissions of one file complete in order; with
  // `sync` the write is durable when `done` sees ok.
  virtual void submit_write(Loop& loop, uint64_t offset, std::string_view bytes, bool sync,
                            UniqueFunction<void(Status)> done) = 0;
};

struct OpenOptions {
  bool create = false;     // create when absent
  bool exclusive = false;  // fail when present
  bool writable = false;
  bool direct = false;  // bypass the page cache where the file system can; alignment rules above apply
};

struct DiskSpace {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;  // to an unprivileged writer
};

class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenOptions options) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;  // replaces atomically
  virtual Status remove(const std::string& path) = 0;                         // kNotFound when absent
  virtual Status make_dirs(const std::string& path) = 0;
  virtual Status sync_dir(const std::string& path) = 0;
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;  // names, sorted; no . and ..
  virtual Result<DiskSpace> space(const std::string& path) = 0;
  // Takes the directory for this process; the lock ends with the returned object. kFailedPrecondition when another has
  // it.
  virtual Result<std::unique_ptr<File>> lock_dir(const std::string& path) = 0;
};

// Blocking convenience on top of the port.
Result<std::string> read_file(Disk& disk, const std::string& path, uint64_t max_bytes);
// Writes `path`.tmp, syncs it, renames it over `path`, syncs the directory: after ok the new content survives a crash,
// before it the old one does.
Status write_file_atomically(Disk& disk, const std::string& directory, const std::string& name, std::string_view bytes);

}  // namespace clew::env

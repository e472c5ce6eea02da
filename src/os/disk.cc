#include "os/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <utility>

#include "os/condition.h"
#include "os/errors.h"
#include "os/thread.h"

namespace clew::os {
namespace {

// An open descriptor and what is waiting to be written to it. Shared by the File and its submitted writes.
struct Handle {
  Handle(int descriptor, std::string name, env::OpenOptions open_options)
      : fd(descriptor), path(std::move(name)), options(open_options) {}
  ~Handle() { ::close(fd); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  void check_alignment(uint64_t offset, const void* memory, size_t size) const {
    CHECK(!options.direct || (offset % env::kDiskAlignment == 0 && size % env::kDiskAlignment == 0 &&
                              reinterpret_cast<uintptr_t>(memory) % env::kDiskAlignment == 0));
  }

  // Some file systems accept O_DIRECT at open and refuse the first transfer. True: worth another try.
  bool leave_direct(int error_number) {
    if (error_number != EINVAL || !options.direct) return false;
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_DIRECT) == 0) return false;
    return ::fcntl(fd, F_SETFL, flags & ~O_DIRECT) == 0;
  }

  Status write(uint64_t offset, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t wrote = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (wrote < 0) {
        if (errno == EINTR || leave_direct(errno)) continue;
        return system_error("write", path, errno);
      }
      if (wrote == 0) return Error{Code::kDataLoss, "write " + path + ": the system took no byte"};
      offset += static_cast<uint64_t>(wrote);
      bytes.remove_prefix(static_cast<size_t>(wrote));
    }
    return {};
  }

  Status sync() {
    // Not repeated on EINTR: after a failed sync the kernel may have dropped the pages, and a second one would lie.
    if (::fdatasync(fd) != 0) return system_error("sync", path, errno);
    return {};
  }

  const int fd;
  const std::string path;
  const env::OpenOptions options;

  struct Submitted {
    env::Loop* loop;
    uint64_t offset;
    std::string_view bytes;
    bool sync;
    UniqueFunction<void(Status)> done;
  };
  Mutex mutex;
  std::deque<Submitted> submitted CLEW_GUARDED_BY(mutex);
  bool queued CLEW_GUARDED_BY(mutex) = false;  // in the disk's queue, or an I/O thread has it
};

Status write_zeros(Handle& handle, uint64_t from, uint64_t to) {
  env::AlignedBuffer zeros(1 << 20);
  std::fill_n(zeros.data(), zeros.capacity(), '\0');
  while (from < to) {
    const uint64_t bytes = std::min<uint64_t>(zeros.capacity(), to - from);
    CLEW_TRY(handle.write(from, {zeros.data(), bytes}));
    from += bytes;
  }
  return {};
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status sync_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return system_error("open directory", path, errno);
  const int result = ::fsync(fd);
  const int error_number = errno;
  ::close(fd);
  if (result != 0) return system_error("sync directory", path, error_number);
  return {};
}

}  // namespace

// Files with submitted writes, each at most once; an I/O thread takes the oldest one and serves what it finds there.
struct OsDisk::Queue {
  Mutex mutex;
  Condition wake;
  std::deque<std::shared_ptr<Handle>> files CLEW_GUARDED_BY(mutex);
  bool stopping CLEW_GUARDED_BY(mutex) = false;

  void push(std::shared_ptr<Handle> handle) {
    {
      MutexLock lock(mutex);
      files.push_back(std::move(handle));
    }
    wake.notify_one();
  }

  void serve() {
    for (;;) {
      std::shared_ptr<Handle> handle;
      {
        MutexLock lock(mutex);
        while (files.empty() && !stopping) wake.wait(mutex);
        if (files.empty()) return;
        handle = std::move(files.front());
        files.pop_front();
      }
      serve_one(std::move(handle));
    }
  }

  void serve_one(std::shared_ptr<Handle> handle) {
    Handle::Submitted write;
    {
      MutexLock lock(handle->mutex);
      write = std::move(handle->submitted.front());
      handle->submitted.pop_front();
    }
    Status status = handle->write(write.offset, write.bytes);
    if (status.ok() && write.sync) status = handle->sync();
    write.loop->post([done = std::move(write.done), status = std::move(status)]() mutable { done(std::move(status)); });
    {
      MutexLock lock(handle->mutex);
      if (handle->submitted.empty()) {
        handle->queued = false;
        return;
      }
    }
    push(std::move(handle));  // behind the others, so that one busy file does not hold up the rest
  }
};

namespace {

class PosixFile final : public env::File {
 public:
  PosixFile(std::shared_ptr<Handle> handle, std::shared_ptr<OsDisk::Queue> queue)
      : handle_(std::move(handle)), queue_(std::move(queue)) {}

  Result<size_t> read_at(uint64_t offset, char* out, size_t size) const override {
    handle_->check_alignment(offset, out, size);
    size_t got = 0;
    while (got < size) {
      const ssize_t read = ::pread(handle_->fd, out + got, size - got, static_cast<off_t>(offset + got));
      if (read < 0) {
        if (errno == EINTR || handle_->leave_direct(errno)) continue;
        return system_error("read", handle_->path, errno);
      }
      if (read == 0) break;
      got += static_cast<size_t>(read);
      // A direct read that comes short of a block has met the end; asking on would be unaligned.
      if (handle_->options.direct && got % env::kDiskAlignment != 0) break;
    }
    return got;
  }

  Status write_at(uint64_t offset, std::string_view bytes) override {
    handle_->check_alignment(offset, bytes.data(), bytes.size());
    return handle_->write(offset, bytes);
  }

  Status sync() override { return handle_->sync(); }

  Status preallocate(uint64_t bytes) override {
    CLEW_ASSIGN(const uint64_t present, size());
    int result;
    do {
      result = ::fallocate(handle_->fd, 0, 0, static_cast<off_t>(bytes));
    } while (result != 0 && errno == EINTR);
    if (result == 0) return {};
    if (errno != EOPNOTSUPP && errno != ENOSYS) return system_error("reserve space in", handle_->path, errno);
    return bytes > present ? write_zeros(*handle_, present, bytes) : Status();
  }

  Status truncate(uint64_t bytes) override {
    if (::ftruncate(handle_->fd, static_cast<off_t>(bytes)) != 0) return system_error("truncate", handle_->path, errno);
    return {};
  }

  Result<uint64_t> size() const override {
    struct stat info {};
    if (::fstat(handle_->fd, &info) != 0) return system_error("look at", handle_->path, errno);
    return static_cast<uint64_t>(info.st_size);
  }

  void submit_write(env::Loop& loop, uint64_t offset, std::string_view bytes, bool sync,
                    UniqueFunction<void(Status)> done) override {
    handle_->check_alignment(offset, bytes.data(), bytes.size());
    {
      MutexLock lock(handle_->mutex);
      handle_->submitted.push_back({&loop, offset, bytes, sync, std::move(done)});
      if (std::exchange(handle_->queued, true)) return;
    }
    queue_->push(handle_);
  }

 private:
  std::shared_ptr<Handle> handle_;
  std::shared_ptr<OsDisk::Queue> queue_;
};

}  // namespace

OsDisk::OsDisk(uint32_t io_threads) : queue_(std::make_shared<Queue>()) {
  CHECK(io_threads > 0);
  for (uint32_t i = 0; i < io_threads; ++i) {
    threads_.emplace_back([queue = queue_, i] {
      name_this_thread("clew-disk" + std::to_string(i));
      queue->serve();
    });
  }
}

OsDisk::~OsDisk() {
  {
    MutexLock lock(queue_->mutex);
    queue_->stopping = true;
    queue_->wake.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

Result<std::unique_ptr<env::File>> OsDisk::open(const std::string& path, env::OpenOptions options) {
  int flags = O_CLOEXEC | (options.writable ? O_RDWR : O_RDONLY);
  if (options.create) flags |= O_CREAT;
  if (options.exclusive) flags |= O_EXCL;
  int fd = ::open(path.c_str(), flags | (options.direct ? O_DIRECT : 0), 0640);
  if (fd < 0 && errno == EINVAL && options.direct) {
    // With O_CREAT the kernel may have made the file before it refused the flag, hence not exclusive the second time.
    fd = ::open(path.c_str(), flags & ~O_EXCL, 0640);
  }
  if (fd < 0) return system_error("open", path, errno);
  return std::unique_ptr<env::File>(new PosixFile(std::make_shared<Handle>(fd, path, options), queue_));
}

Status OsDisk::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return system_error("rename", from + " to " + to, errno);
  return {};
}

Status OsDisk::remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return {};
  if (errno == EISDIR || errno == EPERM) {
    if (::rmdir(path.c_str()) == 0) return {};
  }
  return system_error("remove", path, errno);
}

Status OsDisk::make_dirs(const std::string& path) {
  CHECK(!path.empty());
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return system_error("create directory", path, ENOTDIR);
  }
  const std::string parent = parent_of(path);
  if (parent != path) CLEW_TRY(make_dirs(parent));
  if (::mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) return system_error("create directory", path, errno);
  return sync_directory(parent);
}

Status OsDisk::sync_dir(const std::string& path) { return sync_directory(path); }

Result<std::vector<std::string>> OsDisk::list(const std::string& path) {
  DIR* const directory = ::opendir(path.c_str());
  if (directory == nullptr) return system_error("list", path, errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int error_number = errno;
  ::closedir(directory);
  if (error_number != 0) return system_error("list", path, error_number);
  std::sort(names.begin(), names.end());
  return names;
}

Result<env::DiskSpace> OsDisk::space(const std::string& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return system_error("ask for the space of", path, errno);
  return env::DiskSpace{static_cast<uint64_t>(info.f_blocks) * info.f_frsize,
                        static_cast<uint64_t>(info.f_bavail) * info.f_frsize};
}

Result<std::unique_ptr<env::File>> OsDisk::lock_dir(const std::string& path) {
  const std::string name = path + "/LOCK";
  const int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return system_error("open", name, errno);
  auto handle = std::make_shared<Handle>(fd, name, env::OpenOptions{.writable = true});
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("lock", name, errno);
    char owner[32] = {};
    const ssize_t got = ::pread(fd, owner, sizeof owner - 1, 0);
    const std::string by = got > 0 ? " (process " + std::string(owner, strnlen(owner, sizeof owner)) + ")" : "";
    return Error{Code::kFailedPrecondition,
                 "lock " + path + ": another clew" + by + " uses it; stop that one or choose another --data-dir"};
  }
  auto file = std::make_unique<PosixFile>(handle, queue_);
  CLEW_TRY(file->truncate(0));
  CLEW_TRY(file->write_at(0, std::to_string(::getpid())));
  return std::unique_ptr<env::File>(std::move(file));
}

}  // namespace clew::os

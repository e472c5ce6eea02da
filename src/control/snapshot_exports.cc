#include "control/snapshot_exports.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/varint.h"

namespace clew::control {
namespace {

CallError from(const Status& status) { return {status.code(), std::string(status.message()), false, {}, {}}; }

class FileSink final : public consensus::SnapshotSink {
 public:
  explicit FileSink(env::File& file) : file_(file) {}
  Status write(std::string_view bytes) override {
    CLEW_TRY(file_.write_at(size_, bytes));
    size_ += bytes.size();
    hash_.add(bytes);
    return {};
  }
  Result<uint64_t> seal() {
    const Hash128 hash = hash_.hash();
    std::string trailer;
    append_fixed(trailer, hash.lo);
    append_fixed(trailer, hash.hi);
    CLEW_TRY(file_.write_at(size_, trailer));
    return size_ + trailer.size();
  }

 private:
  env::File& file_;
  uint64_t size_ = 0;
  StableHasher hash_;
};

}  // namespace

// Its work runs on workers and its file outlives the plane, if need be, until that has ended.
struct SnapshotExports::Export {
  Export(env::Disk& on, std::string file_path) : disk(on), path(std::move(file_path)) {}
  ~Export() {
    if (!file) return;
    file.reset();
    (void)disk.remove(path);  // a leftover is removed at the next start
  }

  env::Disk& disk;
  const std::string path;
  std::unique_ptr<env::File> file;
  Status status;
  uint64_t size = 0;
  uint64_t at = 0;
  std::string piece;
  bool written = false;
  bool closed = false;
  std::shared_ptr<std::atomic<uint64_t>> total;
  size_t wanted = 0;
  Done<std::string> waiting;

  void answer(std::variant<std::string, CallError> answer) {
    if (waiting) std::exchange(waiting, nullptr)(std::move(answer));
  }
};

SnapshotExports::~SnapshotExports() {
  for (auto& [key, one] : exports_) {
    one->closed = true;
    one->answer(CallError{Code::kUnavailable, "this node is stopping", false, {}, {}});
  }
}

void SnapshotExports::open(Key key, std::shared_ptr<std::atomic<uint64_t>> total) {
  if (exports_.size() >= kMaxExports) return;  // next() says so
  auto one = std::make_shared<Export>(disk_, directory_ + "/" + std::to_string(key) + ".export");
  one->total = std::move(total);
  exports_[key] = one;
  loop_.offload(
      env::Lane::kBackground,
      [one, directory = directory_, clear = !std::exchange(cleared_, true), write = spaces_.copy()]() mutable {
        one->status = [&]() -> Status {
          CLEW_TRY(one->disk.make_dirs(directory));
          if (clear) {
            CLEW_ASSIGN(const auto names, one->disk.list(directory));
            for (const std::string& name : names) {
              if (name.ends_with(".export")) CLEW_TRY(one->disk.remove(directory + "/" + name));
            }
          }
          CLEW_ASSIGN(one->file, one->disk.open(one->path, {.create = true, .writable = true}));
          FileSink sink(*one->file);
          CLEW_TRY(write(sink));
          CLEW_ASSIGN(one->size, sink.seal());
          return {};
        }();
      },
      [this, one] {
        if (one->closed) return;
        one->written = true;
        one->total->store(one->size);
        if (one->waiting) read(one);
      });
}

void SnapshotExports::next(Key key, size_t max_bytes, Done<std::string> done) {
  const auto at = exports_.find(key);
  if (at == exports_.end()) {
    return done(
        CallError{Code::kResourceExhausted,
                  std::to_string(kMaxExports) + " snapshots are being fetched from this member; ask again later",
                  false,
                  {},
                  {}});
  }
  CHECK(!at->second->waiting);
  at->second->waiting = std::move(done);
  at->second->wanted = std::clamp<size_t>(max_bytes, 1, kMaxPieceBytes);
  if (at->second->written) read(at->second);
}

void SnapshotExports::read(const std::shared_ptr<Export>& one) {
  if (!one->status.ok()) return one->answer(from(one->status));
  one->piece.resize(std::min<uint64_t>(one->wanted, one->size - one->at));
  if (one->piece.empty()) return one->answer(std::string());
  loop_.offload(
      env::Lane::kQuery,
      [one] {
        const auto got = one->file->read_at(one->at, one->piece.data(), one->piece.size());
        if (!got.ok()) {
          one->status = got.status();
        } else if (*got != one->piece.size()) {
          one->status = Status(Code::kDataLoss, one->path + " ends too early; ask for another snapshot");
        }
      },
      [one] {
        if (one->closed) return;
        if (!one->status.ok()) return one->answer(from(one->status));
        one->at += one->piece.size();
        one->answer(std::move(one->piece));
      });
}

void SnapshotExports::close(Key key) {
  const auto at = exports_.find(key);
  if (at == exports_.end()) return;
  at->second->closed = true;
  at->second->answer(CallError{Code::kCancelled, "the stream was closed", false, {}, {}});
  // The last one to have it, this loop or a worker, removes the file: removing is a matter of microseconds.
  exports_.erase(at);
}

}  // namespace clew::control

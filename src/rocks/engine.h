// RocksEngine: kv/engine.h's port over a RocksDB directory, for states that are larger than memory or slow to copy at a
// start. RocksDB's own log is off: what had not reached a table when the process died is gone, as a whole suffix of
// batches, and the mark says from where the replica's log is to be applied again. Batch and mark stand in one write, in
// one column family, so no crash parts them.
//
// RocksDB opens files and runs threads by itself, below `env`: this is a leaf that only app and tests link, and the
// simulator cannot drive it. It is held to MemoryEngine's behaviour by the tests here.
//
// Errors: every one is final (Code::kInternal, kDataLoss for corruption): the store above stops the process. One
// thread, except views. The directory belongs to one engine at a time, and stands inside the replica's, whose identity
// guards it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "kv/engine.h"

namespace rocksdb {
class DB;
}  // namespace rocksdb

namespace clew::rocks {

struct RocksOptions {
  std::string directory;
  size_t write_buffer_bytes = 64u << 20;
  size_t block_cache_bytes = 256u << 20;
};

class RocksEngine final : public kv::Engine {
 public:
  static Result<std::unique_ptr<RocksEngine>> open(const RocksOptions& options);
  ~RocksEngine() override;

  const kv::EngineMark& mark() const override { return mark_; }
  Status commit(kv::EngineBatch& batch, const kv::EngineMark& mark) override;
  Status get(std::string_view key, std::string& value) const override;
  Status scan(std::string_view begin, std::string_view end, kv::EngineVisitor visit) const override;
  std::shared_ptr<const kv::EngineView> view() const override;
  Status reset() override;
  bool persistent() const override { return true; }

  // Brings all that is committed to the disk: for a shutdown in good order, which then has nothing to apply again.
  Status flush();

 private:
  explicit RocksEngine(std::shared_ptr<rocksdb::DB> db) : db_(std::move(db)) {}
  Status load_mark();

  std::shared_ptr<rocksdb::DB> db_;  // shared with views, which may be read on another thread until they are let go
  kv::EngineMark mark_;
};

}  // namespace clew::rocks

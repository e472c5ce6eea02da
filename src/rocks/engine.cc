#include "rocks/engine.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/varint.h"

namespace clew::rocks {
namespace {

// Before every key of the store, whose keys begin with a letter.
constexpr char kMarkKey[] = "!mark";
constexpr std::string_view kFirstStoreKey = "\"";

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view view_of(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

Status converted(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return {};
  if (status.IsNotFound()) return {Code::kNotFound, "RocksDB: no such key"};
  const Code code = status.IsCorruption() ? Code::kDataLoss : Code::kInternal;
  return {code, "RocksDB, " + std::string(what) + ": " + status.ToString()};
}

Status scan_range(rocksdb::DB& db, const rocksdb::Snapshot* snapshot, std::string_view begin, std::string_view end,
                  kv::EngineVisitor& visit) {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  const rocksdb::Slice upper = slice(end);
  if (!end.empty()) options.iterate_upper_bound = &upper;
  const std::unique_ptr<rocksdb::Iterator> at(db.NewIterator(options));
  for (at->Seek(slice(std::max(begin, kFirstStoreKey))); at->Valid(); at->Next()) {
    if (!visit(view_of(at->key()), view_of(at->value()))) break;
  }
  return converted(at->status(), "scanning");
}

class View final : public kv::EngineView {
 public:
  View(std::shared_ptr<rocksdb::DB> db, kv::EngineMark mark)
      : db_(std::move(db)), snapshot_(db_->GetSnapshot()), mark_(std::move(mark)) {}
  ~View() override { db_->ReleaseSnapshot(snapshot_); }
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  Status scan(std::string_view begin, std::string_view end, kv::EngineVisitor visit) const override {
    return scan_range(*db_, snapshot_, begin, end, visit);
  }
  const kv::EngineMark& mark() const override { return mark_; }

 private:
  std::shared_ptr<rocksdb::DB> db_;
  const rocksdb::Snapshot* snapshot_;
  kv::EngineMark mark_;
};

}  // namespace

Result<std::unique_ptr<RocksEngine>> RocksEngine::open(const RocksOptions& options) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  rocksdb::Options settings;
  settings.create_if_missing = true;
  settings.paranoid_checks = true;
  settings.write_buffer_size = options.write_buffer_bytes;
  settings.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  // An error in the background must not be mended behind the store's back: the process stops.
  settings.max_bgerror_resume_count = 0;
  settings.keep_log_file_num = 4;
  rocksdb::DB* raw = nullptr;
  CLEW_TRY(converted(rocksdb::DB::Open(settings, options.directory, &raw), "opening " + options.directory));
  std::unique_ptr<RocksEngine> engine(new RocksEngine(std::shared_ptr<rocksdb::DB>(raw)));
  CLEW_TRY(engine->load_mark());
  return engine;
}

RocksEngine::~RocksEngine() = default;

Status RocksEngine::load_mark() {
  std::string bytes;
  const Status read = converted(db_->Get({}, kMarkKey, &bytes), "reading its mark");
  if (read.code() == Code::kNotFound) return {};
  CLEW_TRY(Status(read));
  ByteReader in(bytes);
  mark_.position = in.varint();
  mark_.state = std::string(in.bytes(in.remaining()));
  return in.ok() ? Status() : Status(Code::kDataLoss, "RocksDB: its mark makes no sense; restore this member");
}

Status RocksEngine::commit(kv::EngineBatch& batch, const kv::EngineMark& mark) {
  CHECK(mark.position >= mark_.position);
  rocksdb::WriteBatch write;
  rocksdb::Status added;
  for (const auto& operation : batch.operations()) {
    added = operation.erases ? write.Delete(operation.key) : write.Put(operation.key, operation.value);
    CLEW_TRY(converted(added, "writing"));
  }
  std::string bytes;
  append_varint(bytes, mark.position);
  bytes += mark.state;
  CLEW_TRY(converted(write.Put(kMarkKey, bytes), "writing"));
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  CLEW_TRY(converted(db_->Write(options, &write), "writing"));
  batch.clear();
  mark_ = mark;
  return {};
}

Status RocksEngine::get(std::string_view key, std::string& value) const {
  return converted(db_->Get({}, slice(key), &value), "reading");
}

Status RocksEngine::scan(std::string_view begin, std::string_view end, kv::EngineVisitor visit) const {
  return scan_range(*db_, nullptr, begin, end, visit);
}

std::shared_ptr<const kv::EngineView> RocksEngine::view() const { return std::make_shared<View>(db_, mark_); }

// The mark goes first and is flushed with the rest: entries without a mark are no state.
Status RocksEngine::reset() {
  rocksdb::WriteBatch write;
  CLEW_TRY(converted(write.Delete(kMarkKey), "emptying"));
  CLEW_TRY(converted(write.DeleteRange(slice(kFirstStoreKey), "\xff"), "emptying"));
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  CLEW_TRY(converted(db_->Write(options, &write), "emptying"));
  mark_ = {};
  return flush();
}

Status RocksEngine::flush() { return converted(db_->Flush({}), "flushing"); }

}  // namespace clew::rocks

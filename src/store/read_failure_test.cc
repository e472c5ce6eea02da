// What a store answers when its files cannot be read: damage is left out, anything else is said and passes.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "sim/disk.h"
#include "store/embedded_store.h"
#include "store/segment_tables.h"
#include "store/test_traces.h"

namespace clew::store {
namespace {

// A disk on which the reads of one file fail for a while, for a reason that says nothing about its bytes.
class BusyDisk final : public env::Disk {
 public:
  explicit BusyDisk(env::Disk& disk) : disk_(disk) {}
  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenOptions options) override {
    CLEW_ASSIGN(auto file, disk_.open(path, options));
    return std::unique_ptr<env::File>(std::make_unique<BusyFile>(std::move(file), path, *this));
  }
  Status rename(const std::string& from, const std::string& to) override { return disk_.rename(from, to); }
  Status remove(const std::string& path) override { return disk_.remove(path); }
  Status make_dirs(const std::string& path) override { return disk_.make_dirs(path); }
  Status sync_dir(const std::string& path) override { return disk_.sync_dir(path); }
  Result<std::vector<std::string>> list(const std::string& path) override { return disk_.list(path); }
  Result<env::DiskSpace> space(const std::string& path) override { return disk_.space(path); }
  Result<std::unique_ptr<env::File>> lock_dir(const std::string& path) override { return disk_.lock_dir(path); }

  std::string busy;  // the path; "": none

 private:
  class BusyFile final : public env::File {
   public:
    BusyFile(std::unique_ptr<env::File> file, std::string path, const BusyDisk& disk)
        : file_(std::move(file)), path_(std::move(path)), disk_(disk) {}
    Result<size_t> read_at(uint64_t offset, char* out, size_t size) const override {
      if (path_ == disk_.busy) return Error{Code::kResourceExhausted, "read " + path_ + ": out of memory"};
      return file_->read_at(offset, out, size);
    }
    Status write_at(uint64_t offset, std::string_view bytes) override { return file_->write_at(offset, bytes); }
    Status sync() override { return file_->sync(); }
    Status preallocate(uint64_t size) override { return file_->preallocate(size); }
    Status truncate(uint64_t size) override { return file_->truncate(size); }
    Result<uint64_t> size() const override { return file_->size(); }
    void submit_write(env::Loop& loop, uint64_t offset, std::string_view bytes, bool sync,
                      UniqueFunction<void(Status)> done) override {
      file_->submit_write(loop, offset, bytes, sync, std::move(done));
    }

   private:
    std::unique_ptr<env::File> file_;
    const std::string path_;
    const BusyDisk& disk_;
  };
  env::Disk& disk_;
};

std::string segment_path(int number) { return "/data/seg-000000000" + std::to_string(number) + ".clew"; }

// Nothing is cached, so that every question is a read.
std::unique_ptr<EmbeddedStore> open_store(env::Disk& disk, std::vector<std::string>* reports = nullptr) {
  EmbeddedOptions options;
  options.directory = "/data";
  options.hash_seed = 7;
  options.cache_bytes = 0;
  options.retention.max_disk_share = 0;
  auto store = EmbeddedStore::open(disk, options, [reports](const std::string& text) {
    if (reports != nullptr) reports->push_back(text);
  });
  CHECK(store.ok());
  return std::move(*store);
}

void seal(EmbeddedStore& store, const std::vector<SealTrace>& traces) {
  auto prepared = store.prepare(traces);
  ASSERT_TRUE(prepared.ok()) << prepared.status().to_string();
  store.publish(std::move(*prepared));
}

size_t spans_of(const View& view, const model::TraceKey& key) {
  model::TraceData data;
  const Status status = view.read(key, data);
  EXPECT_TRUE(status.ok()) << status.to_string();
  return data.spans.size();
}

void compact(EmbeddedStore& store) {
  for (bool more = true; more;) {
    const auto step = store.maintain(0);
    ASSERT_TRUE(step.ok()) << step.status().to_string();
    more = *step;
  }
}

TEST(ReadFailure, thatIsNoDamageIsAnsweredAsItIsAndPasses) {
  sim::SimDisk disk;
  BusyDisk slow(disk);
  TraceWorld world(61);
  for (int i = 0; i < 40; ++i) world.add_trace();
  std::vector<std::string> reports;
  const auto store = open_store(slow, &reports);
  seal(*store, world.seal_all());
  const auto view = store->view();
  const TestTrace& some = world.traces()[3];
  TraceQuery query;
  query.tenant = some.key.tenant;
  query.limit = 100;

  slow.busy = segment_path(1);
  model::TraceData data;
  EXPECT_EQ(view->read(some.key, data).code(), Code::kResourceExhausted);
  std::vector<TraceHit> hits;
  EXPECT_EQ(view->search(query, hits).code(), Code::kResourceExhausted);
  Vocabulary words;
  EXPECT_EQ(view->services(query.tenant, INT64_MIN, INT64_MAX, words).code(), Code::kResourceExhausted);
  EXPECT_EQ(view->keys(query.tenant, Field::kAny, words).code(), Code::kResourceExhausted);
  EXPECT_EQ(store->stats().damaged_blocks, 0u);
  EXPECT_TRUE(reports.empty()) << reports.front();

  slow.busy.clear();
  hits.clear();
  EXPECT_EQ(spans_of(*view, some.key), some.spans.size());
  EXPECT_TRUE(view->search(query, hits).ok());
  EXPECT_EQ(hits.size(), world.traces().size());
}

TEST(ReadFailure, ofOnePartFailsTheTraceUnlessThatPartIsDamaged) {
  sim::SimDisk disk;
  BusyDisk slow(disk);
  TraceWorld world(62);
  TestTrace& first = world.add_trace();
  TestTrace& late = world.add_late_part(first);
  const auto store = open_store(slow);
  seal(*store, TraceWorld::seal({&first}));
  seal(*store, TraceWorld::seal({&late}));
  const auto view = store->view();
  ASSERT_EQ(spans_of(*view, first.key), first.spans.size() + late.spans.size());
  for (const int part : {1, 2}) {
    slow.busy = segment_path(part);
    model::TraceData data;
    EXPECT_EQ(view->read(first.key, data).code(), Code::kResourceExhausted) << "part " << part;
  }
  slow.busy.clear();
  disk.flip(segment_path(2), kHeaderBytes, 0x10);  // the first byte of its first block
  EXPECT_EQ(spans_of(*view, first.key), first.spans.size());
}

TEST(ReadFailure, ofTheDeviceKeepsASegmentFromBeingMergedAway) {
  sim::SimDisk disk;
  TraceWorld world(63);
  const auto store = open_store(disk);
  // Of one size, so that the first one is among those to merge.
  for (size_t i = 0; i < 2 * kMergeWidth; ++i) seal(*store, TraceWorld::seal({&world.add_trace(1, 3)}));
  disk.fail_reads(segment_path(1), kHeaderBytes, 1, 1);  // of its first block, and only once: a cable, not a platter
  compact(*store);
  EXPECT_EQ(store->stats().damaged_blocks, 1u) << "a merge met it";
  EXPECT_GE(store->stats().compactions, 1u) << "the others are merged";
  EXPECT_TRUE(disk.exists(segment_path(1)));
  for (const TestTrace& trace : world.traces()) {
    EXPECT_EQ(spans_of(*store->view(), trace.key), trace.spans.size()) << "nothing is lost by a merge";
  }
}

TEST(ReadFailure, aParentLostWithItsBlockLeavesOrphansOfOneParentNotRoots) {
  sim::SimDisk disk;
  TraceWorld world(64);
  while (world.add_trace(1, 9000).spans.size() < 8000) {
  }
  TestTrace& trace = world.traces().back();
  const auto store = open_store(disk);
  seal(*store, TraceWorld::seal({&trace}));
  model::TraceData whole, cut;
  ASSERT_TRUE(store->view()->read(trace.key, whole).ok());
  disk.flip(segment_path(1), kHeaderBytes, 0x10);  // its first block
  ASSERT_TRUE(store->view()->read(trace.key, cut).ok());
  ASSERT_LT(cut.spans.size(), whole.spans.size());
  std::map<uint64_t, model::SpanId> parent_of;
  std::set<uint64_t> ids, kept;
  for (const model::Span& span : whole.spans) {
    parent_of[span.id.value] = span.parent;
    ids.insert(span.id.value);
  }
  for (const model::Span& span : cut.spans) kept.insert(span.id.value);
  std::map<uint64_t, uint64_t> stand_ins;  // a lost parent's id: what stands for it
  for (const model::Span& span : cut.spans) {
    const model::SpanId before = parent_of.at(span.id.value);
    ASSERT_EQ(span.parent.valid(), before.valid()) << "a root, or none";
    if (!before.valid() || kept.contains(before.value) || !ids.contains(before.value)) {
      EXPECT_EQ(span.parent, before);
      continue;
    }
    EXPECT_EQ(span.parent.value >> 32, 0xffffffffu);
    EXPECT_EQ(stand_ins.emplace(before.value, span.parent.value).first->second, span.parent.value);
  }
  EXPECT_GT(stand_ins.size(), 0u);
}

}  // namespace
}  // namespace clew::store

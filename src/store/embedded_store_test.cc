#include "store/embedded_store.h"

#include <gtest/gtest.h>

#include <set>

#include "sim/disk.h"
#include "store/test_traces.h"

namespace clew::store {
namespace {

EmbeddedOptions options_for_tests() {
  EmbeddedOptions options;
  options.directory = "/data";
  options.hash_seed = 7;
  options.retention.max_disk_share = 0;
  return options;
}

std::unique_ptr<EmbeddedStore> open_store(env::Disk& disk, EmbeddedOptions options = options_for_tests(),
                                          std::vector<std::string>* reports = nullptr) {
  auto store = EmbeddedStore::open(disk, std::move(options), [reports](const std::string& text) {
    if (reports != nullptr) reports->push_back(text);
  });
  EXPECT_TRUE(store.ok()) << store.status().to_string();
  return store.ok() ? std::move(*store) : nullptr;
}

void seal(EmbeddedStore& store, const std::vector<SealTrace>& traces) {
  auto prepared = store.prepare(traces);
  ASSERT_TRUE(prepared.ok()) << prepared.status().to_string();
  store.publish(std::move(*prepared));
}

std::multiset<uint64_t> hashes(const model::TraceData& data) {
  std::multiset<uint64_t> out;
  for (const model::Span& span : data.spans) out.insert(model::span_hash(span));
  return out;
}

void expect_trace(const View& view, const std::vector<const TestTrace*>& parts) {
  model::TraceData want, got;
  materialise(parts, want);
  ASSERT_TRUE(view.may_contain(want.key));
  ASSERT_TRUE(view.read(want.key, got).ok());
  EXPECT_EQ(hashes(got), hashes(want));
  EXPECT_EQ(got.summary.root, want.summary.root);
  EXPECT_EQ(got.summary.root_name, want.summary.root_name);
  EXPECT_EQ(got.summary.root_service, want.summary.root_service);
  EXPECT_EQ(got.summary.start_ns, want.summary.start_ns);
  EXPECT_EQ(got.summary.end_ns, want.summary.end_ns);
  EXPECT_EQ(got.summary.digest, want.summary.digest);
  EXPECT_EQ(got.summary.first_arrival_hlc, want.summary.first_arrival_hlc);
  EXPECT_EQ(got.summary.last_arrival_hlc, want.summary.last_arrival_hlc);
  EXPECT_EQ(got.summary.verdict_version, want.summary.verdict_version);
  std::string got_history, want_history;
  for (const model::Verdict& v : got.history) model::append_verdict(v, got_history);
  for (const TestTrace* part : parts) {
    for (const model::Verdict& v : part->verdicts) model::append_verdict(v, want_history);
  }
  EXPECT_EQ(got_history, want_history);
}

// Every trace of the world by key, its parts in order.
std::map<model::TraceKey, std::vector<const TestTrace*>> by_key(TraceWorld& world) {
  std::map<model::TraceKey, std::vector<const TestTrace*>> out;
  for (const TestTrace& trace : world.traces()) out[trace.key].push_back(&trace);
  return out;
}

std::vector<model::TraceKey> oracle(TraceWorld& world, const TraceQuery& query) {
  struct Hit {
    int64_t start;
    model::TraceKey key;
  };
  std::vector<Hit> hits;
  for (const auto& [key, parts] : by_key(world)) {
    model::TraceData data;
    materialise(parts, data);
    const int64_t start = data.summary.start_ns;
    if (key.tenant != query.tenant || start < query.from_ns || start >= query.to_ns) continue;
    if (!newer(query.after.start_ns, query.after.trace, start, key.trace)) continue;
    if ((query.states >> static_cast<uint32_t>(data.summary.state) & 1) == 0) continue;
    uint32_t findings = 0;
    for (const model::Finding& f : parts.back()->verdicts.back().findings)
      findings |= 1u << static_cast<uint32_t>(f.kind);
    if (query.findings != 0 && (query.findings & findings) == 0) continue;
    for (const model::Span& span : data.spans) {
      if (!matches(query.where, span, data.summary)) continue;
      hits.push_back({start, key});
      break;
    }
  }
  std::sort(hits.begin(), hits.end(),
            [](const Hit& a, const Hit& b) { return newer(a.start, a.key.trace, b.start, b.key.trace); });
  if (hits.size() > query.limit) hits.resize(query.limit);
  std::vector<model::TraceKey> keys;
  for (const Hit& hit : hits) keys.push_back(hit.key);
  return keys;
}

std::vector<model::TraceKey> search(const View& view, const TraceQuery& query) {
  std::vector<TraceHit> hits;
  EXPECT_TRUE(view.search(query, hits).ok());
  std::vector<model::TraceKey> keys;
  for (const TraceHit& hit : hits) {
    EXPECT_GT(hit.matched, 0u);
    keys.push_back(hit.key);
  }
  return keys;
}

TraceQuery random_query(TraceWorld& world) {
  TraceQuery query;
  query.tenant = {1 + world.random().below(2)};
  query.where = world.world().expr();
  query.limit = static_cast<uint32_t>(1 + world.random().below(30));
  if (world.random().one_in(4)) query.from_ns = 1'760'000'000'000'300'000;
  if (world.random().one_in(4)) query.to_ns = 1'760'000'000'000'700'000;
  if (world.random().one_in(4)) query.states = 1u << static_cast<uint32_t>(model::TraceState::kTimedOut);
  if (world.random().one_in(4)) query.findings = static_cast<uint32_t>(world.random().next());
  return query;
}

// Two tenants, several segments, late parts in segments of their own.
std::unique_ptr<EmbeddedStore> store_with(TraceWorld& world, env::Disk& disk, size_t traces) {
  auto store = open_store(disk);
  std::vector<TestTrace*> batch;
  for (size_t i = 0; i < traces; ++i) {
    batch.push_back(&world.add_trace(2));
    if (batch.size() == traces / 3) {
      seal(*store, TraceWorld::seal(batch));
      batch.clear();
    }
  }
  if (!batch.empty()) seal(*store, TraceWorld::seal(batch));
  std::vector<TestTrace*> late;
  for (size_t i = 0; i < traces; i += 7) late.push_back(&world.add_late_part(world.traces()[i]));
  seal(*store, TraceWorld::seal(late));
  return store;
}

TEST(EmbeddedStore, everyTraceComesBackAsItWasSealed) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    sim::SimDisk disk;
    TraceWorld world(seed);
    auto store = store_with(world, disk, 400);
    const auto view = store->view();
    for (const auto& [key, parts] : by_key(world)) expect_trace(*view, parts);
    EXPECT_EQ(store->stats().damaged_blocks, 0u);
  }
}

TEST(EmbeddedStore, aTraceLargerThanSeveralBlocksComesBack) {
  sim::SimDisk disk;
  TraceWorld world(3);
  while (world.add_trace(1, 9000).spans.size() < 5000) {
  }
  auto store = open_store(disk);
  seal(*store, world.seal_all());
  for (const auto& [key, parts] : by_key(world)) expect_trace(*store->view(), parts);
}

TEST(EmbeddedStore, searchesAgreeWithTheReferenceOnRandomQuestions) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    sim::SimDisk disk;
    TraceWorld world(seed);
    auto store = store_with(world, disk, 300);
    const auto view = store->view();
    for (int i = 0; i < 150; ++i) {
      const TraceQuery query = random_query(world);
      ASSERT_EQ(search(*view, query), oracle(world, query)) << "seed " << seed << ", question " << i;
    }
  }
}

// Also of the traces whose spans stand in several segments, and whether or not columns alone answered the question.
TEST(EmbeddedStore, whatAHitShowsOfItsSpansIsWhatTheySay) {
  sim::SimDisk disk;
  TraceWorld world(12);
  auto store = store_with(world, disk, 200);
  const auto view = store->view();
  size_t shown = 0;
  for (int i = 0; i < 60; ++i) {
    TraceQuery query = random_query(world);
    query.spans_per_trace = 1000;
    query.select = {{Field::kAttribute, "k1"}, {Field::kResource, "host"}, {Field::kAny, "k2"},
                    {Field::kKind, ""},        {Field::kStatus, ""},       {Field::kTrue, ""}};
    std::vector<TraceHit> hits;
    ASSERT_TRUE(view->search(query, hits).ok());
    for (const TraceHit& hit : hits) {
      model::TraceData data;
      ASSERT_TRUE(view->read(hit.key, data).ok());
      std::map<uint64_t, std::vector<MatchedSpan>> expected;
      for (const model::Span& span : data.spans) {
        if (!matches(query.where, span, hit.summary)) continue;
        TraceHit one;
        add_match(span, query, one);
        expected[span.id.value].push_back(one.spans.front());
      }
      for (const MatchedSpan& span : hit.spans) {
        ASSERT_EQ(span.selected.size(), query.select.size());
        const auto& candidates = expected[span.id.value];
        EXPECT_TRUE(std::any_of(candidates.begin(), candidates.end(),
                                [&](const MatchedSpan& other) {
                                  return span.name == other.name && span.service == other.service &&
                                         span.start_ns == other.start_ns && span.duration_ns == other.duration_ns &&
                                         span.selected == other.selected;
                                }))
            << "question " << i;
        for (const SelectedValue& value : span.selected) shown += value.type != model::ValueType::kEmpty;
        EXPECT_EQ(span.selected.back().type, model::ValueType::kEmpty);
      }
    }
  }
  EXPECT_GT(shown, 1000u);
}

TEST(EmbeddedStore, selectedValuesOfAHitAreBounded) {
  const std::string large(kMaxSelectedBytes / 2 + 1, 'x');
  model::Span span;
  span.attributes.push_back({"large", {model::ValueType::kString, large, 0, 0}});
  span.attributes.push_back({"small", {model::ValueType::kInt, {}, 7, 0}});
  TraceQuery query;
  query.spans_per_trace = 2;
  query.select = {{Field::kAttribute, "large"}, {Field::kAttribute, "small"}};
  TraceHit hit;
  for (int i = 0; i < 3; ++i) add_match(span, query, hit);
  EXPECT_EQ(hit.matched, 3u);
  ASSERT_EQ(hit.spans.size(), 2u);
  EXPECT_EQ(hit.spans[0].selected[0].bytes, large);
  EXPECT_EQ(hit.spans[1].selected[0].type, model::ValueType::kEmpty);
  EXPECT_EQ(hit.spans[1].selected[1].integer, 7);
}

TEST(EmbeddedStore, pagesTogetherAreTheWholeAnswer) {
  sim::SimDisk disk;
  TraceWorld world(11);
  auto store = store_with(world, disk, 300);
  const auto view = store->view();
  for (int i = 0; i < 20; ++i) {
    TraceQuery query = random_query(world);
    query.limit = 100000;
    const auto whole = search(*view, query);
    query.limit = 7;
    std::vector<model::TraceKey> pages;
    while (true) {
      std::vector<TraceHit> hits;
      ASSERT_TRUE(view->search(query, hits).ok());
      for (const TraceHit& hit : hits) pages.push_back(hit.key);
      if (hits.size() < query.limit) break;
      query.after = {hits.back().summary.start_ns, hits.back().key.trace};
    }
    ASSERT_EQ(pages, whole) << "question " << i;
  }
}

TEST(EmbeddedStore, answersStayTheSameThroughCompactionAndRestart) {
  sim::SimDisk disk;
  TraceWorld world(5);
  auto store = open_store(disk);
  for (int batch = 0; batch < 20; ++batch) {
    std::vector<TestTrace*> traces;
    for (int i = 0; i < 12; ++i) traces.push_back(&world.add_trace(2));
    if (batch > 0) traces.push_back(&world.add_late_part(world.traces()[static_cast<size_t>(batch) * 3]));
    seal(*store, TraceWorld::seal(traces));
  }
  const uint64_t before = store->stats().segments;
  for (bool more = true; more;) {
    const auto step = store->maintain(0);
    ASSERT_TRUE(step.ok()) << step.status().to_string();
    more = *step;
  }
  EXPECT_GT(store->stats().compactions, 0u);
  EXPECT_LT(store->stats().segments, before);
  for (int round = 0; round < 2; ++round) {
    const auto view = store->view();
    for (const auto& [key, parts] : by_key(world)) expect_trace(*view, parts);
    for (int i = 0; i < 60; ++i) {
      const TraceQuery query = random_query(world);
      ASSERT_EQ(search(*view, query), oracle(world, query)) << "question " << i;
    }
    store.reset();
    store = open_store(disk);
  }
}

TEST(EmbeddedStore, aReplayedBatchIsAnsweredOnce) {
  sim::SimDisk disk;
  TraceWorld world(8);
  for (int i = 0; i < 50; ++i) world.add_trace();
  auto store = open_store(disk);
  ASSERT_TRUE(store->prepare(world.seal_all()).ok());  // durable, never published
  store.reset();
  store = open_store(disk);
  seal(*store, world.seal_all());  // and replayed
  const auto view = store->view();
  for (const auto& [key, parts] : by_key(world)) expect_trace(*view, parts);
  TraceQuery query;
  query.tenant = {1};
  query.limit = 1000;
  EXPECT_EQ(search(*view, query), oracle(world, query));
}

TEST(EmbeddedStore, noCrashInPrepareOrCompactionLosesOrDoublesATrace) {
  for (uint64_t at = 1; at < 400; ++at) {
    sim::SimDisk disk;
    TraceWorld world(21);
    auto store = open_store(disk);
    disk.crash_at_io(disk.io_count() + at);
    std::vector<TestTrace*> published;
    bool crashed = false;
    for (int batch = 0; batch < 9 && !crashed; ++batch) {
      std::vector<TestTrace*> traces = {&world.add_trace(), &world.add_trace()};
      auto prepared = store->prepare(TraceWorld::seal(traces));
      crashed = !prepared.ok();
      if (crashed) break;
      store->publish(std::move(*prepared));
      published.insert(published.end(), traces.begin(), traces.end());
    }
    for (int i = 0; i < 10 && !crashed; ++i) crashed = !store->maintain(0).ok();
    store.reset();
    disk.crash_and_restart(at);
    store = open_store(disk);
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(store->stats().damaged_blocks, 0u) << "crash at " << at;
    for (const TestTrace* trace : published) expect_trace(*store->view(), {trace});
    EXPECT_LE(store->stats().traces, world.traces().size()) << "crash at " << at;
    if (!crashed) break;
  }
}

// A disk that says it has synced and has not: what a store without syncs would run on.
class ForgetfulDisk final : public env::Disk {
 public:
  explicit ForgetfulDisk(sim::SimDisk& disk) : disk_(disk) {}
  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenOptions options) override {
    CLEW_ASSIGN(auto file, disk_.open(path, options));
    return std::unique_ptr<env::File>(std::make_unique<ForgetfulFile>(std::move(file)));
  }
  Status rename(const std::string& from, const std::string& to) override { return disk_.rename(from, to); }
  Status remove(const std::string& path) override { return disk_.remove(path); }
  Status make_dirs(const std::string& path) override { return disk_.make_dirs(path); }
  Status sync_dir(const std::string& path) override { return disk_.sync_dir(path); }
  Result<std::vector<std::string>> list(const std::string& path) override { return disk_.list(path); }
  Result<env::DiskSpace> space(const std::string& path) override { return disk_.space(path); }
  Result<std::unique_ptr<env::File>> lock_dir(const std::string& path) override { return disk_.lock_dir(path); }

 private:
  class ForgetfulFile final : public env::File {
   public:
    explicit ForgetfulFile(std::unique_ptr<env::File> file) : file_(std::move(file)) {}
    Result<size_t> read_at(uint64_t offset, char* out, size_t size) const override {
      return file_->read_at(offset, out, size);
    }
    Status write_at(uint64_t offset, std::string_view bytes) override { return file_->write_at(offset, bytes); }
    Status sync() override { return {}; }
    Status preallocate(uint64_t size) override { return file_->preallocate(size); }
    Status truncate(uint64_t size) override { return file_->truncate(size); }
    Result<uint64_t> size() const override { return file_->size(); }
    void submit_write(env::Loop& loop, uint64_t offset, std::string_view bytes, bool,
                      UniqueFunction<void(Status)> done) override {
      file_->submit_write(loop, offset, bytes, false, std::move(done));
    }

   private:
    std::unique_ptr<env::File> file_;
  };
  sim::SimDisk& disk_;
};

// Whether a batch that prepare() called durable is whole after the power went, for some of many ways to lose writes.
bool survives_power_loss(bool forgetful) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    sim::SimDisk disk;
    ForgetfulDisk forgets(disk);
    TraceWorld world(25);
    for (int i = 0; i < 20; ++i) world.add_trace();
    {
      auto store = open_store(forgetful ? static_cast<env::Disk&>(forgets) : disk);
      if (!store->prepare(world.seal_all()).ok()) return false;
    }
    disk.crash_and_restart(seed);
    auto store = EmbeddedStore::open(disk, options_for_tests(), nullptr);
    if (!store.ok() || (*store)->stats().traces != world.traces().size()) return false;
    for (const TestTrace& trace : world.traces()) {
      model::TraceData got;
      if (!(*store)->view()->read(trace.key, got).ok() || got.spans.size() != trace.spans.size()) return false;
    }
  }
  return true;
}

TEST(EmbeddedStore, whatIsPreparedSurvivesPowerLossAndWithoutSyncsItWouldNot) {
  EXPECT_TRUE(survives_power_loss(false));
  EXPECT_FALSE(survives_power_loss(true)) << "this test cannot tell a store that syncs from one that does not";
}

TEST(EmbeddedStore, aFullDiskRefusesAndLeavesNothingBehind) {
  sim::SimDisk disk;
  TraceWorld world(31);
  auto store = open_store(disk);
  for (int i = 0; i < 500; ++i) world.add_trace();
  const uint64_t used = disk.used_bytes();
  disk.set_capacity(used + 3 * 4096);
  const auto prepared = store->prepare(world.seal_all());
  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(prepared.error().code, Code::kResourceExhausted);
  EXPECT_LE(disk.used_bytes(), used);
  disk.set_capacity(1ull << 40);
  seal(*store, world.seal_all());
  for (const auto& [key, parts] : by_key(world)) expect_trace(*store->view(), parts);
}

TEST(EmbeddedStore, aFlippedByteAnywhereNeitherCrashesNorInvents) {
  sim::SimDisk disk;
  TraceWorld world(41);
  for (int i = 0; i < 150; ++i) world.add_trace();
  ASSERT_TRUE(open_store(disk)->prepare(world.seal_all()).ok());
  const std::string path = "/data/seg-0000000001.clew";
  const uint64_t size = disk.content(path).size();
  std::set<uint64_t> known;
  for (const auto& [key, parts] : by_key(world)) {
    model::TraceData data;
    materialise(parts, data);
    for (const uint64_t hash : hashes(data)) known.insert(hash);
  }
  uint64_t damaged = 0;
  for (uint64_t offset = 0; offset < size; offset += 1 + size / 400) {
    disk.flip(path, offset, 0x10);
    {
      auto store = open_store(disk);
      ASSERT_NE(store, nullptr);
      const auto view = store->view();
      for (const auto& [key, parts] : by_key(world)) {
        model::TraceData got;
        (void)view->read(key, got).ok();
        for (const uint64_t hash : hashes(got)) ASSERT_TRUE(known.contains(hash)) << "offset " << offset;
      }
      for (int i = 0; i < 3; ++i) {
        std::vector<TraceHit> hits;
        (void)view->search(random_query(world), hits).ok();
      }
      damaged += store->stats().damaged_blocks > 0;
      if (disk.exists(path + ".damaged")) {
        ASSERT_TRUE(disk.rename(path + ".damaged", path).ok());
        std::string manifest = "clew segments 1\n1\n";
        char sum[9];
        std::snprintf(sum, sizeof(sum), "%08x", checksum32(manifest));
        manifest += "checksum " + std::string(sum) + "\n";
        ASSERT_TRUE(env::write_file_atomically(disk, "/data", "MANIFEST", manifest).ok());
      }
    }
    disk.flip(path, offset, 0x10);
  }
  EXPECT_GT(damaged, 300u);
}

// Where a section of the segment starts, by the table that the footer names.
uint64_t section_offset(const std::string& file, Section id) {
  ByteReader footer(std::string_view(file).substr(file.size() - kFooterBytes));
  const auto table = footer.fixed<uint64_t>();
  const auto count = footer.fixed<uint32_t>();
  ByteReader entries(std::string_view(file).substr(table, count * kSectionEntryBytes));
  for (uint32_t i = 0; i < count; ++i) {
    const auto section = entries.fixed<uint16_t>();
    entries.skip(2);
    const auto offset = entries.fixed<uint64_t>();
    entries.skip(12);
    if (section == static_cast<uint16_t>(id)) return offset;
  }
  ADD_FAILURE() << "no section " << static_cast<int>(id);
  return 0;
}

TEST(EmbeddedStore, aSegmentWithDamagedNamesDoesNotKeepTheOthersFromCompaction) {
  sim::SimDisk disk;
  TraceWorld world(45);
  {
    auto store = open_store(disk);
    for (size_t i = 0; i < 2 * kMergeWidth; ++i) {
      seal(*store, TraceWorld::seal({&world.add_trace(), &world.add_trace(), &world.add_trace()}));
    }
  }
  const std::string path = "/data/seg-0000000001.clew";
  disk.flip(path, section_offset(disk.content(path), Section::kNames), 0x10);
  auto store = open_store(disk);
  ASSERT_NE(store, nullptr);
  for (bool more = true; more;) {
    const auto step = store->maintain(0);
    ASSERT_TRUE(step.ok()) << step.status().to_string();
    more = *step;
  }
  EXPECT_GE(store->stats().compactions, 1u);
  EXPECT_EQ(store->stats().damaged_blocks, 1u) << "the damaged one was not among those to merge";
  for (size_t i = 3; i < world.traces().size(); ++i) expect_trace(*store->view(), {&world.traces()[i]});
}

TEST(EmbeddedStore, aMergeThatEndsBetweenPrepareAndPublishWaitsForThePublish) {
  sim::SimDisk disk;
  TraceWorld world(46);
  auto store = open_store(disk);
  for (size_t i = 0; i < 2 * kMergeWidth; ++i) seal(*store, TraceWorld::seal({&world.add_trace()}));
  TestTrace& first = world.traces()[0];
  TestTrace& late = world.add_late_part(first);
  auto prepared = store->prepare(TraceWorld::seal({&late}));
  ASSERT_TRUE(prepared.ok());
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(store->maintain(0).ok());
  EXPECT_EQ(store->stats().compactions, 0u);
  store->publish(std::move(*prepared));
  expect_trace(*store->view(), {&first, &late});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(store->maintain(0).ok());
  EXPECT_GE(store->stats().compactions, 1u);
  expect_trace(*store->view(), {&first, &late});
}

TEST(EmbeddedStore, aFlipInEachRegionIsSeenWhereItMatters) {
  for (const Section region : {Section::kInfo, Section::kBlocks, Section::kPages, Section::kOrder, Section::kTenants,
                               Section::kNames, Section::kSchema, Section::kPostings, Section::kKeyFilter}) {
    SCOPED_TRACE(static_cast<int>(region));
    sim::SimDisk disk;
    TraceWorld world(47);
    for (int i = 0; i < 40; ++i) world.add_trace();
    seal(*open_store(disk), world.seal_all());
    const std::string path = "/data/seg-0000000001.clew";
    disk.flip(path, section_offset(disk.content(path), region), 0x10);
    std::vector<std::string> reports;
    auto store = open_store(disk, options_for_tests(), &reports);
    ASSERT_NE(store, nullptr);
    model::TraceData got;
    (void)store->view()->read(world.traces()[0].key, got).ok();
    EXPECT_EQ(store->stats().damaged_blocks, 1u);
    EXPECT_EQ(reports.size(), 1u);
    EXPECT_TRUE(got.spans.empty());
  }
}

TEST(EmbeddedStore, retentionByAgeAndBytesDropsTheOldestArrivals) {
  sim::SimDisk disk;
  TraceWorld world(51);
  EmbeddedOptions options = options_for_tests();
  options.retention.max_age_ns = 1'000'000'000;
  auto store = open_store(disk, options);
  seal(*store, TraceWorld::seal({&world.add_trace()}));
  const int64_t arrival = static_cast<int64_t>(world.traces()[0].summary.last_arrival_hlc >> 16) * 1'000'000;
  ASSERT_TRUE(store->maintain(arrival + 900'000'000).ok());
  EXPECT_EQ(store->stats().segments, 1u);
  ASSERT_TRUE(store->maintain(arrival + 1'100'000'000).ok());
  EXPECT_EQ(store->stats().segments, 0u);
  EXPECT_EQ(store->stats().expired_segments, 1u);
  EXPECT_FALSE(disk.exists("/data/seg-0000000001.clew"));

  options.retention.max_age_ns = 0;
  options.retention.max_bytes = 1;
  store = open_store(disk, options);
  seal(*store, TraceWorld::seal({&world.add_trace()}));
  ASSERT_TRUE(store->maintain(0).ok());
  EXPECT_EQ(store->stats().segments, 0u);
}

TEST(EmbeddedStore, vocabulariesOfATenantHoldNothingOfAnother) {
  sim::SimDisk disk;
  TraceWorld world(61);
  auto store = store_with(world, disk, 60);
  Vocabulary none, some, keys, values, names;
  std::vector<uint8_t> kinds;
  const auto view = store->view();
  ASSERT_TRUE(view->services({99}, INT64_MIN, INT64_MAX, none).ok());
  EXPECT_TRUE(none.values.empty());
  ASSERT_TRUE(view->services({1}, INT64_MIN, INT64_MAX, some).ok());
  EXPECT_TRUE(std::find(some.values.begin(), some.values.end(), "order-17") != some.values.end());
  ASSERT_TRUE(view->keys({1}, Field::kAttribute, keys).ok());
  EXPECT_EQ(keys.values, (std::vector<std::string>{"host", "k1", "k2", "k3", "service.name"}));
  ASSERT_TRUE(view->values({1}, Field::kAttribute, "k1", values).ok());
  EXPECT_TRUE(std::find(values.values.begin(), values.values.end(), "order-17") != values.values.end());
  ASSERT_TRUE(view->operations({1}, "order-17", names, kinds).ok());
  EXPECT_FALSE(names.values.empty());
  EXPECT_EQ(names.values.size(), kinds.size());
}

TEST(EmbeddedStore, vocabulariesHoldTheBestOfWhatIsWanted) {
  sim::SimDisk disk;
  TraceWorld world(61);
  auto store = store_with(world, disk, 60);
  const auto view = store->view();
  Vocabulary all, wanted;
  ASSERT_TRUE(view->services({1}, INT64_MIN, INT64_MAX, all).ok());
  wanted.wanted = {.text = "DER-", .most = 2};
  ASSERT_TRUE(view->services({1}, INT64_MIN, INT64_MAX, wanted).ok());
  EXPECT_TRUE(wanted.truncated);
  std::vector<std::string> expected;
  for (const std::string& name : all.values) {
    if (name.find("der-") != std::string::npos && expected.size() < 2) expected.push_back(name);
  }
  EXPECT_EQ(wanted.values, expected);
  Vocabulary values, keys, names;
  std::vector<uint8_t> kinds;
  values.wanted.text = keys.wanted.text = names.wanted.text = "1";
  ASSERT_TRUE(view->values({1}, Field::kAttribute, "k1", values).ok());
  ASSERT_TRUE(view->keys({1}, Field::kAny, keys).ok());
  ASSERT_TRUE(view->operations({1}, "", names, kinds).ok());
  for (const Vocabulary* one : {&values, &keys, &names}) {
    EXPECT_FALSE(one->values.empty());
    for (const std::string& value : one->values) EXPECT_NE(value.find('1'), std::string::npos) << value;
  }
  EXPECT_EQ(names.values.size(), kinds.size());
}

}  // namespace
}  // namespace clew::store

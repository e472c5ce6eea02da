// What a segment owes to what it was given: every field of a span comes back, and bytes that changed on the disk are
// seen where they are needed and nowhere else.
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/disk.h"
#include "store/embedded_store.h"
#include "store/test_traces.h"

namespace clew::store {
namespace {

constexpr uint64_t kSeed = 5;
const std::string kPath = "/data/seg-0000000001.clew";

std::unique_ptr<EmbeddedStore> open_store(env::Disk& disk, std::vector<std::string>* reports = nullptr) {
  EmbeddedOptions options;
  options.directory = "/data";
  options.hash_seed = kSeed;
  options.retention.max_disk_share = 0;
  auto store = EmbeddedStore::open(disk, options, [reports](const std::string& text) {
    if (reports != nullptr) reports->push_back(text);
  });
  CHECK(store.ok());
  return std::move(*store);
}

void seal(EmbeddedStore& store, const std::vector<SealTrace>& traces) {
  auto prepared = store.prepare(traces);
  CHECK(prepared.ok());
  store.publish(std::move(*prepared));
}

// ---- Every field

constexpr std::string_view kUnknownField("\xa0\x06\x05", 3);       // field 100, varint 5
constexpr std::string_view kArray("\x2a\x04\x0a\x02\x10\x01", 6);  // an AnyValue: an array with one true
constexpr std::string_view kOddValue("\x7a\x01\xff", 3);           // an AnyValue of a kind that nobody knows
constexpr std::string_view kBytes("\x00\xff\x7f", 3);

// One attribute of each type, as an inline list: nine.
void append_all_types(model::Dictionary& dictionary, std::string& out) {
  append_varint(out, 0);
  append_varint(out, 9);
  const auto key = [&](std::string_view text, model::ValueType type) {
    model::append_strref(dictionary, text, true, false, out);
    out.push_back(static_cast<char>(type));
  };
  key("text", model::ValueType::kString);
  model::append_strref(dictionary, "plain", true, false, out);
  key("inline", model::ValueType::kString);
  model::append_strref(dictionary, "stands in the row", false, false, out);
  key("truth", model::ValueType::kBool);
  out.push_back(1);
  key("int", model::ValueType::kInt);
  append_varint(out, zigzag(INT64_MIN));
  key("double", model::ValueType::kDouble);
  append_fixed(out, -0.5);
  key("bytes", model::ValueType::kBytes);
  append_bytes(out, kBytes);
  key("array", model::ValueType::kComplex);
  append_bytes(out, kArray);
  key("odd", model::ValueType::kRaw);
  append_bytes(out, kOddValue);
  key("empty", model::ValueType::kEmpty);
}

void expect_all_types(const std::vector<model::Attribute>& attributes) {
  ASSERT_EQ(attributes.size(), 9u);
  const auto expect_bytes = [&](size_t i, std::string_view key, model::ValueType type, std::string_view bytes) {
    EXPECT_EQ(attributes[i].key, key);
    EXPECT_EQ(attributes[i].value.type, type);
    EXPECT_EQ(attributes[i].value.bytes, bytes);
  };
  expect_bytes(0, "text", model::ValueType::kString, "plain");
  expect_bytes(1, "inline", model::ValueType::kString, "stands in the row");
  EXPECT_EQ(attributes[2].value.type, model::ValueType::kBool);
  EXPECT_NE(attributes[2].value.integer, 0);
  EXPECT_EQ(attributes[3].value.type, model::ValueType::kInt);
  EXPECT_EQ(attributes[3].value.integer, INT64_MIN);
  EXPECT_EQ(attributes[4].value.type, model::ValueType::kDouble);
  EXPECT_EQ(attributes[4].value.real, -0.5);
  expect_bytes(5, "bytes", model::ValueType::kBytes, kBytes);
  expect_bytes(6, "array", model::ValueType::kComplex, kArray);
  expect_bytes(7, "odd", model::ValueType::kRaw, kOddValue);
  EXPECT_EQ(attributes[8].key, "empty");
  EXPECT_EQ(attributes[8].value.type, model::ValueType::kEmpty);
}

std::string row_with_everything(model::Dictionary& dictionary) {
  std::string out;
  out.push_back(static_cast<char>(0xff));  // presence: all of it
  out.push_back(static_cast<char>(4 | 2 << 3));
  append_fixed(out, uint64_t{0x1111});
  append_fixed(out, uint64_t{0x2222});
  append_fixed(out, int64_t{1'760'000'000'000'000'000});
  append_varint(out, zigzag(-7));  // it ends before it starts
  append_varint(out, resource_entry(dictionary, {{"service.name", std::string("shop")}, {"replicas", int64_t{3}}}));
  append_varint(out, scope_entry(dictionary, "scope"));
  model::append_strref(dictionary, "everything", true, false, out);
  append_all_types(dictionary, out);
  append_varint(out, 0x301);  // flags
  model::append_strref(dictionary, "vendor=1,other=2", true, false, out);
  model::append_strref(dictionary, "it went wrong", true, false, out);
  for (const uint64_t dropped : {3, 4, 5}) append_varint(out, dropped);
  append_varint(out, 2);  // events
  for (const int64_t offset : {-9, 12}) {
    append_varint(out, zigzag(offset));
    model::append_strref(dictionary, offset < 0 ? "early" : "late", true, false, out);
    append_all_types(dictionary, out);
    append_varint(out, 6);
    append_bytes(out, kUnknownField);
  }
  append_varint(out, 1);  // links
  append_fixed(out, uint64_t{0xaaaa});
  append_fixed(out, uint64_t{0xbbbb});
  append_fixed(out, uint64_t{0xcccc});
  model::append_strref(dictionary, "linked=1", true, false, out);
  append_all_types(dictionary, out);
  append_varint(out, 8);
  append_varint(out, 0x101);
  append_bytes(out, kUnknownField);
  append_bytes(out, kUnknownField);  // of the span
  return out;
}

TEST(Segment, everyFieldOfASpanComesBack) {
  sim::SimDisk disk;
  TraceWorld world(kSeed);
  for (int i = 0; i < 5; ++i) world.add_trace();  // its neighbours in the block
  model::Dictionary dictionary(kSeed);
  const std::string row = row_with_everything(dictionary);
  model::TraceData before;
  ASSERT_TRUE(model::append_span_of_row(dictionary, row, {}, before).ok());
  TestTrace trace;
  trace.key = model::trace_key({1}, {77, 78});
  trace.summary.span_count = 1;
  trace.summary.verdict_version = 1;
  model::Verdict verdict;
  verdict.version = 1;
  trace.verdicts.push_back(verdict);
  SealSpan span;
  span.dictionary = &dictionary;
  span.row = row;
  span.stamp = {17 << 16, 2, 9};
  span.parent = -2;
  trace.spans.push_back(span);
  std::vector<TestTrace*> all = {&trace};
  for (TestTrace& neighbour : world.traces()) all.push_back(&neighbour);
  seal(*open_store(disk), TraceWorld::seal(all));

  const auto store = open_store(disk);
  model::TraceData got;
  ASSERT_TRUE(store->view()->read(trace.key, got).ok());
  ASSERT_EQ(got.spans.size(), 1u);
  const model::Span& s = got.spans.front();
  EXPECT_EQ(s.id, model::SpanId{0x1111});
  EXPECT_EQ(s.parent, model::SpanId{0x2222});
  EXPECT_EQ(s.start_ns, 1'760'000'000'000'000'000);
  EXPECT_EQ(s.end_ns, 1'759'999'999'999'999'993);
  EXPECT_EQ(s.kind, model::SpanKind::kProducer);
  EXPECT_EQ(s.status, model::StatusCode::kError);
  EXPECT_EQ(s.flags, 0x301u);
  EXPECT_EQ(s.name, "everything");
  EXPECT_EQ(s.trace_state, "vendor=1,other=2");
  EXPECT_EQ(s.status_message, "it went wrong");
  EXPECT_EQ(s.dropped_attributes, 3u);
  EXPECT_EQ(s.dropped_events, 4u);
  EXPECT_EQ(s.dropped_links, 5u);
  EXPECT_EQ(s.unknown, kUnknownField);
  EXPECT_EQ(s.stamp, (model::Stamp{17 << 16, 2, 9}));
  expect_all_types(s.attributes);
  ASSERT_EQ(s.resource->attributes.size(), 2u);
  EXPECT_EQ(s.resource->service_name, "shop");
  EXPECT_EQ(s.resource->attributes[1].value.integer, 3);
  EXPECT_EQ(s.scope->name, "scope");
  ASSERT_EQ(s.events.size(), 2u);
  EXPECT_EQ(s.events[0].name, "early");
  EXPECT_EQ(s.events[0].time_ns, s.start_ns - 9);
  EXPECT_EQ(s.events[1].name, "late");
  EXPECT_EQ(s.events[1].time_ns, s.start_ns + 12);
  for (const model::Event& event : s.events) {
    expect_all_types(event.attributes);
    EXPECT_EQ(event.dropped_attributes, 6u);
    EXPECT_EQ(event.unknown, kUnknownField);
  }
  ASSERT_EQ(s.links.size(), 1u);
  EXPECT_EQ(s.links[0].trace_state, "linked=1");
  EXPECT_EQ(s.links[0].trace, before.spans[0].links[0].trace);
  EXPECT_EQ(s.links[0].span, before.spans[0].links[0].span);
  expect_all_types(s.links[0].attributes);
  EXPECT_EQ(s.links[0].dropped_attributes, 8u);
  EXPECT_EQ(s.links[0].flags, 0x101u);
  EXPECT_EQ(s.links[0].unknown, kUnknownField);
  EXPECT_EQ(model::span_hash(s), model::span_hash(before.spans[0]));
}

// ---- Changed bytes, by what they belong to

// The bytes of a section, by the table that the footer names.
std::string_view section(std::string_view file, Section id) {
  ByteReader footer(file.substr(file.size() - kFooterBytes));
  const auto table = footer.fixed<uint64_t>();
  const auto count = footer.fixed<uint32_t>();
  ByteReader entries(file.substr(table, count * kSectionEntryBytes));
  for (uint32_t i = 0; i < count; ++i) {
    const auto number = entries.fixed<uint16_t>();
    entries.skip(2);
    const auto offset = entries.fixed<uint64_t>(), size = entries.fixed<uint64_t>();
    entries.skip(4);
    if (number == static_cast<uint16_t>(id)) return file.substr(offset, size);
  }
  ADD_FAILURE() << "no section " << static_cast<int>(id);
  return {};
}

class FlippedByte : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 500; ++i) world_.add_trace();
    seal(*open_store(disk_), world_.seal_all());
    file_ = disk_.content(kPath);
    ByteReader blocks(section(file_, Section::kBlocks)), pages(section(file_, Section::kPages));
    while (!blocks.at_end() && read_block_entry(blocks, blocks_.emplace_back())) {
    }
    while (!pages.at_end() && read_page_entry(pages, pages_.emplace_back())) {
    }
    ASSERT_GE(blocks_.size(), 2u);
    ASSERT_GE(pages_.size(), 2u);
  }

  struct Outcome {
    size_t same = 0, cut = 0, lost = 0, without_history = 0;  // cut: without the spans of the damaged block
    uint64_t damaged = 0;
    std::vector<std::string> reports;
  };
  // Flips a byte in the middle of the piece and reads every trace.
  Outcome read_all_with(uint64_t offset, uint64_t size) {
    EXPECT_GT(size, 0u) << "there is no such piece";
    Outcome out;
    disk_.flip(kPath, offset + size / 2, 0x10);
    const auto store = open_store(disk_, &out.reports);
    for (const TestTrace& trace : world_.traces()) {
      model::TraceData want, got;
      materialise({&trace}, want);
      const bool read = store->view()->read(trace.key, got).ok() && !got.spans.empty();
      if (!read) {
        ++out.lost;
        continue;
      }
      // A span that is kept of a cut trace may have lost the id of its parent, which stood in the damaged block.
      std::vector<uint64_t> want_hashes, got_hashes, want_ids, got_ids;
      for (const model::Span& span : want.spans) want_hashes.push_back(model::span_hash(span));
      for (const model::Span& span : got.spans) got_hashes.push_back(model::span_hash(span));
      for (const model::Span& span : want.spans) want_ids.push_back(span.id.value);
      for (const model::Span& span : got.spans) got_ids.push_back(span.id.value);
      for (auto* sorted : {&want_hashes, &got_hashes, &want_ids, &got_ids}) std::sort(sorted->begin(), sorted->end());
      EXPECT_TRUE(std::includes(want_ids.begin(), want_ids.end(), got_ids.begin(), got_ids.end()))
          << "nothing is invented";
      const bool same = got_hashes == want_hashes;
      EXPECT_TRUE(same || got_ids.size() < want_ids.size()) << "a whole trace is the one that was given";
      ++(same ? out.same : out.cut);
      out.without_history += got.history.empty();
    }
    out.damaged = store->stats().damaged_blocks;
    return out;
  }

  sim::SimDisk disk_;
  TraceWorld world_{48};
  std::string file_;
  std::vector<BlockEntry> blocks_;
  std::vector<PageEntry> pages_;
};

TEST_F(FlippedByte, inABlocksColumnsLosesThatBlockOnly) {
  const Outcome out = read_all_with(blocks_[0].columns.offset, blocks_[0].columns.size);
  EXPECT_EQ(out.damaged, 1u);
  EXPECT_EQ(out.reports.size(), 1u);
  // The trace that the next block goes on with keeps what it has there.
  EXPECT_GE(out.lost, blocks_[1].first_trace);
  EXPECT_LE(out.lost + out.cut, blocks_[1].first_trace + 1);
}

TEST_F(FlippedByte, inABlocksTailsLosesNoOtherBlock) {
  const Outcome out = read_all_with(blocks_[0].tails.offset, blocks_[0].tails.size);
  EXPECT_EQ(out.damaged, 1u);
  EXPECT_GT(out.lost, 0u);
  EXPECT_LE(out.lost + out.cut, blocks_[1].first_trace + 1);
}

TEST_F(FlippedByte, inABlocksHeapLosesNoOtherBlock) {
  const Outcome out = read_all_with(blocks_[0].heap.offset, blocks_[0].heap.size);
  EXPECT_EQ(out.damaged, 1u);
  EXPECT_GT(out.lost, 0u);
  EXPECT_LE(out.lost + out.cut, blocks_[1].first_trace + 1);
}

TEST_F(FlippedByte, inAPagesTableLosesThatPageOnly) {
  const Outcome out = read_all_with(pages_[0].table.offset, pages_[0].table.size);
  EXPECT_EQ(out.damaged, 1u);
  EXPECT_EQ(out.lost, pages_[0].traces);
  EXPECT_EQ(out.cut, 0u);
}

TEST_F(FlippedByte, inAPagesVerdictsLosesTheirHistoryAndNoSpan) {
  const Outcome out = read_all_with(pages_[0].verdicts.offset, pages_[0].verdicts.size);
  EXPECT_EQ(out.damaged, 1u);
  EXPECT_EQ(out.lost + out.cut, 0u);
  EXPECT_EQ(out.without_history, pages_[0].traces);
}

TEST_F(FlippedByte, inTheValueFilterCostsSearchesTimeAndNoHit) {
  std::vector<TraceQuery> queries;
  for (int i = 0; i < 200; ++i) {
    TraceQuery& query = queries.emplace_back();
    query.tenant = {1};
    query.where = world_.world().expr();
    query.limit = 40;
  }
  const auto answers = [&](const View& view) {
    std::vector<std::vector<model::TraceKey>> out;
    for (const TraceQuery& query : queries) {
      std::vector<TraceHit> hits;
      EXPECT_TRUE(view.search(query, hits).ok());
      out.emplace_back();
      for (const TraceHit& hit : hits) out.back().push_back(hit.key);
    }
    return out;
  };
  const auto before = answers(*open_store(disk_)->view());
  const std::string_view filter = section(file_, Section::kValueFilter);
  const auto offset = static_cast<uint64_t>(filter.data() - file_.data());
  for (uint64_t at = 0; at < filter.size(); at += 8) disk_.flip(kPath, offset + at, 0x10);
  std::vector<std::string> reports;
  const auto store = open_store(disk_, &reports);
  EXPECT_EQ(answers(*store->view()), before);
  EXPECT_GT(store->stats().damaged_blocks, 0u) << "a question that needs the filter was among them";
  const Outcome out = read_all_with(offset, 1);
  EXPECT_EQ(out.lost + out.cut, 0u);
}

}  // namespace
}  // namespace clew::store

#include "store/row_chunk.h"

#include <gtest/gtest.h>

#include <thread>

#include "store/chunk_index.h"
#include "store/test_rows.h"

namespace clew::store {
namespace {

constexpr uint64_t kSeed = 3;

std::shared_ptr<model::Dictionary> dictionary() { return std::make_shared<model::Dictionary>(kSeed); }

TEST(RowChunk, FirstRowHasALinkOtherThanZeroAndKeepsEverything) {
  RowChunk chunk(1, 42, dictionary());
  const RowLink link = chunk.append({9}, {1, 2}, {10, 11, 12}, 77, "row bytes");
  EXPECT_NE(link, 0u);
  EXPECT_EQ(link_chunk(link), 1u);
  const RowRecord& record = chunk.at(link);
  EXPECT_EQ(record.row(), "row bytes");
  EXPECT_EQ(record.tenant, model::TenantId{9});
  EXPECT_EQ(record.trace, (model::TraceId{1, 2}));
  EXPECT_EQ(record.stamp(), (model::Stamp{10, 11, 12}));
  EXPECT_EQ(record.previous, 77u);
  EXPECT_EQ(chunk.link_of(record), link);
  EXPECT_EQ(chunk.wal_file(), 42u);
}

TEST(RowChunk, FillsToTheLastByteAndNotBeyond) {
  RowChunk chunk(1, 1, dictionary(), 3 * RowChunk::bytes_for(10));
  int rows = 0;
  for (; chunk.has_room(10); ++rows) chunk.append({}, {}, {}, 0, "0123456789");
  EXPECT_EQ(rows, 3);
  EXPECT_EQ(chunk.committed(), chunk.capacity());
  const std::string huge(RowChunk::kDefaultBytes, 'x');
  RowChunk oversized(2, 1, dictionary(), RowChunk::bytes_for(huge.size()));
  ASSERT_TRUE(oversized.has_room(huge.size()));
  EXPECT_EQ(oversized.at(oversized.append({}, {}, {}, 0, huge)).row(), huge);
}

TEST(RowChunk, AChainCrossesChunksAndEndsWhereOneIsGone) {
  RowChunk first(1, 1, dictionary()), second(2, 1, dictionary());
  const RowLink a = first.append({}, {1, 1}, {}, 0, "a");
  first.append({}, {2, 2}, {}, 0, "other");
  const RowLink b = first.append({}, {1, 1}, {}, a, "b");
  const RowLink c = second.append({}, {1, 1}, {}, b, "c");
  const auto walked = [&](bool first_lives) {
    std::string rows;
    walk_rows(
        c, [&](uint32_t number) { return number == 2   ? &second
                                         : first_lives ? &first
                                                       : nullptr; },
        [&](const RowChunk&, const RowRecord& record) {
          rows += record.row();
          return true;
        });
    return rows;
  };
  EXPECT_EQ(walked(true), "cba");
  EXPECT_EQ(walked(false), "c");
}

TEST(RowChunk, LiveRowsGoDownToZero) {
  RowChunk chunk(1, 1, dictionary());
  for (int i = 0; i < 3; ++i) chunk.append({}, {}, {}, 0, "x");
  EXPECT_FALSE(chunk.release_rows(2));
  EXPECT_EQ(chunk.live_rows(), 1u);
  EXPECT_TRUE(chunk.release_rows(1));
}

TEST(RowChunk, AScanGoesOnWhereItStopped) {
  RowChunk chunk(1, 1, dictionary());
  for (const char* row : {"a", "b", "c"}) chunk.append({}, {}, {}, 0, row);
  std::string seen;
  const size_t stopped = chunk.scan([&](const RowRecord& record) {
    seen += record.row();
    return seen.size() < 2;
  });
  EXPECT_EQ(seen, "ab");
  chunk.scan([&](const RowRecord& record) { return seen += record.row(), true; }, stopped);
  EXPECT_EQ(seen, "abc");
}

TEST(SearchChunk, SkipsRowsOfOtherTenants) {
  auto words = dictionary();
  RowChunk chunk(1, 1, words);
  const std::string row = encode_row(*words, TestRow{});
  chunk.append({1}, {1, 1}, {}, 0, row);
  chunk.append({1}, {1, 2}, {}, 0, row);
  chunk.append({2}, {1, 3}, {}, 0, row);
  RowMatcher matcher(*Matcher::compile(Expr{}));
  std::vector<uint64_t> traces;
  search_chunk(chunk, matcher, {1}, [&](const RowHit& hit) {
    traces.push_back(hit.record->trace.lo);
    EXPECT_TRUE(hit.exact);
    return true;
  });
  EXPECT_EQ(traces, (std::vector<uint64_t>{1, 2}));
}

TEST(SearchChunk, StopsWhenTheSinkHasEnough) {
  auto words = dictionary();
  RowChunk chunk(1, 1, words);
  for (int i = 0; i < 5; ++i) chunk.append({1}, {1, 1}, {}, 0, encode_row(*words, TestRow{}));
  RowMatcher matcher(*Matcher::compile(Expr{}));
  int seen = 0;
  search_chunk(chunk, matcher, {1}, [&](const RowHit&) { return ++seen < 2; });
  EXPECT_EQ(seen, 2);
}

// Under TSan this is the argument of the header put to the test: whole records only, while the owner appends.
TEST(RowChunk, ReadersSeeOnlyWholeRowsWhileTheOwnerAppends) {
  auto words = dictionary();
  RowChunk chunk(1, 1, words);
  std::thread reader([&] {
    uint64_t expected = 0;
    size_t at = 0;
    while (expected < 2000) {
      at = chunk.scan(
          [&](const RowRecord& record) {
            EXPECT_EQ(record.sequence, expected++);
            EXPECT_EQ(record.row(),
                      std::string(record.sequence % 50 + 1, static_cast<char>('a' + record.sequence % 26)));
            return true;
          },
          at);
    }
  });
  for (uint64_t i = 0; i < 2000; ++i) {
    chunk.append({1}, {1, i}, {0, 0, i}, 0, std::string(i % 50 + 1, static_cast<char>('a' + i % 26)));
  }
  reader.join();
}

}  // namespace
}  // namespace clew::store

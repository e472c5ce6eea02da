#include "cluster/ingest_record.h"

#include <gtest/gtest.h>

namespace clew::cluster {
namespace {

std::string record_of_two_rows() {
  std::string bytes;
  append_record_head({{.hlc = 7, .origin = 3, .sequence = 11}, "tenant", {5, 0, 1, 2, 300}, "additions", {}}, bytes);
  bytes += "additions";
  append_record_row({1, 2}, "first row", bytes);
  append_record_row({3, 4}, "", bytes);
  return bytes;
}

TEST(IngestRecord, what_is_written_is_read) {
  const std::string bytes = record_of_two_rows();
  IngestRecord record;
  ASSERT_TRUE(parse_record(bytes, record).ok());
  EXPECT_EQ(record.stamp.hlc, 7u);
  EXPECT_EQ(record.stamp.origin, 3u);
  EXPECT_EQ(record.stamp.sequence, 11u);
  EXPECT_EQ(record.tenant, "tenant");
  EXPECT_EQ(record.dictionary_sizes, (model::Dictionary::Sizes{5, 0, 1, 2, 300}));
  EXPECT_EQ(record.dictionary_additions, "additions");
  RowReader rows(record.rows);
  model::TraceId trace;
  std::string_view row;
  ASSERT_TRUE(rows.next(trace, row));
  EXPECT_EQ(trace, (model::TraceId{1, 2}));
  EXPECT_EQ(row, "first row");
  ASSERT_TRUE(rows.next(trace, row));
  EXPECT_EQ(trace, (model::TraceId{3, 4}));
  EXPECT_EQ(row, "");
  EXPECT_FALSE(rows.next(trace, row));
  EXPECT_TRUE(rows.ok());
}

TEST(IngestRecord, cut_anywhere_yields_only_whole_rows_and_says_that_it_was_cut) {
  const std::string bytes = record_of_two_rows();
  IngestRecord whole;
  ASSERT_TRUE(parse_record(bytes, whole).ok());
  const size_t head = bytes.size() - whole.rows.size();
  const size_t first_row = head + 16 + 1 + 9;
  for (size_t size = 0; size < bytes.size(); ++size) {
    SCOPED_TRACE(size);
    IngestRecord record;
    const Status status = parse_record(std::string_view(bytes).substr(0, size), record);
    if (size < head) {
      EXPECT_EQ(status.code(), Code::kDataLoss);
      continue;
    }
    ASSERT_TRUE(status.ok());
    RowReader rows(record.rows);
    model::TraceId trace;
    std::string_view row;
    size_t read = 0;
    while (rows.next(trace, row)) ++read;
    EXPECT_EQ(read, size < first_row ? 0u : 1u);
    EXPECT_EQ(rows.ok(), size == head || size == first_row);
  }
}

TEST(IngestRecord, record_of_another_version_is_refused) {
  std::string bytes = record_of_two_rows();
  bytes[0] = 1;
  IngestRecord record;
  const Status status = parse_record(bytes, record);
  EXPECT_EQ(status.code(), Code::kFailedPrecondition) << "not damage: another program can read it";
  EXPECT_NE(status.message().find("version 1"), std::string_view::npos);
}

}  // namespace
}  // namespace clew::cluster

// The numbers and small structs that a segment's writer and reader agree on; docs/format/segment.md is the full text.
//
// A segment is one immutable file: traces in TraceKey order, their spans in blocks of about a thousand, a table of
// traces in pages, an index, and a footer that says where everything is. Every piece carries a checksum.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/varint.h"
#include "model/dictionary.h"
#include "model/ids.h"
#include "model/row.h"

namespace clew::store {

constexpr char kSegmentMagic[8] = {'C', 'L', 'E', 'W', 'S', 'E', 'G', '\n'};
constexpr uint32_t kSegmentVersion = 1;
constexpr size_t kHeaderBytes = 16;  // magic, u32 version, u32 zero
constexpr size_t kFooterBytes = 24;  // u64 table offset, u32 sections, u32 checksum of the table, magic

constexpr uint32_t kBlockSpans = 1024;  // a block ends here, or where the tenant changes
constexpr uint32_t kPageTraces = 128;
constexpr uint32_t kOrderEntries = 1024;  // of one chunk of the newest-first order
constexpr uint32_t kNumberValues = 512;   // distinct numbers of a column that get a code of their own

// Bounds on what a reader allocates for one piece, whatever the file says.
constexpr size_t kMaxPieceBytes = 256u << 20;

enum class Section : uint16_t {
  kInfo = 1,
  kBlocks = 2,  // directory of blocks
  kPages = 3,   // directory of trace pages
  kOrder = 4,   // directory of order chunks
  kTenants = 5,
  kNames = 6,     // dictionary
  kSchema = 7,    // operations, contexts, columns and their values, stamps
  kPostings = 8,  // per column and value: spans, blocks
  kValueFilter = 9,
  kKeyFilter = 10,
};
constexpr uint16_t kSectionSkippable = 1;  // a reader that does not know the id may ignore the section
constexpr size_t kSectionEntryBytes = 2 + 2 + 8 + 8 + 4;

// A piece of the file: bytes [offset, offset + size) with their checksum.
struct Piece {
  uint64_t offset = 0;
  uint32_t size = 0;
  uint32_t checksum = 0;
};

struct BlockEntry {
  uint32_t first_span = 0;
  uint32_t spans = 0;
  uint32_t first_trace = 0;    // the trace that its first span belongs to
  Piece columns, tails, heap;  // tails and heap: size 0 when there are none
};

struct PageEntry {
  model::TraceKey first;
  uint32_t first_span = 0;
  uint32_t traces = 0;
  Piece table, verdicts;
};

struct OrderEntry {
  int64_t newest_ns = 0;  // start of its first (newest) trace
  int64_t oldest_ns = 0;
  uint32_t entries = 0;
  Piece chunk;
};

struct TenantEntry {
  model::TenantId tenant;
  uint32_t first_trace = 0;
  uint32_t first_block = 0;
};

struct SegmentInfo {
  uint64_t spans = 0, traces = 0;
  int64_t min_start_ns = INT64_MAX, max_start_ns = INT64_MIN;  // of traces
  uint64_t min_first_hlc = UINT64_MAX, max_first_hlc = 0;      // first arrivals of traces
  uint64_t max_last_hlc = 0;                                   // newest arrival
  uint32_t states = 0, findings = 0;                           // unions of bits
  uint64_t value_filter_lines = 0;
};

// Columns 0–3 have no key. Column numbers are those of the schema.
constexpr uint32_t kColumnLists = 0;     // attribute lists without a shape
constexpr uint32_t kColumnNames = 1;     // span names that are not plain codes
constexpr uint32_t kColumnEvents = 2;    // names of events: postings only
constexpr uint32_t kColumnMessages = 3;  // status messages: postings only
constexpr uint32_t kFirstKeyColumn = 4;
constexpr uint32_t kNoKey = UINT32_MAX;

enum class ColumnClass : uint8_t { kNone, kText, kNumber, kBytes };
inline ColumnClass column_class(model::ValueType type) {
  switch (type) {
    case model::ValueType::kEmpty:
      return ColumnClass::kNone;
    case model::ValueType::kString:
      return ColumnClass::kText;
    case model::ValueType::kBool:
    case model::ValueType::kInt:
    case model::ValueType::kDouble:
      return ColumnClass::kNumber;
    case model::ValueType::kBytes:
    case model::ValueType::kComplex:
    case model::ValueType::kRaw:
      return ColumnClass::kBytes;
  }
  return ColumnClass::kNone;
}

// A value that has a code in its column. Code 0 of every column is the escape: text kept in the block, number without
// a code.
struct ColumnValue {
  model::StrMode mode = model::StrMode::kInline;  // texts: kCode or kTemplate
  uint64_t value = 0;                             // string or template code; the number
};

struct Column {
  uint32_t key = kNoKey;  // string code
  model::ValueType type = model::ValueType::kEmpty;
  bool overflow = false;            // numbers: more than kNumberValues were seen
  std::vector<ColumnValue> values;  // by code; [0] is the escape
};

// What a span has besides times and ids: shared by many, so a small code.
struct Operation {
  uint32_t name = 0;   // string code + 1; 0: in column kColumnNames
  uint32_t shape = 0;  // shape code + 1; 0: in column kColumnLists
  uint8_t kind_status = 0;
  bool has_flags = false;
  uint32_t flags = 0;
};

struct Context {
  uint32_t resource = 0, scope = 0;
};

// Hashes of the value filter.
inline uint64_t filter_hash(uint32_t column, uint64_t value) { return mix64(column + 0x636c6577ull, value); }

// floor(log2) of a trace's longest span, 0–63: 6 bits beside the state in the order chunks. Negative durations are 0.
inline uint8_t duration_bucket(int64_t duration_ns) {
  return duration_ns <= 0 ? 0 : static_cast<uint8_t>(std::bit_width(static_cast<uint64_t>(duration_ns)) - 1);
}

// Of the key filter.
inline uint64_t key_hash(const model::TraceKey& key) { return mix64(key.token.value, key.tenant.value ^ key.trace.lo); }

// Directory entries as they stand in their sections; read_*: false at the end of what is readable.
void append_block_entry(const BlockEntry& entry, std::string& out);
void append_page_entry(const PageEntry& entry, std::string& out);
void append_order_entry(const OrderEntry& entry, std::string& out);
void append_tenant_entry(const TenantEntry& entry, std::string& out);
void append_info(const SegmentInfo& info, std::string& out);
bool read_block_entry(ByteReader& reader, BlockEntry& out);
bool read_page_entry(ByteReader& reader, PageEntry& out);
bool read_order_entry(ByteReader& reader, OrderEntry& out);
bool read_tenant_entry(ByteReader& reader, TenantEntry& out);
bool read_info(ByteReader& reader, SegmentInfo& out);

}  // namespace clew::store

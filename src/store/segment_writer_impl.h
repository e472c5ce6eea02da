// The inside of SegmentWriter: what its two halves share. segment_writer.cc turns rows into columns and blocks,
// segment_writer_index.cc writes pages, index sections and footer. For those two files only.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/varint.h"
#include "store/bitpack.h"
#include "store/bloom.h"
#include "store/code_map.h"
#include "store/column_builder.h"
#include "store/compress.h"
#include "store/segment_tables.h"
#include "store/segment_writer.h"
#include "store/transcode.h"

namespace clew::store {

// A segment's dictionary takes what the rows' dictionaries took, so its limits only stop runaway growth.
constexpr model::DictionaryLimits kSegmentLimits{
    .max_entries = 1u << 26, .max_bytes = 1ull << 30, .max_string_bytes = 1u << 20, .max_shape_fields = 1u << 16};
constexpr uint32_t kMaxBlockValues = 32768;  // of one column; several values a span when a key repeats
constexpr size_t kMaxBlockHeap = 4u << 20;   // texts and tails of one block
constexpr int kFastLevel = 1;
constexpr int kNamesLevel = 3;

struct SegmentWriter::Impl {
  explicit Impl(uint64_t seed, Sink to)
      : sink(std::move(to)),
        dictionary(seed, kSegmentLimits),
        codes(dictionary),
        operations(seed + 1),
        contexts(seed + 2),
        column_map(seed + 3),
        value_seed(seed + 4),
        stamps(seed + 5),
        batches(seed + 6),
        service_operations(seed + 7) {
    for (uint32_t i = 0; i < kFirstKeyColumn; ++i) {
      columns.emplace_back(value_seed);
      columns.back().column.type = i == kColumnLists ? model::ValueType::kRaw : model::ValueType::kString;
    }
    put(std::string_view(kSegmentMagic, sizeof(kSegmentMagic)));
    std::string head;
    append_fixed(head, kSegmentVersion);
    append_fixed(head, uint32_t{0});
    put(head);
  }

  // --- Output ---
  Sink sink;
  Status failure;
  uint64_t written = 0;
  std::vector<Part> part_list;

  void put(std::string_view bytes) {
    if (!failure.ok()) return;
    written += bytes.size();
    failure = sink(bytes);
  }
  Piece put_piece(std::string_view bytes) {
    const Piece place{written, static_cast<uint32_t>(bytes.size()), checksum32(bytes)};
    put(bytes);
    return place;
  }
  void count(const char* part, uint64_t bytes) {
    for (Part& known : part_list) {
      if (known.name == part) {
        known.bytes += bytes;
        return;
      }
    }
    part_list.push_back({part, bytes});
  }

  // --- Names ---
  model::Dictionary dictionary;
  CodeTranslator codes;
  CodeMap operations, contexts, column_map;
  const uint64_t value_seed;
  CodeMap stamps, batches, service_operations;
  std::array<uint64_t, 1024> known_operations{};  // service_operations that were met: the newest of each place
  std::vector<ColumnBuilder> columns;
  struct ShapeColumns {
    bool known = false;
    std::vector<uint32_t> columns;  // per field
  };
  std::vector<ShapeColumns> shapes;       // by segment shape code
  std::vector<uint32_t> context_service;  // by context: string code + 1 of the service's name
  PostingBuilder operation_postings, context_postings;

  // --- The block being filled ---
  struct {
    std::vector<uint64_t> ids, starts, durations, foreign;
    std::vector<uint32_t> operations, contexts, parents, run_lengths, run_stamps, tail_lengths;
    std::string tail_bits, tails, heap;
    size_t values = 0, heap_bytes = 0;
  } block;
  uint32_t first_span_of_block = 0, first_trace_of_block = 0;
  std::vector<BlockEntry> blocks;
  ValueFilterBuilder value_filter;
  std::string out, piece;
  Compressor compressor;

  // --- The page being filled ---
  TracePageBuilder page;
  std::vector<PageEntry> pages;
  std::vector<TenantEntry> tenants;
  std::vector<OrderedTrace> order;
  std::vector<uint64_t> key_hashes;
  SegmentInfo info;
  model::TraceKey last_key;
  std::vector<model::SpanId> ids;  // of the trace

  uint32_t column_of(uint32_t key, model::ValueType type) {
    const uint32_t code = column_map.code({key, static_cast<uint64_t>(type)}) + kFirstKeyColumn;
    if (code == columns.size()) {
      columns.emplace_back(value_seed);
      columns.back().column.key = key;
      columns.back().column.type = type;
    }
    return code;
  }

  const std::vector<uint32_t>& columns_of_shape(uint32_t shape) {
    if (shape >= shapes.size()) shapes.resize(shape + 1);
    ShapeColumns& known = shapes[shape];
    if (!known.known) {
      for (const model::ShapeField& field : dictionary.shape(shape)) {
        known.columns.push_back(column_of(field.key, field.type));
      }
      known.known = true;
    }
    return known.columns;
  }

  // The code of a value in its column; 0 when it gets none.
  uint32_t value_code(ColumnBuilder& to, model::StrMode mode, uint64_t value, uint32_t limit) {
    const uint64_t key = column_class(to.column.type) == ColumnClass::kText
                             ? value << 1 | uint64_t{mode == model::StrMode::kTemplate}
                             : value;
    if (const uint32_t found = to.value_codes.find(key); found != 0) return found;
    if (to.column.values.size() > limit) {
      to.column.overflow = true;
      return 0;
    }
    const auto code = static_cast<uint32_t>(to.column.values.size());
    to.column.values.push_back({mode, value});
    to.value_codes.add(key, code);
    return code;
  }

  void add_text(uint32_t column, const model::StrRef& ref);

  // One attribute value of a row, by the shape's word. False when the row ends early.
  bool add_value(ByteReader& reader, uint32_t column, model::ValueType type);

  void add_number(uint32_t column, uint64_t number) {
    ColumnBuilder& to = columns[column];
    const uint32_t code = value_code(to, model::StrMode::kCode, number, kNumberValues);
    if (code == 0) value_filter.add(filter_hash(column, number));
    to.add_number(code, number);
  }

  uint32_t stamp_code(const model::Stamp& stamp) {
    if (stamp == last_stamp && last_stamp_code != UINT32_MAX) return last_stamp_code;
    last_stamp = stamp;
    const uint32_t batch = batches.code({stamp.sequence, stamp.origin});
    last_stamp_code = stamps.code({stamp.hlc, batch});
    return last_stamp_code;
  }
  model::Stamp last_stamp;
  uint32_t last_stamp_code = UINT32_MAX;
  int64_t last_duration = 0;

  Status malformed(const model::TraceKey& key) const {
    return {Code::kDataLoss, "trace " + key.trace.hex() + ": a row that cannot be read; it is not sealed"};
  }

  Status add_span(const SealTrace& trace, size_t index);

  Status full() const {
    return {Code::kResourceExhausted, "the segment's dictionary is full; seal fewer traces at once"};
  }

  void flush_block(uint64_t next_first_trace);

  Status add_trace(const SealTrace& trace);
  void flush_page();
  Status finish();

  void append_schema(std::string& to) const;
  void append_postings(std::string& to) const;
  void put_section(Section section, std::string_view bytes, uint16_t flags = 0);

  uint32_t first_span_of_page = 0;
  std::string verdicts;  // of the page
  int64_t verdict_base_ns = 0;
  std::string section_table;
  uint32_t sections = 0;
};

}  // namespace clew::store

// BlockView: one block's columns, parsed in place. Borrows from the block's bytes and from the segment's names; both
// outlive it. Everything is bounds-checked: a code that the names do not have makes parse() or the row builder fail.
//
//   block := varint n, u64[n] span ids, packed operations, packed contexts, packed start - trace start, packed
//   durations,
//            packed parents, varint foreign, u64[foreign] parent ids, varint runs, packed run lengths, packed run
//            stamps, bits[n] has a tail, varint columns, columns × (varint number difference, varint bytes), columns'
//            data
//   parent: 0 = the next of the foreign ids, 1 = none, else index in the trace's part + 2
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "store/bitpack.h"
#include "store/segment_names.h"

namespace clew::store {

struct TextColumn {
  uint32_t size = 0;
  PackedView codes;
  std::vector<std::pair<uint32_t, PackedView>> streams;  // numbers of placeholder k of all values that have one
  uint32_t inlined = 0;
  PackedView lengths;
  uint64_t heap = 0;
  bool parse(std::string_view bytes);
};

struct NumberColumn {
  uint32_t size = 0;
  bool plain = false;  // numbers as they are; else codes, and `numbers` of those whose code is 0
  PackedView codes, numbers;
  uint32_t escapes = 0;
  bool parse(std::string_view bytes);
};

struct BytesColumn {
  uint32_t size = 0;
  PackedView lengths;
  uint64_t heap = 0;
  bool parse(std::string_view bytes);
};

class BlockView {
 public:
  bool parse(std::string_view bytes, uint32_t spans);

  uint32_t size() const { return size_; }
  model::SpanId id(uint32_t i) const {
    uint64_t value;
    std::memcpy(&value, ids_ + size_t{i} * 8, 8);
    return {value};
  }
  PackedView operations, contexts, starts, durations, parents;
  PackedView run_lengths, run_stamps;
  uint32_t foreign_count() const { return foreign_count_; }
  model::SpanId foreign(uint32_t i) const {
    uint64_t value;
    std::memcpy(&value, foreign_ + size_t{i} * 8, 8);
    return {value};
  }
  bool has_tail(uint32_t i) const { return (static_cast<uint8_t>(tail_bits_[i / 8]) >> (i % 8) & 1) != 0; }
  uint32_t tails_before(uint32_t i) const;
  // The column's bytes; empty when the block has none.
  std::string_view column(uint32_t number) const;

 private:
  uint32_t size_ = 0, foreign_count_ = 0;
  const char* ids_ = nullptr;
  const char* foreign_ = nullptr;
  const char* tail_bits_ = nullptr;
  std::vector<std::pair<uint32_t, std::string_view>> columns_;
};

}  // namespace clew::store

// ColumnBuilder: collects one column's values of the current block and, over the whole segment, which values there are
// and in which blocks. Owned by a SegmentWriter; single-threaded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/bloom.h"
#include "store/segment_format.h"

namespace clew::store {

// How often and in which blocks each code of a column occurs.
class PostingBuilder {
 public:
  void add(uint32_t code, uint32_t block) {
    if (code >= spans_.size()) {
      spans_.resize(code + 1, 0);
      last_block_.resize(code + 1, UINT32_MAX);
    }
    ++spans_[code];
    if (last_block_[code] != block) {
      last_block_[code] = block;
      pairs_.push_back({code, block});
    }
  }
  bool empty() const { return pairs_.empty(); }
  // postings := varint codes, packed spans, packed blocks-per-code, packed data bytes-per-code, data
  // data of a code := nothing when it is in every block; else the blocks, ascending, as varint differences, or a bit
  // per block when that is shorter. bytes-per-code is size << 1 | is_bits. The packed triple repeats per 65,536 codes.
  void finish(uint32_t blocks, std::string& out) const;

 private:
  struct Pair {
    uint32_t code, block;
  };
  std::vector<uint32_t> spans_;
  std::vector<uint32_t> last_block_;
  std::vector<Pair> pairs_;  // blocks ascend
};

// Which code a column's value has. Every value of every span asks, so one small table a column with keys and codes side
// by side: a question costs one cache line. Values come from strangers, so the hash is seeded.
class ValueCodes {
 public:
  explicit ValueCodes(uint64_t seed) : seed_(seed), slots_(16) {}
  // 0: it has none.
  uint32_t find(uint64_t value) const {
    for (size_t i = home(value);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].code == 0 || slots_[i].value == value) return slots_[i].code;
    }
  }
  void add(uint64_t value, uint32_t code) {  // absent so far; code > 0
    if (++size_ * 2 > slots_.size()) grow();
    place({value, code});
  }

 private:
  struct Slot {
    uint64_t value = 0;
    uint32_t code = 0;
  };
  size_t home(uint64_t value) const {
    uint64_t x = (value ^ seed_) * 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ull;
    return (x >> 32) & (slots_.size() - 1);
  }
  void place(Slot slot) {
    size_t i = home(slot.value);
    while (slots_[i].code != 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = slot;
  }
  void grow();

  uint64_t seed_;
  size_t size_ = 0;
  std::vector<Slot> slots_;
};

class ColumnBuilder {
 public:
  explicit ColumnBuilder(uint64_t seed) : value_codes(seed) { column.values.resize(1); }

  Column column;
  ValueCodes value_codes;
  PostingBuilder postings;

  bool empty() const { return codes_.empty() && lengths_.empty(); }

  // Texts. `code` 0: `text` goes into the block's heap.
  void add_code(uint32_t code) { codes_.push_back(code); }
  void add_inline(std::string_view text) {
    codes_.push_back(0);
    lengths_.push_back(static_cast<uint32_t>(text.size()));
    own_heap_.append(text);
  }
  void add_placeholder(size_t ordinal, uint64_t number) {
    if (streams_.size() <= ordinal) streams_.resize(ordinal + 1);
    streams_[ordinal].push_back(number);
  }
  // Numbers. `code` 0: it has none.
  void add_number(uint32_t code, uint64_t number) {
    codes_.push_back(code);
    numbers_.push_back(number);
    escapes_ += code == 0;
  }
  // Bytes.
  void add_bytes(std::string_view bytes) {
    lengths_.push_back(static_cast<uint32_t>(bytes.size()));
    own_heap_.append(bytes);
  }

  // Appends the block's data of this column and starts the next block. Texts and bytes go to `heap`.
  // text    := varint n, packed codes, varint streams, streams × (varint n, packed numbers),
  //            varint inlined, [packed lengths, varint heap offset]
  // number  := varint n, u8 0, packed codes, varint escapes, packed escapes; or varint n, u8 1, packed numbers
  // bytes   := varint n, packed lengths, varint heap offset
  void flush(uint32_t block, std::string& out, std::string& heap);

 private:
  std::vector<uint32_t> codes_;
  std::vector<uint64_t> numbers_;
  std::vector<std::vector<uint64_t>> streams_;
  std::vector<uint32_t> lengths_;
  std::string own_heap_;
  size_t escapes_ = 0;
};

// Integers compare as unsigned once their sign bit is turned: what packed columns hold.
inline uint64_t ordered_number(model::ValueType type, uint64_t number) {
  return type == model::ValueType::kInt ? number ^ (uint64_t{1} << 63) : number;
}

}  // namespace clew::store

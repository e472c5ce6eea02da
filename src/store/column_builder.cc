#include "store/column_builder.h"

#include <algorithm>

#include "base/varint.h"
#include "store/bitpack.h"

namespace clew::store {

void ValueCodes::grow() {
  std::vector<Slot> before(slots_.size() * 2);
  before.swap(slots_);
  for (const Slot& slot : before) {
    if (slot.code != 0) place(slot);
  }
}

void PostingBuilder::finish(uint32_t blocks, std::string& out) const {
  const size_t codes = spans_.size();
  std::vector<uint32_t> counts(codes, 0), starts(codes + 1, 0);
  for (const Pair& pair : pairs_) ++counts[pair.code];
  for (size_t c = 0; c < codes; ++c) starts[c + 1] = starts[c] + counts[c];
  std::vector<uint32_t> sorted(pairs_.size());
  std::vector<uint32_t> next(starts.begin(), starts.end() - (codes > 0 ? 1 : 0));
  for (const Pair& pair : pairs_) sorted[next[pair.code]++] = pair.block;

  std::string data;
  std::vector<uint32_t> sizes(codes, 0);
  for (size_t c = 0; c < codes; ++c) {
    if (counts[c] == blocks) continue;
    const size_t before = data.size();
    uint32_t previous = 0;
    for (uint32_t i = starts[c]; i < starts[c + 1]; ++i) {
      append_varint(data, sorted[i] - previous);
      previous = sorted[i];
    }
    // A value in most blocks: a bit per block is shorter.
    if (data.size() - before > (blocks + 7) / 8) {
      data.resize(before);
      data.resize(before + (blocks + 7) / 8, '\0');
      for (uint32_t i = starts[c]; i < starts[c + 1]; ++i) {
        data[before + sorted[i] / 8] = static_cast<char>(data[before + sorted[i] / 8] | (1 << (sorted[i] % 8)));
      }
      sizes[c] = static_cast<uint32_t>(data.size() - before) << 1 | 1;
    } else {
      sizes[c] = static_cast<uint32_t>(data.size() - before) << 1;
    }
  }
  append_varint(out, codes);
  for (size_t from = 0; from < codes; from += kMaxPacked) {
    const size_t n = std::min(codes - from, kMaxPacked);
    append_packed(std::span<const uint32_t>(spans_).subspan(from, n), out);
    append_packed(std::span<const uint32_t>(counts).subspan(from, n), out);
    append_packed(std::span<const uint32_t>(sizes).subspan(from, n), out);
  }
  out += data;
}

void ColumnBuilder::flush(uint32_t block, std::string& out, std::string& heap) {
  const auto append_heap = [&] {
    append_packed(std::span<const uint32_t>(lengths_), out);
    append_varint(out, heap.size());
    heap += own_heap_;
  };
  switch (column_class(column.type)) {
    case ColumnClass::kText:
      append_varint(out, codes_.size());
      append_packed(std::span<const uint32_t>(codes_), out);
      append_varint(out, streams_.size());
      for (std::vector<uint64_t>& stream : streams_) {
        append_varint(out, stream.size());
        append_packed(std::span<const uint64_t>(stream), out);
        stream.clear();
      }
      append_varint(out, lengths_.size());
      if (!lengths_.empty()) append_heap();
      break;
    case ColumnClass::kNumber:
      append_varint(out, codes_.size());
      for (uint64_t& number : numbers_) number = ordered_number(column.type, number);
      if (escapes_ * 4 > codes_.size()) {
        out.push_back(1);
        append_packed(std::span<const uint64_t>(numbers_), out);
      } else {
        out.push_back(0);
        append_packed(std::span<const uint32_t>(codes_), out);
        size_t kept = 0;
        for (size_t i = 0; i < codes_.size(); ++i) {
          if (codes_[i] == 0) numbers_[kept++] = numbers_[i];
        }
        append_varint(out, kept);
        append_packed(std::span<const uint64_t>(numbers_).first(kept), out);
      }
      break;
    case ColumnClass::kBytes:
      append_varint(out, lengths_.size());
      append_heap();
      break;
    case ColumnClass::kNone:
      break;
  }
  for (const uint32_t code : codes_) postings.add(code, block);
  codes_.clear();
  numbers_.clear();
  lengths_.clear();
  own_heap_.clear();
  escapes_ = 0;
}

}  // namespace clew::store

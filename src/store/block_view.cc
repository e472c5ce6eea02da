#include "store/block_view.h"

#include <algorithm>

namespace clew::store {

bool TextColumn::parse(std::string_view bytes) {
  ByteReader reader(bytes);
  const uint64_t n = reader.varint();
  if (n > kMaxPacked || !codes.parse(reader, n)) return false;
  size = static_cast<uint32_t>(n);
  const uint64_t count = reader.varint();
  if (count > reader.remaining()) return false;
  streams.clear();
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t numbers = reader.varint();
    PackedView view;
    if (numbers > kMaxPacked || !view.parse(reader, numbers)) return false;
    streams.emplace_back(static_cast<uint32_t>(numbers), view);
  }
  const uint64_t texts = reader.varint();
  if (!reader.ok() || texts > n) return false;
  inlined = static_cast<uint32_t>(texts);
  if (inlined == 0) return true;
  if (!lengths.parse(reader, inlined)) return false;
  heap = reader.varint();
  return reader.ok();
}

bool NumberColumn::parse(std::string_view bytes) {
  ByteReader reader(bytes);
  const uint64_t n = reader.varint();
  plain = reader.fixed<uint8_t>() != 0;
  if (!reader.ok() || n > kMaxPacked) return false;
  size = static_cast<uint32_t>(n);
  if (plain) return numbers.parse(reader, n);
  if (!codes.parse(reader, n)) return false;
  const uint64_t kept = reader.varint();
  if (kept > n) return false;
  escapes = static_cast<uint32_t>(kept);
  return numbers.parse(reader, kept);
}

bool BytesColumn::parse(std::string_view bytes) {
  ByteReader reader(bytes);
  const uint64_t n = reader.varint();
  if (n > kMaxPacked || !lengths.parse(reader, n)) return false;
  size = static_cast<uint32_t>(n);
  heap = reader.varint();
  return reader.ok();
}

bool BlockView::parse(std::string_view bytes, uint32_t spans) {
  ByteReader reader(bytes);
  if (reader.varint() != spans || spans > kMaxPacked) return false;
  size_ = spans;
  ids_ = reader.bytes(uint64_t{spans} * 8).data();
  for (PackedView* view : {&operations, &contexts, &starts, &durations, &parents}) {
    if (!view->parse(reader, spans)) return false;
  }
  const uint64_t foreign = reader.varint();
  if (foreign > spans) return false;
  foreign_count_ = static_cast<uint32_t>(foreign);
  foreign_ = reader.bytes(foreign * 8).data();
  const uint64_t runs = reader.varint();
  if (runs > spans || !run_lengths.parse(reader, runs) || !run_stamps.parse(reader, runs)) return false;
  tail_bits_ = reader.bytes((spans + 7) / 8).data();
  const uint64_t columns = reader.varint();
  if (!reader.ok() || columns > reader.remaining()) return false;
  columns_.resize(columns);
  std::vector<uint64_t> sizes(columns);
  uint64_t number = 0;
  for (uint64_t i = 0; i < columns; ++i) {
    number += reader.varint();
    if (number > UINT32_MAX) return false;
    columns_[i].first = static_cast<uint32_t>(number);
    sizes[i] = reader.varint();
  }
  for (uint64_t i = 0; i < columns; ++i) columns_[i].second = reader.bytes(sizes[i]);
  return reader.ok();
}

uint32_t BlockView::tails_before(uint32_t i) const {
  uint32_t n = 0;
  for (uint32_t byte = 0; byte < i / 8; ++byte) {
    n += static_cast<uint32_t>(std::popcount(static_cast<uint8_t>(tail_bits_[byte])));
  }
  if (i % 8 != 0) {
    n += static_cast<uint32_t>(
        std::popcount(static_cast<uint8_t>(static_cast<uint8_t>(tail_bits_[i / 8]) & ((1u << (i % 8)) - 1))));
  }
  return n;
}

std::string_view BlockView::column(uint32_t number) const {
  const auto found = std::lower_bound(columns_.begin(), columns_.end(), number,
                                      [](const auto& entry, uint32_t wanted) { return entry.first < wanted; });
  return found != columns_.end() && found->first == number ? found->second : std::string_view();
}

}  // namespace clew::store

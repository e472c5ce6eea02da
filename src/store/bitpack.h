// Packed integers: the one encoding of every number column of a segment. Frame of reference with patches (PFOR;
// Zukowski et al., "Super-Scalar RAM-CPU Cache Compression", ICDE 2006): value - base in `width` bits, the few that do
// not fit kept aside whole, so that one outlier does not widen its neighbours. Random access without decoding the rest.
//
//   packed  := u8 width (0–64), varint base, varint patches, bits[ceil(n * width / 8)], u16[patches] places,
//   u64[patches] values bit i of value k is bit (k * width + i) % 8 of byte (k * width + i) / 8; a patch's value
//   replaces the whole difference
//
// n is not stored: whoever embeds a packed column knows it. At most 65,536 values.
// Values are unsigned and wrap: signed ones are stored as their two's complement differences to a base that the caller
// picks. Downside: the width is chosen per column and block, so a column that alternates between two scales pays for
// the wider. Readers trust nothing: parse() checks every length against the bytes that are there. Pure; any thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/varint.h"

namespace clew::store {

constexpr size_t kMaxPacked = 65536;
// Bytes that must be readable after any buffer that a PackedView looks into (it loads whole words).
constexpr size_t kPackedSlack = 16;

void append_packed(std::span<const uint64_t> values, std::string& out);
void append_packed(std::span<const uint32_t> values, std::string& out);

// Borrows from the bytes it was parsed from.
class PackedView {
 public:
  // Reads a packed column of `n` values. False when it does not fit into what is left of `reader`.
  bool parse(ByteReader& reader, size_t n);

  size_t size() const { return size_; }
  uint64_t at(size_t i) const {
    if (patches_ != 0) [[unlikely]] {
      uint64_t patched;
      if (find_patch(i, patched)) return base_ + patched;
    }
    return base_ + raw(i);
  }
  // Values [from, from + out.size()).
  void decode(size_t from, std::span<uint64_t> out) const;
  void decode(size_t from, std::span<uint32_t> out) const;  // low 32 bits
  uint64_t sum(size_t n) const;                             // of the first n

 private:
  uint64_t raw(size_t i) const {
    if (width_ == 0) return 0;
    const size_t bit = i * width_;
    uint64_t word;
    std::memcpy(&word, bits_ + bit / 8, 8);
    word >>= bit % 8;
    if (width_ > 57) [[unlikely]] {
      const size_t got = 64 - bit % 8;
      if (got < width_) word |= static_cast<uint64_t>(static_cast<uint8_t>(bits_[bit / 8 + 8])) << got;
    }
    return word & mask_;
  }
  bool find_patch(size_t i, uint64_t& out) const;
  template <typename T>
  void decode_into(size_t from, std::span<T> out) const;

  const char* bits_ = nullptr;
  const char* places_ = nullptr;
  uint64_t base_ = 0;
  uint64_t mask_ = 0;
  uint32_t size_ = 0;
  uint32_t patches_ = 0;
  uint8_t width_ = 0;
};

}  // namespace clew::store

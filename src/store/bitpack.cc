#include "store/bitpack.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/check.h"

namespace clew::store {
namespace {

constexpr size_t kPatchBytes = 10;

template <typename T>
void append_packed_of(std::span<const T> values, std::string& out) {
  CHECK(values.size() <= kMaxPacked);
  if (values.empty()) {
    out.append("\0\0\0", 3);
    return;
  }
  uint64_t base = values[0];
  for (const T v : values) base = std::min<uint64_t>(base, v);
  std::array<uint32_t, 65> lengths{};
  for (const T v : values) ++lengths[static_cast<size_t>(std::bit_width(static_cast<uint64_t>(v) - base))];
  // The cheapest width: a bit saved on every value against ten bytes for each value that is then too wide.
  int width = 64;
  while (width > 0 && lengths[static_cast<size_t>(width)] == 0) --width;
  size_t best_bytes = (values.size() * static_cast<size_t>(width) + 7) / 8;
  size_t patches = 0, best_patches = 0;
  for (int w = width; w > 0; --w) {
    patches += lengths[static_cast<size_t>(w)];
    const size_t bytes = (values.size() * static_cast<size_t>(w - 1) + 7) / 8 + patches * kPatchBytes;
    if (bytes < best_bytes) {
      best_bytes = bytes;
      best_patches = patches;
      width = w - 1;
    }
    if (patches * kPatchBytes > best_bytes) break;
  }
  out.push_back(static_cast<char>(width));
  append_varint(out, base);
  append_varint(out, best_patches);

  const size_t start = out.size();
  const size_t bytes = (values.size() * static_cast<size_t>(width) + 7) / 8;
  out.resize(start + bytes + kPackedSlack);
  char* to = out.data() + start;
  const uint64_t limit = width == 64 ? UINT64_MAX : (uint64_t{1} << width) - 1;
  std::vector<std::pair<uint16_t, uint64_t>> aside;
  aside.reserve(best_patches);
  unsigned __int128 window = 0;
  int filled = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    uint64_t v = static_cast<uint64_t>(values[i]) - base;
    if (v > limit) [[unlikely]] {
      aside.emplace_back(static_cast<uint16_t>(i), v);
      v = 0;
    }
    window |= static_cast<unsigned __int128>(v) << filled;
    filled += width;
    if (filled >= 64) {
      const auto word = static_cast<uint64_t>(window);
      std::memcpy(to, &word, 8);
      to += 8;
      window >>= 64;
      filled -= 64;
    }
  }
  const auto word = static_cast<uint64_t>(window);
  std::memcpy(to, &word, 8);
  out.resize(start + bytes);
  for (const auto& [place, value] : aside) append_fixed(out, place);
  for (const auto& [place, value] : aside) append_fixed(out, value);
}

}  // namespace

void append_packed(std::span<const uint64_t> values, std::string& out) { append_packed_of(values, out); }
void append_packed(std::span<const uint32_t> values, std::string& out) { append_packed_of(values, out); }

bool PackedView::parse(ByteReader& reader, size_t n) {
  width_ = reader.fixed<uint8_t>();
  base_ = reader.varint();
  const uint64_t patches = reader.varint();
  if (!reader.ok() || width_ > 64 || n > kMaxPacked || patches > n) return false;
  mask_ = width_ == 64 ? UINT64_MAX : (uint64_t{1} << width_) - 1;
  size_ = static_cast<uint32_t>(n);
  patches_ = static_cast<uint32_t>(patches);
  bits_ = reader.bytes((n * width_ + 7) / 8).data();
  places_ = reader.bytes(patches * kPatchBytes).data();
  if (!reader.ok()) return false;
  // A place outside of the column would write past a decoder's end.
  for (uint32_t k = 0; k < patches_; ++k) {
    uint16_t place;
    std::memcpy(&place, places_ + k * 2, 2);
    if (place >= n) return false;
  }
  return true;
}

bool PackedView::find_patch(size_t i, uint64_t& out) const {
  uint32_t low = 0, high = patches_;
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    uint16_t place;
    std::memcpy(&place, places_ + middle * 2, 2);
    if (place < i) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == patches_) return false;
  uint16_t place;
  std::memcpy(&place, places_ + low * 2, 2);
  if (place != i) return false;
  std::memcpy(&out, places_ + patches_ * 2 + low * 8, 8);
  return true;
}

template <typename T>
void PackedView::decode_into(size_t from, std::span<T> out) const {
  CHECK(from + out.size() <= size_);
  if (width_ <= 57) {
    size_t bit = from * width_;
    for (T& value : out) {
      uint64_t word;
      std::memcpy(&word, bits_ + bit / 8, 8);
      value = static_cast<T>(base_ + ((word >> (bit % 8)) & mask_));
      bit += width_;
    }
  } else {
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<T>(base_ + raw(from + i));
  }
  for (uint32_t k = 0; k < patches_; ++k) {
    uint16_t place;
    std::memcpy(&place, places_ + k * 2, 2);
    if (place < from || place >= from + out.size()) continue;
    uint64_t value;
    std::memcpy(&value, places_ + patches_ * 2 + k * 8, 8);
    out[place - from] = static_cast<T>(base_ + value);
  }
}

void PackedView::decode(size_t from, std::span<uint64_t> out) const { decode_into(from, out); }
void PackedView::decode(size_t from, std::span<uint32_t> out) const { decode_into(from, out); }

uint64_t PackedView::sum(size_t n) const {
  CHECK(n <= size_);
  uint64_t total = 0;
  for (size_t i = 0; i < n; ++i) total += at(i);
  return total;
}

}  // namespace clew::store

#include "store/bloom.h"

#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "base/varint.h"

namespace clew::store {
namespace {

constexpr size_t kBitsPerKey = 10;
constexpr size_t kBitsPerValue = 9;
constexpr size_t kLineBits = kFilterLineBytes * 8;
constexpr uint32_t kOdd[8] = {0x47b6137bu, 0x44974d91u, 0x8824ad5bu, 0xa2b7289du,
                              0x705495c7u, 0x2df1424bu, 0x9efc4947u, 0x5c6bfb31u};

}  // namespace

void FilterLine::add(uint64_t hash) {
  const auto low = static_cast<uint32_t>(hash);
  for (size_t i = 0; i < 8; ++i) words[i] |= 1u << ((low * kOdd[i]) >> 27);
}

bool FilterLine::has(uint64_t hash) const {
  const auto low = static_cast<uint32_t>(hash);
  uint32_t missing = 0;
  for (size_t i = 0; i < 8; ++i) missing |= ~words[i] & (1u << ((low * kOdd[i]) >> 27));
  return missing == 0;
}

KeyFilter::KeyFilter(size_t keys) : lines_(keys * kBitsPerKey / kLineBits + 1) {}

bool KeyFilter::load(std::string_view bytes) {
  if (bytes.empty() || bytes.size() % kFilterLineBytes != 0) return false;
  lines_.resize(bytes.size() / kFilterLineBytes);
  std::memcpy(lines_.data(), bytes.data(), bytes.size());
  return true;
}

uint64_t ValueFilterBuilder::finish(std::string& out) const {
  size_t most = 0, begin = 0;
  for (const size_t end : ends_) {
    most = std::max(most, end - begin);
    begin = end;
  }
  if (most == 0) return 0;
  const size_t blocks = ends_.size();
  const uint64_t lines = most * kBitsPerValue / kLineBits + 1;
  std::vector<FilterLine> all(lines * blocks);
  begin = 0;
  for (size_t block = 0; block < blocks; ++block) {
    for (size_t i = begin; i < ends_[block]; ++i) all[filter_line(hashes_[i], lines) * blocks + block].add(hashes_[i]);
    begin = ends_[block];
  }
  const size_t row_bytes = blocks * kFilterLineBytes;
  out.reserve(out.size() + lines * (row_bytes + 4));
  for (uint64_t line = 0; line < lines; ++line) {
    const std::string_view row(reinterpret_cast<const char*>(&all[line * blocks]), row_bytes);
    out.append(row);
    append_fixed(out, checksum32(row));
  }
  return lines;
}

}  // namespace clew::store

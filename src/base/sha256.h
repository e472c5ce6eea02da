// SHA-256 (FIPS 180-4) by OpenSSL: for what has to withstand somebody who looks for collisions: the digests that
// signatures stand for. Everything else uses the hashes of base/hash.h, which are much faster and do not. Pure; any
// thread; O(bytes).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace clew {

struct Digest256 {
  std::array<uint8_t, 32> bytes{};
  friend auto operator<=>(const Digest256&, const Digest256&) = default;  // NOLINT(modernize-use-nullptr)
  std::string_view view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

Digest256 sha256(std::string_view bytes);

}  // namespace clew

// SHA-256 (FIPS 180-4) by OpenSSL: for what has to withstand somebody who looks for collisions: the digests that
// signatures stand for, and those of saved states, which members fetch from each other. Everything else uses the hashes
// of base/hash.h, which are much faster and do not. Pure; any thread; O(bytes).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace clew {

class ByteReader;

struct Digest256 {
  std::array<uint8_t, 32> bytes{};
  friend auto operator<=>(const Digest256&, const Digest256&) = default;  // NOLINT(modernize-use-nullptr)
  std::string_view view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

Digest256 sha256(std::string_view bytes);

Digest256 read_digest(ByteReader& in);  // its 32 bytes as they are; check in.ok()

// SHA-256 of bytes that come in pieces. One thread.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void add(std::string_view bytes);
  Digest256 digest() const;  // of everything added so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace clew

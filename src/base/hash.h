// Hashes and checksums (XXH3). `stable_*` never change: they are on disk and on the wire. `seeded_hash` is for tables
// in memory that strangers can fill: its seed is drawn at start-up, so nobody can aim at a bucket. Pure; any thread;
// O(bytes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace clew {

struct Hash128 {
  uint64_t lo = 0;
  uint64_t hi = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

uint64_t stable_hash64(std::string_view bytes);
Hash128 stable_hash128(std::string_view bytes);
// stable_hash128 of bytes that come in pieces.
class StableHasher {
 public:
  StableHasher();
  ~StableHasher();
  StableHasher(const StableHasher&) = delete;
  StableHasher& operator=(const StableHasher&) = delete;
  void add(std::string_view bytes);
  Hash128 hash() const;  // of everything added so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

uint64_t seeded_hash(std::string_view bytes, uint64_t seed);
// Block and record checksum: the low 32 bits of XXH3-64.
uint32_t checksum32(std::string_view bytes);

// Mixes two 64-bit values into one (multiply-xorshift); stable.
inline uint64_t mix64(uint64_t a, uint64_t b) {
  uint64_t x = a ^ (b + 0x9e3779b97f4a7c15ull + (a << 6) + (a >> 2));
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93ull;
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93ull;
  x ^= x >> 32;
  return x;
}

}  // namespace clew

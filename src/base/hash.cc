#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace clew {

uint64_t stable_hash64(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

Hash128 stable_hash128(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

struct StableHasher::State {
  XXH3_state_t xxh;
};
StableHasher::StableHasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
StableHasher::~StableHasher() = default;
void StableHasher::add(std::string_view bytes) { XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size()); }
Hash128 StableHasher::hash() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state_->xxh);
  return {hash.low64, hash.high64};
}

uint64_t seeded_hash(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

uint32_t checksum32(std::string_view bytes) { return static_cast<uint32_t>(stable_hash64(bytes)); }

}  // namespace clew

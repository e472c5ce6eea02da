// The content hash of a span, in pieces, so that rows (codes) and Spans (texts) come to the same number. Texts count by
// stable_hash64, which a dictionary keeps per entry. Stable: it is stored in digests and compared between nodes.
// Absent and empty are equal, as in proto3. Attribute lists are sums and so have no order; the rest is a chain.
#pragma once

#include <cstdint>

#include "base/hash.h"
#include "model/dictionary.h"
#include "model/ids.h"

namespace clew::model {

inline uint64_t field_hash(uint64_t key_hash, ValueType type) { return mix64(key_hash, static_cast<uint64_t>(type)); }
inline uint64_t attribute_hash(uint64_t field, uint64_t value) {
  uint64_t x = (field ^ value) * 0xd6e8feb86659fd93ull;
  x ^= x >> 32;
  x += field;
  x *= 0x9e3779b97f4a7c15ull;
  return x ^ x >> 29;
}

class ContentHash {
 public:
  void add(uint64_t v) { state_ = mix64(state_, v); }
  // A part that most spans lack.
  void add_optional(uint64_t tag, uint64_t v) {
    add(tag);
    add(v);
  }
  uint64_t value() const { return state_; }

 private:
  uint64_t state_ = 0;
};

// Tags of optional parts.
enum ContentPart : uint64_t {
  kPartFlags = 1,
  kPartTraceState = 2,
  kPartStatusMessage = 3,
  kPartDropped = 4,
  kPartEvent = 5,
  kPartLink = 6,
  kPartUnknown = 7,
};

}  // namespace clew::model

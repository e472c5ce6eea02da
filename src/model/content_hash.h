// The content hash of a span, in pieces, so that rows (codes) and Spans (texts) come to the same number. Texts count by
// stable_hash64, which a dictionary keeps per entry. Stable: it is stored in digests and compared between nodes.
// Absent and empty are equal, as in proto3. Attribute lists are sums and so have no order. What every span has is a sum
// of parts mixed with their places, so that none waits for another; what only some have follows as a chain.
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
  // The parts that every span has; of the texts, their hashes.
  struct Head {
    uint64_t span_id = 0, parent_id = 0;
    int64_t start_ns = 0, end_ns = 0;
    uint8_t kind = 0, status = 0;
    uint64_t name = 0, resource = 0, scope = 0;
    uint64_t attributes = 0;
  };
  explicit ContentHash(const Head& head) {
    uint64_t place = 0;
    const auto part = [&place](uint64_t v) {
      place += 0xa0761d6478bd642full;
      return attribute_hash(place, v);
    };
    state_ += part(head.span_id);
    state_ += part(head.parent_id);
    state_ += part(static_cast<uint64_t>(head.start_ns));
    state_ += part(static_cast<uint64_t>(head.end_ns));
    state_ += part(uint64_t{head.kind} | uint64_t{head.status} << 8);
    state_ += part(head.name);
    state_ += part(head.resource);
    state_ += part(head.scope);
    state_ += part(head.attributes);
  }
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

// CodeMap: pairs of 64-bit words to dense codes 0, 1, 2, ... in order of first appearance. What the segment writer uses
// to number operations, contexts and values, at a few nanoseconds a question.
// Keys come from strangers, so the hash is seeded. Single-threaded. Grows without limit: the caller bounds it.
#pragma once

#include <cstdint>
#include <vector>

#include "base/hash.h"

namespace clew::store {

class CodeMap {
 public:
  struct Key {
    uint64_t a = 0, b = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  static constexpr uint32_t kNone = UINT32_MAX;

  explicit CodeMap(uint64_t seed) : seed_(seed), slots_(1024, 0), mask_(1023) {}

  // The code of the key, added when absent.
  uint32_t code(Key key) {
    for (uint64_t i = hash(key) & mask_;; i = (i + 1) & mask_) {
      const uint32_t slot = slots_[i];
      if (slot == 0) break;
      if (keys_[slot - 1] == key) return slot - 1;
    }
    return add(key);
  }
  uint32_t find(Key key) const {
    for (uint64_t i = hash(key) & mask_;; i = (i + 1) & mask_) {
      const uint32_t slot = slots_[i];
      if (slot == 0) return kNone;
      if (keys_[slot - 1] == key) return slot - 1;
    }
  }
  const std::vector<Key>& keys() const { return keys_; }  // by code
  uint32_t size() const { return static_cast<uint32_t>(keys_.size()); }

 private:
  uint64_t hash(Key key) const {
    uint64_t x = (key.a ^ seed_) * 0x9e3779b97f4a7c15ull;
    x ^= (x >> 29) ^ key.b;
    x *= 0xd6e8feb86659fd93ull;
    return x ^ (x >> 32);
  }
  uint32_t add(Key key) {
    keys_.push_back(key);
    if (keys_.size() * 2 > slots_.size()) {
      slots_.assign(slots_.size() * 2, 0);
      mask_ = slots_.size() - 1;
      for (uint32_t k = 0; k < keys_.size(); ++k) place(k);
    } else {
      place(static_cast<uint32_t>(keys_.size() - 1));
    }
    return static_cast<uint32_t>(keys_.size() - 1);
  }
  void place(uint32_t k) {
    uint64_t i = hash(keys_[k]) & mask_;
    while (slots_[i] != 0) i = (i + 1) & mask_;
    slots_[i] = k + 1;
  }

  uint64_t seed_;
  std::vector<Key> keys_;
  std::vector<uint32_t> slots_;  // code + 1
  uint64_t mask_;
};

}  // namespace clew::store

// DigestTree: an incremental digest of a set of (key, value) entries: equal sets have equal roots, whatever the order
// of the changes that led there. A Merkle tree over a fixed number of buckets, so that two stores that differ can be
// compared from the root down to the buckets that differ.
//
// A bucket holds the sum, modulo 2^128, of the hashes of its entries: adding and removing one are O(1), without
// reading the others. It finds accidents, not adversaries: someone who chooses entries freely could construct equal
// sums. Bucket by a hash of what the entry is about (the user's key), so that a difference can be named.
//
// One thread. add and remove: O(entry); root: O(buckets changed since it was last read), at most O(kBuckets).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace clew::kv {

class DigestTree {
 public:
  static constexpr size_t kGroups = 32;
  static constexpr size_t kBuckets = kGroups * 32;
  static size_t bucket_of(std::string_view subject) { return stable_hash64(subject) % kBuckets; }

  DigestTree() : buckets_(kBuckets) {}
  void add(size_t bucket, std::string_view key, std::string_view value);
  void remove(size_t bucket, std::string_view key, std::string_view value);
  void clear();

  Hash128 root() const;
  Hash128 group(size_t index) const;  // over the buckets [32 * index, 32 * index + 32)
  Hash128 bucket(size_t index) const { return buckets_[index]; }

 private:
  void refresh() const;

  std::vector<Hash128> buckets_;
  mutable std::array<Hash128, kGroups> groups_{};
  mutable uint32_t stale_groups_ = ~0u;  // a bit a group
  mutable Hash128 root_;
};

}  // namespace clew::kv

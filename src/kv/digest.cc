#include "kv/digest.h"

#include <bit>
#include <string>

#include "base/varint.h"

namespace clew::kv {
namespace {

Hash128 entry_hash(std::string_view key, std::string_view value) {
  const Hash128 of_value = stable_hash128(value);
  const uint64_t of_key = stable_hash64(key);
  return {mix64(of_value.lo, of_key), mix64(of_value.hi, ~of_key)};
}

unsigned __int128 wide(const Hash128& hash) { return static_cast<unsigned __int128>(hash.hi) << 64 | hash.lo; }
Hash128 narrow(unsigned __int128 sum) { return {static_cast<uint64_t>(sum), static_cast<uint64_t>(sum >> 64)}; }

template <typename Range>
Hash128 hash_of(const Range& hashes) {
  std::string bytes;
  bytes.reserve(hashes.size() * 16);
  for (const Hash128& hash : hashes) {
    append_fixed(bytes, hash.lo);
    append_fixed(bytes, hash.hi);
  }
  return stable_hash128(bytes);
}

}  // namespace

void DigestTree::add(size_t bucket, std::string_view key, std::string_view value) {
  buckets_[bucket] = narrow(wide(buckets_[bucket]) + wide(entry_hash(key, value)));
  stale_groups_ |= 1u << bucket / kGroups;
}

void DigestTree::remove(size_t bucket, std::string_view key, std::string_view value) {
  buckets_[bucket] = narrow(wide(buckets_[bucket]) - wide(entry_hash(key, value)));
  stale_groups_ |= 1u << bucket / kGroups;
}

void DigestTree::clear() {
  buckets_.assign(kBuckets, Hash128{});
  stale_groups_ = ~0u;
}

void DigestTree::refresh() const {
  if (stale_groups_ == 0) return;
  for (uint32_t stale = stale_groups_; stale != 0; stale &= stale - 1) {
    const auto group = static_cast<size_t>(std::countr_zero(stale));
    const auto begin = buckets_.begin() + static_cast<std::ptrdiff_t>(group * kGroups);
    groups_[group] = hash_of(std::vector<Hash128>(begin, begin + kGroups));
  }
  stale_groups_ = 0;
  root_ = hash_of(groups_);
}

Hash128 DigestTree::root() const {
  refresh();
  return root_;
}

Hash128 DigestTree::group(size_t index) const {
  refresh();
  return groups_[index];
}

}  // namespace clew::kv

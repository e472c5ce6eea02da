// PieceCache: what was read and checked of segments, most recently used first, within a byte budget. Shared by all
// segments of a store; any thread. ~100 ns a question. A budget of 0 keeps nothing.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>

#include "base/mutex.h"

namespace clew::store {

class PieceCache {
 public:
  struct Key {
    uint64_t segment = 0;  // unique in the process
    uint64_t offset = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  explicit PieceCache(uint64_t budget_bytes) : budget_(budget_bytes) {}

  // shared: a reader keeps using what the cache drops meanwhile. Null when absent.
  std::shared_ptr<const void> get(Key key) {
    MutexLock lock(mutex_);
    const auto found = table_.find(key);
    if (found == table_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->value;
  }
  void put(Key key, std::shared_ptr<const void> value, uint64_t bytes) {
    if (bytes > budget_) return;
    MutexLock lock(mutex_);
    if (table_.contains(key)) return;
    entries_.push_front({key, std::move(value), bytes});
    table_.emplace(key, entries_.begin());
    bytes_ += bytes;
    while (bytes_ > budget_) {
      bytes_ -= entries_.back().bytes;
      table_.erase(entries_.back().key);
      entries_.pop_back();
    }
  }
  uint64_t bytes() const {
    MutexLock lock(mutex_);
    return bytes_;
  }

 private:
  struct Entry {
    Key key;
    std::shared_ptr<const void> value;
    uint64_t bytes;
  };
  struct Hash {
    size_t operator()(const Key& key) const {
      return static_cast<size_t>((key.segment * 0x9e3779b97f4a7c15ull) ^ (key.offset * 0xd6e8feb86659fd93ull >> 16));
    }
  };
  const uint64_t budget_;
  mutable Mutex mutex_;
  std::list<Entry> entries_ CLEW_GUARDED_BY(mutex_);
  std::unordered_map<Key, std::list<Entry>::iterator, Hash> table_ CLEW_GUARDED_BY(mutex_);
  uint64_t bytes_ CLEW_GUARDED_BY(mutex_) = 0;
};

}  // namespace clew::store

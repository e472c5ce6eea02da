// BufferPool: request bodies that come back. A body is read into a std::string of its final size; a fresh one would
// cost an allocation, its page faults and a zero-fill of every byte, which at 100 KB is as much as receiving it.
// Strings return here when their last reader lets go.
//
// Bounded: at most kMaxKept strings and kMaxKeptBytes in all; larger ones are freed. Any thread; one short critical
// section.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"

namespace clew::api {

class BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  static constexpr size_t kMaxKept = 64;
  static constexpr size_t kMaxKeptBytes = 16u << 20;
  static constexpr size_t kMaxBufferBytes = 4u << 20;

  static std::shared_ptr<BufferPool> create() { return std::shared_ptr<BufferPool>(new BufferPool); }

  // Of exactly `size` bytes, contents unspecified.
  std::string take(size_t size);
  void give(std::string buffer);
  // The string as a shared body that returns here at the end; it keeps the pool alive.
  std::shared_ptr<const std::string> share(std::string buffer);

 private:
  BufferPool() = default;
  Mutex mutex_;
  std::vector<std::string> kept_ CLEW_GUARDED_BY(mutex_);
  size_t kept_bytes_ CLEW_GUARDED_BY(mutex_) = 0;
};

}  // namespace clew::api

#include "api/buffer_pool.h"

#include <utility>

namespace clew::api {

std::string BufferPool::take(size_t size) {
  std::string buffer;
  {
    const MutexLock lock(mutex_);
    // The most recent one that is large enough (its pages are still in a cache), else the most recent.
    size_t pick = kept_.size();
    for (size_t i = kept_.size(); i-- > 0;) {
      if (pick == kept_.size()) pick = i;
      if (kept_[i].size() >= size) {
        pick = i;
        break;
      }
    }
    if (pick < kept_.size()) {
      std::swap(kept_[pick], kept_.back());
      buffer = std::move(kept_.back());
      kept_.pop_back();
      kept_bytes_ -= buffer.capacity();
    }
  }
  if (buffer.capacity() < size) buffer.clear();  // growing must not copy what nobody wants
  buffer.resize(size);
  return buffer;
}

void BufferPool::give(std::string buffer) {
  const size_t bytes = buffer.capacity();
  if (bytes > kMaxBufferBytes || bytes < 512) return;
  const MutexLock lock(mutex_);
  if (kept_.size() >= kMaxKept || kept_bytes_ + bytes > kMaxKeptBytes) return;
  kept_bytes_ += bytes;
  kept_.push_back(std::move(buffer));
}

std::shared_ptr<const std::string> BufferPool::share(std::string buffer) {
  struct Holder {
    Holder(std::string b, std::shared_ptr<BufferPool> p) : text(std::move(b)), pool(std::move(p)) {}
    ~Holder() { pool->give(std::move(text)); }
    std::string text;
    std::shared_ptr<BufferPool> pool;
  };
  auto holder = std::make_shared<Holder>(std::move(buffer), shared_from_this());
  return {holder, &holder->text};
}

}  // namespace clew::api

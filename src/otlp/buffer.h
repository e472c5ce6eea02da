// Buffer: bytes being built by raw pointer, without std::string's zero-filling and per-byte checks. `room(n)` gives
// space for n bytes, `wrote(end)` says how far it was used. Reused from span to span; keeps its capacity. kSlack bytes
// behind what room() promised are its own, too, so that short pieces are copied in blocks. Single-threaded.
#pragma once

#include <cstring>
#include <memory>
#include <string_view>

#include "base/varint.h"

namespace clew::otlp {

class Buffer {
 public:
  static constexpr size_t kSlack = 16;
  char* room(size_t n) {
    if (capacity_ - size_ < n) grow(n);
    return data_.get() + size_;
  }
  void wrote(const char* end) { size_ = static_cast<size_t>(end - data_.get()); }
  void append(std::string_view bytes) {
    char* to = room(bytes.size());
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  // Usually a few bytes: whole blocks, no call.
  void append(const Buffer& other) {
    const size_t n = other.size_;
    char* to = room(n);
    const char* from = other.data_.get();
    for (size_t i = 0; i < n; i += kSlack) std::memcpy(to + i, from + i, kSlack);
    size_ += n;
  }
  void append_varint(uint64_t v) { wrote(put_varint(room(kMaxVarintBytes), v)); }
  template <typename T>
  void append_fixed(T v) {
    std::memcpy(room(sizeof(T)), &v, sizeof(T));
    size_ += sizeof(T);
  }
  void clear() { size_ = 0; }
  size_t size() const { return size_; }
  std::string_view view() const { return {data_.get(), size_}; }

 private:
  void grow(size_t n) {
    size_t capacity = capacity_ * 2 < 1024 ? 1024 : capacity_ * 2;
    while (capacity - size_ < n) capacity *= 2;
    auto data = std::make_unique_for_overwrite<char[]>(capacity + kSlack);
    if (size_ > 0) std::memcpy(data.get(), data_.get(), size_);
    data_ = std::move(data);
    capacity_ = capacity;
  }
  std::unique_ptr<char[]> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace clew::otlp

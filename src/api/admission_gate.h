// AdmissionGate: the bound on bytes that all receivers together hold of requests being received, decoded or stored.
// A receiver takes a Lease before it reads a body and refuses as retryable when it gets none, so memory stays bounded
// whatever clients send. Not fair and not a queue: who is refused comes back.
//
// Any thread; lock-free; O(1). A Lease outlives nothing of the gate: the gate lives longer than every receiver.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

namespace clew::api {

class AdmissionGate {
 public:
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Lease& operator=(Lease&& other) noexcept {
      if (this != &other) {
        release();
        gate_ = std::exchange(other.gate_, nullptr);
        bytes_ = std::exchange(other.bytes_, 0);
      }
      return *this;
    }
    ~Lease() { release(); }

    // Adds to what is held; false (and nothing added) when the budget does not allow it.
    bool grow(uint64_t bytes) {
      if (gate_ == nullptr || !gate_->take(bytes)) return false;
      bytes_ += bytes;
      return true;
    }
    uint64_t bytes() const { return bytes_; }
    void release() {
      if (gate_ != nullptr) gate_->used_.fetch_sub(bytes_, std::memory_order_relaxed);
      gate_ = nullptr;
      bytes_ = 0;
    }

   private:
    friend class AdmissionGate;
    Lease(AdmissionGate& gate, uint64_t bytes) : gate_(&gate), bytes_(bytes) {}
    AdmissionGate* gate_ = nullptr;
    uint64_t bytes_ = 0;
  };

  explicit AdmissionGate(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  std::optional<Lease> admit(uint64_t bytes) {
    if (!take(bytes)) {
      refused_.fetch_add(1, std::memory_order_relaxed);
      return std::nullopt;
    }
    return Lease(*this, bytes);
  }
  uint64_t used_bytes() const { return used_.load(std::memory_order_relaxed); }
  uint64_t max_bytes() const { return max_bytes_; }
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  bool take(uint64_t bytes) {
    const uint64_t before = used_.fetch_add(bytes, std::memory_order_relaxed);
    if (bytes <= max_bytes_ && before <= max_bytes_ - bytes) return true;
    used_.fetch_sub(bytes, std::memory_order_relaxed);
    return false;
  }
  const uint64_t max_bytes_;
  std::atomic<uint64_t> used_{0};
  std::atomic<uint64_t> refused_{0};
};

}  // namespace clew::api

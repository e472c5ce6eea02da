// AdmissionGate: the bound on bytes that all receivers together hold of requests being received, decoded or stored.
// A receiver takes a Lease before it reads a body and refuses as retryable when it gets none, so memory stays bounded
// whatever clients send. Not fair and not a queue: who is refused comes back.
//
// Any thread; lock-free; O(1). A Lease may outlive the gate: a node may answer after the servers are gone.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace clew::api {

class AdmissionGate {
  struct State {
    explicit State(uint64_t max) : max_bytes(max) {}
    bool take(uint64_t bytes) {
      const uint64_t before = used.fetch_add(bytes, std::memory_order_relaxed);
      if (bytes <= max_bytes && before <= max_bytes - bytes) return true;
      used.fetch_sub(bytes, std::memory_order_relaxed);
      return false;
    }
    const uint64_t max_bytes;
    std::atomic<uint64_t> used{0};
    std::atomic<uint64_t> refused{0};
  };

 public:
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept : state_(std::move(other.state_)), bytes_(std::exchange(other.bytes_, 0)) {}
    Lease& operator=(Lease&& other) noexcept {
      if (this != &other) {
        release();
        state_ = std::move(other.state_);
        bytes_ = std::exchange(other.bytes_, 0);
      }
      return *this;
    }
    ~Lease() { release(); }

    // Adds to what is held; false (and nothing added) when the budget does not allow it.
    bool grow(uint64_t bytes) {
      if (state_ == nullptr) return false;
      if (!state_->take(bytes)) {
        state_->refused.fetch_add(1, std::memory_order_relaxed);
        return false;
      }
      bytes_ += bytes;
      return true;
    }
    // Gives back a part of what is held, which is at least that.
    void shrink(uint64_t bytes) {
      if (state_ == nullptr) return;
      state_->used.fetch_sub(bytes, std::memory_order_relaxed);
      bytes_ -= bytes;
    }
    uint64_t bytes() const { return bytes_; }
    void release() {
      if (state_ != nullptr) state_->used.fetch_sub(bytes_, std::memory_order_relaxed);
      state_.reset();
      bytes_ = 0;
    }

   private:
    friend class AdmissionGate;
    Lease(std::shared_ptr<State> state, uint64_t bytes) : state_(std::move(state)), bytes_(bytes) {}
    std::shared_ptr<State> state_;
    uint64_t bytes_ = 0;
  };

  explicit AdmissionGate(uint64_t max_bytes) : state_(std::make_shared<State>(max_bytes)) {}

  std::optional<Lease> admit(uint64_t bytes) {
    if (!state_->take(bytes)) {
      state_->refused.fetch_add(1, std::memory_order_relaxed);
      return std::nullopt;
    }
    return Lease(state_, bytes);
  }
  uint64_t used_bytes() const { return state_->used.load(std::memory_order_relaxed); }
  uint64_t max_bytes() const { return state_->max_bytes; }
  uint64_t refused() const { return state_->refused.load(std::memory_order_relaxed); }

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace clew::api

// DurationHistogram: how long requests took, in the buckets that /metrics publishes. Any thread; lock-free; O(buckets).
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace clew::api {

class DurationHistogram {
 public:
  static constexpr std::array<double, 14> kBounds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                     0.1,    0.25,  0.5,    1,     2.5,  5,     10};  // seconds

  struct Snapshot {
    std::array<uint64_t, kBounds.size() + 1> counts{};  // not cumulative; the last one is above every bound
    double sum_seconds = 0;
  };

  void add(std::chrono::nanoseconds duration) {
    const double seconds = static_cast<double>(duration.count()) * 1e-9;
    size_t bucket = 0;
    while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
    counts_[bucket].fetch_add(1, std::memory_order_relaxed);
    sum_ns_.fetch_add(static_cast<uint64_t>(duration.count()), std::memory_order_relaxed);
  }
  Snapshot read() const {
    Snapshot snapshot;
    for (size_t i = 0; i < counts_.size(); ++i) snapshot.counts[i] = counts_[i].load(std::memory_order_relaxed);
    snapshot.sum_seconds = static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) * 1e-9;
    return snapshot;
  }

 private:
  std::array<std::atomic<uint64_t>, kBounds.size() + 1> counts_{};
  std::atomic<uint64_t> sum_ns_{0};
};

}  // namespace clew::api

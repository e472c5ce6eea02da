// DecayedPeerHistory: which calls usually have a server span, learnt from the traces that pass by.
//
// One entry per (service, span name of the CLIENT span): how many of them had a SERVER child, and how many had none.
// A call is expected to be answered when at least `min_seen` were seen and at most one in `tolerated` had no server: a
// peer without instrumentation never gets there, one that is sampled apart neither. When an entry has seen `window`,
// both counts are halved, so that a peer that stops reporting is forgotten after a few windows. Bounded: a fixed number
// of entries in sets of four; where a set is full the one seen least gives way, after its counts were halved once by
// the newcomer, so that a stranger who sends random names cannot drive out what is busy. Only hashes are kept (seeded,
// 64 bits). A pure value: copying it copies what it knows. Single-threaded. O(bytes of the two texts).
#pragma once

#include <cstdint>
#include <vector>

#include "trace/assess.h"

namespace clew::trace {

struct PeerHistoryOptions {
  uint32_t entries = 16384;  // rounded up to a power of two; 16 bytes each
  uint32_t min_seen = 20;
  uint32_t tolerated = 50;  // one missing in so many is still "usually"
  uint32_t window = 4096;
  uint64_t seed = 0;
};

class DecayedPeerHistory final : public PeerHistory {
 public:
  explicit DecayedPeerHistory(PeerHistoryOptions options = {});
  void learn(std::string_view service, std::string_view span_name, bool had_server_child) override;
  bool expects_server_child(std::string_view service, std::string_view span_name) const override;

 private:
  struct Entry {
    uint64_t key = 0;  // 0: free
    uint32_t with = 0, without = 0;
  };
  static constexpr size_t kWays = 4;
  uint64_t key_of(std::string_view service, std::string_view span_name) const;
  size_t set_of(uint64_t key) const { return (key & mask_) * kWays; }

  PeerHistoryOptions options_;
  uint64_t mask_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace clew::trace

// Linearizable reads by a barrier: a read waits for a round of messages that started after the read arrived, and then
// for the state to reach the position that was committed at that time (ReadIndex, Raft thesis §6.4; the same
// bookkeeping serves a Paxos leader's quorum read and ZAB's sync).
//
// One round at a time carries all reads that arrived before it; rounds are numbered, never by read ids, so that a late
// answer of an earlier reign or round confirms nothing (scenario 9). Pure; one thread; bounded by `max_waiting`.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "consensus/effects.h"
#include "consensus/types.h"

namespace clew::consensus {

// For how long a promise of `patience`, counted by another clock, is sure to last by this one, when either may go wrong
// by so much.
constexpr Time sure_patience(Time patience, uint32_t clock_error_ppm) {
  constexpr int64_t kMillion = 1'000'000;
  return patience / (kMillion + clock_error_ppm) * (kMillion - clock_error_ppm);
}

class ReadGate {
 public:
  explicit ReadGate(size_t max_waiting) : max_waiting_(max_waiting) {}

  struct Waiting {
    ReadId id{};
    NodeId from = kNobody;  // nobody: this node's own client
    Position position = 0;
  };

  // `position`: committed when the read arrived. False when the gate is full. It waits for a round that is yet to
  // start.
  bool add(Waiting read);
  // The number of the round to send now; every read that waits without a round joins it. 0: nobody waits for one.
  uint64_t start_round();
  // The newest round that was started; messages repeat it.
  uint64_t newest_round() const { return round_; }
  bool waiting() const { return !waiting_.empty(); }
  // A quorum confirmed `round` (or a later one): the reads that it lets pass, in the order of arrival.
  std::vector<Waiting> confirmed(uint64_t round);
  // A reign ends: everybody who waits, for refusal. Round numbers go on.
  std::vector<Waiting> clear();

 private:
  struct Item {
    Waiting read;
    uint64_t round;  // 0: none yet
  };
  size_t max_waiting_;
  std::deque<Item> waiting_;
  uint64_t round_ = 0;
};

}  // namespace clew::consensus

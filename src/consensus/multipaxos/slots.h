// Slots: an acceptor's memory: for each slot above the compacted prefix the vote that it cast last, a ballot and a
// value. There may be gaps, and neighbours may be of different ballots: Paxos accepts in any order.
//
// Keeps which votes the next record has to hold, and which record holds each, so that the log on disk can be released.
//
// Pure; one thread. O(1) a slot; memory: bytes(), and some words for each slot up to high().
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "consensus/multipaxos/ballot.h"
#include "consensus/types.h"

namespace clew::consensus::multipaxos {

// A vote: what an acceptor accepted last in a slot. The entry's epoch is the round under which its value was proposed
// first, and part of the value.
struct Acceptance {
  Ballot ballot;
  Entry entry;
  bool bare = false;  // without the bytes of its command: a witness's
};

class Slots {
 public:
  Position base() const { return base_; }  // 0, or the last compacted slot
  Position first() const { return base_ + 1; }
  Position high() const { return base_ + slots_.size(); }  // the highest slot with a vote, or the base
  uint64_t bytes() const { return bytes_; }

  const Acceptance* find(Position position) const;  // nullptr: no vote, compacted, or above high()
  void put(Position position, Acceptance vote);     // position > base(); to be written
  void compact(Position position);                  // <= high()
  // A snapshot stands for everything up to `position`; votes above it stay. Nothing is unwritten.
  void install(Position position);
  void reset(Position base);           // no votes at all
  void drop_above(Position position);  // recovery only
  void lower(Position base);           // recovery only: <= base(); what is between has no votes

  // --- Disk ---
  struct Run {
    Position first = 0;
    Position last = 0;
  };
  // What the next record has to hold, by position; empties the list.
  std::vector<Run> take_unwritten();
  bool any_unwritten() const { return !unwritten_.empty(); }
  void wrote(const Run& run, LogSeq seq);
  // The lowest record that holds a vote above `position`; 0: none. O(slots).
  LogSeq lowest_record_above(Position position) const;

 private:
  struct Slot {
    Acceptance vote;  // without a ballot: none
    LogSeq seq = 0;   // the record that holds it
  };
  Position base_ = 0;
  std::deque<Slot> slots_;  // the last one has a vote
  uint64_t bytes_ = 0;
  std::vector<Run> unwritten_;
};

}  // namespace clew::consensus::multipaxos

// Log: the entries since the last compaction, in memory, with what is known about their way to disk; and with the holes
// that damaged records left.
//
//   base   first ............ last       (hole)      island            true_last
//   |------|======================|- - - - - - - - -|=========|- - - - -|
//
// [first, last] is whole. What lies behind a hole is an *island*: it was acknowledged, so that it stays, but nothing is
// delivered, matched or compared beyond `last` until the hole is filled. true_last is what this node once held: votes
// are judged by it. An island knows the epoch of the entry right before it (`prev_epoch`), so that a filled hole joins
// it only when Log Matching holds across the seam; entries that contradict it cut it off, as any conflict does.
//
// Disk: entries go out in records (raft/records.h). `unwritten()` is what the next record must hold. wrote() and
// durable() track completions by record number; a truncation takes back what is still on its way, so that an old
// completion never acknowledges a newer entry at the same position (scenario 6).
//
// Pure; one thread. O(1) a step; O(entries) where entries move. Memory: bytes().
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/status.h"
#include "consensus/types.h"

namespace clew::consensus::raft {

class Log {
 public:
  Position base() const { return base_; }  // 0, or the position of the last compacted entry
  Epoch base_epoch() const { return base_epoch_; }
  Position first() const { return base_ + 1; }
  Position last() const { return base_ + entries_.size(); }
  Epoch last_epoch() const { return entries_.empty() ? base_epoch_ : entries_.back().epoch; }
  bool has_hole() const { return !islands_.empty(); }
  Position true_last() const;
  Epoch true_last_epoch() const;
  uint64_t bytes() const { return bytes_; }
  // How often a suffix was cut off: tells a recovering node whether that happened inside a gap.
  uint64_t generation() const { return generation_; }

  // In [first, last].
  const Entry& at(Position position) const { return entries_[position - base_ - 1]; }
  // Also for base; nothing elsewhere.
  std::optional<Epoch> epoch_at(Position position) const;
  bool contains(Position position, Epoch epoch) const { return epoch_at(position) == epoch; }
  // Also on islands; null when it is not here.
  const Entry* find(Position position) const;
  // The largest position in [base, min(limit, last)] whose epoch is at most `epoch`; base when none is. What a follower
  // hints, and what a leader makes of the hint: one round a term (Raft §5.3).
  Position back_off(Position limit, Epoch epoch) const;

  // Behind `last`; no hole. For a leader.
  void append(Entry entry);
  // For a follower, at position <= last + 1: keeps an equal entry, fills a hole, or cuts off a conflicting suffix and
  // appends. The first position that went, or nothing.
  std::optional<Position> take(Position position, Entry entry);
  // Everything at or behind `position` (> base) goes, islands too.
  void cut(Position position);
  // Forgets entries up to `position` (<= last). Disk is not concerned.
  void compact(Position position);
  // A snapshot stands for everything up to `position`: what follows an equal entry stays, what contradicts goes (Raft
  // §7, Figure 13, step 6). True when a suffix was cut off.
  bool install(Position position, Epoch epoch);
  // The snapshot that stood for the prefix is lost: everything up to `base` is a hole from now on.
  void forget_base();

  // --- What the next record must hold ---
  struct Unwritten {
    Position first = 0;
    Position last = 0;
    bool truncates = false;  // whatever stood at or behind `first` is void
  };
  std::optional<Unwritten> unwritten() const { return unwritten_; }
  // It is in record `seq`.
  void wrote(LogSeq seq);
  // The snapshot that install() took is in record `seq`.
  void installed(LogSeq seq);
  // Every record up to `seq` is durable.
  void durable(LogSeq seq);
  // Everything up to it is durable here, without a hole.
  Position durable_position() const { return durable_; }
  // The record that has to be durable before `position` may be acknowledged; 0 when it is already.
  LogSeq needed_for(Position position) const;
  // The lowest record that holds an entry above `position`; 0 when there is none.
  LogSeq lowest_record_above(Position position) const;

  // --- Recovery, before anything else ---
  // Entries of record `seq`, some of which may be here already. kDataLoss when they contradict what stands around them.
  Status replay(LogSeq seq, Position first, Epoch prev_epoch, std::vector<Entry> entries, bool truncates);
  // After a gap: what stands above `keep` may have been overwritten inside of it.
  void distrust_above(Position keep);
  // The log reached to `position` once.
  void reached(Position position, Epoch epoch);
  void set_generation(uint64_t generation) { generation_ = generation; }
  void replayed();  // all of it is durable

 private:
  struct Island {
    Position first = 0;
    Epoch prev_epoch = 0;
    std::deque<Entry> entries;  // empty only for the last one: the end of the log is lost
    Position last() const { return first + entries.size() - 1; }
    Epoch last_epoch() const { return entries.empty() ? prev_epoch : entries.back().epoch; }
  };
  struct Run {  // entries of one record
    Position first;
    Position last;
    LogSeq seq;
  };
  struct Pending {  // once `seq` is durable, everything up to `last` is
    LogSeq seq;
    Position last;
  };

  void push(Entry entry);
  void mark_unwritten(Position position);
  void drop_islands_from(Position position);
  // Joins the first island, which begins right behind `last`. False when the epochs at the seam contradict each other.
  bool join_island();
  bool join(size_t at);  // an island with the next one, if they touch
  bool place(Island piece);
  static Status contradiction(LogSeq seq, Position position);
  void forget_runs_from(Position position);
  void add_run(Run run);

  Position base_ = 0;
  Epoch base_epoch_ = 0;
  std::deque<Entry> entries_;
  std::vector<Island> islands_;  // by position, not adjacent
  uint64_t bytes_ = 0;
  uint64_t generation_ = 0;

  std::optional<Unwritten> unwritten_;
  std::deque<Run> runs_;  // by their first position
  std::deque<Pending> pending_;
  Position durable_ = 0;
};

}  // namespace clew::consensus::raft

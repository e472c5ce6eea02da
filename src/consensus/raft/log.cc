#include "consensus/raft/log.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "base/check.h"
#include "consensus/planted.h"

namespace clew::consensus::raft {

Position Log::true_last() const { return islands_.empty() ? last() : islands_.back().last(); }
Epoch Log::true_last_epoch() const { return islands_.empty() ? last_epoch() : islands_.back().last_epoch(); }

std::optional<Epoch> Log::epoch_at(Position position) const {
  if (position == base_) return base_epoch_;
  if (position < base_ || position > last()) return std::nullopt;
  return at(position).epoch;
}

const Entry* Log::find(Position position) const {
  if (position > base_ && position <= last()) return &at(position);
  for (const Island& island : islands_) {
    if (position >= island.first && position < island.first + island.entries.size()) {
      return &island.entries[position - island.first];
    }
  }
  return nullptr;
}

Position Log::back_off(Position limit, Epoch epoch) const {
  Position low = base_;
  Position high = std::min(limit, last());
  if (high <= low) return low;
  while (low < high) {  // epochs never fall along a log
    const Position middle = low + (high - low + 1) / 2;
    if (at(middle).epoch <= epoch) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

void Log::push(Entry entry) {
  bytes_ += cost(entry);
  entries_.push_back(std::move(entry));
}

void Log::mark_unwritten(Position position) {
  if (!unwritten_) {
    unwritten_ = Unwritten{position, position, false};
    return;
  }
  unwritten_->last = position;  // what joined from an island in between is written again
}

void Log::append(Entry entry) {
  CHECK(islands_.empty());
  push(std::move(entry));
  mark_unwritten(last());
}

std::optional<Position> Log::take(Position position, Entry entry) {
  CHECK(position > base_ && position <= last() + 1);
  std::optional<Position> cut_at;
  if (position <= last()) {
    if (at(position).epoch == entry.epoch && !planted(Bug::kAppendTruncatesAlways)) return std::nullopt;
    if (planted(Bug::kAppendWithoutTruncation)) {
      entries_[position - base_ - 1] = std::move(entry);
      mark_unwritten(position);
      return std::nullopt;
    }
    cut(position);
    cut_at = position;
  }
  // Epochs never fall along a log, so an entry newer than the one before the island contradicts it.
  if (!islands_.empty() && entry.epoch > islands_.front().prev_epoch) {
    cut(position);
    cut_at = position;
  }
  push(std::move(entry));
  mark_unwritten(position);
  if (!islands_.empty() && islands_.front().first == last() + 1 && !join_island()) {
    cut(position + 1);
    cut_at = cut_at.value_or(position + 1);
  }
  return cut_at;
}

bool Log::join_island() {
  Island& island = islands_.front();
  if (island.prev_epoch != last_epoch()) return false;
  std::move(island.entries.begin(), island.entries.end(), std::back_inserter(entries_));
  islands_.erase(islands_.begin());
  return true;
}

void Log::drop_islands_from(Position position) {
  while (!islands_.empty() && islands_.back().last() >= position) {
    Island& island = islands_.back();
    while (!island.entries.empty() && island.last() >= position) {
      bytes_ -= cost(island.entries.back());
      island.entries.pop_back();
    }
    if (island.first >= position || island.entries.empty()) {
      islands_.pop_back();
    } else {
      break;
    }
  }
}

void Log::cut(Position position) {
  ++generation_;
  for (Island& island : islands_) {
    for (const Entry& entry : island.entries) bytes_ -= cost(entry);
  }
  islands_.clear();
  while (last() >= position) {
    bytes_ -= cost(entries_.back());
    entries_.pop_back();
  }
  forget_runs_from(position);
  if (!planted(Bug::kAsyncAppendAba)) {
    durable_ = std::min(durable_, position - 1);
    for (Pending& pending : pending_) pending.last = std::min(pending.last, position - 1);
  }
  const Position first = unwritten_ ? std::min(unwritten_->first, position) : position;
  unwritten_ = Unwritten{first, position - 1, true};
}

void Log::compact(Position position) {
  CHECK(position <= last());
  while (base_ < position) {
    base_epoch_ = entries_.front().epoch;
    bytes_ -= cost(entries_.front());
    entries_.pop_front();
    ++base_;
  }
  while (!runs_.empty() && runs_.front().last <= position) runs_.pop_front();
}

bool Log::install(Position position, Epoch epoch) {
  CHECK(!unwritten_);
  if (position < base_) return false;
  if (contains(position, epoch)) {
    compact(position);
    return false;
  }
  const uint64_t before = generation_;
  if (position <= last()) {
    // The entry at `position` differs, so that everything behind it does as well.
    if (planted(Bug::kSnapshotKeepsConflict)) {
      compact(position);
      base_epoch_ = epoch;
      return false;
    }
    cut(position);
  } else {
    // The snapshot reaches into the hole, onto an island or beyond the end. An island behind it stays unless the two
    // contradict each other.
    const Entry* same = find(position);
    if (same != nullptr && same->epoch != epoch) cut(last() + 1);
    while (!islands_.empty() && islands_.front().first <= position) {
      Island& island = islands_.front();
      while (!island.entries.empty() && island.first <= position) {
        bytes_ -= cost(island.entries.front());
        island.prev_epoch = island.entries.front().epoch;
        island.entries.pop_front();
        ++island.first;
      }
      if (!island.entries.empty() || (islands_.size() == 1 && island.first == position + 1)) break;
      islands_.erase(islands_.begin());
    }
    if (!islands_.empty()) {
      const Island& next = islands_.front();
      if (next.first == position + 1 ? next.prev_epoch != epoch : next.prev_epoch < epoch) cut(last() + 1);
    }
  }
  for (const Entry& entry : entries_) bytes_ -= cost(entry);
  entries_.clear();
  base_ = position;
  base_epoch_ = epoch;
  unwritten_.reset();
  pending_.clear();
  while (!runs_.empty() && runs_.front().last <= position) runs_.pop_front();
  if (!islands_.empty() && islands_.front().first == position + 1) CHECK(join_island());
  durable_ = std::min(durable_, last());
  return generation_ != before;
}

void Log::forget_base() {
  if (base_ == 0) return;
  Island island{base_ + 1, base_epoch_, std::move(entries_)};
  entries_.clear();
  if (!island.entries.empty() || islands_.empty()) islands_.insert(islands_.begin(), std::move(island));
  base_ = 0;
  base_epoch_ = 0;
  durable_ = 0;
  pending_.clear();
}

// --- Disk ---

void Log::wrote(LogSeq seq) {
  CHECK(unwritten_.has_value());
  if (unwritten_->truncates) forget_runs_from(unwritten_->first);
  if (unwritten_->last >= unwritten_->first) add_run({unwritten_->first, unwritten_->last, seq});
  pending_.push_back({seq, last()});
  unwritten_.reset();
}

void Log::installed(LogSeq seq) { pending_.push_back({seq, last()}); }

void Log::durable(LogSeq seq) {
  while (!pending_.empty() && pending_.front().seq <= seq) {
    durable_ = std::max(durable_, std::min(pending_.front().last, last()));
    pending_.pop_front();
  }
}

LogSeq Log::needed_for(Position position) const {
  if (position <= durable_) return 0;
  const auto it = std::lower_bound(pending_.begin(), pending_.end(), position,
                                   [](const Pending& pending, Position wanted) { return pending.last < wanted; });
  CHECK(it != pending_.end());  // nothing is acknowledged that is not at least in a record
  return it->seq;
}

LogSeq Log::lowest_record_above(Position position) const {
  LogSeq lowest = 0;
  for (const Run& run : runs_) {
    if (run.last > position && (lowest == 0 || run.seq < lowest)) lowest = run.seq;
  }
  return lowest;
}

void Log::forget_runs_from(Position position) {
  while (!runs_.empty() && runs_.back().first >= position) runs_.pop_back();
  for (Run& run : runs_) run.last = std::min(run.last, position - 1);
}

void Log::add_run(Run run) {
  auto it = runs_.end();
  while (it != runs_.begin() && std::prev(it)->first > run.first) --it;
  runs_.insert(it, run);
}

// --- Recovery ---

Status Log::replay(LogSeq seq, Position first, Epoch prev_epoch, std::vector<Entry> entries, bool truncates) {
  if (truncates) {
    if (first <= last()) {
      cut(std::max(first, base_ + 1));
      unwritten_.reset();
    } else {
      forget_runs_from(first);
      drop_islands_from(first);
    }
  }
  if (!entries.empty()) add_run({first, first + entries.size() - 1, seq});
  // A record may repeat entries that are here already (and a base passes over some); what is missing is put in place.
  size_t i = 0;
  while (i < entries.size()) {
    const Position position = first + i;
    const Entry* here = find(position);
    if (position <= base_ || here != nullptr) {
      if (here != nullptr && here->epoch != entries[i].epoch) return contradiction(seq, position);
      prev_epoch = entries[i].epoch;
      ++i;
      continue;
    }
    Island piece{position, position == base_ + 1 ? base_epoch_ : prev_epoch, {}};
    while (i < entries.size() && find(first + i) == nullptr) {
      bytes_ += cost(entries[i]);
      prev_epoch = entries[i].epoch;
      piece.entries.push_back(std::move(entries[i]));
      ++i;
    }
    if (!place(std::move(piece))) return contradiction(seq, position);
  }
  return {};
}

Status Log::contradiction(LogSeq seq, Position position) {
  return {Code::kDataLoss, "raft: the entry " + std::to_string(position) + " in record " + std::to_string(seq) +
                               " contradicts what stands around it; the log on disk is not of one piece, replace "
                               "this member"};
}

bool Log::place(Island piece) {
  size_t at = 0;
  while (at < islands_.size() && islands_[at].first < piece.first) ++at;
  // An empty island marks the lost end of the log: a piece that begins there takes its place.
  if (at < islands_.size() && islands_[at].first == piece.first) {
    if (islands_[at].prev_epoch != piece.prev_epoch) return false;
    islands_.erase(islands_.begin() + static_cast<ptrdiff_t>(at));
  }
  islands_.insert(islands_.begin() + static_cast<ptrdiff_t>(at), std::move(piece));
  if (at + 1 < islands_.size() && !join(at)) return false;
  if (at > 0 && !join(at - 1)) return false;
  return islands_.front().first != last() + 1 || join_island();
}

bool Log::join(size_t at) {
  Island& island = islands_[at];
  Island& behind = islands_[at + 1];
  if (island.last() + 1 != behind.first) return true;
  if (island.last_epoch() != behind.prev_epoch) return false;
  std::move(behind.entries.begin(), behind.entries.end(), std::back_inserter(island.entries));
  islands_.erase(islands_.begin() + static_cast<ptrdiff_t>(at) + 1);
  return true;
}

void Log::distrust_above(Position keep) {
  const Position from = std::max(keep, base_) + 1;
  const uint64_t generation = generation_;
  cut(from);
  generation_ = generation;
  unwritten_.reset();
}

void Log::reached(Position position, Epoch epoch) {
  if (position > true_last()) islands_.push_back(Island{position + 1, epoch, {}});
}

void Log::replayed() {
  unwritten_.reset();
  pending_.clear();
  durable_ = last();
}

}  // namespace clew::consensus::raft

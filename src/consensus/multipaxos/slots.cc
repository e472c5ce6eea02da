#include "consensus/multipaxos/slots.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace clew::consensus::multipaxos {

const Acceptance* Slots::find(Position position) const {
  if (position <= base_ || position > high()) return nullptr;
  const Slot& slot = slots_[position - base_ - 1];
  return slot.vote.ballot.none() ? nullptr : &slot.vote;
}

void Slots::put(Position position, Acceptance vote) {
  CHECK(position > base_ && !vote.ballot.none());
  if (position > high()) slots_.resize(position - base_);
  Slot& slot = slots_[position - base_ - 1];
  if (!slot.vote.ballot.none()) bytes_ -= cost(slot.vote.entry);
  bytes_ += cost(vote.entry);
  slot.vote = std::move(vote);
  slot.seq = 0;
  if (!unwritten_.empty() && unwritten_.back().last + 1 == position) {
    unwritten_.back().last = position;
  } else if (unwritten_.empty() || position < unwritten_.back().first || position > unwritten_.back().last) {
    unwritten_.push_back({position, position});
  }
}

void Slots::compact(Position position) {
  CHECK(position <= high());
  while (base_ < position) {
    const Acceptance& vote = slots_.front().vote;
    if (!vote.ballot.none()) bytes_ -= cost(vote.entry);
    slots_.pop_front();
    ++base_;
  }
}

void Slots::install(Position position) {
  CHECK(unwritten_.empty());
  if (position > high()) return reset(position);
  compact(position);
}

void Slots::reset(Position base) {
  slots_.clear();
  unwritten_.clear();
  bytes_ = 0;
  base_ = base;
}

void Slots::drop_above(Position position) {
  while (high() > position) {
    const Acceptance& vote = slots_.back().vote;
    if (!vote.ballot.none()) bytes_ -= cost(vote.entry);
    slots_.pop_back();
  }
  while (!slots_.empty() && slots_.back().vote.ballot.none()) slots_.pop_back();
}

void Slots::lower(Position base) {
  CHECK(base <= base_);
  if (!slots_.empty()) slots_.insert(slots_.begin(), base_ - base, Slot());
  base_ = base;
}

std::vector<Slots::Run> Slots::take_unwritten() {
  std::vector<Run> runs;
  runs.swap(unwritten_);
  if (runs.size() < 2) return runs;
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.first < b.first; });
  std::vector<Run> merged;
  for (const Run& run : runs) {
    if (!merged.empty() && run.first <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, run.last);
    } else {
      merged.push_back(run);
    }
  }
  return merged;
}

void Slots::wrote(const Run& run, LogSeq seq) {
  for (Position p = std::max(run.first, first()); p <= run.last; ++p) slots_[p - base_ - 1].seq = seq;
}

LogSeq Slots::lowest_record_above(Position position) const {
  LogSeq lowest = 0;
  for (Position p = std::max(position, base_) + 1; p <= high(); ++p) {
    const LogSeq seq = slots_[p - base_ - 1].seq;
    if (seq != 0 && (lowest == 0 || seq < lowest)) lowest = seq;
  }
  return lowest;
}

}  // namespace clew::consensus::multipaxos

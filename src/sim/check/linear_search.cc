#include "sim/check/linear_search.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"

namespace clew::sim::check {
namespace {

constexpr uint32_t kHead = 0;
constexpr uint64_t kNodeBytes = 64;  // of a remembered configuration, beside its key

void append_number(std::string& out, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

}  // namespace

LinearSearch::LinearSearch(std::vector<Entry> entries, Model& model, Limits limits)
    : entries_(std::move(entries)), model_(model), limits_(limits) {
  struct Event {
    uint64_t at;
    bool is_return;  // on a tie the return comes later: what cannot be told apart is concurrent
    uint32_t place;
  };
  std::vector<Event> events;
  bit_of_.resize(entries_.size());
  size_t others = 0;
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    CHECK(entry.required || entry.returned == kNever);
    CHECK(i == 0 || entries_[i - 1].invoked <= entry.invoked);
    bit_of_[i] = static_cast<uint32_t>(entry.required ? required_++ : others++);
    events.push_back({entry.invoked, false, invocation(i)});
    if (entry.required) events.push_back({entry.returned, true, invocation(i) + 1});
  }
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    if (a.at != b.at) return a.at < b.at;
    if (a.is_return != b.is_return) return b.is_return;
    return a.place < b.place;
  });
  next_.resize(1 + 2 * entries_.size());
  previous_.resize(next_.size());
  uint32_t last = kHead;
  for (const Event& event : events) {
    next_[last] = event.place;
    previous_[event.place] = last;
    last = event.place;
  }
  next_[last] = kHead;
  previous_[kHead] = last;
  required_bits_.resize(required_ / 64 + 1);
  other_bits_.resize(others / 64 + 1);
}

void LinearSearch::unlink(uint32_t place) {
  next_[previous_[place]] = next_[place];
  previous_[next_[place]] = previous_[place];
}

// Undoes the unlink(), when everything unlinked since is linked again (Knuth's dancing links).
void LinearSearch::relink(uint32_t place) {
  next_[previous_[place]] = place;
  previous_[next_[place]] = place;
}

void LinearSearch::put(uint32_t entry) {
  unlink(invocation(entry));
  const uint64_t bit = bit_of_[entry];
  if (entries_[entry].required) {
    unlink(invocation(entry) + 1);
    required_bits_[bit / 64] |= 1ull << (bit % 64);
    ++placed_required_;
  } else {
    other_bits_[bit / 64] |= 1ull << (bit % 64);
    ++placed_others_;
  }
  trail_.push_back(entry);
}

void LinearSearch::undo_to(size_t trail) {
  while (trail_.size() > trail) {
    const uint32_t entry = trail_.back();
    trail_.pop_back();
    const uint64_t bit = bit_of_[entry];
    if (entries_[entry].required) {
      relink(invocation(entry) + 1);
      required_bits_[bit / 64] &= ~(1ull << (bit % 64));
      --placed_required_;
      lowest_ = std::min<size_t>(lowest_, bit);
    } else {
      other_bits_[bit / 64] &= ~(1ull << (bit % 64));
      --placed_others_;
    }
    relink(invocation(entry));
  }
}

// Places everything that may come next, cannot change anything and answers what `state` answers. What stands behind the
// first return in the list of events is preceded by an operation that is not placed yet.
void LinearSearch::absorb(State state) {
  for (uint32_t place = next_[kHead]; place != kHead && place % 2 == 1; place = next_[place]) {
    const uint32_t entry = place / 2;
    if (!entries_[entry].required || !entries_[entry].pure) continue;
    ++steps_;
    State after = state;
    if (!model_.step(state, entries_[entry].op, after)) continue;
    const uint32_t before = previous_[place];
    put(entry);
    place = before;
  }
}

void LinearSearch::gather(State state) {
  const size_t first = candidates_.size();
  for (const bool required : {true, false}) {  // an unknown operation is the last resort
    for (uint32_t place = next_[kHead]; place != kHead && place % 2 == 1; place = next_[place]) {
      const uint32_t i = place / 2;
      const Entry& entry = entries_[i];
      if (entry.required != required || entry.pure) continue;
      if (!required && std::any_of(candidates_.begin() + static_cast<std::ptrdiff_t>(first), candidates_.end(),
                                   [&](const Candidate& other) {
                                     return !entries_[other.entry].required &&
                                            entries_[other.entry].group == entry.group;
                                   })) {
        continue;
      }
      ++steps_;
      State after = state;
      if (model_.step(state, entry.op, after)) candidates_.push_back({i, after});
    }
  }
}

// False when the configuration was met before. Its key: the state, how many required operations are placed, the first
// of them that is not, and the bits from there on as far as any is set; then the bits of the others.
bool LinearSearch::remember(State state) {
  while (lowest_ < required_ && (required_bits_[lowest_ / 64] >> (lowest_ % 64) & 1) != 0) ++lowest_;
  key_.clear();
  append_number(key_, state, 8);
  append_number(key_, placed_required_, 4);
  append_number(key_, lowest_, 4);
  const auto append_bits = [&](const std::vector<uint64_t>& bits, size_t word, size_t left) {
    for (; left > 0; ++word) {
      append_number(key_, bits[word], 8);
      left -= std::min<size_t>(left, static_cast<size_t>(std::popcount(bits[word])));
    }
  };
  // The bits below the lowest in its own word are set and repeat what its number says.
  const size_t above = placed_required_ - lowest_;
  if (above > 0) append_bits(required_bits_, lowest_ / 64, above + lowest_ % 64);
  append_bits(other_bits_, 0, placed_others_);
  if (!seen_.insert(key_).second) return false;
  bytes_ += key_.size() + kNodeBytes;
  return true;
}

void LinearSearch::note_dead_end(State state) {
  if (longest_noted_ && placed_required_ <= longest_required_) return;
  longest_noted_ = true;
  longest_required_ = placed_required_;
  longest_state_ = state;
  longest_.clear();
  for (const uint32_t entry : trail_) longest_.push_back(entries_[entry].op);
  blocked_.clear();
  for (uint32_t place = next_[kHead]; place != kHead && place % 2 == 1; place = next_[place]) {
    if (entries_[place / 2].required) blocked_.push_back(entries_[place / 2].op);
  }
}

Verdict LinearSearch::run() {
  std::vector<Frame> frames;
  State state = model_.initial();
  absorb(state);
  if (placed_required_ == required_) return Verdict::kFine;
  remember(state);
  frames.push_back({0, candidates_.size(), candidates_.size()});
  gather(state);
  if (candidates_.empty()) note_dead_end(state);
  while (!frames.empty()) {
    if (over_budget()) return Verdict::kUnknown;
    Frame& frame = frames.back();
    if (frame.next == candidates_.size()) {
      candidates_.resize(frame.candidates);
      undo_to(frame.trail);
      frames.pop_back();
      continue;
    }
    const Candidate candidate = candidates_[frame.next++];
    const size_t before = trail_.size();
    put(candidate.entry);
    state = candidate.next;
    absorb(state);
    if (placed_required_ == required_) return Verdict::kFine;
    if (!remember(state)) {
      undo_to(before);
      continue;
    }
    const size_t first = candidates_.size();
    gather(state);
    if (candidates_.size() == first) note_dead_end(state);
    frames.push_back({before, first, first});
  }
  return Verdict::kViolated;
}

}  // namespace clew::sim::check

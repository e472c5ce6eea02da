// The requests of local clients that have no answer yet: slots, found by number and given up in the order of their
// deadlines, which is the order of asking. Numbers are never used twice by one table. Single-threaded; O(1) each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "consensus/replica.h"

namespace clew::consensus {

struct Request {
  // Whom it answers says what it is: a command or a read, a session to open, a membership to change.
  std::variant<Answer<Reply>, Answer<SessionId>, Answer<Position>> answer;
  bool read = false;
  bool sets_time = false;
  std::string query;  // of a read
  Membership target;  // of a change of membership
  // Of a change of membership: where its entry stands. Of a read: the position that it waits for.
  Position placed = 0;

  void fail(RequestError error) {
    std::visit([&](auto& done) { done(std::move(error)); }, answer);
  }
};

class RequestTable {
 public:
  explicit RequestTable(size_t max) : max_(max) {}

  bool full() const { return live_ >= max_; }
  size_t size() const { return live_; }

  // Only when !full(). Deadlines do not fall from call to call.
  uint64_t add(Request request, Time deadline) {
    uint32_t slot;
    if (free_.empty()) {
      slot = static_cast<uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    Slot& entry = slots_[slot];
    entry.request.emplace(std::move(request));
    entry.deadline = deadline;
    entry.next = kNone;
    entry.previous = newest_;
    (newest_ == kNone ? oldest_ : slots_[newest_].next) = slot;
    newest_ = slot;
    ++live_;
    return number(slot);
  }

  Request* find(uint64_t id) {
    const uint64_t slot = id & kSlotMask;
    if (slot >= slots_.size() || !slots_[slot].request || number(static_cast<uint32_t>(slot)) != id) return nullptr;
    return &*slots_[slot].request;
  }

  std::optional<Request> take(uint64_t id) {
    Request* const found = find(id);
    if (found == nullptr) return {};
    std::optional<Request> taken(std::move(*found));
    const auto slot = static_cast<uint32_t>(id & kSlotMask);
    Slot& entry = slots_[slot];
    (entry.previous == kNone ? oldest_ : slots_[entry.previous].next) = entry.next;
    (entry.next == kNone ? newest_ : slots_[entry.next].previous) = entry.previous;
    entry.request.reset();
    ++entry.generation;
    free_.push_back(slot);
    --live_;
    return taken;
  }

  // All numbers, in the order of asking. O(size).
  std::vector<uint64_t> ids() const {
    std::vector<uint64_t> all;
    for (uint32_t slot = oldest_; slot != kNone; slot = slots_[slot].next) all.push_back(number(slot));
    return all;
  }

  Time next_deadline() const { return oldest_ == kNone ? kNever : slots_[oldest_].deadline; }
  // The oldest one, if its deadline is `now` or before.
  std::optional<uint64_t> expired(Time now) const {
    if (next_deadline() > now) return {};
    return number(oldest_);
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint64_t kSlotBits = 24;
  static constexpr uint64_t kSlotMask = (uint64_t{1} << kSlotBits) - 1;

  struct Slot {
    std::optional<Request> request;
    uint64_t generation = 1;
    Time deadline = 0;
    uint32_t previous = kNone;
    uint32_t next = kNone;
  };
  uint64_t number(uint32_t slot) const { return slots_[slot].generation << kSlotBits | slot; }

  size_t max_;
  size_t live_ = 0;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  uint32_t oldest_ = kNone;
  uint32_t newest_ = kNone;
};

}  // namespace clew::consensus

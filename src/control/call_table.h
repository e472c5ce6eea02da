// CallTable: the requests to a plane that have no answer yet, found by number. Numbers are never used twice by one
// table. Bounded in calls and in bytes. On the plane's loop; O(1), expired() O(calls) when something may be due.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "consensus/types.h"
#include "control/service.h"

namespace clew::control {

struct Call {
  kv::Space space = kv::Space::kUser;
  kv::Request request;
  CallOptions options;
  Done<CallReply> done;
  consensus::Time deadline = 0;
  uint64_t bytes = 0;
  bool reads = false;
  bool duty = false;       // this node's own, as a leader
  bool under_way = false;  // somebody has it who may yet carry it out
  bool maybe = false;      // somebody had it, and may have
  bool session_ended = false;
  std::string waits_for;  // why it could not be sent on so far
};

class CallTable {
 public:
  CallTable(size_t max_calls, uint64_t max_bytes) : max_calls_(max_calls), max_bytes_(max_bytes) {}

  bool full(uint64_t bytes) const { return live_ >= max_calls_ || bytes_ + bytes > max_bytes_; }
  size_t size() const { return live_; }

  // A place for one of so many bytes and that deadline; the rest is for the caller to fill in. Only when !full(). The
  // reference is good until the next add() or take(): requests are large, and not moved more often than need be.
  std::pair<uint64_t, Call&> add(uint64_t bytes, consensus::Time deadline) {
    if (free_.empty()) {
      free_.push_back(static_cast<uint32_t>(slots_.size()));
      slots_.emplace_back();
    }
    const uint32_t index = free_.back();
    free_.pop_back();
    Call& call = slots_[index].call.emplace();
    call.bytes = bytes;
    call.deadline = deadline;
    bytes_ += bytes;
    next_deadline_ = std::min(next_deadline_, deadline);
    ++live_;
    return {number(index), call};
  }
  // Null: it was answered. Valid until the next add() or take().
  Call* find(uint64_t id) {
    const auto index = static_cast<uint32_t>(id);
    return index < slots_.size() && slots_[index].call && number(index) == id ? &*slots_[index].call : nullptr;
  }
  // Whom to answer; the call is gone. Empty: it was answered.
  Done<CallReply> take(uint64_t id) {
    Call* const call = find(id);
    if (call == nullptr) return {};
    const auto index = static_cast<uint32_t>(id);
    Slot& slot = slots_[index];
    Done<CallReply> done = std::move(call->done);
    bytes_ -= call->bytes;
    slot.call.reset();
    ++slot.generation;
    free_.push_back(index);
    --live_;
    return done;
  }
  std::vector<uint64_t> expired(consensus::Time now) {
    std::vector<uint64_t> due;
    if (now < next_deadline_) return due;
    next_deadline_ = consensus::kNever;
    for (uint32_t i = 0; i < slots_.size(); ++i) {
      if (!slots_[i].call) continue;
      if (slots_[i].call->deadline <= now) {
        due.push_back(number(i));
      } else {
        next_deadline_ = std::min(next_deadline_, slots_[i].call->deadline);
      }
    }
    return due;
  }
  std::vector<uint64_t> all() const {
    std::vector<uint64_t> ids;
    for (uint32_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].call) ids.push_back(number(i));
    }
    return ids;
  }

 private:
  struct Slot {
    std::optional<Call> call;
    uint32_t generation = 1;
  };
  uint64_t number(uint32_t index) const { return uint64_t{slots_[index].generation} << 32 | index; }

  const size_t max_calls_;
  const uint64_t max_bytes_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  size_t live_ = 0;
  uint64_t bytes_ = 0;
  consensus::Time next_deadline_ = consensus::kNever;
};

}  // namespace clew::control

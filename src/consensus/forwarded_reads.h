// The reads of a member that does not lead: it numbers them and asks the leader for all up to the newest number in one
// question; the answer is a position that was confirmed after the question was asked, so that every read up to that
// number may use it (Raft thesis §6.4; Multi-Paxos and ZAB do the same). The leader's side: read_gate.h.
//
// Numbers are never used twice by any run of this node: start() at a random place. A question that is not answered is
// asked again after `resend_every`. Pure; one thread; bounded by `max_waiting`. O(1), answers by the number of reads.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "consensus/types.h"

namespace clew::consensus {

class ForwardedReads {
 public:
  ForwardedReads(size_t max_waiting, Time resend_every) : max_waiting_(max_waiting), resend_every_(resend_every) {}

  void start(uint64_t number) { number_ = number; }
  // False when too many wait.
  bool add(ReadId id) {
    if (waiting_.size() >= max_waiting_) return false;
    waiting_.push_back({++number_, id});
    return true;
  }
  // The question that is to be sent now; nothing when nobody waits, or the newest one is under way.
  std::optional<uint64_t> question(Time now) {
    if (waiting_.empty() || asked_ == waiting_.back().number) return std::nullopt;
    asked_ = waiting_.back().number;
    if (resend_due_ == kNever) resend_due_ = now + resend_every_;
    return asked_;
  }
  void tick(Time now) {
    if (now < resend_due_) return;
    asked_ = 0;  // the newest goes again
    resend_due_ = now + resend_every_;
  }
  Time deadline() const { return resend_due_; }
  // This node leads: it asks nobody.
  void rest() { resend_due_ = kNever; }
  // Those that an answer to question `number` is for, in the order of arrival.
  template <typename EachRead>
  void answered(uint64_t number, EachRead each) {
    if (number > number_) return;  // nobody asked that
    while (!waiting_.empty() && waiting_.front().number <= number) {
      each(waiting_.front().id);
      waiting_.pop_front();
    }
    if (waiting_.empty()) resend_due_ = kNever;
  }
  // Everybody who waits, for refusal. Numbers go on.
  template <typename EachRead>
  void clear(EachRead each) {
    for (const Waiting& read : waiting_) each(read.id);
    waiting_.clear();
    resend_due_ = kNever;
  }

 private:
  struct Waiting {
    uint64_t number;
    ReadId id;
  };
  size_t max_waiting_;
  Time resend_every_;
  std::deque<Waiting> waiting_;
  uint64_t number_ = 0;
  uint64_t asked_ = 0;
  Time resend_due_ = kNever;
};

}  // namespace clew::consensus

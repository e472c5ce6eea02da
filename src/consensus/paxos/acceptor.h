// Acceptor of single-decree Paxos: Lamport, "Paxos Made Simple" (2001), §2.2: "an acceptor can accept a proposal
// numbered n iff it has not responded to a prepare request having a number greater than n". It is the memory of the
// algorithm: what it has said it may never take back, so its state must be durable before an answer leaves.
//
// Pure; one thread at a time. Invariant: what is accepted was accepted under a ballot not above the promise.
#pragma once

#include <string_view>
#include <utility>

#include "base/status.h"
#include "consensus/paxos/messages.h"

namespace clew::consensus::paxos {

class Acceptor {
 public:
  struct State {
    Ballot promised;    // nothing below it is answered but by a refusal
    Proposal accepted;  // the last one
    friend bool operator==(const State&, const State&) = default;
  };

  Acceptor() = default;
  explicit Acceptor(State recovered) : state_(std::move(recovered)) {}

  // Phase 1b and 2b: the answer. It may leave once state() is durable: persist before you speak.
  // A repeated request is answered again: its answer may have been lost.
  Message on_prepare(const Ballot& ballot);
  Message on_accept(const Ballot& ballot, std::string_view value);

  const State& state() const { return state_; }
  Status check_invariants() const;

 private:
  Message refusal(const Ballot& ballot) const;

  State state_;
};

}  // namespace clew::consensus::paxos

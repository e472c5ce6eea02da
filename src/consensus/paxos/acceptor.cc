#include "consensus/paxos/acceptor.h"

#include "consensus/planted.h"

namespace clew::consensus::paxos {

// It carries the promise, so that the proposer knows which round to go beyond instead of finding it by trying.
Message Acceptor::refusal(const Ballot& ballot) const {
  Message answer;
  answer.kind = MessageKind::kRefusal;
  answer.ballot = ballot;
  answer.promised = state_.promised;
  return answer;
}

Message Acceptor::on_prepare(const Ballot& ballot) {
  if (ballot < state_.promised) return refusal(ballot);
  state_.promised = ballot;
  Message answer;
  answer.kind = MessageKind::kPromise;
  answer.ballot = ballot;
  answer.accepted = state_.accepted;
  return answer;
}

Message Acceptor::on_accept(const Ballot& ballot, std::string_view value) {
  if (ballot < state_.promised) return refusal(ballot);
  // To accept at n is to promise n: else it could promise, and accept, something between the old promise and n.
  if (!planted(Bug::kDecreeAcceptWithoutPromise)) state_.promised = ballot;
  state_.accepted = {ballot, std::string(value)};
  Message answer;
  answer.kind = MessageKind::kAccepted;
  answer.ballot = ballot;
  answer.value = state_.accepted.value;
  return answer;
}

Status Acceptor::check_invariants() const {
  if (state_.accepted.ballot > state_.promised) {
    return Error{Code::kInternal, "an acceptor accepted at " + multipaxos::to_string(state_.accepted.ballot) +
                                      " and has promised only " + multipaxos::to_string(state_.promised)};
  }
  return {};
}

}  // namespace clew::consensus::paxos

// Learner of single-decree Paxos (Lamport, "Paxos Made Simple", 2001, §2.3): finds out that a proposal was chosen: a
// quorum accepted it under one ballot. Told by the acceptors (n messages to each learner), or by a distinguished
// learner that was told by them (n messages, and one to each other learner). What it has learned never changes.
//
// Pure; one thread at a time. Memory: one proposal an acceptor.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "consensus/paxos/messages.h"

namespace clew::consensus::paxos {

class Learner {
 public:
  // `quorum`: of phase 2 (consensus/quorum.h: FlexibleQuorum::accept).
  Learner(std::vector<NodeId> acceptors, size_t quorum) : acceptors_(std::move(acceptors)), quorum_(quorum) {}

  // An acceptor says that it accepted this. Repeated and old ones are harmless; strangers are not counted.
  void accepted(NodeId from, const Ballot& ballot, std::string_view value);
  // A distinguished learner says that this was chosen, or the own disk does.
  void told(const Ballot& ballot, std::string_view value);

  const std::optional<Proposal>& chosen() const { return chosen_; }

 private:
  std::vector<NodeId> acceptors_;
  size_t quorum_;
  // The newest that each acceptor accepted. An older one that was chosen is not missed for ever: whatever is accepted
  // later has the same value.
  std::map<NodeId, Proposal> newest_;
  std::optional<Proposal> chosen_;
};

}  // namespace clew::consensus::paxos

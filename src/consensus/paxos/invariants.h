// What must hold of single-decree Paxos in a whole group, judged from outside, after every step of a simulation: the
// requirements and P2b of Lamport's "Paxos Made Simple" (2001, §2.1 and §2.2), and what persistence owes them.
//
// One thread. Memory grows with what happened: for worlds that end.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "consensus/paxos/decrees.h"

namespace clew::consensus::paxos {

class DecreeCheck {
 public:
  // A client wishes for it.
  void wished(const std::string& decree, const std::string& value);
  // A life of a member begins: what it said before must stand on its disk, or it must know that something is lost and
  // abstain. Before start().
  Status recovered(NodeId id, const Decrees& member);
  // A frame really leaves, also to itself: one value a ballot, no ballot in two lives, nothing but the chosen value
  // above a chosen proposal.
  Status on_sent(NodeId from, std::string_view frame);
  // What the member knows as chosen: one value for all, wished for by somebody, accepted by a quorum under one ballot.
  // O(decrees of which it does not know the value).
  Status after_event(NodeId id, const Decrees& member);

  uint64_t decided() const { return decided_; }  // decrees
  uint64_t ballots() const { return ballots_; }  // prepared

 private:
  struct Ballots {
    std::string value;      // what was asked to be accepted
    bool proposed = false;  // it was
    uint64_t life = 0;      // of its proposer
    std::set<NodeId> votes;
  };
  struct Told {
    Ballot promised;
    Ballot accepted;
  };
  struct History {
    std::set<std::string> wishes;
    std::map<Ballot, Ballots> ballots;
    std::map<NodeId, Told> told;
    bool decided = false;
    std::string chosen;
    Ballot chosen_at;  // the lowest ballot with a quorum of votes
  };

  Status learned(NodeId id, const std::string& name, const Decrees::View& view) const;
  Status voted(NodeId from, const Frame& frame, History& history);

  std::map<std::string, History> history_;
  std::map<NodeId, uint64_t> lives_;
  std::set<NodeId> abstaining_;                        // in the present lives
  std::map<NodeId, std::set<std::string>> unlearned_;  // in the present lives
  uint64_t decided_ = 0;
  uint64_t ballots_ = 0;
};

}  // namespace clew::consensus::paxos

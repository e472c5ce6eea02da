#include "consensus/paxos/learner.h"

#include <algorithm>

#include "consensus/planted.h"

namespace clew::consensus::paxos {

void Learner::accepted(NodeId from, const Ballot& ballot, std::string_view value) {
  if (chosen_ || !std::binary_search(acceptors_.begin(), acceptors_.end(), from)) return;
  Proposal& newest = newest_[from];
  if (ballot < newest.ballot) return;
  newest = {ballot, std::string(value)};
  const auto count = std::count_if(newest_.begin(), newest_.end(), [&](const auto& item) {
    // Under one ballot: the same value under two of them may have been given up in between.
    return item.second.ballot == ballot || planted(Bug::kDecreeBallotsMixed);
  });
  if (static_cast<size_t>(count) < quorum_) return;
  chosen_ = newest;
  newest_.clear();
}

void Learner::told(const Ballot& ballot, std::string_view value) {
  if (!chosen_) chosen_ = {ballot, std::string(value)};
}

}  // namespace clew::consensus::paxos

// How an agreement of single-decree Paxos came about: what whoever proposed is told. Plain values; any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "consensus/paxos/messages.h"

namespace clew::consensus::paxos {

// What became of one ballot: for people, and for lessons.
struct Attempt {
  enum class End : uint8_t {
    kUnderWay,
    kChosen,
    kRefused,     // somebody had promised a higher ballot
    kUnanswered,  // by a quorum, in time
    kOvertaken,   // it was chosen under another ballot meanwhile
    kGivenUp,     // by the client
  };
  static constexpr End kLastEnd = End::kGivenUp;
  Ballot ballot;
  std::vector<NodeId> promised, accepted, refused;  // in the order of their answers, each once
  Ballot refused_for;                               // the highest promise that a refusal named
  Proposal bound_to;                                // phase 1 told of it: this value had to be proposed
  End end = End::kUnderWay;
  friend bool operator==(const Attempt&, const Attempt&) = default;
};
std::string_view attempt_end_name(Attempt::End end);  // "refused"

// How an agreement came about, as the member saw it that was asked.
struct Outcome {
  Proposal chosen;
  std::vector<NodeId> acceptors;
  std::vector<Attempt> attempts;  // of this member, for this wish; empty: it knew the value before
  uint64_t attempts_made = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

}  // namespace clew::consensus::paxos

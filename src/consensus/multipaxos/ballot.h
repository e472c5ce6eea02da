// Ballots: the numbers under which Paxos proposers speak, totally ordered and each used by one proposer once (Lamport,
// "Paxos Made Simple", 2001, §2.2; Van Renesse & Altinbuken, "Paxos Made Moderately Complex", 2015, §2.1).
//
// Unique: the proposer stands in it, and a proposer never repeats one. It takes a round above every one that it has
// promised or seen, and says so to nobody before its own promise to that ballot is durable; the incarnation, counted up
// at each start, keeps ballots of two lives apart besides. Plain value; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "base/varint.h"
#include "consensus/types.h"

namespace clew::consensus::multipaxos {

struct Ballot {
  uint64_t round = 0;  // 0: none
  NodeId proposer = kNobody;
  uint64_t incarnation = 0;

  bool none() const { return round == 0; }
  friend auto operator<=>(const Ballot&, const Ballot&) = default;  // NOLINT(modernize-use-nullptr)
};

inline void append_ballot(std::string& out, const Ballot& ballot) {
  append_varint(out, ballot.round);
  append_varint(out, number(ballot.proposer));
  append_varint(out, ballot.incarnation);
}
inline Ballot read_ballot(ByteReader& in) {
  Ballot ballot;
  ballot.round = in.varint();
  ballot.proposer = NodeId{in.varint()};
  ballot.incarnation = in.varint();
  return ballot;
}
// "3.1": the incarnation says nothing to people.
inline std::string to_string(const Ballot& ballot) {
  return std::to_string(ballot.round) + "." + std::to_string(number(ballot.proposer));
}

}  // namespace clew::consensus::multipaxos

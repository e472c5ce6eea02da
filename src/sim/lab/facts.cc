#include "sim/lab/facts.h"

#include "consensus/quorum.h"

namespace clew::sim::lab {
namespace {

constexpr ProtocolFacts kFacts[] = {
    {"raft", false, [](double n) { return 2 * (n - 1); }, "2(n-1)", 2,
     "Ongaro & Ousterhout, USENIX ATC 2014, §5.2 and §5.3: AppendEntries and its answer; the next one tells of the "
     "commit",
     "a random election timeout, one round of votes, one entry of the new term", "O(n)", "",
     "§5.2 and §8: RequestVote and its answer, then the new term's entry and its answer, 4(n-1) if votes do not split"},
    {"multipaxos", false, [](double n) { return 2 * (n - 1); }, "2(n-1)", 2,
     "Lamport, Paxos Made Simple, 2001, §3: phase 2 alone once a leader has done phase 1; the next one tells what is "
     "chosen",
     "a timeout, one phase 1 for all open slots", "O(n)", "",
     "§3: one message for phase 1 of all slots and one answer, which carries what was accepted in the open ones; then "
     "phase 2"},
    {"zab", false, [](double n) { return 3 * (n - 1); }, "3(n-1)", 2,
     "Junqueira, Reed & Serafini, DSN 2011, §IV: PROPOSAL, ACK and COMMIT",
     "a timeout, notifications, discovery and synchronisation: two round trips more than Raft", "O(n)", "",
     "§IV: CEPOCH, NEWEPOCH, ACK-E, NEWLEADER, ACK-LD, COMMIT-LD, 6(n-1), once somebody is elected: the paper "
     "leaves that to an oracle. ZooKeeper, and we, notify from all to all, O(n²)"},
    {"pbft", true, [](double n) { return 2 * n * (n - 1); }, "2n(n-1)", 3,
     "Castro & Liskov, OSDI 1999, §4.2: PRE-PREPARE from the primary, PREPARE and COMMIT from all to all",
     "a timeout that doubles, 2f+1 view changes with their certificates, a new view, and everything since the stable "
     "checkpoint agreed on again",
     "O(n²)", "O(n³)",
     "§4.4: VIEW-CHANGE from all to all, each with 2f+1 signatures for every number that was prepared, and NEW-VIEW "
     "with 2f+1 of them to all. Yin et al., PODC 2019, table 1: O(n³) signatures, and as many again for each "
     "primary that fails in turn"},
};

}  // namespace

const ProtocolFacts* facts_of(std::string_view family) {
  for (const ProtocolFacts& facts : kFacts) {
    if (facts.family == family) return &facts;
  }
  return nullptr;
}

size_t survives(const ProtocolFacts* facts, size_t nodes) {
  return facts != nullptr && facts->byzantine ? consensus::byzantine_faults(nodes) : nodes - consensus::majority(nodes);
}

std::string senseless(const ProtocolFacts* facts, std::string_view family, size_t nodes) {
  if (facts == nullptr || !facts->byzantine || consensus::byzantine_faults(nodes) > 0) return {};
  return std::string(family) + " survives f liars among 3f+1 members: " + std::to_string(nodes) +
         " members survive none, and 4 are the least";
}

}  // namespace clew::sim::lab

#include "sim/lab/facts.h"

#include "consensus/quorum.h"

namespace clew::sim::lab {
namespace {

constexpr ProtocolFacts kFacts[] = {
    {"raft", false, [](double n) { return 2 * (n - 1); }, "2(n-1)", 2,
     "a random election timeout, one round of votes, one entry of the new term",
     "Ongaro & Ousterhout, USENIX ATC 2014, §5.2 and §5.3: AppendEntries and its answer; the next one tells of the "
     "commit"},
    {"multipaxos", false, [](double n) { return 2 * (n - 1); }, "2(n-1)", 2,
     "a timeout, one phase 1 for all open slots",
     "Lamport, Paxos Made Simple, 2001, §3: phase 2 alone once a leader has done phase 1; the next one tells what is "
     "chosen"},
    {"zab", false, [](double n) { return 3 * (n - 1); }, "3(n-1)", 2,
     "a timeout, notifications, discovery and synchronisation: two round trips more than Raft",
     "Junqueira, Reed & Serafini, DSN 2011, §IV: PROPOSAL, ACK and COMMIT"},
    {"pbft", true, [](double n) { return 2 * n * (n - 1); }, "2n(n-1)", 3,
     "a timeout that doubles, 2f+1 view changes with their certificates, a new view",
     "Castro & Liskov, OSDI 1999, §4.2: PRE-PREPARE from the primary, PREPARE and COMMIT from all to all"},
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

// FLP, shown: Fischer, Lynch & Paterson, "Impossibility of Distributed Consensus with One Faulty Process" (1985): a
// deterministic asynchronous algorithm has admissible runs that never decide. Here it is single-decree Paxos with two
// proposers that pause for equally long after a refusal. Nobody crashes, every message arrives, each within a few
// milliseconds; only the schedule is unkind: phase 2 takes longer than phase 1, so that each proposer's prepare passes
// the other's accept. After one cycle everything stands as it stood before, but for the round: so it goes on for ever.
//
// The same schedule with random pauses decides, with probability one: the theorem is about algorithms without luck.
//
// Pure; deterministic from the seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "consensus/types.h"

namespace clew::sim::lab {

struct FlpOptions {
  bool random_pauses = false;
  uint64_t seed = 1;  // of the pauses
  consensus::Time delay = 1 * consensus::kMillisecond;
  consensus::Time accept_delay = 4 * consensus::kMillisecond;   // of phase 2a
  consensus::Time second_starts = 4 * consensus::kMillisecond;  // the first one at 0
  consensus::Time pause = 1 * consensus::kMillisecond;          // after a refusal; the least, when they are random
  consensus::Time widest_pause = 8 * consensus::kMillisecond;   // of the first random one; later ones are longer
  consensus::Time until = 10 * consensus::kSecond;
};

struct FlpRun {
  bool decided = false;
  std::string value;
  consensus::Time ended_at = 0;
  uint64_t ballots = 0;
  uint64_t messages = 0;              // delivered
  consensus::Time longest_delay = 0;  // of one of them
  consensus::Time cycle_begins = 0;   // when a state was met that came again
  consensus::Time period = 0;         // after which it came again; 0: none did
  uint64_t cycles = 0;                // such repetitions, one after the other, to the end
  std::string state;                  // that repeats: without time and round
  std::vector<std::string> lines;     // what happened, of the first cycles
};
FlpRun run_flp(const FlpOptions& options);

}  // namespace clew::sim::lab

// DecreeObserver: what single-decree Paxos says about itself while it works, for metrics and spans
// (consensus/telemetry.h). Nothing depends on it. Plain values; on the loop of whoever hosts the decrees.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "consensus/fact.h"
#include "consensus/paxos/messages.h"

namespace clew::consensus::paxos {

// A phase of one of this member's ballots that is over. A pause between two ballots is none.
struct PhaseEnd {
  enum class Phase : uint8_t { kPrepare, kAccept };
  Phase phase = Phase::kPrepare;
  Ballot ballot;
  Time began = 0;
  Time ended = 0;
  std::string_view result;  // "promised" by a quorum, else attempt_end_name(): "chosen", "refused", ...
  bool failed = false;
  size_t answers = 0;  // promises, or votes
};

class DecreeObserver {
 public:
  virtual ~DecreeObserver() = default;
  // kMessageRefused: a frame that was not looked at; kVoteRefused: a ballot. Peer and reason.
  virtual void on_decree_fact(const Fact& /*fact*/) {}
  virtual void on_decree_phase(const std::string& /*decree*/, const PhaseEnd& /*phase*/) {}
};

}  // namespace clew::consensus::paxos

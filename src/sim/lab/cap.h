// CAP, shown: Gilbert & Lynch, "Brewer's Conjecture and the Feasibility of Consistent, Available, Partition-Tolerant
// Web Services" (2002): while messages between two sides are lost, a register cannot be linearizable and answered by
// every live node. A group of three keeps a register; one follower is cut off; the others write. What the one that is
// cut off is asked, it either does not answer (a read by quorum: consistency first) or answers with what was (a read of
// its own state: availability first). The histories of both choices are judged by the checker of linearizability.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "sim/check/result.h"
#include "sim/lab/lab_group.h"

namespace clew::sim::lab {

constexpr size_t kCapMembers = 3;

enum class Phase : uint8_t { kWhole, kParted, kHealed };
std::string_view phase_name(Phase phase);  // "parted"
enum class Choice : uint8_t { kConsistency, kAvailability };

struct Asked {
  Phase phase = Phase::kWhole;
  Choice choice = Choice::kConsistency;
  bool read = true;  // else a write
  bool answered = false;
  std::string value;  // of the register; of a write what was to be written
  int64_t took_ns = 0;
};

struct Cap {
  std::vector<Asked> asked;  // of the member that is cut off
  // Of what all clients saw who took that choice.
  check::CheckResult consistent, available;
  int64_t patience_ns = 0;  // of a client
};
// Errors: the group did not come to its first write.
Result<Cap> show_cap(const groups::Family& family, uint64_t seed);

}  // namespace clew::sim::lab

#include "consensus/effects.h"

namespace clew::consensus {

std::string_view refusal_name(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNotLeader:
      return "not_leader";
    case Refusal::kOverloaded:
      return "overloaded";
    case Refusal::kNotReady:
      return "not_ready";
    case Refusal::kInvalid:
      return "invalid";
    case Refusal::kLost:
      return "lost";
  }
  return "unknown";
}

void Effects::clear() {
  records.clear();
  sends.clear();
  install.reset();
  deliveries.clear();
  placed.clear();
  refused.clear();
  reads.clear();
  reads_refused.clear();
  verifications.clear();
  fetch.reset();
  cancel_fetch = false;
  snapshot_at = 0;
  release_below = 0;
  facts.clear();
  halt.reset();
}

}  // namespace clew::consensus

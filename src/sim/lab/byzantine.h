// One liar under a protocol that expects none: the demonstration that a crash-fault protocol may not be trusted with
// members that lie. The liar says that it stores, and then comes back with the disk that it had before: a rollback,
// the cheapest lie that there is, without a single forged message.
//
// The play: two electorates overlap in the liar alone. With one of them a command is committed and acknowledged; then
// the liar rolls back and helps the other one to elect a leader that has never heard of it. n = 2f + 1 members are as
// many as the protocol needs against f crashes; the overlap of two majorities has to be liars (one when n is odd).
#pragma once

#include <cstddef>
#include <string>

#include "base/status.h"
#include "sim/lab/lab_group.h"

namespace clew::sim::lab {

struct Lie {
  size_t liars = 0;
  bool acknowledged = false;  // the first command, before the lie
  bool replaced = false;      // another command was committed and acknowledged after it
  std::string violation;      // what the judge of the group saw; empty: nothing
  int64_t seen_at_ns = 0;
};
// Errors: the group did not get as far as to be lied to.
Result<Lie> show_rollback(const groups::Family& family, const Setting& setting);

}  // namespace clew::sim::lab

// One liar in a group: under a protocol that expects none, and under one that does.
//
// The play of a rollback (show_rollback) is the demonstration that a crash-fault protocol may not be trusted with
// members that lie. The liar says that it stores, and then comes back with the disk that it had before: the cheapest
// lie that there is, without a single forged message. Two electorates overlap in the liar alone. With one of them a
// command is committed and acknowledged; then the liar rolls back and helps the other one to elect a leader that has
// never heard of it. n = 2f + 1 members are as many as the protocol needs against f crashes; the overlap of two
// majorities has to be liars (one when n is odd). Quorums of a protocol that expects f liars overlap in f + 1 members:
// there f of them roll back, and the other electorate is one too few.
//
// Such a protocol is shown two more (show_endurance), which only its members can tell: what its primary says goes
// another way. The frames are those of the simulator's liar (groups/pbft_liar.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

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

enum class Habit : uint8_t {
  kEquivocates,  // a primary shows one member one order and all others another one, and votes for both
  kSilent,       // a primary speaks to one member and to nobody else
};
constexpr size_t kHabits = 2;
std::string_view habit_name(Habit habit);  // "equivocates"

struct Endured {
  Habit habit = Habit::kEquivocates;
  size_t liars = 0;  // as many as the protocol survives, the primary first
  int64_t span_ns = 0;
  uint64_t before = 0, during = 0;  // commands that honest members answered in as long a time, before the lie and in it
  int64_t pause_ns = 0;             // the longest time without an answer
  std::string violation;            // what the judge of the group saw; empty: nothing
};
// Of a family whose members may lie. Errors: the group did not get as far as to be lied to.
Result<Endured> show_endurance(const groups::Family& family, const Setting& setting, Habit habit);

}  // namespace clew::sim::lab

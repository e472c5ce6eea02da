// Planted bugs: the mistakes that the field is known for (scenario numbers of docs/mutants.md), each at the line where
// it would be made. A normal build has none: planted() is constantly false and the compiler removes the branch. Only
// the test binary clew_mutants is compiled with CLEW_MUTANTS and chooses one by name; the simulator must find every
// one.
#pragma once

#include <cstdint>
#include <string_view>

namespace clew::consensus {

enum class Bug : uint16_t;

#ifdef CLEW_MUTANTS
bool planted(Bug bug);  // planted.cc; set once before a world is made
#else
constexpr bool planted(Bug) { return false; }
#endif

// One line a bug: enumerator, name on the command line, scenario, what is wrong.
#define CLEW_BUGS(X)                              \
  X(kNone, "none", 0, "nothing: the clean build") \
  X(kVoteBeforeDurable, "vote-before-durable", 4, "a vote is sent before it is durable")

enum class Bug : uint16_t {
#define CLEW_BUG_ENUM(id, name, scenario, text) id,
  CLEW_BUGS(CLEW_BUG_ENUM)
#undef CLEW_BUG_ENUM
};

}  // namespace clew::consensus

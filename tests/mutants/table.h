// In which worlds each planted bug dies, a row for each: the protocol, the profile of sim/groups/profile.h or
// sim/nodes/node_profile.h, whether it is one of the quick ones, and within how many seeds it has to be found. The bugs
// themselves: consensus/planted.h. docs/mutants.md has the outcome.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "consensus/planted.h"

namespace clew::mutants {

struct Row {
  consensus::Bug bug;
  std::string_view profile;
  bool quick = false;  // part of `--quick`: dies within a few seeds
  std::string_view family = "raft";
  uint64_t seeds = 100;  // tried at most, 1 to this: it lives when none of them finds it
};
const std::vector<Row>& rows();

}  // namespace clew::mutants

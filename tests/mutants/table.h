// In which world each planted bug dies: the protocol, the profile of sim/groups/profile.h or sim/nodes/node_profile.h,
// and whether it is one of the quick ones. The bugs themselves: consensus/planted.h. docs/mutants.md has the outcome.
#pragma once

#include <string_view>
#include <vector>

#include "consensus/planted.h"

namespace clew::mutants {

struct Row {
  consensus::Bug bug;
  std::string_view profile;
  bool quick = false;  // part of `--quick`: dies within a few seeds
  std::string_view family = "raft";
};
const std::vector<Row>& rows();

}  // namespace clew::mutants

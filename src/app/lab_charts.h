// The plots of `clew lab --svg`: one a question. Pure.
#pragma once

#include <string>
#include <vector>

#include "sim/lab/lab.h"

namespace clew::app {

struct NamedSvg {
  std::string name;  // "messages-lan.svg"
  std::string svg;
};
// Of each network without a fault: messages a command over the size of the group, beside what is stated; latency over
// throughput; how long a group is without a leader. Those that have nothing to show are left out.
std::vector<NamedSvg> lab_charts(const sim::lab::LabReport& report);

}  // namespace clew::app

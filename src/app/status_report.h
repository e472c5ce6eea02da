// What `clew status` says about a group, for a person who was woken by it: one line with the verdict, the members, and
// what is wrong with what to do about it, the worst first. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "control/service.h"

namespace clew::app {

struct StatusReport {
  bool healthy = false;
  std::string verdict;                // one line
  std::vector<std::string> problems;  // the worst first; each says what to do
};
StatusReport judge(const control::GroupStatus& status);

// The whole page, ending in a newline.
std::string status_page(const control::GroupStatus& status, bool colours);
std::string status_json(const control::GroupStatus& status);

}  // namespace clew::app

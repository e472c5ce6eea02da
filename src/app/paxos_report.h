// What `clew paxos propose` prints of an agreement: for people, and as JSON. Pure.
#pragma once

#include <string>
#include <string_view>

#include "consensus/paxos/outcome.h"

namespace clew::app {

std::string decree_text(std::string_view name, std::string_view wish, const consensus::paxos::Outcome& outcome);
std::string decree_json(std::string_view name, std::string_view wish, const consensus::paxos::Outcome& outcome);

}  // namespace clew::app

// Statements about the cost of consensus, true and false, decided by a report's figures. Pure.
#pragma once

#include <vector>

#include "sim/lab/lab.h"

namespace clew::sim::lab {

std::vector<Claim> judge_claims(const LabReport& report);

}  // namespace clew::sim::lab

// What `clew lab` prints: tables for people, and JSON. Pure: the same report gives the same bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/lab/cap.h"
#include "sim/lab/flp.h"
#include "sim/lab/lab.h"

namespace clew::app {

std::string lab_text(const sim::lab::LabReport& report);
std::string lab_json(const sim::lab::LabReport& report);

// The run without luck, and runs with random pauses, one a seed.
struct FlpLesson {
  sim::lab::FlpRun fixed;
  std::vector<sim::lab::FlpRun> random;
  uint64_t first_seed = 1;
};
std::string flp_text(const FlpLesson& lesson);
std::string flp_json(const FlpLesson& lesson);

std::string cap_text(const sim::lab::Cap& cap, std::string_view protocol);
std::string cap_json(const sim::lab::Cap& cap, std::string_view protocol);

}  // namespace clew::app

// What `clew sim` remembers of each seed, in memory and as lines of a log: so that many processes share one hunt, one
// that was broken off goes on, and its figures are made of what was measured.
//
// The log: JSON, a line each. The first says of which hunt it is (program, protocol, profile, ...): the seeds of
// another build are other worlds, and a log of another hunt is refused. A last line without its end is of a write that
// was broken off, and counts as not there.
#pragma once

#include <array>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "sim/groups/group_scenario.h"
#include "sim/plan.h"

namespace clew::app {

struct SimRecord {
  uint64_t seed = 0;
  std::string profile;
  bool failed = false;
  bool undecided = false;
  std::string text;        // for people, when it is not fine
  double cpu_seconds = 0;  // reruns and shrinking included
  int64_t virtual_ns = 0;
  uint64_t events = 0;
  std::array<uint64_t, sim::kFaultKinds> faults{};
  sim::groups::Deeds deeds;
};
std::string encode(const SimRecord& record);  // one line, without its end
Result<SimRecord> decode_sim_record(std::string_view line);

struct SimSum {
  uint64_t seeds = 0, failed = 0, undecided = 0;
  double cpu_seconds = 0;
  double virtual_seconds = 0;
  uint64_t events = 0;
  std::array<uint64_t, sim::kFaultKinds> faults{};
  sim::groups::Deeds deeds;

  void add(const SimRecord& record);
  uint64_t faults_in_all() const;
  uint64_t crashes() const;  // of them: processes killed, power cut, disks wiped
};
// By profile in the order of their first seeds, and all of them: a Markdown table.
std::string figures_table(const std::vector<SimRecord>& records);

class SimLog {
 public:
  // `hunt`: one line. Takes up a log that exists: `records` gets what is in it. kFailedPrecondition: it is of another
  // hunt.
  Status open(const std::string& path, std::string_view hunt, std::vector<SimRecord>& records);
  bool is_open() const { return file_.is_open(); }
  Status append(const SimRecord& record);

 private:
  std::string path_;
  std::ofstream file_;
};

}  // namespace clew::app

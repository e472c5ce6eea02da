// The lab: every protocol in every group and network that is asked for, measured (measure.h), beside what the
// literature states and beside what is wrongly said (facts.h). A cell that makes no sense says why; what a liar does to
// a protocol that expects none, and to one that does, is shown (byzantine.h).
//
// Deterministic: the same options give the same report. One thread; seconds.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/lab/byzantine.h"
#include "sim/lab/facts.h"
#include "sim/lab/measure.h"

namespace clew::sim::lab {

struct LabOptions {
  std::vector<const groups::Family*> protocols;
  std::vector<size_t> nodes = {3, 5};
  std::vector<Latency> latencies = {Latency::kLan};
  std::vector<Fault> faults = {Fault::kNone};
  bool byzantine = false;
  std::vector<size_t> loads = {1, 16, 256};  // commands that are outstanding; the first is what costs are taken from
  bool saturate = true;                      // beyond the loads, until more of it brings no more
  size_t failovers = 5;                      // each in another world
  uint64_t seed = 1;
};

// One protocol, size, network and fault.
struct Cell {
  const groups::Family* protocol = nullptr;
  size_t nodes = 0;
  Latency latency = Latency::kLan;
  Fault fault = Fault::kNone;
  std::string senseless;  // why there is nothing to measure; empty: there was
  Status failed;          // the measurement itself
  struct Point {
    size_t outstanding = 0;
    Measured measured;
  };
  std::vector<Point> points;  // by load
  // Twice the highest load, twice that, and so on: the last brought hardly more than the one before, or what came
  // after it nothing in time, unless not even the highest that was tried saturates the group.
  std::vector<Point> beyond;
  bool saturates = false;
  std::vector<int64_t> failover_ns;                         // rising; of those in which an answer came
  std::vector<uint64_t> failover_messages, failover_bytes;  // of the same, rising, too
  size_t failovers = 0;                                     // tried

  const Measured& light() const { return points.front().measured; }
  const Point& most() const;  // of all, the one with the highest throughput
};

struct LieCell {
  const groups::Family* protocol = nullptr;
  size_t nodes = 0;
  std::string senseless;
  Status failed;
  Lie lie;
  std::vector<Endured> endured;  // by a protocol that expects liars, one a habit
};

struct Claim {
  std::string statement;  // as it circulates, or as it is stated
  bool true_one = false;
  std::string prediction;  // what it says of these sizes
  std::string measured;
  std::optional<bool> holds;  // nothing: these options do not decide it
};

struct LabReport {
  LabOptions options;
  std::vector<Cell> cells;
  std::vector<LieCell> lies;
  std::vector<Claim> claims;
};

// `progress`: cells done, of how many.
LabReport run_lab(const LabOptions& options, const std::function<void(size_t done, size_t of)>& progress = {});

}  // namespace clew::sim::lab

#include "sim/lab/lab.h"

#include <algorithm>

#include "sim/lab/claims.h"

namespace clew::sim::lab {
namespace {

Cell run_cell(const LabOptions& options, Cell cell) {
  cell.senseless = senseless(facts_of(cell.protocol->name), cell.protocol->name, cell.nodes);
  if (!cell.senseless.empty()) return cell;
  Setting setting;
  setting.nodes = cell.nodes;
  setting.latency = cell.latency;
  setting.seed = options.seed;
  for (const size_t outstanding : options.loads) {
    auto measured = measure(*cell.protocol, setting, {.outstanding = outstanding, .fault = cell.fault});
    if (!measured.ok()) {
      cell.failed = measured.status();
      return cell;
    }
    cell.points.push_back({outstanding, std::move(*measured)});
  }
  // Who is down already leaves nobody to take over.
  if (cell.fault == Fault::kDown) return cell;
  for (size_t i = 0; i < options.failovers; ++i) {
    setting.seed = options.seed + i;
    auto measured = measure(*cell.protocol, setting,
                            {.outstanding = options.loads.front(), .fault = cell.fault, .kill_leader = true});
    if (!measured.ok()) {
      cell.failed = measured.status();
      return cell;
    }
    ++cell.failovers;
    if (measured->failover_ns != 0) cell.failover_ns.push_back(measured->failover_ns);
  }
  std::sort(cell.failover_ns.begin(), cell.failover_ns.end());
  return cell;
}

LieCell run_lie(const LabOptions& options, const groups::Family& family, size_t nodes) {
  LieCell cell;
  cell.protocol = &family;
  cell.nodes = nodes;
  const ProtocolFacts* const facts = facts_of(family.name);
  cell.senseless = senseless(facts, family.name, nodes);
  if (cell.senseless.empty() && facts != nullptr && facts->byzantine) {
    cell.senseless = std::string(family.name) + " is made for liars: its own simulator has them (docs/simulator.md)";
  }
  if (cell.senseless.empty() && nodes < 3) {
    cell.senseless = "two majorities of " + std::to_string(nodes) + " members have all of them in common";
  }
  if (!cell.senseless.empty()) return cell;
  Setting setting;
  setting.nodes = nodes;
  setting.seed = options.seed;
  auto lie = show_rollback(family, setting);
  if (lie.ok()) {
    cell.lie = std::move(*lie);
  } else {
    cell.failed = lie.status();
  }
  return cell;
}

}  // namespace

const Cell::Point& Cell::saturated() const {
  return *std::max_element(points.begin(), points.end(), [](const Point& a, const Point& b) {
    return a.measured.throughput() < b.measured.throughput();
  });
}

LabReport run_lab(const LabOptions& options, const std::function<void(size_t, size_t)>& progress) {
  LabReport report;
  report.options = options;
  std::vector<Cell> cells;
  for (const Latency latency : options.latencies) {
    for (const Fault fault : options.faults) {
      for (const size_t nodes : options.nodes) {
        for (const groups::Family* const protocol : options.protocols) {
          Cell cell;
          cell.protocol = protocol;
          cell.nodes = nodes;
          cell.latency = latency;
          cell.fault = fault;
          cells.push_back(std::move(cell));
        }
      }
    }
  }
  const size_t lies = options.byzantine ? options.nodes.size() * options.protocols.size() : 0;
  size_t done = 0;
  const auto step = [&] {
    if (progress) progress(++done, cells.size() + lies);
  };
  for (Cell& cell : cells) {
    report.cells.push_back(run_cell(options, std::move(cell)));
    step();
  }
  if (options.byzantine) {
    for (const size_t nodes : options.nodes) {
      for (const groups::Family* const protocol : options.protocols) {
        report.lies.push_back(run_lie(options, *protocol, nodes));
        step();
      }
    }
  }
  report.claims = judge_claims(report);
  return report;
}

}  // namespace clew::sim::lab

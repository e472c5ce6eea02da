#include "sim/lab/lab.h"

#include <algorithm>

#include "sim/lab/claims.h"

namespace clew::sim::lab {
namespace {

constexpr double kHardlyMore = 1.03;  // times the throughput
constexpr size_t kLeastBeyond = 512;
constexpr size_t kMostBeyond = 131'072;
constexpr size_t kQuantiles = 1'000;

// As many as percentiles need: of loads that saturate a group there are millions.
void thin(std::vector<int64_t>& rising) {
  if (rising.size() <= kQuantiles) return;
  std::vector<int64_t> kept;
  for (size_t i = 0; i <= kQuantiles; ++i) kept.push_back(rising[i * (rising.size() - 1) / kQuantiles]);
  rising = std::move(kept);
}

Status saturate(Cell& cell, const Setting& setting) {
  size_t highest = 0;
  double before = 0;
  for (const Cell::Point& point : cell.points) {
    highest = std::max(highest, point.outstanding);
    before = std::max(before, point.measured.throughput());
  }
  for (size_t load = std::max(2 * highest, kLeastBeyond); load <= kMostBeyond && !cell.saturates; load *= 2) {
    auto measured = measure(*cell.protocol, setting, {.outstanding = load, .fault = cell.fault, .brief = true});
    if (measured.status().code() == Code::kDeadlineExceeded) {  // so much that nothing is answered in time
      cell.saturates = true;
      return {};
    }
    if (!measured.ok()) return measured.error();
    thin(measured->latencies_ns);
    cell.saturates = measured->throughput() < kHardlyMore * before;
    before = std::max(before, measured->throughput());
    cell.beyond.push_back({load, std::move(*measured)});
  }
  return {};
}

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
  if (options.saturate) cell.failed = saturate(cell, setting);
  if (!cell.failed.ok()) return cell;
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
    if (measured->failover_ns == 0) continue;
    cell.failover_ns.push_back(measured->failover_ns);
    cell.failover_messages.push_back(measured->failover_messages);
    cell.failover_bytes.push_back(measured->failover_bytes);
  }
  std::sort(cell.failover_ns.begin(), cell.failover_ns.end());
  std::sort(cell.failover_messages.begin(), cell.failover_messages.end());
  std::sort(cell.failover_bytes.begin(), cell.failover_bytes.end());
  return cell;
}

LieCell run_lie(const LabOptions& options, const groups::Family& family, size_t nodes) {
  LieCell cell;
  cell.protocol = &family;
  cell.nodes = nodes;
  const ProtocolFacts* const facts = facts_of(family.name);
  cell.senseless = senseless(facts, family.name, nodes);
  if (cell.senseless.empty() && nodes < 3) {
    cell.senseless = "two majorities of " + std::to_string(nodes) + " members have all of them in common";
  }
  if (!cell.senseless.empty()) return cell;
  Setting setting;
  setting.nodes = nodes;
  setting.seed = options.seed;
  auto lie = show_rollback(family, setting);
  if (!lie.ok()) {
    cell.failed = lie.status();
    return cell;
  }
  cell.lie = std::move(*lie);
  if (family.liar == nullptr) return cell;
  for (const Habit habit : {Habit::kEquivocates, Habit::kSilent}) {
    auto endured = show_endurance(family, setting, habit);
    if (!endured.ok()) {
      cell.failed = endured.status();
      return cell;
    }
    cell.endured.push_back(std::move(*endured));
  }
  return cell;
}

}  // namespace

const Cell::Point& Cell::most() const {
  const Point* most = &points.front();
  for (const auto* const some : {&points, &beyond}) {
    for (const Point& point : *some) {
      if (point.measured.throughput() > most->measured.throughput()) most = &point;
    }
  }
  return *most;
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

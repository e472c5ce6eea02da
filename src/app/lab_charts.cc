#include "app/lab_charts.h"

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

#include "app/chart.h"

namespace clew::app {
namespace {

namespace lab = sim::lab;

class Charts {
 public:
  Charts(const lab::LabReport& report, lab::Latency latency) : report_(report), latency_(latency) {}

  void add_to(std::vector<NamedSvg>& out) {
    add(out, "messages", messages());
    add(out, "latency", latency());
    add(out, "failover", failover());
  }

 private:
  void add(std::vector<NamedSvg>& out, const std::string& name, const Chart& chart) const {
    if (chart.series.empty()) return;
    out.push_back({name + "-" + std::string(lab::latency_name(latency_)) + ".svg", to_svg(chart)});
  }
  std::string where() const {
    return "network: " + std::string(lab::latency_name(latency_)) + "; simulated, seed " +
           std::to_string(report_.options.seed);
  }
  // Cells of one protocol by size, without a fault.
  void each(
      const std::function<void(size_t index, std::string_view name, const std::vector<const lab::Cell*>&)>& visit) {
    for (size_t i = 0; i < report_.options.protocols.size(); ++i) {
      std::vector<const lab::Cell*> cells;
      for (const lab::Cell& cell : report_.cells) {
        if (cell.protocol != report_.options.protocols[i] || cell.latency != latency_ ||
            cell.fault != lab::Fault::kNone || cell.points.empty()) {
          continue;
        }
        cells.push_back(&cell);
      }
      std::sort(cells.begin(), cells.end(), [](const auto* a, const auto* b) { return a->nodes < b->nodes; });
      if (!cells.empty()) visit(i, report_.options.protocols[i]->name, cells);
    }
  }

  Chart messages() {
    Chart chart;
    chart.title = "Messages for one command";
    chart.subtitle = where() + "; one command at a time; dashed: as the literature states";
    chart.x_label = "members of the group";
    chart.counts_x = true;
    chart.y_label = "messages a command";
    each([&](size_t index, std::string_view name, const auto& cells) {
      Series measured{.name = std::string(name), .points = {}, .colour = index};
      Series stated{.name = {}, .points = {}, .dashed = true, .colour = index};
      const lab::ProtocolFacts* const facts = lab::facts_of(name);
      for (const lab::Cell* cell : cells) {
        const auto n = static_cast<double>(cell->nodes);
        measured.points.emplace_back(n, cell->light().a_command(cell->light().messages));
        if (facts != nullptr) stated.points.emplace_back(n, facts->messages(n));
      }
      if (facts != nullptr) stated.name = std::string(name) + ": " + std::string(facts->messages_text);
      chart.series.push_back(std::move(measured));
      if (facts != nullptr) chart.series.push_back(std::move(stated));
    });
    return chart;
  }

  Chart latency() {
    Chart chart;
    chart.title = "Latency against throughput";
    chart.subtitle = where() + "; median, with more and more commands outstanding";
    chart.x_label = "commands a second";
    chart.y_label = "commit latency, ms";
    chart.log_x = chart.log_y = true;
    each([&](size_t index, std::string_view name, const auto& cells) {
      for (const lab::Cell* cell : cells) {
        Series series{.name = std::string(name) + ", n=" + std::to_string(cell->nodes), .points = {}, .colour = index};
        for (const auto* const some : {&cell->points, &cell->beyond}) {
          for (const lab::Cell::Point& point : *some) {
            series.points.emplace_back(point.measured.throughput(),
                                       static_cast<double>(point.measured.percentile_ns(0.5)) / 1e6);
          }
        }
        chart.series.push_back(std::move(series));
      }
    });
    return chart;
  }

  Chart failover() {
    Chart chart;
    chart.title = "Without a leader";
    chart.subtitle = where() + "; from the leader's death to the next commit, one dot a world";
    chart.x_label = "members of the group";
    chart.counts_x = true;
    chart.y_label = "ms";
    const auto shift = [&](size_t index) {  // so that protocols stand beside each other
      return (static_cast<double>(index) - static_cast<double>(report_.options.protocols.size() - 1) / 2) * 0.15;
    };
    each([&](size_t index, std::string_view name, const auto& cells) {
      Series series{.name = std::string(name), .points = {}, .line = false, .colour = index};
      for (const lab::Cell* cell : cells) {
        for (const int64_t ns : cell->failover_ns) {
          series.points.emplace_back(static_cast<double>(cell->nodes) + shift(index), static_cast<double>(ns) / 1e6);
        }
      }
      if (!series.points.empty()) chart.series.push_back(std::move(series));
    });
    return chart;
  }

  const lab::LabReport& report_;
  const lab::Latency latency_;
};

}  // namespace

std::vector<NamedSvg> lab_charts(const lab::LabReport& report) {
  std::vector<NamedSvg> charts;
  for (const lab::Latency latency : report.options.latencies) Charts(report, latency).add_to(charts);
  return charts;
}

}  // namespace clew::app

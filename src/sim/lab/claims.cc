#include "sim/lab/claims.h"

#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>

namespace clew::sim::lab {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

// Of one protocol in one network, without a fault: the smallest and the largest group that were measured, of those in
// which somebody has to be asked.
struct Ends {
  const Cell* small = nullptr;
  const Cell* large = nullptr;
  bool two() const { return small != nullptr && small->nodes < large->nodes; }
};
Ends ends_of(const LabReport& report, std::string_view family, Latency latency) {
  Ends ends;
  for (const Cell& cell : report.cells) {
    if (cell.protocol->name != family || cell.latency != latency || cell.fault != Fault::kNone || cell.points.empty() ||
        cell.nodes < 2) {
      continue;
    }
    if (ends.small == nullptr || cell.nodes < ends.small->nodes) ends.small = &cell;
    if (ends.large == nullptr || cell.nodes > ends.large->nodes) ends.large = &cell;
  }
  return ends;
}

double messages(const Cell& cell) { return cell.light().a_command(cell.light().messages); }
double delays(const Cell& cell) {
  return static_cast<double>(cell.light().percentile_ns(0.5)) / static_cast<double>(one_way_ns(cell.latency));
}

// The exponent k of messages ~ (n-1)^k between the two sizes.
double exponent(const Ends& ends) {
  return std::log(messages(*ends.large) / messages(*ends.small)) /
         std::log(static_cast<double>(ends.large->nodes - 1) / static_cast<double>(ends.small->nodes - 1));
}

class Judge {
 public:
  explicit Judge(const LabReport& report) : report_(report) {}

  std::vector<Claim> claims() {
    for (const groups::Family* const family : report_.options.protocols) {
      const ProtocolFacts* const facts = facts_of(family->name);
      if (facts == nullptr) continue;
      growth(*family, *facts);
      rounds(*family, *facts);
    }
    unanimity();
    return std::move(claims_);
  }

 private:
  void growth(const groups::Family& family, const ProtocolFacts& facts) {
    const Ends ends = ends_of(report_, family.name, report_.options.latencies.front());
    const std::string name(family.name);
    Claim linear;
    linear.statement = name + " sends O(n) messages a command";
    linear.true_one = !facts.byzantine;
    linear.prediction = "grows as (n-1)^1";
    Claim square;
    square.statement = name + " sends O(n²) messages a command";
    square.true_one = facts.byzantine;
    square.prediction = "grows as (n-1)^2";
    if (ends.two()) {
      const double k = exponent(ends);
      linear.measured = square.measured = number(messages(*ends.small)) + " at n=" + std::to_string(ends.small->nodes) +
                                          ", " + number(messages(*ends.large)) +
                                          " at n=" + std::to_string(ends.large->nodes) + ": (n-1)^" + number(k);
      linear.holds = k < 1.5;
      square.holds = k >= 1.5;
    }
    claims_.push_back(std::move(linear));
    claims_.push_back(std::move(square));
  }

  // Delays can be told from disks and processors only where they are long.
  void rounds(const groups::Family& family, const ProtocolFacts& facts) {
    const Ends ends = ends_of(report_, family.name, Latency::kWan);
    const std::string name(family.name);
    Claim constant;
    constant.statement = name + " commits after " + std::to_string(static_cast<int>(facts.delays)) +
                         " message delays, however many members there are";
    constant.true_one = true;
    constant.prediction = number(facts.delays) + " at every n";
    Claim logarithm;
    logarithm.statement = name + " needs O(log n) rounds";
    Claim twice;
    twice.statement = name + " needs its election round for every command";
    twice.prediction = number(facts.delays + 2) + " delays";
    if (ends.two()) {
      const double small = delays(*ends.small);
      const double large = delays(*ends.large);
      const double factor =
          std::log2(static_cast<double>(ends.large->nodes)) / std::log2(static_cast<double>(ends.small->nodes));
      constant.measured = logarithm.measured = twice.measured =
          number(small) + " at n=" + std::to_string(ends.small->nodes) + ", " + number(large) +
          " at n=" + std::to_string(ends.large->nodes);
      logarithm.prediction = number(small * factor) + " at n=" + std::to_string(ends.large->nodes);
      constant.holds = std::abs(large - small) < 0.2 * small && std::abs(small - facts.delays) < 0.5;
      logarithm.holds = std::abs(large - small * factor) < std::abs(large - small);
      twice.holds = small > facts.delays + 1;
    }
    claims_.push_back(std::move(constant));
    claims_.push_back(std::move(logarithm));
    claims_.push_back(std::move(twice));
  }

  void unanimity() {
    Claim claim;
    claim.statement = "a command waits for the answers of all members";
    claim.prediction = "nothing commits while a minority is down";
    size_t asked = 0;
    size_t went_on = 0;
    for (const Cell& cell : report_.cells) {
      if (cell.fault != Fault::kDown || !cell.senseless.empty()) continue;
      ++asked;
      went_on += cell.failed.ok() && !cell.points.empty() && cell.light().commands > 0;
    }
    if (asked > 0) {
      claim.measured = std::to_string(went_on) + " of " + std::to_string(asked) + " groups went on";
      claim.holds = went_on == 0;
    }
    claims_.push_back(std::move(claim));
  }

  const LabReport& report_;
  std::vector<Claim> claims_;
};

}  // namespace

std::vector<Claim> judge_claims(const LabReport& report) { return Judge(report).claims(); }

}  // namespace clew::sim::lab

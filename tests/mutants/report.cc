#include "report.h"

#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/marked_section.h"
#include "consensus/planted.h"
#include "sim/groups/family.h"

namespace clew::mutants {
namespace {

constexpr std::string_view kBegin = "<!-- table: written by ./dev mutants -->";
constexpr std::string_view kEnd = "<!-- end of table -->";
constexpr size_t kShownReason = 120;

std::string seeds_text(const Fate& fate) {
  std::string text = (fate.alive() ? ">" : "") + std::to_string(fate.seeds);
  if (fate.undecided != 0) text += ", " + std::to_string(fate.undecided) + " not decided";
  if (fate.stuck != 0) text += ", " + std::to_string(fate.stuck) + " given up";
  return text;
}

std::string outcome(const Fate& fate) {
  if (fate.clean) return fate.alive() ? "lives, as it must" : "FAILED: " + fate.killed_by;
  if (fate.alive()) return "SURVIVES";
  return fate.killed_by.size() <= kShownReason ? fate.killed_by : fate.killed_by.substr(0, kShownReason) + "...";
}

std::string scenario_text(const Fate& fate) { return fate.scenario == 0 ? "-" : std::to_string(fate.scenario); }

// The protocol that most rows have is not named.
std::string world_text(const Fate& fate) {
  return fate.family == sim::groups::families().front().name ? fate.profile : fate.family + " " + fate.profile;
}

std::string_view text_of(const std::string& mutant) {
  for (const consensus::BugInfo& info : consensus::all_bugs()) {
    if (info.name == mutant) return info.text;
  }
  return "";
}

std::string in_cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, 1, '\\');
  return text;
}

}  // namespace

void print(const Fate& fate) {
  std::printf("%-32s %3s  %-13s %5s  %6.1f s  %s\n", fate.name.c_str(), scenario_text(fate).c_str(),
              world_text(fate).c_str(), seeds_text(fate).c_str(), fate.seconds, outcome(fate).c_str());
  std::fflush(stdout);
}

bool write_table(const std::string& path, const std::string& summary, const std::vector<Fate>& fates) {
  std::string table = "| mutant | no. | what is wrong | profile | seeds | killed by |\n|---|---|---|---|---|---|\n";
  for (const Fate& fate : fates) {
    table += "| `" + fate.name + "` | " + scenario_text(fate) + " | " + in_cell(std::string(text_of(fate.name))) +
             " | " + world_text(fate) + " | " + seeds_text(fate) + " | " + in_cell(outcome(fate)) + " |\n";
  }
  std::ostringstream read;
  read << std::ifstream(path).rdbuf();
  const auto document = with_section(read.str(), kBegin, kEnd, summary + ".\n\n" + table);
  if (!document.ok()) {
    std::fprintf(stderr, "clew_mutants: %s: %s\n", path.c_str(), document.error().message.c_str());
    return false;
  }
  std::ofstream(path) << *document;
  return true;
}

}  // namespace clew::mutants

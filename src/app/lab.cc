// clew lab: what consensus protocols cost, measured in the simulator beside what is said of them; and two theorems,
// shown.
#include "sim/lab/lab.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "app/client_output.h"
#include "app/commands.h"
#include "app/lab_charts.h"
#include "app/lab_report.h"
#include "app/progress.h"
#include "app/whole_number.h"
#include "os/clock.h"

namespace clew::app {
namespace {

namespace lab = sim::lab;
namespace groups = sim::groups;

constexpr int kWrongUse = 2;
constexpr size_t kMaxOutstanding = 4'096;
constexpr uint64_t kMaxLessons = 100'000;

struct Flags {
  std::string protocols;
  std::string nodes = "3,5";
  std::string latency = "lan";
  std::string faults = "none";
  std::string load = "1,16,256";
  std::string svg;
  uint64_t seed = 1;
  uint64_t seeds = 1'000;
  size_t failovers = 5;
  bool json = false;
};

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> words;
  std::istringstream in(list);
  for (std::string word; std::getline(in, word, ',');) words.push_back(word);
  return words;
}

Error unknown(const std::string& what, const std::string& word, const std::string& known) {
  return {Code::kInvalidArgument, "no " + what + " is called \"" + word + "\"; there are: " + known};
}

Result<std::vector<size_t>> numbers(const std::string& list, const std::string& flag, size_t least, size_t most) {
  std::vector<size_t> values;
  for (const std::string& word : split(list)) {
    size_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size() || value < least || value > most) {
      return Error{Code::kInvalidArgument, flag + ": \"" + word + "\" is no number from " + std::to_string(least) +
                                               " to " + std::to_string(most)};
    }
    values.push_back(value);
  }
  if (values.empty()) return Error{Code::kInvalidArgument, flag + " is an empty list"};
  return values;
}

Result<const groups::Family*> family_called(const std::string& word) {
  if (const groups::Family* const family = groups::family_named(word)) return family;
  std::string known;
  for (const groups::Family& family : groups::families())
    known += (known.empty() ? "" : ", ") + std::string(family.name);
  return unknown("protocol", word, known);
}

Result<lab::LabOptions> options_of(const Flags& flags) {
  lab::LabOptions options;
  options.seed = flags.seed;
  options.failovers = flags.failovers;
  options.latencies.clear();
  options.faults.clear();
  for (const std::string& word : split(flags.protocols)) {
    CLEW_ASSIGN(const groups::Family* const family, family_called(word));
    options.protocols.push_back(family);
  }
  if (options.protocols.empty()) {
    for (const groups::Family& family : groups::families()) options.protocols.push_back(&family);
  }
  CLEW_ASSIGN(options.nodes, numbers(flags.nodes, "--nodes", 1, 9));
  CLEW_ASSIGN(options.loads, numbers(flags.load, "--load", 1, kMaxOutstanding));
  for (const std::string& word : split(flags.latency)) {
    const auto latency = lab::latency_named(word);
    if (!latency) return unknown("network", word, "lan, wan, mixed");
    options.latencies.push_back(*latency);
  }
  for (const std::string& word : split(flags.faults)) {
    if (word == "byzantine") {
      options.byzantine = true;
      continue;
    }
    const auto fault = lab::fault_named(word);
    if (!fault) return unknown("fault", word, "none, loss, down, slow-disk, byzantine");
    options.faults.push_back(*fault);
  }
  if (options.latencies.empty()) return Error{Code::kInvalidArgument, "--latency is an empty list"};
  return options;
}

Status write_charts(const std::string& directory, const lab::LabReport& report) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  for (const NamedSvg& chart : lab_charts(report)) {
    const std::string path = directory + "/" + chart.name;
    std::ofstream file(path);
    file << chart.svg;
    file.flush();
    if (!file) return {Code::kUnavailable, path + " cannot be written"};
  }
  return {};
}

int measure(const Flags& flags) {
  const auto options = options_of(flags);
  if (!options.ok()) return fail(options.status(), kWrongUse);
  const os::OsClock clock;
  const size_t cells = options->protocols.size() * options->nodes.size() *
                       (options->latencies.size() * options->faults.size() + (options->byzantine ? 1 : 0));
  ProgressBar bar("cells", cells, clock);
  const lab::LabReport report = lab::run_lab(*options, [&](size_t done, size_t) { bar.update(done, ""); });
  bar.finish();
  std::fputs((flags.json ? lab_json(report) : lab_text(report)).c_str(), stdout);
  if (!flags.svg.empty()) {
    if (const Status written = write_charts(flags.svg, report); !written.ok()) return fail(written);
  }
  const bool failed =
      std::any_of(report.cells.begin(), report.cells.end(), [](const lab::Cell& cell) { return !cell.failed.ok(); }) ||
      std::any_of(report.lies.begin(), report.lies.end(), [](const lab::LieCell& cell) { return !cell.failed.ok(); });
  return failed ? 1 : 0;
}

int flp(const Flags& flags) {
  FlpLesson lesson;
  lesson.first_seed = flags.seed;
  lesson.fixed = lab::run_flp({});
  for (uint64_t i = 0; i < flags.seeds; ++i) {
    lab::FlpOptions options;
    options.random_pauses = true;
    options.seed = flags.seed + i;
    lesson.random.push_back(lab::run_flp(options));
  }
  std::fputs((flags.json ? flp_json(lesson) : flp_text(lesson)).c_str(), stdout);
  return 0;
}

int cap(const Flags& flags) {
  const auto family =
      family_called(flags.protocols.empty() ? std::string(groups::families().front().name) : flags.protocols);
  if (!family.ok()) return fail(family.status(), kWrongUse);
  const std::string why = lab::senseless(lab::facts_of((*family)->name), (*family)->name, lab::kCapMembers);
  if (!why.empty()) return fail(Status(Code::kInvalidArgument, why), kWrongUse);
  const auto shown = lab::show_cap(**family, flags.seed);
  if (!shown.ok()) return fail(shown.status());
  std::fputs((flags.json ? cap_json(*shown, (*family)->name) : cap_text(*shown, (*family)->name)).c_str(), stdout);
  return 0;
}

}  // namespace

void add_lab(CLI::App& program, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  auto* command = program.add_subcommand(
      "lab",
      "what consensus protocols cost, measured in the simulator, beside what is said of them (docs/lab.md). Exit code "
      "0: measured, 1: a measurement failed, 2: wrong use");
  const auto common = [&](CLI::App* to) {
    to->add_option("--seed", flags->seed, "the same one gives the same output")
        ->capture_default_str()
        ->check(whole_number());
    to->add_flag("--json", flags->json, "one JSON object");
  };
  common(command);
  std::string names;
  for (const groups::Family& family : groups::families())
    names += (names.empty() ? "" : ",") + std::string(family.name);
  command->add_option("--protocols", flags->protocols, "of: " + names + "; default: all");
  command->add_option("--nodes", flags->nodes, "sizes of the group, 1 to 9")->capture_default_str();
  command->add_option("--latency", flags->latency, "networks, of: lan, wan, mixed")->capture_default_str();
  command->add_option("--faults", flags->faults, "of: none, loss, down, slow-disk; and byzantine, which shows a lie")
      ->capture_default_str();
  command->add_option("--load", flags->load, "how many commands are outstanding; costs are those of the first")
      ->capture_default_str();
  command->add_option("--failovers", flags->failovers, "leaders that lose power, each in another world")
      ->capture_default_str()
      ->check(CLI::Range(0, 1'000));
  command->add_option("--svg", flags->svg, "a directory: plots for slides");

  auto* impossible = command->add_subcommand(
      "flp", "the impossibility of Fischer, Lynch and Paterson: a schedule that repeats for ever without a decision");
  common(impossible);
  impossible->add_option("--seeds", flags->seeds, "runs with random pauses, beside")
      ->check(whole_number())
      ->capture_default_str()
      ->check(CLI::Range(uint64_t{1}, kMaxLessons));
  auto* theorem = command->add_subcommand(
      "cap", "the theorem of Gilbert and Lynch: what each choice loses when a member is cut off");
  common(theorem);
  theorem->add_option("--protocol", flags->protocols, "of: " + names);
  command->require_subcommand(0, 1);
  impossible->callback([flags, &exit_code] { exit_code = flp(*flags); });
  theorem->callback([flags, &exit_code] { exit_code = cap(*flags); });
  command->callback([command, flags, &exit_code] {
    if (command->get_subcommands().empty()) exit_code = measure(*flags);
  });
}

}  // namespace clew::app

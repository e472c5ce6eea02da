// clew_mutants: every planted bug against the simulator. Test-only: consensus, its simulator and the log are compiled
// into it with CLEW_MUTANTS. A mutant runs in a process of its own, as it may end in a failed CHECK or never; the clean
// build has to survive every seed of every profile that a mutant needed.
//
// Dead is a mutant whose run broke a promise that somebody judges, or a CHECK. A seed that is not decided within a
// checker's budget, or does not end in time, kills nobody: it is counted apart, and the next one is tried.
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "consensus/planted.h"
#include "report.h"
#include "sim/decrees/decree_hunt.h"
#include "sim/groups/group_hunt.h"
#include "sim/nodes/node_hunt.h"
#include "table.h"

namespace clew::mutants {
namespace {

namespace groups = sim::groups;
using consensus::Bug;
using consensus::BugInfo;

struct Flags {
  std::vector<std::string> mutants;
  std::optional<uint64_t> seeds;  // instead of the table's
  uint64_t first = 1;
  int64_t seed_seconds = 60;  // of real time, for one seed: a mutant may loop
  size_t jobs = 2;
  bool quick = false;
  bool clean = true;
  std::string family;   // only its rows
  std::string profile;  // instead of the table's
  std::string table;
  std::string only;
  std::optional<uint64_t> seed;
  bool play = false;
};

struct Job {
  size_t place = 0;  // among all jobs
  Fate fate;
  Bug bug = Bug::kNone;
  uint64_t seeds = 0;
  pid_t pid = 0;
  uint64_t seeds_before = 0;  // of earlier processes of this job
  int pipe = -1;
  std::string said;
  std::chrono::steady_clock::time_point started, seed_started;
};

std::unique_ptr<sim::Campaign> hunt_in(std::string_view family, std::string_view profile) {
  std::unique_ptr<sim::Campaign> hunt;
  if (profile == sim::decrees::kProfile) {
    hunt = std::make_unique<sim::decrees::DecreeHunt>();
  } else if (const auto* of_nodes = sim::nodes::node_profile_named(profile)) {
    auto whole_nodes = std::make_unique<sim::nodes::NodeHunt>();
    whole_nodes->family = groups::family_named(family);
    CHECK(whole_nodes->family != nullptr);
    whole_nodes->profile = of_nodes;
    hunt = std::move(whole_nodes);
  } else {
    auto group = std::make_unique<groups::GroupHunt>();
    group->family = groups::family_named(family);
    CHECK(group->family != nullptr);
    auto found = groups::profile_named(profile);
    if (!found.ok()) {
      std::fprintf(stderr, "clew_mutants: %s\n", found.error().message.c_str());
      std::exit(2);
    }
    group->profile = *found;
    hunt = std::move(group);
  }
  hunt->rerun_one_in = 0;
  hunt->max_shrink_tries = 0;
  return hunt;
}

// In the child: one line a seed begun, and one when a check found it.
[[noreturn]] void live(const Job& job, const Flags& flags, int out) {
  consensus::plant(job.bug);
  const std::unique_ptr<sim::Campaign> hunt = hunt_in(job.fate.family, job.fate.profile);
  const auto say = [&](const std::string& line) {
    const ssize_t ignored = write(out, line.data(), line.size());
    (void)ignored;
  };
  for (uint64_t seed = flags.first + job.seeds_before; seed < flags.first + job.seeds; ++seed) {
    say(".\n");
    const sim::RunResult result = run_plan(hunt->plan(seed), hunt->make());
    if (!result.ok) {
      std::string line = "!" + result.failure;
      std::replace(line.begin(), line.end(), '\n', ' ');
      say(line + "\n");
      _exit(0);
    }
    if (!result.clean()) say("?\n");
  }
  _exit(0);
}

void start(Job& job, const Flags& flags) {
  int ends[2];
  if (pipe(ends) != 0) std::exit(3);
  std::fflush(nullptr);
  job.pid = fork();
  if (job.pid == 0) {
    close(ends[0]);
    if (freopen("/dev/null", "w", stderr) == nullptr) _exit(3);  // what a failed CHECK says of itself
    live(job, flags, ends[1]);
  }
  close(ends[1]);
  job.pipe = ends[0];
  job.said.clear();
  job.seed_started = std::chrono::steady_clock::now();
  if (job.seeds_before == 0) job.started = job.seed_started;
}

double since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
}

// True when the child is done.
bool listen(Job& job, const Flags& flags) {
  pollfd waiting{job.pipe, POLLIN, 0};
  poll(&waiting, 1, 50);
  char buffer[4096];
  ssize_t got = 0;
  bool stuck = false;
  if ((waiting.revents & (POLLIN | POLLHUP)) != 0) {
    got = read(job.pipe, buffer, sizeof buffer);
    if (got > 0) {
      job.said.append(buffer, static_cast<size_t>(got));
      job.seed_started = std::chrono::steady_clock::now();
      return false;
    }
  } else if (since(job.seed_started) < static_cast<double>(flags.seed_seconds)) {
    return false;
  } else {
    kill(job.pid, SIGKILL);
    stuck = true;
  }
  int status = 0;
  waitpid(job.pid, &status, 0);
  close(job.pipe);
  job.fate.seconds = since(job.started);
  std::string line;
  for (const char c : job.said) {
    if (c != '\n') {
      line += c;
      continue;
    }
    if (line == ".") ++job.fate.seeds;
    if (line == "?") ++job.fate.undecided;
    if (line.starts_with("!")) job.fate.killed_by = line.substr(1);
    line.clear();
  }
  if (stuck) {
    ++job.fate.stuck;
    job.seeds_before = job.fate.seeds;
    if (job.seeds_before == job.seeds) return true;
    start(job, flags);
    return false;
  }
  if (job.fate.killed_by.empty() && WIFSIGNALED(status)) {
    job.fate.killed_by = WTERMSIG(status) == SIGABRT ? "a failed CHECK of the program itself"
                                                     : "signal " + std::to_string(WTERMSIG(status));
  }
  return true;
}

std::vector<Fate> run_jobs(std::vector<Job> jobs, const Flags& flags) {
  std::vector<Fate> fates(jobs.size());
  size_t next = 0;
  std::vector<Job*> running;
  while (next < jobs.size() || !running.empty()) {
    while (next < jobs.size() && running.size() < flags.jobs) {
      jobs[next].place = next;
      start(jobs[next], flags);
      running.push_back(&jobs[next++]);
    }
    for (size_t i = 0; i < running.size();) {
      if (!listen(*running[i], flags)) {
        ++i;
        continue;
      }
      print(running[i]->fate);
      fates[running[i]->place] = running[i]->fate;
      running.erase(running.begin() + static_cast<ptrdiff_t>(i));
    }
  }
  return fates;
}

int replay(const Flags& flags) {
  const auto bug = consensus::bug_named(flags.mutants.front());
  if (bug) consensus::plant(*bug);
  // Its first row in that family.
  const auto row = std::find_if(rows().begin(), rows().end(), [&](const Row& one) {
    return bug && one.bug == *bug && (flags.family.empty() || one.family == flags.family);
  });
  std::string profile = flags.profile;
  std::string family = flags.family;
  if (profile.empty()) profile = row == rows().end() ? "swarm" : row->profile;
  if (family.empty()) family = row == rows().end() ? groups::families().front().name : row->family;
  const std::unique_ptr<sim::Campaign> hunt = hunt_in(family, profile);
  hunt->max_shrink_tries = 400;
  hunt->program = "clew_mutants --mutant " + flags.mutants.front();
  sim::Plan plan = hunt->plan(*flags.seed);
  if (flags.only.empty() && !flags.play) {
    const auto finding = hunt->hunt(*flags.seed);
    std::printf("%s", finding ? to_string(*finding).c_str() : "it lives\n");
    return 0;
  }
  if (!flags.only.empty()) {
    auto choices = sim::parse_choices(flags.only, static_cast<uint32_t>(plan.drawn));
    if (!choices.ok()) return 2;
    plan = sim::reduce(plan, *choices);
  }
  std::string play;
  const sim::RunResult result = run_plan(plan, hunt->make(), &play);
  std::printf("%s%s\n", play.c_str(), result.ok ? "it lives" : result.failure.c_str());
  return 0;
}

int run(const Flags& flags) {
  if (flags.seed) return replay(flags);
  std::vector<Job> jobs;
  for (const Row& row : rows()) {
    const auto info = std::find_if(consensus::all_bugs().begin(), consensus::all_bugs().end(),
                                   [&](const BugInfo& bug) { return bug.bug == row.bug; });
    const bool chosen = flags.mutants.empty()
                            ? !flags.quick || row.quick
                            : std::find(flags.mutants.begin(), flags.mutants.end(), info->name) != flags.mutants.end();
    if (!chosen || (!flags.family.empty() && row.family != flags.family)) continue;
    Job job;
    job.bug = row.bug;
    job.seeds = flags.seeds.value_or(row.seeds);
    job.fate.name = std::string(info->name);
    job.fate.scenario = info->scenario;
    job.fate.family = std::string(row.family);
    job.fate.profile = flags.profile.empty() ? std::string(row.profile) : flags.profile;
    jobs.push_back(std::move(job));
  }
  std::printf("%-32s %3s  %-12s %5s  %8s  %s\n", "mutant", "no", "profile", "seeds", "time", "killed by");
  const auto started = std::chrono::steady_clock::now();
  std::vector<Fate> fates = run_jobs(std::move(jobs), flags);
  std::map<std::pair<std::string, std::string>, uint64_t> needed;  // by family and profile
  size_t dead = 0;
  std::set<std::string> mutants;
  for (const Fate& fate : fates) {
    mutants.insert(fate.name);
    if (fate.alive()) continue;
    ++dead;
    uint64_t& most = needed[{fate.family, fate.profile}];
    most = std::max(most, fate.seeds);
  }
  const size_t alive = fates.size() - dead;
  size_t false_alarms = 0;
  std::vector<Fate> lived;  // of the clean build
  if (flags.clean) {
    std::vector<Job> clean;
    for (const auto& [world, seeds] : needed) {
      Job job;
      job.seeds = seeds;
      job.fate.name = "(clean build)";
      job.fate.family = world.first;
      job.fate.profile = world.second;
      job.fate.clean = true;
      clean.push_back(std::move(job));
    }
    for (Fate& fate : run_jobs(std::move(clean), flags)) {
      false_alarms += !fate.alive() || fate.undecided != 0 || fate.stuck != 0;
      lived.push_back(std::move(fate));
    }
  }
  rusage used{};
  getrusage(RUSAGE_CHILDREN, &used);
  char summary[256];
  std::snprintf(summary, sizeof summary,
                "%zu mutants in %zu worlds: %zu dead, %zu alive; %.0f s on %zu processes, %.0f s of CPU%s",
                mutants.size(), fates.size(), dead, alive, since(started), flags.jobs,
                static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec),
                false_alarms != 0 ? "; THE CLEAN BUILD FAILED" : "");
  std::printf("\n%s\n", summary);
  fates.insert(fates.end(), lived.begin(), lived.end());
  if (!flags.table.empty() && !write_table(flags.table, summary, fates)) return 2;
  return alive == 0 && false_alarms == 0 ? 0 : 1;
}

}  // namespace
}  // namespace clew::mutants

int main(int argc, char** argv) {
  clew::mutants::Flags flags;
  CLI::App program("Planted bugs against the simulator: each has to die, and the clean build has to live");
  program.add_option("--mutant", flags.mutants, "only this one, may be given several times; with --seed also 'none'");
  program.add_option("--seeds", flags.seeds, "tried for each at most, instead of its own bound");
  program.add_option("--first", flags.first, "the first seed")->capture_default_str();
  program.add_option("--jobs", flags.jobs, "at a time")->capture_default_str();
  program.add_option("--seed-seconds", flags.seed_seconds, "a seed that takes longer is given up")
      ->capture_default_str();
  program.add_option("--protocol", flags.family, "only the rows of this one; with --seed also for 'none'");
  program.add_option("--profile", flags.profile, "instead of each one's own");
  program.add_option("--seed", flags.seed, "replay one seed of one mutant, and shrink it");
  program.add_option("--only", flags.only, "of that seed's plan only these items");
  program.add_flag("--play", flags.play, "tell what happens");
  program.add_flag("--quick", flags.quick, "those that die soon: about a minute");
  program.add_flag("--clean,!--no-clean", flags.clean, "let the clean build live through the same seeds");
  program.add_option("--table", flags.table, "the document whose table is written anew: docs/mutants.md");
  CLI11_PARSE(program, argc, argv);
  if (!flags.table.empty() &&
      (flags.quick || !flags.clean || !flags.mutants.empty() || !flags.profile.empty() || !flags.family.empty())) {
    std::fprintf(stderr, "clew_mutants: --table is of all mutants and the clean build in their own profiles\n");
    return 2;
  }
  if (flags.seed && flags.mutants.size() != 1) {
    std::fprintf(stderr, "clew_mutants: --seed needs one --mutant\n");
    return 2;
  }
  return clew::mutants::run(flags);
}

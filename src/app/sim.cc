// clew sim: puts consensus groups, and whole nodes, through simulated worlds full of faults, one world a seed, and
// judges them.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/client_output.h"
#include "app/commands.h"
#include "app/process_stats.h"
#include "app/progress.h"
#include "app/sim_record.h"
#include "app/whole_number.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/marked_section.h"
#include "os/clock.h"
#include "os/forked.h"
#include "sim/decrees/decree_hunt.h"
#include "sim/groups/group_hunt.h"
#include "sim/nodes/node_hunt.h"

namespace clew::app {
namespace {

namespace groups = sim::groups;
namespace nodes = sim::nodes;

struct Hunt {
  std::string_view profile;
  std::unique_ptr<sim::Campaign> campaign;
};
using Hunts = std::vector<Hunt>;

struct Flags {
  uint64_t seed = 0;
  bool seed_given = false;
  uint64_t seeds = 0;
  uint64_t first = 0;
  std::string only;
  std::string protocol = "raft";
  std::string profile = "swarm";
  size_t nodes = 0;
  bool play = false;
  bool canary = false;
  bool bench = false;
  bool json = false;
  bool keep_going = false;
  size_t jobs = 1;
  std::string log;
  std::string table;
};

// A broken CHECK ends the program: its seed must not be lost with it.
char crash_note[256];
void on_abort(int) {
  const ssize_t ignored = write(STDERR_FILENO, crash_note, __builtin_strlen(crash_note));
  (void)ignored;
}

void note_seed(const sim::Campaign& hunt, uint64_t seed) {
  std::snprintf(crash_note, sizeof crash_note,
                "clew: the program itself gave up in seed %llu\n  replay: %s --seed %llu\n",
                static_cast<unsigned long long>(seed), hunt.command().c_str(), static_cast<unsigned long long>(seed));
}

std::string deeds_text(const groups::Deeds& deeds) {
  return counted(deeds.answered, "operation") + " answered, " + grouped(deeds.failed) + " refused, " +
         grouped(deeds.unknown) + " of unknown outcome, " + grouped(deeds.busy) + " not asked; " +
         grouped(deeds.entries) + " entries, " + grouped(deeds.elections) + " elections, " + grouped(deeds.leaders) +
         " leaders, " + grouped(deeds.memberships) + " memberships, " + grouped(deeds.snapshots_saved) + "+" +
         grouped(deeds.snapshots_installed) + " snapshots saved and installed, " + grouped(deeds.restarts) +
         " restarts, " + grouped(deeds.replaced) + " disks replaced, " + grouped(deeds.holes) + " holes, " +
         grouped(deeds.truncations) + " truncations; " + grouped(deeds.judged) + " judgements of checkers, " +
         grouped(deeds.undecided) + " of histories not decided";
}

constexpr std::string_view kAllProfiles = "all", kAllOfNodes = "nodes-all";
constexpr int kFoundCode = 1, kUndecidedCode = 3;

// One line about one seed; the exit code.
int tell(uint64_t seed, const sim::RunResult& result) {
  const auto number = static_cast<unsigned long long>(seed);
  if (!result.ok) {
    std::printf("seed %llu: FAILED at %s s: %s\n", number, sim::seconds(result.failed_at_ns).c_str(),
                result.failure.c_str());
    return kFoundCode;
  }
  if (!result.clean()) {
    std::printf("seed %llu: NOT DECIDED: %s\n", number, result.undecided.c_str());
    return kUndecidedCode;
  }
  std::printf("seed %llu: fine, %llu events, trace hash %llu\n", number, static_cast<unsigned long long>(result.events),
              static_cast<unsigned long long>(result.trace_hash));
  return 0;
}

// "3 partition, 12 power-cut": what happened, weather included.
std::string faults_text(const std::array<uint64_t, sim::kFaultKinds>& faults) {
  uint64_t sum = 0;
  std::string kinds;
  for (size_t k = 0; k < faults.size(); ++k) {
    if (faults[k] == 0) continue;
    sum += faults[k];
    kinds += (kinds.empty() ? "" : ", ") + grouped(faults[k]) + " " + std::string(name(static_cast<sim::FaultKind>(k)));
  }
  return counted(sum, "fault") + (kinds.empty() ? "" : ": " + kinds);
}

// One seed, with what happened in it when that is asked for.
int replay(const sim::Campaign& hunt, const Flags& flags) {
  note_seed(hunt, flags.seed);
  sim::Plan plan = hunt.plan(flags.seed);
  if (!flags.only.empty()) {
    auto choices = sim::parse_choices(flags.only, static_cast<uint32_t>(plan.drawn));
    if (!choices.ok()) return fail(choices.status(), 2);
    plan = sim::reduce(plan, *choices);
  } else if (!flags.play) {
    sim::RunResult result;
    auto finding = hunt.hunt(flags.seed, &result);
    if (finding) std::fputs(to_string(*finding).c_str(), stdout);
    return finding ? tell(flags.seed, finding->first) : tell(flags.seed, result);
  }
  std::string play;
  const sim::RunResult result = run_plan(plan, hunt.make(), flags.play ? &play : nullptr);
  std::fputs(play.c_str(), stdout);
  return tell(flags.seed, result);
}

// Of which hunt a log is. The program itself stands for the version of everything in it.
std::string identity_of(const Flags& flags) {
  std::ostringstream program;
  program << std::ifstream("/proc/self/exe", std::ios::binary).rdbuf();
  std::ostringstream line;
  line << "{\"hunt\":{\"program\":\"" << std::hex << stable_hash64(program.view()) << std::dec << "\",\"protocol\":\""
       << flags.protocol << "\",\"profile\":\"" << flags.profile << "\",\"nodes\":" << flags.nodes
       << ",\"canary\":" << (flags.canary ? "true" : "false") << "}}";
  return line.str();
}

// `deeds`: where the hunt notes what was done.
SimRecord run_seed(const Hunt& hunt, groups::Deeds& deeds, uint64_t seed) {
  note_seed(*hunt.campaign, seed);
  deeds = {};
  SimRecord record;
  record.seed = seed;
  record.profile = hunt.profile;
  const double started = read_process_stats().cpu_seconds;
  sim::RunResult result;
  const auto finding = hunt.campaign->hunt(seed, &result);
  record.cpu_seconds = read_process_stats().cpu_seconds - started;
  record.deeds = deeds;
  record.virtual_ns = result.virtual_ns;
  record.events = result.events;
  record.faults = result.faults;
  record.failed = finding.has_value();
  record.undecided = !finding && !result.clean();
  if (finding) record.text = to_string(*finding);
  if (record.undecided) {
    record.text =
        hunt.campaign->command() + " --seed " + std::to_string(seed) + ": NOT DECIDED: " + result.undecided + "\n";
  }
  return record;
}

void print(const SimSum& sum, uint64_t first, bool json) {
  if (json) {
    std::printf(
        "{\"seeds\":%llu,\"failed\":%llu,\"undecided\":%llu,\"first\":%llu,\"virtual_seconds\":%.1f,"
        "\"seconds\":%.2f,\"events\":%llu,\"faults\":%llu,\"answered\":%llu,\"judged\":%llu}\n",
        static_cast<unsigned long long>(sum.seeds), static_cast<unsigned long long>(sum.failed),
        static_cast<unsigned long long>(sum.undecided), static_cast<unsigned long long>(first), sum.virtual_seconds,
        sum.cpu_seconds, static_cast<unsigned long long>(sum.events),
        static_cast<unsigned long long>(sum.faults_in_all()), static_cast<unsigned long long>(sum.deeds.answered),
        static_cast<unsigned long long>(sum.deeds.judged));
    return;
  }
  std::printf(
      "%s, %s failed, %s not decided; %.0f virtual seconds in %.1f s of CPU: %.0f a second, %s events\n%s\n%s\n",
      counted(sum.seeds, "seed").c_str(), grouped(sum.failed).c_str(), grouped(sum.undecided).c_str(),
      sum.virtual_seconds, sum.cpu_seconds, sum.virtual_seconds / std::max(sum.cpu_seconds, 1e-9),
      grouped(sum.events).c_str(), faults_text(sum.faults).c_str(), deeds_text(sum.deeds).c_str());
}

// The figures of docs/simulator.md.
Status write_figures(const Flags& flags, const std::vector<SimRecord>& records, const SimSum& sum) {
  std::ostringstream read;
  read << std::ifstream(flags.table).rdbuf();
  std::ostringstream text;
  text << grouped(sum.seeds) << " seeds from " << flags.first << " on, of the protocol " << flags.protocol
       << ", with `./dev sim --protocol " << flags.protocol << " --profile " << flags.profile << " --seeds "
       << flags.seeds << " --first " << flags.first << "`: " << grouped(static_cast<uint64_t>(sum.cpu_seconds))
       << " s of CPU, a twentieth of the seeds run twice.\n"
       << "Happened: " << faults_text(sum.faults) << ".\n\n"
       << figures_table(records);
  CLEW_ASSIGN(const std::string document,
              with_section(read.str(), "<!-- figures of " + flags.protocol + ": written by ./dev sim --table -->",
                           "<!-- end of figures -->", text.str()));
  std::ofstream file(flags.table);
  file << document;
  file.flush();
  return file ? Status() : Status(Code::kUnavailable, flags.table + " cannot be written");
}

// Each seed in one of the hunts, in turn.
int run_seeds(const Hunts& hunts, const Flags& flags, groups::Deeds& deeds) {
  std::vector<SimRecord> records;
  SimLog log;
  if (!flags.log.empty()) {
    if (const Status opened = log.open(flags.log, identity_of(flags), records); !opened.ok()) return fail(opened, 2);
  }
  const auto wanted = [&](uint64_t seed) { return seed - flags.first < flags.seeds; };
  std::erase_if(records, [&](const SimRecord& record) { return !wanted(record.seed); });
  std::set<uint64_t> known;
  SimSum sum;
  for (const SimRecord& record : records) {
    known.insert(record.seed);
    sum.add(record);
    std::fputs(record.text.c_str(), stdout);
  }
  std::vector<uint64_t> seeds;
  for (uint64_t seed = flags.first; wanted(seed); ++seed) {
    if (!known.contains(seed)) seeds.push_back(seed);
  }
  const os::OsClock clock;
  ProgressBar bar("seeds", seeds.size(), clock);
  uint64_t done = 0;
  Status logged;
  const auto hear = [&](const os::ForkedOutcome& outcome) {
    const Hunt& hunt = hunts[outcome.task % hunts.size()];
    SimRecord record;
    if (outcome.signal == 0) {
      auto decoded = decode_sim_record(outcome.output);
      CHECK(decoded.ok());  // it is this very program that wrote it
      record = std::move(decoded).value();
    } else {
      record.seed = outcome.task;
      record.profile = hunt.profile;
      record.failed = true;
      record.text = "seed " + std::to_string(outcome.task) + ": the program itself gave up, by signal " +
                    std::to_string(outcome.signal) + "\n  replay: " + hunt.campaign->command() + " --seed " +
                    std::to_string(outcome.task) + "\n";
    }
    if (!record.text.empty()) {
      bar.finish();
      std::printf("%s\n", record.text.c_str());
      std::fflush(stdout);
    }
    if (log.is_open()) logged = log.append(record);
    sum.add(record);
    records.push_back(std::move(record));
    bar.update(++done, std::to_string(sum.failed) + " failed");
    return logged.ok() && (flags.keep_going || sum.failed == 0);
  };
  const Status ran = os::run_forked(
      seeds, flags.jobs, [&](uint64_t seed) { return encode(run_seed(hunts[seed % hunts.size()], deeds, seed)); },
      hear);
  bar.finish();
  if (!ran.ok()) return fail(ran, 2);
  if (!logged.ok()) return fail(logged, 2);
  print(sum, flags.first, flags.json);
  if (!flags.table.empty() && sum.seeds == flags.seeds) {
    if (const Status written = write_figures(flags, records, sum); !written.ok()) return fail(written, 2);
  }
  return sum.failed != 0 ? kFoundCode : sum.undecided != 0 ? kUndecidedCode : 0;
}

Result<const groups::Family*> family_of(const Flags& flags) {
  if (const groups::Family* const family = groups::family_named(flags.protocol)) return family;
  std::string names;
  for (const groups::Family& one : groups::families()) names += " " + std::string(one.name);
  return Error{Code::kInvalidArgument, "no protocol is called " + flags.protocol + "; there are:" + names};
}

Status enough_nodes(const Flags& flags, const groups::Family& family) {
  if (flags.nodes == 0 || flags.nodes >= family.least_voters) return {};
  return Error{Code::kInvalidArgument, "--nodes " + std::to_string(flags.nodes) + ": " + std::string(family.name) +
                                           " takes at least " + std::to_string(family.least_voters) + " members"};
}

// One for each profile that is asked for.
Result<Hunts> groups_of(const Flags& flags, groups::Deeds& deeds) {
  CLEW_ASSIGN(const groups::Family* const family, family_of(flags));
  CLEW_TRY(enough_nodes(flags, *family));
  Hunts hunts;
  const auto add = [&](const groups::Profile& profile) {
    auto hunt = std::make_unique<groups::GroupHunt>();
    hunt->family = family;
    hunt->profile = &profile;
    if (flags.nodes != 0 || flags.bench) hunt->nodes = flags.nodes != 0 ? flags.nodes : 5;
    hunt->loses_appends = flags.canary;
    hunt->deeds = &deeds;
    hunts.push_back({profile.name, std::move(hunt)});
  };
  if (flags.profile == kAllProfiles) {
    for (const groups::Profile& profile : groups::profiles()) {
      if (family->suits(profile)) add(profile);
    }
    return hunts;
  }
  const auto profile = groups::profile_named(flags.profile);
  if (!profile.ok()) {
    std::string others = " " + std::string(kAllProfiles) + "; of whole nodes: " + std::string(kAllOfNodes);
    for (const auto& of_nodes : nodes::node_profiles()) others += " " + std::string(of_nodes.name);
    return Error{profile.error().code,
                 profile.error().message + others + "; of single-decree Paxos: " + std::string(sim::decrees::kProfile)};
  }
  if (!family->suits(**profile)) {
    return Error{Code::kInvalidArgument,
                 "the protocol " + flags.protocol + " does not promise what the profile " + flags.profile + " asks"};
  }
  add(**profile);
  return hunts;
}

Result<Hunts> nodes_of(const Flags& flags, groups::Deeds& deeds) {
  if (flags.canary) {
    return Error{Code::kInvalidArgument,
                 "--canary is for groups, and " + flags.profile + " is a profile of whole nodes"};
  }
  CLEW_ASSIGN(const groups::Family* const family, family_of(flags));
  CLEW_TRY(enough_nodes(flags, *family));
  Hunts hunts;
  for (const nodes::NodeProfile& profile : nodes::node_profiles()) {
    if (flags.profile != kAllOfNodes && flags.profile != profile.name) continue;
    auto hunt = std::make_unique<nodes::NodeHunt>();
    hunt->family = family;
    hunt->profile = &profile;
    if (flags.nodes != 0 || flags.bench) hunt->founders = flags.nodes != 0 ? flags.nodes : 5;
    hunt->deeds = &deeds;
    hunts.push_back({profile.name, std::move(hunt)});
  }
  return hunts;
}

Result<Hunts> decrees_of(const Flags& flags, groups::Deeds& deeds) {
  if (flags.canary || flags.protocol != groups::families().front().name) {
    return Error{Code::kInvalidArgument,
                 "--canary and --protocol are for groups, and " + flags.profile + " is of single-decree Paxos"};
  }
  auto hunt = std::make_unique<sim::decrees::DecreeHunt>();
  if (flags.nodes != 0 || flags.bench) hunt->nodes = flags.nodes != 0 ? flags.nodes : 5;
  hunt->deeds = &deeds;
  Hunts hunts;
  hunts.push_back({sim::decrees::kProfile, std::move(hunt)});
  return hunts;
}

int run(Flags flags) {
  groups::Deeds deeds;
  const bool whole_nodes = flags.profile == kAllOfNodes || nodes::node_profile_named(flags.profile) != nullptr;
  auto hunts = whole_nodes                               ? nodes_of(flags, deeds)
               : flags.profile == sim::decrees::kProfile ? decrees_of(flags, deeds)
                                                         : groups_of(flags, deeds);
  if (!hunts.ok()) return fail(hunts.status(), 2);
  std::signal(SIGABRT, on_abort);
  if (flags.bench) {
    if (flags.seeds == 0) flags.seeds = 20;
    for (const Hunt& hunt : *hunts) hunt.campaign->rerun_one_in = 0;
  }
  if (flags.seeds != 0) return run_seeds(*hunts, flags, deeds);
  if (hunts->size() != 1) {
    return fail(Status(Code::kInvalidArgument, "one seed needs one profile; all of them are for --seeds"), 2);
  }
  return replay(*hunts->front().campaign, flags);
}

}  // namespace

void add_sim(CLI::App& program, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  auto* command = program.add_subcommand(
      "sim",
      "put consensus groups, or whole nodes with clients, through simulated worlds full of faults; exit code 0: "
      "nothing was found, 1: a seed "
      "failed, 2: wrong arguments, 3: nothing was found, but a checker's budget did not suffice for a seed");
  auto* seed = command->add_option("--seed", flags->seed, "one world; a failing one is shrunk, and its replay printed")
                   ->check(whole_number());
  command->add_option("--only", flags->only, "of that world's plan only these items, as a replay names them")
      ->needs(seed);
  command->add_flag("--play", flags->play, "tell what happens")->needs(seed);
  command->add_option("--seeds", flags->seeds, "so many worlds, each of another seed")
      ->excludes(seed)
      ->check(whole_number());
  command->add_option("--first", flags->first, "the first of --seeds")->capture_default_str()->check(whole_number());
  std::string names;
  for (const auto& family : groups::families()) names += " " + std::string(family.name);
  command->add_option("--protocol", flags->protocol, "one of:" + names)->capture_default_str();
  names.clear();
  for (const auto& profile : groups::profiles()) {
    names += "\n" + std::string(profile.name) + ": " + std::string(profile.text);
  }
  names += "\n" + std::string(kAllProfiles) + ": the seeds in each of them in turn; of whole nodes:";
  for (const auto& profile : nodes::node_profiles()) {
    names += "\n" + std::string(profile.name) + ": " + std::string(profile.text);
  }
  names += "\n" + std::string(kAllOfNodes) + ": the seeds in each of these in turn; of single-decree Paxos:\n" +
           std::string(sim::decrees::kProfile) + ": members propose under the same names, duel and crash";
  command->add_option("--profile", flags->profile, "which faults and loads:" + names)->capture_default_str();
  command->add_option("--nodes", flags->nodes, "machines; default: by seed, 3 to 7")->check(CLI::Range(1, 9));
  command->add_option("--jobs", flags->jobs, "processes that share --seeds")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  command->add_option("--log", flags->log,
                      "a line for each seed of --seeds; a hunt that was broken off goes on from it");
  command->add_option("--table", flags->table,
                      "the document whose figures are written anew, when all --seeds are done: docs/simulator.md");
  command->add_flag("--keep-going", flags->keep_going, "do not stop at the first seed that fails");
  command->add_flag("--canary", flags->canary, "a state machine that loses what it acknowledged: must be found");
  command->add_flag("--bench", flags->bench, "how many virtual seconds pass in one of CPU, with 5 nodes");
  command->add_flag("--json", flags->json, "the summary as one JSON object");
  command->callback([flags, &exit_code] { exit_code = run(*flags); });
}

}  // namespace clew::app

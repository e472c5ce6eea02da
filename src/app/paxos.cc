// clew paxos: one-shot agreements among the members of a running cluster, by single-decree Paxos.
#include <cstdio>
#include <memory>

#include "app/commands.h"
#include "app/control_client.h"
#include "app/paxos_report.h"

namespace clew::app {
namespace {

constexpr int kOther = 1, kError = 2;

struct Flags {
  ControlFlags control;
  std::string name, value;
  bool json = false;
};

int propose(const Flags& flags) {
  using consensus::paxos::Outcome;
  auto client = ControlClient::connect(flags.control);
  if (!client.ok()) return fail(client.status(), kError);
  ControlClient& asked = **client;
  const auto answer = asked.wait<Outcome>([&](auto done) {
    asked.client().propose_decree(flags.name, flags.value, asked.call_options(), std::move(done));
  });
  if (const auto* error = std::get_if<control::CallError>(&answer)) return fail(*error);
  const auto& outcome = std::get<Outcome>(answer);
  const std::string text =
      flags.json ? decree_json(flags.name, flags.value, outcome) : decree_text(flags.name, flags.value, outcome);
  std::fputs(text.c_str(), stdout);
  return outcome.chosen.value == flags.value ? 0 : kOther;
}

}  // namespace

void add_paxos(CLI::App& program, int& exit_code) {
  auto* paxos = program.add_subcommand(
      "paxos", "one-shot agreements of the cluster's members: single-decree Paxos, under a name");
  paxos->require_subcommand(1);
  auto flags = std::make_shared<Flags>();
  auto* command = paxos->add_subcommand("propose",
                                        "propose a value under a name; the first one that is chosen stays for ever, "
                                        "and everybody is told it. Exit code 0: "
                                        "this value, 1: another one was chosen, 2: an error");
  flags->control.add_to(*command);
  command->add_option("name", flags->name, "of the agreement, 1 to 256 bytes")->required();
  command->add_option("value", flags->value, "at most 4096 bytes")->required();
  command->add_flag("--json", flags->json, "one JSON object");
  command->callback([flags, &exit_code] { exit_code = propose(*flags); });
}

}  // namespace clew::app

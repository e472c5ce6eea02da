// clew status: how the control group is, at a glance.
#include <cstdio>
#include <memory>

#include "app/client_output.h"
#include "app/commands.h"
#include "app/control_client.h"
#include "app/status_report.h"

namespace clew::app {

void add_status(CLI::App& program, int& exit_code) {
  struct Flags {
    ControlFlags control;
    bool json = false;
  };
  auto flags = std::make_shared<Flags>();
  auto* command = program.add_subcommand(
      "status", "how the cluster is: exit code 0: healthy, 1: something is wrong, and it says what, 2: nobody answers");
  flags->control.add_to(*command);
  command->add_flag("--json", flags->json, "one JSON object");
  command->callback([flags, &exit_code] {
    constexpr int kNoAnswer = 2;
    auto client = ControlClient::connect(flags->control);
    if (!client.ok()) {
      exit_code = fail(client.status(), kNoAnswer);
      return;
    }
    const auto answer = (*client)->status();
    if (const auto* error = std::get_if<control::CallError>(&answer)) {
      std::fprintf(stderr, "NO ANSWER: %s\n", printable(error->message).c_str());
      std::fprintf(stderr, "Is `clew serve` running there? Ask the others with --server A,B,C.\n");
      exit_code = kNoAnswer;
      return;
    }
    const auto& status = std::get<control::GroupStatus>(answer);
    std::fputs((flags->json ? status_json(status) : status_page(status, colours_on())).c_str(), stdout);
    exit_code = judge(status).healthy ? 0 : 1;
  });
}

}  // namespace clew::app

// clew verify: its options; the work is in verify.h.
#include <memory>

#include "app/commands.h"
#include "app/verify.h"
#include "os/clock.h"

namespace clew::app {

void add_verify(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<VerifyOptions>();
  auto* command = program.add_subcommand(
      "verify", "say which traces of files are whole; exit code 0: all, 1: not all, 2: unreadable input");
  command->add_option("file", options->files, "OTLP JSON lines or protobuf, .zst too; - is standard input")->required();
  command->add_option("--examples", options->examples, "trace ids shown for each finding")->capture_default_str();
  command->add_flag("--json", options->json, "the report as one JSON object");
  command->callback([options, &exit_code] { exit_code = run_verify(*options, os::OsClock()); });
}

}  // namespace clew::app

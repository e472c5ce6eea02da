// The `clew` program: finds the subcommand and runs it.
#include <CLI/CLI.hpp>

#include "app/commands.h"
#include "app/version.h"

int main(int argc, char** argv) {
  CLI::App program("Clew: a trace store that tells whether a trace is whole");
  program.set_version_flag("--version", std::string("clew ") + clew::app::kVersion);
  program.require_subcommand(1);
  program.get_formatter()->column_width(32);
  int exit_code = 0;
  clew::app::add_serve(program, exit_code);
  clew::app::add_import(program, exit_code);
  clew::app::add_trace(program, exit_code);
  clew::app::add_search(program, exit_code);
  clew::app::add_bench(program, exit_code);
  clew::app::add_status(program, exit_code);
  clew::app::add_kv(program, exit_code);
  clew::app::add_member(program, exit_code);
  clew::app::add_paxos(program, exit_code);
  clew::app::add_keys(program, exit_code);
  clew::app::add_snapshot(program, exit_code);
  clew::app::add_verify(program, exit_code);
  clew::app::add_check_history(program, exit_code);
  clew::app::add_sim(program, exit_code);
  clew::app::add_lab(program, exit_code);
  clew::app::add_config(program, exit_code);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = program.exit(error);
    return code == 0 ? 0 : 2;
  }
  return exit_code;
}

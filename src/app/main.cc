// The `clew` program: finds the subcommand and runs it.
#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
  CLI::App app("Clew: a trace store that tells whether a trace is whole");
  app.set_version_flag("--version", "clew 0.1.0");
  CLI11_PARSE(app, argc, argv);
  return 0;
}

// clew config: what `clew serve` would run with, and whether it would.
#include <cstdio>
#include <memory>

#include "app/commands.h"
#include "app/config.h"

namespace clew::app {

void add_config(CLI::App& program, int& exit_code) {
  struct Flags {
    std::string file;
    bool verify = false;
    bool reference = false;
  };
  auto flags = std::make_shared<Flags>();
  auto* command = program.add_subcommand("config", "print the effective configuration, secrets masked");
  command->add_option("--config,file", flags->file, "YAML file; without it, the defaults");
  command->add_flag("--verify", flags->verify,
                    "open its TLS files, too, and only say whether all is good; the exit code tells");
  command->add_flag("--reference", flags->reference, "print a Markdown table of every setting");
  command->callback([flags, &exit_code] {
    if (flags->reference) {
      std::fputs(config_reference().c_str(), stdout);
      return;
    }
    Config config = default_config();
    if (!flags->file.empty()) {
      auto loaded = load_config(flags->file);
      if (!loaded.ok()) {
        exit_code = fail(loaded.status());
        return;
      }
      config = std::move(*loaded);
    }
    if (const Status status = check_config(config); !status.ok()) {
      exit_code = fail(status);
      return;
    }
    if (flags->verify) {
      if (const Status status = check_files(config); !status.ok()) {
        exit_code = fail(status);
        return;
      }
      std::printf("%s: good\n", flags->file.empty() ? "defaults" : flags->file.c_str());
    } else {
      std::fputs(print_config(config).c_str(), stdout);
    }
  });
}

}  // namespace clew::app

// The subcommands of `clew`: each `add_` function declares its options on the parser, and what runs when it is chosen.
// A subcommand that ran stores its exit code in `exit_code`: 0 done, 1 the answer is "no" or the work failed, 2 wrong
// use (of search, trace and verify, 2 is every error: 1 is an answer; of check-history 2 is "not decided" and 3 every
// error; import tells more kinds apart: import.cc).
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "app/http_client.h"
#include "base/status.h"

namespace clew::app {

void add_serve(CLI::App& program, int& exit_code);
void add_import(CLI::App& program, int& exit_code);
void add_trace(CLI::App& program, int& exit_code);
void add_search(CLI::App& program, int& exit_code);
void add_bench(CLI::App& program, int& exit_code);
void add_bench_kv(CLI::App& bench, int& exit_code);  // a subcommand of add_bench's
void add_config(CLI::App& program, int& exit_code);
void add_verify(CLI::App& program, int& exit_code);
void add_check_history(CLI::App& program, int& exit_code);
void add_sim(CLI::App& program, int& exit_code);
void add_lab(CLI::App& program, int& exit_code);
void add_kv(CLI::App& program, int& exit_code);
void add_member(CLI::App& program, int& exit_code);
void add_paxos(CLI::App& program, int& exit_code);
void add_status(CLI::App& program, int& exit_code);
void add_keys(CLI::App& program, int& exit_code);
void add_snapshot(CLI::App& program, int& exit_code);

// --server, --token, --ca and --tenant of the subcommands that talk to a node.
struct ClientFlags {
  std::string server;
  std::string token;
  std::string ca_file;
  std::string tenant;
  // `default_port` is that of the API which the subcommand needs; `variable` of the environment stands for --server.
  // Queries and OTLP are different ports, so they have a variable each: CLEW_SERVER and CLEW_OTLP_SERVER.
  void add_to(CLI::App& command, const std::string& default_port, const std::string& variable = "CLEW_SERVER");
  Result<HttpClient> connect() const;
};

// Writes "clew: MESSAGE" to standard error; returns `exit_code`.
int fail(const Status& status, int exit_code = 1);

}  // namespace clew::app

// Config: everything that `clew serve` can be told, from one YAML file with OpenTelemetry's names, and flags on top.
//
// Every setting is described once (config_fields.h): its name, its place, its unit and a sentence. Reading, printing
// the effective configuration and the reference table of docs/operations.md all come from that description. Scalars may
// hold ${env:NAME} or ${env:NAME:-default} ($$ is a dollar sign): substituted after parsing, so a value cannot change
// the shape of the file. Unknown keys are refused with their line and the nearest known name. Errors: kInvalidArgument,
// "clew.yaml:12: ...". Pure except load_config. Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/server_options.h"
#include "app/control_config.h"
#include "base/status.h"
#include "cluster/options.h"

namespace clew::app {

struct Config {
  api::ServerOptions servers;
  cluster::NodeOptions node;
  ControlConfig control;
  uint32_t loops = 0;  // 0: one per two cores
  std::string log_level = "info";
  // Where the file sets what, for messages: "traces.quiet_period" → "clew.yaml:12". Nothing of what a flag set.
  std::map<std::string, std::string> places;
};

// The defaults of a node that is told nothing but where to keep its data.
Config default_config();

using EnvironmentFn = std::function<std::optional<std::string>(const std::string& name)>;
EnvironmentFn process_environment();

// `origin` names the text in messages. Settings that the text does not name keep their value in `config`; on an error
// `config` is partly changed and of no use.
Status read_config(std::string_view yaml, std::string_view origin, const EnvironmentFn& environment, Config& config);
Result<Config> load_config(const std::string& path);

// The largest body that a receiver takes.
uint64_t largest_request(const api::ServerOptions& servers);

// What a client of the control plane must show one of, and members show the first: bearer tokens that are no tenant's.
std::vector<std::string> control_tokens(const Config& config);

// What no single setting can tell: contradictions between settings, and values that cannot work. The message names the
// setting and, when a file set it, the line.
Status check_config(const Config& config);
// Opens what the configuration names: certificates, keys and authorities of TLS. Reads files.
Status check_files(const Config& config);

// YAML of every setting with its effective value, secrets masked; reads back as the same configuration but for those.
std::string print_config(Config config);
// The same for somebody who may act for `tenant` alone: without the tokens of others.
std::string print_config_for(const std::string& tenant, Config config);
// A Markdown table of every setting, its default and what it does.
std::string config_reference();

}  // namespace clew::app

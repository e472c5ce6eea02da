#include <cstdio>

#include "app/commands.h"

namespace clew::app {

void ClientFlags::add_to(CLI::App& command, const std::string& default_port, const std::string& variable) {
  server = "127.0.0.1:" + default_port;
  command.add_option("--server", server, "address of the node: host:port, http://... or https://...")
      ->capture_default_str()
      ->envname(variable);
  command.add_option("--token", token, "bearer token")->envname("CLEW_TOKEN");
  command.add_option("--ca", ca_file, "PEM file of the authority behind an https node; without it, the system's")
      ->envname("CLEW_CA");
  command.add_option("--tenant", tenant, "tenant (X-Scope-OrgID)")->envname("CLEW_TENANT");
}

Result<HttpClient> ClientFlags::connect() const {
  CLEW_ASSIGN(ServerAddress address, parse_server(server, ""));
  HttpClient::Options options;
  options.bearer_token = token;
  options.tenant = tenant;
  options.ca_file = ca_file;
  return HttpClient(std::move(address), std::move(options));
}

int fail(const Status& status, int exit_code) {
  std::fprintf(stderr, "clew: %s\n", std::string(status.message()).c_str());
  return exit_code;
}

}  // namespace clew::app

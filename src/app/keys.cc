// clew keys: the certificates of a cluster (its authority, its members' and its clients'), and the keys with which the
// members of a group under PBFT sign.
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "app/certificates.h"
#include "app/commands.h"
#include "app/signing_keys.h"
#include "os/ed25519.h"

namespace clew::app {
namespace {

struct Flags {
  std::string directory = "keys";
  std::string name;
  uint64_t id = 0;
  std::vector<std::string> hosts;
  uint32_t days = 825;
  uint32_t authority_days = 3650;
};

bool is_ip(const std::string& host) {
  return host.find(':') != std::string::npos || host.find_first_not_of("0123456789.") == std::string::npos;
}

Status write_pair(const Flags& flags, const std::string& name, const Pem& pem) {
  const std::string base = flags.directory + "/" + name;
  CLEW_TRY(write_new_file(base + ".key", pem.key, true));
  CLEW_TRY(write_new_file(base + ".crt", pem.certificate, false));
  std::printf("%s.crt\n%s.key\n", base.c_str(), base.c_str());
  return {};
}

Status make_directory(const Flags& flags) {
  if (::mkdir(flags.directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return {Code::kPermissionDenied,
            "make the directory " + flags.directory + ": " + std::strerror(errno)};  // NOLINT(concurrency-mt-unsafe)
  }
  return {};
}

Status make_ca(const Flags& flags) {
  CLEW_TRY(make_directory(flags));
  CLEW_ASSIGN(const Pem pem, make_authority(flags.name.empty() ? "Clew cluster" : flags.name, flags.authority_days));
  return write_pair(flags, "ca", pem);
}

Status make_signed(const Flags& flags, CertificateRequest request) {
  Pem authority;
  CLEW_ASSIGN(authority.certificate, read_whole_file(flags.directory + "/ca.crt"));
  CLEW_ASSIGN(authority.key, read_whole_file(flags.directory + "/ca.key"));
  request.valid_days = flags.days;
  for (const std::string& host : flags.hosts) (is_ip(host) ? request.ip_addresses : request.dns_names).push_back(host);
  CLEW_ASSIGN(const Pem pem, sign(authority, request));
  return write_pair(flags, request.common_name, pem);
}

Status make_node(const Flags& flags) {
  CertificateRequest request;
  request.common_name = "node-" + std::to_string(flags.id);
  request.dns_names = {request.common_name};
  request.server = true;
  return make_signed(flags, std::move(request));
}

Status make_client(const Flags& flags) {
  CertificateRequest request;
  request.common_name = flags.name;
  if (flags.name.empty() || flags.name.starts_with("node-") || flags.name.find('/') != std::string::npos ||
      flags.name == "ca") {
    return {Code::kInvalidArgument,
            "\"" + flags.name + "\" is no name for a client: \"node-…\" is a member's, and it becomes a file's name"};
  }
  return make_signed(flags, std::move(request));
}

// Without an authority: members of other organisations know a key by having been given it.
Status make_signing(const Flags& flags) {
  CLEW_TRY(make_directory(flags));
  CLEW_ASSIGN(const auto key, os::Ed25519Key::generate());
  const std::string base = flags.directory + "/" + signing_key_name(consensus::NodeId{flags.id});
  CLEW_TRY(write_new_file(base + ".key", key.to_pem(), true));
  CLEW_TRY(write_new_file(base + ".pub", key.public_key().to_pem(), false));
  std::printf("%s.key\n%s.pub\nfingerprint %s\n", base.c_str(), base.c_str(), key.public_key().fingerprint().c_str());
  return {};
}

}  // namespace

void add_keys(CLI::App& program, int& exit_code) {
  auto* keys = program.add_subcommand(
      "keys",
      "make the certificates of a cluster: first ca, then node for each member, and client for each user; and signing, "
      "for a group under PBFT");
  keys->require_subcommand(1);
  const auto declare = [&](const char* name, const char* text, auto act) {
    auto flags = std::make_shared<Flags>();
    auto* command = keys->add_subcommand(name, text);
    command->add_option("--dir", flags->directory, "where the files are; ca and signing make it")
        ->capture_default_str();
    command->callback([flags, act, &exit_code] {
      const Status status = act(*flags);
      exit_code = status.ok() ? 0 : fail(status, status.code() == Code::kInvalidArgument ? 2 : 1);
    });
    return std::pair(command, flags);
  };
  auto [ca, ca_flags] =
      declare("ca", "the authority: ca.crt, and ca.key, which whoever has it can make members with", make_ca);
  ca->add_option("--name", ca_flags->name, "its common name");
  ca->add_option("--days", ca_flags->authority_days, "that it is valid")
      ->capture_default_str()
      ->check(CLI::Range(1, 36500));

  auto [node, node_flags] = declare("node", "a member's certificate: node-ID.crt, node-ID.key", make_node);
  node->add_option("id", node_flags->id, "of the node")->required()->check(CLI::PositiveNumber);
  node->add_option("--host", node_flags->hosts, "names and addresses that clients use for it, for the HTTPS ports");
  node->add_option("--days", node_flags->days, "that it is valid")->capture_default_str()->check(CLI::Range(1, 36500));

  auto [client, client_flags] = declare("client", "a client's certificate: NAME.crt, NAME.key", make_client);
  client->add_option("name", client_flags->name, "of the user or the program")->required();
  client->add_option("--days", client_flags->days, "that it is valid")
      ->capture_default_str()
      ->check(CLI::Range(1, 36500));

  auto [signing, signing_flags] = declare(
      "signing", "a member's key for PBFT: signing-ID.key, and signing-ID.pub, which all members need", make_signing);
  signing->add_option("id", signing_flags->id, "of the node")->required()->check(CLI::PositiveNumber);
}

}  // namespace clew::app

#include "app/control_client.h"

#include <algorithm>
#include <cstdio>

#include "app/commands.h"
#include "app/units.h"
#include "os/network.h"
#include "os/tls_network.h"

namespace clew::app {

void ControlFlags::add_to(CLI::App& command) {
  servers = "127.0.0.1:4331";
  command.add_option("--server", servers, "members' client ports, host:port, several with commas between them")
      ->capture_default_str()
      ->envname("CLEW_CONTROL");
  command.add_option("--token", token, "bearer token")->envname("CLEW_TOKEN");
  command.add_option("--ca", ca_file, "PEM file of the cluster's authority; with --cert and --key: mutual TLS")
      ->envname("CLEW_CA");
  command.add_option("--cert", cert_file, "PEM file of this client's certificate (clew keys client)")
      ->envname("CLEW_CERT");
  command.add_option("--key", key_file, "PEM file of its key")->envname("CLEW_KEY");
  command.add_option("--timeout", timeout, "of one request")->capture_default_str();
  command.add_flag("--trust-gateway", trust_gateway,
                   "believe the one member that is asked; else, in a group that runs PBFT, --server names all members, "
                   "and f + 1 of them have to give the same answer");
}

Result<int64_t> ControlFlags::timeout_ns() const {
  const auto ns = parse_duration(timeout);
  if (!ns || *ns <= 0) return Error{Code::kInvalidArgument, "--timeout wants a duration, e.g. 5s or 500ms"};
  return *ns;
}

Result<std::unique_ptr<ControlClient>> ControlClient::connect(const ControlFlags& flags, Options options) {
  control::ClientOptions client_options;
  for (size_t begin = 0; begin <= flags.servers.size();) {
    const size_t end = std::min(flags.servers.find(',', begin), flags.servers.size());
    const std::string address = flags.servers.substr(begin, end - begin);
    begin = end + 1;
    if (address.empty()) continue;
    if (address.find(':') == std::string::npos) {
      return Error{Code::kInvalidArgument,
                   "--server " + address + ": write it as host:port, e.g. " + address + ":4331"};
    }
    client_options.addresses.push_back(address);
  }
  if (client_options.addresses.empty()) return Error{Code::kInvalidArgument, "--server names no address"};
  client_options.token = flags.token;
  client_options.fail_fast = options.fail_fast;
  client_options.trust_gateway = flags.trust_gateway;
  std::unique_ptr<ControlClient> made(new ControlClient());
  CLEW_ASSIGN(made->call_options_.timeout_ns, flags.timeout_ns());
  if (flags.ca_file.empty() && flags.cert_file.empty() && flags.key_file.empty()) {
    made->network_ = std::make_unique<os::OsNetwork>();
  } else {
    os::TlsNetworkOptions tls;
    tls.ca_file = flags.ca_file;
    tls.cert_file = flags.cert_file;
    tls.key_file = flags.key_file;
    CLEW_ASSIGN(made->network_, os::TlsNetwork::make(tls));
  }
  made->loop_ = std::make_unique<os::OsLoop>("client", made->workers_);
  made->client_options_ = client_options;
  made->client_ = control::Client::open(*made->loop_, *made->network_, made->random_, std::move(client_options));
  return made;
}

ControlClient::~ControlClient() {
  if (loop_ == nullptr) return;
  close(client_);
  loop_->stop();
}

// On its loop: streams and timers end there.
void ControlClient::close(std::unique_ptr<control::Client>& client) {
  (void)wait<bool>([&client](auto done) {
    client.reset();
    done(true);
  });
}

std::variant<control::CallReply, control::CallError> ControlClient::execute(kv::Space space, kv::Request request,
                                                                            control::CallOptions options) {
  return wait<control::CallReply>([this, space, request = std::move(request), options](auto done) mutable {
    client_->execute(space, std::move(request), options, std::move(done));
  });
}

std::variant<control::GroupStatus, control::CallError> ControlClient::status() {
  using Answer = std::variant<control::GroupStatus, control::CallError>;
  const auto asked = [this](control::Client& client) {
    return wait<control::GroupStatus>([&](auto done) { client.status(call_options_, std::move(done)); });
  };
  const auto is_informed = [](const Answer& answer) {
    const auto* const status = std::get_if<control::GroupStatus>(&answer);
    return status != nullptr && status->leader_view &&
           std::any_of(status->members.begin(), status->members.end(),
                       [&](const control::MemberStatus& member) { return member.record.id == status->self; });
  };
  Answer answer = asked(*client_);
  if (is_informed(answer) || client_options_.addresses.size() < 2) return answer;
  for (const std::string& address : client_options_.addresses) {
    control::ClientOptions only = client_options_;
    only.addresses = {address};
    only.fail_fast = true;
    auto client = control::Client::open(*loop_, *network_, random_, std::move(only));
    Answer other = asked(*client);
    close(client);
    if (is_informed(other)) return other;
  }
  return answer;
}

uint64_t ControlClient::cluster() {
  return std::get<0>(wait<uint64_t>([this](auto done) { done(client_->cluster()); }));
}

int fail(const control::CallError& error) {
  std::string text = error.message;
  if (error.uncertain) text += " (it may have taken effect all the same: look before you repeat it)";
  return fail(Status(error.code, text), 2);
}

}  // namespace clew::app

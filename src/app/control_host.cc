#include "app/control_host.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "consensus/protocols.h"
#include "consensus/time_bound.h"
#include "control/plane_metrics.h"
#include "kv/memory_engine.h"
#include "os/network.h"
#include "rocks/engine.h"

namespace clew::app {
namespace {

constexpr int64_t kJoinTimeout = 30'000'000'000;
constexpr int64_t kJoinAgain = 200'000'000;
// Bytes of log: more than there ever are.
constexpr uint64_t kNoSnapshotBySize = uint64_t{1} << 50;
constexpr int64_t kTransferTimeout = 3'000'000'000;
constexpr int64_t kServerDrain = 3'000'000'000;
constexpr int64_t kTracesEvery = 1'000'000'000;
constexpr int64_t kRefusalsEvery = 1'000'000'000;
constexpr int64_t kDamageEvery = 1'000'000'000;

std::string host_of(const std::string& address) { return address.substr(0, address.rfind(':')); }
bool any_host(const std::string& host) { return host.empty() || host == "0.0.0.0" || host == "[::]"; }

// Where others find a port that listens on `endpoint`: on the host that is known of this node when it listens on all.
std::string reachable(const std::string& endpoint, uint16_t port, const std::string& known) {
  const std::string host = host_of(endpoint);
  return (any_host(host) ? host_of(known) : host) + ":" + std::to_string(port);
}

struct TlsRefusal {
  uint64_t os::TlsNetworkStats::*field;
  const char* name;
  const char* words;
};
constexpr TlsRefusal kTlsRefusals[] = {
    {&os::TlsNetworkStats::no_certificate, "no_certificate", "no certificate was shown"},
    {&os::TlsNetworkStats::foreign_certificate, "foreign_certificate", "another authority signed the certificate"},
    {&os::TlsNetworkStats::expired_certificate, "expired_certificate",
     "the certificate has expired or is not valid yet"},
    {&os::TlsNetworkStats::garbage, "garbage", "no TLS 1.3, or broken off"},
    {&os::TlsNetworkStats::slow, "slow", "the handshake took too long"},
    {&os::TlsNetworkStats::too_many, "too_many", "too many handshakes at a time"},
};

std::vector<consensus::MetricValue> tls_metrics(const os::TlsNetwork* peer, const os::TlsNetwork* client) {
  std::vector<consensus::MetricValue> values;
  for (const auto& [port, network] : {std::pair{"peer", peer}, std::pair{"client", client}}) {
    if (network == nullptr) continue;
    const os::TlsNetworkStats stats = network->stats();
    for (const TlsRefusal& refusal : kTlsRefusals) {
      values.push_back({"clew_tls_refused_total", "Connections that came to no agreement on TLS, in either direction.",
                        consensus::MetricType::kCounter,
                        "port=\"" + std::string(port) + "\",reason=\"" + refusal.name + "\"",
                        static_cast<double>(stats.*refusal.field)});
    }
  }
  return values;
}

std::vector<consensus::MetricValue> signature_metrics(const SigningKeys* keys) {
  if (keys == nullptr) return {};
  const SignatureWork work = keys->work();
  constexpr auto kCounter = consensus::MetricType::kCounter;
  const std::string_view help = "Signatures of members of the control group, made and checked.";
  return {{"clew_signatures_total", help, kCounter, "work=\"made\"", static_cast<double>(work.made)},
          {"clew_signatures_total", help, kCounter, "work=\"checked\"", static_cast<double>(work.checked)},
          {"clew_signatures_cpu_seconds_total", "CPU time spent on signatures, of process_cpu_seconds_total.", kCounter,
           "", static_cast<double>(work.cpu_ns) / 1e9}};
}

}  // namespace

ControlHost::ControlHost(Ports ports, ControlConfig config, std::string directory, std::vector<std::string> tokens)
    : ports_(std::move(ports)),
      config_(std::move(config)),
      directory_(std::move(directory)),
      tokens_(std::move(tokens)),
      loop_(std::make_unique<os::OsLoop>("control", ports_.workers)) {}

template <typename F>
auto ControlHost::on_loop(F function) {
  std::promise<std::invoke_result_t<F>> result;
  loop_->post([&] { result.set_value(function()); });
  return result.get_future().get();
}

Status ControlHost::start(std::function<void(Status)> on_halt) {
  on_halt_ = std::move(on_halt);
  CLEW_TRY(open_networks());
  CLEW_TRY(find_group());
  CLEW_TRY(on_loop([this] { return open_plane(); }));
  if (belonging_.is_new) {
    belonging_.is_new = false;
    CLEW_TRY(control::remember(disk_, directory_, belonging_));
  }
  return on_loop([this] { return open_server(); });
}

Status ControlHost::open_networks() {
  const auto open = [](const api::TlsOptions& tls, os::TlsNetwork*& as_tls) -> Result<std::unique_ptr<env::Network>> {
    if (!tls.enabled()) return std::unique_ptr<env::Network>(std::make_unique<os::OsNetwork>());
    CLEW_ASSIGN(
        auto network,
        os::TlsNetwork::make({.cert_file = tls.cert_file, .key_file = tls.key_file, .ca_file = tls.client_ca_file}));
    as_tls = network.get();
    return std::unique_ptr<env::Network>(std::move(network));
  };
  CLEW_ASSIGN(peer_network_, open(config_.peer.tls, peer_tls_));
  CLEW_ASSIGN(client_network_, open(config_.client.tls, client_tls_));
  loop_->post([this] { tell_refusals(); });
  return {};
}

Status ControlHost::find_group() {
  control::BootstrapOptions options;
  options.directory = directory_;
  options.node = consensus::NodeId{config_.node_id};
  options.token = config_.initial_cluster_token;
  if (!config_.initial_cluster.empty()) {
    CLEW_ASSIGN(options.founders, control::parse_founders(config_.initial_cluster));
  }
  options.joins = !config_.join.empty();
  options.own_address = config_.peer.advertise.empty() ? config_.peer.endpoint : config_.peer.advertise;
  CLEW_ASSIGN(auto found, control::belong(disk_, ports_.random, options));
  if (!found) return join_group(options.founders);
  belonging_ = std::move(*found);
  return {};
}

Status ControlHost::join_group(const std::vector<consensus::Member>& founders) {
  const std::string address = config_.peer.advertise.empty() ? config_.peer.endpoint : config_.peer.advertise;
  spdlog::info("msg=\"joining a group\" through={} peer={}", config_.join.front(), address);
  const consensus::Role role = config_.role == "witness"   ? consensus::Role::kWitness
                               : config_.role == "learner" ? consensus::Role::kLearner
                                                           : consensus::Role::kVoter;
  using Answer = std::variant<control::Belonging, control::CallError>;
  std::promise<Answer> joined;
  std::unique_ptr<control::Client> client;
  const int64_t deadline = loop_->clock().mono_ns() + kJoinTimeout;
  // Whoever is asked may be behind, or its group so young that it has no id yet: that passes.
  std::function<void()> ask = [&] {
    const int64_t left = std::max<int64_t>(deadline - loop_->clock().mono_ns(), 1);
    control::join(*client, address, role, config_.consensus, left, [&, left](Answer answer) {
      const auto* const error = std::get_if<control::CallError>(&answer);
      const bool passes = error != nullptr && error->code == Code::kUnavailable && !error->uncertain;
      if (!passes || left <= kJoinAgain) return joined.set_value(std::move(answer));
      loop_->after(kJoinAgain, [&] { ask(); });
    });
  };
  loop_->post([&] {
    client = control::Client::open(*loop_, *client_network_, ports_.random, client_options(config_.join));
    ask();
  });
  Answer answer = joined.get_future().get();
  on_loop([&] {
    client.reset();
    return true;
  });
  if (const auto* error = std::get_if<control::CallError>(&answer)) {
    return Error{error->code, "joining through " + config_.join.front() + ": " + error->message};
  }
  belonging_ = std::move(std::get<control::Belonging>(answer));
  if (!founders.empty()) {  // whose signatures it goes by
    CLEW_ASSIGN(belonging_.founders, consensus::Membership::make(founders));
  }
  return control::remember(disk_, directory_, belonging_);
}

control::ClientOptions ControlHost::client_options(std::vector<std::string> addresses) const {
  control::ClientOptions options;
  options.addresses = std::move(addresses);
  if (!tokens_.empty()) options.token = tokens_.front();
  options.cluster = cluster();
  options.trust_gateway = true;  // what a member asks of another one it signs, or looks at, itself
  return options;
}

Status ControlHost::open_plane() {
  const consensus::Member* const self = belonging_.founders.find(belonging_.node);
  name_ = config_.name.empty() ? "node-" + std::to_string(number(belonging_.node)) : config_.name;

  consensus::PeerTransportOptions peers;
  peers.cluster = belonging_.founding;
  peers.self = belonging_.node;
  peers.listen = config_.peer.endpoint;
  peers.advertised = !config_.peer.advertise.empty() ? config_.peer.advertise : self != nullptr ? self->address : "";
  if (peers.advertised.ends_with(":0")) peers.advertised.clear();
  peers.require_identity = peer_tls_ != nullptr;
  CLEW_ASSIGN(transport_, consensus::PeerTransport::open(*loop_, *peer_network_, ports_.random, peers));
  peer_port_ = transport_->port();
  peer_address_ =
      peers.advertised.empty() ? reachable(config_.peer.endpoint, peer_port_, "127.0.0.1:0") : peers.advertised;

  const consensus::ProtocolKind* const kind = consensus::protocol_named(config_.consensus);
  CHECK(kind != nullptr);  // check_config() knows the names
  consensus::ProtocolOptions protocol;
  protocol.self = belonging_.node;
  protocol.founding = belonging_.founders;
  protocol.heartbeat = config_.heartbeat_ns;
  protocol.election_min = config_.election_timeout_ns;
  protocol.election_max = 2 * config_.election_timeout_ns;
  protocol.leases = config_.leases;
  if (kind->byzantine) {
    protocol.cluster = belonging_.founding;
    protocol.snapshot_every_bytes = config_.snapshot_every_bytes;
    CLEW_ASSIGN(signing_, SigningKeys::open(belonging_.node, config_.signing_key, config_.signing_members));
    protocol.signer = signing_;
    // Replicated time is the highest that a command carried: no member that lies may push it ahead.
    protocol.admissible = consensus::TimeBound(loop_->clock(), consensus::kMostAheadNs);
  }
  CLEW_TRY(kind->check(protocol));
  if (kind->byzantine && peer_tls_ == nullptr) {
    spdlog::warn(
        "msg=\"members are not known by certificates: whoever reaches {} can speak as any of them; this is for trying "
        "out\"",
        config_.peer.endpoint);
  }

  if (config_.traces && ports_.ingest != nullptr) {
    traces_ = std::make_unique<OwnTraces>(*ports_.ingest, name_, ports_.version);
    loop_->after(kTracesEvery, [this] { flush_traces(); });
  }
  consensus::TelemetryOptions facts;
  facts.cluster = belonging_.founding;
  facts.self = belonging_.node;
  facts.protocol = kind->name;
  facts.append_one_in = traces_ ? config_.trace_appends_one_in : 0;
  consensus::Telemetry::Emit emit;
  if (traces_) emit = [this](consensus::SpanValue span) { traces_->add(std::move(span)); };
  telemetry_ = std::make_unique<consensus::Telemetry>(loop_->clock(), facts, std::move(emit));
  damage_ = std::make_unique<DamageWatch>(
      *telemetry_, kind->byzantine, [](DamageWatch::Level level, const std::string& line) {
        const bool warning = level == DamageWatch::Level::kWarning;
        spdlog::log(warning ? spdlog::level::warn : spdlog::level::info, "{}", line);
      });

  kv::Spaces::Engines engines;
  for (size_t i = 0; i < kv::kSpaces; ++i) {
    if (config_.engine == EngineKind::kMemory) {
      engines[i] = std::make_unique<kv::MemoryEngine>();
      continue;
    }
    rocks::RocksOptions rocks;
    rocks.directory = directory_ + "/" + std::string(kv::space_name(static_cast<kv::Space>(i)));
    CLEW_ASSIGN(engines[i], rocks::RocksEngine::open(rocks));
  }

  control::PlaneOptions options;
  options.replica.cluster = belonging_.founding;
  options.replica.self = belonging_.node;
  options.replica.directory = directory_ + "/replica";
  options.replica.bootstrap = belonging_.is_new;
  // Members that sign what they save let the core choose when (Effects::snapshot_at).
  options.replica.snapshot_every_bytes = kind->byzantine ? kNoSnapshotBySize : config_.snapshot_every_bytes;
  options.replica.log_file_bytes = config_.log_file_bytes;
  if (kind->byzantine) options.replica.most_ahead_ns = consensus::kMostAheadNs / 2;
  options.decrees = directory_ + "/decrees";
  options.restored = belonging_.restored != 0;
  options.cluster = belonging_.cluster;
  if (options.cluster == 0) {
    for (const consensus::Member& founder : belonging_.founders.members()) options.founders.push_back(founder.id);
  }
  options.quota_bytes = config_.quota_bytes;
  options.attests = kind->byzantine;
  options.heard_within_ns = protocol.election_max;
  options.seeds = config_.seeds.empty() ? config_.join : config_.seeds;
  record_.name = name_;
  record_.version = ports_.version;
  record_.peer_urls = {"http://" + peer_address_};
  options.record = record_;
  CLEW_ASSIGN(plane_, control::Plane::open(
                          {*loop_, disk_, ports_.random, *transport_, std::move(engines),
                           [kind, protocol](uint64_t seed) { return kind->make(protocol, seed); }, registry_,
                           [this](const std::string& address) {
                             control::ClientOptions member = client_options({address});
                             member.fail_fast = true;  // who waits for a dead leader misses the next one
                             return control::Client::open(*loop_, *client_network_, ports_.random, std::move(member));
                           },
                           damage_.get(), signing_.get(), telemetry_.get()},
                          std::move(options), [this](Status why) { on_halt_(std::move(why)); }));
  if (const auto problem = plane_->decrees_problem(); !problem.empty()) {
    spdlog::warn("msg=\"this member votes for no decree\" why=\"{}\"", problem);
  }
  for (const wal::ReplayReport::Damage& damage : plane_->replica().recovery().damage) {
    spdlog::error("msg=\"damaged part of the control group's log skipped\" file={} offset={} bytes={} what=\"{}\"",
                  damage.file, damage.offset, damage.bytes, damage.what);
  }
  tell_damage();
  return {};
}

Status ControlHost::open_server() {
  if (config_.client.endpoint.empty()) return {};
  control::ServerOptions options;
  options.listen = config_.client.endpoint;
  options.cluster = [this] { return plane_->cluster(); };
  options.node = belonging_.node;
  options.node_tokens = tokens_;
  options.byzantine = consensus::protocol_named(config_.consensus)->byzantine;
  CLEW_ASSIGN(server_, control::Server::open(*loop_, *client_network_, *plane_, options));
  client_port_ = server_->port();
  record_.client_address = config_.client.advertise.empty()
                               ? reachable(config_.client.endpoint, client_port_, peer_address_)
                               : config_.client.advertise;
  plane_->set_record(record_);
  return {};
}

std::string ControlHost::reachable_at(const std::string& endpoint, uint16_t port) const {
  return reachable(endpoint, port, peer_address_);
}

void ControlHost::publish(std::vector<std::string> etcd_urls, std::string http_address) {
  loop_->post([this, etcd_urls = std::move(etcd_urls), http_address = std::move(http_address)]() mutable {
    record_.etcd_urls = std::move(etcd_urls);
    record_.http_address = std::move(http_address);
    plane_->set_record(record_);
  });
}

void ControlHost::metrics(UniqueFunction<void(std::string)> done) {
  loop_->post([this, done = std::move(done)]() mutable {
    if (plane_ == nullptr) return done("");
    std::string text = consensus::to_prometheus(tls_metrics(peer_tls_, client_tls_));
    text += consensus::to_prometheus(signature_metrics(signing_.get()));
    text += consensus::to_prometheus(telemetry_->metrics(&plane_->replica(), &transport_->stats()));
    if (server_ != nullptr) {
      const control::ServerStats stats = server_->stats();
      text += consensus::to_prometheus(control::plane_metrics(*plane_, &stats));
    } else {
      text += consensus::to_prometheus(control::plane_metrics(*plane_, nullptr));
    }
    done(std::move(text));
  });
}

// Whoever was refused may not be somebody who can tell; whoever runs the node wants to know.
void ControlHost::tell_refusals() {
  loop_->after(kRefusalsEvery, [this] { tell_refusals(); });
  const auto tell = [](const char* port, const os::TlsNetwork* network, os::TlsNetworkStats& told) {
    if (network == nullptr) return;
    const os::TlsNetworkStats now = network->stats();
    for (const auto& [field, name, words] : kTlsRefusals) {
      if (now.*field > told.*field) {
        spdlog::warn("msg=\"TLS refused\" port={} reason=\"{}\" connections={}", port, words, now.*field - told.*field);
      }
    }
    told = now;
  };
  tell("peer", peer_tls_, peer_told_);
  tell("client", client_tls_, client_told_);
}

void ControlHost::tell_damage() {
  loop_->after(kDamageEvery, [this] { tell_damage(); });
  if (plane_ != nullptr) damage_->look(plane_->replica().report(), loop_->clock().mono_ns());
}

void ControlHost::flush_traces() {
  traces_->flush();
  loop_->after(kTracesEvery, [this] { flush_traces(); });
}

bool ControlHost::drain() {
  std::promise<bool> moved;
  loop_->post([&] {
    if (!plane_->leading()) return moved.set_value(true);
    control::CallOptions options;
    options.timeout_ns = kTransferTimeout;
    options.forward = false;
    plane_->transfer_leadership(consensus::kNobody, options,
                                [&](const std::variant<consensus::NodeId, control::CallError>& answer) {
                                  const auto* error = std::get_if<control::CallError>(&answer);
                                  // Of a group of one there is nobody to give it to.
                                  moved.set_value(error == nullptr || error->code == Code::kFailedPrecondition);
                                });
  });
  const bool given = moved.get_future().get();
  std::promise<void> quiet;
  loop_->post([&] {
    if (server_ == nullptr) return quiet.set_value();
    server_->drain(kServerDrain, [&] { quiet.set_value(); });
  });
  quiet.get_future().get();
  return given;
}

Status ControlHost::reload_tls() {
  if (peer_tls_ != nullptr) CLEW_TRY(peer_tls_->reload());
  return client_tls_ != nullptr ? client_tls_->reload() : Status();
}

void ControlHost::replace_tokens(std::vector<std::string> tokens) {
  loop_->post([this, tokens = std::move(tokens)]() mutable {
    tokens_ = std::move(tokens);
    if (server_ != nullptr) server_->replace_tokens({}, tokens_);
  });
}

void ControlHost::stop() {
  if (stopped_) return;
  stopped_ = true;
  on_loop([this] {
    server_.reset();
    plane_.reset();
    transport_.reset();
    return true;
  });
  loop_->stop();
}

ControlHost::~ControlHost() { stop(); }

}  // namespace clew::app

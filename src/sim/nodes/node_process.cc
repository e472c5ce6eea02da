#include "sim/nodes/node_process.h"

#include <utility>

#include "consensus/replica_records.h"
#include "control/client.h"
#include "kv/memory_engine.h"
#include "sim/groups/log_damage.h"
#include "sim/network.h"

namespace clew::sim::nodes {

std::string peer_address(NodeIndex machine) { return SimNetwork::address(machine, kPeerPort); }
std::string client_address(NodeIndex machine) { return SimNetwork::address(machine, kClientPort); }

class NodeProcess::Tap final : public consensus::Transport {
 public:
  Tap(consensus::Transport& behind, Machine& machine, NodeWatcher& watcher)
      : behind_(behind), machine_(machine), watcher_(watcher) {}

  void start(Handler handler) override { behind_.start(std::move(handler)); }
  void set_peers(const std::vector<consensus::Member>& peers) override { behind_.set_peers(peers); }
  void send(consensus::NodeId to, std::string frame) override {
    if (machine_.power->crashed()) return;
    if (!frame.empty() && frame.back() == consensus::kProtocolFrame) {
      watcher_.on_sent(machine_.node, to, std::string_view(frame).substr(0, frame.size() - 1));
    }
    behind_.send(to, std::move(frame));
  }
  void flush() override { behind_.flush(); }

 private:
  consensus::Transport& behind_;
  Machine& machine_;
  NodeWatcher& watcher_;
};

NodeProcess::NodeProcess(Machine& machine, NodeWatcher& watcher, const kv::CustomRegistry& registry)
    : Serving(machine), watcher_(watcher), registry_(registry) {}

NodeProcess::~NodeProcess() = default;

Status NodeProcess::open(NodeOptions options) {
  Machine& on = machine();
  self_ = options.self;
  consensus::PeerTransportOptions peers;
  peers.cluster = options.plane.replica.cluster;
  peers.self = self_;
  peers.listen = ":" + std::to_string(kPeerPort);
  peers.advertised = peer_address(on.node);
  CLEW_ASSIGN(peers_, consensus::PeerTransport::open(on.loop, on.network, on.random, peers));
  tap_ = std::make_unique<Tap>(*peers_, on, watcher_);

  control::PlaneOptions plane = std::move(options.plane);
  plane.replica.self = self_;
  plane.replica.directory = kDirectory;
  plane.record.name = "node-" + std::to_string(number(self_));
  plane.record.version = "simulated";
  plane.record.client_address = client_address(on.node);
  plane.record.peer_urls = {"http://" + peer_address(on.node)};
  const uint64_t cluster = plane.replica.cluster;
  kv::Spaces::Engines engines;
  for (auto& engine : engines) engine = std::make_unique<kv::MemoryEngine>();
  CLEW_ASSIGN(plane_,
              control::Plane::open(
                  {on.loop, on.disk, on.random, *tap_, std::move(engines), std::move(options.protocol), registry_,
                   [&on, cluster](const std::string& address) {
                     control::ClientOptions member;
                     member.addresses = {address};
                     member.cluster = cluster;
                     member.fail_fast = true;
                     member.trust_gateway = true;
                     return control::Client::open(on.loop, on.network, on.random, std::move(member));
                   },
                   this, options.verifier},
                  std::move(plane), [&on](Status status) { on.halt(std::move(status)); }));
  seen_ = plane_->replica().applied();

  control::ServerOptions server;
  server.listen = ":" + std::to_string(kClientPort);
  server.cluster = [cluster] { return cluster; };
  server.node = self_;
  server.byzantine = options.verifier != nullptr;
  CLEW_ASSIGN(server_, control::Server::open(on.loop, on.network, *plane_, server));
  return {};
}

void NodeProcess::see_install() {
  seen_ = replica().applied();
  installs_ = replica().stats().snapshots_installed;
}

void NodeProcess::on_fact(const consensus::Fact& fact) { watcher_.on_fact(machine().node, fact); }

void NodeProcess::on_record(consensus::LogSeq seq, std::string_view record) {
  watcher_.on_record(machine().node, seq, record);
}

void NodeProcess::on_applied(consensus::Position position, const consensus::Entry& entry, std::string_view result) {
  if (position != seen_ + 1) {  // a snapshot was installed within this event, and this follows it
    const uint64_t installs = replica().stats().snapshots_installed;
    if (std::exchange(installs_, installs) != installs) seen_ = position - 1;
  }
  watcher_.on_applied(machine().node, position, seen_, entry, result);
  seen_ = position;
}

Scope NodeProcess::scope_of(const std::string& path, uint64_t offset, uint64_t size) const {
  watcher_.on_damage(machine().node);
  const std::string directory = kDirectory;
  const auto in = [&](const char* folder) { return path.starts_with(directory + folder); };
  if (in("/exports/")) return {.kind = Scope::Kind::kNothing, .items = {}};
  if (in("/log/")) {
    if (path.ends_with(".spare")) return {.kind = Scope::Kind::kNothing, .items = {}};
    const auto lost = groups::records_lost_with(*machine().power, directory + "/log", path, offset, size);
    return lost ? watcher_.cost_of(machine().node, *lost) : Scope{};
  }
  // A snapshot stands for everything up to its position; one that is being made, for everything so far.
  if (in("/snapshots/")) return {.kind = Scope::Kind::kItems, .items = {1, replica().report().last}};
  return {};  // who it is, and whom it knows
}

}  // namespace clew::sim::nodes

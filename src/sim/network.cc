#include "sim/network.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/hash.h"
#include "sim/loop.h"

namespace clew::sim {

namespace {

struct Place {
  NodeIndex node;
  uint16_t port;
};

// "10.0.0.3:4330"; of this host: "127.0.0.1:…", and to listen also "0.0.0.0:…" and ":…".
std::optional<Place> parse(const std::string& address, NodeIndex self, size_t nodes) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  const auto number = [](std::string_view text, uint32_t limit) -> std::optional<uint32_t> {
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > limit) return std::nullopt;
    return value;
  };
  const std::string_view host = std::string_view(address).substr(0, colon);
  const auto port = number(std::string_view(address).substr(colon + 1), 65535);
  if (!port) return std::nullopt;
  if (host.empty() || host == "127.0.0.1" || host == "0.0.0.0") return Place{self, static_cast<uint16_t>(*port)};
  constexpr std::string_view kNet = "10.0.0.";
  if (!host.starts_with(kNet)) return std::nullopt;
  const auto last = number(host.substr(kNet.size()), 255);
  if (!last || *last == 0 || *last > nodes) return std::nullopt;
  return Place{NodeIndex{*last - 1}, static_cast<uint16_t>(*port)};
}

SimLoop& sim_loop(env::Loop& loop) {
  auto* sim = dynamic_cast<SimLoop*>(&loop);
  CHECK(sim != nullptr);
  return *sim;
}

Error reset_error(const std::string& peer) {
  return {Code::kUnavailable, "connection to " + peer + ": reset by peer; connect again"};
}

}  // namespace

using World = SimNetwork::World;

namespace {

struct Side {  // one end of a connection
  NodeIndex node{0};
  std::string address;
  SimLoop* loop = nullptr;  // null: nobody is there any more
  bool started = false;
  bool closed = false;  // on_closed was called or is not wanted
  env::Stream::Handler handler;
  std::string early;  // arrived before start(), or on its way to the process when it paused
  bool paused = false;
  std::optional<Status> ended;  // before start(), too
  // What it writes:
  uint64_t pending_bytes = 0;  // and has not arrived
  int64_t last_arrival_ns = 0;
  bool fin_sent = false;
  struct Piece {
    std::string bytes;
    bool fin = false;
  };
  std::deque<Piece> stalled;
  std::deque<Piece> unread;  // came to this side while it paused: still pending with the one who wrote it
  uint64_t stalls = 0;       // number of times that they were let go
};

struct Connection : std::enable_shared_from_this<Connection> {
  uint64_t id = 0;
  Side sides[2];
  bool gone() const { return sides[0].loop == nullptr && sides[1].loop == nullptr; }
};

using ConnectionPtr = std::shared_ptr<Connection>;
using AcceptFn = UniqueFunction<void(std::unique_ptr<env::Stream>)>;

struct Listening {
  SimLoop* loop = nullptr;
  std::shared_ptr<AcceptFn> on_accept;  // shared with acceptances under way
};

struct Host {
  bool up = true;
  uint16_t next_port = 40'000;
  std::map<uint16_t, Listening> listening;
  std::unique_ptr<env::Network> network;
};

struct Attempt {  // to connect
  NodeIndex from{0};
  SimLoop* loop = nullptr;  // null: answered, or the process is dead
  UniqueFunction<void(Result<std::unique_ptr<env::Stream>>)> done;
};

}  // namespace

struct SimNetwork::World final : EventTarget, std::enable_shared_from_this<World> {
  World(Scheduler& s, Links& l, Options o) : scheduler(s), links(l), options(o), target(s.attach(*this)) {}

  Scheduler& scheduler;
  Links& links;
  Options options;
  TargetId target;
  Counters counters;
  bool open = true;  // false: the network is gone, its streams are dead
  uint64_t last_id = 0;
  std::vector<Host> hosts;
  std::map<uint64_t, ConnectionPtr> connections;
  std::map<uint64_t, std::shared_ptr<Attempt>> attempts;

  void on_event(EventKind, uint64_t, Task task) override { task(); }
  void later(NodeIndex node, int64_t delay_ns, uint64_t digest, Task task) {
    scheduler.schedule({scheduler.now_ns() + delay_ns, EventKind::kStream, node, digest}, target, 0, std::move(task));
  }
  bool passes(NodeIndex from, NodeIndex to) const { return links.up(from, to) && !links.clogged(from, to); }

  void connect(NodeIndex from, SimLoop& loop, const std::string& address, decltype(Attempt::done) done);
  void answer(uint64_t attempt, Result<std::unique_ptr<env::Stream>> result);
  void syn(uint64_t attempt, NodeIndex from, Place to, const std::string& address);

  void write(const ConnectionPtr& connection, size_t from, std::string_view bytes, bool fin);
  void send_piece(const ConnectionPtr& connection, size_t from, Side::Piece piece);
  void arrive(const ConnectionPtr& connection, size_t from, Side::Piece piece);
  void stall(const ConnectionPtr& connection, size_t from);
  void let_go(const ConnectionPtr& connection, size_t from);
  void land(const ConnectionPtr& connection, size_t from, Side::Piece piece);
  void hand_over(const ConnectionPtr& connection, size_t to, Side::Piece piece);
  void finish(const ConnectionPtr& connection, size_t side, Status status);
  void detach(const ConnectionPtr& connection, size_t side);
  void refuse(const ConnectionPtr& connection, size_t side);
  void released(NodeIndex from, NodeIndex to);
  void forget(const ConnectionPtr& connection) {
    if (connection->gone()) connections.erase(connection->id);
  }
};

namespace {

class SimStream final : public env::Stream {
 public:
  SimStream(std::shared_ptr<World> world, ConnectionPtr connection, size_t side)
      : world_(std::move(world)), connection_(std::move(connection)), side_(side) {}
  ~SimStream() override {
    if (!world_->open || mine().loop == nullptr) return;
    if (!mine().closed) world_->write(connection_, side_, {}, true);
    world_->detach(connection_, side_);
  }
  void start(Handler handler) override {
    Side& side = mine();
    if (side.loop == nullptr) return;
    CHECK(!side.started);
    side.handler = std::move(handler);
    side.started = true;
    if (!side.early.empty()) world_->hand_over(connection_, side_, {std::exchange(side.early, {}), false});
    if (side.ended) world_->finish(connection_, side_, *std::exchange(side.ended, std::nullopt));
  }
  void write(std::string bytes) override {
    if (world_->open && mine().loop != nullptr && !bytes.empty()) {
      world_->write(connection_, side_, bytes, false);
    }
  }
  uint64_t pending_bytes() const override { return connection_->sides[side_].pending_bytes; }
  void pause_reading(bool paused) override {
    Side& side = mine();
    if (std::exchange(side.paused, paused) == paused || paused || side.loop == nullptr) return;
    if (!side.early.empty()) world_->hand_over(connection_, side_, {std::exchange(side.early, {}), false});
    for (Side::Piece& piece : std::exchange(side.unread, {})) {
      world_->land(connection_, 1 - side_, std::move(piece));
    }
  }
  std::string peer() const override { return connection_->sides[1 - side_].address; }

 private:
  Side& mine() { return connection_->sides[side_]; }
  std::shared_ptr<World> world_;
  ConnectionPtr connection_;
  size_t side_;
};

class SimListener final : public env::Listener {
 public:
  SimListener(std::shared_ptr<World> world, NodeIndex node, uint16_t port, const AcceptFn* mine)
      : world_(std::move(world)), node_(node), port_(port), mine_(mine) {}
  ~SimListener() override {
    if (!world_->open) return;
    auto& listening = world_->hosts[at(node_)].listening;
    const auto it = listening.find(port_);  // after a crash the port may be another process's
    if (it != listening.end() && it->second.on_accept.get() == mine_) listening.erase(it);
  }
  uint16_t port() const override { return port_; }

 private:
  std::shared_ptr<World> world_;
  NodeIndex node_;
  uint16_t port_;
  const AcceptFn* mine_;  // to recognise the own entry; never called
};

class SimHost final : public env::Network {
 public:
  SimHost(World& world, NodeIndex node) : world_(world), node_(node) {}
  void connect(env::Loop& loop, const std::string& address,
               UniqueFunction<void(Result<std::unique_ptr<env::Stream>>)> done) override {
    world_.connect(node_, sim_loop(loop), address, std::move(done));
  }
  Result<std::unique_ptr<env::Listener>> listen(env::Loop& loop, const std::string& address,
                                                AcceptFn on_accept) override {
    const auto place = parse(address, node_, world_.hosts.size());
    if (!place || place->node != node_) {
      return Error{Code::kInvalidArgument, "listen " + address + ": not an address of this machine"};
    }
    Host& host = world_.hosts[at(node_)];
    uint16_t port = place->port;
    while (port == 0) {
      port = host.next_port++;
      if (host.listening.contains(port)) port = 0;
    }
    if (host.listening.contains(port)) {
      return Error{Code::kAlreadyExists, "listen " + address + ": the port is taken; choose another"};
    }
    auto shared = std::make_shared<AcceptFn>(std::move(on_accept));
    const AcceptFn* mine = shared.get();
    host.listening[port] = {&sim_loop(loop), std::move(shared)};
    return std::unique_ptr<env::Listener>(new SimListener(world_.shared_from_this(), node_, port, mine));
  }

 private:
  World& world_;  // owns this
  NodeIndex node_;
};

}  // namespace

void World::answer(uint64_t attempt, Result<std::unique_ptr<env::Stream>> result) {
  const auto it = attempts.find(attempt);
  if (it == attempts.end()) return;  // it was faster the other way, or its process is dead
  const std::shared_ptr<Attempt> answered = it->second;
  attempts.erase(it);
  answered->loop->device(
      0, EventKind::kStream, attempt,
      [done = std::move(answered->done), result = std::move(result)]() mutable { done(std::move(result)); });
}

void World::connect(NodeIndex from, SimLoop& loop, const std::string& address, decltype(Attempt::done) done) {
  ++counters.connects;
  const uint64_t id = ++last_id;
  attempts[id] = std::make_shared<Attempt>(Attempt{from, &loop, std::move(done)});
  const auto place = parse(address, from, hosts.size());
  if (!place) {
    answer(id, Error{Code::kInvalidArgument, "connect " + address + ": no such host"});
    return;
  }
  later(from, options.connect_timeout_ns, id, [this, id, address] {
    if (!attempts.contains(id)) return;
    ++counters.timed_out;
    answer(id, Error{Code::kDeadlineExceeded, "connect " + address + ": no answer; is the machine up?"});
  });
  if (!passes(from, place->node)) return;
  later(place->node, links.draw_delay(from, place->node), id,
        [this, id, from, to = *place, address] { syn(id, from, to, address); });
}

void World::syn(uint64_t attempt, NodeIndex from, Place to, const std::string& address) {
  Host& host = hosts[at(to.node)];
  if (!host.up || !passes(from, to.node) || !passes(to.node, from)) return;
  const auto listening = host.listening.find(to.port);
  const int64_t back_ns = links.draw_delay(to.node, from);
  if (listening == host.listening.end()) {
    later(from, back_ns, attempt, [this, attempt, address] {
      counters.refused += attempts.contains(attempt);
      answer(attempt, Error{Code::kUnavailable, "connect " + address + ": connection refused; is it listening?"});
    });
    return;
  }
  auto connection = std::make_shared<Connection>();
  connection->id = ++last_id;
  const auto it = attempts.find(attempt);
  if (it == attempts.end()) return;
  connection->sides[0].node = from;
  connection->sides[0].address = SimNetwork::address(from, static_cast<uint16_t>(50'000 + attempt % 10'000));
  connection->sides[0].loop = it->second->loop;
  connection->sides[1].node = to.node;
  connection->sides[1].address = address;
  connection->sides[1].loop = listening->second.loop;
  connections[connection->id] = connection;
  listening->second.loop->device(0, EventKind::kStream, connection->id,
                                 [on_accept = listening->second.on_accept,
                                  stream = std::make_unique<SimStream>(shared_from_this(), connection, 1)]() mutable {
                                   (*on_accept)(std::move(stream));
                                 });
  later(from, back_ns, connection->id, [this, attempt, connection] {
    if (!attempts.contains(attempt)) {  // it gave up meanwhile
      detach(connection, 0);
      return;
    }
    answer(attempt, std::unique_ptr<env::Stream>(new SimStream(shared_from_this(), connection, 0)));
  });
  // The task of on_accept owns the stream; the analyser loses it there.
}  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks)

void World::write(const ConnectionPtr& connection, size_t from, std::string_view bytes, bool fin) {
  Side& side = connection->sides[from];
  if (side.closed || side.fin_sent) return;
  side.pending_bytes += bytes.size();
  Generator& random = links.random(side.node, connection->sides[1 - from].node);
  for (std::string_view rest = bytes; !rest.empty();) {
    // Short pieces are as likely as long ones: frames are cut anywhere.
    uint64_t size = std::min<uint64_t>(rest.size(), options.max_piece_bytes);
    if (random.one_in(4)) size = 1 + random.below(size);
    send_piece(connection, from, {std::string(rest.substr(0, size)), false});
    rest.remove_prefix(size);
  }
  if (fin) {
    side.fin_sent = true;
    send_piece(connection, from, {{}, true});
  }
}

void World::send_piece(const ConnectionPtr& connection, size_t from, Side::Piece piece) {
  Side& side = connection->sides[from];
  const NodeIndex to = connection->sides[1 - from].node;
  ++counters.pieces;
  counters.bytes += piece.bytes.size();
  int64_t arrival = scheduler.now_ns() + links.draw_delay(side.node, to);
  if (links.draw(side.node, to, links.weather().loss_ppm)) {
    ++counters.retransmitted;
    arrival += options.retransmit_ns;
  }
  if (!piece.bytes.empty() && links.draw(side.node, to, links.weather().corrupt_ppm)) {
    ++counters.damaged;
    char& byte = piece.bytes[links.random(side.node, to).below(piece.bytes.size())];
    byte = static_cast<char>(byte ^ (1 + links.random(side.node, to).below(255)));
  }
  arrival = std::max(arrival, side.last_arrival_ns);
  side.last_arrival_ns = arrival;
  const uint64_t content = stable_hash64(piece.bytes);
  later(to, arrival - scheduler.now_ns(), content,
        [this, connection, from, piece = std::move(piece)]() mutable { arrive(connection, from, std::move(piece)); });
}

void World::arrive(const ConnectionPtr& connection, size_t from, Side::Piece piece) {
  Side& sender = connection->sides[from];
  // Also behind pieces that were let go and are not there yet.
  if (passes(sender.node, connection->sides[1 - from].node) && sender.stalled.empty()) {
    return land(connection, from, std::move(piece));
  }
  ++counters.stalled;
  sender.stalled.push_back(std::move(piece));
  if (sender.stalled.size() == 1) stall(connection, from);
}

// The sender's patience begins.
void World::stall(const ConnectionPtr& connection, size_t from) {
  const Side& sender = connection->sides[from];
  later(sender.node, options.give_up_ns, connection->id, [this, connection, from, stalls = sender.stalls] {
    Side& waiting = connection->sides[from];
    if (waiting.stalls != stalls || waiting.stalled.empty() || waiting.loop == nullptr) return;
    ++counters.broken;
    waiting.stalled.clear();
    finish(connection, from,
           Error{Code::kUnavailable, "connection to " + connection->sides[1 - from].address + ": no answer"});
  });
}

// On the receiver's machine.
void World::land(const ConnectionPtr& connection, size_t from, Side::Piece piece) {
  Side& sender = connection->sides[from];
  Side& receiver = connection->sides[1 - from];
  if (receiver.loop == nullptr || receiver.closed) {
    if (hosts[at(receiver.node)].up && !piece.fin) refuse(connection, from);
    return;  // a machine that is down says nothing
  }
  if (receiver.paused) {
    receiver.unread.push_back(std::move(piece));
    return;
  }
  const uint64_t bytes = piece.bytes.size();
  if (bytes != 0) {
    sender.pending_bytes -= std::min(bytes, sender.pending_bytes);
    if (sender.pending_bytes == 0 && sender.loop != nullptr) {
      sender.loop->device(links.draw_delay(receiver.node, sender.node), EventKind::kStream, connection->id,
                          [connection, from] {
                            Side& writer = connection->sides[from];
                            if (writer.closed || writer.pending_bytes != 0 || !writer.handler.on_writable) return;
                            auto on_writable = std::move(writer.handler.on_writable);
                            on_writable();
                            if (!writer.closed) writer.handler.on_writable = std::move(on_writable);
                          });
    }
  }
  hand_over(connection, 1 - from, std::move(piece));
}

// To the process, in its own time: a paused one reads later.
void World::hand_over(const ConnectionPtr& connection, size_t to, Side::Piece piece) {
  if (piece.fin) {
    finish(connection, to, {});
    return;
  }
  SimLoop* loop = connection->sides[to].loop;
  loop->device(0, EventKind::kStream, connection->id, [connection, to, bytes = std::move(piece.bytes)] {
    Side& side = connection->sides[to];
    if (side.closed) return;
    if (!side.started || side.paused) {
      side.early += bytes;
      return;
    }
    if (!side.handler.on_bytes) return;
    // The handler may destroy the stream, and with it itself.
    auto on_bytes = std::move(side.handler.on_bytes);
    on_bytes(bytes);
    if (!side.closed) side.handler.on_bytes = std::move(on_bytes);
  });
}

void World::finish(const ConnectionPtr& connection, size_t ending, Status status) {
  SimLoop* loop = connection->sides[ending].loop;
  if (loop == nullptr) return;
  loop->device(0, EventKind::kStream, connection->id, [connection, ending, status = std::move(status)]() mutable {
    Side& side = connection->sides[ending];
    if (side.closed) return;
    if (!side.started) {
      if (!side.ended) side.ended = std::move(status);
      return;
    }
    side.closed = true;
    env::Stream::Handler handler = std::exchange(side.handler, {});
    if (handler.on_closed) handler.on_closed(std::move(status));
  });
}

void World::detach(const ConnectionPtr& connection, size_t side) {
  Side& left = connection->sides[side];
  left.loop = nullptr;
  left.closed = true;
  const env::Stream::Handler handler = std::exchange(left.handler, {});
  forget(connection);
}

// The other end is not there: the writer learns it a round trip later.
void World::refuse(const ConnectionPtr& connection, size_t side) {
  Side& writer = connection->sides[side];
  if (writer.loop == nullptr) return;
  const Side& other = connection->sides[1 - side];
  later(writer.node, links.draw_delay(other.node, writer.node), connection->id, [this, connection, side] {
    Side& told = connection->sides[side];
    if (told.loop == nullptr || told.closed || !passes(connection->sides[1 - side].node, told.node)) return;
    ++counters.broken;
    finish(connection, side, reset_error(connection->sides[1 - side].address));
  });
}

void World::released(NodeIndex from, NodeIndex to) {
  for (const auto& [id, connection] : connections) {
    for (size_t side = 0; side < 2; ++side) {
      Side& sender = connection->sides[side];
      if (sender.node != from || connection->sides[1 - side].node != to || sender.stalled.empty()) continue;
      const int64_t arrival = scheduler.now_ns() + links.draw_delay(from, to);
      later(to, arrival - scheduler.now_ns(), id, [this, connection = connection, side, stalls = ++sender.stalls] {
        if (connection->sides[side].stalls == stalls) let_go(connection, side);
      });
      sender.last_arrival_ns = std::max(sender.last_arrival_ns, arrival);
    }
  }
}

void World::let_go(const ConnectionPtr& connection, size_t from) {
  Side& sender = connection->sides[from];
  if (!passes(sender.node, connection->sides[1 - from].node)) return stall(connection, from);
  for (Side::Piece& piece : std::exchange(sender.stalled, {})) land(connection, from, std::move(piece));
}

SimNetwork::SimNetwork(Scheduler& scheduler, Links& links, Options options)
    : world_(std::make_shared<World>(scheduler, links, options)) {
  world_->hosts.resize(links.nodes());
  for (uint32_t i = 0; i < links.nodes(); ++i) {
    world_->hosts[i].network = std::make_unique<SimHost>(*world_, NodeIndex{i});
  }
  links.on_open([world = std::weak_ptr<World>(world_)](NodeIndex from, NodeIndex to) {
    if (const auto open = world.lock()) open->released(from, to);
  });
}

SimNetwork::~SimNetwork() {
  world_->open = false;
  world_->scheduler.detach(world_->target);
  // Connections and attempts hold handlers, which may hold streams, which hold the world.
  const auto connections = std::exchange(world_->connections, {});
  for (const auto& [id, connection] : connections) {
    for (Side& side : connection->sides) {
      side.loop = nullptr;
      const env::Stream::Handler handler = std::exchange(side.handler, {});
    }
  }
  const auto attempts = std::exchange(world_->attempts, {});
  for (Host& host : world_->hosts) const auto listening = std::exchange(host.listening, {});
}

env::Network& SimNetwork::host(NodeIndex node) { return *world_->hosts[at(node)].network; }

std::string SimNetwork::address(NodeIndex node, uint16_t port) {
  return "10.0.0." + std::to_string(at(node) + 1) + ":" + std::to_string(port);
}

void SimNetwork::set_up(NodeIndex node) { world_->hosts[at(node)].up = true; }

void SimNetwork::set_down(NodeIndex node, bool reset) {
  World& world = *world_;
  world.hosts[at(node)].up = reset;
  const auto listening = std::exchange(world.hosts[at(node)].listening, {});
  std::vector<std::shared_ptr<Attempt>> dropped;
  std::erase_if(world.attempts, [&](const auto& attempt) {
    if (attempt.second->from != node) return false;
    dropped.push_back(attempt.second);
    return true;
  });
  std::vector<ConnectionPtr> touched;
  for (const auto& [id, connection] : world.connections) touched.push_back(connection);
  for (const ConnectionPtr& connection : touched) {
    for (size_t side = 0; side < 2; ++side) {
      if (connection->sides[side].node != node || connection->sides[side].loop == nullptr) continue;
      world.detach(connection, side);
      if (reset) world.refuse(connection, 1 - side);
    }
  }
}

void SimNetwork::break_streams(NodeIndex a, NodeIndex b) {
  std::vector<ConnectionPtr> broken;
  for (const auto& [id, connection] : world_->connections) {
    const NodeIndex x = connection->sides[0].node, y = connection->sides[1].node;
    if ((x == a && y == b) || (x == b && y == a)) broken.push_back(connection);
  }
  for (const ConnectionPtr& connection : broken) {
    ++world_->counters.broken;
    for (size_t side = 0; side < 2; ++side) {
      connection->sides[side].stalled.clear();
      world_->finish(connection, side, reset_error(connection->sides[1 - side].address));
    }
  }
}

const SimNetwork::Counters& SimNetwork::counters() const { return world_->counters; }

}  // namespace clew::sim

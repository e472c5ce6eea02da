#include "sim/mesh.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/hash.h"

namespace clew::sim {

namespace {
// What an event's argument is: a message's slot, or a hint about a connection.
constexpr uint64_t kHint = uint64_t{1} << 63;
constexpr uint64_t kUp = uint64_t{1} << 62;
uint64_t hint(NodeIndex whom, NodeIndex peer, bool up) {
  return kHint | (up ? kUp : 0) | static_cast<uint64_t>(at(whom)) << 8 | at(peer);
}
}  // namespace

Mesh::Mesh(Scheduler& scheduler, Links& links)
    : scheduler_(scheduler),
      links_(links),
      target_(scheduler.attach(*this)),
      nodes_(links.nodes()),
      pairs_(links.nodes() * links.nodes()) {
  links_.on_open([this](NodeIndex from, NodeIndex to) {
    for (const uint32_t slot : std::exchange(pair(from, to).held, {})) arrive_now(slot);
  });
}

Mesh::~Mesh() { scheduler_.detach(target_); }

void Mesh::set_up(NodeIndex node, MeshEndpoint& endpoint) {
  CHECK(nodes_[at(node)].endpoint == nullptr);
  nodes_[at(node)].endpoint = &endpoint;
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    const NodeIndex peer{i};
    if (peer == node || nodes_[i].endpoint == nullptr) continue;
    const int64_t delay = links_.draw_delay(node, peer);
    notify(peer, node, true, delay);
    notify(node, peer, true, delay);
  }
}

void Mesh::set_down(NodeIndex node, bool reset) {
  Node& down = nodes_[at(node)];
  if (down.endpoint == nullptr) return;
  down.endpoint = nullptr;
  down.paused = false;
  for (const uint32_t slot : std::exchange(down.held, {})) drop(slot);
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    const NodeIndex peer{i};
    if (peer == node) continue;
    ++pair(peer, node).connection;  // what is under way to it finds nobody, or a successor that never asked for it
    if (reset && nodes_[i].endpoint != nullptr && links_.up(node, peer)) {
      notify(peer, node, false, links_.draw_delay(node, peer));
    }
  }
}

void Mesh::pause(NodeIndex node) { nodes_[at(node)].paused = nodes_[at(node)].endpoint != nullptr; }

void Mesh::resume(NodeIndex node) {
  Node& resumed = nodes_[at(node)];
  if (!resumed.paused) return;
  resumed.paused = false;
  for (const uint32_t slot : std::exchange(resumed.held, {})) arrive_now(slot);
}

void Mesh::arrive_now(uint32_t slot) {
  const Message& message = messages_[slot];
  scheduler_.schedule({scheduler_.now_ns(), EventKind::kMessage, message.to, message.digest}, target_, slot);
}

void Mesh::send(NodeIndex from, NodeIndex to, std::string bytes) {
  CHECK(from != to && at(to) < nodes_.size());
  ++counters_.sent;
  counters_.sent_bytes += bytes.size();
  if (!links_.up(from, to)) {
    ++counters_.cut;
    return;
  }
  const Weather& weather = links_.weather();
  if (links_.draw(from, to, weather.loss_ppm)) {
    ++counters_.lost;
    return;
  }
  if (links_.draw(from, to, weather.corrupt_ppm)) {
    ++counters_.damaged;
    if (!deliver_damaged_ || bytes.empty()) return;
    Generator& random = links_.random(from, to);
    const uint64_t bit = random.below(bytes.size() * 8);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
  }
  const uint64_t digest = stable_hash64(bytes);
  if (links_.draw(from, to, weather.duplicate_ppm)) {
    ++counters_.duplicated;
    enqueue(from, to, bytes, digest);
  }
  enqueue(from, to, std::move(bytes), digest);
}

void Mesh::enqueue(NodeIndex from, NodeIndex to, std::string bytes, uint64_t digest) {
  uint32_t slot;
  if (free_.empty()) {
    slot = static_cast<uint32_t>(messages_.size());
    messages_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Pair& between = pair(from, to);
  int64_t arrival = scheduler_.now_ns() + links_.draw_delay(from, to);
  if (links_.weather().fifo) arrival = std::max(arrival, between.last_arrival_ns);
  between.last_arrival_ns = std::max(arrival, between.last_arrival_ns);
  messages_[slot] = {std::move(bytes), digest, between.connection, from, to};
  scheduler_.schedule({arrival, EventKind::kMessage, to, digest}, target_, slot);
}

void Mesh::drop(uint32_t slot) {
  messages_[slot].bytes.clear();
  free_.push_back(slot);
}

void Mesh::notify(NodeIndex whom, NodeIndex peer, bool up, int64_t delay_ns) {
  const uint64_t argument = hint(whom, peer, up);
  scheduler_.schedule({scheduler_.now_ns() + delay_ns, EventKind::kMessage, whom, argument}, target_, argument);
}

void Mesh::on_event(EventKind, uint64_t argument, Task) {
  if ((argument & kHint) == 0) {
    arrive(static_cast<uint32_t>(argument));
    return;
  }
  const NodeIndex whom{static_cast<uint32_t>(argument >> 8 & 0xff)}, peer{static_cast<uint32_t>(argument & 0xff)};
  Node& node = nodes_[at(whom)];
  // A paused process loses the hint: it is one, and its peers' messages will tell it more.
  if (node.endpoint != nullptr && !node.paused) node.endpoint->on_connection(peer, (argument & kUp) != 0);
}

void Mesh::arrive(uint32_t slot) {
  Message& message = messages_[slot];
  Pair& between = pair(message.from, message.to);
  Node& node = nodes_[at(message.to)];
  if (message.connection != between.connection || node.endpoint == nullptr) {
    ++counters_.to_the_dead;
    drop(slot);
  } else if (!links_.up(message.from, message.to)) {
    ++counters_.cut;
    drop(slot);
  } else if (links_.clogged(message.from, message.to)) {
    ++counters_.held;
    between.held.push_back(slot);
  } else if (node.paused) {
    ++counters_.held;
    node.held.push_back(slot);
  } else {
    ++counters_.delivered;
    // The receiver may send: its answer may move the slots.
    const std::string bytes = std::move(message.bytes);
    const NodeIndex from = message.from;
    drop(slot);
    node.endpoint->on_message(from, bytes);
  }
}

void Mesh::reset(NodeIndex a, NodeIndex b) {
  ++pair(a, b).connection;
  ++pair(b, a).connection;
  for (const auto& [whom, peer] : {std::pair{a, b}, std::pair{b, a}}) {
    if (nodes_[at(whom)].endpoint == nullptr || nodes_[at(peer)].endpoint == nullptr) continue;
    const int64_t delay = links_.draw_delay(peer, whom);
    notify(whom, peer, false, delay);
    notify(whom, peer, true, delay + links_.draw_delay(peer, whom));
  }
}

}  // namespace clew::sim

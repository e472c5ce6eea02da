#include "sim/groups/mesh_transport.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace clew::sim::groups {
namespace {

struct Trailer {
  uint64_t from;
  uint64_t to;
  uint64_t instance;
};

}  // namespace

void MeshTransport::set_peers(const std::vector<consensus::Member>& peers) {
  const auto known = [&](consensus::NodeId id) {
    return std::any_of(peers_.begin(), peers_.end(), [&](const consensus::Member& peer) { return peer.id == id; });
  };
  for (const consensus::Member& peer : peers) {
    if (!known(peer.id)) post(peer.id, {});
  }
  peers_ = peers;
}

void MeshTransport::send(consensus::NodeId to, std::string frame) {
  if (to == consensus::kNobody || machine_of(to) == machine_.node) return;
  sent_(to, frame);
  if (twist_) {
    for (std::string& instead : twist_(to, frame)) post(to, std::move(instead));
    return;
  }
  post(to, std::move(frame));
}

void MeshTransport::post(consensus::NodeId to, std::string frame) {
  if (machine_of(to) == machine_.node) return;
  const Trailer trailer{consensus::number(self_), consensus::number(to), static_cast<uint64_t>(handler_.instance)};
  frame.append(reinterpret_cast<const char*>(&trailer), sizeof trailer);
  if (!departure_) return machine_.send(machine_of(to), std::move(frame));
  departure_([&machine = machine_, to, frame = std::move(frame)]() mutable {
    machine.send(machine_of(to), std::move(frame));
  });
}

bool MeshTransport::admits(consensus::NodeId peer, consensus::Instance instance) {
  for (const Met& met : met_) {
    if (met.peer == peer && met.instance == instance) return met.admitted;
  }
  met_.push_back({peer, instance, handler_.admits(peer, instance)});
  return met_.back().admitted;
}

void MeshTransport::on_message(std::string_view bytes) {
  if (bytes.size() < sizeof(Trailer) || !handler_.on_frame) return;
  Trailer trailer;
  std::memcpy(&trailer, bytes.data() + bytes.size() - sizeof trailer, sizeof trailer);
  if (trailer.to != consensus::number(self_)) return;
  const consensus::NodeId from{trailer.from};
  const consensus::Instance instance{trailer.instance};
  if (!admits(from, instance) || bytes.size() == sizeof trailer) return;
  handler_.on_frame(from, instance, bytes.substr(0, bytes.size() - sizeof trailer));
}

void MeshTransport::on_connection(NodeIndex peer, bool up) {
  if (!handler_.on_connection) return;
  for (const consensus::Member& member : peers_) {
    if (machine_of(member.id) == peer) {
      if (up) post(member.id, {});
      handler_.on_connection(member.id, up);
      return;  // peers_ may have changed
    }
  }
}

}  // namespace clew::sim::groups

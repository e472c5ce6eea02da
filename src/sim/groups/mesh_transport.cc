#include "sim/groups/mesh_transport.h"

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

void MeshTransport::send(consensus::NodeId to, std::string frame) {
  if (to == consensus::kNobody || machine_of(to) == machine_.node) return;
  sent_(to, frame);
  const Trailer trailer{consensus::number(self_), consensus::number(to), static_cast<uint64_t>(instance_)};
  frame.append(reinterpret_cast<const char*>(&trailer), sizeof trailer);
  machine_.send(machine_of(to), std::move(frame));
}

void MeshTransport::on_message(std::string_view bytes) {
  if (bytes.size() < sizeof(Trailer) || !handler_.on_frame) return;
  Trailer trailer;
  std::memcpy(&trailer, bytes.data() + bytes.size() - sizeof trailer, sizeof trailer);
  if (trailer.to != consensus::number(self_)) return;
  handler_.on_frame(consensus::NodeId{trailer.from}, consensus::Instance{trailer.instance},
                    bytes.substr(0, bytes.size() - sizeof trailer));
}

void MeshTransport::on_connection(NodeIndex peer, bool up) {
  if (!handler_.on_connection) return;
  for (const consensus::Member& member : peers_) {
    if (machine_of(member.id) == peer) {
      handler_.on_connection(member.id, up);
      return;  // peers_ may have changed
    }
  }
}

}  // namespace clew::sim::groups

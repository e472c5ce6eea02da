// MeshTransport: consensus::Transport over a simulated machine's datagrams. A frame carries who sent it, as which
// data directory, and for whom: a machine that came back as another member gets nothing that was meant for the old one,
// as after a real transport's handshake.
//
// In the place of a handshake members greet each other, when they hear of each other and when a connection comes: a
// frame that says nothing but who sent it. Whoever is met, by it or by another frame, is shown to Handler::admits once
// in each life; what the refused send is not delivered.
//
// Member ids name machines: NodeId n lives on machine (n - 1) mod kMaxNodes, so that a machine whose disk was replaced
// comes back under an id that nobody used before (reborn()). One thread; dies with its process.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/function.h"
#include "consensus/transport.h"
#include "sim/process.h"

namespace clew::sim::groups {

constexpr consensus::NodeId member_id(NodeIndex machine, uint64_t generation = 0) {
  return consensus::NodeId{generation * kMaxNodes + at(machine) + 1};
}
constexpr NodeIndex machine_of(consensus::NodeId id) {
  return NodeIndex{static_cast<uint32_t>((consensus::number(id) - 1) % kMaxNodes)};
}
constexpr consensus::NodeId reborn(consensus::NodeId id) {
  return consensus::NodeId{consensus::number(id) + kMaxNodes};
}

class MeshTransport final : public consensus::Transport {
 public:
  // `sent`: told of each frame that really leaves.
  MeshTransport(Machine& machine, consensus::NodeId self, std::function<void(consensus::NodeId, std::string_view)> sent)
      : machine_(machine), self_(self), sent_(std::move(sent)) {}

  // What leaves instead of a frame, for a member that lies; `sent` is told of the frame itself.
  using Twist = std::function<std::vector<std::string>(consensus::NodeId to, std::string_view frame)>;
  void lie(Twist twist) { twist_ = std::move(twist); }
  // When a frame leaves: the departure is handed what sends it, in order. None: at once.
  using Departure = std::function<void(Task leave)>;
  void depart(Departure departure) { departure_ = std::move(departure); }

  void start(Handler handler) override { handler_ = std::move(handler); }
  void set_peers(const std::vector<consensus::Member>& peers) override;
  void send(consensus::NodeId to, std::string frame) override;

  // From the machine.
  void on_message(std::string_view bytes);
  void on_connection(NodeIndex peer, bool up);

 private:
  struct Met {
    consensus::NodeId peer;
    consensus::Instance instance;
    bool admitted;
  };
  void post(consensus::NodeId to, std::string frame);
  bool admits(consensus::NodeId peer, consensus::Instance instance);

  Machine& machine_;
  const consensus::NodeId self_;
  std::function<void(consensus::NodeId, std::string_view)> sent_;
  Twist twist_;
  Departure departure_;
  Handler handler_;
  std::vector<consensus::Member> peers_;
  std::vector<Met> met_;
};

}  // namespace clew::sim::groups

// Mesh: datagrams between simulated machines: whole messages that arrive late, in another order, twice, damaged or
// never, as sim/links.h says. What a framed transport over connections gives its user, without the connections.
//
// A damaged message is a message lost, as a frame's checksum finds the damage; with `deliver_damaged` it is delivered
// for protocols that check for themselves. A paused machine's messages wait in its sockets; a machine that is down
// loses them. `set_down(reset)`: a process that dies on a living machine resets its connections and its peers are told;
// a power cut is silence.
//
// Cost: no copy of a message but for duplicates; one event each. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/links.h"
#include "sim/scheduler.h"

namespace clew::sim {

class MeshEndpoint {
 public:
  virtual void on_message(NodeIndex from, std::string_view bytes) = 0;  // borrowed for the call
  virtual void on_connection(NodeIndex peer, bool up) = 0;              // a hint
 protected:
  ~MeshEndpoint() = default;
};

class Mesh final : private EventTarget {
 public:
  struct Counters {
    uint64_t sent = 0;
    uint64_t sent_bytes = 0;
    uint64_t delivered = 0;
    uint64_t lost = 0;         // by the weather
    uint64_t cut = 0;          // the link was cut when it left or when it would have arrived
    uint64_t to_the_dead = 0;  // the receiver was down
    uint64_t duplicated = 0;
    uint64_t damaged = 0;
    uint64_t held = 0;  // by a clog or a paused receiver
  };

  Mesh(Scheduler& scheduler, Links& links);
  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;
  ~Mesh();

  // The process on `node` is up; its peers that are up learn of it. The endpoint lives until set_down.
  void set_up(NodeIndex node, MeshEndpoint& endpoint);
  // No callback comes any more; what was in flight to it is lost. What it sent stays in flight.
  void set_down(NodeIndex node, bool reset);
  void pause(NodeIndex node);
  void resume(NodeIndex node);

  void send(NodeIndex from, NodeIndex to, std::string bytes);  // never calls back from within
  // Breaks the connection between the two: what is in flight is lost, both are told.
  void reset(NodeIndex a, NodeIndex b);
  void set_deliver_damaged(bool deliver) { deliver_damaged_ = deliver; }
  const Counters& counters() const { return counters_; }

 private:
  struct Message {
    std::string bytes;
    uint64_t digest = 0;
    uint64_t connection = 0;  // of the pair, when it was sent
    NodeIndex from{0}, to{0};
  };
  struct Node {
    MeshEndpoint* endpoint = nullptr;
    bool paused = false;
    std::vector<uint32_t> held;  // messages, in the order of arrival
  };
  struct Pair {  // ordered
    int64_t last_arrival_ns = 0;
    uint64_t connection = 0;     // raised by a reset
    std::vector<uint32_t> held;  // by a clog
  };
  void on_event(EventKind kind, uint64_t argument, Task task) override;
  void enqueue(NodeIndex from, NodeIndex to, std::string bytes, uint64_t digest);
  void arrive(uint32_t slot);
  void arrive_now(uint32_t slot);
  void drop(uint32_t slot);
  void notify(NodeIndex whom, NodeIndex peer, bool up, int64_t delay_ns);
  Pair& pair(NodeIndex from, NodeIndex to) { return pairs_[at(from) * links_.nodes() + at(to)]; }

  Scheduler& scheduler_;
  Links& links_;
  TargetId target_;
  std::vector<Node> nodes_;
  std::vector<Pair> pairs_;
  std::vector<Message> messages_;
  std::vector<uint32_t> free_;
  bool deliver_damaged_ = false;
  Counters counters_;
};

}  // namespace clew::sim

// PeerTransport: Transport over env::Network: each member keeps one connection to each other member, on which it only
// sends; the other direction has its own. Nothing has to be resolved when both connect at once, and a link that is cut
// in one direction works in the other.
//
// A connection begins with a handshake (peer_frames.h): the listener gives a number, the connector repeats it with its
// cluster, node, instance and the node that it means; with certificates (os::TlsNetwork) the name in it must be
// "node-<id>". Whoever is refused is told why and counted by reason. A node that the membership does not name is let in
// all the same when it belongs to the cluster, up to `max_strangers`: a member that lags behind must be able to hear a
// leader that it does not know yet (Raft thesis §4.1), and a new member knows nobody. Answers to a stranger go to the
// address that it named.
//
// Frames of one turn leave in one write (flush()). A frame to a peer that is not connected, or whose queue is full, is
// dropped and counted: the newest one, so that what is queued stays without gaps. Connections that break are made
// again after 20 ms, then twice as long each time up to `max_backoff`, with jitter; one that is silent or takes nothing
// is given up.
//
// When not to use it: for bulk data (one slow frame holds up those behind it).
// All methods and callbacks on the loop. Bounds: the options. Cost: a frame is copied once, and checksummed.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "consensus/peer_frames.h"
#include "consensus/transport.h"
#include "env/loop.h"
#include "env/network.h"
#include "env/random.h"

namespace clew::consensus {

struct PeerTransportOptions {
  uint64_t cluster = 0;
  NodeId self = kNobody;
  std::string listen;      // "127.0.0.1:4330"; port 0 takes a free one
  std::string advertised;  // what others connect to; empty: `listen` with the port that was taken
  bool require_identity = false;
  uint32_t max_frame_bytes = 16 << 20;
  uint64_t max_queued_bytes = 32ull << 20;  // a peer's, not yet taken by the system
  size_t max_half_open = 64;                // handshakes under way from outside
  size_t max_strangers = 8;
  Time handshake_timeout = 3 * kSecond;
  Time ping_after = 1 * kSecond;     // without a frame
  Time silence_limit = 6 * kSecond;  // without a sign of life, or without taking a byte that was sent
  Time max_backoff = 2 * kSecond;
};

struct PeerTransportStats {
  uint64_t connects = 0;  // handshakes that this node finished as the one that connects
  uint64_t accepts = 0;   // and as the one that listens
  uint64_t connect_failures = 0;
  uint64_t frames_sent = 0;
  uint64_t frames_received = 0;
  uint64_t bytes_sent = 0;  // with headers
  uint64_t bytes_received = 0;
  uint64_t writes = 0;
  uint64_t dropped_unconnected = 0;
  uint64_t dropped_full = 0;
  uint64_t dropped_too_long = 0;
  std::array<uint64_t, kPeerRefusals> refused{};  // connections from outside, by PeerRefusal
  std::array<uint64_t, kPeerRefusals> refused_by_peers{};
  uint64_t refused_in_all() const {
    uint64_t sum = 0;
    for (const uint64_t count : refused) sum += count;
    return sum;
  }
};

class PeerTransport final : public Transport {
 public:
  // Listens at once; connections are answered after start().
  static Result<std::unique_ptr<PeerTransport>> open(env::Loop& loop, env::Network& network, env::Random& random,
                                                     PeerTransportOptions options);
  ~PeerTransport() override;

  void start(Handler handler) override;
  void set_peers(const std::vector<Member>& peers) override;
  void send(NodeId to, std::string frame) override;
  void flush() override;
  std::string unreached(NodeId peer) const override;

  uint16_t port() const { return listener_->port(); }
  const PeerTransportStats& stats() const { return stats_; }
  bool connected(NodeId peer) const;  // frames to it would leave

 private:
  struct Link;      // one that this node made, to send
  struct Incoming;  // one that a peer made, to be heard
  using Guard = std::weak_ptr<char>;

  PeerTransport(env::Loop& loop, env::Network& network, uint64_t seed, PeerTransportOptions options);
  Time now() const { return loop_.clock().mono_ns(); }

  void connect(Link& link);
  void connected(Link& link, Result<std::unique_ptr<env::Stream>> stream);
  void on_link_bytes(Link& link, std::string_view bytes);
  void on_link_frame(Link& link, std::string_view body);
  void link_lost(Link& link);
  void write(Link& link);

  void accepted(std::unique_ptr<env::Stream> stream);
  void on_incoming_bytes(Incoming& incoming, std::string_view bytes);
  void on_hello(Incoming& incoming, std::string_view body);
  void refuse(Incoming& incoming, PeerRefusal why);
  void drop(Incoming& incoming, bool tell);
  bool identity_is(const env::Stream& stream, NodeId node) const;

  bool heard(NodeId peer) const;
  void forget(Link& link);

  void sweep();
  void slept(Time at);
  void bury(std::unique_ptr<env::Stream> stream);
  Link& link_to(NodeId peer, const std::string& address);

  env::Loop& loop_;
  env::Network& network_;
  const PeerTransportOptions options_;
  std::string advertised_;
  Generator random_;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();  // shared: tasks of the loop ask whether `this` lives

  bool started_ = false;
  Handler handler_;
  std::map<NodeId, std::unique_ptr<Link>> links_;
  std::vector<Link*> unflushed_;
  bool flush_posted_ = false;
  std::map<uint64_t, std::unique_ptr<Incoming>> incoming_;  // by number
  uint64_t last_incoming_ = 0;
  env::TimerId sweep_timer_ = 0;
  Time swept_at_ = 0;
  std::vector<std::unique_ptr<env::Stream>> buried_;  // closed in their own callbacks
  PeerTransportStats stats_;
  std::unique_ptr<env::Listener> listener_;
};

}  // namespace clew::consensus

// SimNetwork: env::Network between simulated machines on virtual time.
//
// Machine i has the address 10.0.0.(i+1); `host(i)` is the port that its process gets. Streams are ordered and
// reliable until they fail, as TCP is. What the links do to them: a packet's delay; a clog or a cut stalls (and after
// Options::give_up_ns of a cut the stream breaks on the side that waits for an acknowledgement); lost packets are sent
// again, which delays all behind them; duplicates and reordering are not seen. Bytes arrive in pieces of random sizes,
// so that a reader that expects whole frames is found. Corruption (Weather::corrupt_ppm) changes one byte of a piece,
// as a weak checksum lets it: framing must find it. A connect is refused at once where nobody listens, and times out
// where nobody answers. A process that dies resets its streams; after a power cut its peers hear nothing until they
// write to it and it is up again.
//
// Bandwidth is not modelled. Only for SimLoop. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "env/network.h"
#include "sim/links.h"
#include "sim/scheduler.h"

namespace clew::sim {

class SimNetwork {
 public:
  struct Options {
    int64_t connect_timeout_ns = 1'000'000'000;
    int64_t give_up_ns = 10'000'000'000;  // bytes without acknowledgement for that long break a stream
    int64_t retransmit_ns = 200'000'000;  // a lost packet costs that much
    uint64_t max_piece_bytes = 64 << 10;
  };
  struct Counters {
    uint64_t connects = 0;
    uint64_t refused = 0;
    uint64_t timed_out = 0;
    uint64_t broken = 0;
    uint64_t pieces = 0;
    uint64_t bytes = 0;
    uint64_t retransmitted = 0;
    uint64_t damaged = 0;
    uint64_t stalled = 0;  // pieces that a clog or a cut held up
  };

  SimNetwork(Scheduler& scheduler, Links& links, Options options);
  SimNetwork(Scheduler& scheduler, Links& links) : SimNetwork(scheduler, links, Options()) {}
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;
  ~SimNetwork();

  env::Network& host(NodeIndex node);
  static std::string address(NodeIndex node, uint16_t port);  // "10.0.0.1:4330"

  void set_up(NodeIndex node);                // the machine answers again
  void set_down(NodeIndex node, bool reset);  // streams and listeners of its process are gone; `reset`: peers are told
  void break_streams(NodeIndex a, NodeIndex b);  // connections between the two fail on both ends, at once
  const Counters& counters() const;

  struct World;  // shared with streams and listeners, which may outlive the network

 private:
  std::shared_ptr<World> world_;
};

}  // namespace clew::sim

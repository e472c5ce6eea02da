// A stranger connects to a member's peer port and sends arbitrary bytes, after a handshake that is right if the first
// byte asks for it, framed rightly if it asks for that. Whatever they are: no crash, nothing reaches the replica that
// was not framed, the connection ends by itself or is a member's, and a member that comes afterwards is heard.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "consensus/peer_transport.h"
#include "sim/links.h"
#include "sim/loop.h"
#include "sim/network.h"
#include "sim/random.h"
#include "sim/scheduler.h"

namespace {

using namespace clew;
using namespace clew::consensus;

constexpr uint16_t kPort = 4330;

struct Peer {
  Peer(sim::Scheduler& scheduler, sim::SimNetwork& network, uint32_t id)
      : clock(scheduler, 0), loop(scheduler, clock, sim::NodeIndex{id - 1}), random(id) {
    PeerTransportOptions options;
    options.cluster = 7;
    options.self = NodeId{id};
    options.listen = ":" + std::to_string(kPort);
    options.advertised = sim::SimNetwork::address(sim::NodeIndex{id - 1}, kPort);
    transport = PeerTransport::open(loop, network.host(sim::NodeIndex{id - 1}), random, options).value();
    transport->start({.instance = Instance{id},
                      .on_frame =
                          [this](NodeId from, Instance, std::string_view frame) {
                            CHECK(!frame.empty() && from != kNobody);
                            heard.emplace_back(frame);
                          },
                      .on_connection = [](NodeId, bool) {},
                      .admits = [](NodeId, Instance) { return true; }});
  }
  void know(uint32_t id) {
    Member member;
    member.id = NodeId{id};
    member.address = sim::SimNetwork::address(sim::NodeIndex{id - 1}, kPort);
    transport->set_peers({member});
  }
  sim::SimClock clock;
  sim::SimLoop loop;
  sim::SimRandom random;
  std::vector<std::string> heard;
  std::unique_ptr<PeerTransport> transport;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > (64 << 10)) return 0;
  const bool greets = (data[0] & 1) != 0;
  const bool frames = (data[0] & 2) != 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

  sim::Scheduler scheduler;
  sim::Links links(3, 1);
  sim::SimNetwork network(scheduler, links);
  Peer one(scheduler, network, 1);
  one.transport->set_peers({});
  sim::SimClock clock(scheduler, 0);
  sim::SimLoop loop(scheduler, clock, sim::NodeIndex{2});
  std::unique_ptr<env::Stream> stranger;
  std::string got;
  network.host(sim::NodeIndex{2}).connect(loop, sim::SimNetwork::address(sim::NodeIndex{0}, kPort), [&](auto stream) {
    stranger = std::move(stream).value();
    stranger->start({.on_bytes = [&](std::string_view piece) { got += piece; }, .on_closed = {}, .on_writable = {}});
  });
  scheduler.run_for(20 * kMillisecond);
  CHECK(stranger != nullptr);
  if (greets) {
    FrameReader reader(kMaxHandshakeBytes);
    reader.feed(got);
    std::string_view body;
    CHECK(reader.next(&body) == FrameReader::Step::kFrame);
    const Hello hello{1, parse_challenge(body).value().nonce, 7, NodeId{3}, NodeId{1}, Instance{3}, 0, "10.0.0.3:1"};
    std::string frame;
    append_frame(frame, encode(hello));
    stranger->write(std::move(frame));
  }
  if (frames) {
    std::string framed;
    append_frame(framed, bytes);
    bytes = std::move(framed);
  }
  stranger->write(bytes);
  scheduler.run_for(kSecond);
  CHECK(greets || one.heard.empty());
  CHECK(one.heard.size() <= bytes.size());
  if (greets && frames && size > 1) CHECK(one.heard.size() == 1);
  scheduler.run_for(10 * kSecond);  // what was neither finished nor kept alive has been given up

  one.heard.clear();
  Peer two(scheduler, network, 2);
  two.know(1);
  scheduler.run_for(kSecond);
  two.transport->send(NodeId{1}, "a member");
  scheduler.run_for(kSecond);
  CHECK(one.heard.size() == 1 && one.heard[0] == "a member");
  return 0;
}

#include "sim/network.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "sim/loop.h"

namespace clew::sim {
namespace {

constexpr NodeIndex n(uint32_t i) { return NodeIndex{i}; }
constexpr int64_t kMs = 1'000'000;

struct End {  // one process's view of one stream
  std::unique_ptr<env::Stream> stream;
  std::string got;
  size_t pieces = 0;
  std::vector<Status> closed;
  int writable = 0;

  void take(std::unique_ptr<env::Stream> taken) {
    stream = std::move(taken);
    stream->start({.on_bytes =
                       [this](std::string_view bytes) {
                         got += bytes;
                         ++pieces;
                       },
                   .on_closed = [this](Status status) { closed.push_back(std::move(status)); },
                   .on_writable = [this] { ++writable; }});
  }
};

struct Net {
  explicit Net(uint64_t seed = 1) : links(2, seed), network(scheduler, links) {
    for (uint32_t i = 0; i < 2; ++i) clocks.push_back(std::make_unique<SimClock>(scheduler, 0));
    for (uint32_t i = 0; i < 2; ++i) loops.push_back(std::make_unique<SimLoop>(scheduler, *clocks[i], n(i)));
  }
  void listen() {
    auto listening = network.host(n(1)).listen(
        *loops[1], ":4330", [this](std::unique_ptr<env::Stream> stream) { server.take(std::move(stream)); });
    ASSERT_TRUE(listening.ok());
    listener = std::move(*listening);
  }
  void connect() {
    network.host(n(0)).connect(*loops[0], SimNetwork::address(n(1), 4330),
                               [this](Result<std::unique_ptr<env::Stream>> result) {
                                 connected = result.status();
                                 answers++;
                                 if (result.ok()) client.take(std::move(*result));
                               });
  }
  void open() {
    listen();
    connect();
    run(10);
    ASSERT_TRUE(connected.ok());
    ASSERT_TRUE(server.stream && client.stream);
  }
  void run(int64_t ms) { scheduler.run_for(ms * kMs); }

  Scheduler scheduler;
  Links links;
  SimNetwork network;
  std::vector<std::unique_ptr<SimClock>> clocks;
  std::vector<std::unique_ptr<SimLoop>> loops;
  std::unique_ptr<env::Listener> listener;
  End client, server;
  Status connected;
  int answers = 0;
};

std::string pattern(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  return text;
}

TEST(SimNetwork, bytesArriveInOrderInPiecesOfAnySize) {
  Net net;
  net.open();
  const std::string sent = pattern(300'000);
  for (size_t at = 0; at < sent.size(); at += 1000) net.client.stream->write(sent.substr(at, 1000));
  EXPECT_EQ(net.client.stream->pending_bytes(), sent.size());
  net.run(1000);
  EXPECT_EQ(net.server.got, sent);
  EXPECT_GT(net.server.pieces, 300u);
  EXPECT_EQ(net.client.stream->pending_bytes(), 0u);
  EXPECT_GT(net.client.writable, 0);
  net.server.stream->write("back");
  net.run(10);
  EXPECT_EQ(net.client.got, "back");
  EXPECT_EQ(net.server.stream->peer().substr(0, 9), "10.0.0.1:");
}

TEST(SimNetwork, lossDelaysAndNeverReorders) {
  Net net;
  net.open();
  net.links.weather().loss_ppm = 300'000;
  net.links.weather().duplicate_ppm = 300'000;
  const std::string sent = pattern(50'000);
  for (size_t at = 0; at < sent.size(); at += 500) net.client.stream->write(sent.substr(at, 500));
  net.run(5000);
  EXPECT_EQ(net.server.got, sent);
  EXPECT_GT(net.network.counters().retransmitted, 0u);
}

TEST(SimNetwork, damagedBytesReachTheReader) {
  Net net;
  net.open();
  net.links.weather().corrupt_ppm = 1'000'000;
  const std::string sent = pattern(5'000);
  net.client.stream->write(sent);
  net.run(100);
  ASSERT_EQ(net.server.got.size(), sent.size());
  EXPECT_NE(net.server.got, sent);
}

TEST(SimNetwork, aConnectIsRefusedWhereNobodyListensAndTimesOutWhereNobodyAnswers) {
  Net refused;
  refused.connect();
  refused.run(100);
  EXPECT_EQ(refused.connected.code(), Code::kUnavailable);
  EXPECT_EQ(refused.answers, 1);

  for (const bool down : {true, false}) {
    Net silent;
    silent.listen();
    if (down) {
      silent.network.set_down(n(1), false);
    } else {
      silent.links.cut(mask_of(n(1)), mask_of(n(0)));  // the answer is lost
    }
    silent.connect();
    silent.run(999);
    EXPECT_EQ(silent.answers, 0);
    silent.run(2);
    EXPECT_EQ(silent.connected.code(), Code::kDeadlineExceeded);
    silent.run(5000);
    EXPECT_EQ(silent.answers, 1);
  }

  Net unknown;
  unknown.network.host(n(0)).connect(*unknown.loops[0], "example.org:1",
                                     [&](auto result) { unknown.connected = result.status(); });
  unknown.run(1);
  EXPECT_EQ(unknown.connected.code(), Code::kInvalidArgument);
}

TEST(SimNetwork, closingDeliversWhatWasWrittenAndThenTheEnd) {
  Net net;
  net.open();
  net.client.stream->write("last words");
  net.client.stream.reset();
  net.run(100);
  EXPECT_EQ(net.server.got, "last words");
  ASSERT_EQ(net.server.closed.size(), 1u);
  EXPECT_TRUE(net.server.closed[0].ok());
  EXPECT_TRUE(net.client.closed.empty()) << "who closes is not told";
  net.server.stream->write("into the void");
  net.run(1000);
  EXPECT_EQ(net.server.closed.size(), 1u);
}

TEST(SimNetwork, aClogStallsAndThenDelivers) {
  Net net;
  net.open();
  net.links.clog(mask_of(n(0)), mask_of(n(1)));
  net.client.stream->write("a");
  net.client.stream->write("b");
  net.run(2000);
  EXPECT_EQ(net.server.got, "");
  EXPECT_EQ(net.client.stream->pending_bytes(), 2u);
  net.links.release(mask_of(n(0)), mask_of(n(1)));
  net.client.stream->write("c");
  net.run(100);
  EXPECT_EQ(net.server.got, "abc");
}

TEST(SimNetwork, whatIsUnderWayWhenAClogEndsComesBehindWhatStalled) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {  // each draws other delays
    Net net(seed);
    net.open();
    const std::string sent = pattern(400);
    net.links.clog(mask_of(n(0)), mask_of(n(1)));
    for (size_t at = 0; at < sent.size(); ++at) {  // less than a delay apart: some are under way at any time
      if (at == 200) net.links.release(mask_of(n(0)), mask_of(n(1)));
      net.client.stream->write(sent.substr(at, 1));
      net.scheduler.run_for(kMs / 100);
    }
    net.run(100);
    EXPECT_EQ(net.server.got, sent) << "seed " << seed;
  }
}

TEST(SimNetwork, aClogBeforeTheEndOfAnotherOnesReleaseKeepsTheOrder) {
  Net net;
  net.open();
  const std::string sent = pattern(400);
  for (size_t at = 0; at < sent.size(); ++at) {
    if (at % 3 == 0) net.links.clog(mask_of(n(0)), mask_of(n(1)));
    if (at % 3 == 2) net.links.release(mask_of(n(0)), mask_of(n(1)));
    net.client.stream->write(sent.substr(at, 1));
    net.scheduler.run_for(kMs / 100);
  }
  net.links.heal();
  net.run(100);
  EXPECT_EQ(net.server.got, sent);
}

TEST(SimNetwork, whatWaitsForAReaderComesBeforeWhatAClogHoldsUp) {
  Net net;
  net.open();
  net.server.stream->pause_reading(true);
  net.client.stream->write("a");
  net.client.stream->write("b");
  net.run(10);
  net.links.clog(mask_of(n(0)), mask_of(n(1)));
  net.client.stream->write("c");
  net.run(10);
  net.server.stream->pause_reading(false);
  net.run(10);
  EXPECT_EQ(net.server.got, "ab") << "it had arrived";
  net.links.release(mask_of(n(0)), mask_of(n(1)));
  net.run(10);
  EXPECT_EQ(net.server.got, "abc");
}

TEST(SimNetwork, aShortCutStallsAndALongOneBreaksTheSideThatWaits) {
  Net net;
  net.open();
  net.links.cut(all_of(2), all_of(2));
  net.client.stream->write("a");
  net.run(5000);
  net.links.mend(all_of(2), all_of(2));
  net.run(100);
  EXPECT_EQ(net.server.got, "a");
  net.links.cut(all_of(2), all_of(2));
  net.client.stream->write("b");
  net.run(11'000);
  ASSERT_EQ(net.client.closed.size(), 1u);
  EXPECT_EQ(net.client.closed[0].code(), Code::kUnavailable);
  EXPECT_TRUE(net.server.closed.empty()) << "it waits for nothing and knows nothing";
  net.client.stream.reset();
  net.links.mend(all_of(2), all_of(2));
  net.server.stream->write("still there?");
  net.run(100);
  ASSERT_EQ(net.server.closed.size(), 1u);
  EXPECT_EQ(net.server.got, "a");
}

TEST(SimNetwork, aBrokenConnectionFailsOnBothEndsOnce) {
  Net net;
  net.open();
  net.client.stream->write("lost");
  net.network.break_streams(n(0), n(1));
  net.run(100);
  for (End* end : {&net.client, &net.server}) {
    ASSERT_EQ(end->closed.size(), 1u);
    EXPECT_EQ(end->closed[0].code(), Code::kUnavailable);
  }
  EXPECT_EQ(net.server.got, "");
}

TEST(SimNetwork, aKilledProcessResetsAndAPowerCutIsNoticedOnlyByWriting) {
  for (const bool reset : {true, false}) {
    Net net;
    net.open();
    net.network.set_down(n(1), reset);
    net.server.stream.reset();
    net.listener.reset();
    net.run(100);
    EXPECT_EQ(net.client.closed.size(), reset ? 1u : 0u);
    if (reset) continue;
    net.client.stream->write("anybody?");
    net.run(100);
    EXPECT_TRUE(net.client.closed.empty()) << "the machine is down";
    net.network.set_up(n(1));
    net.client.stream->write("anybody?");
    net.run(100);
    EXPECT_EQ(net.client.closed.size(), 1u) << "it is back, and knows of no connection";
    EXPECT_EQ(net.server.got, "");
  }
}

TEST(SimNetwork, aPausedProcessReadsLaterAndADeadOneNever) {
  Net net;
  net.open();
  net.loops[1]->pause();
  net.client.stream->write("a");
  net.run(1000);
  EXPECT_EQ(net.server.got, "");
  net.loops[1]->resume();
  net.run(10);
  EXPECT_EQ(net.server.got, "a");
  net.client.stream->write("b");
  net.loops[1]->kill();
  net.run(1000);
  EXPECT_EQ(net.server.got, "a");
}

TEST(SimNetwork, aHandlerMayDestroyItsStream) {
  Net net;
  net.listen();
  End server;
  net.listener.reset();
  std::unique_ptr<env::Stream> accepted;
  auto listening = net.network.host(n(1)).listen(*net.loops[1], ":4330", [&](std::unique_ptr<env::Stream> stream) {
    accepted = std::move(stream);
    accepted->start({.on_bytes = [&, keep = std::string(100, 'x')](std::string_view) {
      accepted.reset();
      server.got = keep;
    }});
  });
  ASSERT_TRUE(listening.ok());
  EXPECT_EQ(net.network.host(n(1)).listen(*net.loops[1], ":4330", [](auto) {}).status().code(), Code::kAlreadyExists);
  net.connect();
  net.run(10);
  net.client.stream->write("x");
  net.run(100);
  EXPECT_EQ(server.got, std::string(100, 'x'));
  EXPECT_EQ(net.client.closed.size(), 1u);
}

TEST(SimNetwork, theSameSeedGivesTheSameTrace) {
  const auto hash = [](uint64_t seed) {
    Net net(seed);
    net.open();
    net.client.stream->write(pattern(10'000));
    net.run(100);
    return net.scheduler.trace_hash();
  };
  EXPECT_EQ(hash(1), hash(1));
  EXPECT_NE(hash(1), hash(2));
}

}  // namespace
}  // namespace clew::sim

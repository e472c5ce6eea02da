#include "consensus/peer_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/links.h"
#include "sim/loop.h"
#include "sim/network.h"
#include "sim/random.h"
#include "sim/scheduler.h"

namespace clew::consensus {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint16_t kPort = 4330;
sim::NodeIndex machine(uint32_t i) { return sim::NodeIndex{i}; }

// One member; member i lives on machine i - 1.
struct Peer {
  Peer(sim::Scheduler& scheduler, sim::SimNetwork& network, uint32_t id, uint64_t cluster, uint64_t instance,
       const std::function<void(PeerTransportOptions&)>& change = {})
      : clock(scheduler, 0), loop(scheduler, clock, machine(id - 1)), random(id * 1'000 + instance) {
    PeerTransportOptions options;
    options.cluster = cluster;
    options.self = NodeId{id};
    options.listen = ":" + std::to_string(kPort);
    options.advertised = sim::SimNetwork::address(machine(id - 1), kPort);
    if (change) change(options);
    auto opened = PeerTransport::open(loop, network.host(machine(id - 1)), random, options);
    EXPECT_TRUE(opened.ok()) << opened.status().to_string();
    transport = std::move(opened).value();
    transport->start(
        {.instance = Instance{instance},
         .on_frame =
             [this](NodeId from, Instance i, std::string_view frame) {
               got.push_back(std::to_string(number(from)) + "/" + std::to_string(static_cast<uint64_t>(i)) + ": " +
                             std::string(frame));
             },
         .on_connection = [this](NodeId peer,
                                 bool up) { hints.push_back((up ? "+" : "-") + std::to_string(number(peer))); },
         .admits = [this](NodeId peer, Instance i) { return !refuses || !refuses(peer, i); }});
  }
  uint64_t refused(PeerRefusal why) const { return transport->stats().refused[static_cast<size_t>(why)]; }

  sim::SimClock clock;
  sim::SimLoop loop;
  sim::SimRandom random;
  std::function<bool(NodeId, Instance)> refuses;
  std::vector<std::string> got, hints;
  std::unique_ptr<PeerTransport> transport;
};

std::vector<Member> members(std::initializer_list<uint32_t> ids) {
  std::vector<Member> all;
  for (const uint32_t id : ids) {
    Member member;
    member.id = NodeId{id};
    member.address = sim::SimNetwork::address(machine(id - 1), kPort);
    all.push_back(member);
  }
  return all;
}

class PeerTransportTest : public testing::Test {
 protected:
  Peer& add(uint32_t id, uint64_t instance = 0, uint64_t cluster = 7,
            const std::function<void(PeerTransportOptions&)>& change = {}) {
    peers_.push_back(
        std::make_unique<Peer>(scheduler_, network_, id, cluster, instance == 0 ? 100 + id : instance, change));
    return *peers_.back();
  }
  void run(Time time = 200 * kMillisecond) { scheduler_.run_for(time); }

  // A stranger that writes bytes to member `id` and keeps what comes back.
  struct Raw {
    std::unique_ptr<env::Stream> stream;
    std::string got;
    bool closed = false;
  };
  std::shared_ptr<Raw> connect(uint32_t id) {
    auto raw = std::make_shared<Raw>();
    network_.host(machine(4)).connect(*raw_loop_, sim::SimNetwork::address(machine(id - 1), kPort), [raw](auto stream) {
      if (!stream.ok()) return;
      raw->stream = std::move(stream).value();
      raw->stream->start({.on_bytes = [raw](std::string_view bytes) { raw->got += bytes; },
                          .on_closed = [raw](const Status&) { raw->closed = true; },
                          .on_writable = {}});
    });
    run(20 * kMillisecond);
    return raw;
  }
  // The challenge that came to `raw`.
  static Challenge challenge_of(const Raw& raw) {
    FrameReader reader(1'000);
    reader.feed(raw.got);
    std::string_view body;
    EXPECT_EQ(reader.next(&body), FrameReader::Step::kFrame);
    return parse_challenge(body).value();
  }
  static std::string hello_frame(const Hello& hello) {
    std::string bytes;
    append_frame(bytes, encode(hello));
    return bytes;
  }

  sim::Scheduler scheduler_;
  sim::Links links_{5, 1};
  sim::SimNetwork network_{scheduler_, links_};
  sim::SimClock raw_clock_{scheduler_, 0};
  std::unique_ptr<sim::SimLoop> raw_loop_ = std::make_unique<sim::SimLoop>(scheduler_, raw_clock_, machine(4));
  std::vector<std::unique_ptr<Peer>> peers_;
};

TEST_F(PeerTransportTest, membersFindEachOtherAndFramesArriveInOrderWithTheirSender) {
  Peer& one = add(1);
  Peer& two = add(2);
  one.transport->set_peers(members({2}));
  two.transport->set_peers(members({1}));
  run();
  EXPECT_TRUE(one.transport->connected(NodeId{2}));
  for (int i = 0; i < 3; ++i) one.transport->send(NodeId{2}, "frame " + std::to_string(i));
  two.transport->send(NodeId{1}, std::string(300'000, 'x'));
  run();
  EXPECT_THAT(two.got, ElementsAre("1/101: frame 0", "1/101: frame 1", "1/101: frame 2"));
  ASSERT_EQ(one.got.size(), 1u);
  EXPECT_EQ(one.got[0].size(), 300'000u + 7);
}

TEST_F(PeerTransportTest, framesOfOneTurnLeaveInOneWrite) {
  Peer& one = add(1);
  Peer& two = add(2);
  one.transport->set_peers(members({2}));
  two.transport->set_peers(members({1}));
  run();
  const uint64_t before = one.transport->stats().writes;
  for (int i = 0; i < 10; ++i) one.transport->send(NodeId{2}, "x");
  one.transport->flush();
  run(10 * kMillisecond);
  EXPECT_EQ(two.got.size(), 10u);
  EXPECT_EQ(one.transport->stats().writes - before, 1u);
}

TEST_F(PeerTransportTest, aMemberThatWasAwayIsFoundAgain) {
  Peer& one = add(1);
  add(2).transport->set_peers(members({1}));
  one.transport->set_peers(members({2}));
  run();
  network_.set_down(machine(1), true);
  peers_[1]->loop.kill();
  peers_.pop_back();
  run(3 * kSecond);
  EXPECT_FALSE(one.transport->connected(NodeId{2}));
  one.transport->send(NodeId{2}, "lost");
  EXPECT_EQ(one.transport->stats().dropped_unconnected, 1u);
  network_.set_up(machine(1));
  Peer& again = add(2);
  again.transport->set_peers(members({1}));
  run(3 * kSecond);
  one.transport->send(NodeId{2}, "found");
  run();
  EXPECT_THAT(again.got, ElementsAre("1/101: found"));
  EXPECT_EQ(one.hints.front(), "+2");
  EXPECT_EQ(one.hints.back(), "+2");
  EXPECT_THAT(one.hints, ::testing::Contains("-2"));
}

TEST_F(PeerTransportTest, whyAMemberIsNotReachedIsToldUntilItIs) {
  Peer& one = add(1);
  EXPECT_EQ(one.transport->unreached(NodeId{2}), "");
  one.transport->set_peers(members({1, 2}));
  run();
  EXPECT_THAT(one.transport->unreached(NodeId{2}), ::testing::HasSubstr("refused"));
  Peer& other = add(2, 0, 8);
  run(3 * kSecond);
  EXPECT_THAT(one.transport->unreached(NodeId{2}), ::testing::HasSubstr("it refuses this member: cluster"));
  other.transport.reset();
  Peer& two = add(2);
  two.transport->set_peers(members({1, 2}));
  run(3 * kSecond);
  EXPECT_EQ(one.transport->unreached(NodeId{2}), "");
}

TEST_F(PeerTransportTest, aRestartedMemberIsReachedAtOnceWhateverTheBackoff) {
  Peer& one = add(1);
  one.transport->set_peers(members({2}));
  run(20 * kSecond);  // nobody listens: the backoff is at its longest
  Peer& two = add(2);
  two.transport->set_peers(members({1}));
  run(10 * kMillisecond);
  EXPECT_TRUE(one.transport->connected(NodeId{2}));
}

TEST_F(PeerTransportTest, anotherClusterAnotherNodeAndAStaleDirectoryAreRefusedAndToldWhy) {
  Peer& one = add(1);
  Peer& foreigner = add(2, 0, 8);
  foreigner.transport->set_peers(members({1}));
  one.refuses = [](NodeId peer, Instance) { return peer == NodeId{3}; };
  Peer& wiped = add(3);
  wiped.transport->set_peers(members({1}));
  // Member 4 is told that member 2's place is where member 1 listens.
  Peer& misled = add(4);
  std::vector<Member> wrong = members({2});
  wrong[0].address = members({1})[0].address;
  misled.transport->set_peers(wrong);
  run();
  EXPECT_GT(one.refused(PeerRefusal::kCluster), 0u);
  EXPECT_GT(one.refused(PeerRefusal::kStaleInstance), 0u);
  EXPECT_GT(one.refused(PeerRefusal::kWrongNode), 0u);
  EXPECT_GT(wiped.transport->stats().refused_by_peers[static_cast<size_t>(PeerRefusal::kStaleInstance)], 0u);
  EXPECT_FALSE(foreigner.transport->connected(NodeId{1}));
  EXPECT_FALSE(wiped.transport->connected(NodeId{1}));
  EXPECT_FALSE(misled.transport->connected(NodeId{2}));
}

TEST_F(PeerTransportTest, aListenerWithAnotherDirectoryIsNotSpokenTo) {
  Peer& one = add(1);
  one.refuses = [](NodeId, Instance instance) { return instance == Instance{666}; };
  add(2, 666).transport->set_peers({});
  one.transport->set_peers(members({2}));
  run();
  EXPECT_FALSE(one.transport->connected(NodeId{2}));
}

TEST_F(PeerTransportTest, aStrangerOfTheClusterIsHeardAndAnsweredUpToABound) {
  Peer& joiner = add(1, 0, 7, [](PeerTransportOptions& options) { options.max_strangers = 1; });
  joiner.transport->set_peers({});  // it knows nobody yet
  Peer& leader = add(2);
  leader.transport->set_peers(members({1}));
  run();
  leader.transport->send(NodeId{1}, "welcome");
  run();
  EXPECT_THAT(joiner.got, ElementsAre("2/102: welcome"));
  joiner.transport->set_peers({});  // a membership without the leader does not silence the answer
  joiner.transport->send(NodeId{2}, "thanks");
  run();
  EXPECT_THAT(leader.got, ElementsAre("1/101: thanks"));
  Peer& another = add(3);
  another.transport->set_peers(members({1}));
  run();
  EXPECT_GT(joiner.refused(PeerRefusal::kStranger), 0u);
  joiner.transport->set_peers(members({2, 3}));
  run(3 * kSecond);
  EXPECT_TRUE(another.transport->connected(NodeId{1}));
}

TEST_F(PeerTransportTest, theSameMemberAgainReplacesItsOlderConnection) {
  Peer& one = add(1);
  one.transport->set_peers({});
  const auto first = connect(1);
  const Hello hello{1, challenge_of(*first).nonce, 7, NodeId{2}, NodeId{1}, Instance{5}, 0, "10.0.0.5:1"};
  first->stream->write(hello_frame(hello));
  run(20 * kMillisecond);
  const auto second = connect(1);
  Hello again = hello;
  again.nonce = challenge_of(*second).nonce;
  second->stream->write(hello_frame(again));
  run(20 * kMillisecond);
  EXPECT_TRUE(first->closed);
  EXPECT_FALSE(second->closed);
  EXPECT_EQ(one.refused(PeerRefusal::kReplaced), 1u);
}

TEST_F(PeerTransportTest, aRecordedHandshakeIsOfNoUse) {
  Peer& one = add(1);
  one.transport->set_peers({});
  const auto first = connect(1);
  const std::string recorded =
      hello_frame({1, challenge_of(*first).nonce, 7, NodeId{2}, NodeId{1}, Instance{5}, 0, "10.0.0.5:1"});
  first->stream->write(recorded);
  run(20 * kMillisecond);
  const auto second = connect(1);
  std::string frames = recorded;
  append_frame(frames, "a frame of the past");
  second->stream->write(frames);
  run(20 * kMillisecond);
  EXPECT_TRUE(second->closed);
  EXPECT_FALSE(first->closed);
  EXPECT_EQ(one.refused(PeerRefusal::kReplayed), 1u);
  EXPECT_THAT(one.got, IsEmpty());
}

TEST_F(PeerTransportTest, badInputIsRefusedByReasonAndHarmsNobody) {
  Peer& one = add(1);
  Peer& two = add(2);
  one.transport->set_peers(members({2}));
  two.transport->set_peers(members({1}));
  run();
  const auto say = [&](const std::string& bytes) {
    const auto raw = connect(1);
    raw->stream->write(bytes);
    run(20 * kMillisecond);
    EXPECT_TRUE(raw->closed);
  };
  std::string garbage;
  append_frame(garbage, "not a handshake");
  say(garbage);
  say("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  garbage.back() ^= 1;
  say(garbage);
  EXPECT_EQ(one.refused(PeerRefusal::kGarbage), 3u);
  std::string huge;
  append_frame(huge, std::string(kMaxHandshakeBytes + 1, 'x'));
  say(huge.substr(0, kFrameHeaderBytes));
  EXPECT_EQ(one.refused(PeerRefusal::kTooLong), 1u);
  {
    const auto raw = connect(1);
    raw->stream->write(hello_frame({9, challenge_of(*raw).nonce, 7, NodeId{3}, NodeId{1}, Instance{5}, 0, "x:1"}));
    run(20 * kMillisecond);
    EXPECT_TRUE(raw->closed);
  }
  EXPECT_EQ(one.refused(PeerRefusal::kVersion), 1u);
  {
    const auto raw = connect(1);
    raw->stream->write(std::string(3, 'x'));
    run(20 * kMillisecond);
    raw->stream.reset();
    run(20 * kMillisecond);
  }
  EXPECT_EQ(one.refused(PeerRefusal::kTruncated), 1u);
  two.transport->send(NodeId{1}, "still here");
  run();
  EXPECT_THAT(one.got, ElementsAre("2/102: still here"));
}

TEST_F(PeerTransportTest, slowHandshakesEndAndTooManyAreNotTaken) {
  Peer& one = add(1, 0, 7, [](PeerTransportOptions& options) { options.max_half_open = 3; });
  one.transport->set_peers({});
  std::vector<std::shared_ptr<Raw>> raws;
  for (int i = 0; i < 5; ++i) raws.push_back(connect(1));
  EXPECT_EQ(one.refused(PeerRefusal::kTooMany), 2u);
  run(5 * kSecond);
  EXPECT_EQ(one.refused(PeerRefusal::kSlow), 3u);
  for (const auto& raw : raws) EXPECT_TRUE(raw->closed);
}

TEST_F(PeerTransportTest, anIdleConnectionLivesAndASilentOneDoesNot) {
  Peer& one = add(1);
  Peer& two = add(2);
  one.transport->set_peers(members({2}));
  two.transport->set_peers(members({1}));
  run();
  const uint64_t connects = one.transport->stats().connects;
  run(60 * kSecond);
  EXPECT_EQ(one.transport->stats().connects, connects);
  links_.cut(sim::NodeMask{2}, sim::NodeMask{1});  // from machine 1 (member 2) to machine 0 (member 1)
  run(60 * kSecond);
  EXPECT_GT(one.refused(PeerRefusal::kSilent), 0u);
  links_.mend(sim::NodeMask{2}, sim::NodeMask{1});
  run(10 * kSecond);
  two.transport->send(NodeId{1}, "back");
  run();
  EXPECT_THAT(one.got, ElementsAre("2/102: back"));
}

TEST_F(PeerTransportTest, aMemberThatTakesNothingFillsItsQueueAndNoMore) {
  Peer& one = add(1, 0, 7, [](PeerTransportOptions& options) { options.max_queued_bytes = 100'000; });
  Peer& two = add(2);
  one.transport->set_peers(members({2}));
  two.transport->set_peers(members({1}));
  run();
  links_.clog(sim::NodeMask{1}, sim::NodeMask{2});
  for (int i = 0; i < 50; ++i) {
    one.transport->send(NodeId{2}, std::to_string(i) + std::string(10'000, 'x'));
    run(kMillisecond);
  }
  EXPECT_GT(one.transport->stats().dropped_full, 35u);
  links_.release(sim::NodeMask{1}, sim::NodeMask{2});
  run(kSecond);
  ASSERT_FALSE(two.got.empty());
  for (size_t i = 0; i < two.got.size(); ++i) {  // the newest were dropped, so there is no gap
    EXPECT_EQ(two.got[i].substr(7, std::to_string(i).size()), std::to_string(i));
  }
}

TEST_F(PeerTransportTest, damageOnTheWayEndsTheConnectionAndNotTheGroup) {
  Peer& one = add(1);
  Peer& two = add(2);
  one.transport->set_peers(members({2}));
  two.transport->set_peers(members({1}));
  run();
  links_.weather().corrupt_ppm = 200'000;
  for (int i = 0; i < 300; ++i) {
    one.transport->send(NodeId{2}, "clean");
    run(20 * kMillisecond);
  }
  EXPECT_GT(two.refused(PeerRefusal::kChecksum) + two.refused(PeerRefusal::kTooLong), 0u);
  for (const std::string& frame : two.got) EXPECT_EQ(frame, "1/101: clean");
  links_.weather().corrupt_ppm = 0;
  run(10 * kSecond);
  two.got.clear();
  one.transport->send(NodeId{2}, "clean");
  run();
  EXPECT_THAT(two.got, ElementsAre("1/101: clean"));
}

TEST_F(PeerTransportTest, aMemberThatLeftIsNotConnectedToAnyMore) {
  Peer& one = add(1);
  Peer& two = add(2);
  one.transport->set_peers(members({2}));
  run();
  EXPECT_TRUE(one.transport->connected(NodeId{2}));
  two.transport->set_peers({});
  network_.break_streams(machine(0), machine(1));
  one.transport->set_peers({});
  run(3 * kSecond);
  EXPECT_FALSE(one.transport->connected(NodeId{2}));
  EXPECT_FALSE(two.transport->connected(NodeId{1}));
}

}  // namespace
}  // namespace clew::consensus

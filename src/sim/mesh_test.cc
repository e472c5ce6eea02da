#include "sim/mesh.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace clew::sim {
namespace {

constexpr NodeIndex n(uint32_t i) { return NodeIndex{i}; }

struct Box final : MeshEndpoint {
  std::vector<std::string> got;
  std::vector<std::string> hints;
  void on_message(NodeIndex from, std::string_view bytes) override {
    got.push_back(name(from) + ":" + std::string(bytes));
  }
  void on_connection(NodeIndex peer, bool up) override { hints.push_back((up ? "+" : "-") + name(peer)); }
};

struct Net {
  explicit Net(uint64_t seed = 1, size_t nodes = 3) : links(nodes, seed), mesh(scheduler, links), boxes(nodes) {
    for (uint32_t i = 0; i < nodes; ++i) mesh.set_up(n(i), boxes[i]);
    scheduler.run_until_idle();
    for (Box& box : boxes) box.hints.clear();
  }
  void send(uint32_t from, uint32_t to, int count = 1) {
    for (int i = 0; i < count; ++i) mesh.send(n(from), n(to), std::to_string(sent++));
  }
  int sent = 0;
  Scheduler scheduler;
  Links links;
  Mesh mesh;
  std::vector<Box> boxes;
};

TEST(Mesh, deliversLaterWithinTheDelaysOfTheWeather) {
  Net net;
  net.links.weather().delay_min_ns = 1000;
  net.links.weather().delay_spread_ns = 10;
  const int64_t before = net.scheduler.now_ns();
  net.send(0, 1);
  EXPECT_TRUE(net.boxes[1].got.empty());
  net.scheduler.run_until_idle();
  EXPECT_EQ(net.boxes[1].got, (std::vector<std::string>{"n0:0"}));
  EXPECT_GE(net.scheduler.now_ns() - before, 1000);
  EXPECT_LT(net.scheduler.now_ns() - before, 1010);
}

TEST(Mesh, reordersUnlessItIsFifo) {
  for (const bool fifo : {false, true}) {
    Net net;
    net.links.weather().fifo = fifo;
    net.send(0, 1, 100);
    net.scheduler.run_until_idle();
    std::vector<std::string> sorted = net.boxes[1].got;
    ASSERT_EQ(sorted.size(), 100u);
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& a, const auto& b) { return std::stoi(a.substr(3)) < std::stoi(b.substr(3)); });
    EXPECT_EQ(sorted == net.boxes[1].got, fifo);
  }
}

TEST(Mesh, losesRepeatsAndDamagesTheShareThatTheWeatherSays) {
  Net net;
  net.links.weather().loss_ppm = 200'000;
  net.send(0, 1, 10'000);
  net.scheduler.run_until_idle();
  EXPECT_NEAR(static_cast<double>(net.mesh.counters().lost), 2000, 200);
  EXPECT_EQ(net.boxes[1].got.size(), 10'000 - net.mesh.counters().lost);

  net.links.weather().loss_ppm = 0;
  net.links.weather().duplicate_ppm = 100'000;
  net.send(1, 2, 10'000);
  net.scheduler.run_until_idle();
  EXPECT_NEAR(static_cast<double>(net.boxes[2].got.size()), 11'000, 200);

  net.links.weather().duplicate_ppm = 0;
  net.links.weather().corrupt_ppm = 100'000;
  net.boxes[0].got.clear();
  net.send(2, 0, 10'000);
  net.scheduler.run_until_idle();
  EXPECT_NEAR(static_cast<double>(net.boxes[0].got.size()), 9'000, 200);  // a checksum found the others
}

TEST(Mesh, deliversDamagedMessagesToWhoWantsThem) {
  Net net;
  net.mesh.set_deliver_damaged(true);
  net.links.weather().corrupt_ppm = 1'000'000;
  net.mesh.send(n(0), n(1), "abcdefgh");
  net.scheduler.run_until_idle();
  ASSERT_EQ(net.boxes[1].got.size(), 1u);
  EXPECT_NE(net.boxes[1].got[0], "n0:abcdefgh");
}

TEST(Mesh, aCutIsOneWayAndLosesAlsoWhatIsUnderWay) {
  Net net;
  net.send(0, 1);
  net.links.cut(mask_of(n(0)), mask_of(n(1)));
  net.send(0, 1);
  net.send(1, 0);
  net.send(0, 2);
  net.scheduler.run_until_idle();
  EXPECT_TRUE(net.boxes[1].got.empty());
  EXPECT_EQ(net.boxes[0].got.size(), 1u);
  EXPECT_EQ(net.boxes[2].got.size(), 1u);
  EXPECT_EQ(net.mesh.counters().cut, 2u);
  net.links.mend(mask_of(n(0)), mask_of(n(1)));
  net.send(0, 1);
  net.scheduler.run_until_idle();
  EXPECT_EQ(net.boxes[1].got.size(), 1u);
}

TEST(Mesh, overlappingCutsEndWithTheLast) {
  Net net;
  net.links.cut(all_of(3), all_of(3));
  net.links.cut(mask_of(n(0)), mask_of(n(1)));
  net.links.mend(all_of(3), all_of(3));
  EXPECT_FALSE(net.links.up(n(0), n(1)));
  EXPECT_TRUE(net.links.up(n(1), n(0)));
  net.links.heal();
  EXPECT_TRUE(net.links.up(n(0), n(1)));
}

TEST(Mesh, aClogHoldsEverythingAndThenLetsItGo) {
  Net net;
  net.links.clog(mask_of(n(0)), mask_of(n(1)));
  net.send(0, 1, 5);
  net.scheduler.run_for(1'000'000'000);
  EXPECT_TRUE(net.boxes[1].got.empty());
  EXPECT_EQ(net.mesh.counters().held, 5u);
  net.links.release(mask_of(n(0)), mask_of(n(1)));
  EXPECT_TRUE(net.boxes[1].got.empty()) << "later, not from within";
  net.scheduler.run_until_idle();
  EXPECT_EQ(net.boxes[1].got.size(), 5u);
}

TEST(Mesh, aPausedMachineReadsItsMessagesWhenItGoesOn) {
  Net net;
  net.mesh.pause(n(1));
  net.send(0, 1, 3);
  net.scheduler.run_for(1'000'000'000);
  EXPECT_TRUE(net.boxes[1].got.empty());
  net.mesh.resume(n(1));
  net.scheduler.run_until_idle();
  EXPECT_EQ(net.boxes[1].got.size(), 3u);
}

TEST(Mesh, aKilledProcessIsNoticedAndAPowerCutIsSilence) {
  for (const bool reset : {true, false}) {
    Net net;
    net.send(0, 1);  // under way
    net.mesh.set_down(n(1), reset);
    net.send(0, 1);
    net.scheduler.run_until_idle();
    EXPECT_TRUE(net.boxes[1].got.empty());
    EXPECT_EQ(net.boxes[0].hints, reset ? std::vector<std::string>{"-n1"} : std::vector<std::string>{});
    net.mesh.set_up(n(1), net.boxes[1]);
    net.scheduler.run_until_idle();
    EXPECT_EQ(net.boxes[0].hints.back(), "+n1");
    EXPECT_TRUE(net.boxes[1].got.empty()) << "what was under way was for the process before";
    net.send(0, 1);
    net.scheduler.run_until_idle();
    EXPECT_EQ(net.boxes[1].got.size(), 1u);
  }
}

TEST(Mesh, aResetLosesWhatIsUnderWayAndTellsBoth) {
  Net net;
  net.send(0, 1, 3);
  net.mesh.reset(n(0), n(1));
  net.send(0, 2);
  net.scheduler.run_until_idle();
  EXPECT_TRUE(net.boxes[1].got.empty());
  EXPECT_EQ(net.boxes[2].got.size(), 1u);
  EXPECT_EQ(net.boxes[0].hints, (std::vector<std::string>{"-n1", "+n1"}));
  EXPECT_EQ(net.boxes[1].hints, (std::vector<std::string>{"-n0", "+n0"}));
}

TEST(Mesh, theTraceHashTellsContentsTimesAndReceiversApart) {
  const auto hash = [](uint64_t seed, const std::string& content, uint32_t to) {
    Net net(seed);
    net.mesh.send(n(0), n(to), content);
    net.scheduler.run_until_idle();
    return net.scheduler.trace_hash();
  };
  EXPECT_EQ(hash(1, "a", 1), hash(1, "a", 1));
  EXPECT_EQ((std::set<uint64_t>{hash(1, "a", 1), hash(1, "b", 1), hash(2, "a", 1), hash(1, "a", 2)}).size(), 4u);
}

}  // namespace
}  // namespace clew::sim

// Watches through a Client while nodes die and connections break: nothing is left out, nothing comes twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/watch_taker_test.h"
#include "control/wire_world_test.h"

namespace clew::control {
namespace {

using fake::Answer;
using fake::from_all;
using fake::machine;
using fake::put;
using fake::Taker;
using fake::World;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ClientWatch, createdCancelledAndProgress_areAnsweredUnderTheUsersIds) {
  World world;
  auto client = world.client();
  Taker taker(client->watch(kv::Space::kUser));
  taker.ask();
  kv::WatchRequest chosen = from_all(0, 0);
  taker.stream->create(chosen);
  taker.stream->create(from_all(-5, 0));
  taker.stream->create(from_all(-5, 0));  // taken
  kv::WatchRequest empty;
  empty.key = "b";
  empty.range_end = "a";
  taker.stream->create(empty);
  ASSERT_TRUE(world.until([&] { return taker.notes.size() == 6; }));
  EXPECT_THAT(taker.notes,
              testing::UnorderedElementsAre("0 created", "-5 created", "-1 created",
                                            "-1 cancelled mvcc: duplicate watch ID provided on the WatchStream",
                                            "-1 created", "-1 cancelled mvcc: watcher range is empty"));
  taker.stream->cancel(-5);
  ASSERT_TRUE(world.until([&] { return taker.notes.size() == 7; }));
  EXPECT_EQ(taker.notes.back(), "-5 cancelled ");
}

TEST(ClientWatch, acrossTheDeathOfEachNode_nothingIsLeftOutAndNothingComesTwice) {
  uint64_t losses = 0;
  for (const bool fragment : {false, true}) {
    for (uint64_t seed = 1; seed <= 60; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed) + (fragment ? ", in fragments" : ""));
      World world(seed);
      auto client = world.client();
      Taker taker(client->watch(kv::Space::kUser));
      taker.ask(1 + seed % 7 * 500);
      taker.stream->create(from_all(1, 0, fragment));
      ASSERT_TRUE(world.until([&] { return taker.notes.size() == 1; }));
      taker.stream->create(from_all(2, 3, fragment));
      std::vector<std::string> expected;
      // Whole revisions with many changes, so that fragments are cut anywhere.
      for (int change = 0; change < 40; ++change) {
        kv::TxnRequest txn;
        for (int op = 0; op < 1 + change % 5; ++op) {
          const std::string key = "k" + std::to_string(change) + "." + std::to_string(op);
          txn.success.emplace_back().op = put(key, std::string(600, 'v'));
          expected.push_back(key + "=" + std::string(600, 'v'));
        }
        Answer<CallReply> written;
        const auto leader = static_cast<uint32_t>(consensus::number(world.group.leader)) - 1;
        world.nodes[leader]->member.execute(kv::Space::kUser, txn, {}, written.done());
        for (uint64_t event = 0; event < seed % 17 * 3; ++event) world.scheduler.run_one();
        if (change % 4 == 1) {
          for (uint32_t i = 0; i < 3; ++i) world.network.break_streams(machine(i), machine(fake::kClientMachine));
        }
        if (change % 10 == 9) {
          const auto victim = static_cast<uint32_t>(change / 10 % 3);
          world.kill(victim);
          world.group.leader = consensus::NodeId{1 + (victim + 1) % 3};
          world.run(30);
          world.start(victim);
        }
      }
      const std::vector<std::string> later(expected.begin() + 1, expected.end());  // revision 2 had one change
      ASSERT_TRUE(world.until([&] {
        return taker.events[1].size() >= expected.size() && taker.events[2].size() >= later.size();
      })) << taker.events[1].size()
          << " of " << expected.size() << taker.ended;
      world.run(3'000);
      EXPECT_EQ(taker.events[1], expected);
      EXPECT_EQ(taker.events[2], later);
      EXPECT_FALSE(taker.in_fragment[1]);
      losses += client->stats().losses;
      EXPECT_THAT(taker.notes, ElementsAre("1 created", "2 created"));
    }
  }
  EXPECT_GT(losses, 500);
}

TEST(ClientWatch, whoDoesNotAsk_getsNothingAndTheServerKeepsLittle) {
  World world;
  auto client = world.client();
  Taker taker(client->watch(kv::Space::kUser));
  taker.stream->create(from_all(1, 0));
  world.run(100);
  for (int i = 0; i < 400; ++i) {
    Answer<CallReply> written;
    world.nodes[0]->member.execute(kv::Space::kUser, put("k" + std::to_string(i), std::string(50'000, 'v')), {},
                                   written.done());
    world.run(5);
  }
  EXPECT_LT(world.nodes[0]->server->stats().bytes_sent, 3u << 20) << "a window, not twenty megabytes";
  taker.ask();
  ASSERT_TRUE(world.until([&] { return taker.events[1].size() == 400; }));
}

TEST(ClientWatch, aMemberWithoutState_isLeftForAnother) {
  World world;
  world.nodes[0]->member.no_state = true;
  auto client = world.client();
  Taker taker(client->watch(kv::Space::kUser));
  taker.ask();
  taker.stream->create(from_all(1, 0));
  ASSERT_TRUE(world.until([&] { return !taker.notes.empty(); }));
  EXPECT_THAT(taker.notes, ElementsAre("1 created"));
  EXPECT_NE(client->connected_to(), consensus::NodeId{1});
}

// What looked like a way out of a member without state, a leader that was named, led nowhere.
TEST(ClientWatch, aMemberWithoutState_isLeftAlsoWhenTheLeaderCannotBeReached) {
  World world;
  world.nodes[0]->member.no_state = true;
  world.group.leader = consensus::NodeId{3};
  world.links.cut(sim::NodeMask{1} << 3, sim::NodeMask{1} << 2);
  world.links.cut(sim::NodeMask{1} << 2, sim::NodeMask{1} << 3);
  auto client = world.client();
  Answer<CallReply> answer;
  client->execute(kv::Space::kUser, put("a", "1"), {}, answer.done());
  ASSERT_TRUE(world.until([&] { return client->connected_to() == consensus::NodeId{1}; }));
  world.run(10);  // refused by now, and on the way to the leader
  Taker taker(client->watch(kv::Space::kUser));
  taker.ask();
  taker.stream->create(from_all(1, 0));
  ASSERT_TRUE(world.until([&] { return !taker.notes.empty(); }));
  EXPECT_THAT(taker.notes, ElementsAre("1 created"));
  EXPECT_EQ(client->connected_to(), consensus::NodeId{2});
}

// The answer to next() is on its way when the user gives the stream up.
TEST(ClientWatch, whatWasNotDeliveredWhenItIsDestroyed_neverIs) {
  World world;
  auto client = world.client();
  auto stream = client->watch(kv::Space::kUser);
  std::vector<std::string> told;
  stream->next(4'096, [&](std::variant<std::vector<kv::WatchResponse>, CallError> result) {
    const auto* error = std::get_if<CallError>(&result);
    told.push_back(error == nullptr ? "responses" : error->message);
  });
  stream->create(from_all(1, 0));
  stream->create(from_all(1, 0));  // refused here, and so answered within this turn
  stream.reset();
  world.run(10);
  EXPECT_THAT(told, ElementsAre("the stream was closed"));
}

TEST(ClientWatch, ofACompactedRevision_isCancelledWithTheRevisionThatThereIs) {
  World world;
  auto client = world.client();
  for (int i = 0; i < 10; ++i) {
    Answer<CallReply> written;
    client->execute(kv::Space::kUser, put("k", std::to_string(i)), {}, written.done());
    ASSERT_TRUE(world.until([&] { return written.ok(); }));
  }
  Answer<CallReply> compacted;
  client->execute(kv::Space::kUser, kv::CompactRequest{8}, {}, compacted.done());
  ASSERT_TRUE(world.until([&] { return compacted.ok(); }));
  Taker taker(client->watch(kv::Space::kUser));
  taker.ask();
  taker.stream->create(from_all(1, 3));
  ASSERT_TRUE(world.until([&] { return taker.notes.size() == 2; }));
  EXPECT_THAT(taker.notes[1], HasSubstr("1 cancelled"));
}

TEST(ClientWatch, whenItIsDestroyed_theServerForgetsIt) {
  World world;
  auto client = world.client();
  {
    Taker taker(client->watch(kv::Space::kUser));
    taker.stream->create(from_all(1, 0));
    ASSERT_TRUE(world.until([&] { return world.nodes[0]->server->stats().streams == 1; }));
  }
  ASSERT_TRUE(world.until([&] { return world.nodes[0]->server->stats().streams == 0; }));
}

TEST(ClientWatch, progress_isAnsweredAfterAReconnectToo) {
  World world;
  auto client = world.client();
  Taker taker(client->watch(kv::Space::kUser));
  taker.ask();
  taker.stream->create(from_all(1, 0));
  ASSERT_TRUE(world.until([&] { return !taker.notes.empty(); }));
  world.kill(0);
  world.group.leader = consensus::NodeId{2};
  taker.stream->request_progress();
  ASSERT_TRUE(world.until([&] { return taker.notes.size() == 2; }));
  EXPECT_EQ(taker.notes[1], "progress 1");
}

TEST(ClientWatch, beyondTheBoundOfAConnection_isToldSo_andTheOthersGoOn) {
  World world(1, [](ServerOptions& options) { options.max_streams = 2; });
  auto client = world.client(world.client_options());
  std::vector<std::unique_ptr<WatchStream>> streams;
  std::vector<Answer<std::vector<kv::WatchResponse>>> answers(3);
  for (size_t i = 0; i < 3; ++i) {
    streams.push_back(client->watch(kv::Space::kUser));
    kv::WatchRequest watch;
    watch.key = "k";
    streams.back()->create(watch);
    streams.back()->next(1'000, answers[i].done());
  }
  ASSERT_TRUE(world.until([&] { return answers[0].here() && answers[1].here() && answers[2].here(); }));
  EXPECT_TRUE(answers[0].ok());
  EXPECT_TRUE(answers[1].ok());
  ASSERT_FALSE(answers[2].ok());
  EXPECT_EQ(answers[2].error().code, Code::kResourceExhausted);
  EXPECT_EQ(client->stats().connects, 1);
}

}  // namespace
}  // namespace clew::control

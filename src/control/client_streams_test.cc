// Streams of a Client whose member does not keep to what it was granted.
#include "control/client_streams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

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
using ::testing::IsEmpty;

// In the place of one member: greets, answers no request, and as soon as a stream has credit sends on it what `says`
// puts down, whatever the credit is.
class Flooder {
 public:
  using Says = std::function<void(Batch&, uint64_t stream, kv::WatchId watch)>;
  Flooder(World& world, uint32_t index, Says says) : index_(index), says_(std::move(says)) {
    world.nodes[index]->server.reset();
    auto made = world.network.host(machine(index))
                    .listen(world.nodes[index]->loop, ":" + std::to_string(fake::kPort),
                            [this](std::unique_ptr<env::Stream> stream) { accept(std::move(stream)); });
    EXPECT_TRUE(made.ok());
    listener_ = std::move(made).value();
  }
  size_t opened = 0;  // streams
  size_t closed = 0;

 private:
  struct Connection {
    std::unique_ptr<env::Stream> stream;
    consensus::FrameReader reader{kMaxRequestFrameBytes};
    bool greeted = false;
    kv::WatchId watch = kv::kNoWatch;
    Batch batch;
  };
  void accept(std::unique_ptr<env::Stream> stream) {
    connections_.push_back(std::make_unique<Connection>());
    Connection& made = *connections_.back();
    made.stream = std::move(stream);
    made.stream->start({.on_bytes = [this, &made](std::string_view bytes) { on_bytes(made, bytes); },
                        .on_closed = [](const Status&) {},
                        .on_writable = {}});
  }
  void on_bytes(Connection& from, std::string_view bytes) {
    from.reader.feed(bytes);
    for (std::string_view body; from.reader.next(&body) == consensus::FrameReader::Step::kFrame;) {
      if (body.empty()) continue;
      if (!std::exchange(from.greeted, true)) {
        Welcome welcome;
        welcome.welcome = true;
        welcome.version = kControlVersion;
        welcome.cluster = fake::kCluster;
        welcome.node = consensus::NodeId{index_ + 1};
        welcome.max_in_flight = 64;
        std::string frame;
        consensus::append_frame(frame, encode(welcome));
        from.stream->write(std::move(frame));
        continue;
      }
      MessageReader messages(body);
      for (Message message; messages.next(message);) on_message(from, message);
    }
  }
  void on_message(Connection& from, const Message& message) {
    switch (message.kind) {
      case MessageKind::kWatchOpen:
      case MessageKind::kSnapshotOpen:
        ++opened;
        return;
      case MessageKind::kWatchCreate:
        from.watch = parse<kv::WatchRequest>(message.body).value().id;
        return;
      case MessageKind::kCredit:
        says_(from.batch, message.id, from.watch);
        return from.stream->write(from.batch.take());
      case MessageKind::kCloseStream:
        ++closed;
        return;
      default:
        return;
    }
  }

  const uint32_t index_;
  const Says says_;
  std::unique_ptr<env::Listener> listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

constexpr size_t kWindow = 100'000;
constexpr size_t kValue = 30'000;

template <typename Body>
void say(Batch& batch, MessageKind kind, uint64_t stream, const Body& body) {
  append(batch.begin(kind, stream), body);
  batch.end();
}
kv::WatchResponse change(kv::WatchId watch, kv::Revision revision) {
  kv::Event event;
  event.kv.key = "k";
  event.kv.value.assign(kValue, 'v');
  event.kv.mod_revision = revision;
  kv::WatchResponse response;
  response.id = watch;
  response.revision = revision;
  response.events.push_back(std::make_shared<const kv::Event>(std::move(event)));
  return response;
}
// The watch is made, and then come fifty changes.
void floods(Batch& batch, uint64_t stream, kv::WatchId watch) {
  kv::WatchResponse created;
  created.id = watch;
  created.created = true;
  created.revision = 1;
  say(batch, MessageKind::kWatchResponses, stream, WatchResponsesBody{{created}});
  for (kv::Revision revision = 2; revision < 52; ++revision) {
    say(batch, MessageKind::kWatchResponses, stream, WatchResponsesBody{{change(watch, revision)}});
  }
}

std::unique_ptr<Client> client_of_one(World& world) {
  ClientOptions options;
  options.addresses = {sim::SimNetwork::address(machine(0), fake::kPort)};
  options.watch_window_bytes = kWindow;
  return world.client(options);
}

TEST(ClientStreams, aMemberThatSendsWithoutCredit_endsTheWatch_andAWindowAndOneMessageWait) {
  World world;
  Flooder liar(world, 0, floods);
  auto client = client_of_one(world);
  Taker taker(client->watch(kv::Space::kUser));
  taker.stream->create(from_all(1, 0));
  world.run(1'000);
  EXPECT_EQ(liar.closed, 1) << "it is told at once";
  taker.ask();
  ASSERT_TRUE(world.until([&] { return !taker.ended.empty(); }));
  EXPECT_THAT(taker.ended, HasSubstr("sent more on this stream than it was granted"));
  EXPECT_THAT(taker.notes, ElementsAre("1 created"));
  EXPECT_EQ(taker.events[1].size(), kWindow / kValue + 1) << "what it had credit for is given";
  EXPECT_EQ(client->stats().losses, 0);
  EXPECT_EQ(liar.opened, 1);
  taker.stream.reset();
  world.run(1'000);
  EXPECT_EQ(liar.opened, 1);
}

TEST(ClientStreams, aMessageInPartsWithoutCredit_isNotCollected) {
  World world;
  Flooder liar(world, 0, [](Batch& batch, uint64_t stream, kv::WatchId watch) {
    say(batch, MessageKind::kWatchResponses, stream,
        WatchResponsesBody{{change(watch, 2), change(watch, 3), change(watch, 4), change(watch, 5)}});
    for (int part = 0; part < 8; ++part) {
      batch.begin(MessageKind::kPart, stream).append(std::string(kPartBytes, 'x'));
      batch.end();
    }
  });
  auto client = client_of_one(world);
  Taker taker(client->watch(kv::Space::kUser));
  taker.stream->create(from_all(1, 0));
  world.run(1'000);
  taker.ask();
  ASSERT_TRUE(world.until([&] { return !taker.ended.empty(); }));
  EXPECT_THAT(taker.ended, HasSubstr("sent more on this stream than it was granted"));
  EXPECT_EQ(taker.events[1].size(), 4);
}

TEST(ClientStreams, aSnapshotThatComesWithoutCredit_ends_andAWindowAndOneMessageWait) {
  World world;
  Flooder liar(world, 0, [](Batch& batch, uint64_t stream, kv::WatchId) {
    for (int piece = 0; piece < 50; ++piece) {
      say(batch, MessageKind::kSnapshotBytes, stream, SnapshotBody{5'000'000, std::string(100'000, 'x')});
    }
  });
  auto client = client_of_one(world);
  auto snapshot = client->snapshot();
  world.run(1'000);
  EXPECT_EQ(liar.closed, 1);
  size_t bytes = 0;
  for (;;) {
    Answer<std::string> answer;
    snapshot->next(1 << 20, answer.done());
    ASSERT_TRUE(world.until([&] { return answer.here(); }));
    if (!answer.ok()) {
      EXPECT_EQ(answer.error().code, Code::kDataLoss);
      break;
    }
    bytes += answer.value().size();
  }
  EXPECT_GE(bytes, 1u << 20);
  EXPECT_LE(bytes, (1u << 20) + 100'000);
}

TEST(ClientStreams, aSnapshotThatEndsAgainAndAgain_endsOnce) {
  World world;
  Flooder liar(world, 0, [](Batch& batch, uint64_t stream, kv::WatchId) {
    say(batch, MessageKind::kSnapshotBytes, stream, SnapshotBody{1, "x"});
    for (int i = 0; i < 1'000; ++i) say(batch, MessageKind::kSnapshotBytes, stream, SnapshotBody{1, {}});
  });
  auto client = client_of_one(world);
  auto snapshot = client->snapshot();
  Answer<std::string> first, last, none;
  snapshot->next(10, first.done());
  ASSERT_TRUE(world.until([&] { return first.here(); }));
  EXPECT_EQ(first.value(), "x");
  snapshot->next(10, last.done());
  ASSERT_TRUE(world.until([&] { return last.here(); }));
  EXPECT_EQ(last.value(), "");
  snapshot->next(10, none.done());
  world.run(1'000);
  EXPECT_FALSE(none.here());
}

// Each response takes fifty times the window.
TEST(ClientStreams, anHonestMemberWhoseResponsesAreLongerThanTheWindow_isNotTakenForALiar) {
  World world;
  ClientOptions options = world.client_options();
  options.watch_window_bytes = 1'000;
  auto client = world.client(options);
  Taker eager(client->watch(kv::Space::kUser)), late(client->watch(kv::Space::kUser));
  eager.ask();
  eager.stream->create(from_all(1, 0));
  late.stream->create(from_all(1, 0));
  world.run(100);
  for (int i = 0; i < 60; ++i) {
    Answer<CallReply> written;
    const auto leader = static_cast<uint32_t>(consensus::number(world.group.leader)) - 1;
    world.nodes[leader]->member.execute(kv::Space::kUser, put("k" + std::to_string(i), std::string(50'000, 'v')), {},
                                        written.done());
    world.run(i % 3);
    if (i % 10 == 5) {
      for (uint32_t member = 0; member < 3; ++member) {
        world.network.break_streams(machine(member), machine(fake::kClientMachine));
      }
    }
  }
  late.ask();
  ASSERT_TRUE(world.until([&] { return eager.events[1].size() == 60 && late.events[1].size() == 60; }))
      << eager.ended << late.ended;
  EXPECT_THAT(eager.ended + late.ended, IsEmpty());
}

class OneFloods : public testing::TestWithParam<uint32_t> {};
INSTANTIATE_TEST_SUITE_P(ClientStreams, OneFloods, testing::Values(0, 1, 2, World::kFourth));

TEST_P(OneFloods, amongFour_andTheOthersGiveTheWatch) {
  World world;
  world.may_lie();
  Flooder liar(world, GetParam(), floods);
  ClientOptions options = world.client_options();
  options.watch_window_bytes = kWindow;
  auto client = world.client(options);
  Taker taker(client->watch(kv::Space::kUser));
  taker.ask();
  taker.stream->create(from_all(1, 0));
  ASSERT_TRUE(world.until([&] { return !taker.notes.empty(); })) << taker.ended;
  std::vector<std::string> expected;
  for (int i = 0; i < 30; ++i) {
    const std::string key = "k" + std::to_string(i);
    Answer<CallReply> written;
    world.nodes[GetParam() == 0 ? 1 : 0]->member.execute(kv::Space::kUser, put(key, "v"), {}, written.done());
    ASSERT_TRUE(world.until([&] { return written.ok(); }));
    expected.push_back(key + "=v");
  }
  ASSERT_TRUE(world.until([&] { return taker.events[1].size() >= expected.size(); })) << taker.ended;
  world.run(3'000);
  EXPECT_EQ(taker.events[1], expected);
  EXPECT_THAT(taker.ended, IsEmpty());
  EXPECT_EQ(liar.opened, 1) << "it is not asked again";
}

}  // namespace
}  // namespace clew::control

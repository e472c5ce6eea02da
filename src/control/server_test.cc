// The server against clients that are slow, wrong or hostile.
#include "control/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/messages.h"
#include "control/wire_world_test.h"

namespace clew::control {
namespace {

using fake::Answer;
using fake::get;
using fake::machine;
using fake::put;
using fake::World;

// A connection that sends bytes and keeps what comes.
struct Raw {
  explicit Raw(World& of) : world(of) {
    world.network.host(machine(4)).connect(loop, sim::SimNetwork::address(machine(0), fake::kPort), [this](auto made) {
      ASSERT_TRUE(made.ok());
      stream = std::move(made).value();
      stream->start({.on_bytes = [this](std::string_view bytes) { got += bytes; },
                     .on_closed = [this](const Status&) { closed = true; },
                     .on_writable = {}});
    });
    world.run(20);
  }
  void frame(std::string_view body) {
    std::string bytes;
    consensus::append_frame(bytes, body);
    stream->write(bytes);
    world.run(20);
  }
  void greet(const Hello& hello = {}) { frame(encode(hello)); }
  std::vector<std::string> frames() const {
    consensus::FrameReader reader(kMaxReplyFrameBytes);
    reader.feed(got);
    std::vector<std::string> all;
    for (std::string_view body; reader.next(&body) == consensus::FrameReader::Step::kFrame;) {
      if (!body.empty()) all.emplace_back(body);
    }
    return all;
  }
  Welcome welcome() const {
    const auto all = frames();
    return all.empty() ? Welcome() : parse_welcome(all[0]).value();
  }
  World& world;
  sim::SimClock clock{world.scheduler, 0};
  sim::SimLoop loop{world.scheduler, clock, machine(4)};
  std::unique_ptr<env::Stream> stream;
  std::string got;
  bool closed = false;
};

uint64_t refused(const World& world, Refusal why) {
  return world.nodes[0]->server->stats().refused[static_cast<size_t>(why)];
}

std::string request(uint64_t id, const kv::Request& of, CallOptions options = {}) {
  Batch batch;
  std::string& out = batch.begin(MessageKind::kExecute, id);
  append_options(out, options);
  append_execute(out, kv::Space::kUser, of);
  batch.end();
  return batch.take();
}

TEST(ControlServer, greets_withItsVersionClusterAndNode) {
  World world;
  Raw raw(world);
  raw.greet();
  EXPECT_TRUE(raw.welcome().welcome);
  EXPECT_EQ(raw.welcome().version, kControlVersion);
  EXPECT_EQ(raw.welcome().cluster, fake::kCluster);
  EXPECT_EQ(raw.welcome().node, consensus::NodeId{1});
}

TEST(ControlServer, aNewerClient_isAnsweredInTheNewestVersionThatBothKnow) {
  World world;
  Raw newer(world), too_new(world);
  Hello hello;
  hello.newest = 9;
  newer.frame(encode(hello) + "fields of a later version");
  EXPECT_TRUE(newer.welcome().welcome);
  EXPECT_EQ(newer.welcome().version, kControlVersion);
  hello.oldest = 5;
  too_new.greet(hello);
  EXPECT_FALSE(too_new.welcome().welcome);
  EXPECT_EQ(too_new.welcome().refusal, Refusal::kVersion);
  EXPECT_TRUE(too_new.closed);
}

TEST(ControlServer, whatIsWrongBeforeTheHandshakeIsOver_isRefusedAndCounted) {
  World world(1, [](ServerOptions& options) { options.max_half_open = 2; });
  Raw garbage(world);
  garbage.stream->write("GET / HTTP/1.1\r\nHost: clew\r\n\r\n");
  world.run(20);
  EXPECT_TRUE(garbage.closed);
  EXPECT_EQ(garbage.got, "");
  EXPECT_EQ(refused(world, Refusal::kGarbage), 1);
  Raw other(world);
  Hello hello;
  hello.cluster = 8;
  other.greet(hello);
  EXPECT_EQ(other.welcome().refusal, Refusal::kCluster);
  Raw cut(world);
  cut.stream->write("\x10");
  world.run(20);
  cut.stream.reset();
  world.run(20);
  EXPECT_EQ(refused(world, Refusal::kTruncated), 1);
  Raw idle(world), idle_too(world), one_more(world);
  EXPECT_EQ(one_more.welcome().refusal, Refusal::kTooMany);
  world.run(4'000);
  EXPECT_EQ(refused(world, Refusal::kSlow), 2);
  EXPECT_TRUE(idle.closed);
  EXPECT_EQ(world.nodes[0]->server->stats().connections, 0);
}

TEST(ControlServer, withTokens_onlyWhoHasOneIsLetIn_andOnlyMembersChangeTheSystemSpace) {
  World world(1, [](ServerOptions& options) {
    options.tokens = {"user-token"};
    options.node_tokens = {"node-token"};
  });
  ClientOptions options = world.client_options();
  const auto outcome = [&](const std::string& token, kv::Space space, const kv::Request& of) {
    options.token = token;
    options.fail_fast = true;
    auto client = world.client(options);
    Answer<CallReply> answer;
    client->execute(space, of, {}, answer.done());
    EXPECT_TRUE(world.until([&] { return answer.here(); }));
    return answer.ok() ? Code::kOk : answer.error().code;
  };
  EXPECT_EQ(outcome("", kv::Space::kUser, put("a", "1")), Code::kUnauthenticated);
  EXPECT_EQ(outcome("user-tokem", kv::Space::kUser, put("a", "1")), Code::kUnauthenticated);
  EXPECT_EQ(outcome("user-token-", kv::Space::kUser, put("a", "1")), Code::kUnauthenticated);
  EXPECT_EQ(outcome("user-token", kv::Space::kUser, put("a", "1")), Code::kOk);
  EXPECT_EQ(outcome("node-token", kv::Space::kUser, put("a", "1")), Code::kOk);
  EXPECT_EQ(outcome("user-token", kv::Space::kSystem, put("a", "1")), Code::kPermissionDenied);
  EXPECT_GE(refused(world, Refusal::kToken), 3);
  world.nodes[0]->server->replace_tokens({"fresh-token"}, {});
  EXPECT_EQ(outcome("user-token", kv::Space::kUser, put("a", "2")), Code::kUnauthenticated);
  EXPECT_EQ(outcome("node-token", kv::Space::kUser, put("a", "2")), Code::kUnauthenticated);
  EXPECT_EQ(outcome("fresh-token", kv::Space::kUser, put("a", "2")), Code::kOk);
  EXPECT_EQ(outcome("fresh-token", kv::Space::kSystem, put("a", "2")), Code::kPermissionDenied);
}

TEST(ControlServer, malformedMessages_endTheConnection_orOnlyTheRequest) {
  World world;
  {
    Raw raw(world);
    raw.greet();
    Batch batch;
    batch.begin(MessageKind::kExecute, 5).append("\xff\xff\xff nonsense");
    batch.end();
    append_options(batch.begin(static_cast<MessageKind>(50), 6), CallOptions());  // of a later version
    batch.end();
    raw.stream->write(batch.take());
    world.run(20);
    EXPECT_FALSE(raw.closed);
    std::vector<std::pair<uint64_t, Code>> errors;
    const auto frames = raw.frames();
    for (size_t i = 1; i < frames.size(); ++i) {
      MessageReader messages(frames[i]);
      for (Message message; messages.next(message);) {
        ASSERT_EQ(message.kind, MessageKind::kError);
        errors.emplace_back(message.id, parse<CallError>(message.body)->code);
      }
    }
    EXPECT_THAT(errors, testing::UnorderedElementsAre(std::pair{5ul, Code::kInvalidArgument},
                                                      std::pair{6ul, Code::kUnimplemented}));
  }
  const auto ends = [&](const std::string& bytes, Refusal why) {
    Raw raw(world);
    raw.greet();
    const uint64_t before = refused(world, why);
    raw.stream->write(bytes);
    world.run(50);
    EXPECT_TRUE(raw.closed) << refusal_name(why);
    EXPECT_EQ(refused(world, why), before + 1) << refusal_name(why);
  };
  std::string truncated;
  consensus::append_frame(truncated, std::string("\x50\0\0\0\x01\x01", 6));
  ends(truncated, Refusal::kGarbage);
  std::string damaged = request(1, put("a", "1"));
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  ends(damaged, Refusal::kChecksum);
  std::string huge;
  consensus::append_frame(huge, std::string(kMaxRequestFrameBytes + 1, 'x'));
  ends(huge.substr(0, 100), Refusal::kTooLong);
  Batch credit;
  append(credit.begin(MessageKind::kWatchOpen, 1), NumberBody{0});
  credit.end();
  append(credit.begin(MessageKind::kCredit, 1), NumberBody{-1});
  credit.end();
  ends(credit.take(), Refusal::kGarbage);
  EXPECT_EQ(world.group.applied, 0);
}

TEST(ControlServer, tooManyRequests_waitInTheClientsOwnBuffers) {
  World world(1, [](ServerOptions& options) { options.max_in_flight = 8; });
  world.nodes[0]->member.latency_ns = 10'000'000;
  Raw raw(world);
  raw.greet();
  for (uint64_t id = 1; id <= 200; ++id) raw.stream->write(request(id, put("k" + std::to_string(id), "v")));
  world.run(5);
  EXPECT_GE(world.nodes[0]->server->stats().pauses, 1);
  world.run(5'000);
  EXPECT_LE(world.nodes[0]->member.max_waiting, 8);
  EXPECT_EQ(world.group.applied, 200);
  std::vector<uint64_t> answered;
  const auto frames = raw.frames();
  for (size_t i = 1; i < frames.size(); ++i) {
    MessageReader messages(frames[i]);
    for (Message message; messages.next(message);) answered.push_back(message.id);
  }
  EXPECT_EQ(answered.size(), 200);
  EXPECT_FALSE(raw.closed);
}

TEST(ControlServer, aClientThatDoesNotRead_costsABoundAndIsLetGo) {
  World world(1, [](ServerOptions& options) { options.max_unsent_bytes = 1 << 20; });
  Answer<CallReply> written;
  world.nodes[0]->member.execute(kv::Space::kUser, put("big", std::string(1 << 20, 'x')), {}, written.done());
  Raw raw(world);
  raw.greet();
  raw.stream->pause_reading(true);
  for (uint64_t id = 1; id <= 500; ++id) raw.stream->write(request(id, get("big")));
  world.run(1'000);
  const uint64_t asked = world.nodes[0]->member.asked;
  EXPECT_LT(asked, 500) << "it stops reading long before";
  world.run(20'000);
  EXPECT_EQ(world.nodes[0]->member.asked, asked);
  EXPECT_EQ(refused(world, Refusal::kSlowReader), 0);
  world.run(15'000);
  EXPECT_EQ(refused(world, Refusal::kSlowReader), 1);
  EXPECT_EQ(world.nodes[0]->server->stats().connections, 0);
}

TEST(ControlServer, aClientThatReadsLate_getsEverything) {
  World world(1, [](ServerOptions& options) { options.max_unsent_bytes = 1 << 20; });
  Answer<CallReply> written;
  world.nodes[0]->member.execute(kv::Space::kUser, put("big", std::string(1 << 20, 'x')), {}, written.done());
  Raw raw(world);
  raw.greet();
  raw.stream->pause_reading(true);
  for (uint64_t id = 1; id <= 40; ++id) raw.stream->write(request(id, get("big")));
  world.run(1'000);
  raw.stream->pause_reading(false);
  world.run(20'000);
  EXPECT_GT(raw.got.size(), 40u << 20);
  EXPECT_EQ(world.nodes[0]->server->stats().in_flight, 0);
}

TEST(ControlServer, longRanges_areWorkedOnFewAtATime) {
  World world(1, [](ServerOptions& options) { options.max_long_in_flight = 3; });
  world.nodes[0]->member.latency_ns = 10'000'000;
  Raw raw(world);
  raw.greet();
  for (uint64_t id = 1; id <= 20; ++id) raw.stream->write(request(id, get("a", "z")));
  world.run(1'000);
  EXPECT_EQ(world.nodes[0]->member.asked, 20);
  EXPECT_EQ(world.nodes[0]->member.max_waiting, 3);
}

TEST(ControlServer, aClientThatSaysNothingAtAll_isLetGo_andOneThatGivesSignsOfLifeIsNot) {
  World world;
  Raw silent(world), alive(world);
  silent.greet();
  alive.greet();
  for (int i = 0; i < 8; ++i) {
    alive.frame("");
    world.run(5'000);
  }
  EXPECT_TRUE(silent.closed);
  EXPECT_FALSE(alive.closed);
  EXPECT_EQ(refused(world, Refusal::kSilent), 1);
}

TEST(ControlServer, streamsAndUnansweredWatches_areBounded) {
  World world(1, [](ServerOptions& options) {
    options.max_streams = 2;
    options.max_unanswered_watches = 10;
  });
  Raw raw(world);
  raw.greet();
  Batch batch;
  append(batch.begin(MessageKind::kWatchOpen, 1), NumberBody{0});
  batch.end();
  for (int i = 1; i <= 11; ++i) {
    kv::WatchRequest watch;
    watch.key = "k";
    watch.id = i;
    append(batch.begin(MessageKind::kWatchCreate, 1), watch);
    batch.end();
  }
  raw.stream->write(batch.take());
  world.run(50);
  const auto frames = raw.frames();
  ASSERT_EQ(frames.size(), 2);
  MessageReader messages(frames[1]);
  Message ended;
  ASSERT_TRUE(messages.next(ended));
  EXPECT_EQ(ended.kind, MessageKind::kStreamEnded);
  EXPECT_EQ(parse<CallError>(ended.body)->code, Code::kResourceExhausted);
  for (uint64_t id = 2; id <= 4; ++id) {
    append(batch.begin(MessageKind::kWatchOpen, id), NumberBody{0});
    batch.end();
  }
  raw.stream->write(batch.take());
  world.run(50);
  // The third is ended with a word; a closed connection would only come back, and ask for it again.
  EXPECT_FALSE(raw.closed);
  EXPECT_EQ(refused(world, Refusal::kTooManyStreams), 1);
  const auto later = raw.frames();
  ASSERT_EQ(later.size(), 3);
  MessageReader more(later[2]);
  ASSERT_TRUE(more.next(ended));
  EXPECT_EQ(ended.kind, MessageKind::kStreamEnded);
  EXPECT_EQ(ended.id, 4);
  EXPECT_EQ(parse<CallError>(ended.body)->code, Code::kResourceExhausted);
}

TEST(ControlServer, answersThatComeAfterItsEnd_areDropped) {
  World world;
  world.nodes[0]->member.latency_ns = 100'000'000;
  Raw raw(world);
  raw.greet();
  raw.stream->write(request(1, put("a", "1")));
  world.run(50);
  EXPECT_EQ(world.group.applied, 1);
  world.nodes[0]->server.reset();
  world.run(500);
  EXPECT_TRUE(raw.closed);
}

// Whatever a stranger's bytes are, one changed at every place: the server lives and serves the next one.
TEST(ControlServer, damageAtEveryByte_neverReachesTheService) {
  const std::string good = [] {
    std::string bytes;
    consensus::append_frame(bytes, encode(Hello()));
    return bytes + request(1, put("a", "1"));
  }();
  World world;
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x41);
    Raw raw(world);
    raw.stream->write(bytes);
    world.run(20);
    EXPECT_EQ(world.group.applied, 0) << "byte " << at;
  }
  Raw raw(world);
  raw.stream->write(good);
  world.run(20);
  EXPECT_EQ(world.group.applied, 1);
}

}  // namespace
}  // namespace clew::control

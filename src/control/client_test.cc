#include "control/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "control/session.h"
#include "control/wire_world_test.h"

namespace clew::control {
namespace {

using fake::Answer;
using fake::append_to;
using fake::get;
using fake::machine;
using fake::put;
using fake::value_in;
using fake::World;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr sim::NodeMask mask(uint32_t i) { return sim::NodeMask{1} << i; }

TEST(Client, requests_areAnsweredWithPositionsAndEtcdsErrors) {
  World world;
  auto client = world.client();
  Answer<CallReply> written, read, missing, invalid;
  client->execute(kv::Space::kUser, put("a", "1"), {}, written.done());
  EXPECT_FALSE(written.here()) << "never from inside the call";
  ASSERT_TRUE(world.until([&] { return written.here(); }));
  EXPECT_EQ(written.value().position, 1);
  EXPECT_EQ(std::get<kv::PutResponse>(written.value().response).revision, 2);
  client->execute(kv::Space::kUser, get("a"), {}, read.done());
  client->execute(kv::Space::kUser, put("", "no key"), {}, invalid.done());
  kv::PutRequest leased = put("b", "2");
  leased.lease = kv::LeaseId{77};
  client->execute(kv::Space::kUser, leased, {}, missing.done());
  ASSERT_TRUE(world.until([&] { return read.here() && invalid.here() && missing.here(); }));
  EXPECT_EQ(value_in(read), "1");
  EXPECT_EQ(invalid.error().code, Code::kInvalidArgument);
  EXPECT_THAT(invalid.error().message, HasSubstr("key is not provided"));
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_FALSE(missing.error().uncertain);
}

TEST(Client, manyRequestsOfOneTurn_leaveInFewWritesAndAreAllAnswered) {
  World world;
  auto client = world.client();
  std::vector<Answer<CallReply>> answers(2'000);
  for (size_t i = 0; i < answers.size(); ++i) {
    client->execute(kv::Space::kUser, put("k" + std::to_string(i), std::string(256, 'v')), {}, answers[i].done());
  }
  ASSERT_TRUE(world.until(
      [&] { return std::all_of(answers.begin(), answers.end(), [](const auto& answer) { return answer.ok(); }); }));
  EXPECT_EQ(world.group.applied, answers.size());
  EXPECT_LE(client->stats().writes, 3);
  EXPECT_LT(world.nodes[0]->server->stats().writes, 200);  // the answers of a turn
}

TEST(Client, aFollowerNamesTheLeader_andTheClientGoesThere) {
  World world;
  world.group.leader = consensus::NodeId{3};
  auto client = world.client();
  Answer<CallReply> first, second;
  client->execute(kv::Space::kUser, put("a", "1"), {}, first.done());
  ASSERT_TRUE(world.until([&] { return first.here(); }));
  EXPECT_TRUE(first.ok());
  EXPECT_EQ(client->connected_to(), consensus::NodeId{3});
  EXPECT_EQ(client->stats().redirects, 1);
  EXPECT_EQ(world.group.applied, 1);
  world.group.leader = consensus::NodeId{2};
  client->execute(kv::Space::kUser, put("a", "2"), {}, second.done());
  ASSERT_TRUE(world.until([&] { return second.here(); }));
  EXPECT_TRUE(second.ok());
  EXPECT_EQ(client->connected_to(), consensus::NodeId{2});
}

TEST(Client, whatIsTooLargeIsRefused_andOthersOnItsConnectionGoOn) {
  World world;
  auto client = world.client();
  Answer<CallReply> before, large, after;
  client->execute(kv::Space::kUser, put("a", "1"), {}, before.done());
  client->execute(kv::Space::kUser, put("b", std::string(2 << 20, 'v')), {}, large.done());
  client->execute(kv::Space::kUser, put("c", "1"), {}, after.done());
  ASSERT_TRUE(world.until([&] { return before.here() && large.here() && after.here(); }));
  EXPECT_TRUE(before.ok());
  EXPECT_TRUE(after.ok());
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().message, "etcdserver: request is too large");
  EXPECT_FALSE(large.error().uncertain);
  EXPECT_EQ(client->stats().losses, 0);
  EXPECT_EQ(client->stats().connects, 1);
}

TEST(Client, withoutForwarding_theRefusalOfAFollowerIsTheAnswer) {
  World world;
  world.group.leader = consensus::NodeId{3};
  auto client = world.client();
  CallOptions options;
  options.forward = false;
  Answer<CallReply> answer;
  client->execute(kv::Space::kUser, put("a", "1"), options, answer.done());
  ASSERT_TRUE(world.until([&] { return answer.here(); }));
  EXPECT_EQ(answer.error().code, Code::kUnavailable);
  EXPECT_EQ(answer.error().leader, consensus::NodeId{3});
  EXPECT_EQ(answer.error().leader_address, "10.0.0.3:4331");
  EXPECT_EQ(world.group.applied, 0);
}

TEST(Client, aLeaderThatCannotBeReachedFromHere_isReachedThroughAFollower) {
  World world;
  world.group.leader = consensus::NodeId{3};
  world.links.cut(mask(3), mask(2));
  world.links.cut(mask(2), mask(3));
  auto client = world.client();
  CallOptions options;
  options.timeout_ns = 10'000'000'000;
  Answer<CallReply> answer;
  client->execute(kv::Space::kUser, put("a", "1"), options, answer.done());
  ASSERT_TRUE(world.until([&] { return answer.here(); }));
  EXPECT_TRUE(answer.ok());
  EXPECT_NE(client->connected_to(), consensus::NodeId{3});
  EXPECT_EQ(world.group.applied, 1);
}

TEST(Client, withoutALeader_requestsWaitUntilThereIsOneOrTheirTimeIsOver) {
  World world;
  world.group.leader = consensus::kNobody;
  auto client = world.client();
  CallOptions patient, impatient;
  impatient.timeout_ns = 500'000'000;
  Answer<CallReply> waits, gives_up, local;
  client->execute(kv::Space::kUser, put("a", "1"), patient, waits.done());
  client->execute(kv::Space::kUser, put("b", "1"), impatient, gives_up.done());
  patient.consistency = Consistency::kSequential;
  client->execute(kv::Space::kUser, get("a"), patient, local.done());
  world.run(1'000);
  EXPECT_EQ(value_in(local), "absent");
  ASSERT_TRUE(gives_up.here());
  EXPECT_FALSE(gives_up.error().uncertain) << "no member took it";
  EXPECT_FALSE(waits.here());
  world.group.leader = consensus::NodeId{2};
  ASSERT_TRUE(world.until([&] { return waits.here(); }));
  EXPECT_TRUE(waits.ok());
  EXPECT_EQ(world.group.applied, 1);
}

TEST(Client, whenTheLeaderDies_readsGoOnAndBareCommandsAreUncertain) {
  World world;
  world.nodes[0]->member.latency_ns = 50'000'000;
  auto client = world.client();
  Answer<CallReply> read, write, later;
  client->execute(kv::Space::kUser, get("a"), {}, read.done());
  client->execute(kv::Space::kUser, put("a", "1"), {}, write.done());
  ASSERT_TRUE(world.until([&] { return world.group.applied == 1; }));
  world.kill(0);
  world.group.leader = consensus::NodeId{2};
  ASSERT_TRUE(world.until([&] { return write.here(); }));
  client->execute(kv::Space::kUser, put("b", "1"), {}, later.done());
  ASSERT_TRUE(world.until([&] { return read.here() && later.here(); }));
  EXPECT_EQ(value_in(read), "1");
  EXPECT_TRUE(write.error().uncertain);
  EXPECT_TRUE(later.ok()) << later.error().message;
}

TEST(Client, aMemberThatIsCutOffFromTheOthers_isLeftForThem) {
  World world;
  auto client = world.client();
  Answer<CallReply> before, after, read;
  client->execute(kv::Space::kUser, put("a", "1"), {}, before.done());
  ASSERT_TRUE(world.until([&] { return before.here(); }));
  EXPECT_EQ(client->connected_to(), consensus::NodeId{1});
  world.nodes[0]->member.cut_off = true;
  world.group.leader = consensus::NodeId{3};
  client->execute(kv::Space::kUser, put("a", "2"), {}, after.done());
  ASSERT_TRUE(world.until([&] { return after.here(); }));
  EXPECT_TRUE(after.ok()) << after.error().message;
  client->execute(kv::Space::kUser, get("a"), {}, read.done());
  ASSERT_TRUE(world.until([&] { return read.here(); }));
  EXPECT_EQ(value_in(read), "2");
  EXPECT_EQ(client->connected_to(), consensus::NodeId{3});
}

TEST(Client, aLeaderThatSaysNothing_isGivenUp) {
  World world;
  auto client = world.client();
  Answer<CallReply> before, after;
  client->execute(kv::Space::kUser, put("a", "1"), {}, before.done());
  ASSERT_TRUE(world.until([&] { return before.here(); }));
  world.nodes[0]->loop.pause();
  client->execute(kv::Space::kUser, get("a"), {}, after.done());
  world.run(100);
  world.group.leader = consensus::NodeId{3};
  ASSERT_TRUE(world.until([&] { return after.here(); }));
  EXPECT_EQ(value_in(after), "1");
  EXPECT_EQ(client->connected_to(), consensus::NodeId{3});
}

TEST(Client, aLeaderThatSaysNothing_isGivenUpHoweverShortTheTimeouts) {
  World world;
  auto client = world.client();
  Answer<CallReply> before;
  client->execute(kv::Space::kUser, put("a", "1"), {}, before.done());
  ASSERT_TRUE(world.until([&] { return before.here(); }));
  world.nodes[0]->loop.pause();
  world.group.leader = consensus::NodeId{3};
  CallOptions impatient;
  impatient.timeout_ns = 300'000'000;
  bool ok = false;
  for (int tries = 0; tries < 10 && !ok; ++tries) {
    Answer<CallReply> answer;
    client->execute(kv::Space::kUser, put("a", "2"), impatient, answer.done());
    ASSERT_TRUE(world.until([&] { return answer.here(); }));
    ok = answer.ok();
  }
  EXPECT_TRUE(ok);
  EXPECT_EQ(client->connected_to(), consensus::NodeId{3});
}

TEST(Client, aMemberThatWorksForLong_isNotTakenForDead) {
  World world;
  world.nodes[0]->member.latency_ns = 4'000'000'000;
  auto client = world.client();
  Answer<CallReply> answer;
  client->execute(kv::Space::kUser, put("a", "1"), {}, answer.done());
  ASSERT_TRUE(world.until([&] { return answer.here(); }));
  EXPECT_TRUE(answer.ok());
  EXPECT_EQ(client->stats().losses, 0);
}

TEST(Client, whenNobodyListens_failFastSaysSoAtOnce) {
  World world;
  ClientOptions options;
  options.addresses = {"10.0.0.5:1", "10.0.0.5:2"};
  options.fail_fast = true;
  auto client = world.client(options);
  Answer<GroupStatus> answer;
  client->status({}, answer.done());
  const int64_t began = world.scheduler.now_ns();
  ASSERT_TRUE(world.until([&] { return answer.here(); }));
  EXPECT_LT(world.scheduler.now_ns() - began, 1'000'000'000);
  EXPECT_EQ(answer.error().code, Code::kUnavailable);
  EXPECT_THAT(answer.error().message, HasSubstr("10.0.0.5:2"));
  EXPECT_THAT(answer.error().message, HasSubstr("refused"));
}

TEST(Client, whenItIsClosed_everythingIsAnswered) {
  World world;
  world.nodes[0]->member.mute = true;
  auto client = world.client();
  Answer<CallReply> answer, never_sent;
  Answer<std::vector<kv::WatchResponse>> news;
  client->execute(kv::Space::kUser, put("a", "1"), {}, answer.done());
  auto watch = client->watch(kv::Space::kUser);
  watch->next(1'000, news.done());
  world.run(100);
  EXPECT_FALSE(answer.here());
  client->execute(kv::Space::kUser, put("b", "1"), {}, never_sent.done());
  client.reset();
  world.run(10);
  EXPECT_EQ(answer.error().code, Code::kUnavailable);
  EXPECT_TRUE(answer.error().uncertain);
  EXPECT_EQ(news.error().code, Code::kUnavailable);
  EXPECT_TRUE(never_sent.here());
}

TEST(Client, statusAndMembership_arriveAsTheyWereSaid) {
  World world;
  auto client = world.client();
  Answer<GroupStatus> status;
  client->status({}, status.done());
  Answer<consensus::NodeId> added, led;
  Service::NewMember member;
  member.peer_address = "10.0.0.9:4330";
  client->add_member(member, {}, added.done());
  Answer<consensus::Position> removed, promoted, updated, alarm;
  client->remove_member(consensus::NodeId{2}, {}, removed.done());
  client->promote_member(consensus::NodeId{3}, {}, promoted.done());
  client->update_member(consensus::NodeId{3}, "10.0.0.8:1", {}, updated.done());
  client->set_alarm({consensus::NodeId{2}, AlarmKind::kNoSpace}, true, {}, alarm.done());
  ASSERT_TRUE(world.until([&] { return alarm.here(); }));
  EXPECT_EQ(added.value(), consensus::NodeId{9});
  EXPECT_THAT(world.nodes[0]->member.log,
              ElementsAre("add 10.0.0.9:4330 later", "remove 2", "promote 3", "update 3 10.0.0.8:1", "alarm 2"));
  Answer<consensus::paxos::Outcome> decree;
  client->propose_decree("colour", "blue", {}, decree.done());
  ASSERT_TRUE(world.until([&] { return decree.here(); }));
  EXPECT_EQ(decree.value(), fake::Member::an_outcome("blue"));
  client->transfer_leadership(consensus::NodeId{2}, {}, led.done());
  ASSERT_TRUE(world.until([&] { return led.here(); }));
  EXPECT_EQ(led.value(), consensus::NodeId{2});
  const GroupStatus& said = status.value();
  EXPECT_EQ(said.cluster, 7);
  EXPECT_EQ(said.protocol, "none");
  ASSERT_EQ(said.members.size(), 3);
  EXPECT_EQ(said.members[2].record.client_address, "10.0.0.3:4331");
  EXPECT_THAT(said.members[2].record.etcd_urls, ElementsAre("http://127.0.0.1:2379"));
  EXPECT_EQ(said.members[0].role, MemberRole::kPrimary);
  EXPECT_THAT(said.alarms, ElementsAre(Alarm{consensus::NodeId{1}, AlarmKind::kCorrupt}));
  EXPECT_THAT(said.problems, ElementsAre("this is a test"));
}

TEST(Client, leases_areKeptAlive) {
  World world;
  auto client = world.client();
  Answer<CallReply> granted;
  client->execute(kv::Space::kUser, kv::LeaseGrantRequest{kv::LeaseId{5}, 60}, {}, granted.done());
  Answer<int64_t> renewed, absent;
  client->keep_alive(kv::LeaseId{5}, {}, renewed.done());
  client->keep_alive(kv::LeaseId{-6}, {}, absent.done());
  ASSERT_TRUE(world.until([&] { return absent.here(); }));
  EXPECT_EQ(renewed.value(), 60);
  EXPECT_EQ(absent.value(), 0);
}

TEST(Client, aLongAnswer_comesInPartsAndAShortOnePassesIt) {
  World world;
  auto client = world.client();
  std::string big(1 << 20, 'x');
  for (int i = 0; i < 4; ++i) {
    Answer<CallReply> written;
    client->execute(kv::Space::kUser, put("big" + std::to_string(i), big), {}, written.done());
    ASSERT_TRUE(world.until([&] { return written.ok(); }));
  }
  Answer<CallReply> all, one;
  client->execute(kv::Space::kUser, get("big", "bih"), {}, all.done());
  client->execute(kv::Space::kUser, get("absent"), {}, one.done());
  ASSERT_TRUE(world.until([&] { return one.here(); }));
  EXPECT_FALSE(all.here());
  ASSERT_TRUE(world.until([&] { return all.here(); }));
  const auto& kvs = std::get<kv::RangeResponse>(all.value().response).kvs;
  ASSERT_EQ(kvs.size(), 4);
  for (const auto& kv : kvs) EXPECT_EQ(kv.value, big);
}

TEST(Client, aSnapshot_comesWhole_andBreaksOffWithItsNode) {
  World world;
  auto client = world.client();
  const auto take = [&](bool kill) {
    auto stream = client->snapshot();
    std::string bytes;
    for (;;) {
      Answer<std::string> piece;
      stream->next(100'000, piece.done());
      if (!world.until([&] { return piece.here(); })) return std::string("stuck");
      if (!piece.ok()) return piece.error().message;
      if (piece.value().empty()) return bytes;
      bytes += piece.value();
      EXPECT_EQ(stream->total_bytes(), fake::Member::snapshot_bytes().size());
      if (kill && bytes.size() > 500'000 && world.nodes[0] != nullptr) world.kill(0);
    }
  };
  EXPECT_EQ(take(false), fake::Member::snapshot_bytes());
  EXPECT_THAT(take(true), HasSubstr("broke off"));
}

TEST(Client, aNodeThatDrains_answersWhatItTookAndItsClientsGoElsewhere) {
  World world;
  world.nodes[0]->member.latency_ns = 200'000'000;
  auto client = world.client();
  Answer<CallReply> before, after;
  client->execute(kv::Space::kUser, put("a", "1"), {}, before.done());
  ASSERT_TRUE(world.until([&] { return world.group.applied == 1; }));
  bool drained = false;
  world.nodes[0]->server->drain(5'000'000'000, [&] { drained = true; });
  world.run(20);
  world.group.leader = consensus::NodeId{2};
  client->execute(kv::Space::kUser, put("b", "1"), {}, after.done());
  ASSERT_TRUE(world.until([&] { return before.here() && after.here() && drained; }));
  EXPECT_TRUE(before.ok());
  EXPECT_TRUE(after.ok());
  EXPECT_EQ(client->stats().uncertain, 0);
}

// --- Sessions ---

// Appends under a session while connections break after every so many events: each takes effect exactly once (in which
// order is not promised: they were under way together).
TEST(Session, whereverConnectionsBreak_commandsTakeEffectOnce) {
  uint64_t repeated = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed);
    for (const auto& node : world.nodes) node->member.latency_ns = 2'000'000;
    auto client = world.client();
    Session session(*client);
    CallOptions options;
    options.timeout_ns = 60'000'000'000;
    std::string expected;
    std::vector<Answer<CallReply>> answers(12);
    for (size_t i = 0; i < answers.size(); ++i) {
      expected += static_cast<char>('a' + i);
      session.execute(kv::Space::kUser, append_to("log", std::string(1, static_cast<char>('a' + i))), options,
                      answers[i].done());
    }
    for (uint64_t breaks = 0; breaks < 12; ++breaks) {
      for (uint64_t event = 0; event < seed; ++event) world.scheduler.run_one();
      for (uint32_t i = 0; i < 3; ++i) world.network.break_streams(machine(i), machine(fake::kClientMachine));
      if (breaks % 3 == 2) world.group.leader = consensus::NodeId{1 + breaks / 3 % 3};
    }
    ASSERT_TRUE(world.until(
        [&] { return std::all_of(answers.begin(), answers.end(), [](const auto& answer) { return answer.here(); }); }));
    for (const auto& answer : answers) EXPECT_TRUE(answer.ok()) << answer.error().message;
    Answer<CallReply> read;
    client->execute(kv::Space::kUser, get("log"), {}, read.done());
    ASSERT_TRUE(world.until([&] { return read.here(); }));
    std::string got = value_in(read);
    std::sort(got.begin(), got.end());
    EXPECT_EQ(got, expected) << value_in(read);
    repeated += world.group.repeated;
  }
  EXPECT_GT(repeated, 100) << "commands that had taken effect and were sent again";
}

TEST(Session, whenTheGroupForgetsIt_theCommandIsToldAndTheNextOneOpensAnother) {
  World world;
  auto client = world.client();
  Session session(*client);
  Answer<CallReply> first, second, third;
  session.execute(kv::Space::kUser, append_to("log", "a"), {}, first.done());
  ASSERT_TRUE(world.until([&] { return first.ok(); }));
  world.group.sessions = consensus::SessionTable(consensus::SessionLimits());
  session.execute(kv::Space::kUser, append_to("log", "b"), {}, second.done());
  ASSERT_TRUE(world.until([&] { return second.here(); }));
  EXPECT_TRUE(second.error().session_ended);
  EXPECT_TRUE(second.error().uncertain);
  session.execute(kv::Space::kUser, append_to("log", "c"), {}, third.done());
  ASSERT_TRUE(world.until([&] { return third.here(); }));
  EXPECT_TRUE(third.ok());
}

TEST(Session, itsEnd_isToldToTheGroup) {
  World world;
  auto client = world.client();
  {
    Session session(*client);
    Answer<CallReply> answer;
    session.execute(kv::Space::kUser, append_to("log", "a"), {}, answer.done());
    ASSERT_TRUE(world.until([&] { return answer.ok(); }));
    EXPECT_EQ(world.group.sessions.size(), 1);
    EXPECT_EQ(session.position(), answer.value().position);
  }
  ASSERT_TRUE(world.until([&] { return world.group.sessions.size() == 0; }));
}

TEST(Session, tokens_areReadBack) {
  const SessionToken token{0xfeedface12345678, 99};
  const auto again = SessionToken::parse(token.to_string());
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->cluster, token.cluster);
  EXPECT_EQ(again->position, token.position);
  for (const char* wrong : {"", "clew:", "clew:1", "clew:1:", "clew:g:1", "clew:1:2x", "clew:1:-2"}) {
    EXPECT_FALSE(SessionToken::parse(wrong).has_value()) << wrong;
  }
}

}  // namespace
}  // namespace clew::control

// Our own client against a group of four of whose members some lie: the user never gets the lie.
#include "control/reply_quorum.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "control/wire_world_test.h"

namespace clew::control {
namespace {

using fake::Answer;
using fake::append_to;
using fake::get;
using fake::Member;
using fake::put;
using fake::value_in;
using fake::World;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::array<uint32_t, 4> kMembers{0, 1, 2, World::kFourth};

// Everything once for each member as the liar: whichever the client takes for its gateway.
class OneLies : public testing::TestWithParam<uint32_t> {
 protected:
  OneLies() {
    world.may_lie();
    client = world.client();
  }
  Member& liar() { return world.nodes[GetParam()]->member; }
  template <typename T>
  void wait(const Answer<T>& answer) {
    ASSERT_TRUE(world.until([&] { return answer.here(); }));
  }
  Answer<CallReply> ask(kv::Request request, CallOptions options = {}) {
    Answer<CallReply> answer;
    client->execute(kv::Space::kUser, std::move(request), options, answer.done());
    wait(answer);
    return answer;
  }
  World world{GetParam() + 1};
  std::unique_ptr<Client> client;
};
INSTANTIATE_TEST_SUITE_P(ReplyQuorum, OneLies, testing::ValuesIn(kMembers));

// What a liar makes of what it is asked for.
void wrong_value(const kv::Request&, std::variant<CallReply, CallError>& answer) {
  if (auto* reply = std::get_if<CallReply>(&answer)) {
    if (auto* range = std::get_if<kv::RangeResponse>(&reply->response)) {
      for (kv::KeyValue& kv : range->kvs) kv.value = "a lie";
    }
  }
}
template <int kBy>
void wrong_revision(const kv::Request&, std::variant<CallReply, CallError>& answer) {
  if (auto* reply = std::get_if<CallReply>(&answer)) {
    std::visit([](auto& response) { response.revision += kBy; }, reply->response);
    reply->position += kBy;
  }
}
void false_error(const kv::Request&, std::variant<CallReply, CallError>& answer) {
  answer = CallError{Code::kNotFound, "a lie", false, {}, {}};
}

TEST_P(OneLies, nobodyDoes_andEveryAnswerIsProved) {
  const auto written = ask(put("a", "1"));
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(written.value().position, 2) << "behind the session that the client opened";
  EXPECT_EQ(value_in(ask(get("a"))), "1");
  EXPECT_EQ(client->stats().verified, 2);
  EXPECT_EQ(client->stats().contradicted, 0);
  EXPECT_EQ(client->stats().unproven, 0);
  EXPECT_EQ(world.group.applied, 1);
  uint64_t asked = 0, attested = 0;
  for (const uint32_t i : kMembers) {
    asked += world.nodes[i]->member.asked;
    attested += world.nodes[i]->member.attested;
  }
  EXPECT_EQ(asked, 1 + 2) << "a change of one gateway, a read of f + 1";
  EXPECT_EQ(attested, 2) << "f + 1 say what they executed";
}

TEST_P(OneLies, aboutValues_andTheReadIsTrue) {
  ASSERT_TRUE(ask(put("a", "1")).ok());
  liar().twist = wrong_value;
  for (int i = 0; i < 8; ++i) EXPECT_EQ(value_in(ask(get("a"))), "1");
}

TEST_P(OneLies, aboutRevisionsThatAreStillToCome_andTheAnswersAreTrue) {
  liar().twist = wrong_revision<1'000>;
  for (int i = 1; i < 6; ++i) {
    const auto written = ask(put("a", std::to_string(i)));
    ASSERT_TRUE(written.ok()) << written.error().message;
    EXPECT_EQ(std::get<kv::PutResponse>(written.value().response).revision, i + 1);
    const auto read = ask(get("a"));
    EXPECT_EQ(value_in(read), std::to_string(i));
    EXPECT_EQ(std::get<kv::RangeResponse>(read.value().response).revision, i + 1);
    EXPECT_LE(read.value().position, world.group.position);
  }
}

TEST_P(OneLies, byAnswersToAnotherQuestion_andTheReadIsTrue) {
  liar().twist = [](const kv::Request&, std::variant<CallReply, CallError>& answer) {
    answer = CallReply{kv::LeaseRevokeResponse{7}, 9, 1};
  };
  for (int i = 1; i < 4; ++i) {
    ASSERT_TRUE(ask(put("a", std::to_string(i))).ok());
    EXPECT_EQ(value_in(ask(get("a"))), std::to_string(i));
  }
}

TEST_P(OneLies, byAnswersOfThePast_andTheReadIsOfThePresent) {
  ASSERT_TRUE(ask(put("a", "old")).ok());
  const kv::Revision past = world.group.machine->store().revision();
  ASSERT_TRUE(ask(put("a", "new")).ok());
  liar().twist = [&](const kv::Request& request, std::variant<CallReply, CallError>& answer) {
    if (!kv::read_only(request)) return;
    kv::RangeRequest then = std::get<kv::RangeRequest>(request);
    then.revision = past;
    answer = fake::Group::answer(world.group.machine->read(then), 2);
    std::get<kv::RangeResponse>(std::get<CallReply>(answer).response).revision = past;
  };
  for (int i = 0; i < 8; ++i) EXPECT_EQ(value_in(ask(get("a"))), "new");
}

TEST_P(OneLies, thatItDidWhatItDidNot_andItIsDoneAllTheSame_once) {
  liar().pretends = true;
  for (int i = 0; i < 8; ++i) {
    const auto written = ask(put("a", std::to_string(i)));
    ASSERT_TRUE(written.ok()) << written.error().message;
    ASSERT_EQ(world.group.applied, i + 1);
    EXPECT_EQ(value_in(ask(get("a"))), std::to_string(i));
  }
}

TEST_P(OneLies, bySilence_andNothingHappensTwice) {
  liar().mute = true;
  std::string all;
  for (int i = 0; i < 8; ++i) {
    const auto written = ask(append_to("log", std::to_string(i)));
    ASSERT_TRUE(written.ok()) << written.error().message;
    all += std::to_string(i);
  }
  EXPECT_EQ(value_in(ask(get("log"))), all);
  EXPECT_EQ(world.group.applied, 8);
}

TEST_P(OneLies, byErrors_andTheUserIsToldTheTruth) {
  ASSERT_TRUE(ask(put("a", "1")).ok());
  liar().twist = false_error;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(value_in(ask(get("a"))), "1");
    EXPECT_TRUE(ask(put("b", "2")).ok());
  }
  kv::PutRequest leased = put("c", "3");
  leased.lease = kv::LeaseId{77};
  const auto refused = ask(leased);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("requested lease not found"));
  EXPECT_FALSE(refused.error().uncertain);
}

TEST_P(OneLies, aboutWhatWasExecuted_andTheOthersProveIt) {
  liar().twist_attested = [](std::variant<Attestation, CallError>& told) {
    std::get<Attestation>(told).answer.bytes[0] ^= 1;
  };
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ask(put("a", "1")).ok());
  liar().twist_attested = [](std::variant<Attestation, CallError>& told) {
    std::get<Attestation>(told).command.bytes[0] ^= 1;
  };
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ask(put("a", "1")).ok());
  liar().twist_attested = [](std::variant<Attestation, CallError>& told) { told = CallError{Code::kNotFound, "no"}; };
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ask(put("a", "1")).ok());
  EXPECT_EQ(world.group.applied, 12);
}

TEST_P(OneLies, byGivingOneSessionToTwo_andNoTwoCommandsBecomeOne) {
  std::optional<consensus::SessionId> given;
  liar().twist_session = [&](std::variant<consensus::SessionId, CallError>& opened) {
    if (!given) given = std::get<0>(opened);
    opened = *given;
  };
  auto other = world.client();
  size_t told = 0;
  for (int i = 0; i < 10; ++i) {
    Answer<CallReply> first, second;
    client->execute(kv::Space::kUser, append_to("log", "x"), {}, first.done());
    other->execute(kv::Space::kUser, append_to("log", "x"), {}, second.done());
    ASSERT_TRUE(world.until([&] { return first.here() && second.here(); }));
    told += (first.ok() ? 1 : 0) + (second.ok() ? 1 : 0);
    for (Answer<CallReply>* const answer : {&first, &second}) {
      if (answer->ok()) continue;
      EXPECT_TRUE(answer->error().uncertain) << answer->error().message;
      EXPECT_FALSE(answer->error().session_ended) << "the caller has none";
    }
  }
  EXPECT_GE(told, 10);
  const std::string log = value_in(ask(get("log")));
  EXPECT_EQ(log.size(), world.group.applied);
  EXPECT_GE(log.size(), told) << "whoever was told that it is done has had it done";
}

TEST_P(OneLies, byRepeatingASession_andTheNextGatewayIsAsked) {
  std::optional<consensus::SessionId> given;
  liar().twist_session = [&](std::variant<consensus::SessionId, CallError>& opened) {
    if (given) opened = *given;
  };
  std::set<consensus::SessionId> sessions;
  for (int i = 0; i < 5; ++i) {
    Answer<consensus::SessionId> opened;
    client->open_session({}, opened.done());
    wait(opened);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    given = opened.value();
    EXPECT_TRUE(sessions.insert(*given).second) << "a session of its own";
  }
  const uint64_t asked = liar().asked;
  EXPECT_TRUE(ask(put("a", "1")).ok());
  EXPECT_EQ(liar().asked, asked) << "it is nobody's gateway any more, or never was";
}

TEST_P(OneLies, aboutRoom_andIsNotBelieved_butWhatAllHaveNoRoomForIsRefusedAtOnce) {
  const auto no_room = [](const kv::Request&, std::variant<CallReply, CallError>& answer) {
    answer = CallError{Code::kResourceExhausted, "etcdserver: mvcc: database space exceeded", false, {}, {}};
  };
  liar().twist = no_room;
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ask(put("a", "1")).ok());
  for (const uint32_t i : kMembers) world.nodes[i]->member.twist = no_room;
  const int64_t asked_at = world.scheduler.now_ns();
  const auto refused = ask(put("a", "2"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_LT(world.scheduler.now_ns() - asked_at, 1'000'000'000) << "the answer of a group, not something to wait for";
}

TEST_P(OneLies, byUsingANumberFirst_andTheUserIsToldThatItsCommandWasNotDone) {
  // The liar sees the number on its way and has another command ordered under it, before.
  for (const uint32_t i : kMembers) {
    world.nodes[i]->member.before = [&](const kv::Request&, const CallOptions& options) {
      (void)world.group.apply(put("evil", "1"), options);
    };
  }
  const auto answer = ask(put("a", "1"));
  ASSERT_FALSE(answer.ok());
  EXPECT_TRUE(answer.error().uncertain);
  EXPECT_FALSE(answer.error().session_ended) << "the caller has none";
  EXPECT_THAT(answer.error().message, HasSubstr("another command"));
  for (const uint32_t i : kMembers) world.nodes[i]->member.before = nullptr;
  EXPECT_TRUE(ask(put("a", "2")).ok()) << "under another session";
  EXPECT_EQ(value_in(ask(get("a"))), "2");
}

TEST_P(OneLies, whileOthersWrite_andReadsAreTrueAndGoOn) {
  liar().twist = wrong_value;
  auto writer = world.client();
  int written = 0;
  bool ending = false;
  std::function<void()> write = [&] {
    writer->execute(kv::Space::kUser, put("busy", std::to_string(written)), {}, [&](auto result) {
      if (ending) return;
      ASSERT_TRUE(std::holds_alternative<CallReply>(result));
      ++written;
      write();
    });
  };
  for (const uint32_t i : kMembers) world.nodes[i]->member.latency_ns = 100'000 * (1 + i);
  ASSERT_TRUE(ask(put("a", "1")).ok());
  write();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(value_in(ask(get("a"))), "1");
    const int before = written;
    const auto busy = ask(get("busy"));
    ASSERT_TRUE(busy.ok()) << busy.error().message;
    ASSERT_NE(value_in(busy), "a lie");
    if (before > 0) {
      EXPECT_GE(std::stoi(value_in(busy)), before - 1) << "what was acknowledged is seen";
    }
  }
  EXPECT_GT(written, 20);
  ending = true;
  writer.reset();
}

TEST_P(OneLies, sessionsAndLeases_work) {
  Answer<consensus::SessionId> opened;
  client->open_session({}, opened.done());
  wait(opened);
  ASSERT_TRUE(opened.ok());
  CallOptions first;
  first.session = opened.value();
  first.sequence = first.acknowledged_below = 1;
  EXPECT_TRUE(ask(append_to("log", "x"), first).ok());
  EXPECT_TRUE(ask(append_to("log", "x"), first).ok()) << "asked again";
  EXPECT_EQ(value_in(ask(get("log"))), "x");
  const auto granted = ask(kv::LeaseGrantRequest{kv::LeaseId{5}, 60});
  ASSERT_TRUE(granted.ok());
  liar().twist = wrong_revision<7>;
  Answer<int64_t> kept;
  client->keep_alive(kv::LeaseId{5}, {}, kept.done());
  wait(kept);
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(kept.value(), 60);
}

TEST(ReplyQuorum, twoOfFourLieEachInItsOwnWay_andTheTwoOthersAreBelieved) {
  World world;
  world.may_lie();
  auto client = world.client();
  Answer<CallReply> written, read;
  client->execute(kv::Space::kUser, put("a", "1"), {}, written.done());
  ASSERT_TRUE(world.until([&] { return written.here(); }));
  world.nodes[0]->member.twist = wrong_value;
  world.nodes[2]->member.twist = wrong_revision<3>;
  client->execute(kv::Space::kUser, get("a"), {}, read.done());
  ASSERT_TRUE(world.until([&] { return read.here(); }));
  EXPECT_EQ(value_in(read), "1");
}

TEST(ReplyQuorum, threeOfFourLieEachInItsOwnWay_andTheErrorNamesWhoSaidWhat) {
  World world;
  world.may_lie();
  auto client = world.client();
  world.nodes[0]->member.pretends = true;
  world.nodes[0]->member.twist_attested = [](auto& told) { std::get<Attestation>(told).answer.bytes[0] ^= 1; };
  world.nodes[1]->member.twist_attested = [](auto& told) { std::get<Attestation>(told).answer.bytes[1] ^= 1; };
  world.nodes[2]->member.twist_attested = [](auto& told) { told = CallError{Code::kNotFound, "I forgot"}; };
  Answer<CallReply> written;
  client->execute(kv::Space::kUser, put("a", "1"), {}, written.done());
  ASSERT_TRUE(world.until([&] { return written.here(); }));
  ASSERT_FALSE(written.ok());
  EXPECT_TRUE(written.error().uncertain);
  EXPECT_THAT(written.error().message, AllOf(HasSubstr("no 2 of 4 members"), HasSubstr("10.0.0.1:4331"),
                                             HasSubstr("10.0.0.3:4331: "), HasSubstr("10.0.0.5:4331: answers ")));
  EXPECT_EQ(client->stats().unproven, 1);
}

TEST(ReplyQuorum, whoAsksWhatWasExecuted_isKnownByItsConnection) {
  World world;
  world.may_lie();
  auto client = world.client(), other = world.client();
  Answer<CallReply> first, second;
  client->execute(kv::Space::kUser, put("a", "1"), {}, first.done());
  other->execute(kv::Space::kUser, put("b", "1"), {}, second.done());
  ASSERT_TRUE(world.until([&] { return first.here() && second.here(); }));
  size_t askers = 0;  // each client asks f + 1, whoever answered first
  for (const auto& node : world.nodes) {
    if (node == nullptr) continue;
    askers += node->member.askers.size();
    EXPECT_FALSE(node->member.askers.contains(0));
  }
  EXPECT_EQ(askers, 4u);
}

TEST(ReplyQuorum, oneMemberBehindAllAddresses_isOneVoice) {
  World world(1, [](ServerOptions& options) { options.node = consensus::NodeId{9}; });
  world.may_lie();
  auto client = world.client();
  CallOptions options;
  options.timeout_ns = 2'000'000'000;
  Answer<CallReply> read;
  client->execute(kv::Space::kUser, get("a"), options, read.done());
  ASSERT_TRUE(world.until([&] { return read.here(); }));
  EXPECT_FALSE(read.ok());
}

TEST(ReplyQuorum, fewerThanFourAddresses_areRefused_orTheGatewayIsTrusted) {
  World world(1, [](ServerOptions& options) { options.byzantine = true; });
  world.may_lie();
  ClientOptions options = world.client_options();
  options.addresses.resize(3);
  auto client = world.client(options);
  Answer<CallReply> refused, again, trusted;
  Answer<GroupStatus> status;
  client->execute(kv::Space::kUser, get("a"), {}, refused.done());
  ASSERT_TRUE(world.until([&] { return refused.here(); }));
  client->execute(kv::Space::kUser, put("a", "1"), {}, again.done());
  EXPECT_FALSE(again.here()) << "never from inside the call";
  ASSERT_TRUE(world.until([&] { return again.here(); }));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("given 3"), HasSubstr("--trust-gateway")));
  EXPECT_FALSE(again.error().uncertain);
  EXPECT_EQ(world.group.applied, 0);
  client->status({}, status.done());
  ASSERT_TRUE(world.until([&] { return status.here(); }));
  EXPECT_TRUE(status.ok()) << "what one member sees is what one member says";
  options.trust_gateway = true;
  auto trusting = world.client(options);
  trusting->execute(kv::Space::kUser, put("a", "1"), {}, trusted.done());
  ASSERT_TRUE(world.until([&] { return trusted.here(); }));
  EXPECT_TRUE(trusted.ok());
}

TEST(ReplyQuorum, aGroupWhoseMembersBelieveEachOther_isAskedAsEver) {
  World world;
  world.may_lie();
  world.group.protocol = "raft";
  world.kill(1);
  auto client = world.client();
  Answer<CallReply> written, read;
  client->execute(kv::Space::kUser, put("a", "1"), {}, written.done());
  ASSERT_TRUE(world.until([&] { return written.here(); }));
  ASSERT_TRUE(written.ok()) << written.error().message;
  client->execute(kv::Space::kUser, get("a"), {}, read.done());
  ASSERT_TRUE(world.until([&] { return read.here(); }));
  EXPECT_EQ(value_in(read), "1");
  EXPECT_EQ(client->stats().verified, 0);
  EXPECT_EQ(world.group.position, 1) << "no session was opened";
}

TEST(ReplyQuorum, membersThatComeLate_areWaitedFor) {
  World world;
  world.may_lie();
  for (const uint32_t i : kMembers) world.kill(i);
  auto client = world.client();
  Answer<CallReply> written, never;
  CallOptions options;
  options.timeout_ns = 20'000'000'000;
  client->execute(kv::Space::kUser, put("a", "1"), options, written.done());
  client->execute(kv::Space::kUser, put("b", "1"), {}, never.done());
  ASSERT_TRUE(world.until([&] { return never.here(); }));
  EXPECT_EQ(never.error().code, Code::kUnavailable);
  EXPECT_FALSE(never.error().uncertain);
  for (const uint32_t i : {0u, 2u, 4u}) world.start(i);
  ASSERT_TRUE(world.until([&] { return written.here(); }));
  EXPECT_TRUE(written.ok()) << written.error().message;
}

TEST(ReplyQuorum, aClientThatEnds_answersWhatIsUnderWay) {
  World world;
  world.may_lie();
  for (const uint32_t i : kMembers) world.nodes[i]->member.mute = true;
  auto client = world.client();
  Answer<CallReply> written, read;
  client->execute(kv::Space::kUser, put("a", "1"), {}, written.done());
  client->execute(kv::Space::kUser, get("a"), {}, read.done());
  world.run(300);
  EXPECT_FALSE(written.here());
  client.reset();
  EXPECT_TRUE(written.here());
  EXPECT_TRUE(read.here());
}

}  // namespace
}  // namespace clew::control

// Watches of a group of four of whose members some lie: the user gets every change once, in order, and never the lie.
#include "control/watch_quorum.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/watch_taker_test.h"
#include "control/wire_world_test.h"

namespace clew::control {
namespace {

using fake::Answer;
using fake::from_all;
using fake::machine;
using fake::Member;
using fake::put;
using fake::Taker;
using fake::World;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::array<uint32_t, 4> kMembers{0, 1, 2, World::kFourth};
using Responses = std::vector<kv::WatchResponse>;

// Everything once for each member as the liar.
class OneLiesToWatchers : public testing::TestWithParam<uint32_t> {
 protected:
  OneLiesToWatchers() {
    world.may_lie();
    client = world.client();
  }
  Member& liar() { return world.nodes[GetParam()]->member; }
  Member& honest() { return world.nodes[kMembers[GetParam() == 0 ? 1 : 0]]->member; }
  void write(const kv::Request& request) {
    Answer<CallReply> written;
    honest().execute(kv::Space::kUser, request, {}, written.done());
    ASSERT_TRUE(world.until([&] { return written.ok(); }));
  }
  // Some at once, and some apart; two keys in each third revision.
  std::vector<std::string> write_some(const std::string& prefix = "k") {
    std::vector<std::string> expected;
    for (int i = 0; i < 30; ++i) {
      kv::TxnRequest txn;
      for (int op = 0; op <= static_cast<int>(i % 3 == 0); ++op) {
        const std::string key = prefix + std::to_string(i) + "." + std::to_string(op);
        txn.success.emplace_back().op = put(key, "v");
        expected.push_back(key + "=v");
      }
      write(txn);
      if (i % 7 == 0) world.run(300);
    }
    return expected;
  }
  void expect_watch_of_all() {
    Taker taker(client->watch(kv::Space::kUser));
    taker.ask();
    taker.stream->create(from_all(1, 0));
    ASSERT_TRUE(world.until([&] { return !taker.notes.empty(); })) << taker.ended;
    taker.stream->create(from_all(2, 2));
    const auto expected = write_some();
    ASSERT_TRUE(world.until([&] {
      return taker.events[1].size() >= expected.size() && taker.events[2].size() >= expected.size();
    })) << taker.events[1].size()
        << " and " << taker.events[2].size() << " of " << expected.size() << taker.ended;
    world.run(3'000);
    EXPECT_EQ(taker.events[1], expected);
    EXPECT_EQ(taker.events[2], expected);
    EXPECT_THAT(taker.notes, ElementsAre("1 created", "2 created"));
    EXPECT_THAT(taker.ended, IsEmpty());
  }
  World world{GetParam() + 1};
  std::unique_ptr<Client> client;
};
INSTANTIATE_TEST_SUITE_P(WatchQuorum, OneLiesToWatchers, testing::ValuesIn(kMembers));

void wrong_values(Responses& responses) {
  for (kv::WatchResponse& response : responses) {
    for (auto& event : response.events) {
      kv::Event lie = *event;
      lie.kv.value = "a lie";
      event = std::make_shared<const kv::Event>(std::move(lie));
    }
  }
}
void leaves_out(Responses& responses) {
  for (kv::WatchResponse& response : responses) {
    if (response.events.size() == 1) response.events.clear();
  }
}
void invents(Responses& responses) {
  for (kv::WatchResponse& response : responses) {
    if (response.cancelled || response.id == kv::kNoWatch) continue;
    kv::Event lie;
    lie.kv.key = "never";
    lie.kv.mod_revision = response.revision + 1;
    response.events.push_back(std::make_shared<const kv::Event>(lie));
    response.revision += 1'000;
  }
}
void promises_silence(Responses& responses) {
  for (kv::WatchResponse& response : responses) {
    response.events.clear();
    response.revision += 1'000'000;
  }
}
void goes_back(Responses& responses) {
  for (kv::WatchResponse& response : responses) {
    for (auto& event : response.events) {
      kv::Event lie = *event;
      lie.kv.mod_revision = 1;
      event = std::make_shared<const kv::Event>(std::move(lie));
    }
  }
}
void says_compacted(Responses& responses) {
  for (kv::WatchResponse& response : responses) {
    response.cancelled = true;
    response.compact_revision = 1'000'000;
  }
}
void refuses(Responses& responses) {
  for (kv::WatchResponse& response : responses) {
    response.created = response.cancelled = true;
    response.cancel_reason = "a lie";
  }
}

TEST_P(OneLiesToWatchers, nobodyDoes) {
  expect_watch_of_all();
  EXPECT_EQ(client->stats().contradicted, 0);
  EXPECT_GE(client->stats().verified, 60) << "thirty revisions, for two watches";
}
TEST_P(OneLiesToWatchers, aFalseValue) {
  liar().twist_watch = wrong_values;
  expect_watch_of_all();
  EXPECT_GE(client->stats().contradicted, 1);
}
TEST_P(OneLiesToWatchers, aChangeIsLeftOut) {
  liar().twist_watch = leaves_out;
  expect_watch_of_all();
}
TEST_P(OneLiesToWatchers, aChangeThatNeverWas) {
  liar().twist_watch = invents;
  expect_watch_of_all();
}
TEST_P(OneLiesToWatchers, thatNothingWillHappen) {
  liar().twist_watch = promises_silence;
  expect_watch_of_all();
}
TEST_P(OneLiesToWatchers, changesOfThePast) {
  liar().twist_watch = goes_back;
  expect_watch_of_all();
}
TEST_P(OneLiesToWatchers, thatHistoryIsGone) {
  liar().twist_watch = says_compacted;
  expect_watch_of_all();
}
TEST_P(OneLiesToWatchers, thatItIsRefused) {
  liar().twist_watch = refuses;
  expect_watch_of_all();
}
TEST_P(OneLiesToWatchers, silence) {
  liar().mute = true;
  expect_watch_of_all();
}
TEST_P(OneLiesToWatchers, streamsThatEndAtOnce) {
  liar().no_state = true;
  expect_watch_of_all();
}

TEST_P(OneLiesToWatchers, asAllBeginAgain_nothingIsLeftOutAndNothingComesTwice) {
  liar().twist_watch = leaves_out;
  Taker taker(client->watch(kv::Space::kUser));
  taker.ask(500);
  taker.stream->create(from_all(1, 0));
  ASSERT_TRUE(world.until([&] { return !taker.notes.empty(); }));
  std::vector<std::string> expected;
  uint32_t round = 0;
  for (const uint32_t victim : kMembers) {
    const auto more = write_some("round" + std::to_string(round++) + ".");
    expected.insert(expected.end(), more.begin(), more.end());
    if (victim == GetParam() || &world.nodes[victim]->member == &honest()) continue;
    world.kill(victim);
    const auto meanwhile = write_some("without" + std::to_string(round++) + ".");
    expected.insert(expected.end(), meanwhile.begin(), meanwhile.end());
    world.start(victim);
    for (const uint32_t member : kMembers) world.network.break_streams(machine(member), machine(fake::kClientMachine));
  }
  ASSERT_TRUE(world.until([&] { return taker.events[1].size() >= expected.size(); })) << taker.events[1].size();
  world.run(3'000);
  EXPECT_EQ(taker.events[1], expected);
}

TEST_P(OneLiesToWatchers, whoDoesNotAsk_getsAllOfItLater) {
  liar().twist_watch = wrong_values;
  Taker taker(client->watch(kv::Space::kUser));
  taker.stream->create(from_all(1, 0));
  world.run(100);
  for (int i = 0; i < 200; ++i) write(put("k" + std::to_string(i), std::string(50'000, 'v')));
  for (const uint32_t member : kMembers) {
    EXPECT_LT(world.nodes[member]->server->stats().bytes_sent, 4u << 20) << "windows, not ten megabytes";
  }
  taker.ask();
  ASSERT_TRUE(world.until([&] { return taker.events[1].size() == 200; }));
}

TEST_P(OneLiesToWatchers, ofACompactedRevision_isCancelledWithTheRevisionThatThereIs) {
  for (int i = 0; i < 10; ++i) write(put("k", std::to_string(i)));
  write(kv::CompactRequest{8});
  liar().twist_watch = [](Responses& responses) {
    for (kv::WatchResponse& response : responses) {
      if (response.compact_revision != 0) response.compact_revision = 1'000'000;
    }
  };
  auto stream = client->watch(kv::Space::kUser);
  stream->create(from_all(1, 3));
  kv::WatchResponse last;
  while (!last.cancelled) {
    Answer<Responses> answer;
    stream->next(4'096, answer.done());
    ASSERT_TRUE(world.until([&] { return answer.here(); }));
    ASSERT_TRUE(answer.ok());
    last = answer.value().back();
  }
  EXPECT_EQ(last.id, 1);
  EXPECT_EQ(last.compact_revision, 8);
}

// A member's stream has no watch after that, and says that it has given everything there is.
TEST_P(OneLiesToWatchers, ofACompactedRevision_whoAsksHowFarItIs_isNotToldThatItWasGivenEverything) {
  for (int i = 0; i < 10; ++i) write(put("k", std::to_string(i)));
  write(kv::CompactRequest{8});
  for (const uint32_t i : kMembers) {
    world.nodes[i]->member.twist_watch = [](Responses& responses) {
      if (!responses.back().cancelled) return;
      kv::WatchResponse progress;
      progress.id = kv::kNoWatch;
      progress.revision = 11;
      responses.push_back(progress);
    };
  }
  Taker taker(client->watch(kv::Space::kUser));
  taker.ask();
  taker.stream->create(from_all(1, 3));
  taker.stream->request_progress();
  ASSERT_TRUE(world.until([&] { return taker.notes.size() >= 2; }));
  EXPECT_THAT(taker.notes[1], HasSubstr("1 cancelled"));
}

TEST_P(OneLiesToWatchers, cancelledAndProgress_areAnsweredUnderTheUsersIds) {
  liar().twist_watch = promises_silence;
  Taker taker(client->watch(kv::Space::kUser));
  taker.ask();
  taker.stream->create(from_all(0, 0));
  taker.stream->create(from_all(-5, 0));
  taker.stream->create(from_all(-5, 0));  // taken
  ASSERT_TRUE(world.until([&] { return taker.notes.size() == 4; }));
  write(put("k", "v"));
  taker.stream->request_progress();
  ASSERT_TRUE(world.until([&] { return taker.notes.size() == 5; }));
  EXPECT_EQ(taker.notes.back(), "progress 2") << "not what the liar says";
  EXPECT_EQ(taker.events[0].size(), 1);
  taker.stream->cancel(-5);
  ASSERT_TRUE(world.until([&] { return taker.notes.size() == 6; }));
  EXPECT_EQ(taker.notes.back(), "-5 cancelled ");
  write(put("k", "v"));
  ASSERT_TRUE(world.until([&] { return taker.events[0].size() == 2; }));
  EXPECT_EQ(taker.events[-5].size(), 1);
}

TEST_P(OneLiesToWatchers, whatAllRefuse_isRefused) {
  Taker taker(client->watch(kv::Space::kUser));
  taker.ask();
  kv::WatchRequest empty;
  empty.key = "b";
  empty.range_end = "a";
  taker.stream->create(empty);
  ASSERT_TRUE(world.until([&] { return taker.notes.size() == 2; }));
  EXPECT_THAT(taker.notes, ElementsAre("-1 created", "-1 cancelled mvcc: watcher range is empty"));
}

TEST_P(OneLiesToWatchers, whenItIsDestroyed_theMembersForgetIt) {
  const auto streams = [&] {
    size_t all = 0;
    for (const uint32_t member : kMembers) all += world.nodes[member]->server->stats().streams;
    return all;
  };
  {
    Taker taker(client->watch(kv::Space::kUser));
    taker.stream->create(from_all(1, 0));
    ASSERT_TRUE(world.until([&] { return streams() == 4; }));
  }
  ASSERT_TRUE(world.until([&] { return streams() == 0; }));
}

TEST_P(OneLiesToWatchers, whenTheClientIsDestroyed_whoWaitsIsTold) {
  Taker taker(client->watch(kv::Space::kUser));
  taker.ask();
  taker.stream->create(from_all(1, 0));
  ASSERT_TRUE(world.until([&] { return !taker.notes.empty(); }));
  client.reset();
  ASSERT_TRUE(world.until([&] { return !taker.ended.empty(); }));
  EXPECT_EQ(taker.ended, "the client was closed");
}

TEST(WatchQuorum, whereOnlyOneAnswers_nothingIsHandedOut) {
  World world;
  world.may_lie();
  auto client = world.client();
  Taker taker(client->watch(kv::Space::kUser));
  taker.ask();
  taker.stream->create(from_all(1, 0));
  ASSERT_TRUE(world.until([&] { return !taker.notes.empty(); }));
  for (const uint32_t member : {1u, 2u, World::kFourth}) world.nodes[member]->member.mute = true;
  Answer<CallReply> written;
  world.nodes[0]->member.execute(kv::Space::kUser, put("k", "v"), {}, written.done());
  world.run(10'000);
  EXPECT_THAT(taker.events[1], IsEmpty());
}

TEST(WatchQuorum, whoNamesTooFewMembers_isToldSo) {
  World world(1, [](ServerOptions& options) { options.byzantine = true; });
  world.may_lie();
  ClientOptions options = world.client_options();
  options.addresses.resize(3);
  auto client = world.client(options);
  Taker taker(client->watch(kv::Space::kUser));
  taker.ask();
  taker.stream->create(from_all(1, 0));
  ASSERT_TRUE(world.until([&] { return !taker.ended.empty(); }));
  EXPECT_THAT(taker.ended, AllOf(HasSubstr("may lie"), HasSubstr("--trust-gateway")));
  options.trust_gateway = true;
  auto trusting = world.client(options);
  Taker told(trusting->watch(kv::Space::kUser));
  told.ask();
  told.stream->create(from_all(1, 0));
  ASSERT_TRUE(world.until([&] { return !told.notes.empty(); }));
  EXPECT_THAT(told.notes, ElementsAre("1 created"));
}

}  // namespace
}  // namespace clew::control

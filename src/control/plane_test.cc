// Three members and their clients, by circumstance: who answers, when nobody can, and what is known afterwards.
#include "control/plane.h"

#include "control/plane_rig_test.h"
#include "kv/validate.h"

namespace clew::control {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST_F(Planes, aGroupOfOneServesAtOnce) {
  found(1);
  const auto answer = call(1, put("a", "1"));
  ASSERT_TRUE(answer->ok()) << answer->text();
  EXPECT_EQ(std::get<kv::PutResponse>(answer->get().response).revision, 2);
  EXPECT_GT(answer->get().position, 0u);
  EXPECT_GT(answer->get().epoch, 0u);
  EXPECT_EQ(get(1, "a"), "1");
}

TEST_F(Planes, anyMemberAnswersAndAllAgree) {
  found(3);
  for (uint64_t id = 1; id <= 3; ++id) {
    const auto answer = call(id, put("key" + std::to_string(id), "v"));
    ASSERT_TRUE(answer->ok()) << answer->text();
  }
  for (uint64_t id = 1; id <= 3; ++id) {
    EXPECT_EQ(get(id, "key1"), "v");
    CallOptions lease;
    lease.consistency = Consistency::kLease;
    EXPECT_EQ(get(id, "key3", lease), "v");
  }
  expect_agreement();
}

TEST_F(Planes, whatMayNotBeForwardedIsRefusedAndNamesTheLeader) {
  found(3);
  run(kSecond);
  CallOptions options;
  options.forward = false;
  const uint64_t asked = follower();
  const auto answer = call(asked, put("a", "1"), options);
  ASSERT_FALSE(answer->ok());
  EXPECT_EQ(answer->error().code, Code::kUnavailable);
  EXPECT_FALSE(answer->error().uncertain);
  EXPECT_EQ(number(answer->error().leader), leader());
  EXPECT_EQ(answer->error().leader_address, client_address(leader()));
  EXPECT_EQ(get(1, "a"), "none");
}

TEST_F(Planes, aRefusalKeepsItsCodeAndWordsOnTheWayThroughAFollower) {
  found(3);
  kv::PutRequest request = put("a", "1");
  request.lease = kv::LeaseId{77};
  const auto answer = call(follower(), request);
  ASSERT_FALSE(answer->ok());
  EXPECT_EQ(answer->error().code, Code::kNotFound);
  EXPECT_EQ(answer->error().message, "etcdserver: requested lease not found");
  EXPECT_FALSE(answer->error().uncertain);
  EXPECT_EQ(call(follower(), put("", "1"))->text(), "INVALID_ARGUMENT: etcdserver: key is not provided");
}

TEST_F(Planes, aRequestDuringAnElectionWaitsForTheNewLeader) {
  found(3);
  ASSERT_TRUE(call(1, put("a", "1"))->ok());
  const uint64_t dead = leader();
  const uint64_t asked = follower();
  power_cut(dead);
  const auto answer = call(asked, put("a", "2"));
  ASSERT_TRUE(answer->ok()) << answer->text();
  EXPECT_EQ(get(asked, "a"), "2");
  restart(dead);
  EXPECT_EQ(get(dead, "a"), "2");
  expect_agreement();
}

TEST_F(Planes, aLostAnswerIsUncertainWithoutASessionAndDoneOnceWithOne) {
  found(3);
  const uint64_t asked = follower();
  auto session = ask<consensus::SessionId>([&](auto done) { plane(asked).open_session({}, std::move(done)); });
  ASSERT_TRUE(session->ok()) << session->text();

  exchange_.loses_answer = [](NodeId) { return true; };
  kv::AppendRequest append{"log", "x"};
  const auto plain = call(asked, append);
  ASSERT_FALSE(plain->ok());
  EXPECT_TRUE(plain->error().uncertain);

  int lost = 0;
  exchange_.loses_answer = [&lost](NodeId) { return ++lost <= 3; };
  CallOptions options;
  options.session = session->get();
  options.sequence = 1;
  const auto once = call(asked, append, options);
  ASSERT_TRUE(once->ok()) << once->text();
  EXPECT_EQ(lost, 4);
  EXPECT_EQ(std::get<kv::AppendResponse>(once->get().response).size, 2);  // the plain one took effect, too
  EXPECT_EQ(get(asked, "log"), "xx");
}

TEST_F(Planes, aMinorityAnswersNoReadAndNoWriteButSequentialOnes) {
  found(3);
  ASSERT_TRUE(call(1, put("a", "1"))->ok());
  expect_agreement();
  const uint64_t alone = leader();
  isolate(alone);
  run(2 * kSecond);
  EXPECT_EQ(get(alone, "a").substr(0, 11), "UNAVAILABLE");
  const auto write = call(alone, put("a", "2"));
  EXPECT_FALSE(write->ok());
  CallOptions sequential;
  sequential.consistency = Consistency::kSequential;
  EXPECT_EQ(get(alone, "a", sequential), "1");
  const GroupStatus seen = status(alone);
  EXPECT_FALSE(seen.leader_view);
  ASSERT_FALSE(seen.problems.empty());
  EXPECT_THAT(seen.problems[0], HasSubstr("no leader: 1 of 3 voters is reachable from here, 2 needed"));
  heal();
  const uint64_t other = alone == 1 ? 2 : 1;
  ASSERT_TRUE(call(other, put("a", "3"))->ok());
  leader();
  EXPECT_EQ(get(alone, "a"), "3");
  expect_agreement();
}

TEST_F(Planes, aSequentialReadWaitsForItsPosition) {
  found(3);
  const uint64_t asked = follower();
  const auto written = call(leader(), put("a", "1"));
  CallOptions options;
  options.consistency = Consistency::kSequential;
  options.at_least = written->get().position;
  EXPECT_EQ(get(asked, "a", options), "1");
  options.at_least = UINT64_MAX;
  options.timeout_ns = kSecond;
  EXPECT_EQ(get(asked, "a", options), "DEADLINE_EXCEEDED: etcdserver: request timed out");
}

TEST_F(Planes, readsThatArriveTogetherShareABarrierAndKeepAlivesAnEntry) {
  found(3);
  const uint64_t leads = leader();
  kv::LeaseGrantRequest grant;
  grant.id = kv::LeaseId{5};
  grant.ttl_s = 60;
  ASSERT_TRUE(call(leads, grant)->ok());
  const PlaneStats before = plane(leads).stats();
  const Position applied = plane(leads).replica().applied();
  std::vector<std::shared_ptr<Answer<CallReply>>> reads;
  std::vector<std::shared_ptr<Answer<int64_t>>> renewals;
  for (int i = 0; i < 100; ++i) {
    reads.push_back(send(leads, range("a")));
    renewals.push_back(std::make_shared<Answer<int64_t>>());
    plane(leads).keep_alive(kv::LeaseId{i % 2 == 0 ? 5 : 6}, {}, into(renewals.back()));
  }
  ASSERT_TRUE(wait([&] { return reads.back()->came() && renewals.back()->came(); }));
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(reads[static_cast<size_t>(i)]->ok());
    EXPECT_EQ(renewals[static_cast<size_t>(i)]->get(), i % 2 == 0 ? 60 : 0);
  }
  EXPECT_EQ(plane(leads).stats().read_barriers, before.read_barriers + 1);
  EXPECT_EQ(plane(leads).replica().applied(), applied + 1);
}

TEST_F(Planes, aRequestThatIsTooLargeIsRefusedByWhoeverIsAsked) {
  found(3);
  const uint64_t leads = leader();
  for (const uint64_t to : {leads, follower()}) {
    const uint64_t passed_on = exchange_.calls;
    EXPECT_EQ(call(to, put("k", std::string(kv::kMaxRequestBytes, 'v')))->text(),
              "INVALID_ARGUMENT: etcdserver: request is too large");
    EXPECT_EQ(exchange_.calls, passed_on);
    // Many small operations are not large because of what they cost in memory.
    kv::TxnRequest txn;
    for (size_t i = 0; i < kv::kMaxTxnOps; ++i) {
      txn.success.push_back({put("k" + std::to_string(i), std::string(12'000, 'v'))});
    }
    EXPECT_TRUE(call(to, txn)->ok());
  }
}

// --- Leases ---

TEST_F(Planes, aLeaseEndsInTimeWhoeverLeadsAndLivesWhileItIsRenewed) {
  found(3);
  const auto granted = [&](int64_t id) {
    kv::LeaseGrantRequest grant;
    grant.id = kv::LeaseId{id};
    grant.ttl_s = 5;
    ASSERT_TRUE(call(follower(), grant)->ok());
    kv::PutRequest request = put("held-" + std::to_string(id), "1");
    request.lease = grant.id;
    ASSERT_TRUE(call(follower(), request)->ok());
  };
  granted(1);
  granted(2);
  for (int i = 0; i < 4; ++i) {
    run(2 * kSecond);
    auto renewal = ask<int64_t>([&](auto done) { plane(follower()).keep_alive(kv::LeaseId{1}, {}, std::move(done)); });
    ASSERT_TRUE(renewal->ok()) << renewal->text();
    EXPECT_EQ(renewal->get(), 5);
  }
  EXPECT_EQ(get(1, "held-1"), "1");
  EXPECT_EQ(get(1, "held-2"), "none");
  // A new leader gives it its whole time again, and then ends it.
  power_cut(leader());
  const uint64_t next = leader();
  run(3 * kSecond);
  EXPECT_EQ(get(next, "held-1"), "1");
  EXPECT_TRUE(wait([&] { return get(next, "held-1") == "none"; }, 10 * kSecond));
}

TEST_F(Planes, aLeaseOutlivesAStepOfTheLeadersClockAndEndsInItsTimeAllTheSame) {
  constexpr int64_t kHour = 3'600 * kSecond;
  found(3);
  kv::LeaseGrantRequest grant;
  grant.id = kv::LeaseId{1};
  grant.ttl_s = 10;
  for (const int64_t step : {kHour, -kHour}) {
    const uint64_t leads = leader();
    ASSERT_TRUE(call(leads, grant)->ok());
    kv::PutRequest request = put("held", "1");
    request.lease = grant.id;
    ASSERT_TRUE(call(leads, request)->ok());
    clocks_[leads - 1]->set_wall_offset(step);
    run(5 * kSecond);
    kv::LeaseTimeToLiveRequest asked;
    asked.id = grant.id;
    const auto left = call(leads, asked);
    ASSERT_TRUE(left->ok());
    EXPECT_NEAR(std::get<kv::LeaseTimeToLiveResponse>(left->get().response).ttl_s, 5, 1);
    EXPECT_EQ(get(leads, "held"), "1") << "after a step of " << step;
    EXPECT_TRUE(wait([&] { return get(leads, "held") == "none"; }, 10 * kSecond)) << "after a step of " << step;
    EXPECT_EQ(leader(), leads);
  }
  // A session that was opened before is not idle because a clock says so.
  const uint64_t leads = leader();
  const auto session = ask<consensus::SessionId>([&](auto done) { plane(leads).open_session({}, std::move(done)); });
  ASSERT_TRUE(session->ok());
  clocks_[leads - 1]->set_wall_offset(24 * kHour);
  run(1 * kSecond);
  CallOptions within;
  within.session = session->get();
  within.sequence = 1;
  EXPECT_TRUE(call(leads, put("k", "v"), within)->ok());
}

TEST_F(Planes, clientsCannotProposeWhatIsTheLeadersToPropose) {
  found(1);
  EXPECT_EQ(call(1, kv::LeaseExpireRequest{1})->error().code, Code::kInvalidArgument);
  EXPECT_EQ(call(1, kv::LeaseExtendRequest{99})->error().code, Code::kInvalidArgument);
}

// --- Quota, alarms, bounds ---

TEST_F(Planes, aFullStoreRefusesWhatGrowsUntilThereIsRoomAndTheAlarmIsOff) {
  options_.quota_bytes = 100'000;
  found(3);
  const std::string value(10'000, 'v');
  std::string refused;
  for (int i = 0; i < 20 && refused.empty(); ++i) {
    const auto answer = call(follower(), put("k", value));
    if (!answer->ok()) refused = answer->text();
  }
  EXPECT_EQ(refused, "RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded");
  ASSERT_TRUE(wait([&] { return !status(1).alarms.empty(); }));
  const GroupStatus seen = status(1);
  EXPECT_THAT(seen.problems, Contains(HasSubstr("alarm NOSPACE")));
  kv::CompactRequest compact;
  compact.revision = std::get<kv::RangeResponse>(call(1, range("k"))->get().response).revision;
  ASSERT_TRUE(call(1, compact)->ok());
  kv::TxnRequest deletes;
  kv::DeleteRangeRequest erase;
  erase.key = "k";
  deletes.success.push_back({erase});
  EXPECT_TRUE(call(1, deletes)->ok());  // what makes room is let through
  EXPECT_EQ(call(1, put("k", "small"))->text(), refused);
  auto off = ask<Position>([&](auto done) { plane(follower()).set_alarm(seen.alarms[0], false, {}, std::move(done)); });
  ASSERT_TRUE(off->ok()) << off->text();
  EXPECT_TRUE(call(leader(), put("k", "small"))->ok());
}

TEST_F(Planes, moreRequestsThanMayWaitAreRefused) {
  options_.max_calls = 10;
  found(3);
  run(kSecond);
  const uint64_t alone = leader();
  isolate(alone);
  std::vector<std::shared_ptr<Answer<CallReply>>> answers;
  for (int i = 0; i < 20; ++i) answers.push_back(send(alone, put("k", "v")));
  ASSERT_TRUE(wait([&] { return answers.back()->came(); }));
  EXPECT_EQ(answers.back()->text(), "RESOURCE_EXHAUSTED: etcdserver: too many requests");
  ASSERT_TRUE(wait([&] { return answers.front()->came(); }));
  EXPECT_FALSE(answers.front()->ok());
  EXPECT_TRUE(answers.front()->error().uncertain);  // it stood in a log
}

TEST_F(Planes, requestsOfAPlaneThatIsDestroyedAreAnswered) {
  found(3);
  const uint64_t leads = leader();
  isolate(leads);
  const auto write = send(leads, put("k", "v"));
  const auto read = send(leads, range("k"));
  auto member = std::make_shared<Answer<Position>>();
  plane(leads).remove_member(NodeId{2}, {}, into(member));
  auto stream = plane(leads).watch(kv::Space::kUser);
  auto next = std::make_shared<Answer<std::vector<kv::WatchResponse>>>();
  stream->next(1'000, into(next));
  run(10 * kMillisecond);
  const auto unopened = send(leads, put("k", "v"));
  process(leads).plane.reset();
  EXPECT_EQ(write->text(), "UNAVAILABLE: this node is stopping");
  EXPECT_TRUE(write->error().uncertain);
  EXPECT_EQ(read->text(), "UNAVAILABLE: this node is stopping");
  EXPECT_FALSE(read->error().uncertain);
  EXPECT_FALSE(member->ok());
  EXPECT_TRUE(member->came());
  EXPECT_EQ(next->text(), "UNAVAILABLE: this node is stopping");
  EXPECT_EQ(unopened->text(), "UNAVAILABLE: this node is stopping");
  auto late = std::make_shared<Answer<std::vector<kv::WatchResponse>>>();
  stream->next(1'000, into(late));
  run(kMillisecond);
  EXPECT_EQ(late->text(), "UNAVAILABLE: this node is stopping");
  stream.reset();  // it may outlive the plane, not the loop
  processes_[leads - 1].reset();
}

TEST_F(Planes, aLeaderWithoutRoomOnItsDiskGivesWayAndSaysWhy) {
  found(3);
  const uint64_t leads = leader();
  disks_[leads - 1]->set_capacity(0);
  const std::string much(500'000, 'v');  // more than its log has reserved, sooner or later
  ASSERT_TRUE(wait([&] { return call(leads, put("k", much))->text().find("RESOURCE_EXHAUSTED") == 0; }));
  ASSERT_TRUE(wait([&] { return leader() != leads; }));
  EXPECT_TRUE(call(leads, put("k", much))->ok()) << "passed on to whoever leads now";
  EXPECT_THAT(status(leads).problems, Contains(HasSubstr("its disk has no room")));
  disks_[leads - 1]->set_capacity(UINT64_MAX);
  EXPECT_TRUE(wait([&] { return status(leads).problems.empty(); }));
}

TEST_F(Planes, aFailedDiskHaltsItsMemberAndTheOthersGoOn) {
  found(3);
  const uint64_t leads = leader();
  disks_[leads - 1]->fail_sync(1);
  const auto answer = call(leads, put("k", "v"));
  EXPECT_FALSE(answer->ok());
  ASSERT_THAT(process(leads).halts, SizeIs(1));
  EXPECT_THAT(status(leads).problems[0], HasSubstr("stopped for good"));
  const auto after = call(leads, put("k", "v"));
  EXPECT_EQ(after->error().code, Code::kUnavailable);
  const uint64_t other = leads == 1 ? 2 : 1;
  EXPECT_TRUE(call(other, put("k", "w"))->ok());
}

// A halt leaves nobody waiting: neither whoever is under way nor whoever waits for a leader.
TEST_F(Planes, aHaltAnswersErrandsThatAreUnderWayAndThoseThatWait) {
  found(3);
  const uint64_t leads = leader();
  isolate(leads);
  auto under_way = std::make_shared<Answer<NodeId>>();
  plane(leads).add_member({peer_address(4), consensus::Role::kVoter, true}, {}, into(under_way));
  run(10 * kMillisecond);
  disks_[leads - 1]->fail_sync(1);
  const auto write = send(leads, put("k", "v"));
  ASSERT_TRUE(wait([&] { return process(leads).halts.size() == 1 && write->came() && under_way->came(); }));
  EXPECT_FALSE(under_way->ok());
  heal();

  const uint64_t waits = leader(leads);
  power_cut(leads);
  const uint64_t alone = waits == 1 ? (leads == 2 ? 3 : 2) : (leads == 1 ? (waits == 2 ? 3 : 2) : 1);
  power_cut(waits);
  ASSERT_TRUE(wait([&] { return plane(alone).replica().report().leader == kNobody; }));
  auto parked = std::make_shared<Answer<NodeId>>();
  CallOptions patient;
  patient.timeout_ns = 1'000 * kSecond;
  plane(alone).add_member({peer_address(4), consensus::Role::kVoter, true}, patient, into(parked));
  run(kSecond);
  EXPECT_FALSE(parked->came());
  disks_[alone - 1]->fail_sync(1);
  // Its next vote for itself is what it cannot write.
  ASSERT_TRUE(wait([&] { return parked->came(); }, 100 * kSecond));
  EXPECT_EQ(parked->error().code, Code::kUnavailable);
  EXPECT_THAT(process(alone).halts, SizeIs(1));
}

TEST_F(Planes, aKeepAliveThatMayNotBePassedOnNamesTheLeadersAddress) {
  found(3);
  run(kSecond);
  const uint64_t asked = follower();
  CallOptions here;
  here.forward = false;
  const auto renewal = ask<int64_t>([&](auto done) { plane(asked).keep_alive(kv::LeaseId{1}, here, std::move(done)); });
  ASSERT_FALSE(renewal->ok());
  EXPECT_EQ(renewal->error().leader_address, client_address(leader()));
  EXPECT_EQ(number(renewal->error().leader), leader());
}

TEST_F(Planes, aSessionThatHasEndedIsToldAtOnceWhoeverIsAsked) {
  found(3);
  const uint64_t asked = follower();
  const auto session = ask<consensus::SessionId>([&](auto done) { plane(asked).open_session({}, std::move(done)); });
  ASSERT_TRUE(session->ok());
  plane(asked).close_session(session->get(), {});
  run(kSecond);
  CallOptions options;
  options.session = session->get();
  options.sequence = 1;
  options.timeout_ns = 1'000 * kSecond;
  for (const uint64_t member : {asked, leader()}) {
    const auto answer = send(member, put("a", "1"), options);
    ASSERT_TRUE(wait([&] { return answer->came(); }, 2 * kSecond)) << "it is not tried again and again";
    ASSERT_FALSE(answer->ok());
    EXPECT_EQ(answer->error().code, Code::kFailedPrecondition);
    EXPECT_TRUE(answer->error().session_ended);
  }
  EXPECT_EQ(get(asked, "a"), "none");
}

TEST_F(Planes, whatAsksForAMillionKeysIsPassedByWhatAsksForOne) {
  found(1);
  for (int n = 0; n < 12'000; n += 100) {
    kv::TxnRequest puts;
    for (int i = n; i < n + 100; ++i) puts.success.push_back({put("k" + std::to_string(10'000 + i), "v")});
    ASSERT_TRUE(call(1, puts)->ok());
  }
  kv::RangeRequest all = range("k");
  all.range_end = "l";
  kv::RangeRequest sorted = all;
  sorted.sort_order = kv::SortOrder::kDescend;
  // It begins after the barrier; from then on each turn of the loop does a part of it.
  const auto first = send(1, all);
  const auto second = send(1, sorted);
  const auto one = send(1, range("k10000"));
  const auto written = send(1, put("k10000", "w"));
  ASSERT_TRUE(wait([&] { return one->came(); }));
  EXPECT_FALSE(first->came());
  ASSERT_TRUE(wait([&] { return first->came() && second->came() && written->came(); }));
  const auto& response = std::get<kv::RangeResponse>(first->get().response);
  EXPECT_EQ(response.count, 12'000);
  EXPECT_EQ(response.kvs.size(), 12'000u);
  EXPECT_EQ(response.kvs.front().value, "v") << "of the revision at which it began";
  EXPECT_EQ(std::get<kv::RangeResponse>(second->get().response).kvs.front().key, "k21999");
  // Whoever does not wait any more costs nothing more, and holds nobody up.
  CallOptions hasty;
  hasty.timeout_ns = 1;
  std::vector<std::shared_ptr<Answer<CallReply>>> given_up;
  for (int i = 0; i < 20; ++i) given_up.push_back(send(1, all, hasty));
  const auto last = send(1, all);
  ASSERT_TRUE(wait([&] { return last->came(); }));
  EXPECT_TRUE(last->ok());
}

}  // namespace
}  // namespace clew::control

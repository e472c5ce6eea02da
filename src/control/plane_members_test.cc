// Who belongs to the group, what of it can be seen, and what members keep of each other.
#include "control/plane.h"
#include "control/plane_rig_test.h"
#include "kv/machine_test.h"

namespace clew::control {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using consensus::Role;

class Members : public Planes {
 protected:
  std::shared_ptr<Answer<NodeId>> add(uint64_t asked, uint64_t machine, Role role = Role::kVoter,
                                      bool catch_up = true) {
    return ask<NodeId>([&](auto done) {
      plane(asked).add_member({peer_address(machine), role, catch_up}, {}, std::move(done));
    });
  }
  std::string remove(uint64_t asked, uint64_t id) {
    return ask<Position>([&](auto done) { plane(asked).remove_member(NodeId{id}, {}, std::move(done)); })->text();
  }
  std::string promote(uint64_t asked, uint64_t id) {
    return ask<Position>([&](auto done) { plane(asked).promote_member(NodeId{id}, {}, std::move(done)); })->text();
  }
  MemberStatus member(uint64_t asked, uint64_t id) {
    for (const MemberStatus& one : status(asked).members) {
      if (one.record.id == NodeId{id}) return one;
    }
    return {};
  }
};

TEST_F(Members, everyMemberPublishesItselfAndTheLeadersViewIsEverywhere) {
  found(3);
  run(2 * kSecond);
  for (uint64_t asked = 1; asked <= 3; ++asked) {
    const GroupStatus seen = status(asked);
    EXPECT_TRUE(seen.leader_view);
    EXPECT_EQ(number(seen.self), asked);
    EXPECT_EQ(seen.protocol, "raft");
    EXPECT_THAT(seen.problems, IsEmpty());
    ASSERT_EQ(seen.members.size(), 3u);
    for (uint64_t id = 1; id <= 3; ++id) {
      const MemberStatus& one = seen.members[id - 1];
      EXPECT_EQ(one.record.name, "node-" + std::to_string(id));
      EXPECT_EQ(one.record.client_address, client_address(id));
      EXPECT_THAT(one.record.peer_urls, ElementsAre("http://" + peer_address(id)));
      EXPECT_EQ(one.state, MemberState::kOnline) << id;
      EXPECT_EQ(one.role, id == leader() ? MemberRole::kPrimary : MemberRole::kSecondary);
    }
  }
}

TEST_F(Members, aDeadMemberIsOfflineAndTheProblemSaysHowManyMoreMayFail) {
  found(3);
  run(2 * kSecond);
  const uint64_t dead = leader();
  power_cut(dead);
  const uint64_t asked = leader();
  run(2 * kSecond);
  EXPECT_EQ(member(asked, dead).state, MemberState::kOffline);
  const GroupStatus seen = status(asked);
  EXPECT_THAT(seen.problems, Contains("1 of 3 voters cannot be reached; one more failure stops all writes"));
  EXPECT_THAT(seen.problems, Contains(HasSubstr("member " + std::to_string(dead) + " (node-" + std::to_string(dead) +
                                                "): not heard of")));
}

TEST_F(Members, aNewVoterIsALearnerUntilItHasCaughtUpAndThenCounts) {
  found(3);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(call(1, put("key" + std::to_string(i), std::string(500, 'v')))->ok());
  const auto added = add(follower(), 4);
  ASSERT_TRUE(added->ok()) << added->text();
  EXPECT_EQ(number(added->get()), 4u);
  EXPECT_EQ(member(leader(), 4).role, MemberRole::kLearner);
  EXPECT_TRUE(wait([&] { return member(leader(), 4).state == MemberState::kOffline; }));
  EXPECT_THAT(member(leader(), 4).problem, HasSubstr("never heard of; start it with --join"));
  ASSERT_TRUE(start(4, true, Membership()).open_status.ok());
  ASSERT_TRUE(wait([&] { return plane(leader()).replica().protocol().membership().votes(NodeId{4}); }));
  expect_agreement();
  EXPECT_EQ(get(4, "key49"), std::string(500, 'v'));
  ASSERT_TRUE(wait([&] { return member(leader(), 4).state == MemberState::kOnline; }));
  EXPECT_THAT(status(4).problems, IsEmpty());
  // Two of four may not go; with the new one, one may.
  power_cut(leader() == 1 ? 2 : 1);
  EXPECT_TRUE(call(4, put("after", "v"))->ok());
}

TEST_F(Members, theWishToPromoteOutlivesTheLeaderThatWasAsked) {
  found(3);
  ASSERT_TRUE(add(leader(), 4)->ok());
  const uint64_t dead = leader();
  power_cut(dead);
  leader();
  restart(dead);
  ASSERT_TRUE(start(4, true, Membership()).open_status.ok());
  EXPECT_TRUE(wait([&] { return plane(leader()).replica().protocol().membership().votes(NodeId{4}); }));
}

TEST_F(Members, oneIsReplacedInOneStep) {
  found(3);
  ASSERT_TRUE(call(1, put("key", "v"))->ok());
  power_cut(3);
  const uint64_t asked = leader() == 1 ? 2 : 1;
  const auto replace = [&](uint64_t id) {
    Service::NewMember member;
    member.replaces = NodeId{id};
    if (id == 3) member.peer_address = peer_address(4);  // where the rig starts it
    return ask<NodeId>([&](auto done) { plane(asked).add_member(std::move(member), {}, std::move(done)); });
  };
  EXPECT_EQ(replace(9)->text(), "NOT_FOUND: etcdserver: member not found");
  const auto replaced = replace(3);
  ASSERT_TRUE(replaced->ok()) << replaced->text();
  EXPECT_EQ(number(replaced->get()), 4u);
  const auto& members = plane(leader()).replica().protocol().membership();
  EXPECT_FALSE(members.contains(NodeId{3}));
  EXPECT_TRUE(members.votes(NodeId{4}));
  // Of three voters two are there: another one may not go.
  EXPECT_THAT(replace(leader() == 1 ? 2 : 1)->text(), HasSubstr("not enough started members"));
  ASSERT_TRUE(start(4, true, Membership()).open_status.ok());
  ASSERT_TRUE(wait([&] { return member(leader(), 4).state == MemberState::kOnline; }));
  expect_agreement();
  EXPECT_EQ(get(4, "key"), "v");
}

TEST_F(Members, aLearnerIsPromotedOnRequestOnlyWhenItHasCaughtUp) {
  found(3);
  ASSERT_TRUE(add(leader(), 4, Role::kLearner)->ok());
  EXPECT_EQ(promote(follower(), 4),
            "FAILED_PRECONDITION: etcdserver: can only promote a learner member which is in sync with leader");
  EXPECT_EQ(promote(follower(), 1), "FAILED_PRECONDITION: etcdserver: can only promote a learner member");
  EXPECT_EQ(promote(follower(), 9), "NOT_FOUND: etcdserver: member not found");
  ASSERT_TRUE(start(4, true, Membership()).open_status.ok());
  run(3 * kSecond);
  EXPECT_FALSE(plane(leader()).replica().protocol().membership().votes(NodeId{4}));
  EXPECT_EQ(promote(follower(), 4), "ok");
  EXPECT_TRUE(plane(leader()).replica().protocol().membership().votes(NodeId{4}));
}

TEST_F(Members, idsAreNeverGivenAwayTwice) {
  found(3);
  ASSERT_EQ(number(add(1, 4, Role::kLearner)->get()), 4u);
  EXPECT_EQ(add(2, 4)->text(), "FAILED_PRECONDITION: etcdserver: Peer URLs already exists");
  EXPECT_EQ(remove(3, 4), "ok");
  EXPECT_EQ(remove(3, 4), "NOT_FOUND: etcdserver: member not found");
  EXPECT_EQ(number(add(1, 4, Role::kLearner)->get()), 5u);
}

TEST_F(Members, theIdOfARemovedFounderIsNotGivenAwayEither) {
  found(3);
  run(kSecond);
  EXPECT_EQ(remove(leader(), 3), "ok");
  EXPECT_EQ(number(add(leader(3), 4, Role::kLearner)->get()), 4u);
}

TEST_F(Members, theLeaderCanBeRemovedAndItsRecordGoesWithIt) {
  found(3);
  run(kSecond);
  const uint64_t gone = leader();
  EXPECT_EQ(remove(follower(), gone), "ok");
  const uint64_t next = leader(gone);
  EXPECT_NE(next, gone);
  EXPECT_TRUE(call(next, put("a", "1"))->ok());
  EXPECT_EQ(status(next).members.size(), 2u);
  run(kSecond);
  EXPECT_THAT(plane(gone).spaces().machine(kv::Space::kSystem).store().get(member_key(NodeId{gone})).has_value(), true);
}

TEST_F(Members, aRemovalThatWouldLeaveNoQuorumIsRefused) {
  found(3);
  run(kSecond);
  const uint64_t dead = follower();
  power_cut(dead);
  run(3 * kSecond);
  const uint64_t leads = leader();
  uint64_t other = 6 - dead - leads;
  EXPECT_EQ(remove(leads, other),
            "FAILED_PRECONDITION: etcdserver: re-configuration failed due to not enough started members");
  EXPECT_EQ(remove(leads, dead), "ok");
}

TEST_F(Members, leadershipMovesToWhomItIsGiven) {
  found(3);
  const uint64_t from = leader();
  const uint64_t to = follower();
  auto moved = ask<NodeId>([&](auto done) { plane(from).transfer_leadership(NodeId{to}, {}, std::move(done)); });
  ASSERT_TRUE(moved->ok()) << moved->text();
  EXPECT_EQ(number(moved->get()), to);
  auto anybody = ask<NodeId>([&](auto done) { plane(from).transfer_leadership(kNobody, {}, std::move(done)); });
  ASSERT_TRUE(anybody->ok()) << anybody->text();
  EXPECT_NE(number(anybody->get()), to);
  auto nobody = ask<NodeId>([&](auto done) { plane(from).transfer_leadership(NodeId{9}, {}, std::move(done)); });
  EXPECT_EQ(nobody->error().code, Code::kFailedPrecondition);
}

TEST_F(Members, aSuccessorThatIsAwayForAMomentIsAskedAgain) {
  found(3);
  const uint64_t from = leader();
  const uint64_t to = follower();
  power_cut(to);
  CallOptions options;
  options.timeout_ns = 20 * kSecond;
  auto moved = std::make_shared<std::optional<NodeId>>();
  plane(from).transfer_leadership(NodeId{to}, options, [moved](std::variant<NodeId, CallError> answer) {
    *moved = std::holds_alternative<NodeId>(answer) ? std::get<NodeId>(answer) : kNobody;
  });
  run(3 * kSecond);  // the first attempt is over
  ASSERT_FALSE(moved->has_value());
  restart(to);
  ASSERT_TRUE(wait([&] { return moved->has_value(); }));
  EXPECT_EQ(moved->value(), NodeId{to});
}

TEST_F(Members, aWipedMemberIsRefusedAndReplacedAsANewOne) {
  found(3);
  ASSERT_TRUE(call(1, put("a", "1"))->ok());
  run(2 * kSecond);
  const uint64_t wiped = follower();
  power_cut(wiped);
  disks_[wiped - 1] = std::make_unique<sim::SimDisk>();
  ASSERT_FALSE(start(wiped, false, founding_).open_status.ok());  // an empty directory is no member's
  ASSERT_TRUE(start(wiped, true, founding_).open_status.ok());
  ASSERT_TRUE(wait([&] { return member(leader(wiped), wiped).state == MemberState::kError; }));
  EXPECT_THAT(member(leader(wiped), wiped).problem, HasSubstr("data directory is not the one that it had"));
  EXPECT_EQ(plane(wiped).replica().applied(), 0u);
  processes_[wiped - 1].reset();
  EXPECT_EQ(remove(leader(), wiped), "ok");
  ASSERT_EQ(number(add(leader(), 4)->get()), 4u);
  ASSERT_TRUE(start(4, true, Membership()).open_status.ok());
  ASSERT_TRUE(wait([&] { return plane(leader()).replica().protocol().membership().votes(NodeId{4}); }));
  EXPECT_EQ(get(4, "a"), "1");
}

TEST_F(Members, aWitnessVotesAndPassesOnWhatItCannotAnswer) {
  options_.seeds = {client_address(1), client_address(2)};
  found({member_of(1), member_of(2), member_of(3, Role::kWitness)});
  EXPECT_TRUE(call(3, put("a", "1"))->ok());
  EXPECT_EQ(get(3, "a"), "1");
  auto stream = plane(3).watch(kv::Space::kUser);
  auto next = ask<std::vector<kv::WatchResponse>>([&](auto done) { stream->next(1'000, std::move(done)); });
  EXPECT_EQ(next->error().code, Code::kUnavailable);
  auto copy = plane(3).snapshot();
  auto piece = ask<std::string>([&](auto done) { copy->next(1'000, std::move(done)); });
  EXPECT_EQ(piece->error().code, Code::kUnavailable);
  run(kSecond);
  const GroupStatus seen = status(leader());
  EXPECT_EQ(seen.members[2].role, MemberRole::kWitness);
  EXPECT_EQ(seen.members[2].record.name, "node-3");
  // Its vote is what keeps the group going.
  power_cut(leader());
  EXPECT_TRUE(call(3, put("a", "2"))->ok());
}

TEST_F(Members, customCommandsAreTakenOnlyWhenAllMembersHaveTheSame) {
  kv::CustomRegistry with;
  with.add("touch", 1, [](kv::CustomContext& context, std::string_view key) -> Result<std::string> {
    context.put(key, "touched");
    return std::string("done");
  });
  registries_ = {&with, &with, &registry_, &with, &with};
  found(3);
  run(kSecond);
  const kv::CustomRequest touch{"touch", 1, "k"};
  EXPECT_THAT(call(1, touch)->text(), HasSubstr("member"));
  const auto of_the_system = call(1, touch, {}, kv::Space::kSystem);
  EXPECT_THAT(of_the_system->text(), HasSubstr("FAILED_PRECONDITION: member"));
  EXPECT_THAT(status(leader()).problems, Contains(HasSubstr("has other custom commands registered")));
  power_cut(3);
  registries_[2] = &with;
  restart(3);
  ASSERT_TRUE(wait([&] { return call(1, touch)->ok(); }));
  EXPECT_EQ(get(3, "k"), "touched");
  expect_agreement();
}

// --- Watches ---

class Watching : public Planes {
 protected:
  void follow(uint64_t id, kv::WatchRequest request) {
    stream_ = plane(id).watch(kv::Space::kUser);
    stream_->create(std::move(request));
    pull();
  }
  void pull() {
    stream_->next(1'000, [this](std::variant<std::vector<kv::WatchResponse>, CallError> answer) {
      if (auto* const error = std::get_if<CallError>(&answer)) {
        ended_ = error->message;
        return;
      }
      for (const kv::WatchResponse& response : std::get<0>(answer)) {
        for (const auto& event : response.events) seen_.push_back(event->kv.value);
      }
      pull();
    });
  }
  std::unique_ptr<WatchStream> stream_;
  std::vector<std::string> seen_;
  std::string ended_;
};

TEST_F(Watching, eachChangeIsSeenOnceInOrderAcrossChangesOfTheLeader) {
  found(3);
  const uint64_t watched = follower();
  kv::WatchRequest everything;
  everything.key = std::string(1, '\0');
  everything.range_end = std::string(1, '\0');
  everything.start_revision = 2;
  std::vector<std::string> expected;
  for (int i = 0; i < 30; ++i) {
    expected.push_back(std::to_string(i));
    ASSERT_TRUE(call(watched, put("k", expected.back()))->ok());
    if (i == 5) follow(watched, everything);
    if (i == 10) {
      const uint64_t dead = leader();
      power_cut(dead);
      leader();
      restart(dead);
    }
    if (i == 20) {
      ask<NodeId>([&](auto done) { plane(watched).transfer_leadership(kNobody, {}, std::move(done)); });
    }
  }
  ASSERT_TRUE(wait([&] { return seen_.size() >= expected.size(); }));
  EXPECT_EQ(seen_, expected);
  EXPECT_EQ(ended_, "");
  stream_.reset();
  run(kMillisecond);
  EXPECT_EQ(plane(watched).stats().watchers, 0u);
  EXPECT_EQ(plane(watched).stats().watch_streams, 0u);
}

TEST_F(Watching, streamsBeyondTheBoundAreRefused) {
  options_.max_watch_streams = 1;
  found(1);
  auto first = plane(1).watch(kv::Space::kUser);
  auto second = plane(1).watch(kv::Space::kUser);
  auto next = ask<std::vector<kv::WatchResponse>>([&](auto done) { second->next(1'000, std::move(done)); });
  EXPECT_EQ(next->error().code, Code::kResourceExhausted);
}

TEST_F(Watching, aClientThatAsksWithoutTakingAnswersIsCutOff) {
  found(1);
  auto stream = plane(1).watch(kv::Space::kUser);
  for (int i = 0; i < 20'000; ++i) stream->request_progress();
  run(kSecond);
  std::string end;
  for (int i = 0; i < 20'000 && end.empty(); ++i) {
    auto next = ask<std::vector<kv::WatchResponse>>([&](auto done) { stream->next(1, std::move(done)); });
    if (!next->ok()) end = next->text();
  }
  EXPECT_THAT(end, HasSubstr("RESOURCE_EXHAUSTED: requests of this watch stream came faster"));
}

// --- Snapshots ---

TEST_F(Planes, aSnapshotStreamIsTheStateWithItsChecksumAndLeavesNoFile) {
  found(1);
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(call(1, put("key" + std::to_string(i), std::string(1'000, 'v')))->ok());
  auto stream = plane(1).snapshot();
  std::string bytes;
  for (;;) {
    auto piece = ask<std::string>([&](auto done) { stream->next(10'000, std::move(done)); });
    ASSERT_TRUE(piece->ok()) << piece->text();
    if (piece->get().empty()) break;
    EXPECT_LE(piece->get().size(), 10'000u);
    bytes += piece->get();
  }
  EXPECT_EQ(stream->total_bytes(), bytes.size());
  ASSERT_GT(bytes.size(), 300'000u);
  const std::string state = bytes.substr(0, bytes.size() - 16);
  const Hash128 hash = stable_hash128(state);
  std::string trailer(16, '\0');
  std::memcpy(trailer.data(), &hash.lo, 8);
  std::memcpy(trailer.data() + 8, &hash.hi, 8);
  EXPECT_EQ(bytes.substr(state.size()), trailer);
  auto copy = kv::Spaces::open({std::make_unique<kv::MemoryEngine>(), std::make_unique<kv::MemoryEngine>()}, registry_);
  kv::StringSource source(state, 1'000);
  ASSERT_TRUE((*copy)->restore(source).ok());
  EXPECT_EQ((*copy)->digest(), plane(1).spaces().digest());
  EXPECT_EQ(disks_[0]->list("/data/exports")->size(), 1u);
  stream.reset();
  run(kSecond);
  EXPECT_EQ(disks_[0]->list("/data/exports")->size(), 0u);

  std::vector<std::unique_ptr<Service::SnapshotStream>> many;
  for (size_t i = 0; i <= SnapshotExports::kMaxExports; ++i) many.push_back(plane(1).snapshot());
  auto refused = ask<std::string>([&](auto done) { many.back()->next(1, std::move(done)); });
  EXPECT_EQ(refused->error().code, Code::kResourceExhausted);
  auto taken = ask<std::string>([&](auto done) { many.front()->next(1, std::move(done)); });
  EXPECT_TRUE(taken->ok());
}

// --- What stands in the system space ---

TEST(SystemSpace, aRecordIsReadBackAndDamageIsRefused) {
  MemberRecord record;
  record.id = NodeId{3};
  record.name = "n3";
  record.version = "1.2";
  record.client_address = "h:1";
  record.etcd_urls = {"http://h:2", "http://i:2"};
  record.http_address = "h:3";
  record.peer_urls = {"http://h:4"};
  record.custom_commands = {5, 6};
  const std::string bytes = encode(record);
  EXPECT_EQ(*parse_member_record(bytes), record);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(parse_member_record(bytes.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(parse_member_record(bytes + "x").ok());
  EXPECT_EQ(prefix_end("members/"), "members0");
}

}  // namespace
}  // namespace clew::control

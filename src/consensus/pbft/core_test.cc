// PBFT's core by itself: real keys, what a liar may send and what becomes of it, bounds. How a group works is in the
// transcripts; random schedules in chaos_test.cc; lying members in the simulator's profile "liars".
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "consensus/pbft/cores_test.h"
#include "consensus/pbft/records.h"
#include "os/ed25519.h"

namespace clew::consensus::pbft {
namespace {

// Cores whose keys are real.
struct RealKeysPlay : PbftPlay {
  static const os::Ed25519Key& key(NodeId id) {
    static std::map<NodeId, os::Ed25519Key> keys;
    auto found = keys.find(id);
    if (found == keys.end()) found = keys.emplace(id, os::Ed25519Key::generate().value()).first;
    return found->second;
  }
  class RealSigner final : public Signer {
   public:
    explicit RealSigner(NodeId self) : self_(self) {}
    std::string sign(std::string_view message) const override { return key(self_).sign(message); }

   private:
    NodeId self_;
  };
  static void complete(Options& options) { options.signer = std::make_shared<RealSigner>(options.self); }
  static bool verify(const VerifyRequest& request) {
    return key(request.signer).public_key().verify(request.message, request.signature);
  }
};

template <typename T>
struct Four {
  explicit Four(size_t full_batch = 1) : cores(1) {
    for (uint64_t i = 1; i <= 4; ++i) {
      Options options;
      options.self = NodeId{i};
      options.founding = Membership::of_voters({NodeId{1}, NodeId{2}, NodeId{3}, NodeId{4}});
      options.checkpoint_every = 4;
      options.snapshot_every_bytes = 2'000;
      options.full_batch = full_batch;
      cores.add(options);
    }
    cores.trace_to([this](const std::string& line) { story += line + "\n"; });
    cores.settle();
  }
  // As `from` would send it.
  void inject(uint64_t from, uint64_t to, const Message& message) {
    cores.turn(NodeId{to}, [&](Pbft& core) { core.receive(cores.now(), NodeId{from}, encode(message)); });
  }
  bool refused(std::string_view reason) const {
    return story.find("(" + std::string(reason) + ")") != std::string::npos;
  }

  std::string story;
  consensus::Cores<T> cores;
};

Request signed_request(uint64_t by, uint64_t timestamp, const std::vector<std::string>& commands) {
  Request request{NodeId{by}, timestamp, EntryKind::kCommand, {}, {}};
  for (const std::string& command : commands) request.commands.emplace_back(command);
  request.signature =
      test_signature(NodeId{by}, statement(0, Claim::kRequest, 0, 0, request_digest(request), NodeId{by}));
  return request;
}

VoteMessage vote(Claim claim, uint64_t by, Epoch view, Sequence seq, const Digest& digest) {
  return {claim, view, seq, digest, test_signature(NodeId{by}, statement(0, claim, view, seq, digest, NodeId{by}))};
}

ViewChange signed_change(uint64_t by, Epoch view) {
  ViewChange message;
  message.view = view;
  message.sender = NodeId{by};
  message.signature =
      test_signature(message.sender, statement(0, Claim::kViewChange, view, 0, message.digest(), message.sender));
  return message;
}

TEST(PbftCore, agreesWithRealKeys) {
  Four<RealKeysPlay> group;
  group.cores.propose(NodeId{3}, "x");
  group.cores.settle();
  group.cores.crash(NodeId{1});
  group.cores.propose(NodeId{2}, "y");
  group.cores.run(kSecond);
  for (uint64_t i = 2; i <= 4; ++i) EXPECT_EQ(group.cores.node(NodeId{i}).state, "x,y,") << i;
  EXPECT_EQ(group.cores.failure(), std::nullopt);
  EXPECT_FALSE(group.refused("a wrong signature"));
}

TEST(PbftCore, refusesFewerThanFourVotersWithTheReason) {
  Options options;
  options.self = NodeId{1};
  options.signer = std::make_shared<TestSigner>(NodeId{1});
  options.founding = Membership::of_voters({NodeId{1}, NodeId{2}, NodeId{3}});
  const Status status = options.check();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("3f + 1"), std::string_view::npos) << status.message();
}

TEST(PbftCore, dropsARequestThatItsGatewayDidNotSign) {
  Four<PbftPlay> group;
  Request request{NodeId{3}, 1, EntryKind::kCommand, {Payload("invented")}, test_signature(NodeId{1}, "nothing")};
  group.inject(1, 2, RequestMessage{request});
  EXPECT_TRUE(group.refused("a wrong signature"));
  // Nor in a batch of the primary.
  const BatchPtr batch = make_batch(1, {request});
  const std::string signature =
      test_signature(NodeId{1}, statement(0, Claim::kPrePrepare, 1, 1, batch->digest, NodeId{1}));
  group.inject(1, 2, PrePrepare{1, 1, batch, signature});
  EXPECT_EQ(group.cores.core(NodeId{2}).slot(1), nullptr);
}

TEST(PbftCore, aPrimaryPassesNobodyOverWhileRequestsWaitForLong) {
  for (const bool waits : {false, true}) {
    Four<PbftPlay> group;
    for (uint64_t to = 1; to <= 3; ++to) group.cores.cut(NodeId{4}, NodeId{to});
    if (waits) group.inject(3, 4, RequestMessage{signed_request(3, 1, {"x"})});
    for (const uint64_t view : {1, 2}) {
      for (uint64_t to = 1; to <= 4; ++to) {
        if (to != view) group.inject(view, to, Abdicate{view, view + 1});
      }
      group.cores.settle();
      ASSERT_EQ(group.cores.core(NodeId{4}).report().epoch, view + 1);
    }
    group.inject(3, 4, Abdicate{3, 5});
    EXPECT_EQ(group.cores.core(NodeId{4}).report().epoch, waits ? 4u : 5u);
  }
}

TEST(PbftCore, theCommandsOfATurnShareASignature) {
  Four<PbftPlay> group;
  const auto ids = group.cores.propose(NodeId{3}, std::vector<std::string>{"x", "y", "z"});
  group.cores.settle();
  for (uint64_t i = 1; i <= 4; ++i) EXPECT_EQ(group.cores.node(NodeId{i}).state, "x,y,z,") << i;
  const Slot* const slot = group.cores.core(NodeId{2}).slot(1);
  ASSERT_NE(slot, nullptr);
  ASSERT_EQ(slot->committed_batch->requests.size(), 1u);
  EXPECT_EQ(slot->committed_batch->requests[0].commands.size(), 3u);
  // Each has a position and an answer of its own.
  const auto& placed = group.cores.node(NodeId{3}).placed;
  ASSERT_EQ(placed.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(placed[i].id, ids[i]) << i;
    EXPECT_EQ(placed[i].position, i + 1) << i;
  }
  // They outlive the primary to whom they were sent, together.
  group.cores.crash(NodeId{1});
  group.cores.propose(NodeId{2}, std::vector<std::string>{"u", "v"});
  group.cores.run(kSecond);
  for (uint64_t i = 2; i <= 4; ++i) EXPECT_EQ(group.cores.node(NodeId{i}).state, "x,y,z,u,v,") << i;
  EXPECT_EQ(group.cores.failure(), std::nullopt);
}

TEST(PbftCore, aTurnOfManyCommandsIsSeveralRequests) {
  Four<PbftPlay> group;
  const std::vector<std::string> commands(kMaxCommandsOfRequest + 1, "x");
  group.cores.propose(NodeId{1}, commands);
  group.cores.settle();
  EXPECT_EQ(group.cores.node(NodeId{1}).placed.size(), commands.size());
  EXPECT_EQ(group.cores.node(NodeId{4}).applied, commands.size());
  EXPECT_EQ(group.cores.core(NodeId{2}).slot(1)->committed_batch->requests.size(), 2u);
}

TEST(PbftCore, nobodyTakesACommandOutOfARequestOrPutsOneIn) {
  for (const bool more : {false, true}) {
    Four<PbftPlay> group;
    Request request = signed_request(3, 1, {"x", "y"});
    if (more) {
      request.commands.emplace_back(std::string("z"));
    } else {
      request.commands.pop_back();
    }
    group.inject(1, 2, RequestMessage{request});
    EXPECT_TRUE(group.refused("a wrong signature"));
    const BatchPtr batch = make_batch(1, {request});
    group.inject(
        1, 2,
        PrePrepare{1, 1, batch,
                   test_signature(NodeId{1}, statement(0, Claim::kPrePrepare, 1, 1, batch->digest, NodeId{1}))});
    EXPECT_EQ(group.cores.core(NodeId{2}).slot(1), nullptr);
  }
}

TEST(PbftCore, aRequestThatIsOrderedTwiceTakesEffectOnce) {
  Four<PbftPlay> group;
  const BatchPtr batch = make_batch(1, {signed_request(3, 1, {"x", "y"})});
  for (Sequence seq = 1; seq <= 2; ++seq) {  // its primary lies to all
    for (uint64_t to = 2; to <= 4; ++to) {
      group.inject(
          1, to,
          PrePrepare{1, seq, batch,
                     test_signature(NodeId{1}, statement(0, Claim::kPrePrepare, 1, seq, batch->digest, NodeId{1}))});
    }
  }
  group.cores.settle();
  for (uint64_t i = 2; i <= 4; ++i) EXPECT_EQ(group.cores.node(NodeId{i}).state, "x,y,") << i;
}

TEST(PbftCore, aSmallBatchWaitsForCompanyAndAFullOneDoesNot) {
  Four<PbftPlay> group(3);
  group.cores.propose(NodeId{1}, "a");  // nothing is in agreement
  EXPECT_NE(group.cores.core(NodeId{1}).slot(1), nullptr);
  group.cores.propose(NodeId{1}, "b");
  group.cores.propose(NodeId{1}, "c");
  EXPECT_EQ(group.cores.core(NodeId{1}).slot(2), nullptr);
  group.cores.propose(NodeId{1}, "d");  // three are a batch
  ASSERT_NE(group.cores.core(NodeId{1}).slot(2), nullptr);
  EXPECT_EQ(group.cores.core(NodeId{1}).slot(2)->batch->commands(), 3u);
  group.cores.propose(NodeId{1}, "e");
  group.cores.settle();
  for (uint64_t i = 1; i <= 4; ++i) EXPECT_EQ(group.cores.node(NodeId{i}).state, "a,b,c,d,e,") << i;
}

TEST(PbftCore, whoServedAFalseStateIsNotAskedAgainAtOnce) {
  Four<PbftPlay> group;
  group.cores.hold_fetches(true);
  for (uint64_t i = 1; i <= 3; ++i) {
    group.cores.cut(NodeId{4}, NodeId{i});
    group.cores.cut(NodeId{i}, NodeId{4});
  }
  for (int i = 0; i < 60; ++i) {
    group.cores.propose(NodeId{2}, std::string(40, 'x'));
    group.cores.settle();
  }
  ASSERT_GT(group.cores.core(NodeId{1}).report().snapshot.position, 0u);
  group.cores.heal();
  const auto source = [&] {
    const auto& fetch = group.cores.node(NodeId{4}).fetch;
    return fetch ? fetch->from : kNobody;
  };
  while (source() == kNobody && group.cores.now() < 60 * kSecond) group.cores.run(10 * kMillisecond);
  const NodeId liar = source();
  ASSERT_NE(liar, kNobody);
  group.cores.finish_fetch(NodeId{4}, false);  // its bytes were not what f + 1 have signed
  while (source() == kNobody && group.cores.now() < 60 * kSecond) group.cores.run(10 * kMillisecond);
  EXPECT_NE(source(), kNobody);
  EXPECT_NE(source(), liar);
  group.cores.hold_fetches(false);
  group.cores.run(kSecond);
  EXPECT_EQ(group.cores.node(NodeId{4}).state, group.cores.node(NodeId{1}).state);
  EXPECT_EQ(group.cores.failure(), std::nullopt);
}

TEST(PbftCore, preparesOneDigestForANumber) {
  Four<PbftPlay> group;
  const BatchPtr one = null_batch();
  const auto proposal = [&](const BatchPtr& batch) {
    return PrePrepare{1, 1, batch,
                      test_signature(NodeId{1}, statement(0, Claim::kPrePrepare, 1, 1, batch->digest, NodeId{1}))};
  };
  group.inject(1, 2, proposal(one));
  const Request request = signed_request(1, 1, {"x"});
  group.inject(1, 2, proposal(make_batch(1, {request})));
  EXPECT_TRUE(group.refused("two digests for one number"));
  EXPECT_EQ(group.cores.core(NodeId{2}).slot(1)->digest, one->digest);
}

TEST(PbftCore, countsAVoterOnceAndAnotherDigestNever) {
  Four<PbftPlay> group;
  const Digest digest = null_batch()->digest;
  group.inject(1, 2,
               PrePrepare{1, 1, null_batch(),
                          test_signature(NodeId{1}, statement(0, Claim::kPrePrepare, 1, 1, digest, NodeId{1}))});
  Digest other = digest;
  other.bytes[0] ^= 1;
  for (int i = 0; i < 3; ++i) group.inject(3, 2, vote(Claim::kCommit, 3, 1, 1, digest));
  group.inject(4, 2, vote(Claim::kCommit, 4, 1, 1, other));
  group.inject(1, 2, vote(Claim::kPrepare, 1, 1, 1, digest));
  EXPECT_TRUE(group.refused("a prepare of the primary"));
  EXPECT_FALSE(group.cores.core(NodeId{2}).slot(1)->prepared);
  EXPECT_FALSE(group.cores.core(NodeId{2}).slot(1)->committed);
  group.inject(4, 2, vote(Claim::kPrepare, 4, 1, 1, digest));
  EXPECT_TRUE(group.cores.core(NodeId{2}).slot(1)->prepared);  // its own is the other one of 2f
}

TEST(PbftCore, keepsNothingOutsideOfTheWindow) {
  Four<PbftPlay> group;
  const size_t before = group.cores.core(NodeId{2}).state().slots;
  group.inject(3, 2, vote(Claim::kPrepare, 3, 1, 1'000, {}));
  group.inject(3, 2, vote(Claim::kCheckpoint, 3, 0, 4'000'000, {}));
  EXPECT_TRUE(group.refused("outside of the window"));
  EXPECT_EQ(group.cores.core(NodeId{2}).state().slots, before);
  EXPECT_EQ(group.cores.core(NodeId{2}).slot(1'000), nullptr);
  // What belongs to a later view waits, a little of it.
  for (int i = 0; i < 1'000; ++i) group.inject(3, 2, vote(Claim::kPrepare, 3, 9, 1, {}));
  EXPECT_TRUE(group.refused("too much of a later view"));
  // Of one that nobody will live to see nothing does.
  group.inject(4, 2, vote(Claim::kPrepare, 4, uint64_t{1} << 62, 1, {}));
  EXPECT_TRUE(group.refused("of a view in the far future"));
}

TEST(PbftCore, boundsWhatWaitsForAVerdictInMessagesAndBytes) {
  const auto refusals = [](uint64_t max_bytes, size_t command, size_t messages, size_t max_signatures = 8'192) {
    Options options;
    options.self = NodeId{2};
    options.founding = Membership::of_voters({NodeId{1}, NodeId{2}, NodeId{3}, NodeId{4}});
    options.signer = std::make_shared<TestSigner>(options.self);
    options.max_unverified = 64;
    options.max_unverified_bytes = max_bytes;
    options.max_unverified_signatures = max_signatures;
    Pbft core(options, 1);
    core.start(0, 1, false);
    for (uint64_t i = 1; i <= messages; ++i) {  // whose signatures nobody checks here
      const Request request = signed_request(3, i, {std::string(command, 'x')});
      core.receive(0, NodeId{3}, encode(Message(RequestMessage{request})));
    }
    Effects effects;
    core.collect(0, effects);
    return std::count_if(effects.facts.begin(), effects.facts.end(),
                         [](const Fact& fact) { return fact.reason == "too many to be checked"; });
  };
  EXPECT_EQ(refusals(64 << 20, 10, 64), 0);
  EXPECT_EQ(refusals(64 << 20, 10, 70), 6);
  EXPECT_EQ(refusals(10'000, 3'000, 5), 2);  // three fit
  EXPECT_EQ(refusals(1'000, 3'000, 2), 1);   // one does always
  EXPECT_EQ(refusals(64 << 20, 10, 5, 2), 3);
}

// A vote may come before its sender is removed: it counted then, and one liar among the new members made two.
TEST(PbftCore, aRemovedMembersVotesDoNotCountAnyMore) {
  consensus::Cores<PbftPlay> cores(1);
  const auto five = Membership::of_voters({NodeId{1}, NodeId{2}, NodeId{3}, NodeId{4}, NodeId{5}});
  for (uint64_t i = 1; i <= 5; ++i) {
    Options options;
    options.self = NodeId{i};
    options.founding = five;
    options.checkpoint_every = 4;
    cores.add(options);
  }
  cores.settle();
  Digest bogus;
  bogus.bytes[0] = 1;
  const auto lie = [&](uint64_t by) {  // about the checkpoint behind the one at which members change
    for (uint64_t to = 1; to <= 3; ++to) {
      cores.turn(NodeId{to}, [&](Pbft& core) {
        core.receive(cores.now(), NodeId{by}, encode(Message(vote(Claim::kCheckpoint, by, 0, 16, bogus))));
      });
    }
  };
  lie(5);
  cores.reconfigure(NodeId{1}, Membership::of_voters({NodeId{1}, NodeId{2}, NodeId{3}, NodeId{4}}));
  cores.settle();
  ASSERT_EQ(cores.core(NodeId{1}).governing().voters(), 4u);
  ASSERT_LT(cores.core(NodeId{1}).state().executed, 16u);
  lie(4);
  for (int i = 0; i < 8; ++i) {
    cores.propose(NodeId{2}, "x");
    cores.settle();
  }
  for (uint64_t i = 1; i <= 3; ++i) {
    EXPECT_TRUE(cores.up(NodeId{i})) << i;
    EXPECT_GE(cores.core(NodeId{i}).state().stable, 16u) << i;
  }
}

// Who may not vote orders nothing, and in a group where nobody asks for anything nobody would grow impatient.
TEST(PbftCore, aPrimaryThatLacksWhatItSaidIsReplaced) {
  Four<PbftPlay> group;
  StatusReport damaged{.view = 1, .active = true, .wants = 3};
  for (uint64_t to = 2; to <= 4; ++to) group.inject(1, to, damaged);
  group.cores.settle();
  for (uint64_t i = 1; i <= 4; ++i) EXPECT_EQ(group.cores.core(NodeId{i}).state().view, 2u) << i;
  damaged.view = 2;
  group.inject(1, 3, damaged);  // one that is no primary changes nothing
  EXPECT_EQ(group.cores.core(NodeId{3}).state().view, 2u);
}

// Batches without a request cost signatures, in memory and on disk: they lead to a saved state, too.
TEST(PbftCore, nullRequestsLeadToASavedStateAsWell) {
  Four<PbftPlay> group;
  for (Sequence wanted = 4; wanted <= 12; wanted += 4) {
    for (uint64_t to = 1; to <= 4; ++to) group.inject(3, to, StatusReport{.view = 1, .active = true, .wants = wanted});
    group.cores.settle();
    group.cores.advance(10 * kSecond);  // a member that wants one checkpoint after another has to wait
  }
  EXPECT_GE(group.cores.core(NodeId{1}).state().executed, 12u);
  for (uint64_t i = 1; i <= 4; ++i) EXPECT_GT(group.cores.core(NodeId{i}).state().base, 0u) << i;
}

TEST(PbftCore, oneWhoWantsEveryCheckpointIsServedNowAndThen) {
  Four<PbftPlay> group;
  for (Sequence wanted = 4; wanted <= 8; wanted += 4) {
    for (uint64_t to = 1; to <= 4; ++to) group.inject(3, to, StatusReport{.view = 1, .active = true, .wants = wanted});
    group.cores.settle();
  }
  EXPECT_EQ(group.cores.core(NodeId{1}).state().executed, 4u);
}

TEST(PbftCore, answersAreBoundedFromHeartbeatToHeartbeat) {
  Four<PbftPlay> group;
  group.cores.propose(NodeId{1}, std::string(1 << 20, 'x'));
  group.cores.settle();
  const Slot* const slot = group.cores.core(NodeId{2}).slot(1);
  ASSERT_NE(slot, nullptr);
  const std::string fetch = encode(Message(FetchBatch{1, slot->committed_batch->digest}));
  const std::string behind = encode(Message(StatusReport{.view = 1, .active = true, .asks = true}));
  const auto answers = [&](const std::string& question, std::string_view answer) {
    group.story.clear();
    group.cores.turn(NodeId{2}, [&](Pbft& core) {
      for (int i = 0; i < 100; ++i) core.receive(group.cores.now(), NodeId{3}, question);
    });
    size_t count = 0;
    for (size_t at = 0; (at = group.story.find(answer, at)) != std::string::npos; ++at) ++count;
    return count;
  };
  EXPECT_EQ(answers(fetch, "-> 3 BATCH"), 4u);  // of a megabyte each
  EXPECT_EQ(answers(fetch, "-> 3 BATCH"), 0u);
  EXPECT_EQ(answers(behind, "-> 3 "), 0u);
  group.cores.run(2 * Options().heartbeat);
  EXPECT_EQ(answers(behind, "-> 3 COMMITTED"), 4u);
}

TEST(PbftCore, refusesANewViewWithoutTheChangesThatLeadToIt) {
  Four<PbftPlay> group;
  NewView message;
  message.view = 2;
  message.first = 1;
  message.order.emplace_back(
      null_batch()->digest,
      test_signature(NodeId{2}, statement(0, Claim::kPrePrepare, 2, 1, null_batch()->digest, NodeId{2})));
  message.signature = test_signature(NodeId{2}, statement(0, Claim::kNewView, 2, 0, message.digest(), NodeId{2}));
  group.inject(2, 3, message);
  EXPECT_TRUE(group.refused("a new view of too few"));
  EXPECT_EQ(group.cores.core(NodeId{3}).state().view, 1u);
}

TEST(PbftCore, joinsALaterViewForTwoAndNotForOne) {
  Four<PbftPlay> group;
  group.inject(3, 2, signed_change(3, 1'000'000));
  EXPECT_EQ(group.cores.core(NodeId{2}).state().view, 1u);
  group.inject(4, 2, signed_change(4, 3));
  EXPECT_EQ(group.cores.core(NodeId{2}).state().view, 3u);  // the latest that one honest member asks for at least
}

// Its requests reach nobody: the others have no cause, and it goes on taking part.
TEST(PbftCore, aMemberThatIsAloneWithItsComplaintStaysInItsView) {
  Four<PbftPlay> group;
  group.cores.cut(NodeId{2}, NodeId{1});
  group.cores.propose(NodeId{2}, "x");
  for (uint64_t to = 3; to <= 4; ++to) group.cores.cut(NodeId{2}, NodeId{to});
  group.story.clear();
  group.inject(1, 2, RequestMessage{signed_request(1, 1, {"y"})});
  group.cores.run(5 * kSecond);
  EXPECT_NE(group.story.find("2: leader_suspected"), std::string::npos);
  EXPECT_EQ(group.cores.core(NodeId{2}).state().view, 1u);
  EXPECT_TRUE(group.cores.core(NodeId{2}).state().active);
}

TEST(PbftCore, leavesAViewThatTwoOthersSuspectAndNotForOne) {
  const auto suspects = [](Epoch view) { return StatusReport{.view = view, .active = true, .suspects = true}; };
  Four<PbftPlay> group;
  for (int i = 0; i < 10; ++i) group.inject(3, 2, suspects(kMaxNumber));
  EXPECT_EQ(group.cores.core(NodeId{2}).state().view, 1u);
  group.inject(4, 2, suspects(1));
  EXPECT_EQ(group.cores.core(NodeId{2}).state().view, 2u);
  // What was said long ago is not held against a view.
  Four<PbftPlay> later;
  later.inject(3, 2, suspects(1));
  later.cores.run(kSecond);
  later.inject(4, 2, suspects(1));
  EXPECT_EQ(later.cores.core(NodeId{2}).state().view, 1u);
}

// The hand-over of a primary that lies, or dies in the middle of it, reached one member only.
TEST(PbftCore, oneThatLeftItsViewAloneIsFollowed) {
  for (const Epoch next : {2, 3, 4}) {
    Four<PbftPlay> group;
    group.inject(1, 4, Abdicate{1, next});
    ASSERT_FALSE(group.cores.core(NodeId{4}).state().active);
    group.cores.run(kSecond);
    EXPECT_EQ(group.cores.core(NodeId{1}).state().view, 1u) << "not at once";
    group.cores.run(10 * kSecond);
    const Epoch view = group.cores.core(NodeId{1}).state().view;
    EXPECT_GE(view, next);
    for (uint64_t i = 1; i <= 4; ++i) {
      EXPECT_TRUE(group.cores.core(NodeId{i}).state().active) << i;
      EXPECT_EQ(group.cores.core(NodeId{i}).state().view, view) << i;
    }
  }
}

// Nobody asks for anything, so that nobody else would notice; one that is no primary is not heard alone.
TEST(PbftCore, goesWithAPrimaryThatGivesUpItsView) {
  Four<PbftPlay> group;
  group.inject(1, 2, signed_change(1, 3));
  EXPECT_EQ(group.cores.core(NodeId{2}).state().view, 1u) << "it does not say who is next";
  for (uint64_t at = 2; at <= 4; ++at) group.inject(1, at, signed_change(1, 2));
  group.cores.settle();
  for (uint64_t at = 2; at <= 4; ++at) {
    EXPECT_EQ(group.cores.core(NodeId{at}).state().view, 2u) << at;
    EXPECT_EQ(group.cores.core(NodeId{at}).report().leader, NodeId{2}) << at;
  }
}

// A member that catches up is handed proofs of later views first, and by a liar whatever was signed once. Only a batch
// that was committed before a view can not be missing in it.
TEST(PbftCore, aNewViewOrdersAnotherBatchWhereOneIsCommitted) {
  const BatchPtr batch = make_batch(3, {signed_request(1, 1, {"x"})});
  const auto voted = [](Claim claim, Epoch view, const Digest& digest, std::initializer_list<uint64_t> by) {
    Certificate proof{view, 1, digest, {}};
    for (const uint64_t one : by)
      proof.signatures.push_back({NodeId{one}, vote(claim, one, view, 1, digest).signature});
    return proof;
  };
  const auto ordered = [](uint64_t primary, Epoch view, const Digest& digest) {
    return test_signature(NodeId{primary}, statement(0, Claim::kPrePrepare, view, 1, digest, NodeId{primary}));
  };
  const Digest other = null_batch()->digest;
  NewView message;
  message.view = 2;
  message.first = 1;
  for (uint64_t by = 1; by <= 3; ++by) {
    ViewChange change = signed_change(by, 2);
    if (by == 3)
      change.prepared.push_back({{NodeId{1}, ordered(1, 1, other)}, voted(Claim::kPrepare, 1, other, {2, 3})});
    change.signature =
        test_signature(change.sender, statement(0, Claim::kViewChange, 2, 0, change.digest(), change.sender));
    message.changes.push_back(std::move(change));
  }
  message.order.emplace_back(other, ordered(2, 2, other));
  message.signature = test_signature(NodeId{2}, statement(0, Claim::kNewView, 2, 0, message.digest(), NodeId{2}));

  for (const Epoch committed_in : {1, 2, 3}) {
    Four<PbftPlay> group;
    for (uint64_t to = 1; to <= 3; ++to) group.cores.cut(NodeId{4}, NodeId{to});
    group.inject(1, 4, Committed{voted(Claim::kCommit, committed_in, batch->digest, {1, 2, 3}), batch});
    ASSERT_TRUE(group.cores.core(NodeId{4}).slot(1)->committed) << committed_in;
    group.inject(2, 4, message);
    const bool proves_too_many_liars = committed_in < message.view;
    EXPECT_EQ(group.story.find("halted") != std::string::npos, proves_too_many_liars) << group.story;
    if (proves_too_many_liars) continue;
    EXPECT_EQ(group.cores.core(NodeId{4}).state().view, 2u);
    EXPECT_EQ(group.cores.core(NodeId{4}).slot(1)->committed->digest, batch->digest);
    EXPECT_TRUE(group.cores.core(NodeId{4}).slot(1)->prepares.empty()) << "a vote against what is committed";
  }
}

// A liar sent it to a later view, and damage took the record of its VIEW-CHANGE: whole again, it waited there and told
// nobody, and with another one dead nobody was left to change views with.
TEST(PbftCore, aMemberWhoseViewChangeIsLostAsksAgain) {
  Four<PbftPlay> group;
  for (uint64_t to = 1; to <= 3; ++to) group.cores.cut(NodeId{4}, NodeId{to});
  group.inject(1, 4, Abdicate{1, 3});
  const LogSeq record = group.cores.core(NodeId{4}).state().next_seq - 1;
  group.cores.settle();
  for (int life = 0; life < 2; ++life) {  // in its second one a record of its own follows
    group.cores.crash(NodeId{4});
    if (life == 1) group.cores.node(NodeId{4}).damaged.insert(record);
    group.cores.start(NodeId{4});
    group.cores.settle();
  }
  group.cores.heal();
  group.cores.run(3 * kSecond);
  ASSERT_TRUE(group.cores.core(NodeId{4}).state().votes);
  group.cores.crash(NodeId{1});
  group.cores.propose(NodeId{2}, "x");
  group.cores.run(60 * kSecond);
  EXPECT_EQ(group.cores.node(NodeId{2}).state, "x,");
  EXPECT_EQ(group.cores.failure(), std::nullopt);
}

// It is heard, and orders no null requests, which nobody asked for.
TEST(PbftCore, aPrimaryThatStopsAChangeOfMembersIsDeposed) {
  Four<PbftPlay> group;
  Options options;
  options.self = NodeId{5};
  options.founding = Membership::of_voters({NodeId{1}, NodeId{2}, NodeId{3}, NodeId{4}});
  options.checkpoint_every = 4;
  options.snapshot_every_bytes = 2'000;
  group.cores.add(options);
  group.cores.settle();
  const auto target = Membership::of_voters({NodeId{1}, NodeId{2}, NodeId{3}, NodeId{4}, NodeId{5}});
  group.cores.reconfigure(NodeId{2}, target);
  for (int i = 0; i < 4; ++i) {
    for (uint64_t n = 1; n <= 4; ++n) group.cores.write(NodeId{n});
    group.cores.deliver(kNobody, kNobody);
  }
  group.cores.crash(NodeId{1});  // and a liar in its place
  group.cores.settle();
  ASSERT_FALSE(group.cores.core(NodeId{2}).in_force(target));
  for (int beat = 0; beat < 200; ++beat) {
    for (uint64_t to = 2; to <= 4; ++to) group.inject(1, to, StatusReport{.view = 1, .active = true});
    group.cores.run(50 * kMillisecond);
  }
  for (uint64_t n = 2; n <= 5; ++n) EXPECT_TRUE(group.cores.core(NodeId{n}).in_force(target)) << n;
}

// A gateway of a lower number floods one member with requests, to be handed on before all others.
TEST(PbftCore, aFloodOfRequestsHoldsUpNobodyElses) {
  Four<PbftPlay> group;
  group.cores.crash(NodeId{1});
  group.cores.propose(NodeId{2}, "first");
  group.cores.run(2 * kSecond);
  uint64_t timestamp = 1;
  const auto beats = [&](int count) {
    for (int beat = 0; beat < count; ++beat) {
      for (int i = 0; i < 200; ++i) group.inject(1, 3, RequestMessage{signed_request(1, timestamp++, {"x"})});
      group.cores.run(50 * kMillisecond);
    }
  };
  beats(10);
  group.cores.propose(NodeId{3}, "lost");
  group.cores.write(NodeId{3});
  ASSERT_GT(group.cores.drop(NodeId{3}, kNobody), 0u);
  beats(20);
  EXPECT_NE(group.cores.node(NodeId{2}).state.find("lost"), std::string::npos);
}

TEST(PbftCore, anInvalidViewChangeDoesNotTakeThePlaceOfAValidOne) {
  Four<PbftPlay> group;
  ViewChange message;
  message.view = 2;
  message.sender = NodeId{3};
  message.signature = "forged";
  group.inject(3, 2, message);
  EXPECT_TRUE(group.refused("a wrong signature"));
  for (uint64_t by = 3; by <= 4; ++by) {
    message.sender = NodeId{by};
    message.signature =
        test_signature(message.sender, statement(0, Claim::kViewChange, 2, 0, message.digest(), message.sender));
    group.inject(by, 2, message);
  }
  EXPECT_EQ(group.cores.core(NodeId{2}).state().view, 2u);
}

// What is left of a log may not lead to all that it tells of: with a hole that was seen, what lies too far comes again;
// without one, the log is not this member's.
TEST(PbftCore, aLogThatTellsOfBatchesFarAboveItself) {
  for (const bool with_gap : {false, true}) {
    SCOPED_TRACE(with_gap);
    Options options;
    options.self = NodeId{4};
    options.founding = Membership::of_voters({NodeId{1}, NodeId{2}, NodeId{3}, NodeId{4}});
    options.checkpoint_every = 4;
    options.signer = std::make_shared<TestSigner>(options.self);
    RecordHeader head{.kind = RecordKind::kBase, .view = 1, .active = true};
    Offer base;
    base.meta.membership = base.state.header.membership = options.founding;
    Pbft core(options, 1);
    ASSERT_TRUE(core.recover(1, record_of(head, base)).ok());
    if (with_gap) {
      ASSERT_TRUE(core.recover_gap(2, 7).ok());
    }
    head.kind = RecordKind::kAccepted;
    head.top = 3;
    const PrePrepare far{1, 1'000, null_batch(), "signed"};
    ASSERT_TRUE(core.recover(8, record_of(head, far, NodeId{2})).ok());
    core.start(kSecond, 9, true);
    Effects effects;
    core.collect(kSecond, effects);
    EXPECT_EQ(effects.halt.has_value(), !with_gap) << effects.halt.value_or("");
    EXPECT_EQ(core.check_invariants().message(), "");
    if (with_gap) {
      EXPECT_EQ(core.slot(1'000), nullptr);
    }
  }
}

TEST(PbftCore, aCommandFromTheFutureIsNotPrepared) {
  consensus::Cores<PbftPlay> cores(1);
  for (uint64_t i = 1; i <= 4; ++i) {
    Options options;
    options.self = NodeId{i};
    options.founding = Membership::of_voters({NodeId{1}, NodeId{2}, NodeId{3}, NodeId{4}});
    // The primary's clock runs ahead.
    if (i != 1) options.admissible = [](std::string_view command) { return command != "tomorrow"; };
    cores.add(options);
  }
  cores.settle();
  cores.propose(NodeId{1}, "tomorrow");
  cores.settle();
  for (uint64_t i = 1; i <= 4; ++i) EXPECT_EQ(cores.node(NodeId{i}).state, "") << i;
}

}  // namespace
}  // namespace clew::consensus::pbft

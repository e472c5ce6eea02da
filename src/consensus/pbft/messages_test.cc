// PBFT's frames: they come back as they went, in one form only, and nothing that is cut short or longer is believed.
#include "consensus/pbft/messages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace clew::consensus::pbft {
namespace {

std::vector<Message> one_of_each() {
  const Request request{NodeId{3}, 7, EntryKind::kCommand, {Payload("command"), Payload("other")}, "signature"};
  const Request barrier{NodeId{4}, 8, EntryKind::kNoop, {Payload("")}, "signature"};
  const BatchPtr batch = make_batch(2, {request, barrier});
  const Certificate proof{2, 8, batch->digest, {{NodeId{1}, "a"}, {NodeId{2}, "b"}}};
  ViewChange change;
  change.view = 3;
  change.sender = NodeId{4};
  change.stable = {0, 4, batch->digest, {{NodeId{1}, "a"}}};
  Prepared prepared;
  prepared.pre_prepare = {NodeId{2}, "p"};
  prepared.prepares = proof;
  change.prepared.push_back(prepared);
  change.signature = "s";
  NewView view;
  view.view = 3;
  view.changes = {change};
  view.first = 5;
  view.order.emplace_back(batch->digest, "o");
  view.signature = "n";
  Offer offer;
  offer.meta.position = 9;
  offer.meta.membership = Membership::of_voters({NodeId{1}, NodeId{2}, NodeId{3}, NodeId{4}});
  offer.state.header.seq = 8;
  offer.state.header.position = 9;
  offer.state.header.membership = offer.meta.membership;
  offer.state.header.next = offer.meta.membership;
  offer.state.header.next_at = 16;
  offer.state.clients.execute(NodeId{3}, 1, 8);
  offer.state.clients.execute(NodeId{3}, 5, 8);
  offer.checkpoint = offer.snapshot = proof;
  offer.changes.emplace_back(offer.state.header, proof);
  StatusReport status;
  status.view = 3;
  status.active = status.asks = status.suspects = true;
  status.executed = status.stable = 8;
  return {RequestMessage{request},
          PrePrepare{2, 8, batch, "p"},
          VoteMessage{Claim::kCommit, 2, 8, batch->digest, "c"},
          VoteMessage{Claim::kCheckpoint, 0, 8, batch->digest, "c"},
          change,
          view,
          status,
          Abdicate{2, 3},
          Committed{proof, batch},
          FetchBatch{8, batch->digest},
          BatchFound{8, null_batch()},
          Stable{proof},
          offer,
          ReadRequest{1},
          ReadReply{1, 8}};
}

TEST(PbftMessages, comeBackAsTheyWent) {
  for (const Message& message : one_of_each()) {
    const std::string frame = encode(message);
    const auto again = decode(frame);
    ASSERT_TRUE(again.ok()) << to_string(message) << ": " << again.error().message;
    EXPECT_EQ(encode(*again), frame) << to_string(message);
    EXPECT_EQ(to_string(*again), to_string(message));
  }
}

TEST(PbftMessages, areNotBelievedWhenCutShortOrLonger) {
  for (const Message& message : one_of_each()) {
    const std::string frame = encode(message);
    for (size_t size = 0; size < frame.size(); ++size) EXPECT_FALSE(decode(frame.substr(0, size)).ok()) << size;
    EXPECT_FALSE(decode(frame + '\0').ok()) << to_string(message);
  }
}

TEST(PbftMessages, survivesAnyDamagedByte) {
  for (const Message& message : one_of_each()) {
    const std::string frame = encode(message);
    for (size_t at = 0; at < frame.size(); ++at) {
      std::string damaged = frame;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x85);
      const auto decoded = decode(damaged);
      if (!decoded.ok()) continue;
      EXPECT_FALSE(encode(*decoded).empty());
    }
  }
}

TEST(PbftMessages, aBatchHasOneForm) {
  const BatchPtr batch = make_batch(2, {{NodeId{3}, 7, EntryKind::kCommand, {Payload("x")}, "s"}});
  ASSERT_TRUE(parse_batch(batch->bytes).ok());
  // The same numbers, written longer: another digest would stand for the same requests.
  std::string longer = batch->bytes;
  longer[0] = static_cast<char>(longer[0] | 0x80);
  longer.insert(1, 1, '\0');
  const auto parsed = parse_batch(longer);
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().message, "malformed: not canonical");
}

TEST(PbftMessages, aRequestHoldsSomeCommandsOrOneOfAnotherKind) {
  const auto with = [](EntryKind kind, size_t count) {
    return decode(encode(RequestMessage{{NodeId{3}, 7, kind, std::vector<Payload>(count, Payload("x")), "s"}})).ok();
  };
  EXPECT_FALSE(with(EntryKind::kCommand, 0));
  EXPECT_TRUE(with(EntryKind::kCommand, kMaxCommandsOfRequest));
  EXPECT_FALSE(with(EntryKind::kCommand, kMaxCommandsOfRequest + 1));
  for (const EntryKind kind : {EntryKind::kNoop, EntryKind::kMembership}) {
    EXPECT_FALSE(with(kind, 0));
    EXPECT_TRUE(with(kind, 1));
    EXPECT_FALSE(with(kind, 2));
  }
}

TEST(PbftMessages, aBatchHoldsSoManyCommands) {
  const auto with = [](size_t commands) {
    std::vector<Request> requests;
    for (uint64_t timestamp = 1; commands > 0; ++timestamp) {
      const size_t some = std::min(commands, kMaxCommandsOfRequest);
      requests.push_back({NodeId{3}, timestamp, EntryKind::kCommand, std::vector<Payload>(some, Payload("")), "s"});
      commands -= some;
    }
    return parse_batch(make_batch(1, requests)->bytes).ok();
  };
  EXPECT_TRUE(with(kMaxCommandsOfBatch));
  EXPECT_FALSE(with(kMaxCommandsOfBatch + 1));
}

TEST(PbftMessages, whereACommandEndsIsPartOfWhatIsSigned) {
  const auto digest = [](std::vector<Payload> commands) {
    return request_digest({NodeId{3}, 7, EntryKind::kCommand, std::move(commands), {}});
  };
  EXPECT_NE(digest({Payload("ab"), Payload("c")}), digest({Payload("a"), Payload("bc")}));
  EXPECT_NE(digest({Payload("ab")}), digest({Payload("ab"), Payload("")}));
  EXPECT_NE(digest({Payload("a"), Payload("b")}), digest({Payload("b"), Payload("a")}));
}

TEST(PbftMessages, aSignatureStandsForOneStatement) {
  const Digest digest = null_batch()->digest;
  const std::string prepare = statement(1, Claim::kPrepare, 2, 3, digest, NodeId{4});
  EXPECT_NE(prepare, statement(1, Claim::kCommit, 2, 3, digest, NodeId{4}));
  EXPECT_NE(prepare, statement(2, Claim::kPrepare, 2, 3, digest, NodeId{4}));
  EXPECT_NE(prepare, statement(1, Claim::kPrepare, 3, 2, digest, NodeId{4}));
  EXPECT_NE(prepare, statement(1, Claim::kPrepare, 2, 3, digest, NodeId{3}));
}

TEST(PbftClientTable, executesOnceWithinItsWindow) {
  ClientTable table;
  EXPECT_TRUE(table.execute(NodeId{1}, 2, 3));
  EXPECT_TRUE(table.execute(NodeId{1}, 1, 3));
  EXPECT_FALSE(table.execute(NodeId{1}, 2, 3));
  EXPECT_EQ(table.floor(NodeId{1}), 2u);
  for (uint64_t timestamp : {10, 11, 12, 13}) EXPECT_TRUE(table.execute(NodeId{1}, timestamp, 3));
  EXPECT_FALSE(table.execute(NodeId{1}, 5, 3));  // overtaken by too many
  std::string bytes;
  table.append_to(bytes);
  const auto parsed = ClientTable::parse(bytes);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed, table);
}

}  // namespace
}  // namespace clew::consensus::pbft

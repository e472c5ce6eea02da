#include "consensus/multipaxos/messages.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "consensus/multipaxos/records.h"

namespace clew::consensus::multipaxos {
namespace {

const Ballot kBallot{7, NodeId{2}, 3};
const Ballot kOlder{6, NodeId{1}, 1};

std::vector<Message> one_of_each() {
  std::string members;
  Membership::of_voters({NodeId{1}, NodeId{2}}).append_to(members);
  Prepare prepare{kBallot, false, kOlder, 4, {{4, 6, kOlder}, {9, 9, kBallot}}};
  Promise promise{kBallot, false, 4, 20, 5, 2, kOlder, {}};
  promise.votes.emplace_back(5, Acceptance{kOlder, {3, EntryKind::kCommand, Payload(std::string("hello"))}, false});
  promise.votes.emplace_back(9, Acceptance{kBallot, {7, EntryKind::kCommand, {}}, true});
  Accept accept{kBallot, false, 4, 3, {}};
  accept.values = {{kBallot, {3, EntryKind::kNoop, {}}, false},
                   {kBallot, {5, EntryKind::kCommand, Payload(std::string("hello"))}, false},
                   {kBallot, {7, EntryKind::kMembership, Payload(members)}, false}};
  const SnapshotMeta meta{9, 6, Membership::of_voters({NodeId{1}}), 12, {1, 2}};
  return {prepare,
          promise,
          Refused{kBallot, kOlder, true},
          accept,
          Accepted{kBallot, 9, 12, true},
          Heartbeat{kBallot, 4, 3, 2, 300, uint64_t{1} << 40, 150'000'000, true, true},
          HeartbeatReply{kBallot, 300, 12, 7},
          ReadRequest{kBallot, 99},
          ReadReply{kBallot, 99, true, 5},
          TimeoutNow{kBallot},
          SnapshotOffer{kBallot, true, meta}};
}

TEST(MultiPaxosMessages, comeBackAsTheyWent) {
  for (const Message& message : one_of_each()) {
    const std::string frame = encode(message);
    const Result<Message> back = decode(frame);
    ASSERT_TRUE(back.ok()) << to_string(message) << ": " << back.status().message();
    EXPECT_EQ(encode(*back), frame);
    EXPECT_EQ(to_string(*back), to_string(message));
    EXPECT_EQ(ballot_of(*back), kBallot);
    EXPECT_EQ(carries_values(frame), std::holds_alternative<Accept>(message));
  }
}

TEST(MultiPaxosMessages, cutShortOrLongerThanTheySayAreRefused) {
  for (const Message& message : one_of_each()) {
    const std::string frame = encode(message);
    for (size_t n = 0; n < frame.size(); ++n) EXPECT_FALSE(decode(frame.substr(0, n)).ok()) << to_string(message) << n;
    EXPECT_FALSE(decode(frame + "x").ok()) << to_string(message);
  }
}

TEST(MultiPaxosMessages, anotherVersionAndUnknownTypesAreToldApartFromGarbage) {
  std::string frame = encode(TimeoutNow{kBallot});
  frame[0] = 9;
  EXPECT_EQ(decode(frame).error().message, "unknown version");
  frame[0] = kMessageVersion;
  frame[1] = 99;
  EXPECT_EQ(decode(frame).error().message, "unknown type");
}

TEST(MultiPaxosMessages, votesThatCannotBeAreRefused) {
  const auto refused = [](const Ballot& vote, Position position, Epoch epoch) {
    Promise promise{kBallot, false, 4, 20, 5, 2, {}, {}};
    promise.votes.emplace_back(position, Acceptance{vote, {epoch, EntryKind::kNoop, {}}, false});
    return !decode(encode(promise)).ok();
  };
  EXPECT_FALSE(refused(kOlder, 5, 3));
  EXPECT_TRUE(refused(Ballot{8, NodeId{1}, 1}, 5, 3)) << "newer than the ballot promised";
  EXPECT_TRUE(refused(Ballot{6, kNobody, 1}, 5, 3)) << "nobody's";
  EXPECT_TRUE(refused(kOlder, 3, 3)) << "before the page";
  EXPECT_TRUE(refused(kOlder, 21, 3)) << "behind the page";
  EXPECT_TRUE(refused(kOlder, 5, 7)) << "proposed after it was accepted";
  EXPECT_TRUE(refused(kOlder, 5, 0)) << "proposed by nobody";
}

TEST(MultiPaxosMessages, ballotsFarInTheFutureAreRefused) {
  EXPECT_FALSE(decode(encode(TimeoutNow{{kMaxNumber + 1, NodeId{1}, 1}})).ok());
  EXPECT_TRUE(decode(encode(TimeoutNow{{kMaxNumber, NodeId{1}, 1}})).ok());
  EXPECT_FALSE(decode(encode(TimeoutNow{{0, NodeId{1}, 1}})).ok());
}

TEST(MultiPaxosMessages, aHugeCountCostsNothing) {
  std::string frame;
  append_accept_head(frame, Accept{kBallot, false, 4, 3, {}}, size_t{1} << 60);
  EXPECT_FALSE(decode(frame).ok());
}

TEST(MultiPaxosMessages, aWitnessGetsNoBytesOfCommands) {
  Accept accept{kBallot, true, 4, 3, {{kBallot, {7, EntryKind::kCommand, Payload(std::string("secret"))}, false}}};
  const std::string frame = encode(accept);
  EXPECT_EQ(frame.find("secret"), std::string::npos);
  const Result<Message> back = decode(frame);
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(std::get<Accept>(*back).values[0].bare);
}

TEST(MultiPaxosMessages, damagedFramesAreRefusedOrMeanSomethingButNeverHarm) {
  Generator random(7);
  const std::vector<Message> all = one_of_each();
  for (int i = 0; i < 20'000; ++i) {
    std::string frame = encode(all[random.below(all.size())]);
    for (uint64_t n = 1 + random.below(4); n > 0; --n) {
      frame[random.below(frame.size())] = static_cast<char>(random.next());
    }
    const Result<Message> back = decode(frame);
    // What is taken for a message can be told to the next one as well.
    if (back.ok()) {
      EXPECT_TRUE(decode(encode(*back)).ok()) << to_string(*back);
    }
  }
}

TEST(MultiPaxosRecords, comeBackAsTheyWent) {
  const RecordHeader header{RecordKind::kVotes, kBallot, 3, 5, 9, 2};
  std::string bytes;
  append_header(bytes, header);
  append_varint(bytes, 2);
  append_run_head(bytes, kOlder, 6, 2);
  append_entry(bytes, {6, EntryKind::kCommand, Payload(std::string("a"))}, false);
  append_entry(bytes, {2, EntryKind::kNoop, {}}, false);
  append_run_head(bytes, kBallot, 9, 1);
  append_entry(bytes, {7, EntryKind::kCommand, Payload(std::string("b"))}, true);
  const Result<Record> record = parse_record(bytes);
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_EQ(record->header, header);
  ASSERT_EQ(record->runs.size(), 2u);
  EXPECT_EQ(record->runs[0].first, 6u);
  EXPECT_EQ(record->runs[0].votes[0].entry.payload.view(), "a");
  EXPECT_EQ(record->runs[0].votes[1].ballot, kOlder);
  EXPECT_TRUE(record->runs[1].votes[0].bare);
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(parse_record(bytes.substr(0, n)).ok());
  EXPECT_FALSE(parse_record(bytes + "x").ok());
}

TEST(MultiPaxosRecords, aBaseComesBack) {
  std::string bytes;
  append_header(bytes, {RecordKind::kBase, kBallot, 3, 5, 9, 0});
  const SnapshotMeta meta{5, 6, Membership::of_voters({NodeId{1}}), 12, {1, 2}};
  append_base(bytes, meta, true, kOlder);
  const Result<Record> record = parse_record(bytes);
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_EQ(record->meta, meta);
  EXPECT_TRUE(record->metadata_only);
  EXPECT_EQ(record->floor_ballot, kOlder);
}

TEST(MultiPaxosRecords, thoseThatContradictThemselvesAreRefused) {
  const auto refused = [](RecordHeader header) {
    std::string bytes;
    append_header(bytes, header);
    return !parse_record(bytes).ok();
  };
  EXPECT_FALSE(refused({RecordKind::kState, kBallot, 3, 5, 9, 0}));
  EXPECT_TRUE(refused({RecordKind::kState, kBallot, 3, 10, 9, 0})) << "more is chosen than there is";
  EXPECT_TRUE(refused({RecordKind::kState, {kMaxNumber + 1, NodeId{1}, 1}, 3, 5, 9, 0}));
  std::string vote;
  append_header(vote, {RecordKind::kVotes, kOlder, 3, 5, 9, 0});
  append_varint(vote, 1);
  append_run_head(vote, kBallot, 6, 1);
  append_entry(vote, {6, EntryKind::kNoop, {}}, false);
  EXPECT_FALSE(parse_record(vote).ok()) << "a vote above the promise";
}

}  // namespace
}  // namespace clew::consensus::multipaxos

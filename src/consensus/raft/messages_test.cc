#include "consensus/raft/messages.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "consensus/raft/records.h"

namespace clew::consensus::raft {
namespace {

std::vector<Message> one_of_each() {
  std::string members;
  Membership::of_voters({NodeId{1}, NodeId{2}}).append_to(members);
  AppendRequest append{7, false, 4, 3, 2, {}};
  append.entries = {{3, EntryKind::kNoop, {}},
                    {5, EntryKind::kCommand, Payload(std::string("hello"))},
                    {7, EntryKind::kMembership, Payload(members)}};
  SnapshotMeta meta{9, 6, Membership::of_voters({NodeId{1}}), 12, {1, 2}};
  return {VoteRequest{7, true, false, 4, 3},
          VoteReply{7, false, true},
          append,
          AppendReply{7, AppendReply::Outcome::kLost, 9, 4, 3},
          Heartbeat{7, 4, 300, uint64_t{1} << 40, 150'000'000, true},
          HeartbeatReply{7, 300, 12},
          ReadRequest{7, 99},
          ReadReply{7, 99, true, 5},
          TimeoutNow{7},
          SnapshotOffer{7, true, meta}};
}

TEST(RaftMessages, comeBackAsTheyWent) {
  for (const Message& message : one_of_each()) {
    const std::string frame = encode(message);
    const Result<Message> back = decode(frame);
    ASSERT_TRUE(back.ok()) << to_string(message) << ": " << back.status().message();
    EXPECT_EQ(encode(*back), frame);
    EXPECT_EQ(to_string(*back), to_string(message));
    EXPECT_EQ(term_of(*back), 7u);
  }
}

TEST(RaftMessages, cutShortOrLongerThanTheySayAreRefused) {
  for (const Message& message : one_of_each()) {
    const std::string frame = encode(message);
    for (size_t n = 0; n < frame.size(); ++n) EXPECT_FALSE(decode(frame.substr(0, n)).ok()) << to_string(message) << n;
    EXPECT_FALSE(decode(frame + "x").ok()) << to_string(message);
  }
}

TEST(RaftMessages, anotherVersionAndUnknownTypesAreToldApartFromGarbage) {
  std::string frame = encode(TimeoutNow{1});
  frame[0] = 9;
  EXPECT_EQ(decode(frame).error().message, "unknown version");
  frame[0] = kMessageVersion;
  frame[1] = 99;
  EXPECT_EQ(decode(frame).error().message, "unknown type");
}

TEST(RaftMessages, entriesThatCannotBeAreRefused) {
  const auto refused = [](Epoch term, Epoch prev_epoch, std::vector<Epoch> epochs) {
    AppendRequest append{term, false, 4, prev_epoch, 2, {}};
    for (Epoch epoch : epochs) append.entries.push_back({epoch, EntryKind::kNoop, {}});
    return !decode(encode(append)).ok();
  };
  EXPECT_FALSE(refused(7, 3, {3, 5, 7}));
  EXPECT_TRUE(refused(7, 3, {5, 3}));  // falling
  EXPECT_TRUE(refused(7, 3, {2}));     // before its predecessor
  EXPECT_TRUE(refused(7, 3, {8}));     // after the message's term
  EXPECT_TRUE(refused(7, 0, {0}));     // nobody's
  AppendRequest bad{7, false, 4, 3, 2, {{7, EntryKind::kMembership, Payload(std::string("no membership"))}}};
  EXPECT_FALSE(decode(encode(bad)).ok());
}

TEST(RaftMessages, aHugeCountCostsNothing) {
  std::string frame;
  append_message_head(frame, AppendRequest{7, false, 4, 3, 2, {}}, size_t{1} << 60);
  EXPECT_FALSE(decode(frame).ok());
}

TEST(RaftMessages, aWitnessGetsNoBytesOfCommands) {
  AppendRequest append{7, true, 4, 3, 2, {{7, EntryKind::kCommand, Payload(std::string("secret"))}}};
  const std::string frame = encode(append);
  EXPECT_EQ(frame.find("secret"), std::string::npos);
  const Result<Message> back = decode(frame);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(std::get<AppendRequest>(*back).entries[0].kind, EntryKind::kCommand);
}

TEST(RaftMessages, damagedFramesAreRefusedOrMeanSomethingButNeverHarm) {
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
      EXPECT_TRUE(decode(encode(*back)).ok());
    }
  }
}

TEST(RaftRecords, comeBackAsTheyWent) {
  const RecordHeader header{RecordKind::kAppend, 9, NodeId{3}, 2, 5, 8, 7};
  std::string bytes;
  append_header(bytes, header);
  append_entries_head(bytes, true, false, 7, 4, 2);
  append_entry(bytes, {6, EntryKind::kCommand, Payload(std::string("a"))}, false);
  append_entry(bytes, {7, EntryKind::kNoop, {}}, false);
  const Result<Record> record = parse_record(bytes);
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_EQ(record->header, header);
  EXPECT_TRUE(record->truncates);
  EXPECT_EQ(record->first, 7u);
  EXPECT_EQ(record->prev_epoch, 4u);
  ASSERT_EQ(record->entries.size(), 2u);
  EXPECT_EQ(record->entries[0].payload.view(), "a");
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(parse_record(bytes.substr(0, n)).ok());
  EXPECT_FALSE(parse_record(bytes + "x").ok());
}

TEST(RaftRecords, aBaseComesBack) {
  std::string bytes;
  append_header(bytes, {RecordKind::kBase, 9, NodeId{3}, 2, 5, 8, 7});
  const SnapshotMeta meta{5, 6, Membership::of_voters({NodeId{1}}), 12, {1, 2}};
  append_base(bytes, meta, true);
  const Result<Record> record = parse_record(bytes);
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_EQ(record->meta, meta);
  EXPECT_TRUE(record->metadata_only);
}

TEST(RaftRecords, aHeaderThatContradictsItselfIsRefused) {
  const auto refused = [](RecordHeader header) {
    std::string bytes;
    append_header(bytes, header);
    return !parse_record(bytes).ok();
  };
  EXPECT_FALSE(refused({RecordKind::kState, 9, kNobody, 2, 5, 8, 7}));
  EXPECT_TRUE(refused({RecordKind::kState, 9, kNobody, 2, 9, 8, 7}));   // commit beyond the log
  EXPECT_TRUE(refused({RecordKind::kState, 9, kNobody, 2, 5, 8, 10}));  // an entry newer than the term
  EXPECT_TRUE(refused({RecordKind::kState, kMaxNumber + 1, kNobody, 2, 5, 8, 7}));
}

}  // namespace
}  // namespace clew::consensus::raft

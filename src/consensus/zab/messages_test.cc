#include "consensus/zab/messages.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "consensus/raft/records.h"
#include "consensus/zab/records.h"

namespace clew::consensus::zab {
namespace {

std::vector<Message> one_of_each() {
  std::string members;
  Membership::of_voters({NodeId{1}, NodeId{2}}).append_to(members);
  Propose propose{7, true, {4, {3, 2}}, 2, {}};
  propose.entries = {{3, EntryKind::kNoop, {}},
                     {5, EntryKind::kCommand, Payload(std::string("hello"))},
                     {7, EntryKind::kMembership, Payload(members)}};
  const SnapshotMeta meta{9, 6, Membership::of_voters({NodeId{1}}), 12, {1, 2}};
  return {Notification{7, Notification::State::kLooking, true, 4, {{7, {6, 3}}, kHandedOver, NodeId{2}}},
          FollowerInfo{7, NodeId{3}},
          NewEpoch{7},
          AckEpoch{7, {6, {6, 3}}, 9, true, true, {{6, 9}, {4, 5}}},
          Trunc{7, {9, {6, 3}}},
          Snap{7, 3, meta},
          NewLeader{7, {9, {6, 3}}},
          UpToDate{7, 9},
          propose,
          Ack{7, Ack::Kind::kRejected, 9, 4},
          Commit{7, 9},
          Ping{7, true, true, 3, 9, 300, uint64_t{1} << 40, 150'000'000},
          Pong{7, 300, 12, 9, true, false},
          SyncRequest{7, 99},
          SyncReply{7, 99, true, 5},
          Handover{7}};
}

TEST(ZabMessages, comeBackAsTheyWent) {
  const std::vector<Message> all = one_of_each();
  EXPECT_EQ(all.size(), std::variant_size_v<Message>);
  for (const Message& message : all) {
    const std::string frame = encode(message);
    const Result<Message> back = decode(frame);
    ASSERT_TRUE(back.ok()) << to_string(message) << ": " << back.status().message();
    EXPECT_EQ(encode(*back), frame);
    EXPECT_EQ(to_string(*back), to_string(message));
    EXPECT_EQ(epoch_of(*back), 7u);
  }
}

TEST(ZabMessages, cutShortOrLongerThanTheySayAreRefused) {
  for (const Message& message : one_of_each()) {
    const std::string frame = encode(message);
    for (size_t n = 0; n < frame.size(); ++n) EXPECT_FALSE(decode(frame.substr(0, n)).ok()) << to_string(message) << n;
    EXPECT_FALSE(decode(frame + "x").ok()) << to_string(message);
  }
}

TEST(ZabMessages, anotherVersionAndUnknownTypesAreToldApartFromGarbage) {
  std::string frame = encode(Handover{1});
  frame[0] = 9;
  EXPECT_EQ(decode(frame).error().message, "unknown version");
  frame[0] = kMessageVersion;
  frame[1] = 99;
  EXPECT_EQ(decode(frame).error().message, "unknown type");
}

TEST(ZabMessages, historiesThatCannotBeAreRefused) {
  const auto refused = [](const Message& message) { return !decode(encode(message)).ok(); };
  EXPECT_FALSE(refused(AckEpoch{7, {6, {6, 3}}, 9, false, true, {{6, 9}, {4, 5}}}));
  EXPECT_TRUE(refused(AckEpoch{7, {8, {6, 3}}, 9, false, true, {}}));                // current beyond the promise
  EXPECT_TRUE(refused(AckEpoch{7, {5, {6, 3}}, 9, false, true, {}}));                // newer than its current epoch
  EXPECT_TRUE(refused(AckEpoch{7, {6, {6, 3}}, 9, false, true, {{6, 9}, {6, 5}}}));  // an epoch twice
  EXPECT_TRUE(refused(AckEpoch{7, {6, {6, 3}}, 9, false, true, {{6, 10}}}));         // beyond its end
  AckEpoch many{7, {6, {6, 3}}, 1'000, false, true, {}};
  for (size_t i = 0; i <= kMaxEnds; ++i) many.ends.push_back({6, 1'000 - i});
  EXPECT_TRUE(refused(many));
  EXPECT_TRUE(refused(Trunc{7, {9, {6, 10}}}));  // more of an epoch than there is of all
  EXPECT_TRUE(refused(Trunc{7, {9, {0, 0}}}));
  EXPECT_TRUE(refused(Trunc{7, {9, {8, 1}}}));
}

TEST(ZabMessages, aHugeCountCostsNothing) {
  std::string frame;
  append_message_head(frame, Propose{7, false, {4, {3, 2}}, 2, {}}, size_t{1} << 60);
  EXPECT_FALSE(decode(frame).ok());
}

TEST(ZabMessages, damagedFramesAreRefusedOrMeanSomethingButNeverHarm) {
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

TEST(ZabRecords, comeBackAsTheyWent) {
  const RecordHeader header{RecordKind::kAppend, 9, NodeId{3}, 8, 2, 5, {8, {7, 1}}};
  std::string bytes;
  append_header(bytes, header);
  append_entries_head(bytes, true, 7, 4, 2);
  raft::append_entry(bytes, {6, EntryKind::kCommand, Payload(std::string("a"))}, false);
  raft::append_entry(bytes, {7, EntryKind::kNoop, {}}, false);
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

TEST(ZabRecords, aBaseComesBack) {
  std::string bytes;
  append_header(bytes, {RecordKind::kBase, 9, NodeId{3}, 8, 2, 5, {8, {7, 1}}});
  const SnapshotMeta meta{5, 6, Membership::of_voters({NodeId{1}}), 12, {1, 2}};
  append_base(bytes, 3, meta);
  const Result<Record> record = parse_record(bytes);
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_EQ(record->meta, meta);
  EXPECT_EQ(record->counter, 3u);
}

TEST(ZabRecords, aHeaderThatContradictsItselfIsRefused) {
  const auto refused = [](const RecordHeader& header) {
    std::string bytes;
    append_header(bytes, header);
    return !parse_record(bytes).ok();
  };
  EXPECT_FALSE(refused({RecordKind::kState, 9, kNobody, 8, 2, 5, {8, {7, 1}}}));
  EXPECT_TRUE(refused({RecordKind::kState, 9, kNobody, 10, 2, 5, {8, {7, 1}}}));  // current above accepted
  EXPECT_TRUE(refused({RecordKind::kState, 9, kNobody, 6, 2, 5, {8, {7, 1}}}));   // a history newer than current
  EXPECT_TRUE(refused({RecordKind::kState, 9, kNobody, 8, 2, 9, {8, {7, 1}}}));   // commit beyond the history
  EXPECT_TRUE(refused({RecordKind::kState, 9, kNobody, 8, 2, 5, {8, {7, 9}}}));   // more of an epoch than of all
}

}  // namespace
}  // namespace clew::consensus::zab

#include "consensus/paxos/messages.h"

#include <gtest/gtest.h>

#include "consensus/membership.h"
#include "consensus/paxos/decrees.h"

namespace clew::consensus::paxos {
namespace {

Frame frame(MessageKind kind) {
  Frame frame{"colour", {NodeId{1}, NodeId{2}, NodeId{30}}, {}};
  frame.message.kind = kind;
  frame.message.ballot = {4, NodeId{2}, 7};
  if (kind == MessageKind::kRefusal) frame.message.promised = {9, NodeId{1}, 1};
  if (kind == MessageKind::kPromise) frame.message.accepted = {{3, NodeId{1}, 2}, "blue"};
  if (kind >= MessageKind::kAccept) frame.message.value = "red";
  return frame;
}

TEST(PaxosMessages, everyKindIsReadAsItWasWritten) {
  for (uint8_t kind = 1; kind <= kMaxMessageKind; ++kind) {
    const Frame written = frame(MessageKind{kind});
    const auto read = parse_frame(encode(written));
    ASSERT_TRUE(read.ok()) << int{kind};
    EXPECT_EQ(*read, written);
  }
}

TEST(PaxosMessages, everyTruncationAndEveryTailIsRefused) {
  for (uint8_t kind = 1; kind <= kMaxMessageKind; ++kind) {
    const std::string bytes = encode(frame(MessageKind{kind}));
    for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(parse_frame(bytes.substr(0, size)).ok());
    EXPECT_FALSE(parse_frame(bytes + "x").ok());
  }
}

TEST(PaxosMessages, whatCannotBeIsRefused) {
  const auto refused = [](auto change) {
    Frame bad = frame(MessageKind::kPromise);
    change(bad);
    return !parse_frame(encode(bad)).ok();
  };
  EXPECT_TRUE(refused([](Frame& f) { f.decree.clear(); }));
  EXPECT_TRUE(refused([](Frame& f) { f.decree.assign(kMaxDecreeBytes + 1, 'x'); }));
  EXPECT_TRUE(refused([](Frame& f) { f.acceptors.clear(); }));
  EXPECT_TRUE(refused([](Frame& f) { f.acceptors = {NodeId{2}, NodeId{1}}; }));
  EXPECT_TRUE(refused([](Frame& f) { f.acceptors = {NodeId{2}, NodeId{2}}; }));
  EXPECT_TRUE(refused([](Frame& f) { f.acceptors = {kNobody, NodeId{2}}; }));
  EXPECT_TRUE(refused([](Frame& f) {
    f.acceptors.clear();
    for (uint64_t id = 1; id <= kMaxMembers + 1; ++id) f.acceptors.push_back(NodeId{id});
  }));
  EXPECT_TRUE(refused([](Frame& f) { f.message.ballot = {}; }));
  EXPECT_TRUE(refused([](Frame& f) { f.message.ballot.round = UINT64_MAX; }));
  EXPECT_TRUE(refused([](Frame& f) { f.message.accepted.ballot.round = 5; })) << "accepted above what it promises";
  EXPECT_TRUE(refused([](Frame& f) { f.message.accepted.value.assign(kMaxValueBytes + 1, 'x'); }));
}

TEST(PaxosMessages, aRecordThatMakesNoSenseIsDataLossAndOneOfALaterVersionSaysSo) {
  Decrees decrees({.self = NodeId{1}}, 1);
  EXPECT_EQ(decrees.recover(1, std::string("\x01\x02garbage", 9)).code(), Code::kDataLoss);
  EXPECT_EQ(decrees.recover(1, std::string("\x01\x09", 2)).code(), Code::kDataLoss);
  EXPECT_EQ(decrees.recover(1, std::string("\x02\x01\x01", 3)).code(), Code::kUnimplemented);
}

}  // namespace
}  // namespace clew::consensus::paxos

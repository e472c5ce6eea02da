#include "consensus/peer_frames.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace clew::consensus {
namespace {

using Step = FrameReader::Step;

std::string frame(std::string_view body) {
  std::string bytes;
  append_frame(bytes, body);
  return bytes;
}

RC_GTEST_PROP(FrameReader, takesFramesOffAStreamHoweverItIsCut, ()) {
  const auto bodies = *rc::gen::container<std::vector<std::string>>(rc::gen::string<std::string>());
  std::string stream;
  for (const std::string& body : bodies) append_frame(stream, body);
  FrameReader reader(1 << 20);
  std::vector<std::string> got;
  for (size_t at = 0; at < stream.size();) {
    const std::string piece = stream.substr(at, *rc::gen::inRange<size_t>(1, 40));
    at += piece.size();
    reader.feed(piece);
    std::string_view body;
    Step step;
    while ((step = reader.next(&body)) == Step::kFrame) got.emplace_back(body);
    RC_ASSERT(step == Step::kMore);
  }
  RC_ASSERT(got == bodies);
  RC_ASSERT(!reader.in_frame());
}

TEST(FrameReader, refusesALengthBeyondTheLimitBeforeItsBytesCome) {
  FrameReader reader(10);
  const std::string bytes = frame(std::string(11, 'x')).substr(0, kFrameHeaderBytes);
  std::string_view body;
  reader.feed(bytes);
  EXPECT_EQ(reader.next(&body), Step::kTooLong);
  FrameReader in_pieces(10);
  for (size_t i = 0; i + 1 < bytes.size(); ++i) {
    in_pieces.feed(std::string_view(bytes).substr(i, 1));
    ASSERT_EQ(in_pieces.next(&body), Step::kMore);
  }
  in_pieces.feed(std::string_view(bytes).substr(bytes.size() - 1));
  EXPECT_EQ(in_pieces.next(&body), Step::kTooLong);
}

TEST(FrameReader, findsEveryFlippedByte) {
  const std::string whole = frame("a frame of some length");
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string bytes = whole;
    bytes[i] = static_cast<char>(bytes[i] ^ 4);
    FrameReader reader(100);
    std::string_view body;
    reader.feed(bytes);
    EXPECT_EQ(reader.next(&body), Step::kChecksum) << i;
  }
}

TEST(PeerHandshake, messagesComeBackAsTheyWere) {
  const auto challenge = parse_challenge(encode(Challenge{2, 7, 99}));
  ASSERT_TRUE(challenge.ok());
  EXPECT_EQ(challenge->oldest, 2u);
  EXPECT_EQ(challenge->newest, 7u);
  EXPECT_EQ(challenge->nonce, 99u);
  const auto hello = parse_hello(encode(Hello{3, 99, 5, NodeId{1}, NodeId{2}, Instance{8}, 77, "host:1"}));
  ASSERT_TRUE(hello.ok());
  EXPECT_EQ(hello->version, 3u);
  EXPECT_EQ(hello->nonce, 99u);
  EXPECT_EQ(hello->cluster, 5u);
  EXPECT_EQ(hello->from, NodeId{1});
  EXPECT_EQ(hello->to, NodeId{2});
  EXPECT_EQ(hello->instance, Instance{8});
  EXPECT_EQ(hello->settings, 77u);
  EXPECT_EQ(hello->address, "host:1");
  const auto welcome = parse_welcome(encode(Welcome{true, PeerRefusal::kGarbage, Instance{4}}));
  ASSERT_TRUE(welcome.ok());
  EXPECT_TRUE(welcome->welcome);
  EXPECT_EQ(welcome->instance, Instance{4});
  const auto refusal = parse_welcome(encode(Welcome{false, PeerRefusal::kStaleInstance, kUnknownInstance}));
  ASSERT_TRUE(refusal.ok());
  EXPECT_EQ(refusal->refusal, PeerRefusal::kStaleInstance);
}

TEST(PeerHandshake, fieldsOfALaterVersionArePassedOver) {
  EXPECT_TRUE(parse_challenge(encode(Challenge{}) + "more").ok());
  EXPECT_TRUE(parse_hello(encode(Hello{1, 1, 1, NodeId{1}, NodeId{2}, Instance{1}, 0, ""}) + "more").ok());
  EXPECT_TRUE(parse_welcome(encode(Welcome{true, PeerRefusal::kGarbage, Instance{1}}) + "more").ok());
}

TEST(PeerHandshake, whatIsCutOrSaysNothingIsRefused) {
  const std::vector<std::string> messages = {encode(Challenge{}),
                                             encode(Hello{1, 1, 1, NodeId{1}, NodeId{2}, Instance{1}, 0, "host:1"}),
                                             encode(Welcome{true, PeerRefusal::kGarbage, Instance{1}})};
  for (const std::string& message : messages) {
    for (size_t size = 0; size < message.size(); ++size) {
      const std::string_view cut = std::string_view(message).substr(0, size);
      EXPECT_FALSE(parse_challenge(cut).ok() || parse_hello(cut).ok() || parse_welcome(cut).ok()) << size;
    }
  }
  EXPECT_FALSE(parse_hello(encode(Hello{1, 1, 1, kNobody, NodeId{2}, Instance{1}, 0, ""})).ok());
  EXPECT_FALSE(parse_hello(encode(Hello{1, 1, 1, NodeId{1}, NodeId{2}, kUnknownInstance, 0, ""})).ok());
  EXPECT_FALSE(parse_hello(encode(Hello{1, 1, 1, NodeId{1}, NodeId{2}, Instance{1}, 0, std::string(300, 'x')})).ok());
  EXPECT_FALSE(parse_challenge(encode(Challenge{3, 2, 1})).ok());
}

}  // namespace
}  // namespace clew::consensus

// The bytes between two members: frames with length and checksum, and the handshake in front of them. Grammar, and what
// versions promise each other: docs/format/peer.md.
//
// Pure; one thread an object; untrusted input. Memory: what has arrived of one frame, never what it announces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "consensus/types.h"

namespace clew::consensus {

// Raised when the meaning of frames changes. Members speak the highest version that both know, so that a group can be
// upgraded one by one. A test builds a program of a later version from the same sources (tests/CMakeLists.txt).
#ifndef CLEW_PEER_VERSION
#define CLEW_PEER_VERSION 1
#endif
constexpr uint32_t kPeerVersion = CLEW_PEER_VERSION;
constexpr uint32_t kOldestPeerVersion = 1;

constexpr size_t kFrameHeaderBytes = 12;
constexpr uint32_t kMaxHandshakeBytes = 4 << 10;

// Why a connection was refused or given up.
enum class PeerRefusal : uint8_t {
  kGarbage,        // not this protocol, or malformed
  kChecksum,       // a frame that was damaged on the way
  kTooLong,        // a frame beyond the limit
  kTruncated,      // ended in the middle of a frame, or before the handshake was over
  kSlow,           // the handshake took too long
  kTooMany,        // too many unfinished handshakes
  kVersion,        // no version that both know
  kCluster,        // another cluster
  kWrongNode,      // meant for another node, or from one that gives this node's own id
  kStranger,       // not a member, and enough strangers are connected
  kStaleInstance,  // its data directory is not what it was
  kIdentity,       // its certificate names somebody else
  kSettings,       // made with other session limits
  kReplayed,       // answers another connection's challenge
  kReplaced,       // the same member connected anew
  kSilent,         // nothing came for too long, or nothing could be written
};
constexpr size_t kPeerRefusals = 16;
std::string_view peer_refusal_name(PeerRefusal refusal);  // "stale_instance"

// Appends one frame. An empty body is a sign of life.
void append_frame(std::string& out, std::string_view body);

// Makes a frame of what was written in place: `out` has kFrameHeaderBytes of room at `begin`, and the body behind them.
void seal_frame(std::string& out, size_t begin);

// Takes frames off a stream of bytes. The header has a checksum of its own: a damaged length would else swallow the
// frames behind it until as many bytes have come.
class FrameReader {
 public:
  explicit FrameReader(uint32_t max_bytes) : max_bytes_(max_bytes) {}
  void set_max_bytes(uint32_t max_bytes) { max_bytes_ = max_bytes; }

  // Bytes as they arrive; they must stay valid until next() has answered kMore, which keeps what is left.
  void feed(std::string_view bytes);
  enum class Step : uint8_t { kFrame, kMore, kTooLong, kChecksum };
  // `*body` is valid until the next call of either method. After an error nothing more comes.
  Step next(std::string_view* body);
  bool in_frame() const { return !kept_.empty(); }  // after kMore: a frame has begun

 private:
  struct Header {
    uint32_t size;
    uint32_t checksum;
  };
  Step look(std::string_view header, Header* out) const;

  uint32_t max_bytes_;
  std::string kept_;           // the beginning of a frame
  std::string whole_;          // a frame that came in pieces, while its user looks at it
  std::string_view incoming_;  // fed and not yet taken
};

// The listener speaks first: what it knows and a number to be repeated, so that a recorded handshake is of no use.
struct Challenge {
  uint32_t oldest = kOldestPeerVersion;
  uint32_t newest = kPeerVersion;
  uint64_t nonce = 0;
};
struct Hello {
  uint32_t version = kPeerVersion;
  uint64_t nonce = 0;
  uint64_t cluster = 0;
  NodeId from = kNobody;
  NodeId to = kNobody;
  Instance instance = kUnknownInstance;
  uint64_t settings = 0;  // what has to be the same on all members, as a hash
  std::string address;    // where `from` listens: for a node whose membership does not name it yet
};
struct Welcome {
  bool welcome = false;
  PeerRefusal refusal = PeerRefusal::kGarbage;  // when it is not
  Instance instance = kUnknownInstance;         // the listener's
};

std::string encode(const Challenge& challenge);
std::string encode(const Hello& hello);
std::string encode(const Welcome& welcome);
Result<Challenge> parse_challenge(std::string_view body);
Result<Hello> parse_hello(std::string_view body);
Result<Welcome> parse_welcome(std::string_view body);

}  // namespace clew::consensus

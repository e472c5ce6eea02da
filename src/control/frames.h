// The wire of our own client protocol: the handshake, and batches of messages in checksummed frames. What the messages
// carry is messages.h; grammar and promises between versions: docs/format/control.md.
//
// Frames are those between members (consensus/peer_frames.h). A frame is a batch: all messages of one turn of a loop
// share its header, its checksum and, usually, one write. Each message names the request that it belongs to, so that
// requests are pipelined and answers come in any order.
//
// Pure; one thread an object; untrusted input. Memory: what has arrived of one frame, never what it announces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/varint.h"
#include "consensus/peer_frames.h"
#include "consensus/types.h"
#include "kv/validate.h"

namespace clew::control {

// Raised when the meaning of messages changes. Both sides name the range that they know and speak the highest common
// one, so that servers and clients are upgraded in any order.
constexpr uint32_t kControlVersion = 1;
constexpr uint32_t kOldestControlVersion = 1;

constexpr uint32_t kMaxHelloBytes = 8 << 10;
constexpr size_t kMaxTokenBytes = 4 << 10;
// A frame is closed when it has grown to that; only one message that is longer by itself makes a longer one.
constexpr size_t kFullFrameBytes = 64 << 10;
// The longest answer in one message; longer ones go in parts (MessageKind::kPart), so that others pass between them.
constexpr size_t kPartBytes = 256 << 10;
// Of a frame: what holds the largest request that is valid, and what holds a part and what stood before it.
constexpr uint32_t kMaxRequestFrameBytes = kFullFrameBytes + kv::kMaxRequestBytes + (16 << 10);
constexpr uint32_t kMaxReplyFrameBytes = kFullFrameBytes + kPartBytes + (16 << 10);

// Why a connection was refused or given up by the server.
enum class Refusal : uint8_t {
  kGarbage = 0,          // not this protocol, or malformed, before or after the handshake
  kChecksum = 1,         // a frame that was damaged on the way
  kTooLong = 2,          // a frame beyond the limit
  kTruncated = 3,        // ended in the middle of a frame, or before the handshake was over
  kSlow = 4,             // the handshake took too long
  kTooMany = 5,          // as many connections, or unfinished handshakes, as there may be
  kVersion = 6,          // no version that both know
  kCluster = 7,          // meant for another cluster
  kToken = 8,            // no token, or a wrong one
  kSilent = 9,           // nothing came for too long: not even a sign of life
  kSlowReader = 10,      // did not take what it was sent for too long
  kTooManyStreams = 11,  // watches or snapshots beyond the bound of a connection
  kStopping = 12,        // the node shuts down
};
constexpr size_t kRefusals = 13;
std::string_view refusal_name(Refusal refusal);  // "slow_reader"

// The client speaks first, so that a connection costs one round trip.
struct Hello {
  uint32_t oldest = kOldestControlVersion;
  uint32_t newest = kControlVersion;
  uint64_t cluster = 0;  // 0: whichever answers
  std::string token;     // bearer token; empty: none
};
struct Welcome {
  bool welcome = false;
  Refusal refusal = Refusal::kGarbage;  // when it is not
  uint32_t version = 0;
  uint64_t cluster = 0;
  consensus::NodeId node = consensus::kNobody;
  uint32_t max_in_flight = 0;  // requests that the server works on; it reads no further ones meanwhile
  bool byzantine = false;      // members of this group may lie
};
std::string encode(const Hello& hello);
std::string encode(const Welcome& welcome);
Result<Hello> parse_hello(std::string_view body);
Result<Welcome> parse_welcome(std::string_view body);

enum class MessageKind : uint8_t {
  // From the client: requests, each answered once by kReply or kError with its id (but kCloseSession).
  kExecute = 1,
  kKeepAlive = 2,
  kOpenSession = 3,
  kCloseSession = 4,  // not answered
  kStatus = 5,
  kAddMember = 6,
  kRemoveMember = 7,
  kPromoteMember = 8,
  kUpdateMember = 9,
  kTransfer = 10,
  kAlarm = 11,
  kDecree = 12,
  kAttest = 13,
  // Streams: the id of the opening message is the stream's.
  kWatchOpen = 16,
  kWatchCreate = 17,
  kWatchCancel = 18,
  kWatchProgress = 19,
  kSnapshotOpen = 20,
  kCredit = 21,       // so many bytes more may be sent on this stream
  kCloseStream = 22,  // not answered
  // From the server.
  kReply = 64,
  kError = 65,
  kPart = 66,  // the next bytes of an answer, whose last ones come by kReply
  kWatchResponses = 67,
  kSnapshotBytes = 68,  // empty: the end
  kStreamEnded = 69,    // by an error
  kLeaving = 70,        // the node stops: what it took it answers, what comes now it refuses; go elsewhere
};

struct Message {
  MessageKind kind = MessageKind::kError;
  uint64_t id = 0;
  std::string_view body;
};

// Messages on their way into one write. begin(), append to out(), end(); take() seals what is there.
class Batch {
 public:
  // One message at a time.
  std::string& begin(MessageKind kind, uint64_t id) {
    if (frame_ == kNoFrame) {
      frame_ = out_.size();
      out_.append(consensus::kFrameHeaderBytes, '\0');
    }
    message_ = out_.size();
    out_.append(sizeof(uint32_t), '\0');
    out_.push_back(static_cast<char>(kind));
    append_varint(out_, id);
    return out_;
  }
  void end();
  // Drops the message that was begun.
  void abandon() { out_.resize(message_); }

  size_t size() const { return out_.size(); }
  bool empty() const { return out_.empty(); }
  size_t message_bytes() const { return out_.size() - message_; }  // of the one that was begun
  std::string take();                                              // whole frames; empty: nothing is there
  void clear() { *this = Batch(); }

 private:
  static constexpr size_t kNoFrame = SIZE_MAX;
  std::string out_;
  size_t frame_ = kNoFrame;  // where the frame that is being filled begins
  size_t message_ = 0;
};

// Takes the messages off a frame's body. Bodies are borrowed from it.
class MessageReader {
 public:
  explicit MessageReader(std::string_view frame) : in_(frame) {}
  // False at the end of the frame, and when it is malformed.
  bool next(Message& message);
  bool malformed() const { return malformed_; }
  std::string_view rest() const { return {in_.position(), in_.remaining()}; }  // the messages that were not taken

 private:
  ByteReader in_;
  bool malformed_ = false;
};

}  // namespace clew::control

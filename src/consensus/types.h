// Identities and measures that every consensus protocol here shares. Plain values; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace clew::consensus {

// A member of a group. Never reused for another machine while anybody may remember the old one. 0 is nobody.
enum class NodeId : uint64_t {};
constexpr NodeId kNobody{0};
constexpr uint64_t number(NodeId id) { return static_cast<uint64_t>(id); }

// What one data directory is: drawn at random when it is made. A machine that lost its disk comes back with another
// instance under the same NodeId, and is recognised by that. 0: not known.
enum class Instance : uint64_t {};
constexpr Instance kUnknownInstance{0};

// Place of an entry in the log that the group agrees on, counted from 1 without gaps; 0 is before the first. Raft's
// index, a Multi-Paxos slot, PBFT's sequence number, the ordinal of a zxid.
using Position = uint64_t;

// Reign under which an entry was proposed; only grows. Raft's term, the round of a Paxos ballot, ZAB's epoch, PBFT's
// view.
using Epoch = uint64_t;

// Number of a record in the replica's own log on disk, from 1 without gaps; 0 is "nothing, durable at once".
using LogSeq = uint64_t;

// Nanoseconds of the node's monotonic clock. Its rate may be wrong by the bound that the options state; its origin
// means nothing, so that times of two nodes are never compared.
using Time = int64_t;
constexpr Time kNever = INT64_MAX;
constexpr Time kMicrosecond = 1'000;
constexpr Time kMillisecond = 1'000'000;
constexpr Time kSecond = 1'000'000'000;

// Handles that the host chooses for what it asks for; never reused by one run of a node.
enum class ProposalId : uint64_t {};
enum class ReadId : uint64_t {};
enum class VerifyId : uint64_t {};

// Bytes that the log, the frames in flight and the state machine look at together. Immutable; shared because an entry
// is applied while it is still being sent. Copying costs a reference. Entries that arrive together may share one
// buffer, which lives as long as the last of them.
class Payload {
 public:
  Payload() = default;
  explicit Payload(std::string bytes) : buffer_(std::make_shared<const std::string>(std::move(bytes))) {
    bytes_ = *buffer_;
  }
  // A part of `buffer`.
  Payload(std::shared_ptr<const std::string> buffer, std::string_view part)
      : buffer_(std::move(buffer)), bytes_(part) {}
  std::string_view view() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  friend bool operator==(const Payload& a, const Payload& b) { return a.view() == b.view(); }

 private:
  std::shared_ptr<const std::string> buffer_;
  std::string_view bytes_;
};

enum class EntryKind : uint8_t {
  kNoop = 0,        // says only that its position is taken: a new leader's first entry, a filled gap
  kCommand = 1,     // for the state machine
  kMembership = 2,  // an encoded Membership: membership.h
};
constexpr uint8_t kMaxEntryKind = 2;

struct Entry {
  Epoch epoch = 0;
  EntryKind kind = EntryKind::kNoop;
  Payload payload;
  friend bool operator==(const Entry&, const Entry&) = default;
};

// Memory that one entry is charged with in every bound of this layer.
inline uint64_t cost(const Entry& entry) { return entry.payload.size() + 64; }

}  // namespace clew::consensus

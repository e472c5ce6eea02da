// Service: what the control plane offers: the strong key-value spaces, and the group that keeps them, as values in and
// completions out. Two implementations: Plane, a member of the group in this process, and Client, which speaks our own
// protocol to such members. The etcd API (api/), the server of that protocol, the commands of `clew` and the node
// itself are its callers; the simulator drives it without a socket.
//
// Any node answers: what only the leader can do is forwarded to it, once (CallOptions::forward). Watches and sequential
// reads are served from the state of the node that is asked.
//
// Any thread may call; a call never blocks. Each `done` runs exactly once, on the service's loop, never from inside the
// call, and must not block; when the service is closed first, with kUnavailable. Keys and values are strangers' input:
// requests are validated here (kv/validate.h), their bounds are the service's.
//
// When not to use it: for spans, or whatever grows with traffic; every byte here is kept by every data member.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/function.h"
#include "base/sha256.h"
#include "base/status.h"
#include "consensus/membership.h"
#include "consensus/paxos/outcome.h"
#include "consensus/protocol.h"
#include "consensus/session_table.h"
#include "consensus/types.h"
#include "kv/command.h"
#include "kv/spaces.h"
#include "kv/watch.h"

namespace clew::control {

// How new what a read sees must be. Changes are linearizable whatever is asked for.
enum class Consistency : uint8_t {
  kLinearizable,  // everything that was acknowledged before the read began; asks a quorum
  kLease,         // the same, under the configured bound of clock error, without asking
  kSequential,    // this node's state, not older than CallOptions::at_least: never backwards within a session token
};
std::string_view consistency_name(Consistency level);  // "linearizable", "lease", "sequential"
std::optional<Consistency> parse_consistency(std::string_view name);

struct CallOptions {
  Consistency consistency = Consistency::kLinearizable;
  consensus::Position at_least = 0;  // kSequential: of the session token
  // Exactly once: consensus/session_table.h. kNoSession: a request without an answer may or may not have taken effect.
  consensus::SessionId session = consensus::kNoSession;
  uint64_t sequence = 0;
  uint64_t acknowledged_below = 0;
  int64_t timeout_ns = 5'000'000'000;
  bool forward = true;  // false: what this node cannot do itself is refused, naming the leader
  // Who asks, where a caller's share is bounded (attest()): a connection of a Server, which sets it; 0: this process.
  uint64_t asker = 0;
};

struct CallError {
  Code code = Code::kUnknown;
  std::string message;  // etcd's words where etcd has some
  // The request may have taken effect, or may yet: it was sent and no answer came. False: it certainly has not.
  bool uncertain = false;
  consensus::NodeId leader = consensus::kNobody;  // as far as this node knows
  std::string leader_address;                     // of its client port; empty when not known
  // Of a command with a session: that is no more, or needs this answer no more. This try had no effect; an earlier one
  // may have had (`uncertain`). Open another session.
  bool session_ended = false;
};

template <typename T>
using Done = UniqueFunction<void(std::variant<T, CallError>)>;

struct CallReply {
  kv::Response response;
  consensus::Position position = 0;  // where it was applied, or the state that it was read from: the session token
  consensus::Epoch epoch = 0;        // of this node when it answered
};

// One client's watches. Destroying it ends them; any thread, also while next() waits.
class WatchStream {
 public:
  virtual ~WatchStream() = default;
  // Answers come as responses: kv/watch.h.
  virtual void create(kv::WatchRequest request) = 0;
  virtual void cancel(kv::WatchId id) = 0;
  virtual void request_progress() = 0;
  // At least one response, and more while they come to less than `max_bytes`. One call at a time: who does not ask gets
  // nothing, and its watches wait where they are. After an error (the node stops, or has no state) nothing more comes.
  virtual void next(size_t max_bytes, Done<std::vector<kv::WatchResponse>> done) = 0;
};

// What a tired person asks about a member first.
enum class MemberState : uint8_t {
  kOnline,   // heard of within an election timeout, and not far behind
  kSyncing,  // heard of, and catching up (or a learner that is not yet promoted)
  kOffline,  // not heard of
  kError,    // halted, or says that it cannot go on: MemberStatus::problem
};
std::string_view member_state_name(MemberState state);

enum class MemberRole : uint8_t { kPrimary, kSecondary, kWitness, kLearner };
std::string_view member_role_name(MemberRole role);

// What members publish of themselves in the system space: kv/spaces.h.
struct MemberRecord {
  consensus::NodeId id = consensus::kNobody;
  std::string name;
  std::string version;
  std::string client_address;          // of the own client protocol
  std::vector<std::string> etcd_urls;  // "http://127.0.0.1:2379"
  std::string http_address;            // Jaeger, own API, /metrics
  std::vector<std::string> peer_urls;  // as etcd writes them; the first is the membership's address
  Hash128 custom_commands;             // kv::CustomRegistry::fingerprint()
  friend bool operator==(const MemberRecord&, const MemberRecord&) = default;
};

struct MemberStatus {
  MemberRecord record;  // of a member that never started only the id and the peer's address
  MemberRole role = MemberRole::kSecondary;
  MemberState state = MemberState::kOffline;
  consensus::Position acknowledged = 0;  // durable there, as the leader knows it
  consensus::Position behind = 0;        // entries between that and the leader's last
  std::string problem;                   // empty: none. What is wrong and what to do.
};

enum class AlarmKind : uint8_t { kNoSpace = 1, kCorrupt = 2 };  // etcd's numbers
struct Alarm {
  consensus::NodeId member = consensus::kNobody;
  AlarmKind kind = AlarmKind::kNoSpace;
  friend bool operator==(const Alarm&, const Alarm&) = default;
};

struct GroupStatus {
  uint64_t cluster = 0;   // its id, on which the founders agreed; 0: not yet, or this member has not heard of it
  uint64_t founding = 0;  // what its members know each other by (bootstrap.h)
  consensus::NodeId self = consensus::kNobody;
  std::string protocol;         // "raft"
  consensus::Report consensus;  // of this node
  consensus::Position applied = 0;
  uint64_t state_bytes = 0;  // of keys and values with their versions, of all spaces
  uint64_t quota_bytes = 0;
  std::vector<MemberStatus> members;  // by id. The leader's view; without a leader what this node sees by itself
  bool changing = false;              // a change of the members is agreed on or under way, and does not govern yet
  bool leader_view = false;
  std::vector<Alarm> alarms;
  std::vector<std::string> problems;  // of the group, worst first: "no leader: 1 of 3 voters is reachable, 2 needed"
};

// What a member itself executed as a session's command of some number: for clients that believe no single member
// (reply_quorum.h).
struct Attestation {
  consensus::Position position = 0;  // where it took effect
  Digest256 command;                 // command_digest() of it
  Digest256 answer;                  // answer_digest() of it
  friend bool operator==(const Attestation&, const Attestation&) = default;
};
Digest256 command_digest(kv::Space space, const kv::Request& request);  // SHA-256 of what goes into the log
Digest256 answer_digest(const kv::Response& response);                  // SHA-256 of kv::encode()

// What a Session (session.h) needs of a service.
class Commands {
 public:
  virtual ~Commands() = default;

  virtual void execute(kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done) = 0;
  // Of the options only timeout_ns and forward count.
  virtual void open_session(CallOptions options, Done<consensus::SessionId> done) = 0;
  virtual void close_session(consensus::SessionId session, CallOptions options) = 0;  // it ends by idling, too
};

class Service : public Commands {
 public:
  // A renewal of one lease; many callers' are proposed as one entry. The time to live it starts again with, 0: there is
  // no such lease.
  virtual void keep_alive(kv::LeaseId lease, CallOptions options, Done<int64_t> done) = 0;

  // Waits until this member has executed it, at most until the timeout; never passed on. kNotFound: it does not know,
  // or not any more: it was started, or got a snapshot, after the session was opened. kResourceExhausted: too many
  // questions wait, and nobody has more of them than this asker. kUnimplemented: the members of this group
  // believe each other.
  virtual void attest(consensus::SessionId session, uint64_t sequence, CallOptions options, Done<Attestation> done) = 0;

  // Of the options of what follows only timeout_ns and forward count.

  // kUnavailable through next() on a witness, which keeps no state.
  virtual std::unique_ptr<WatchStream> watch(kv::Space space) = 0;

  // Never forwarded but for the leader's view of the members; answers without a quorum, too.
  virtual void status(CallOptions options, Done<GroupStatus> done) = 0;

  // --- Membership. Answered when the new one is committed and decides: whom it removed may be switched off. ---
  struct NewMember {
    std::string peer_address;
    consensus::Role role = consensus::Role::kVoter;
    // A voter is first a learner and is promoted by the leader when it has caught up, so that adding one never costs
    // availability. False: it counts from the start, as etcd's MemberAdd has it.
    bool catch_up_first = true;
    // Takes this member's place in one step, with its role, and its address where none is given: for a machine whose
    // disk is gone in a group that may not be smaller in between. A voter counts at once, and is away until it is
    // started; its predecessor is no member any more.
    consensus::NodeId replaces = consensus::kNobody;
  };
  // The new member's id: never used before in this cluster.
  virtual void add_member(NewMember member, CallOptions options, Done<consensus::NodeId> done) = 0;
  virtual void remove_member(consensus::NodeId id, CallOptions options, Done<consensus::Position> done) = 0;
  // Of a learner; kFailedPrecondition while it is too far behind.
  virtual void promote_member(consensus::NodeId id, CallOptions options, Done<consensus::Position> done) = 0;
  virtual void update_member(consensus::NodeId id, std::string peer_address, CallOptions options,
                             Done<consensus::Position> done) = 0;
  // kNobody: to the fittest. Answered when another leader is known.
  virtual void transfer_leadership(consensus::NodeId to, CallOptions options, Done<consensus::NodeId> done) = 0;

  // One agreement of single-decree Paxos under a name, among those who were voters when the name was first used; this
  // member proposes, so it has to be one of them (kFailedPrecondition names them). Who proposed earlier under the name
  // wins: the outcome says what was chosen. Needs no leader but for the first use of a name. kUnimplemented: this
  // service keeps no decrees.
  virtual void propose_decree(std::string name, std::string value, CallOptions options,
                              Done<consensus::paxos::Outcome> done) = 0;

  virtual void set_alarm(Alarm alarm, bool on, CallOptions options, Done<consensus::Position> done) = 0;

  // The newest state as a stream of our snapshot format, pulled like watches are: empty bytes end it.
  class SnapshotStream {
   public:
    virtual ~SnapshotStream() = default;
    virtual void next(size_t max_bytes, Done<std::string> done) = 0;
    virtual uint64_t total_bytes() const = 0;  // known after the first next()
  };
  virtual std::unique_ptr<SnapshotStream> snapshot() = 0;
};

}  // namespace clew::control

// Replica: hosts one Protocol on one loop: its records in one log on disk, its messages on a Transport, its committed
// entries in a StateMachine behind a SessionTable, its snapshots in files. The same object runs in the real world and
// in the simulator; only env and Transport differ.
//
// Promises: what is answered as applied was chosen by the group and is applied once per session and sequence. A frame
// leaves only after the records it depends on are durable. A failed write or sync halts (on_halt), for good: no retry.
// A torn tail of the log is cut; damage in the middle is given to the protocol, which fetches the entries again or
// refuses to start. A data directory belongs to one group, one node, one protocol, and has one Instance; a peer that
// comes back with another Instance (a wiped disk) is refused until the membership readmits it under a new NodeId.
//
// A turn: whatever inputs arrived (commands, frames, "durable up to here") are fed to the core, which is then asked
// once for everything that it wants done. A turn begins when the loop has nothing older to do, so a lone command waits
// for nobody and a thousand share one record, one sync and one frame a peer: batching without a timer.
//
// A full disk: commands are refused as kResourceExhausted, frames that would need space are dropped, before anything is
// admitted; both go on by themselves once there is room. While space is being made, or a slow disk is behind, they
// wait.
//
// When not to use it: for data that may diverge (see the data plane), or more than a few thousand groups in a process.
//
// All methods and callbacks on the loop; open() blocks and is for start-up. Callbacks come from later tasks, never from
// inside the call, and must not destroy the replica. Destroying it is like a crash: nothing that was answered is lost.
// Directory layout and record formats: docs/format/replica.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/function.h"
#include "base/status.h"
#include "consensus/protocol.h"
#include "consensus/session_table.h"
#include "consensus/state_machine.h"
#include "consensus/transport.h"
#include "consensus/types.h"
#include "env/disk.h"
#include "env/loop.h"
#include "env/random.h"
#include "wal/wal.h"

namespace clew::consensus {

struct ReplicaOptions {
  uint64_t cluster = 0;  // identity of the group; frames and directories of another are refused
  NodeId self = kNobody;
  std::string directory;
  // True only for the very first start of a member, founding or added later: an empty directory is then initialised.
  // Else an empty directory is refused: the disk was lost, or the path is wrong.
  bool bootstrap = false;
  uint64_t snapshot_every_bytes = 64ull << 20;  // of log since the last snapshot
  uint64_t snapshot_chunk_bytes = 256ull << 10;
  uint64_t log_file_bytes = 64ull << 20;
  size_t max_pending = 65'536;  // requests of local clients without an answer; at most 2^24
  uint64_t max_command_bytes = 1ull << 20;
  int64_t request_timeout_ns = 10ll * 1'000'000'000;
  // Where members bound how far ahead of their clocks a command's time may be (time_bound.h): how far a command that
  // carries replicated time is proposed ahead of the own clock at most.
  int64_t most_ahead_ns = INT64_MAX / 2;
  SessionLimits sessions;
};

// Makes the core: the seed comes from env::Random.
using ProtocolFactory = UniqueFunction<std::unique_ptr<Protocol>(uint64_t seed)>;

// Checks signatures, for protocols that ask (Effects::verifications). Any thread.
class Verifier {
 public:
  virtual ~Verifier() = default;
  virtual bool verify(NodeId signer, std::string_view message, std::string_view signature) const = 0;
};

// Watches a replica: metrics, spans, checkers. On the loop; cheap; never calls back.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_fact(const Fact&) {}
  virtual void on_applied(Position, const Entry&, std::string_view /*result*/) {}
  virtual void on_record(LogSeq, std::string_view) {}
  virtual void on_send(NodeId, std::string_view) {}
};

struct Command {
  SessionId session = kNoSession;
  uint64_t sequence = 0;            // within the session, from 1
  uint64_t acknowledged_below = 0;  // of the session
  std::string body;
  bool sets_time = false;  // carries the proposer's clock also where any member proposes (Protocol::leader_keeps_time)
};

struct Reply {
  Position position = 0;
  std::string result;
};

// Of a refused or unanswered request:
//   kUnavailable         certainly had no effect; `leader` may know more
//   kResourceExhausted   certainly had no effect: too much waits, or the disk is full; ask again later
//   kInvalidArgument     certainly had no effect, and never will
//   kDeadlineExceeded    may or may not take effect; a session makes the retry safe
//   kFailedPrecondition  this try had no effect: the session is gone, or has the answer no more. An earlier one may
//   have.
struct RequestError {
  Code code = Code::kUnknown;
  std::string message;
  NodeId leader = kNobody;
};
template <typename T>
using Answer = UniqueFunction<void(std::variant<T, RequestError>)>;

enum class ReadLevel : uint8_t {
  kLinearizable,  // by asking a quorum
  kLease,         // linearizable under the options' bound of clock error
  kLocal,         // this replica's state, at or after `Query::at_least`
};
struct Query {
  ReadLevel level = ReadLevel::kLinearizable;
  Position at_least = 0;  // for kLocal: wait until the state is that new (read your writes, monotonic reads)
  std::string body;
};

// Counted since the replica was opened.
struct ReplicaStats {
  uint64_t turns = 0;
  uint64_t commands = 0;  // applied, of all clients
  uint64_t records = 0;
  uint64_t record_bytes = 0;
  uint64_t syncs = 0;
  uint64_t frames_sent = 0;
  uint64_t frames_received = 0;
  uint64_t frames_without_room = 0;  // dropped: the disk is full or behind
  uint64_t sends_dropped = 0;        // too many waited for the disk
  uint64_t stale_instances = 0;      // frames of a peer whose data directory is not what it was
  uint64_t snapshots_saved = 0;
  uint64_t snapshots_failed = 0;
  uint64_t snapshots_installed = 0;
  uint64_t pending = 0;  // now: requests without an answer
};

class Replica {
 public:
  struct Ports {
    env::Loop& loop;
    env::Disk& disk;
    env::Random& random;
    Transport& transport;
    StateMachine& machine;
    Observer* observer = nullptr;
    const Verifier* verifier = nullptr;  // without one every signature is wrong
  };
  // Blocking: takes the directory, reads the log and the newest snapshot. The replica begins to speak with the next
  // tasks of the loop; until then requests are refused as kUnavailable. `on_halt` at most once, later: what stopped it.
  // Errors: kFailedPrecondition (the directory is somebody else's, or empty without `bootstrap`), kDataLoss (it lost
  // what this member promised), and what the disk says.
  static Result<std::unique_ptr<Replica>> open(Ports ports, ReplicaOptions options, ProtocolFactory factory,
                                               UniqueFunction<void(Status)> on_halt);
  virtual ~Replica() = default;

  virtual void open_session(Answer<SessionId> done) = 0;
  virtual void close_session(SessionId session) = 0;
  virtual void submit(Command command, Answer<Reply> done) = 0;
  virtual void query(Query query, Answer<Reply> done) = 0;
  virtual void reconfigure(const Membership& target, Answer<Position> done) = 0;
  virtual void transfer(NodeId to) = 0;
  virtual void take_snapshot() = 0;  // now rather than by size; ignored while one is under way

  // Frames between the same members over the same transport, beside the log and without its promises: lost, repeated
  // and reordered as the transport likes; but of the member's own data directory, as all frames. `handler` is for the
  // life of the replica; a member without one drops them.
  virtual void send_aside(NodeId to, std::string frame) = 0;
  virtual void hear_aside(UniqueFunction<void(NodeId from, std::string_view frame)> handler) = 0;

  virtual Report report() const = 0;
  virtual const Protocol& protocol() const = 0;
  virtual Position applied() const = 0;
  // What a command that is proposed here and now would carry as its time (group_time.h): Unix time as the clock had
  // it when the replica was opened, steady from there however that clock is set, and never behind replicated time;
  // where any member proposes, replicated time and what has passed since. For the durations that a group measures: a
  // step of a leader's clock must not end its clients' leases and sessions.
  virtual int64_t time_ns() const = 0;
  // Since when the disk has had no room for something that was to be written; 0: it has. What is small may still fit,
  // so that a leader can go on leading, and refuse what its clients want.
  virtual Time full_since() const = 0;
  virtual Hash128 digest() const = 0;  // of state and sessions at applied()
  virtual Instance instance() const = 0;
  virtual bool halted() const = 0;
  virtual ReplicaStats stats() const = 0;
  virtual const wal::ReplayReport& recovery() const = 0;  // what open() found in the log, damage included
};

}  // namespace clew::consensus

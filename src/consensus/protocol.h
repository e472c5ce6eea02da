// Protocol: one replica's part of a consensus protocol, as a pure state machine. Raft, Multi-Paxos, ZAB and PBFT stand
// behind it; docs/decisions/0007-one-protocol-interface.md maps each of them onto it.
//
// All of them deliver the same: a gapless, totally ordered log of committed entries, linearizable read barriers,
// membership change, snapshots, hints who leads.
//
// Pure: no thread, clock, socket, file or random device inside, no order that depends on addresses or hash seeds; the
// same inputs give the same effects. One thread at a time, no re-entry. Inputs change state and remember effects;
// collect() hands them over: a host feeds a whole turn's inputs, then collects once, and so batches without a timer.
//
// Life: construct → recover()/recover_gap() for each record of the log in order → start() → inputs and collect().
// Every queue inside is bounded by the protocol's options; what does not fit is refused (Refusal::kOverloaded) or
// dropped where the protocol repeats it anyway.
//
// Frames are untrusted: a malformed one is refused with a fact and changes nothing. `from` is trusted as far as the
// transport has checked it (mutual TLS, cluster id, instance).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "consensus/effects.h"
#include "consensus/membership.h"
#include "consensus/snapshot.h"
#include "consensus/types.h"

namespace clew::consensus {

enum class Standing : uint8_t { kFollower, kCandidate, kLeader, kLearner, kWitness, kRecovering };
std::string_view standing_name(Standing standing);

// How a read barrier is had.
enum class ReadBarrier : uint8_t {
  kQuorum,  // asks a quorum; right whatever clocks do
  kLease,   // answers from a lease when there is one, under the options' bound of clock error; else asks a quorum
};

// What every protocol can say about itself; cheap enough for each event of a simulation.
struct Report {
  Standing standing = Standing::kFollower;
  Epoch epoch = 0;
  NodeId leader = kNobody;        // as far as this node knows
  bool gateway = false;           // takes proposals without leading: the protocol itself brings them to whoever orders
  Position first = 1;             // first position still in the log
  Position last = 0;              // last position in the log
  Position committed = 0;         // known to be committed
  Position delivered = 0;         // handed over by collect()
  Position durable_position = 0;  // everything up to it is durable here
  SnapshotMeta snapshot;          // what the log begins with
  uint64_t log_bytes = 0;         // memory that the log holds
  uint64_t uncommitted_bytes = 0;
  struct Peer {
    NodeId id = kNobody;
    Position acknowledged = 0;
    bool recent = false;  // heard within an election timeout
  };
  std::vector<Peer> peers;  // a leader's view; else empty
};

// The identity of an entry, for checkers: equal identities at a position mean equal entries.
struct EntryId {
  Epoch epoch = 0;
  uint64_t hash = 0;  // of kind and payload
  friend bool operator==(const EntryId&, const EntryId&) = default;
};
EntryId identity(const Entry& entry);

class Protocol {
 public:
  virtual ~Protocol() = default;
  virtual std::string_view name() const = 0;  // "raft": stands in the data directory; another protocol refuses it

  // --- Recovery ---
  // One record of this protocol's own, as it once stood in Effects::records. kDataLoss: it is intact and yet makes no
  // sense here; the host must not start.
  virtual Status recover(LogSeq seq, std::string_view record) = 0;
  // Records first..last are damaged, and intact ones follow: never a torn tail. kDataLoss when this protocol cannot
  // vouch for its promises without them.
  virtual Status recover_gap(LogSeq first, LogSeq last) = 0;
  // What the log begins with, as far as recovered: the host must have that snapshot, or says so in start().
  virtual SnapshotMeta recovered_snapshot() const = 0;
  // `next`: the number that the next record will get. `have_snapshot`: recovered_snapshot() was found and is intact.
  virtual void start(Time now, LogSeq next, bool have_snapshot) = 0;

  // --- Inputs ---
  virtual void tick(Time now) = 0;
  virtual void receive(Time now, NodeId from, std::string_view frame) = 0;
  virtual void propose(Time now, ProposalId id, Payload command) = 0;
  virtual void read(Time now, ReadId id, ReadBarrier barrier) = 0;
  // Whether this protocol can run on such members at all: kInvalidArgument with the reason, for people. Says nothing of
  // what may follow the present membership; reconfigure() refuses what this refuses.
  virtual Status accepts(const Membership&) const { return {}; }
  // Towards `target` (not joint). Its outcome is an entry kMembership that is delivered, or a refusal of `id`.
  virtual void reconfigure(Time now, ProposalId id, const Membership& target) = 0;
  // `to` nobody: to whomever is fittest. Refused or failed transfers are facts (kLeadershipMoved).
  virtual void transfer(Time now, NodeId to) = 0;
  virtual void durable(Time now, LogSeq seq) = 0;  // every record up to `seq`
  // The host has written a snapshot of the state after `meta.position` (delivered, durable); older log may go.
  virtual void snapshot_saved(Time now, const SnapshotMeta& meta) = 0;
  // The outcome of a FetchSnapshot. ok: the bytes are here, complete and checked.
  virtual void snapshot_fetched(Time now, const SnapshotMeta& meta, bool ok) = 0;
  // The connection to a peer came or went: a hint that saves waiting for a timeout, never evidence.
  virtual void connection(Time now, NodeId peer, bool up) = 0;
  virtual void verified(Time now, VerifyId id, bool ok) = 0;

  // --- Outputs ---
  // Appends to `effects`. Ends a turn.
  virtual void collect(Time now, Effects& effects) = 0;
  // When tick() is due at the latest, if nothing happens before.
  virtual Time deadline() const = 0;
  virtual Report report() const = 0;
  // Whether only the leader proposes, so that replicated time follows its clock with each command. Else it does with
  // those that say so (Command::sets_time; group_time.h).
  virtual bool leader_keeps_time() const { return true; }
  // The newest membership in the log, committed or not; and where it stands.
  virtual const Membership& membership() const = 0;
  // Whether the votes that count are those of `delivered`, a membership that was, and its members hold the state:
  // whoever is not in it must not go before. Under PBFT that is so when a view of theirs has begun, after the next
  // checkpoint.
  virtual bool in_force(const Membership& /*delivered*/) const { return true; }
  // Entry at `position` as this node holds it; nothing when it is compacted, missing or beyond the end.
  virtual std::optional<EntryId> entry_at(Position position) const = 0;
  // Everything this core believes of itself. kInternal names what is broken. O(members) plus what changed since the
  // last call.
  virtual Status check_invariants() const = 0;
};

}  // namespace clew::consensus

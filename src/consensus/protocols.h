// Protocols: those that a group can run on, by name. Who hosts a core and does not care which one takes it from here;
// who cares (tests, the simulator's families) makes it directly.
//
// A protocol is chosen when a group is founded and stays for its life: the data directory knows it
// (consensus/replica_directory.h) and refuses another, and members that run different ones refuse each other at the
// handshake. Pure; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "consensus/membership.h"
#include "consensus/protocol.h"
#include "consensus/signer.h"
#include "consensus/snapshot.h"
#include "consensus/types.h"

namespace clew::consensus {

// What every protocol wants to be told, in the words of whoever configures a node. Each has more options of its own,
// whose defaults are right for a control group. `heartbeat`, `election_min` and `election_max` are the same on all
// members.
struct ProtocolOptions {
  NodeId self = kNobody;
  Membership founding;  // empty for a member that joins a group which exists, unless the kind is `byzantine`
  Time heartbeat = 50 * kMillisecond;
  Time election_min = 150 * kMillisecond;  // without a sign of the leader; drawn anew each time, below election_max
  Time election_max = 300 * kMillisecond;
  bool leases = false;
  uint32_t clock_error_ppm = 10'000;  // of any member's monotonic clock

  // For a kind that is `byzantine`; others do not look.
  // Of log, between the states that members save: the same on all of them, for they sign what they save.
  uint64_t snapshot_every_bytes = 64ull << 20;
  uint64_t cluster = 0;                  // stands in everything that is signed
  std::shared_ptr<const Signer> signer;  // with this member's key
  // Whether a command may be ordered now; it has to let pass what is old. Called on the core's thread. None: all may.
  std::function<bool(std::string_view command)> admissible;
};

struct ProtocolKind {
  std::string_view name;                        // as in Protocol::name()
  Status (*founds)(const Membership& members);  // whether it can run among these; not empty
  Status (*check)(const ProtocolOptions& options);
  // `options` have passed check(). `seed`: of everything that the core draws.
  std::unique_ptr<Protocol> (*make)(const ProtocolOptions& options, uint64_t seed);
  // What the log of each founder begins with when a group is founded with a state (replica_seed.h). Null: it cannot be.
  std::string (*first_record)(const SnapshotMeta& meta);
  // Members do not trust each other: they sign what they say, so that the host needs keys and a Verifier (replica.h);
  // no witness may found, and who joins is told the founding members, from whose signatures those of today follow.
  bool byzantine = false;
};

std::span<const ProtocolKind> protocols();  // the first is the default
const ProtocolKind* protocol_named(std::string_view name);
// How many of so many voters decide; of a protocol that is not known here, a majority.
size_t quorum_of(std::string_view protocol, size_t voters);
std::string protocol_names();  // "raft, multipaxos, ...": for messages

}  // namespace clew::consensus

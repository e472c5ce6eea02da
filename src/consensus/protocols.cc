#include "consensus/protocols.h"

#include <array>

#include "consensus/multipaxos/multipaxos.h"
#include "consensus/multipaxos/records.h"
#include "consensus/pbft/pbft.h"
#include "consensus/quorum.h"
#include "consensus/raft/raft.h"
#include "consensus/raft/records.h"
#include "consensus/zab/records.h"
#include "consensus/zab/zab.h"

namespace clew::consensus {
namespace {

// The options of one protocol carry these names; a core of another shape fills them in itself.
template <typename Options>
Options common(const ProtocolOptions& options) {
  Options own;
  own.self = options.self;
  own.founding = options.founding;
  own.heartbeat = options.heartbeat;
  own.election_min = options.election_min;
  own.election_max = options.election_max;
  own.leases = options.leases;
  own.clock_error_ppm = options.clock_error_ppm;
  return own;
}

template <typename Core, typename Options>
constexpr ProtocolKind kind(std::string_view name, std::string (*first_record)(const SnapshotMeta&)) {
  return {name,
          [](const Membership& members) {
            Options own;
            own.self = members.members().front().id;
            own.founding = members;
            return own.check();
          },
          [](const ProtocolOptions& options) { return common<Options>(options).check(); },
          [](const ProtocolOptions& options, uint64_t seed) -> std::unique_ptr<Protocol> {
            return std::make_unique<Core>(common<Options>(options), seed);
          },
          first_record};
}

// Nobody leads without being checked, so there are no leases; who waits for the primary is as patient as elsewhere.
pbft::Options pbft_options(const ProtocolOptions& options) {
  pbft::Options own;
  own.self = options.self;
  own.founding = options.founding;
  own.group = options.cluster;
  own.signer = options.signer;
  own.admissible = options.admissible;
  own.heartbeat = options.heartbeat;
  own.request_timeout = options.election_max;
  own.checkpoint_every = 32;  // members change two windows after they were asked for, by empty batches if need be
  own.snapshot_every_bytes = options.snapshot_every_bytes;
  own.full_batch = 128;  // some 30 signatures are made and checked for a batch
  return own;
}

constexpr ProtocolKind kPbft = {"pbft",
                                pbft::Options::accepts,
                                [](const ProtocolOptions& options) { return pbft_options(options).check(); },
                                [](const ProtocolOptions& options, uint64_t seed) -> std::unique_ptr<Protocol> {
                                  return std::make_unique<Pbft>(pbft_options(options), seed);
                                },
                                nullptr,  // a state is what f + 1 members signed
                                true};

constexpr std::array kProtocols = {
    kind<Raft, raft::Options>("raft", raft::first_record),
    kind<MultiPaxos, multipaxos::Options>("multipaxos", multipaxos::first_record),
    kind<Zab, zab::Options>("zab", zab::first_record),
    kPbft,
};

}  // namespace

std::span<const ProtocolKind> protocols() { return kProtocols; }

const ProtocolKind* protocol_named(std::string_view name) {
  for (const ProtocolKind& one : kProtocols) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

size_t quorum_of(std::string_view protocol, size_t voters) {
  const ProtocolKind* const kind = protocol_named(protocol);
  return kind != nullptr && kind->byzantine ? byzantine_quorum(voters) : voters / 2 + 1;
}

std::string protocol_names() {
  std::string names;
  for (const ProtocolKind& one : kProtocols) {
    if (!names.empty()) names += ", ";
    names += one.name;
  }
  return names;
}

}  // namespace clew::consensus

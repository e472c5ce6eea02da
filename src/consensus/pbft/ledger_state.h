// LedgerState: what executing batches makes of a PBFT core besides the host's state machine: how far it is, which
// requests were executed, who the members are. Equal on all honest replicas at equal sequence numbers; a CHECKPOINT
// signs its digest, and a state that is fetched from another member is believed only when 2f + 1 have signed it.
//
// In two parts, so that the proof of a membership needs the small one only. Canonical bytes. Pure; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/sha256.h"
#include "base/status.h"
#include "consensus/membership.h"
#include "consensus/types.h"

namespace clew::consensus::pbft {

// Which requests of one gateway were executed: everything up to `floor`, and those above it. They may overtake each
// other by a window at most; what falls out of it counts as executed and never will be. Who leaves is remembered: he
// may be made a member again, and what he signed before must not take effect a second time.
class ClientTable {
 public:
  bool executed(NodeId gateway, uint64_t timestamp) const;
  // False when it was.
  bool execute(NodeId gateway, uint64_t timestamp, uint64_t window);
  uint64_t floor(NodeId gateway) const;

  void append_to(std::string& out) const;
  static Result<ClientTable> parse(std::string_view bytes);
  friend bool operator==(const ClientTable&, const ClientTable&) = default;

 private:
  struct Client {
    uint64_t floor = 0;
    std::set<uint64_t> above;
    friend bool operator==(const Client&, const Client&) = default;
  };
  std::map<NodeId, Client> clients_;
};

// What a CHECKPOINT at `seq` vouches for.
struct CheckpointHeader {
  uint64_t seq = 0;
  Position position = 0;        // entries delivered up to there
  Epoch epoch = 0;              // of the last of them
  Digest256 history;            // of all batches: each digest over the one before it and the batch
  Membership membership;        // governs above `seq`
  bool changed = false;         // and did not before: `seq` is where it took effect
  Membership next;              // ordered, and not yet in force; empty: none
  uint64_t next_at = 0;         // the checkpoint at which it will be
  uint64_t since_snapshot = 0;  // bytes of commands since the checkpoint whose state was saved last
  bool snapshot = false;        // the state at this checkpoint is to be saved
  Digest256 clients;            // of the client table

  void append_to(std::string& out) const;  // length-prefixed
  static Result<CheckpointHeader> parse(std::string_view& in);
  Digest256 digest() const;
  // As the entries delivered so far name it.
  const Membership& newest_membership() const { return next_at == 0 ? membership : next; }
};

struct LedgerState {
  CheckpointHeader header;
  ClientTable clients;
};

}  // namespace clew::consensus::pbft

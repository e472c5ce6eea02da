// Canon: the one history that a group agreed on, as its nodes deliver it: which entry stands at each position, what it
// made of the state, whether it was executed. Every delivery of every node and life is compared with the first one.
//
// What it judges, for every protocol: slot agreement, gapless delivery, validity (every command was proposed), exactly
// once per session and sequence, equal digests at equal positions. O(1) a delivery; memory: some words a position.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/status.h"
#include "consensus/membership.h"
#include "consensus/protocol.h"
#include "consensus/session_table.h"

namespace clew::sim::groups {

class Canon {
 public:
  struct Delivered {
    consensus::NodeId node;
    consensus::Position position;
    consensus::Position after;  // the position that this node had applied before
    const consensus::Entry& entry;
    bool executed;   // a command that the machine executed, rather than one that its session table answered
    Hash128 digest;  // of the state after it
    bool changed;    // the machine's state is another one than before
  };
  // kInternal names the broken promise.
  Status deliver(const Delivered& delivered);
  // A node's state stands at `position` without deliveries: by a snapshot.
  Status compare(consensus::NodeId node, consensus::Position position, Hash128 digest) const;

  void proposed(std::string_view command);  // may appear from now on
  consensus::Position last() const { return entries_.size(); }
  // Where a command of a session was executed.
  std::optional<consensus::Position> executed_at(consensus::SessionId session, uint64_t sequence) const;
  // Where this command was executed, and whether it changed anything.
  struct Execution {
    consensus::Position position;
    bool changed;
  };
  std::optional<Execution> execution_of(uint64_t command_hash) const;
  // The newest membership that was delivered, and where; the founding one at 0.
  const consensus::Membership& membership() const { return membership_; }
  consensus::Position membership_at() const { return membership_at_; }
  void found(consensus::Membership membership) { membership_ = std::move(membership); }

 private:
  struct Known {
    consensus::EntryId id;
    Hash128 digest;
    bool executed = false;
  };
  Status first(const Delivered& delivered);

  std::vector<Known> entries_;                                       // by position - 1
  std::unordered_map<uint64_t, std::optional<Execution>> proposed_;  // by stable_hash64; where it was executed first
  std::map<std::pair<consensus::SessionId, uint64_t>, consensus::Position> executed_;
  consensus::Membership membership_;
  consensus::Position membership_at_ = 0;
};

}  // namespace clew::sim::groups

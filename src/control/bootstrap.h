// How a member finds out which group it belongs to, once, and never again: alone (a new group of one), as one of the
// founders that a configuration names, or by being added to a group that exists. What was found out stands in a file in
// front of the replica's directory; docs/format/kv.md has its grammar.
//
// Founders know each other, before they have met, by what is made of the token and the list of founders: members whose
// lists differ refuse each other. The cluster's id is another matter, which they agree on once they have met
// (decree_desk.h); who joins later is told both. A group of one draws one number for both.
//
// Blocking, for start-up; any thread. When not to use it: for simulated members, whose identity a test chooses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "consensus/membership.h"
#include "consensus/types.h"
#include "control/service.h"
#include "env/disk.h"
#include "env/random.h"

namespace clew::control {

// "1=host:4330,2=host:4330,3=host:4330/witness": the founders. kInvalidArgument says what is wrong with which.
Result<std::vector<consensus::Member>> parse_founders(std::string_view text);
// What founders know each other by: the same for the same founders in any order; never 0. `restored`: checksum of the
// snapshot that the group began with (restore.h), 0: with nothing.
uint64_t founding_of(std::string_view token, const consensus::Membership& founders, uint64_t restored = 0);

// What a configuration says.
struct BootstrapOptions {
  std::string directory;                        // of the control plane; made when it is not there
  consensus::NodeId node = consensus::kNobody;  // kNobody: not said
  std::string token;
  std::vector<consensus::Member> founders;  // empty: alone, or by joining
  bool joins = false;
  std::string own_address;  // of the peer port: what a group of one is founded with
};

struct Belonging {
  uint64_t founding = 0;  // what members know each other by
  uint64_t cluster = 0;   // the id, when it was known then; 0: founders agree on it later
  consensus::NodeId node = consensus::kNobody;
  consensus::Membership founders;  // empty for one that was added
  uint64_t restored = 0;           // checksum of the snapshot that the group began with; 0: with nothing
  bool is_new = true;              // its replica was not made yet
  friend bool operator==(const Belonging&, const Belonging&) = default;

  std::string encode() const;
  static Result<Belonging> parse(std::string_view text, const std::string& path);
};

// What stands in the directory, or is founded now and written there. Nothing: it has to join first; then remember()
// what came of it. kFailedPrecondition: the configuration says something else than the directory.
Result<std::optional<Belonging>> belong(env::Disk& disk, env::Random& random, const BootstrapOptions& options);
Status remember(env::Disk& disk, const std::string& directory, const Belonging& belonging);

// Asks a group, through any of its members, to take in a new one with this peer address: one that was added before and
// never started takes the id that it was given. The member's record must be free of it; a machine whose disk is gone is
// another member. A group that runs another protocol than `protocol` is left as it is, and that is said. A member that
// is behind refuses, as it may name one that was removed. `existing` outlives the answer.
void join(Service& existing, std::string peer_address, consensus::Role role, std::string protocol, int64_t timeout_ns,
          Done<Belonging> done);

}  // namespace clew::control

// AttestDesk: what this member executed lately, by session and number, for clients that believe no single member
// (Service::attest): digests of the command and of its answer. Members of a group whose members may lie keep it.
//
// The first execution counts. The group answers a command that comes again with what it kept, whatever the second one
// said; somebody who may order commands could use a client's session before it does. So this member speaks of sessions
// only which it saw being opened, and of no number below one that it has forgotten: of anything else it cannot tell
// whether it saw the first. It remembers nothing over a restart, nor over a snapshot that it was given.
//
// Bounded by Limits; what is oldest goes first. On the plane's loop; O(log sessions + log commands) a command.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "consensus/session_table.h"
#include "consensus/types.h"
#include "control/service.h"

namespace clew::control {

class AttestDesk {
 public:
  struct Limits {
    size_t max_commands = 65'536;
    size_t max_sessions = 4'096;
    size_t max_waiting = 65'536;
  };
  AttestDesk() = default;
  explicit AttestDesk(Limits limits) : limits_(limits) {}

  // An entry was applied, and `result` is what its command answered; of a command that was not executed, as its session
  // is gone, nothing.
  void applied(consensus::Position at, const consensus::Entry& entry, std::string_view result);
  // Answers at once what it knows, or never will; else when it is executed, or at the deadline. `applied`: up to where
  // this member's state goes.
  void ask(consensus::SessionId session, uint64_t sequence, consensus::Position applied, consensus::Time deadline,
           Done<Attestation> done);
  void expire(consensus::Time now);
  void end(const CallError& why);  // of all who wait

  uint64_t given() const { return given_; }
  uint64_t refused() const { return refused_; }

 private:
  using Key = std::pair<consensus::SessionId, uint64_t>;
  struct Session {
    uint64_t forgotten_below = 0;
    std::map<uint64_t, Attestation> commands;  // by sequence
  };
  struct Waiting {
    consensus::Time deadline;
    Done<Attestation> done;
  };
  void opened(consensus::SessionId id);
  void executed(consensus::Position at, const Key& key, std::string_view command, std::string_view result);
  void forget_oldest();
  void refuse(Done<Attestation> done, Code code, std::string_view why);

  const Limits limits_{};
  consensus::Position last_ = 0;  // position of the newest entry; 0: none since the start
  std::map<consensus::SessionId, Session> sessions_;
  std::deque<Key> order_;  // of execution, with those of sessions that are gone
  std::map<Key, std::vector<Waiting>> waiting_;
  size_t waiters_ = 0;
  uint64_t given_ = 0, refused_ = 0;
};

}  // namespace clew::control

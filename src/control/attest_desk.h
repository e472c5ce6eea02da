// AttestDesk: what this member executed lately, by session and number, for clients that believe no single member
// (Service::attest): digests of the command and of its answer. Members of a group whose members may lie keep it.
//
// The first execution counts. The group answers a command that comes again with what it kept, whatever the second one
// said; somebody who may order commands could use a client's session before it does. So this member speaks of sessions
// only which it saw being opened, and of no number below one that it has forgotten: of anything else it cannot tell
// whether it saw the first. It remembers nothing over a restart, but for what its log replays, nor over a snapshot that
// it was given.
//
// Bounded by Limits. Of commands the one that was executed first is forgotten first, of sessions the one that is unused
// for longest: as in the session table (consensus/session_table.h) and with its bound, so that no session is forgotten
// here which the group still knows. At the bounds sessions take about 12 MiB, commands 9 MiB and questions 25 MiB. When
// too many questions wait, whoever has the most of them waiting yields: some who ask about what never comes keep nobody
// out who asks less.
//
// On the plane's loop; O(log sessions + log commands + log questions) a command, a question, and one that expires.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "consensus/session_table.h"
#include "consensus/types.h"
#include "control/service.h"

namespace clew::control {

class AttestDesk {
 public:
  struct Limits {
    size_t max_commands = 65'536;
    size_t max_sessions = consensus::SessionLimits().max_sessions;
    size_t max_waiting = 65'536;
  };
  AttestDesk() = default;
  explicit AttestDesk(Limits limits) : limits_(limits) {}

  // An entry was applied, and `result` is what its command answered; of a command that was not executed, as its session
  // is gone, nothing.
  void applied(consensus::Position at, const consensus::Entry& entry, std::string_view result);

  struct Question {
    consensus::SessionId session = consensus::kNoSession;
    uint64_t sequence = 0;
    uint64_t asker = 0;  // CallOptions::asker
    consensus::Time deadline = 0;
  };
  // Answers at once what it knows, or never will (kNotFound); else when it is executed, or at the deadline
  // (kDeadlineExceeded). kResourceExhausted, at once or later: too many wait, and no asker has more waiting than this
  // one. `applied`: up to where this member's state goes.
  void ask(const Question& question, consensus::Position applied, Done<Attestation> done);
  void expire(consensus::Time now);
  void end(const CallError& why);  // of all who wait

  uint64_t given() const { return given_; }
  uint64_t refused() const { return refused_; }

 private:
  using Key = std::pair<consensus::SessionId, uint64_t>;
  struct Session {
    consensus::Position used_at = 0;  // position of its newest command
    uint64_t forgotten_below = 0;
    std::map<uint64_t, Attestation> commands;  // by sequence
  };
  using Sessions = std::map<consensus::SessionId, Session>;
  struct Waiting {
    Question question;
    Done<Attestation> done;
  };
  void opened(consensus::SessionId id);
  void executed(consensus::Position at, const Key& key, std::string_view command, std::string_view result);
  void touch(Sessions::iterator session, consensus::Position at);
  void drop(Sessions::iterator session);
  void forget_oldest();
  bool make_room(uint64_t asker);  // false: who has the most waiting is the asker itself
  void wait(const Question& question, Done<Attestation> done);
  Done<Attestation> take(uint64_t number);  // it waits no more
  void refuse(Done<Attestation> done, Code code, std::string_view why);

  const Limits limits_{};
  consensus::Position last_ = 0;  // position of the newest entry; 0: none since the start
  Sessions sessions_;
  std::map<consensus::Position, consensus::SessionId> by_use_;  // used_at → session; positions are unique
  std::deque<Key> order_;                                       // of execution, with those of sessions that are gone

  // Who waits, by number in the order of asking, and in the orders in which that is looked for.
  std::map<uint64_t, Waiting> waiting_;
  uint64_t last_number_ = 0;
  std::set<std::tuple<consensus::SessionId, uint64_t, uint64_t>> by_command_;  // session, sequence, number
  std::set<std::pair<consensus::Time, uint64_t>> by_deadline_;
  std::map<uint64_t, std::set<uint64_t>> by_asker_;
  std::set<std::pair<size_t, uint64_t>> by_share_;  // how many of an asker wait, and the asker
  uint64_t given_ = 0, refused_ = 0;
};

}  // namespace clew::control

// SessionTable: exactly once. A client opens a session through the log, numbers its commands, and may send each as
// often as it likes: the table lets it take effect once and answers repetitions with the kept result (Raft thesis
// §6.3).
//
// Part of the replicated state: it changes only by applied entries, and stands in snapshots canonically. Sessions end
// by replicated time (`Applied::time_ns`), never by a local clock (scenario 22), or when there are too many (the one
// longest unused goes). A command of a session that is not there (ended, evicted) is *not* applied and is told so: a
// client cannot know whether its first try took effect, and the answer says that.
//
// Pure; one thread. O(log sessions) a command; memory bounded by max_sessions × max_kept_results × result size.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/status.h"
#include "consensus/state_machine.h"
#include "consensus/types.h"

namespace clew::consensus {

enum class SessionId : uint64_t {};  // the position of the entry that opened it; 0: no session, nothing is remembered
constexpr SessionId kNoSession{0};

struct SessionLimits {
  size_t max_sessions = 65'536;
  size_t max_kept_results = 4'096;            // a session's window of commands without acknowledgement
  int64_t idle_ns = 3'600ll * 1'000'000'000;  // in replicated time
};

class SessionTable {
 public:
  explicit SessionTable(SessionLimits limits) : limits_(limits) {}

  // The entry at `at.position` opens a session.
  SessionId open(const Applied& at);
  void close(SessionId id);

  enum class Verdict : uint8_t {
    kApply,      // first time: apply it, then call keep()
    kRepeated,   // `*kept` is what it answered the first time
    kForgotten,  // the session is gone, or the client had said that it needs this result no more, or its window is over
  };
  // `acknowledged_below`: the client has the answers to all its commands below this number.
  Verdict check(const Applied& at, SessionId id, uint64_t sequence, uint64_t acknowledged_below,
                std::string_view* kept);
  void keep(SessionId id, uint64_t sequence, std::string result);

  size_t size() const { return sessions_.size(); }
  void save(std::string& out) const;       // canonical
  Status restore(std::string_view bytes);  // all of it; untrusted
  Hash128 digest() const;                  // O(table): for checkers at rest; see dirty tracking in the .cc

 private:
  struct Session {
    uint64_t acknowledged_below = 0;
    Position used_at = 0;  // position of its newest command: the order of eviction
    int64_t used_ns = 0;
    std::map<uint64_t, std::string> results;  // by sequence
  };
  void expire(const Applied& at);
  void touch(SessionId id, Session& session, const Applied& at);

  SessionLimits limits_;
  std::map<SessionId, Session> sessions_;
  std::map<Position, SessionId> by_use_;  // used_at → session; positions are unique
};

}  // namespace clew::consensus

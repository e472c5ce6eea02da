// SessionTable: exactly once. A client opens a session through the log, numbers its commands, and may send each as
// often as it likes: the table lets it take effect once and answers repetitions with the kept result (Raft thesis
// §6.3).
//
// Part of the replicated state: it changes only by applied entries, and stands in snapshots canonically. Sessions end
// by replicated time (`Applied::time_ns`), never by a local clock (scenario 22), or when there are too many of them or
// of their results (the one longest unused goes). Of a step of that time only as much counts as is half of the limit: a
// group that was down, or asked for nothing, ends nobody's session when it goes on. A command of a session that is not
// there (ended, evicted) is *not* applied and is told so: a client cannot know whether its first try took effect, and
// the answer says that.
//
// The limits decide what is applied, so they are part of the state machine: the same on every member, for the life of
// the group.
//
// Pure; one thread. O(log sessions + log results) a command, the digest O(1); memory bounded by max_sessions and
// max_kept_bytes.
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
  uint64_t max_kept_results = 4'096;          // a session's window: its newest number minus `acknowledged_below`
  uint64_t max_kept_bytes = 256ull << 20;     // of all results; each is charged 64 bytes more than its length
  int64_t idle_ns = 3'600ll * 1'000'000'000;  // in replicated time
  friend bool operator==(const SessionLimits&, const SessionLimits&) = default;
};

class SessionTable {
 public:
  explicit SessionTable(SessionLimits limits) : limits_(limits) {}

  // Replicated time goes on by this much, with the entry that comes next. O(1); O(sessions) for a step that is cut.
  void pass(int64_t step_ns);

  // The entry at `at.position` opens a session. Positions rise from call to call, here and in check().
  SessionId open(const Applied& at);
  void close(SessionId id);

  enum class Verdict : uint8_t {
    kApply,      // first time: apply it, then call keep() before anything else
    kRepeated,   // `*kept` is what it answered the first time; borrowed until the next change
    kForgotten,  // the session is gone, or the client had said that it needs this result no more, or its window is over
  };
  // `sequence` from 1. `acknowledged_below`: the client has the answers to all its commands below this number.
  Verdict check(const Applied& at, SessionId id, uint64_t sequence, uint64_t acknowledged_below,
                std::string_view* kept);
  void keep(SessionId id, uint64_t sequence, std::string result);

  size_t size() const { return sessions_.size(); }
  uint64_t kept_bytes() const { return kept_bytes_; }
  void save(std::string& out) const;                     // canonical
  Status restore(std::string_view bytes);                // all of it; untrusted; unchanged when it fails
  Hash128 digest() const { return {sum_lo_, sum_hi_}; }  // equal tables, equal digests

 private:
  struct Session {
    uint64_t acknowledged_below = 1;
    Position used_at = 0;  // position of its newest command: the order of eviction
    int64_t used_ns = 0;
    std::map<uint64_t, std::string> results;  // by sequence
  };
  using Sessions = std::map<SessionId, Session>;

  void expire(const Applied& at);
  void remove(Sessions::iterator it);
  void touch(Sessions::iterator it, const Applied& at);
  void forget_below(SessionId id, Session& session, uint64_t acknowledged_below);
  // The digest is a sum over parts, so that a change costs the parts that change.
  void count(Hash128 part);
  void discount(Hash128 part);

  SessionLimits limits_;
  Sessions sessions_;
  std::map<Position, SessionId> by_use_;  // used_at → session; positions are unique
  uint64_t kept_bytes_ = 0;
  uint64_t sum_lo_ = 0, sum_hi_ = 0;
};

}  // namespace clew::consensus

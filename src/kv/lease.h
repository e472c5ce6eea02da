// LeaseTable: leases and the keys that live as long as they do. Part of the replicated state.
//
// A lease lives until the log says otherwise. Its deadline is in replicated time, and passing it does nothing: the
// leader sees it and proposes LeaseExpire, which revokes what is due at the time its entry carries. So all members
// revoke the same leases at the same place, and no local clock is asked. A lease lasts at least its time to live from
// its last keep-alive; it may last longer.
//
// After a leader change the new leader, whose clock may be ahead and who knows nothing of keep-alives that its
// predecessor had not yet got through, first proposes LeaseExtend with its own reign: every lease gets its whole time
// again. An expiry of another reign than the newest extension's is void: one that the predecessor proposed late, or
// the leader itself too early, revokes nothing. Nor does one revoke what ran out after the time that it was proposed
// at: where members propose that lead no more (PBFT), replicated time may have been taken ahead since, by a late
// LeaseExtend of an older reign even, which therefore extends as any other. One of a reign that has not begun when it
// is agreed on (Applied::epoch) is refused.
//
// Here is the bookkeeping; state_machine.h deletes the keys of what is revoked. One thread. O(log leases + log keys).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "kv/entries.h"
#include "kv/types.h"

namespace clew::kv {

struct Lease {
  int64_t ttl_s = 0;
  int64_t deadline_ns = 0;                  // replicated time
  std::set<std::string, std::less<>> keys;  // those whose newest version names this lease
};

class LeaseTable {
 public:
  explicit LeaseTable(Entries& entries) : entries_(entries) {}

  // The time to live that it got, or an error of etcd's: the id is 0, taken, or the time too long.
  Result<int64_t> grant(LeaseId id, int64_t ttl_s, int64_t now_ns);
  // The time to live it starts again with; nothing when there is no such lease.
  std::optional<int64_t> keep_alive(LeaseId id, int64_t now_ns);
  void extend_all(int64_t now_ns);
  // The lease must exist and have no keys any more.
  void remove(LeaseId id);

  const Lease* find(LeaseId id) const;
  size_t size() const { return leases_.size(); }
  // The earliest deadline, when there is a lease: the leader's timer.
  std::optional<int64_t> next_deadline_ns() const;
  // At most `limit` leases whose deadline is at or before `now_ns`, the earliest first.
  std::vector<LeaseId> due(int64_t now_ns, size_t limit) const;
  std::vector<LeaseId> by_deadline() const;

  // The key's newest version names `to` now and named `from` before; kNoLease for none. Both exist.
  void move_key(std::string_view key, LeaseId from, LeaseId to);

  // From an entry of the engine; kDataLoss when it makes no sense.
  Status load(std::string_view key, std::string_view value);
  void clear();

 private:
  static size_t bucket(LeaseId id);
  // Never shortens: replicated time stands still rather than goes back, but leases outlive mistakes.
  void renew(LeaseId id, Lease& lease, int64_t now_ns);

  Entries& entries_;
  std::map<LeaseId, Lease> leases_;
  std::set<std::pair<int64_t, LeaseId>> by_deadline_;
};

}  // namespace clew::kv

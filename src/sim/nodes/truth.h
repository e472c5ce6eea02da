// Truth: the one history of a group of nodes, as they deliver it: what sim/groups/canon.h says of every log, and what
// the strong user space made of it: every change by its revision, every lease by agreed time. Workloads compare with it
// what they were told; it looks only at what somebody applied, never at what was promised to anybody.
//
// What it judges by itself, at each delivery: all that Canon does; that nothing changes the user space which no client
// asked for, and no request of a client twice; that revisions have no gap; that a lease is ended by the log only when
// its time to live has run out since it was renewed last, in agreed time.
// O(changes of the entry) a delivery; memory: all changes. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "kv/command.h"
#include "kv/spaces.h"
#include "sim/groups/canon.h"

namespace clew::sim::nodes {

struct Change {
  kv::Event event;  // without the state before
  consensus::Position position = 0;
  std::optional<size_t> before;  // the change of the same key before this one
};

// A lease, as the log made it.
struct KnownLease {
  int64_t ttl_ns = 0;
  int64_t renewed_ns = 0;  // agreed time
};

class Truth {
 public:
  // A client is going to ask for this on the user space: bytes that no other request has.
  void proposed(const kv::Request& request);
  static uint64_t hash_of(const kv::Request& request);

  struct Delivery {
    consensus::NodeId node;
    consensus::Position position;
    consensus::Position after;  // what this life had applied before
    const consensus::Entry& entry;
    std::string_view result;
    const kv::Spaces& spaces;  // of the node that applied it
    Hash128 digest;
  };
  Status deliver(const Delivery& delivery);

  groups::Canon& canon() { return canon_; }
  const groups::Canon& canon() const { return canon_; }
  consensus::Position last() const { return canon_.last(); }

  // Of the user space, by revision.
  const std::vector<Change>& changes() const { return changes_; }
  // The first change at `revision` or later.
  size_t first_at(kv::Revision revision) const;
  // Where the newest change of each key stands among them.
  const std::map<std::string, size_t>& newest() const { return newest_; }
  kv::Revision revision() const { return revision_; }
  kv::Revision compacted() const { return compacted_; }
  const std::map<kv::LeaseId, KnownLease>& leases() const { return leases_; }
  // Whether a lease ended because its time was over.
  bool expired(kv::LeaseId lease) const { return expired_.contains(lease); }
  int64_t agreed_ns() const { return agreed_ns_; }

 private:
  Status first(const Delivery& delivery, std::string_view command, bool executed);
  Status note_changes(const Delivery& delivery);
  Status note_lease(const Delivery& delivery, const kv::Request& request, const kv::Response& response);

  groups::Canon canon_;
  std::unordered_map<uint64_t, bool> asked_;  // by stable_hash64 of the command: whether it has changed something
  std::vector<Change> changes_;
  std::map<std::string, size_t> newest_;  // change of each key
  kv::Revision revision_ = kv::kFirstRevision;
  kv::Revision compacted_ = kv::kNeverCompacted;
  std::map<kv::LeaseId, KnownLease> leases_;
  std::map<kv::LeaseId, consensus::Position> expired_;
  int64_t agreed_ns_ = 0;
};

// Whether the answer of a command says that the store is another one than before.
bool changed_something(const kv::Response& response);

}  // namespace clew::sim::nodes

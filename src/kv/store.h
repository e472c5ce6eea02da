// Store: the keys of one strong space with all their versions since the last compaction, as etcd's mvcc keeps them.
//
// Every change is a record in the engine, under its revision: that is the history which watches read and which old
// revisions are read from. In memory stands an index from each key to the revisions at which it changed (about 100
// bytes a key and 16 a version), built from the records by open(). Counts, and reads of the newest keys without values,
// never touch the engine.
//
// Changes come in transactions, begin() ... end(), each of which is one revision when it changed anything. Reads
// between the two see what was changed so far. Nothing is in the engine before commit(), which the owner calls with the
// batch of the whole command; until then reads find it all the same.
//
// Compaction forgets at once, to readers, all that is older than its revision; the bytes go in steps, sweep(), because
// a pause of a second for a million versions would cost the leader its place. The steps are part of the state: every
// member takes the same ones after the same commands.
//
// Deterministic; one thread. Put: O(log keys). Range: O(log keys + keys in the range); uncounted, with a limit, O(log
// keys + limit + deleted keys on the way that are not compacted).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "kv/command.h"
#include "kv/cow_tree.h"
#include "kv/digest.h"
#include "kv/engine.h"
#include "kv/entries.h"
#include "kv/lease.h"
#include "kv/types.h"

namespace clew::kv {

class Store {
 public:
  // Collaborators outlive it. The engine's errors while reading or writing halt the process: a member that cannot read
  // its state must not answer.
  Store(Entries& entries, LeaseTable& leases) : entries_(entries), leases_(leases) {}

  // What of the store stands in the engine's mark.
  struct Position {
    Revision revision = kFirstRevision;
    Revision compact_revision = kNeverCompacted;
    RecordId swept;  // records before this one were looked at for the newest compaction
    friend bool operator==(const Position&, const Position&) = default;
  };
  // Reads the engine: leases, records. kDataLoss: it holds what no store wrote.
  Status open(const Position& at);

  const Position& position() const { return at_; }
  Revision revision() const { return at_.revision + (changes_ > 0 ? 1 : 0); }
  // Reads below it are refused; -1: never compacted.
  Revision compact_revision() const { return at_.compact_revision; }
  size_t live_keys() const { return live_keys_; }
  size_t records() const { return records_; }
  // Of keys and values in all versions that are kept, with what the index costs: what a quota is about.
  uint64_t bytes() const { return bytes_; }

  // A revision other than 0 must have been found good by check_revision().
  RangeResponse range(const RangeRequest& request) const;
  // The same in steps (long_read.h); the store may change between them.
  struct RangeProgress {
    Revision at = 0;   // what is read; still good by check_revision() at each step
    std::string next;  // the first key that was not looked at; empty at the beginning
    size_t bytes = 0;  // of the answer so far, about
    RangeResponse response;
  };
  static constexpr size_t kLoadEffort = 16;  // of loading a value, in looks at a key
  // True: all was looked at, or the answer has passed `most_bytes`. Else `effort` is used up. Takes what it used off
  // it.
  bool range_step(const RangeRequest& request, size_t& effort, size_t most_bytes, RangeProgress& progress) const;
  // What is left when all was looked at: order and limit. Any thread.
  static void finish_range(const RangeRequest& request, RangeResponse& response);
  // How many keys range() would look at, and about how much memory it would take for its answer, found without reading
  // values; counting stops above either bound.
  struct Extent {
    size_t keys = 0;
    size_t bytes = 0;
  };
  Extent extent(const RangeRequest& request, Extent most) const;
  // etcd's rule: a revision above the present is in the future, one below the compaction is compacted.
  Status check_revision(Revision revision) const;
  std::optional<KeyValue> get(std::string_view key) const;
  std::optional<KeyValue> get_at(std::string_view key, Revision revision) const;
  // In ascending order of keys, at the present; false stops.
  void each(KeyRange keys, const std::function<bool(const KeyValue&)>& visit) const;
  bool exists(std::string_view key) const;

  void begin();
  void put(std::string_view key, std::string_view value, LeaseId lease);
  int64_t erase(KeyRange keys);  // how many there were
  // The revision of the store now.
  Revision end();
  // The batch is in the engine.
  void committed();

  // Refused by check_compact(): at or below an earlier compaction, or above the present.
  Status check_compact(Revision revision) const;
  void compact(Revision revision);
  bool sweeping() const { return at_.swept.main <= at_.compact_revision; }
  // Looks at no more than `records` records that compaction may have made superfluous.
  void sweep(size_t records);

  // The changes at revisions >= `from`, in order; `visit` returns false to stop. Only what is committed. `from` is not
  // below compact_revision().
  using ChangeVisitor = UniqueFunction<bool(RecordId, const Record&)>;
  void changes(Revision from, ChangeVisitor visit) const;
  // Hash of all records at or below `revision` that the newest compaction keeps, swept or not: in steps, between which
  // there is no compaction. True: all was looked at. O(records) in all.
  struct HashProgress {
    std::string next;  // the first record's key that was not looked at; empty at the beginning
    DigestTree digest;
  };
  bool hash_step(Revision revision, size_t& effort, HashProgress& progress) const;

 private:
  static constexpr uint64_t kRecordBytes = 128;  // that a version costs beside key and value
  struct Change {
    Revision main;
    uint32_t sub;
    uint32_t tombstone : 1;
    uint32_t value_bytes : 31;
    Change(RecordId id, bool is_tombstone, size_t bytes)
        : main(id.main), sub(id.sub), tombstone(is_tombstone ? 1 : 0), value_bytes(bytes & 0x7fffffffu) {}
  };
  // All that is known of a key. The newest version's create revision, version and lease are at hand for the next put.
  struct History {
    Revision create_revision = 0;
    int64_t version = 0;  // 0: deleted
    LeaseId lease = kNoLease;
    std::vector<Change> changes;  // ascending
    size_t forgotten = 0;         // of the front of `changes`: swept, not yet erased
    bool live() const { return version > 0; }
    const Change* at(Revision revision) const;  // the newest at or below it; null when that is none
  };

  const History* history(std::string_view key) const { return index_.find(key); }
  KeyValue load(RecordId id) const;
  void erase_one(std::string_view key, History& history);
  void forget(RecordId id, std::string_view key, History& history);
  bool superfluous(RecordId id, const Record& record, const History& history) const;
  Status index_record(RecordId id, const Record& record);

  Entries& entries_;
  LeaseTable& leases_;
  CowTree<History> index_;
  Position at_;
  size_t live_keys_ = 0;
  size_t records_ = 0;
  uint64_t bytes_ = 0;
  uint32_t changes_ = 0;  // of the transaction under way
  Revision committed_revision_ = kFirstRevision;
  std::vector<size_t> uncommitted_;  // where in the batch each revision above committed_revision_ begins
};

}  // namespace clew::kv

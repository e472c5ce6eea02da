#include "kv/store.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <utility>

#include "base/check.h"
#include "kv/validate.h"

namespace clew::kv {
namespace {

// The engine failed under a state that other members have: this one must stop before it answers anything.
void must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "key-value engine: %s; this member stops: mend or replace its disk, then start it again\n",
               status.to_string().c_str());
  std::abort();
}

Error senseless() {
  return {Code::kDataLoss, "key-value store: a record in the engine makes no sense; restore this member from another"};
}

bool ascending_keys(const RangeRequest& request) {
  return request.sort_order == SortOrder::kNone ||
         (request.sort_target == SortTarget::kKey && request.sort_order == SortOrder::kAscend);
}

bool bounds_revisions(const RangeRequest& request) {
  return request.min_mod_revision != 0 || request.max_mod_revision != 0 || request.min_create_revision != 0 ||
         request.max_create_revision != 0;
}

bool within(const RangeRequest& request, const KeyValue& kv) {
  const auto inside = [](Revision value, Revision least, Revision most) {
    return (least == 0 || value >= least) && (most == 0 || value <= most);
  };
  return inside(kv.mod_revision, request.min_mod_revision, request.max_mod_revision) &&
         inside(kv.create_revision, request.min_create_revision, request.max_create_revision);
}

// By the target; equal ones stay in the order of their keys, descending or not, as in etcd's short answers (it leaves
// the order of equal ones in long answers open).
void sort_by(SortTarget target, bool descending, std::vector<KeyValue>& kvs) {
  const auto less = [target](const KeyValue& a, const KeyValue& b) {
    switch (target) {
      case SortTarget::kKey:
        return a.key < b.key;
      case SortTarget::kVersion:
        return a.version < b.version;
      case SortTarget::kCreate:
        return a.create_revision < b.create_revision;
      case SortTarget::kMod:
        return a.mod_revision < b.mod_revision;
      case SortTarget::kValue:
        return a.value < b.value;
    }
    return false;
  };
  if (descending) {
    std::stable_sort(kvs.begin(), kvs.end(), [&](const KeyValue& a, const KeyValue& b) { return less(b, a); });
  } else {
    std::stable_sort(kvs.begin(), kvs.end(), less);
  }
}

// Keys that a range must load before it can apply its limit; one more than the limit says whether there is more.
size_t most_loaded(const RangeRequest& request) {
  const bool all = !ascending_keys(request) || bounds_revisions(request) || request.limit <= 0;
  return all ? std::numeric_limits<size_t>::max() : static_cast<size_t>(request.limit) + 1;
}

// Values are neither answered nor sorted by.
bool drops_values(const RangeRequest& request) {
  return request.keys_only && request.sort_target != SortTarget::kValue;
}

// Of a range that is no single key.
std::string_view end_of(KeyRange keys) { return keys.unbounded() ? std::string_view() : keys.end; }

}  // namespace

const Store::Change* Store::History::at(Revision revision) const {
  auto after = std::upper_bound(changes.begin() + static_cast<std::ptrdiff_t>(forgotten), changes.end(), revision,
                                [](Revision value, const Change& change) { return value < change.main; });
  if (after == changes.begin() + static_cast<std::ptrdiff_t>(forgotten)) return nullptr;
  return &*std::prev(after);
}

Status Store::open(const Position& at) {
  index_.clear();
  leases_.clear();
  entries_.digest().clear();
  entries_.batch().clear();
  at_ = at;
  committed_revision_ = at.revision;
  uncommitted_.clear();
  live_keys_ = 0;
  records_ = 0;
  bytes_ = 0;
  changes_ = 0;
  Status bad;
  CLEW_TRY(entries_.engine().scan(kStateBegin, {}, [&](std::string_view key, std::string_view value) {
    RecordId id;
    Record record;
    if (key[0] == kLeaseTag) {
      bad = leases_.load(key, value);
    } else if (!parse_record_key(key, id) || !parse_record(value, record)) {
      bad = senseless();
    } else {
      entries_.digest().add(DigestTree::bucket_of(record.key), key, value);
      bad = index_record(id, record);
    }
    return bad.ok();
  }));
  if (!bad.ok()) return bad;
  index_.each("", "", [&](std::string_view key, const History& history) {
    if (history.live()) {
      live_keys_++;
      if (history.lease != kNoLease && leases_.find(history.lease) == nullptr) bad = senseless();
      if (bad.ok()) leases_.move_key(key, kNoLease, history.lease);
    }
    return bad.ok();
  });
  return bad;
}

Status Store::index_record(RecordId id, const Record& record) {
  if (id.main > at_.revision) return senseless();
  History& history = index_.upsert(record.key);
  history.changes.emplace_back(id, record.tombstone, record.value.size());
  history.create_revision = record.create_revision;
  history.version = record.version;
  history.lease = record.lease;
  records_++;
  bytes_ += kRecordBytes + record.key.size() + record.value.size();
  return {};
}

KeyValue Store::load(RecordId id) const {
  std::string stored;
  std::string_view bytes;
  if (id.main > committed_revision_) {
    const size_t first = uncommitted_[static_cast<size_t>(id.main - committed_revision_ - 1)];
    bytes = std::as_const(entries_).batch().operations()[first + id.sub].value;
  } else {
    must(entries_.engine().get(record_key(id), stored));
    bytes = stored;
  }
  Record record;
  if (!parse_record(bytes, record)) must(senseless());
  return key_value(record, id.main);
}

RangeResponse Store::range(const RangeRequest& request) const {
  constexpr size_t kAll = std::numeric_limits<size_t>::max();
  size_t effort = kAll;
  RangeProgress progress;
  progress.at = request.revision <= 0 ? revision() : request.revision;
  progress.response.revision = revision();
  CHECK(range_step(request, effort, kAll, progress));
  finish_range(request, progress.response);
  return std::move(progress.response);
}

bool Store::range_step(const RangeRequest& request, size_t& effort, size_t most_bytes, RangeProgress& progress) const {
  RangeResponse& response = progress.response;
  const size_t most = most_loaded(request);
  bool complete = true;
  const bool from_index = drops_values(request);
  const auto look = [&](std::string_view key, const History& history) {
    if (effort == 0) {
      progress.next = key;
      complete = false;
      return false;
    }
    --effort;
    const Change* change = history.at(progress.at);
    if (change == nullptr || change->tombstone) return true;
    response.count++;
    if (request.count_only) return true;
    if (response.kvs.size() >= most) return !request.uncounted;
    KeyValue kv;
    if (from_index && change == &history.changes.back()) {
      kv = {std::string(key), history.create_revision, change->main, history.version, history.lease, {}};
    } else {
      effort -= std::min(effort, kLoadEffort);
      kv = load({change->main, change->sub});
    }
    if (!within(request, kv)) return true;
    if (from_index) kv.value = {};
    progress.bytes += sizeof(KeyValue) + kv.key.size() + kv.value.size();
    response.kvs.push_back(std::move(kv));
    return progress.bytes <= most_bytes;
  };
  const KeyRange keys{request.key, request.range_end};
  if (keys.single()) {
    if (const History* found = history(keys.begin)) look(keys.begin, *found);
  } else {
    index_.each(progress.next.empty() ? keys.begin : progress.next, end_of(keys), look);
  }
  return complete;
}

void Store::finish_range(const RangeRequest& request, RangeResponse& response) {
  // As etcd: asked for a target without an order, ascending, but of what the limit has left.
  if (request.sort_target != SortTarget::kKey || request.sort_order == SortOrder::kDescend) {
    sort_by(request.sort_target, request.sort_order == SortOrder::kDescend, response.kvs);
  }
  if (request.limit > 0 && response.kvs.size() > static_cast<size_t>(request.limit)) {
    response.kvs.resize(static_cast<size_t>(request.limit));
    response.more = true;
  }
  if (request.keys_only) {
    for (KeyValue& kv : response.kvs) kv.value.clear();
  }
  if (request.uncounted && !request.count_only) response.count = -1;
}

Store::Extent Store::extent(const RangeRequest& request, Extent most) const {
  const Revision at = request.revision <= 0 ? revision() : request.revision;
  const size_t most_keys = request.count_only ? 0 : most_loaded(request);
  Extent extent;
  size_t loaded = 0;
  const auto look = [&](std::string_view key, const History& history) {
    ++extent.keys;
    const Change* change = history.at(at);
    if (change != nullptr && !change->tombstone && loaded < most_keys) {
      ++loaded;
      extent.bytes += sizeof(KeyValue) + key.size() + (drops_values(request) ? 0 : change->value_bytes);
    }
    if (request.uncounted && loaded >= most_keys) return false;
    return extent.keys <= most.keys && extent.bytes <= most.bytes;
  };
  const KeyRange keys{request.key, request.range_end};
  if (keys.single()) {
    if (const History* found = history(keys.begin)) look(keys.begin, *found);
  } else {
    index_.each(keys.begin, end_of(keys), look);
  }
  return extent;
}

Status Store::check_revision(Revision revision) const {
  if (revision == 0) return {};
  if (revision > this->revision()) return errors::future_revision();
  if (revision < at_.compact_revision) return errors::compacted();
  return {};
}

bool Store::exists(std::string_view key) const {
  const History* found = history(key);
  return found != nullptr && found->live();
}

std::optional<KeyValue> Store::get(std::string_view key) const {
  const History* found = history(key);
  if (found == nullptr || !found->live()) return std::nullopt;
  return load({found->changes.back().main, found->changes.back().sub});
}

std::optional<KeyValue> Store::get_at(std::string_view key, Revision revision) const {
  const History* found = history(key);
  const Change* change = found == nullptr ? nullptr : found->at(revision);
  if (change == nullptr || change->tombstone) return std::nullopt;
  return load({change->main, change->sub});
}

void Store::each(KeyRange keys, const std::function<bool(const KeyValue&)>& visit) const {
  if (keys.single()) {
    if (auto kv = get(keys.begin)) visit(*kv);
    return;
  }
  index_.each(keys.begin, end_of(keys), [&](std::string_view, const History& history) {
    if (!history.live()) return true;
    return visit(load({history.changes.back().main, history.changes.back().sub}));
  });
}

void Store::begin() {
  CHECK(changes_ == 0);
  CHECK(uncommitted_.size() == static_cast<size_t>(at_.revision - committed_revision_));
  uncommitted_.push_back(entries_.batch().operations().size());
}

void Store::put(std::string_view key, std::string_view value, LeaseId lease) {
  const RecordId id{at_.revision + 1, changes_++};
  History& history = index_.upsert(key);
  if (!history.live()) {
    history.create_revision = id.main;
    live_keys_++;
  }
  leases_.move_key(key, history.lease, lease);
  history.version++;
  history.lease = lease;
  history.changes.emplace_back(id, false, value.size());
  records_++;
  bytes_ += kRecordBytes + key.size() + value.size();
  entries_.add(DigestTree::bucket_of(key), record_key(id),
               encode_record({.tombstone = false,
                              .key = key,
                              .create_revision = history.create_revision,
                              .version = history.version,
                              .lease = lease,
                              .value = value}));
}

int64_t Store::erase(KeyRange keys) {
  if (keys.single()) {
    History* found = index_.find_mutable(keys.begin);
    if (found == nullptr || !found->live()) return 0;
    erase_one(keys.begin, *found);
    return 1;
  }
  std::vector<std::string> doomed;
  index_.each(keys.begin, end_of(keys), [&](std::string_view key, const History& history) {
    if (history.live()) doomed.emplace_back(key);
    return true;
  });
  for (const std::string& key : doomed) erase_one(key, *index_.find_mutable(key));
  return static_cast<int64_t>(doomed.size());
}

void Store::erase_one(std::string_view key, History& history) {
  const RecordId id{at_.revision + 1, changes_++};
  leases_.move_key(key, history.lease, kNoLease);
  history.lease = kNoLease;
  history.version = 0;
  history.create_revision = 0;
  history.changes.emplace_back(id, true, 0);
  live_keys_--;
  records_++;
  bytes_ += kRecordBytes + key.size();
  entries_.add(DigestTree::bucket_of(key), record_key(id), encode_record({.tombstone = true, .key = key, .value = {}}));
}

Revision Store::end() {
  if (changes_ == 0) {
    uncommitted_.pop_back();
  } else {
    at_.revision++;
    changes_ = 0;
  }
  return at_.revision;
}

void Store::committed() {
  CHECK(changes_ == 0);
  committed_revision_ = at_.revision;
  uncommitted_.clear();
}

Status Store::check_compact(Revision revision) const {
  if (revision <= at_.compact_revision) return errors::compacted();
  if (revision > this->revision()) return errors::future_revision();
  return {};
}

void Store::compact(Revision revision) {
  CHECK(check_compact(revision).ok());
  at_.compact_revision = revision;
  // From the start, though most of what stands there was kept by the last one: it may be superfluous now.
  at_.swept = {};
}

// Kept is what a read at the compaction's revision or later, or a watch from it, can see: each key's newest change
// below it unless that is a tombstone, and all changes at it and above.
bool Store::superfluous(RecordId id, const Record& record, const History& history) const {
  if (id.main >= at_.compact_revision) return false;
  if (record.tombstone) return true;
  const Change* visible = history.at(at_.compact_revision);
  return visible->main != id.main || visible->sub != id.sub;
}

// The engine changes by the batch only, later: its scan may go on while the index is changed.
void Store::sweep(size_t records) {
  if (!sweeping()) return;
  const RecordId stop{at_.compact_revision + 1, 0};
  RecordId next = stop;
  must(entries_.engine().scan(record_key(at_.swept), record_key(stop),
                              [&](std::string_view key, std::string_view value) {
                                RecordId id;
                                Record record;
                                if (!parse_record_key(key, id) || !parse_record(value, record)) must(senseless());
                                if (records-- == 0) {
                                  next = id;
                                  return false;
                                }
                                History* history = index_.find_mutable(record.key);
                                CHECK(history != nullptr);
                                if (superfluous(id, record, *history)) {
                                  entries_.remove(DigestTree::bucket_of(record.key), std::string(key), value);
                                  forget(id, record.key, *history);
                                }
                                return true;
                              }));
  at_.swept = next;
}

// Records go in ascending order, so a key's are the first of its changes.
void Store::forget(RecordId id, std::string_view key, History& history) {
  const Change& first = history.changes[history.forgotten];
  CHECK(first.main == id.main && first.sub == id.sub);
  history.forgotten++;
  records_--;
  bytes_ -= kRecordBytes + key.size() + first.value_bytes;
  if (history.forgotten == history.changes.size()) {
    index_.erase(key);
  } else if (history.forgotten * 2 >= history.changes.size()) {
    history.changes.erase(history.changes.begin(),
                          history.changes.begin() + static_cast<std::ptrdiff_t>(history.forgotten));
    history.forgotten = 0;
  }
}

void Store::changes(Revision from, ChangeVisitor visit) const {
  CHECK(from >= at_.compact_revision);
  must(entries_.engine().scan(record_key({from, 0}), {}, [&](std::string_view key, std::string_view value) {
    RecordId id;
    Record record;
    if (!parse_record_key(key, id) || !parse_record(value, record)) must(senseless());
    return visit(id, record);
  }));
}

bool Store::hash_step(Revision revision, size_t& effort, HashProgress& progress) const {
  bool complete = true;
  const std::string begin = progress.next.empty() ? record_key({}) : progress.next;
  must(entries_.engine().scan(begin, record_key({revision + 1, 0}), [&](std::string_view key, std::string_view value) {
    if (effort == 0) {
      progress.next = key;
      complete = false;
      return false;
    }
    effort -= std::min(effort, kLoadEffort);
    RecordId id;
    Record record;
    if (!parse_record_key(key, id) || !parse_record(value, record)) must(senseless());
    const History* found = history(record.key);
    CHECK(found != nullptr);
    if (!superfluous(id, record, *found)) {
      progress.digest.add(DigestTree::bucket_of(record.key), key, value);
    }
    return true;
  }));
  return complete;
}

}  // namespace clew::kv

// The layout of a store's bytes in its engine, and Entries: the one way by which they change, so that the digest and
// the batch never part. Order of the key space:
//
//   'a' position(8)            result of an applied command, in a persistent engine only; no part of the state
//   'l' lease id(8)            time to live, deadline
//   'r' revision(8) sub(4)     one change of one key
//
// Numbers in keys are big-endian, so that bytes sort as numbers do. docs/format/kv.md has the grammar.
// One thread. O(log n) of the engine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "kv/digest.h"
#include "kv/engine.h"
#include "kv/types.h"

namespace clew::kv {

constexpr char kResultTag = 'a';
constexpr char kLeaseTag = 'l';
constexpr char kRecordTag = 'r';
// The state proper: [kStateBegin, end of the key space).
constexpr std::string_view kStateBegin = "b";

// One change's place: revision and order within it.
struct RecordId {
  Revision main = 0;
  uint32_t sub = 0;
  friend auto operator<=>(const RecordId&, const RecordId&) = default;
};

std::string result_key(uint64_t position);
std::string lease_key(LeaseId id);
std::string record_key(RecordId id);
// False when the bytes are no key of that kind.
bool parse_lease_key(std::string_view bytes, LeaseId& id);
bool parse_record_key(std::string_view bytes, RecordId& id);

// A change as it stands in the engine: a tombstone has nothing but the key. Borrows.
struct Record {
  bool tombstone = false;
  std::string_view key;
  Revision create_revision = 0;
  int64_t version = 0;
  LeaseId lease = kNoLease;
  std::string_view value;
};
std::string encode_record(const Record& record);
bool parse_record(std::string_view bytes, Record& record);  // borrows; false: makes no sense
KeyValue key_value(const Record& record, Revision mod_revision);

struct LeaseRecord {
  int64_t ttl_s = 0;
  int64_t deadline_ns = 0;
};
std::string encode_lease(const LeaseRecord& lease);
bool parse_lease(std::string_view bytes, LeaseRecord& lease);

class Entries {
 public:
  explicit Entries(Engine& engine) : engine_(engine) {}

  // `bucket`: of the digest, by the user's key or the lease. The key is new.
  void add(size_t bucket, std::string key, std::string value) {
    digest_.add(bucket, key, value);
    batch_.put(std::move(key), std::move(value));
  }
  // The key stands there with `value`.
  void remove(size_t bucket, std::string key, std::string_view value) {
    digest_.remove(bucket, key, value);
    batch_.erase(std::move(key));
  }
  // The key stands there with `old_value`.
  void replace(size_t bucket, std::string key, std::string_view old_value, std::string value) {
    digest_.remove(bucket, key, old_value);
    add(bucket, std::move(key), std::move(value));
  }
  EngineBatch& batch() { return batch_; }
  const EngineBatch& batch() const { return batch_; }
  DigestTree& digest() { return digest_; }
  const DigestTree& digest() const { return digest_; }
  Engine& engine() { return engine_; }
  const Engine& engine() const { return engine_; }

 private:
  Engine& engine_;
  EngineBatch batch_;
  DigestTree digest_;
};

}  // namespace clew::kv

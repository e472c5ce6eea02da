// What the strong key-value spaces are made of: the values of etcd's v3 data model. Plain values; any thread.
//
// A *revision* counts the changes of the whole store: every command that changes anything makes one, and all that one
// command changes stands at the same revision, ordered by a sub number. A key's *version* counts its changes since it
// was created; deleting it ends that count (etcd's generation), and the next put begins another.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clew::kv {

using Revision = int64_t;  // the first change makes 2, as in etcd; an empty store is at 1
constexpr Revision kFirstRevision = 1;
constexpr Revision kNeverCompacted = -1;

enum class LeaseId : int64_t {};  // any number but 0; negative ones exist
constexpr LeaseId kNoLease{0};
constexpr int64_t number(LeaseId id) { return static_cast<int64_t>(id); }

struct KeyValue {
  std::string key;
  Revision create_revision = 0;
  Revision mod_revision = 0;
  int64_t version = 0;
  LeaseId lease = kNoLease;
  std::string value;
  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

// One change, as a watcher sees it. Of a deletion `kv` holds the key and, as mod_revision, the revision of the
// deletion.
struct Event {
  enum class Type : uint8_t { kPut = 0, kDelete = 1 };
  Type type = Type::kPut;
  KeyValue kv;
  std::optional<KeyValue> previous;  // the state before the revision, where it was asked for and is not compacted
  bool creates() const { return type == Type::kPut && kv.create_revision == kv.mod_revision; }
  friend bool operator==(const Event&, const Event&) = default;
};

// Which keys a request means, as etcd writes it in (key, range_end): an empty end is the one key, "\0" is every key
// from `key` on, anything else is [key, end). Borrows both.
struct KeyRange {
  std::string_view begin;
  std::string_view end;
  bool single() const { return end.empty(); }
  bool unbounded() const { return end.size() == 1 && end[0] == '\0'; }
  bool contains(std::string_view key) const {
    if (single()) return key == begin;
    return key >= begin && (unbounded() || key < end);
  }
};

// The end that makes a range of all keys that begin with `prefix`: "\0" (every key from there on) when there is none.
inline std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty()) {
    if (static_cast<unsigned char>(end.back()) != 0xff) {
      end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
      return end;
    }
    end.pop_back();
  }
  return std::string(1, '\0');
}

}  // namespace clew::kv

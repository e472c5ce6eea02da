// Dictionary: the texts that spans share, as small codes. A row (row.h) holds codes; the dictionary that it was written
// with is needed to read it. One per shard and WAL file: each WAL file starts with an empty dictionary, and the entries
// that a batch adds are logged in the same record, before the rows that use them.
//
// Entries of five kinds, each numbered from 0 in order of insertion:
//   string    names, keys, attribute values that repeat
//   template  a value's text with its digit runs and hex runs cut out (row.h says how), e.g. "/api/v1/orders/<8
//   digits>" shape     the attribute list of a span, event or link: key codes and value types, in order resource  a
//   Resource with its schema URL, as the bytes it came in scope     an InstrumentationScope with its schema URL,
//   likewise
//
// Bounded: an intern that would pass a limit returns nothing and the writer puts the text into the row itself
// ("inline"); so a stranger who sends random keys costs bytes, not memory. Resources and scopes have no inline form and
// are always taken: `wants_rotation()` turns true at a share of the limit and the shard starts a new file before its
// next request, so one request's worth of bytes is the most by which they pass it.
//
// Threads. One writer calls intern, find, apply_additions and the log. Any thread may read entries (size, text,
// text_hash, shape, names, placeholders) meanwhile, for codes that it got with a row or that are below a size() it has
// read:
//   1. An entry is written before its kind's size is stored with release; size() loads with acquire. So whoever sees
//   the
//      size sees the entry.
//   2. Entries lie in chunks that double; a chunk is never moved, freed or written again while the dictionary lives.
//   Their
//      pointers are written before the first size that reaches into them.
//   3. Hash tables and the log are the writer's alone.
// A code at or above size() reads as an empty entry: rows from disk may hold any number.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/varint.h"

namespace clew::model {

enum class EntryKind : uint8_t { kString = 0, kTemplate = 1, kShape = 2, kResource = 3, kScope = 4 };
constexpr size_t kEntryKinds = 5;

// OTLP AnyValue types as a shape stores them.
enum class ValueType : uint8_t {
  kEmpty = 0,
  kString = 1,
  kBool = 2,
  kInt = 3,
  kDouble = 4,
  kBytes = 5,
  kComplex = 6,  // array or kvlist: the value is the AnyValue's protobuf bytes
  kRaw = 7,  // a KeyValue with something unusual (unknown fields, no key, repeated oneof): the whole KeyValue's bytes
};

struct ShapeField {
  uint32_t key = 0;  // string code
  ValueType type = ValueType::kEmpty;
  friend bool operator==(const ShapeField&, const ShapeField&) = default;
};
// A shape entry's bytes: per field, varint key code and u8 type.

struct DictionaryLimits {
  uint32_t max_entries = 1u << 18;   // per kind
  uint64_t max_bytes = 64ull << 20;  // over all kinds
  uint32_t max_string_bytes = 512;   // longer strings are inlined
  uint32_t max_shape_fields = 256;   // longer attribute lists are inlined
};

struct DictionaryTables;  // dictionary_tables.h

class Dictionary {
 public:
  explicit Dictionary(uint64_t seed, DictionaryLimits limits = {});
  ~Dictionary();
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;

  // The code of the entry, added when absent. Nothing when it would pass a limit, or when it is a shape or template
  // that does not parse. Amortised O(bytes).
  std::optional<uint32_t> intern(EntryKind kind, std::string_view bytes);
  // The code, or nothing: never adds. For queries.
  std::optional<uint32_t> find(EntryKind kind, std::string_view bytes) const;

  uint32_t size(EntryKind kind) const;
  std::string_view text(EntryKind kind, uint32_t code) const;  // stable for the dictionary's life
  uint64_t text_hash(EntryKind kind, uint32_t code) const;     // stable_hash64(text), kept with the entry

  // Parsed forms, made when the entry is added.
  std::span<const ShapeField> shape(uint32_t code) const;
  std::string_view service_name(uint32_t resource_code) const;  // "" when the resource has none
  // Where the span's clock ticks: host.name, else k8s.pod.name, else service.instance.id, else service.name, else "".
  std::string_view host_name(uint32_t resource_code) const;
  uint32_t placeholders(uint32_t template_code) const;
  // Of attribute lists: mix64(text_hash of the key, type) per field, for content hashes. As many as shape(code).
  std::span<const uint64_t> shape_hashes(uint32_t code) const;

  const DictionaryTables& tables() const;  // for model/ alone

  std::optional<uint32_t> intern_shape(std::span<const ShapeField> fields);

  uint64_t seed() const;  // of its hash table: for tables beside it that strangers can fill, too
  bool wants_rotation() const;
  uint64_t memory_bytes() const;
  uint64_t context_bytes() const;  // of the texts of resources and scopes, which no limit bounds. The writer's thread

  // The log of additions, in one order over all kinds. `position()` counts entries of all kinds; write_additions
  // appends the entries [from, position()) to `out`, each as varint (length << 3 | kind) and its bytes; codes follow
  // from the order. apply_additions replays such bytes, and gives the same codes when applied from the start. It
  // ignores limits, which may have been others when the bytes were written. kDataLoss when they are malformed, refer to
  // absent keys or repeat an entry; entries before that place stay.
  uint64_t position() const;
  void write_additions(uint64_t from, std::string& out) const;
  Status apply_additions(std::string_view bytes);

  // Entries of every kind, by EntryKind: where a log of additions stands, so that a reader who misses a part of it can
  // go on behind the gap.
  using Sizes = std::array<uint32_t, kEntryKinds>;
  Sizes sizes() const;
  // For a replay that misses additions: raises every kind to `sizes` with lost entries, which read as empty, are never
  // found, stand in no log and make rows that use them fail check_row. kDataLoss, and nothing changed, when a kind has
  // more entries already or more than `most` in all would be lost (each costs memory, and had a byte at least in what
  // was damaged). Only before other threads read the dictionary, and never followed by intern(). O(entries lost).
  Status skip_to(const Sizes& sizes, uint64_t most);
  bool has_lost() const;
  bool lost(EntryKind kind, uint32_t code) const;  // O(log of the gaps)

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clew::model

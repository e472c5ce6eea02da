#include "model/dictionary.h"

#include <algorithm>

#include "base/check.h"
#include "base/hash.h"
#include "model/context.h"
#include "model/dictionary_tables.h"
#include "model/span.h"
#include "model/templates.h"

namespace clew::model {
namespace {

constexpr uint32_t kMaxCode = (1u << 28) - 1;  // whatever the limits say: codes stand shifted in rows and tables

bool parse_shape(std::string_view bytes, uint32_t strings, std::vector<ShapeField>& out) {
  out.clear();
  ByteReader reader(bytes);
  while (!reader.at_end()) {
    const uint64_t key = reader.varint();
    const auto type = reader.fixed<uint8_t>();
    if (!reader.ok() || key >= strings || type > static_cast<uint8_t>(ValueType::kRaw)) return false;
    out.push_back({static_cast<uint32_t>(key), static_cast<ValueType>(type)});
  }
  return reader.ok();
}

}  // namespace

struct Dictionary::Impl : DictionaryTables {
  uint64_t seed;
  DictionaryLimits limits;
  Arena storage;
  std::vector<uint32_t> log;  // kind << 28 | code
  uint64_t text_bytes = 0;
  uint64_t context_bytes = 0;  // of these, resources and scopes
  uint64_t parsed_bytes = 0;
  std::deque<std::vector<ShapeField>> shape_fields;
  std::deque<std::vector<uint64_t>> shape_hashes;
  std::vector<ShapeField> fields_scratch;
  struct Gap {
    uint32_t begin = 0, end = 0;
  };
  std::array<std::vector<Gap>, kEntryKinds> gaps;  // ascending
  bool has_gaps = false;

  Impl(uint64_t s, DictionaryLimits l) : seed(s), limits(l) {}

  // The slot that holds the entry, or the empty one where it belongs.
  static uint32_t probe(const Table& t, uint64_t hash, std::string_view bytes) {
    const auto mask = static_cast<uint32_t>(t.slots.size()) - 1;
    const auto tag = static_cast<uint32_t>(hash >> 32);
    for (auto i = static_cast<uint32_t>(hash) & mask;; i = (i + 1) & mask) {
      const Table::Slot& slot = t.slots[i];
      if (slot.code_plus_one == 0) return i;
      if (slot.tag == tag && t.entries[slot.code_plus_one - 1].view() == bytes) return i;
    }
  }

  void grow(Table& t) {
    std::vector<Table::Slot> old(t.slots.size() * 2);
    old.swap(t.slots);
    const auto mask = static_cast<uint32_t>(t.slots.size()) - 1;
    for (const Table::Slot& slot : old) {
      if (slot.code_plus_one == 0) continue;
      const uint64_t hash = seeded_hash(t.entries[slot.code_plus_one - 1].view(), seed);
      auto i = static_cast<uint32_t>(hash) & mask;
      while (t.slots[i].code_plus_one != 0) i = (i + 1) & mask;
      t.slots[i] = slot;
    }
  }

  bool within_limits(EntryKind kind, std::string_view bytes, uint32_t size) const {
    if (kind == EntryKind::kResource || kind == EntryKind::kScope) return true;
    if (size >= limits.max_entries || text_bytes + bytes.size() > limits.max_bytes) return false;
    return (kind != EntryKind::kString && kind != EntryKind::kTemplate) || bytes.size() <= limits.max_string_bytes;
  }

  // The code of an entry that is not there yet; its slot is `slot`. Nothing when it does not parse.
  std::optional<uint32_t> add(EntryKind kind, std::string_view bytes, uint64_t hash, uint32_t slot) {
    Table& t = table(kind);
    const uint32_t code = t.size.load(std::memory_order_relaxed);
    if (code >= kMaxCode || bytes.size() > UINT32_MAX) return std::nullopt;
    Entry entry;
    if (kind == EntryKind::kShape) {
      if (!parse_shape(bytes, table(EntryKind::kString).size.load(std::memory_order_relaxed), fields_scratch)) {
        return std::nullopt;
      }
      const std::vector<ShapeField>& fields = shape_fields.emplace_back(fields_scratch);
      std::vector<uint64_t>& hashes = shape_hashes.emplace_back();
      hashes.reserve(fields.size());
      for (const ShapeField& field : fields) {
        hashes.push_back(mix64(table(EntryKind::kString).entries[field.key].hash, static_cast<uint64_t>(field.type)));
      }
      parsed_bytes += fields.size() * (sizeof(ShapeField) + sizeof(uint64_t));
      shapes.put(code, {fields.data(), hashes.data(), static_cast<uint32_t>(fields.size())});
    } else if (kind == EntryKind::kTemplate) {
      const auto placeholders = count_placeholders(bytes);
      if (!placeholders) return std::nullopt;
      entry.placeholders = *placeholders;
    }
    const std::string_view kept = storage.keep(bytes);
    entry.data = kept.data();
    entry.size = static_cast<uint32_t>(kept.size());
    entry.hash = stable_hash64(kept);
    if (kind == EntryKind::kResource) {
      ResourceNames names;
      read_resource_names(kept, names.service, names.host);
      resources.put(code, names);
    }
    t.entries.put(code, entry);
    text_bytes += bytes.size();
    if (kind == EntryKind::kResource || kind == EntryKind::kScope) context_bytes += bytes.size();
    log.push_back(static_cast<uint32_t>(kind) << 28 | code);
    t.slots[slot] = {static_cast<uint32_t>(hash >> 32), code + 1};
    t.size.store(code + 1, std::memory_order_release);
    if (size_t{code + 1} * 2 > t.slots.size()) grow(t);
    return code;
  }
};

Dictionary::Dictionary(uint64_t seed, DictionaryLimits limits) : impl_(std::make_unique<Impl>(seed, limits)) {}
Dictionary::~Dictionary() = default;

std::optional<uint32_t> Dictionary::intern(EntryKind kind, std::string_view bytes) {
  Table& t = impl_->table(kind);
  const uint64_t hash = seeded_hash(bytes, impl_->seed);
  const uint32_t slot = Impl::probe(t, hash, bytes);
  if (t.slots[slot].code_plus_one != 0) return t.slots[slot].code_plus_one - 1;
  if (!impl_->within_limits(kind, bytes, t.size.load(std::memory_order_relaxed))) return std::nullopt;
  return impl_->add(kind, bytes, hash, slot);
}

std::optional<uint32_t> Dictionary::find(EntryKind kind, std::string_view bytes) const {
  const Table& t = impl_->table(kind);
  const uint32_t slot = Impl::probe(t, seeded_hash(bytes, impl_->seed), bytes);
  if (t.slots[slot].code_plus_one == 0) return std::nullopt;
  return t.slots[slot].code_plus_one - 1;
}

const DictionaryTables& Dictionary::tables() const { return *impl_; }

uint32_t Dictionary::size(EntryKind kind) const { return impl_->table(kind).size.load(std::memory_order_acquire); }

std::string_view Dictionary::text(EntryKind kind, uint32_t code) const {
  return code < size(kind) ? impl_->table(kind).entries[code].view() : std::string_view();
}

uint64_t Dictionary::text_hash(EntryKind kind, uint32_t code) const {
  return code < size(kind) ? impl_->table(kind).entries[code].hash : 0;
}

std::span<const ShapeField> Dictionary::shape(uint32_t code) const {
  if (code >= size(EntryKind::kShape)) return {};
  const ParsedShape& shape = impl_->shapes[code];
  return {shape.fields, shape.count};
}

std::span<const uint64_t> Dictionary::shape_hashes(uint32_t code) const {
  if (code >= size(EntryKind::kShape)) return {};
  const ParsedShape& shape = impl_->shapes[code];
  return {shape.hashes, shape.count};
}

std::string_view Dictionary::service_name(uint32_t resource_code) const {
  return resource_code < size(EntryKind::kResource) ? impl_->resources[resource_code].service : std::string_view();
}

std::string_view Dictionary::host_name(uint32_t resource_code) const {
  return resource_code < size(EntryKind::kResource) ? impl_->resources[resource_code].host : std::string_view();
}

uint32_t Dictionary::placeholders(uint32_t template_code) const {
  if (template_code >= size(EntryKind::kTemplate)) return 0;
  return impl_->table(EntryKind::kTemplate).entries[template_code].placeholders;
}

std::optional<uint32_t> Dictionary::intern_shape(std::span<const ShapeField> fields) {
  if (fields.size() > impl_->limits.max_shape_fields) return std::nullopt;
  std::string bytes;
  bytes.reserve(fields.size() * 3);
  for (const ShapeField& field : fields) {
    append_varint(bytes, field.key);
    bytes.push_back(static_cast<char>(field.type));
  }
  return intern(EntryKind::kShape, bytes);
}

uint64_t Dictionary::seed() const { return impl_->seed; }

bool Dictionary::wants_rotation() const {
  const DictionaryLimits& limits = impl_->limits;
  return size(EntryKind::kResource) > limits.max_entries / 2 || size(EntryKind::kScope) > limits.max_entries / 2 ||
         impl_->context_bytes > limits.max_bytes / 2 || impl_->text_bytes > limits.max_bytes - limits.max_bytes / 8;
}

uint64_t Dictionary::memory_bytes() const {
  uint64_t bytes = impl_->storage.memory_bytes() + impl_->parsed_bytes + impl_->log.capacity() * sizeof(uint32_t) +
                   impl_->shapes.memory_bytes() + impl_->resources.memory_bytes();
  for (const Table& t : impl_->tables) bytes += t.entries.memory_bytes() + t.slots.size() * sizeof(Table::Slot);
  return bytes;
}

uint64_t Dictionary::context_bytes() const { return impl_->context_bytes; }

uint64_t Dictionary::position() const { return impl_->log.size(); }

void Dictionary::write_additions(uint64_t from, std::string& out) const {
  CHECK(from <= impl_->log.size());
  for (uint64_t i = from; i < impl_->log.size(); ++i) {
    const uint32_t kind = impl_->log[i] >> 28, code = impl_->log[i] & kMaxCode;
    const std::string_view bytes = impl_->tables[kind].entries[code].view();
    append_varint(out, bytes.size() << 3 | kind);
    out.append(bytes);
  }
}

Status Dictionary::apply_additions(std::string_view bytes) {
  const auto broken = [&](const ByteReader& reader, const char* what) {
    return Status(Code::kDataLoss, std::string("dictionary additions: ") + what + " at byte " +
                                       std::to_string(bytes.size() - reader.remaining()) +
                                       "; the record is damaged or from another version");
  };
  ByteReader reader(bytes);
  while (!reader.at_end()) {
    const uint64_t head = reader.varint();
    const std::string_view entry = reader.bytes(head >> 3);
    if (!reader.ok()) return broken(reader, "truncated entry");
    const uint64_t kind_number = head & 7;
    if (kind_number >= kEntryKinds) return broken(reader, "unknown kind of entry");
    const auto kind = static_cast<EntryKind>(kind_number);
    Table& t = impl_->table(kind);
    const uint64_t hash = seeded_hash(entry, impl_->seed);
    const uint32_t slot = Impl::probe(t, hash, entry);
    if (t.slots[slot].code_plus_one != 0) return broken(reader, "repeated entry");
    if (!impl_->add(kind, entry, hash, slot)) return broken(reader, "malformed entry");
  }
  return {};
}

Dictionary::Sizes Dictionary::sizes() const {
  Sizes sizes;
  for (size_t kind = 0; kind < kEntryKinds; ++kind) sizes[kind] = size(static_cast<EntryKind>(kind));
  return sizes;
}

Status Dictionary::skip_to(const Sizes& sizes, uint64_t most) {
  uint64_t missing = 0;
  for (size_t kind = 0; kind < kEntryKinds; ++kind) {
    const uint32_t there = size(static_cast<EntryKind>(kind));
    if (sizes[kind] < there || sizes[kind] > kMaxCode) {
      return Error{Code::kDataLoss, "dictionary of " + std::to_string(there) + " entries of kind " +
                                        std::to_string(kind) + " where " + std::to_string(sizes[kind]) +
                                        " are expected; the log is damaged"};
    }
    missing += sizes[kind] - there;
  }
  if (missing > most) {
    return Error{Code::kDataLoss, std::to_string(missing) + " dictionary entries are missing, more than the " +
                                      std::to_string(most) + " damaged bytes can have held; the log is damaged"};
  }
  for (size_t number = 0; number < kEntryKinds; ++number) {
    const auto kind = static_cast<EntryKind>(number);
    Table& t = impl_->table(kind);
    const uint32_t begin = size(kind);
    if (begin == sizes[number]) continue;
    for (uint32_t code = begin; code < sizes[number]; ++code) {
      t.entries.put(code, {});
      if (kind == EntryKind::kShape) impl_->shapes.put(code, {});
      if (kind == EntryKind::kResource) impl_->resources.put(code, {});
    }
    impl_->gaps[number].push_back({begin, sizes[number]});
    impl_->has_gaps = true;
    t.size.store(sizes[number], std::memory_order_release);
  }
  return {};
}

bool Dictionary::has_lost() const { return impl_->has_gaps; }

bool Dictionary::lost(EntryKind kind, uint32_t code) const {
  const auto& gaps = impl_->gaps[static_cast<size_t>(kind)];
  const auto after =
      std::upper_bound(gaps.begin(), gaps.end(), code, [](uint32_t c, const Impl::Gap& gap) { return c < gap.begin; });
  return after != gaps.begin() && code < std::prev(after)->end;
}

}  // namespace clew::model

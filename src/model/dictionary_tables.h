// How a Dictionary keeps its entries, for model/ alone: dictionary.cc, and readers that look up so many codes that a
// call each would cost more than what they do with it (row_hash.cc). The rules of threads are those of dictionary.h.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "model/dictionary.h"

namespace clew::model {

// A growing array whose elements never move: chunk k holds kFirst << k of them.
template <typename T>
class StableArray {
 public:
  const T& operator[](uint32_t index) const {
    const auto [chunk, offset] = place(index);
    return chunks_[chunk][offset];
  }
  // Writes element `index`, the one after the last.
  void put(uint32_t index, const T& value) {
    const auto [chunk, offset] = place(index);
    if (chunks_[chunk] == nullptr) {
      chunks_[chunk] = std::make_unique<T[]>(size_t{kFirst} << chunk);
      bytes_ += sizeof(T) * (size_t{kFirst} << chunk);
    }
    chunks_[chunk][offset] = value;
  }
  uint64_t memory_bytes() const { return bytes_; }

 private:
  static constexpr uint32_t kFirst = 64;
  static std::pair<uint32_t, uint32_t> place(uint32_t index) {
    const uint64_t shifted = uint64_t{index} + kFirst;  // 64 bits: the sum may pass 32
    const auto chunk = static_cast<uint32_t>(std::bit_width(shifted / kFirst / 2));
    return {chunk, static_cast<uint32_t>(shifted - (uint64_t{kFirst} << chunk))};
  }
  std::array<std::unique_ptr<T[]>, 24> chunks_;
  uint64_t bytes_ = 0;
};

struct Entry {
  const char* data = nullptr;
  uint32_t size = 0;
  uint32_t placeholders = 0;  // of a template
  uint64_t hash = 0;
  std::string_view view() const { return {data, size}; }
};

struct ParsedShape {
  const ShapeField* fields = nullptr;
  const uint64_t* hashes = nullptr;
  uint32_t count = 0;
};

struct ResourceNames {
  std::string_view service, host;
};

struct Table {
  struct Slot {
    uint32_t tag = 0;
    uint32_t code_plus_one = 0;
  };
  std::vector<Slot> slots = std::vector<Slot>(64);
  StableArray<Entry> entries;
  std::atomic<uint32_t> size{0};
};

struct DictionaryTables {
  std::array<Table, kEntryKinds> tables;
  StableArray<ParsedShape> shapes;
  StableArray<ResourceNames> resources;

  Table& table(EntryKind kind) { return tables[static_cast<size_t>(kind)]; }
  const Table& table(EntryKind kind) const { return tables[static_cast<size_t>(kind)]; }
};

// The entries that were there when it was made.
class DictionaryReader {
 public:
  explicit DictionaryReader(const Dictionary& dictionary)
      : tables_(dictionary.tables()),
        strings_(size(EntryKind::kString)),
        templates_(size(EntryKind::kTemplate)),
        shapes_(size(EntryKind::kShape)) {}

  uint32_t strings() const { return strings_; }
  uint32_t templates() const { return templates_; }
  uint32_t shapes() const { return shapes_; }
  // 0 beyond the entries, as Dictionary::text_hash.
  uint64_t text_hash(EntryKind kind, uint32_t code) const { return code < size(kind) ? entry(kind, code).hash : 0; }
  // Codes below these.
  uint64_t string_hash(uint64_t code) const { return entry(EntryKind::kString, code).hash; }
  const Entry& template_entry(uint64_t code) const { return entry(EntryKind::kTemplate, code); }
  const ParsedShape& shape(uint64_t code) const { return tables_.shapes[static_cast<uint32_t>(code)]; }

 private:
  uint32_t size(EntryKind kind) const { return tables_.table(kind).size.load(std::memory_order_acquire); }
  const Entry& entry(EntryKind kind, uint64_t code) const {
    return tables_.table(kind).entries[static_cast<uint32_t>(code)];
  }
  const DictionaryTables& tables_;
  uint32_t strings_, templates_, shapes_;
};

}  // namespace clew::model

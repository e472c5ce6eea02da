// SegmentNames: what the codes of one segment mean: dictionary, operations, contexts, columns with their values,
// stamps, postings. Read from three sections at once, immutable afterwards; any thread. Memory: about the plain
// dictionary.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "model/dictionary.h"
#include "store/bitpack.h"
#include "store/segment_format.h"

namespace clew::store {

// One posting list's answer.
struct Posting {
  uint64_t spans = 0;   // with that code, in the segment
  uint32_t blocks = 0;  // that have one
};

// A set of blocks of one segment.
class BlockSet {
 public:
  explicit BlockSet(uint32_t blocks = 0, bool full = false)
      : size_(blocks), words_((blocks + 63) / 64, full ? ~0ull : 0) {
    trim();
  }
  uint32_t size() const { return size_; }
  void add(uint32_t block) { words_[block / 64] |= uint64_t{1} << (block % 64); }
  bool has(uint32_t block) const { return block < size_ && (words_[block / 64] >> (block % 64) & 1) != 0; }
  void intersect(const BlockSet& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
  }
  void unite(const BlockSet& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  void fill() {
    for (uint64_t& word : words_) word = ~uint64_t{0};
    trim();
  }
  void keep_range(uint32_t begin, uint32_t end) {
    for (uint32_t b = 0; b < size_; ++b) {
      if (b < begin || b >= end) words_[b / 64] &= ~(uint64_t{1} << (b % 64));
    }
  }
  uint32_t count() const {
    uint32_t n = 0;
    for (const uint64_t word : words_) n += static_cast<uint32_t>(std::popcount(word));
    return n;
  }

 private:
  void trim() {
    if (size_ % 64 != 0) words_.back() &= (uint64_t{1} << (size_ % 64)) - 1;
  }
  uint32_t size_;
  std::vector<uint64_t> words_;
};

class SegmentNames {
 public:
  // `names`, `schema`, `postings`: the sections, decompressed. kDataLoss when malformed.
  static Result<std::shared_ptr<const SegmentNames>> read(uint64_t hash_seed, std::string_view names,
                                                          std::string_view schema, std::string postings,
                                                          uint32_t blocks);

  const model::Dictionary& dictionary() const { return dictionary_; }
  std::string_view string(uint32_t code) const { return dictionary_.text(model::EntryKind::kString, code); }

  struct ContextNames {
    uint32_t resource = 0, scope = 0;
    uint32_t service = 0;  // string code
  };
  struct ServiceOperation {
    uint32_t tenant = 0;  // index among the segment's tenants
    uint32_t service = 0, name = 0;
    uint8_t kind = 0;
  };
  const std::vector<Operation>& operations() const { return operations_; }
  const std::vector<ContextNames>& contexts() const { return contexts_; }
  const std::vector<Column>& columns() const { return columns_; }
  const std::vector<model::Stamp>& stamps() const { return stamps_; }
  const std::vector<ServiceOperation>& service_operations() const { return service_operations_; }
  // The columns that a span of this operation has a value in, in order: attributes of its shape (those with a value),
  // then kColumnLists or kColumnNames when it needs them.
  std::span<const uint32_t> columns_of(uint32_t operation) const {
    return std::span<const uint32_t>(operation_columns_)
        .subspan(operation_starts_[operation], operation_starts_[operation + 1] - operation_starts_[operation]);
  }
  // Columns of the key, by its text; several when values of several types came with it.
  std::span<const uint32_t> columns_of_key(std::string_view key) const;

  // Posting lists. `list`: kOperationList, kContextList, or kFirstColumnList + column.
  static constexpr uint32_t kOperationList = 0, kContextList = 1, kFirstColumnList = 2;
  Posting posting(uint32_t list, uint32_t code) const;
  // Adds the blocks to `out`.
  void add_blocks(uint32_t list, uint32_t code, BlockSet& out) const;

  uint64_t memory_bytes() const;

 private:
  explicit SegmentNames(uint64_t hash_seed);
  bool read_schema(std::string_view schema);
  bool read_postings(uint32_t blocks);

  struct List {
    struct Entry {
      uint32_t spans = 0, blocks = 0;
      uint32_t offset = 0, size = 0;  // in postings_; size << 1 | is_bits
    };
    std::vector<Entry> entries;
  };

  model::Dictionary dictionary_;
  std::vector<Operation> operations_;
  std::vector<uint32_t> operation_starts_, operation_columns_;
  std::vector<ContextNames> contexts_;
  std::vector<Column> columns_;
  std::vector<model::Stamp> stamps_;
  std::vector<ServiceOperation> service_operations_;
  std::unordered_map<std::string_view, std::vector<uint32_t>> keys_;
  std::string postings_;
  std::vector<List> lists_;
  uint32_t blocks_ = 0;
};

}  // namespace clew::store

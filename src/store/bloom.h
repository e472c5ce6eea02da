// Two Bloom filters, both of 32-byte lines so that a question touches one place.
//
// KeyFilter: the trace keys of one segment, in memory: "certainly not here" in about 10 ns. 10 bits a key, 1 % wrong.
// ValueFilter: which blocks of a segment may hold a value that no dictionary lists (numbers of templates, texts kept in
// the row, integers of wide range). It is sliced: line k of all blocks stand together, so that one read of
// blocks × 32 bytes answers for the whole segment, and nothing of it stays in memory.
//
//   key filter   := line[lines], line := u32[8]
//   value filter := (line[blocks], u32 checksum)[lines]
// A hash chooses line hash % lines by its upper half and sets one bit in each of the eight words by its lower half
// (Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007). Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clew::store {

constexpr size_t kFilterLineBytes = 32;

struct FilterLine {
  uint32_t words[8] = {};
  void add(uint64_t hash);
  bool has(uint64_t hash) const;
};
static_assert(sizeof(FilterLine) == kFilterLineBytes);

inline uint64_t filter_line(uint64_t hash, uint64_t lines) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(hash) * lines) >> 64);
}

class KeyFilter {
 public:
  explicit KeyFilter(size_t keys);
  bool load(std::string_view bytes);  // false: not a multiple of lines
  void add(uint64_t hash) { lines_[filter_line(hash, lines_.size())].add(hash); }
  bool has(uint64_t hash) const { return lines_[filter_line(hash, lines_.size())].has(hash); }
  std::string_view bytes() const {
    return {reinterpret_cast<const char*>(lines_.data()), lines_.size() * kFilterLineBytes};
  }

 private:
  std::vector<FilterLine> lines_;
};

// Collects the hashes block by block, then writes the sliced form.
class ValueFilterBuilder {
 public:
  void add(uint64_t hash) { hashes_.push_back(hash); }
  void end_block() { ends_.push_back(hashes_.size()); }
  // Appends the filter; returns the number of lines (0: no value at all).
  uint64_t finish(std::string& out) const;

 private:
  std::vector<uint64_t> hashes_;
  std::vector<size_t> ends_;
};

}  // namespace clew::store

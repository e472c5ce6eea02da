// FactsBuilder: what assess() needs to know of the spans of one trace, from rows (the sealing path) and from readable
// spans (parts that are stored already), with hosts and services numbered per trace.
// Linear in spans, resources, hosts and services, whatever a sender makes of them. Reused from trace to trace without
// allocating in the usual case. Single-threaded. Borrows the rows and spans.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/row.h"
#include "model/span.h"
#include "trace/assess.h"

namespace clew::cluster {

// Finds one of a growing list of things by content: a scan while they are few, which is the usual trace, else a table
// of their numbers. The caller keeps the list, and appends what was not found.
class SmallIndex {
 public:
  // The number below `count` for which `equal(number)` holds; else `count`, which is then the number of the next thing
  // added. `hash_of(number)` and `hash()` agree for equal things. Amortised O(1).
  template <typename Equal, typename HashOf, typename Hash>
  uint32_t find(uint32_t count, Equal equal, HashOf hash_of, Hash hash) {
    if (count <= kScanned) {
      for (uint32_t i = 0; i < count; ++i) {
        if (equal(i)) return i;
      }
      if (count < kScanned) return count;
    }
    if (size_t{count + 1} * 2 > slots_.size()) {
      slots_.assign(slots_.empty() ? 8 * kScanned : 2 * slots_.size(), 0);
      for (uint32_t i = 0; i < count; ++i) slots_[free_slot(hash_of(i))] = i + 1;
    }
    const size_t mask = slots_.size() - 1;
    size_t at = hash() & mask;
    for (; slots_[at] != 0; at = (at + 1) & mask) {
      if (equal(slots_[at] - 1)) return slots_[at] - 1;
    }
    slots_[at] = count + 1;
    return count;
  }
  void clear() { slots_.clear(); }

 private:
  static constexpr uint32_t kScanned = 16;
  size_t free_slot(uint64_t hash) const {
    const size_t mask = slots_.size() - 1;
    size_t at = hash & mask;
    while (slots_[at] != 0) at = (at + 1) & mask;
    return at;
  }
  std::vector<uint32_t> slots_;  // number + 1; a power of two of them
};

// Texts numbered in order of their first appearance.
class TextNumbers {
 public:
  explicit TextNumbers(uint64_t seed) : seed_(seed) {}
  uint32_t number_of(std::string_view text);
  std::span<const std::string_view> texts() const { return texts_; }
  void clear();

 private:
  uint64_t seed_;
  std::vector<std::string_view> texts_;
  SmallIndex slots_;
};

class FactsBuilder {
 public:
  // The seed keeps senders from aiming at the buckets of its tables.
  explicit FactsBuilder(uint64_t seed) : seed_(seed), hosts_(seed), services_(seed) {}

  void clear();
  // False when the row is malformed: it is then not part of the trace (counted by the caller).
  bool add_row(const model::Dictionary& dictionary, std::string_view row, bool late);
  void add_span(const model::Span& span);

  const std::vector<trace::SpanFacts>& facts() const { return facts_; }
  const std::vector<std::string_view>& names() const { return names_; }
  trace::Context context() const { return {hosts_.texts(), services_.texts()}; }

 private:
  struct Place {  // where a resource's spans come from, as numbers of the context
    uint32_t host = 0, service = 0;
  };
  struct KnownPlace {
    const void* owner = nullptr;  // dictionary or Resource
    uint32_t code = 0;
    Place place;
  };
  template <typename Names>
  Place place_of(const void* owner, uint32_t code, Names names);
  Place place_of(const model::Dictionary& dictionary, uint32_t resource);
  Place place_of(const model::Resource& resource);

  const uint64_t seed_;
  std::vector<trace::SpanFacts> facts_;
  std::vector<std::string_view> names_;
  TextNumbers hosts_, services_;
  std::vector<KnownPlace> places_;
  SmallIndex place_slots_;
  std::deque<std::string> rebuilt_names_;  // of templates: addresses stay until clear()
};

}  // namespace clew::cluster

// Interest<T>: who is interested in a key: T's under the key ranges they asked for. Single keys are looked up; ranges
// stand sorted by their beginning with the farthest end of every subtree beside them (an implicit interval tree,
// Cormen et al., Introduction to Algorithms, 14.3), which is rebuilt when enough ranges were added: those wait in a
// short list that is looked through.
//
// T is a small value, ordered. One thread. find: O(log ranges + sqrt(ranges) + found); add: amortised
// O(sqrt(ranges) · log ranges); remove: O(log).
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "kv/types.h"

namespace clew::kv {

template <typename T>
class Interest {
 public:
  void add(KeyRange keys, T who) {
    if (keys.single()) {
      CHECK(points_[std::string(keys.begin)].insert(who).second);
      return;
    }
    auto [at, is_new] = ranges_.try_emplace(RangeKey(keys.begin, keys.unbounded() ? std::string_view() : keys.end));
    if (!is_new && at->second.empty()) empty_--;
    CHECK(at->second.insert(who).second);
    if (!is_new) return;
    recent_.push_back(&*at);
    if (recent_.size() * recent_.size() > ranges_.size() + 256) rebuild();
  }

  void remove(KeyRange keys, T who) {
    if (keys.single()) {
      auto at = points_.find(keys.begin);
      CHECK(at != points_.end() && at->second.erase(who) == 1);
      if (at->second.empty()) points_.erase(at);
      return;
    }
    auto at = ranges_.find(RangeKey(keys.begin, keys.unbounded() ? std::string_view() : keys.end));
    CHECK(at != ranges_.end() && at->second.erase(who) == 1);
    if (!at->second.empty()) return;
    // The tree points at it: it stays, empty, until half of them are.
    empty_++;
    if (empty_ * 2 > ranges_.size()) rebuild();
  }

  // Calls visit(who) for each, in an order that depends only on what was added and removed.
  template <typename Visit>
  void find(std::string_view key, Visit&& visit) const {
    if (auto at = points_.find(key); at != points_.end()) {
      for (const T& who : at->second) visit(who);
    }
    find_in(0, sorted_.size(), key, visit);
    for (const Entry* entry : recent_) {
      if (covers(*entry, key)) {
        for (const T& who : entry->second) visit(who);
      }
    }
  }

 private:
  using RangeKey = std::pair<std::string, std::string>;  // begin, end; an empty end is none
  using Ranges = std::map<RangeKey, std::set<T>>;
  using Entry = typename Ranges::value_type;
  struct Node {
    const Entry* entry;
    std::string_view farthest;  // end in the node's part of the array; empty: unbounded
  };

  static bool covers(const Entry& entry, std::string_view key) {
    return key >= entry.first.first && (entry.first.second.empty() || key < entry.first.second);
  }
  static std::string_view later(std::string_view a, std::string_view b) {
    if (a.empty() || b.empty()) return {};
    return a < b ? b : a;
  }

  void rebuild() {
    recent_.clear();
    sorted_.clear();
    empty_ = 0;
    for (auto at = ranges_.begin(); at != ranges_.end();) {
      if (at->second.empty()) {
        at = ranges_.erase(at);
      } else {
        sorted_.push_back({&*at, {}});
        ++at;
      }
    }
    if (!sorted_.empty()) measure(0, sorted_.size());
  }
  // The middle of [from, to) is the subtree's root.
  std::string_view measure(size_t from, size_t to) {
    const size_t middle = from + (to - from) / 2;
    std::string_view end = sorted_[middle].entry->first.second;
    if (from < middle) end = later(end, measure(from, middle));
    if (middle + 1 < to) end = later(end, measure(middle + 1, to));
    sorted_[middle].farthest = end;
    return end;
  }
  template <typename Visit>
  void find_in(size_t from, size_t to, std::string_view key, Visit& visit) const {
    if (from >= to) return;
    const size_t middle = from + (to - from) / 2;
    const Node& node = sorted_[middle];
    if (!node.farthest.empty() && node.farthest <= key) return;
    find_in(from, middle, key, visit);
    if (node.entry->first.first > key) return;
    if (covers(*node.entry, key)) {
      for (const T& who : node.entry->second) visit(who);
    }
    find_in(middle + 1, to, key, visit);
  }

  std::map<std::string, std::set<T>, std::less<>> points_;
  Ranges ranges_;  // nodes are stable: the tree and the list point at them
  std::vector<Node> sorted_;
  std::vector<const Entry*> recent_;
  size_t empty_ = 0;
};

}  // namespace clew::kv

// CowTree<V>: an ordered map from byte strings to V whose snapshots cost nothing: a B+ tree, copied path by path when
// something that a snapshot sees is changed. Appending in ascending order fills the leaves; erased entries leave leaves
// half empty, and only empty ones go: fine for histories, which grow at one end and shrink at the other.
//
// Not for: values that are dear to copy while snapshots live (a change copies its leaf, up to kFan values, once a
// snapshot). V needs a copy only then; it is moved otherwise.
//
// Keys of one node mostly begin alike. Beside them stand the eight bytes behind what all of a node's keys share: a
// search compares numbers that lie together, and looks at a key only where eight bytes do not tell.
//
// One thread changes it; snapshots may be read and destroyed on others. Why that is no race: every node bears the
// number of the tree's snapshot count at which it was made; a node older than the newest snapshot is never written
// again. Pointers to values are good until the next change.
// O(log n); a snapshot O(1).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"

namespace clew::kv {

template <typename V>
class CowTree {
  struct Node;
  using NodePtr = std::shared_ptr<Node>;

 public:
  static constexpr size_t kFan = 32;

  class Snapshot {
   public:
    // As CowTree::each().
    template <typename Visit>
    bool each(std::string_view begin, std::string_view end, Visit&& visit) const {
      return root_ == nullptr || visit_node(*root_, begin, end, visit);
    }
    size_t size() const { return size_; }

   private:
    friend class CowTree;
    NodePtr root_;
    size_t size_ = 0;
  };

  size_t size() const { return size_; }

  const V* find(std::string_view key) const {
    const Node* node = root_.get();
    if (node == nullptr) return nullptr;
    while (!node->leaf()) node = node->children[child_of(*node, key)].get();
    const size_t at = lower(*node, key);
    return at < node->keys.size() && node->keys[at] == key ? &node->values[at] : nullptr;
  }

  // Null when it is not there.
  V* find_mutable(std::string_view key) {
    if (root_ == nullptr) return nullptr;
    Node* node = &own(root_);
    while (!node->leaf()) node = &own(node->children[child_of(*node, key)]);
    const size_t at = lower(*node, key);
    return at < node->keys.size() && node->keys[at] == key ? &node->values[at] : nullptr;
  }

  // The key's value, made with V() when it was not there.
  V& upsert(std::string_view key) {
    if (root_ == nullptr) root_ = make(true);
    if (root_->keys.size() >= kFan) grow_root(key);
    Node* node = &own(root_);
    while (!node->leaf()) {
      size_t at = child_of(*node, key);
      if (node->children[at]->keys.size() >= kFan) {
        split_child(*node, at, key);
        at = child_of(*node, key);
      }
      node = &own(node->children[at]);
    }
    const size_t at = lower(*node, key);
    if (at == node->keys.size() || node->keys[at] != key) {
      node->keys.emplace(node->keys.begin() + static_cast<std::ptrdiff_t>(at), key);
      node->values.emplace(node->values.begin() + static_cast<std::ptrdiff_t>(at));
      note_key(*node, at);
      size_++;
    }
    return node->values[at];
  }

  bool erase(std::string_view key) {
    if (find(key) == nullptr) return false;
    erase_below(root_, key);
    while (root_ != nullptr && !root_->leaf() && root_->children.size() == 1) root_ = NodePtr(root_->children[0]);
    if (root_->keys.empty()) root_ = nullptr;
    size_--;
    return true;
  }

  void clear() {
    root_ = nullptr;
    size_ = 0;
  }

  // Entries with begin <= key < end (an empty end: to the last), ascending; `visit(key, value)` returns false to stop.
  // False when it was stopped. The tree must not change meanwhile.
  template <typename Visit>
  bool each(std::string_view begin, std::string_view end, Visit&& visit) const {
    return root_ == nullptr || visit_node(*root_, begin, end, visit);
  }

  Snapshot snapshot() {
    Snapshot result;
    result.root_ = root_;
    result.size_ = size_;
    snapshots_++;
    return result;
  }

  void check_invariants() const {
    size_t entries = 0;
    std::string_view last;
    each("", "", [&](std::string_view key, const V&) {
      CHECK(entries == 0 || last < key);
      last = key;
      entries++;
      return true;
    });
    CHECK(entries == size_);
    if (root_ != nullptr) check_node(*root_);
  }

 private:
  // A leaf has keys and values; an inner node children, of which keys[i] is a lower bound of the i-th; keys[0] is not
  // looked at.
  struct Node {
    uint64_t made = 0;
    size_t shared = 0;            // bytes with which all keys begin that are looked at
    std::vector<uint64_t> heads;  // of each key the bytes behind them, as a number; zeros behind a short one
    std::vector<std::string> keys;
    std::vector<V> values;
    std::vector<NodePtr> children;
    bool leaf() const { return children.empty(); }
    size_t first() const { return leaf() ? 0 : 1; }  // of the keys that are looked at
  };

  NodePtr make(bool leaf) const {
    auto node = std::make_shared<Node>();
    node->made = snapshots_;
    node->heads.reserve(kFan);
    node->keys.reserve(kFan);
    if (leaf) {
      node->values.reserve(kFan);
    } else {
      node->children.reserve(kFan);
    }
    return node;
  }

  Node& own(NodePtr& slot) {
    if (slot->made != snapshots_) {
      NodePtr copy = make(slot->leaf());
      copy->shared = slot->shared;
      copy->heads.assign(slot->heads.begin(), slot->heads.end());
      copy->keys.assign(slot->keys.begin(), slot->keys.end());
      copy->values.assign(slot->values.begin(), slot->values.end());
      copy->children.assign(slot->children.begin(), slot->children.end());
      slot = std::move(copy);
    }
    return *slot;
  }

  // a < b as bytes, eight at a time: keys are short and share their beginnings, and a call of memcmp costs more than it
  // does for them.
  static bool less(std::string_view a, std::string_view b) {
    const size_t common = std::min(a.size(), b.size());
    size_t at = 0;
    for (; at + 8 <= common; at += 8) {
      uint64_t x = 0;
      uint64_t y = 0;
      std::memcpy(&x, a.data() + at, 8);
      std::memcpy(&y, b.data() + at, 8);
      if (x != y) return __builtin_bswap64(x) < __builtin_bswap64(y);
    }
    for (; at < common; at++) {
      if (a[at] != b[at]) return static_cast<unsigned char>(a[at]) < static_cast<unsigned char>(b[at]);
    }
    return a.size() < b.size();
  }

  static uint64_t head_of(std::string_view key, size_t shared) {
    if (key.size() < shared + 8) {
      uint64_t value = 0;
      if (key.size() > shared) std::memcpy(&value, key.data() + shared, key.size() - shared);
      return __builtin_bswap64(value);
    }
    uint64_t value = 0;
    std::memcpy(&value, key.data() + shared, 8);
    return __builtin_bswap64(value);
  }

  // The heads of all keys.
  static void note_keys(Node& node) {
    const size_t first = node.first();
    node.shared = shared_bytes(node);
    node.heads.assign(node.keys.size(), 0);
    for (size_t i = first; i < node.keys.size(); i++) node.heads[i] = head_of(node.keys[i], node.shared);
  }
  // The keys are in order: what the first and the last one share, all do.
  static size_t shared_bytes(const Node& node) {
    const size_t first = node.first();
    if (node.keys.size() <= first) return 0;
    const std::string& a = node.keys[first];
    const std::string& b = node.keys.back();
    const size_t most = std::min(a.size(), b.size());
    size_t same = 0;
    while (same < most && a[same] == b[same]) same++;
    return same;
  }
  // A key was added at `at`.
  static void note_key(Node& node, size_t at) {
    const bool outermost = at <= node.first() || at + 1 == node.keys.size();
    if (outermost && shared_bytes(node) < node.shared) return note_keys(node);
    // One key alone shares all of itself with itself.
    if (node.keys.size() <= node.first() + 2) return note_keys(node);
    node.heads.insert(node.heads.begin() + static_cast<std::ptrdiff_t>(at), head_of(node.keys[at], node.shared));
  }

  // The first key from `from` on that is not less than `key`, or, with `above`, that is greater.
  static size_t search(const Node& node, size_t from, std::string_view key, bool above) {
    const size_t n = node.keys.size();
    if (from >= n) return n;
    const int begins = key.substr(0, node.shared).compare(std::string_view(node.keys.back()).substr(0, node.shared));
    if (begins != 0) return begins < 0 ? from : n;
    const uint64_t head = head_of(key, node.shared);
    size_t at = from;
    for (size_t i = from; i < n; i++) at += node.heads[i] < head ? 1 : 0;
    while (at < n && node.heads[at] == head && (above ? !less(key, node.keys[at]) : less(node.keys[at], key))) at++;
    return at;
  }
  static size_t lower(const Node& node, std::string_view key) { return search(node, 0, key, false); }
  static size_t child_of(const Node& node, std::string_view key) { return search(node, 1, key, true) - 1; }

  void grow_root(std::string_view key) {
    NodePtr root = make(false);
    root->keys.emplace_back();
    root->heads.push_back(0);
    root->children.push_back(std::move(root_));
    root_ = std::move(root);
    split_child(*root_, 0, key);
  }

  // In halves; but when `key` goes behind all of them, the left part stays full.
  void split_child(Node& parent, size_t at, std::string_view key) {
    Node& left = own(parent.children[at]);
    NodePtr right = make(left.leaf());
    const bool appends = std::string_view(left.keys.back()) < key;
    const auto keep = static_cast<std::ptrdiff_t>(appends ? left.keys.size() - 1 : left.keys.size() / 2);
    right->keys.assign(std::make_move_iterator(left.keys.begin() + keep), std::make_move_iterator(left.keys.end()));
    left.keys.resize(static_cast<size_t>(keep));
    if (left.leaf()) {
      right->values.assign(std::make_move_iterator(left.values.begin() + keep),
                           std::make_move_iterator(left.values.end()));
      left.values.erase(left.values.begin() + keep, left.values.end());
    } else {
      right->children.assign(left.children.begin() + keep, left.children.end());
      left.children.resize(static_cast<size_t>(keep));
    }
    note_keys(left);
    note_keys(*right);
    parent.keys.insert(parent.keys.begin() + static_cast<std::ptrdiff_t>(at) + 1, right->keys.front());
    parent.children.insert(parent.children.begin() + static_cast<std::ptrdiff_t>(at) + 1, std::move(right));
    note_key(parent, at + 1);
  }

  void erase_below(NodePtr& slot, std::string_view key) {
    Node& node = own(slot);
    if (node.leaf()) {
      const auto at = static_cast<std::ptrdiff_t>(lower(node, key));
      node.keys.erase(node.keys.begin() + at);
      node.heads.erase(node.heads.begin() + at);
      node.values.erase(node.values.begin() + at);
      return;
    }
    const auto at = static_cast<std::ptrdiff_t>(child_of(node, key));
    NodePtr& child = node.children[static_cast<size_t>(at)];
    erase_below(child, key);
    if (!child->keys.empty()) return;
    node.keys.erase(node.keys.begin() + at);
    node.heads.erase(node.heads.begin() + at);
    node.children.erase(node.children.begin() + at);
  }

  template <typename Visit>
  static bool visit_node(const Node& node, std::string_view begin, std::string_view end, Visit& visit) {
    if (node.leaf()) {
      for (size_t i = lower(node, begin); i < node.keys.size(); i++) {
        if (!end.empty() && std::string_view(node.keys[i]) >= end) return true;
        if (!visit(std::string_view(node.keys[i]), node.values[i])) return false;
      }
      return true;
    }
    for (size_t i = child_of(node, begin); i < node.children.size(); i++) {
      if (i > 0 && !end.empty() && std::string_view(node.keys[i]) >= end) return true;
      if (!visit_node(*node.children[i], begin, end, visit)) return false;
    }
    return true;
  }

  static void check_node(const Node& node) {
    CHECK(!node.keys.empty() && node.keys.size() <= kFan);
    CHECK(node.heads.size() == node.keys.size());
    CHECK(node.keys.size() <= node.first() || node.shared <= shared_bytes(node));
    for (size_t i = node.first(); i < node.keys.size(); i++) CHECK(node.heads[i] == head_of(node.keys[i], node.shared));
    CHECK(node.leaf() ? node.values.size() == node.keys.size() : node.children.size() == node.keys.size());
    for (const NodePtr& child : node.children) check_node(*child);
  }

  NodePtr root_;
  size_t size_ = 0;
  uint64_t snapshots_ = 0;
};

}  // namespace clew::kv

// What a SpanDecoder learns about its senders: attribute keys, the orders in which they come, and how their values
// repeat.
//
// Attribute lists are a tree of (key, type) steps from the root, the empty list: SDKs send the same keys in the same
// order, so the next key is nearly always one of a node's few children, found by comparing bytes, without hashing; and
// a list's last node knows its shape code. A Path predicts one child for each step. Bounded: past the limits below it
// is forgotten and learnt again. Single-threaded; owned by one decoder. Internal to decode.cc and attribute_list.cc.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "model/dictionary.h"
#include "otlp/text_coder.h"

namespace clew::otlp {

constexpr uint32_t kNoCode = ~0u;
constexpr uint32_t kNoNode = ~0u;

// A key met in attributes. Lives until everything learnt is forgotten.
struct Key {
  explicit Key(std::string_view t) : text(t), habit(true) {}
  std::string text;
  TextHabit habit;          // of its values
  uint32_t code = kNoCode;  // kNoCode: the dictionary does not take it
  uint32_t generation = 0;
};

struct alignas(64) Node {
  static constexpr size_t kLongestPredicted = kWindow - 3;
  // How a KeyValue with this key starts: tag and length of the key, the key, tag of the value. Empty when that is
  // longer; `predicted` is then kRaw, which no prediction takes.
  char prefix[kWindow] = {};
  Key* key = nullptr;
  uint32_t parent = kNoNode;
  uint8_t prefix_size = 0;
  model::ValueType type = model::ValueType::kEmpty;
  model::ValueType predicted = model::ValueType::kRaw;
  uint8_t children = 0;
  uint32_t first_child = kNoNode;
  uint32_t next_sibling = kNoNode;
  uint32_t shape = kNoCode;  // of the list that ends here; kNoCode: the dictionary does not take it
  uint32_t generation = 0;
};

static_assert(sizeof(Node) == 64);

// The nodes that a list with this hint took last time. Spans (events) of one name have the same keys, so a hint by name
// spares the search among children, which no branch predictor would get right.
struct Path {
  static constexpr size_t kLength = 16;
  uint32_t nodes[kLength] = {};
};

class Learnt {
 public:
  static constexpr size_t kMaxKeyBytes = 512;  // longer keys are not learnt

  explicit Learnt(uint64_t seed) : keys_(64, SeededHash{seed}) { forget(); }

  // Between spans only: pointers to keys and nodes end.
  void forget_if_full() {
    if (keys_.size() >= kMaxKeys) forget();
    if (nodes_.size() >= kMaxNodes || stray_lists_ >= kMaxStrayLists) forget_nodes();
  }
  Node& node(uint32_t index) { return nodes_[index]; }
  const Node* nodes() const { return nodes_.data(); }
  void count_stray_list() { ++stray_lists_; }
  Path& path(uint32_t hint) { return paths_[hint % kPaths]; }  // its nodes exist

  // The child of `at` for this step, or kNoNode.
  uint32_t find_child(uint32_t at, std::string_view key, model::ValueType type) const {
    for (uint32_t i = nodes_[at].first_child; i != kNoNode; i = nodes_[i].next_sibling) {
      if (is_step(i, at, key, type)) return i;
    }
    return kNoNode;
  }
  // Whether `index` is the child of `at` for this step.
  bool is_step(uint32_t index, uint32_t at, std::string_view key, model::ValueType type) const {
    const Node& node = nodes_[index];
    return node.parent == at && node.type == type && node.key->text == key;
  }
  // A new child, or kNoNode when there is no place.
  uint32_t add_child(uint32_t at, Key& key, model::ValueType type) {
    if (nodes_[at].children >= kMaxChildren || nodes_.size() >= kMaxNodes) return kNoNode;
    const auto index = static_cast<uint32_t>(nodes_.size());
    Node child;
    if (key.text.size() <= Node::kLongestPredicted) {
      child.prefix[0] = 0x0a;
      child.prefix[1] = static_cast<char>(key.text.size());
      key.text.copy(child.prefix + 2, Node::kLongestPredicted);
      child.prefix[2 + key.text.size()] = 0x12;
      child.prefix_size = static_cast<uint8_t>(key.text.size() + 3);
      child.predicted = type;
    }
    child.type = type;
    child.key = &key;
    child.parent = at;
    child.next_sibling = nodes_[at].first_child;
    nodes_.push_back(child);
    nodes_[at].first_child = index;
    ++nodes_[at].children;
    return index;
  }

  Key* find_key(std::string_view text) {
    const auto found = keys_.find(text);
    return found != keys_.end() ? found->second.get() : nullptr;
  }
  Key& add_key(std::string_view text) {
    auto key = std::make_unique<Key>(text);
    Key& added = *key;
    keys_.emplace(std::string_view(added.text), std::move(key));
    return added;
  }

 private:
  static constexpr size_t kMaxKeys = 4096;
  static constexpr size_t kMaxNodes = 1u << 15;
  static constexpr uint32_t kMaxChildren = 16;          // also the most keys compared for one attribute
  static constexpr uint32_t kMaxStrayLists = 1u << 16;  // attribute lists that found no place in a full tree
  static constexpr size_t kPaths = 512;

  struct SeededHash {
    uint64_t seed;
    size_t operator()(std::string_view text) const { return seeded_hash(text, seed); }
  };

  void forget() {
    keys_.clear();
    forget_nodes();
  }
  void forget_nodes() {
    nodes_.clear();
    nodes_.emplace_back();
    paths_.fill({});
    stray_lists_ = 0;
  }

  std::unordered_map<std::string_view, std::unique_ptr<Key>, SeededHash> keys_;
  std::vector<Node> nodes_;
  std::array<Path, kPaths> paths_;
  uint32_t stray_lists_ = 0;
};

}  // namespace clew::otlp

#include "otlp/decode.h"

#include <cstring>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "base/hash.h"
#include "model/any_value.h"
#include "model/wire.h"
#include "otlp/buffer.h"
#include "otlp/fast_varint.h"
#include "otlp/text_coder.h"

namespace clew::otlp {
namespace {

using model::Attribute;
using model::EntryKind;
using model::ShapeField;
using model::ValueType;

// What is learnt is bounded; past these it is forgotten and learnt again.
constexpr size_t kMaxKeys = 4096;
constexpr size_t kMaxNodes = 1u << 15;
constexpr uint32_t kMaxChildren = 16;      // also the most keys compared for one attribute
constexpr uint32_t kMaxStrayLists = 1u << 16;  // attribute lists that found no place in a full tree
constexpr size_t kMaxKeyBytes = 512;
constexpr uint32_t kNone = ~0u;

// A key met in attributes. Lives until everything learnt is forgotten.
struct Key {
  explicit Key(std::string_view t) : text(t), habit(true) {}
  std::string text;
  uint32_t code = kNone;  // kNone: the dictionary does not take it
  uint32_t generation = 0;
  TextHabit habit;
};

// Attribute lists as a tree of (key, type) steps from the root, the empty list: SDKs send the same keys in the same
// order, so the next key is nearly always one of a node's few children, found by comparing bytes, without hashing; and a
// list's last node knows its shape code.
struct Node {
  char key_start[kWindow] = {};  // the first bytes of the key, in the node itself: no second cache line
  Key* key = nullptr;
  uint32_t first_child = kNone;
  uint32_t next_sibling = kNone;
  uint32_t parent = kNone;
  uint32_t shape = kNone;  // of the list that ends here; kNone: the dictionary does not take it
  uint32_t generation = 0;
  uint16_t key_size = 0;
  ValueType type = ValueType::kEmpty;
  uint8_t children = 0;
};

// The nodes that a list with this hint took last time. Spans (events) of one name have the same keys, so a hint by name
// spares the search among children, which no branch predictor would get right.
struct Path {
  static constexpr size_t kLength = 16;
  uint32_t nodes[kLength] = {};
};
constexpr size_t kPaths = 512;

// A whole KeyValue met before, with what it became in the row: most attributes of most spans are repeated to the byte, and
// these then cost one compare instead of being parsed.
struct Memo {
  static constexpr size_t kMinBytes = 16;
  static constexpr size_t kMaxBytes = 104;
  uint32_t generation = 0;  // of the dictionary whose code it holds
  uint8_t size = 0;
  uint8_t value_size = 0;
  ValueType type = ValueType::kEmpty;
  bool used = false;        // since it was last spared
  Key* key = nullptr;
  char value[8] = {};
  char bytes[kMaxBytes] = {};

  bool equals(const char* other) const {
    if (!same_sixteen(bytes, other) || !same_sixteen(bytes + size - 16, other + size - 16)) return false;
    for (size_t i = 16; i + 16 < size; i += 16) {
      if (!same_sixteen(bytes + i, other + i)) return false;
    }
    return true;
  }
};
constexpr size_t kMemos = 2048;

struct SeededHash {
  uint64_t seed;
  size_t operator()(std::string_view text) const { return seeded_hash(text, seed); }
};

struct Plain {
  std::string_view key;
  ValueType type = ValueType::kEmpty;
  std::string_view bytes;
  uint64_t number = 0;
};

// The usual encoding of a KeyValue, key before value, lengths below 128 or in two bytes. Whatever differs is left to
// model::read_key_value.
[[gnu::always_inline]] inline bool parse_usual(std::string_view message, const char* limit, Plain& out) {
  const char* p = message.data();
  const char* const end = p + message.size();
  if (message.size() < 6 || p[0] != 0x0a) return false;
  const auto key_size = static_cast<uint8_t>(p[1]);
  if (key_size >= 0x80 || message.size() < size_t{6} + key_size) return false;
  out.key = {p + 2, key_size};
  p += 2 + key_size;
  if (*p++ != 0x12) return false;
  size_t size = static_cast<uint8_t>(*p++);
  if (size >= 0x80) {
    const auto high = static_cast<uint8_t>(*p++);
    if (high >= 0x80) return false;
    size = (size & 0x7f) | static_cast<size_t>(high) << 7;
  }
  if (size != static_cast<size_t>(end - p) || size < 2) return false;
  const char* const value = p;
  const auto tag = static_cast<uint8_t>(*p++);
  switch (tag) {
    case 0x0a:
    case 0x3a:
    case 0x2a:
    case 0x32: {
      size_t length = static_cast<uint8_t>(*p++);
      if (length >= 0x80) {
        if (p == end) return false;
        const auto high = static_cast<uint8_t>(*p++);
        if (high >= 0x80) return false;
        length = (length & 0x7f) | static_cast<size_t>(high) << 7;
      }
      if (length != static_cast<size_t>(end - p)) return false;
      if (tag == 0x0a) {
        out.type = ValueType::kString;
        out.bytes = {p, length};
      } else if (tag == 0x3a) {
        out.type = ValueType::kBytes;
        out.bytes = {p, length};
      } else {
        out.type = ValueType::kComplex;
        out.bytes = {value, size};
      }
      return true;
    }
    case 0x10:
      out.type = ValueType::kBool;
      out.number = static_cast<uint8_t>(*p);
      return size == 2 && out.number <= 1;
    case 0x18: {
      out.type = ValueType::kInt;
      if (size == 2) {
        out.number = static_cast<uint8_t>(*p);
        return out.number < 0x80;
      }
      if (limit - p >= 8) {
        const size_t length = read_short_varint(p, out.number);
        if (length != 0) return length == static_cast<size_t>(end - p);
      }
      uint64_t v = 0;
      for (int shift = 0; p < end && shift < 63; shift += 7) {
        const auto byte = static_cast<uint8_t>(*p++);
        v |= static_cast<uint64_t>(byte & 0x7f) << shift;
        if (byte < 0x80) {
          out.number = v;
          return p == end;
        }
      }
      return false;
    }
    case 0x21:
      out.type = ValueType::kDouble;
      if (size != 9) return false;
      std::memcpy(&out.number, p, 8);
      return true;
    default: return false;
  }
}

bool any_text(std::string_view) { return true; }

// Keys, habits and the tree: what the decoder learns about a sender.
class Learnt {
 public:
  explicit Learnt(uint64_t seed) : keys_(64, SeededHash{seed}) { forget(); }

  // Between spans only: pointers to keys and nodes end.
  void forget_if_full() {
    if (keys_.size() >= kMaxKeys) forget();
    if (nodes_.size() >= kMaxNodes || stray_lists_ >= kMaxStrayLists) forget_nodes();
  }
  Node& node(uint32_t index) { return nodes_[index]; }
  void count_stray_list() { ++stray_lists_; }

  // The child of `at` for this step, or kNone.
  uint32_t find_child(uint32_t at, std::string_view key, ValueType type, const char* limit) const {
    for (uint32_t i = nodes_[at].first_child; i != kNone; i = nodes_[i].next_sibling) {
      if (is_step(i, at, key, type, limit)) return i;
    }
    return kNone;
  }
  // Whether `index` is the child of `at` for this step.
  [[gnu::always_inline]] bool is_step(uint32_t index, uint32_t at, std::string_view key, ValueType type, const char* limit) const {
    if (index >= nodes_.size()) return false;
    const Node& node = nodes_[index];
    if (node.parent != at || node.key_size != key.size() || node.type != type) return false;
    if (key.size() <= kWindow && static_cast<size_t>(limit - key.data()) >= kWindow) {
      return same_in_window(node.key_start, key.data(), key.size());
    }
    return same_bytes(node.key->text.data(), key.data(), key.size());
  }
  bool is_step(uint32_t index, uint32_t at, const Key* key, ValueType type) const {
    return index < nodes_.size() && nodes_[index].parent == at && nodes_[index].key == key && nodes_[index].type == type;
  }
  Memo& memo(uint32_t node, const char* bytes, size_t size) {
    uint64_t low, high;
    std::memcpy(&low, bytes + size - 16, 8);
    std::memcpy(&high, bytes + size - 8, 8);
    const uint64_t h = (low + node) * 0xd6e8feb86659fd93ull ^ high * 0xa0761d6478bd642full;
    return memos_[(h ^ h >> 31) * 0xe7037ed1a0b428dbull >> 53];
  }
  Path& path(uint32_t hint) { return paths_[hint % kPaths]; }
  // A new child, or kNone when there is no place.
  uint32_t add_child(uint32_t at, Key& key, ValueType type) {
    if (nodes_[at].children >= kMaxChildren || nodes_.size() >= kMaxNodes) return kNone;
    const auto index = static_cast<uint32_t>(nodes_.size());
    Node child;
    key.text.copy(child.key_start, kWindow);
    child.key_size = static_cast<uint16_t>(key.text.size());
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
  void forget() {
    memos_.assign(kMemos, {});
    keys_.clear();
    forget_nodes();
  }
  void forget_nodes() {
    nodes_.clear();
    nodes_.emplace_back();
    stray_lists_ = 0;
  }
  std::unordered_map<std::string_view, std::unique_ptr<Key>, SeededHash> keys_;
  std::vector<Node> nodes_;
  std::vector<Memo> memos_;
  std::vector<Path> paths_ = std::vector<Path>(kPaths);
  uint32_t stray_lists_ = 0;
};

// One attribute list on its way into a row.
class ListWriter {
 public:
  ListWriter(TextCoder& texts, TextHabit& other_texts, const Limits& limits)
      : texts_(texts), other_texts_(other_texts), limits_(limits) {}

  void begin(model::Dictionary& dictionary, Learnt& learnt) {
    dictionary_ = &dictionary;
    learnt_ = &learnt;
    path_ = &learnt.path(0);
    at_ = 0;
    values_.clear();
    steps_.clear();
  }

  // Any number that lists with the same keys share; before the first add().
  void hint(uint32_t number) { path_ = &learnt_->path(number); }

  // Up to `limit` may be read.
  Reject add(std::string_view key_value, const char* limit) {
    Memo* memo = nullptr;
    if (at_ != kNone && steps_.size() < Path::kLength && key_value.size() >= Memo::kMinBytes &&
        key_value.size() <= Memo::kMaxBytes) {
      const uint32_t predicted = path_->nodes[steps_.size()];
      memo = &learnt_->memo(predicted, key_value.data(), key_value.size());
      if (memo->size == key_value.size() && memo->generation == texts_.generation() &&
          learnt_->is_step(predicted, at_, memo->key, memo->type) && memo->equals(key_value.data())) {
        at_ = predicted;
        memo->used = true;
        memo->key->habit.count();
        char* out = values_.room(sizeof memo->value);
        std::memcpy(out, memo->value, sizeof memo->value);
        values_.wrote(out + memo->value_size);
        steps_.push_back({memo->key->text, memo->key, memo->type, static_cast<uint32_t>(values_.size())});
        return Reject::kNone;
      }
    }
    Plain attribute;
    bool usual = true;
    if (!parse_usual(key_value, limit, attribute)) {
      usual = false;
      if (Reject reject = parse_unusual(key_value, attribute); reject != Reject::kNone) return reject;
    } else if (attribute.type == ValueType::kComplex) {
      if (Reject reject = check_complex(attribute.bytes); reject != Reject::kNone) return reject;
    }
    Key* key = nullptr;
    const size_t step = steps_.size();
    if (step < Path::kLength && at_ != kNone &&
        learnt_->is_step(path_->nodes[step], at_, attribute.key, attribute.type, limit)) {
      at_ = path_->nodes[step];
      key = learnt_->node(at_).key;
    } else {
      if (const Reject reject = find_step(attribute, limit, key); reject != Reject::kNone) return reject;
      if (step < Path::kLength && at_ != kNone) path_->nodes[step] = at_;
    }
    const size_t value_begin = values_.size();
    if (!write_value(attribute, limit, key)) return Reject::kInvalidUtf8;
    if (memo != nullptr && usual && key != nullptr) remember(*memo, key_value, attribute.type, *key, value_begin);
    steps_.push_back({attribute.key, key, attribute.type, static_cast<uint32_t>(values_.size())});
    return Reject::kNone;
  }

  void finish(Buffer& out) {
    const uint32_t code = shape();
    if (code != kNone) {
      out.append_varint(uint64_t{code} + 1);
      out.append(values_.view());
      return;
    }
    out.append_varint(0);
    out.append_varint(steps_.size());
    uint32_t from = 0;
    for (const Step& step : steps_) {
      const uint32_t key = step.key != nullptr ? key_code(*step.key) : kNone;
      if (key != kNone) {
        out.append_varint(uint64_t{key} << 2 | static_cast<uint64_t>(model::StrMode::kCode));
      } else {
        out.append_varint(uint64_t{step.text.size()} << 2 | static_cast<uint64_t>(model::StrMode::kInline));
        out.append(step.text);
      }
      out.append_fixed(static_cast<uint8_t>(step.type));
      out.append(values_.view().substr(from, step.values_end - from));
      from = step.values_end;
    }
  }

 private:
  struct Step {
    std::string_view text;
    Key* key;  // nullptr: too long to be learnt
    ValueType type;
    uint32_t values_end;
  };

  // Takes the place of a memo that was not used for a while. Of texts, only those that went by code.
  void remember(Memo& memo, std::string_view key_value, ValueType type, Key& key, size_t value_begin) {
    const std::string_view value = values_.view().substr(value_begin);
    if (value.size() > sizeof memo.value) return;
    if (type == ValueType::kString && (value[0] & 3) != static_cast<char>(model::StrMode::kCode)) return;
    if (memo.used && memo.generation == texts_.generation()) {
      memo.used = false;
      return;
    }
    memo.generation = texts_.generation();
    memo.size = static_cast<uint8_t>(key_value.size());
    memo.value_size = static_cast<uint8_t>(value.size());
    memo.type = type;
    memo.used = false;
    memo.key = &key;
    value.copy(memo.value, sizeof memo.value);
    key_value.copy(memo.bytes, Memo::kMaxBytes);
  }

  Reject parse_unusual(std::string_view key_value, Plain& out) {
    Attribute attribute;
    if (!model::read_key_value(key_value, attribute)) return Reject::kMalformed;
    out.key = attribute.key.empty() ? key_value.substr(0, 0) : attribute.key;  // never a null pointer
    out.type = attribute.value.type;
    out.bytes = attribute.value.bytes;
    switch (out.type) {
      case ValueType::kBool:
      case ValueType::kInt: out.number = static_cast<uint64_t>(attribute.value.integer); break;
      case ValueType::kDouble: out.number = std::bit_cast<uint64_t>(attribute.value.real); break;
      case ValueType::kComplex: return check_complex(out.bytes);
      case ValueType::kRaw:
        if (model::check_key_value(key_value, limits_.max_depth, valid_utf8)) return Reject::kNone;
        return model::check_key_value(key_value, limits_.max_depth, any_text) ? Reject::kInvalidUtf8
                                                                             : Reject::kMalformed;
      default: break;
    }
    return Reject::kNone;
  }

  Reject check_complex(std::string_view any_value) const {
    if (model::check_any_value(any_value, limits_.max_depth, valid_utf8)) return Reject::kNone;
    return model::check_any_value(any_value, limits_.max_depth, any_text) ? Reject::kInvalidUtf8 : Reject::kMalformed;
  }

  // The step was not predicted: looks among the other children; else finds or learns its key and goes on in the tree
  // where there is place.
  Reject find_step(const Plain& attribute, const char* limit, Key*& key) {
    const uint32_t child = at_ != kNone ? learnt_->find_child(at_, attribute.key, attribute.type, limit) : kNone;
    if (child != kNone) {
      at_ = child;
      key = learnt_->node(child).key;
      return Reject::kNone;
    }
    key = attribute.key.size() <= kMaxKeyBytes ? learnt_->find_key(attribute.key) : nullptr;
    if (key == nullptr) {
      if (!valid_utf8(attribute.key)) return Reject::kInvalidUtf8;
      if (attribute.key.size() <= kMaxKeyBytes) key = &learnt_->add_key(attribute.key);
    }
    const bool was_on_path = at_ != kNone;
    if (was_on_path) at_ = key != nullptr ? learnt_->add_child(at_, *key, attribute.type) : kNone;
    if (was_on_path && at_ == kNone) learnt_->count_stray_list();
    return Reject::kNone;
  }

  bool write_value(const Plain& attribute, const char* limit, Key* key) {
    char* out = values_.room(TextCoder::room(attribute.bytes.size()));
    switch (attribute.type) {
      case ValueType::kEmpty: return true;
      case ValueType::kString: {
        out = texts_.write(key != nullptr ? key->habit : other_texts_, attribute.bytes, limit, out);
        if (out == nullptr) return false;
        break;
      }
      case ValueType::kBool: *out++ = static_cast<char>(attribute.number); break;
      case ValueType::kInt: out = put_varint_fast(out, zigzag(static_cast<int64_t>(attribute.number))); break;
      case ValueType::kDouble:
        std::memcpy(out, &attribute.number, 8);
        out += 8;
        break;
      case ValueType::kBytes:
      case ValueType::kComplex:
      case ValueType::kRaw:
        out = put_varint(out, attribute.bytes.size());
        attribute.bytes.copy(out, attribute.bytes.size());
        out += attribute.bytes.size();
        break;
    }
    values_.wrote(out);
    return true;
  }

  uint32_t key_code(Key& key) const {
    if (key.generation != texts_.generation()) {
      key.generation = texts_.generation();
      key.code = dictionary_->intern(EntryKind::kString, key.text).value_or(kNone);
    }
    return key.code;
  }

  uint32_t shape() {
    if (at_ != kNone && learnt_->node(at_).generation == texts_.generation()) return learnt_->node(at_).shape;
    shape_fields_.clear();
    uint32_t code = 0;
    for (const Step& step : steps_) {
      code = step.key != nullptr ? key_code(*step.key) : kNone;
      if (code == kNone) break;
      shape_fields_.push_back({code, step.type});
    }
    if (code != kNone) code = dictionary_->intern_shape(shape_fields_).value_or(kNone);
    if (at_ != kNone) {
      learnt_->node(at_).generation = texts_.generation();
      learnt_->node(at_).shape = code;
    }
    return code;
  }

  TextCoder& texts_;
  TextHabit& other_texts_;
  const Limits& limits_;
  model::Dictionary* dictionary_ = nullptr;
  Learnt* learnt_ = nullptr;
  Path* path_ = nullptr;
  uint32_t at_ = 0;  // node of the list so far; kNone: outside the tree
  Buffer values_;
  std::vector<Step> steps_;
  std::vector<ShapeField> shape_fields_;
};

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// What a span's own fields say; lists are views for a second look.
struct SpanFields {
  uint64_t id = 0, parent = 0;
  uint64_t start_ns = 0, end_ns = 0;
  uint32_t flags = 0;
  uint32_t dropped_attributes = 0, dropped_events = 0, dropped_links = 0;
  uint8_t kind = 0, status_code = 0;
  std::string_view trace_state, status_message;
};

inline bool read_varint(const char*& pos, const char* end, uint64_t& out) {
  if (pos < end && static_cast<uint8_t>(*pos) < 0x80) {
    out = static_cast<uint8_t>(*pos++);
    return true;
  }
  out = 0;
  for (int shift = 0; shift < 70 && pos < end; shift += 7) {
    const auto byte = static_cast<uint8_t>(*pos++);
    if (shift == 63 && byte > 1) return false;
    out |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

inline bool read_bytes(const char*& pos, const char* end, std::string_view& out) {
  uint64_t size;
  if (!read_varint(pos, end, size) || size > static_cast<uint64_t>(end - pos)) return false;
  out = {pos, size};
  pos += size;
  return true;
}

template <typename T>
inline bool read_fixed(const char*& pos, const char* end, T& out) {
  if (static_cast<size_t>(end - pos) < sizeof(T)) return false;
  std::memcpy(&out, pos, sizeof(T));
  pos += sizeof(T);
  return true;
}

}  // namespace

struct SpanDecoder::Impl {
  explicit Impl(const Limits& l)
      : limits(l),
        span_names(false),
        event_names(true),
        status_messages(true),
        trace_states(true),
        other_texts(true),
        attributes(texts, other_texts, limits),
        inner_attributes(texts, other_texts, limits) {}

  Limits limits;
  model::Dictionary* dictionary = nullptr;
  std::unique_ptr<Learnt> learnt;
  TextCoder texts;
  TextHabit span_names, event_names, status_messages, trace_states, other_texts;
  ListWriter attributes, inner_attributes;

  // Of the span being decoded.
  std::vector<std::string_view> events, links;
  std::string unknown, status_unknown;
  uint32_t attribute_count = 0;
  Buffer row, cold, name, event_name;

  Reject add_attribute(ListWriter& list, std::string_view key_value, const char* limit) {
    if (++attribute_count > limits.max_attributes) return Reject::kTooManyAttributes;
    return list.add(key_value, limit);
  }

  Reject read_span(std::string_view span, SpanFields& out) {
    const char* pos = span.data();
    const char* const end = pos + span.size();
    uint32_t trace_ids = 0, kinds = 0, statuses = 0;
    bool odd_kind = false, odd_status = false;
    uint64_t number;
    std::string_view bytes;
    while (pos < end) {
      const char* const field = pos;
      bool whole = true;
      switch (static_cast<uint8_t>(*pos++)) {
        case 1 << 3 | kBytes:
          whole = read_bytes(pos, end, bytes);
          if (whole && bytes.size() != 16) return Reject::kTraceId;
          if (++trace_ids > 1) return Reject::kMalformed;
          break;
        case 2 << 3 | kBytes:
          whole = read_bytes(pos, end, bytes);
          if (!whole) break;
          if (bytes.size() != 8) return Reject::kSpanId;
          out.id = model::SpanId::from_bytes(bytes.data()).value;
          break;
        case 3 << 3 | kBytes: whole = read_bytes(pos, end, out.trace_state); break;
        case 4 << 3 | kBytes:
          whole = read_bytes(pos, end, bytes);
          if (!whole) break;
          if (bytes.size() != 8 && !bytes.empty()) return Reject::kParentId;
          out.parent = bytes.empty() ? 0 : model::SpanId::from_bytes(bytes.data()).value;
          break;
        case 5 << 3 | kBytes:
          whole = read_bytes(pos, end, bytes);
          if (!whole) break;
          name.clear();
          if (!write_text(span_names, bytes, end, name)) return Reject::kInvalidUtf8;
          attributes.hint(texts.last_mark());
          break;
        case 6 << 3 | kVarint:
          whole = read_varint(pos, end, number);
          if (!whole) break;
          out.kind = number <= 5 ? static_cast<uint8_t>(number) : 0;
          odd_kind |= number > 5;
          if (number > 5) unknown.append(field, pos);
          if (++kinds > 1 && odd_kind) return Reject::kMalformed;
          break;
        case 7 << 3 | kFixed64: whole = read_fixed(pos, end, out.start_ns); break;
        case 8 << 3 | kFixed64: whole = read_fixed(pos, end, out.end_ns); break;
        case 9 << 3 | kBytes: {
          whole = read_bytes(pos, end, bytes);
          if (!whole) break;
          if (const Reject reject = add_attribute(attributes, bytes, end); reject != Reject::kNone) return reject;
          break;
        }
        case 10 << 3 | kVarint:
          whole = read_varint(pos, end, number);
          out.dropped_attributes = static_cast<uint32_t>(number);
          break;
        case 11 << 3 | kBytes:
          whole = read_bytes(pos, end, bytes);
          if (++attribute_count > limits.max_attributes) return Reject::kTooManyAttributes;
          events.push_back(bytes);
          break;
        case 12 << 3 | kVarint:
          whole = read_varint(pos, end, number);
          out.dropped_events = static_cast<uint32_t>(number);
          break;
        case 13 << 3 | kBytes:
          whole = read_bytes(pos, end, bytes);
          if (++attribute_count > limits.max_attributes) return Reject::kTooManyAttributes;
          links.push_back(bytes);
          break;
        case 14 << 3 | kVarint:
          whole = read_varint(pos, end, number);
          out.dropped_links = static_cast<uint32_t>(number);
          break;
        case 15 << 3 | kBytes:
          whole = read_bytes(pos, end, bytes);
          if (!whole) break;
          if (!bytes.empty() && !read_status(bytes, out, odd_status)) return Reject::kMalformed;
          if (++statuses > 1 && odd_status) return Reject::kMalformed;
          break;
        case 0x80 | ((16 << 3 | kFixed32) & 0x7f):
          if (pos < end && *pos == 1) {
            ++pos;
            whole = read_fixed(pos, end, out.flags);
            break;
          }
          [[fallthrough]];
        default:
          pos = field;
          whole = skip_unknown(pos, end, 16, unknown);
      }
      if (!whole) return Reject::kMalformed;
    }
    if (trace_ids == 0) return Reject::kTraceId;
    if (out.id == 0) return Reject::kSpanId;
    if (!status_unknown.empty()) {
      unknown.push_back(static_cast<char>(15 << 3 | kBytes));
      append_bytes(unknown, status_unknown);
    }
    return Reject::kNone;
  }

  // Keeps a field that is not one of the known `1..last_known` (these have come with another wire type, or their tag in
  // more bytes than it needs: malformed).
  static bool skip_unknown(const char*& pos, const char* end, uint32_t last_known, std::string& kept) {
    const char* const field = pos;
    uint64_t tag, size = 0;
    if (!read_varint(pos, end, tag) || tag >> 32 != 0 || tag >> 3 <= last_known) return false;
    switch (tag & 7) {
      case kVarint:
        if (!read_varint(pos, end, size)) return false;
        size = 0;
        break;
      case kFixed64: size = 8; break;
      case kFixed32: size = 4; break;
      case kBytes:
        if (!read_varint(pos, end, size)) return false;
        break;
      default: return false;
    }
    if (size > static_cast<uint64_t>(end - pos)) return false;
    pos += size;
    kept.append(field, pos);
    return true;
  }

  bool read_status(std::string_view message, SpanFields& out, bool& odd) {
    model::WireReader reader(message);
    model::WireField field;
    while (reader.next(field)) {
      if (field.number == 2) {
        if (field.type != model::WireType::kBytes) return false;
        out.status_message = field.bytes;
      } else if (field.number == 3 && field.type == model::WireType::kVarint && field.value <= 2 && !odd) {
        out.status_code = static_cast<uint8_t>(field.value);
      } else if (field.number == 3 && field.type != model::WireType::kVarint) {
        return false;
      } else {
        if (field.number == 3) out.status_code = 0;
        odd = true;
        status_unknown.append(field.whole);
      }
    }
    return reader.ok();
  }

  bool write_text(TextHabit& habit, std::string_view text, const char* limit, Buffer& to) {
    char* out = texts.write(habit, text, limit, to.room(TextCoder::room(text.size())));
    if (out == nullptr) return false;
    to.wrote(out);
    return true;
  }

  Reject write_event(std::string_view message, uint64_t start_ns) {
    const char* pos = message.data();
    const char* const end = pos + message.size();
    uint64_t time_ns = 0, dropped = 0;
    std::string_view bytes;
    std::string kept;
    event_name.clear();
    inner_attributes.begin(*dictionary, *learnt);
    while (pos < end) {
      const char* const field = pos;
      bool whole = true;
      switch (static_cast<uint8_t>(*pos++)) {
        case 1 << 3 | kFixed64: whole = read_fixed(pos, end, time_ns); break;
        case 2 << 3 | kBytes:
          whole = read_bytes(pos, end, bytes);
          if (!whole) break;
          event_name.clear();
          if (!write_text(event_names, bytes, end, event_name)) return Reject::kInvalidUtf8;
          inner_attributes.hint(~texts.last_mark());
          break;
        case 3 << 3 | kBytes:
          whole = read_bytes(pos, end, bytes);
          if (!whole) break;
          if (const Reject reject = add_attribute(inner_attributes, bytes, end); reject != Reject::kNone) return reject;
          break;
        case 4 << 3 | kVarint: whole = read_varint(pos, end, dropped); break;
        default:
          pos = field;
          whole = skip_unknown(pos, end, 4, kept);
      }
      if (!whole) return Reject::kMalformed;
    }
    cold.append_varint(zigzag(static_cast<int64_t>(time_ns - start_ns)));
    if (event_name.size() == 0) write_text(event_names, {}, nullptr, event_name);
    cold.append(event_name.view());
    inner_attributes.finish(cold);
    cold.append_varint(static_cast<uint32_t>(dropped));
    cold.append_varint(kept.size());
    cold.append(kept);
    return Reject::kNone;
  }

  Reject write_link(std::string_view message) {
    const char* pos = message.data();
    const char* const end = pos + message.size();
    std::string_view trace, span, trace_state, bytes;
    uint64_t dropped = 0;
    uint32_t flags = 0;
    std::string kept;
    inner_attributes.begin(*dictionary, *learnt);
    while (pos < end) {
      const char* const field = pos;
      bool whole = true;
      switch (static_cast<uint8_t>(*pos++)) {
        case 1 << 3 | kBytes: whole = read_bytes(pos, end, trace); break;
        case 2 << 3 | kBytes: whole = read_bytes(pos, end, span); break;
        case 3 << 3 | kBytes: whole = read_bytes(pos, end, trace_state); break;
        case 4 << 3 | kBytes:
          whole = read_bytes(pos, end, bytes);
          if (!whole) break;
          if (const Reject reject = add_attribute(inner_attributes, bytes, end); reject != Reject::kNone) return reject;
          break;
        case 5 << 3 | kVarint: whole = read_varint(pos, end, dropped); break;
        case 6 << 3 | kFixed32: whole = read_fixed(pos, end, flags); break;
        default:
          pos = field;
          whole = skip_unknown(pos, end, 6, kept);
      }
      if (!whole) return Reject::kMalformed;
    }
    if ((!trace.empty() && trace.size() != 16) || (!span.empty() && span.size() != 8)) return Reject::kMalformed;
    constexpr char kZero[16] = {};
    cold.append(trace.empty() ? std::string_view(kZero, 16) : trace);
    cold.append(span.empty() ? std::string_view(kZero, 8) : span);
    if (!write_text(trace_states, trace_state, end, cold)) return Reject::kInvalidUtf8;
    inner_attributes.finish(cold);
    cold.append_varint(static_cast<uint32_t>(dropped));
    cold.append_varint(flags);
    cold.append_varint(kept.size());
    cold.append(kept);
    return Reject::kNone;
  }

  Reject decode(std::string_view span, uint32_t resource, uint32_t scope) {
    if (span.size() > limits.max_span_bytes) return Reject::kTooLarge;
    learnt->forget_if_full();
    events.clear();
    links.clear();
    unknown.clear();
    status_unknown.clear();
    attribute_count = 0;
    name.clear();
    const char* const end = span.data() + span.size();
    attributes.begin(*dictionary, *learnt);
    SpanFields fields;
    if (const Reject reject = read_span(span, fields); reject != Reject::kNone) return reject;

    if (name.size() == 0) write_text(span_names, {}, nullptr, name);

    cold.clear();
    if (!events.empty()) cold.append_varint(events.size());
    for (std::string_view event : events) {
      if (const Reject reject = write_event(event, fields.start_ns); reject != Reject::kNone) return reject;
    }
    if (!links.empty()) cold.append_varint(links.size());
    for (std::string_view link : links) {
      if (const Reject reject = write_link(link); reject != Reject::kNone) return reject;
    }
    if (!unknown.empty()) {
      cold.append_varint(unknown.size());
      cold.append(unknown);
    }

    uint8_t presence = 0;
    if (fields.parent != 0) presence |= model::kHasParent;
    if (fields.flags != 0) presence |= model::kHasFlags;
    if (!fields.trace_state.empty()) presence |= model::kHasTraceState;
    if (!fields.status_message.empty()) presence |= model::kHasStatusMessage;
    if ((fields.dropped_attributes | fields.dropped_events | fields.dropped_links) != 0) presence |= model::kHasDropped;
    if (!events.empty()) presence |= model::kHasEvents;
    if (!links.empty()) presence |= model::kHasLinks;
    if (!unknown.empty()) presence |= model::kHasUnknown;

    row.clear();
    char* out = row.room(64 + name.size());
    *out++ = static_cast<char>(presence);
    *out++ = static_cast<char>(fields.kind | fields.status_code << 3);
    std::memcpy(out, &fields.id, 8);
    out += 8;
    if (fields.parent != 0) {
      std::memcpy(out, &fields.parent, 8);
      out += 8;
    }
    std::memcpy(out, &fields.start_ns, 8);
    out += 8;
    out = put_varint_fast(out, zigzag(static_cast<int64_t>(fields.end_ns - fields.start_ns)));
    out = put_varint(out, resource);
    out = put_varint(out, scope);
    row.wrote(out);
    row.append(name.view());
    attributes.finish(row);
    if (fields.flags != 0) row.append_varint(fields.flags);
    if (!fields.trace_state.empty() && !write_text(trace_states, fields.trace_state, end, row)) return Reject::kInvalidUtf8;
    if (!fields.status_message.empty() && !write_text(status_messages, fields.status_message, end, row)) {
      return Reject::kInvalidUtf8;
    }
    if (presence & model::kHasDropped) {
      row.append_varint(fields.dropped_attributes);
      row.append_varint(fields.dropped_events);
      row.append_varint(fields.dropped_links);
    }
    row.append(cold.view());
    return Reject::kNone;
  }
};

SpanDecoder::SpanDecoder(const Limits& limits) : impl_(std::make_unique<Impl>(limits)) {}
SpanDecoder::~SpanDecoder() = default;

void SpanDecoder::use_dictionary(model::Dictionary& dictionary) {
  impl_->dictionary = &dictionary;
  impl_->texts.use_dictionary(dictionary);
  if (impl_->learnt == nullptr) impl_->learnt = std::make_unique<Learnt>(dictionary.seed());
}

uint32_t SpanDecoder::resource_code(std::string_view bytes) {
  const auto code = impl_->dictionary->intern(EntryKind::kResource, bytes);
  CHECK(code.has_value());  // resources have no limit
  return *code;
}

uint32_t SpanDecoder::scope_code(std::string_view bytes) {
  const auto code = impl_->dictionary->intern(EntryKind::kScope, bytes);
  CHECK(code.has_value());
  return *code;
}

Reject SpanDecoder::decode(std::string_view span, uint32_t resource_code, uint32_t scope_code, std::string& out) {
  CHECK(impl_->dictionary != nullptr);
  const Reject reject = impl_->decode(span, resource_code, scope_code);
  if (reject == Reject::kNone) out.append(impl_->row.view());
  return reject;
}

}  // namespace clew::otlp

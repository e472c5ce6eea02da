#include "otlp/attribute_list.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/fast_varint.h"
#include "model/any_value.h"

namespace clew::otlp {
namespace {

using model::Attribute;
using model::EntryKind;
using model::ValueType;

bool any_text(std::string_view) { return true; }

uint8_t byte_at(const char* p) { return static_cast<uint8_t>(*p); }

// A length below 2^14; false when it takes more bytes.
inline bool read_short_length(const char*& p, size_t& out) {
  out = byte_at(p++);
  if (out < 0x80) return true;
  const size_t high = byte_at(p++);
  out = (out & 0x7f) | high << 7;
  return high < 0x80;
}

}  // namespace

Reject AttributeListWriter::add_all(const char*& pos, const char* end, char tag, uint32_t& count) {
  while (true) {
    const size_t before = step_count_;
    pos = add_predicted(pos, end, tag, limits_.max_attributes - count);
    count += static_cast<uint32_t>(step_count_ - before);
    if (pos >= end || *pos != tag) return Reject::kNone;
    const char* p = pos + 1;
    uint64_t size = 0;
    for (int shift = 0;; shift += 7) {
      if (p == end || shift == 70) return Reject::kMalformed;
      const uint8_t byte = byte_at(p++);
      if (shift == 63 && byte > 1) return Reject::kMalformed;
      size |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (size > static_cast<uint64_t>(end - p)) return Reject::kMalformed;
    if (count >= limits_.max_attributes) return Reject::kTooManyAttributes;
    ++count;
    if (const Reject reject = add({p, size}); reject != Reject::kNone) return reject;
    pos = p + size;
  }
}

// The hot loop: attributes that come as the path says, in their usual encoding with one-byte lengths. Returns the place
// of the first field that is something else, whatever it is; nothing is judged here.
const char* AttributeListWriter::add_predicted(const char* pos, const char* end, char tag, uint32_t most) {
  if (at_ == kNoNode || step_count_ >= Path::kLength) return pos;
  // A value takes no more bytes in the row than its attribute had, codes included; writers may touch a window more.
  char* out = values_.room(static_cast<size_t>(end - pos) + 2 * kWindow);
  const char* const values = out - values_.size();
  const Node* const nodes = learnt_->nodes();
  const Path& path = *path_;
  const size_t last = std::min<size_t>(Path::kLength, step_count_ + size_t{most});
  size_t step = step_count_;
  uint32_t at = at_;
  for (; step < last && pos < end && *pos == tag; ++step) {
    const uint32_t predicted = path.nodes[step];
    const Node& node = nodes[predicted];
    const size_t size = byte_at(pos + 1);
    const char* const key_value = pos + 2;
    if (node.parent != at || size >= 0x80 || end - key_value < static_cast<ptrdiff_t>(size)) break;
    if (!same_in_window(node.prefix, key_value, node.prefix_size)) break;
    const char* const value = key_value + node.prefix_size + 1;  // behind its length
    const char* const next = key_value + size;
    const ptrdiff_t value_size = next - value;
    if (value_size < 2 || byte_at(value - 1) != value_size) break;
    const uint8_t value_tag = byte_at(value);
    if (node.predicted == ValueType::kString) {
      if (value_tag != 0x0a || byte_at(value + 1) != value_size - 2) break;
      char* const written = texts_.write(node.key->habit, {value + 2, static_cast<size_t>(value_size) - 2}, out);
      if (written == nullptr) break;  // not UTF-8: the general way says so
      out = written;
    } else if (node.predicted == ValueType::kInt) {
      uint64_t number;
      if (value_tag != 0x18) break;
      if (value_size == 2) {
        number = byte_at(value + 1);
        if (number >= 0x80) break;
      } else if (read_short_varint(value + 1, number) != static_cast<size_t>(value_size) - 1) {
        break;
      }
      out = put_varint_fast(out, zigzag(static_cast<int64_t>(number)));
    } else if (node.predicted == ValueType::kBool) {
      if (value_tag != 0x10 || value_size != 2 || byte_at(value + 1) > 1) break;
      *out++ = value[1];
    } else if (node.predicted == ValueType::kDouble) {
      if (value_tag != 0x21 || value_size != 9) break;
      std::memcpy(out, value + 1, 8);
      out += 8;
    } else {
      break;
    }
    Step& to = steps_[step];
    to.key = node.key;
    to.type = node.predicted;
    to.values_end = static_cast<uint32_t>(out - values);
    at = predicted;
    pos = next;
  }
  step_count_ = step;
  at_ = at;
  values_.wrote(out);
  return pos;
}

// One attribute, the general way.
Reject AttributeListWriter::add(std::string_view key_value) {
  Plain attribute;
  if (!parse_usual(key_value, attribute)) {
    if (Reject reject = parse_unusual(key_value, attribute); reject != Reject::kNone) return reject;
  } else if (attribute.type == ValueType::kComplex) {
    if (Reject reject = check_complex(attribute.bytes); reject != Reject::kNone) return reject;
  }
  Key* key = nullptr;
  if (step_count_ < Path::kLength && at_ != kNoNode &&
      learnt_->is_step(path_->nodes[step_count_], at_, attribute.key, attribute.type)) {
    at_ = path_->nodes[step_count_];
    key = learnt_->node(at_).key;
  } else {
    if (const Reject reject = find_step(attribute, key); reject != Reject::kNone) return reject;
    if (step_count_ < Path::kLength && at_ != kNoNode) path_->nodes[step_count_] = at_;
  }
  if (!write_value(attribute, key)) return Reject::kInvalidUtf8;
  if (key == nullptr) long_keys_.push_back(attribute.key);
  new_step() = {key, static_cast<uint32_t>(values_.size()), attribute.type};
  return Reject::kNone;
}

void AttributeListWriter::finish(Buffer& out) {
  const uint32_t code = shape();
  if (code != kNoCode) {
    out.append_varint(uint64_t{code} + 1);
    out.append(values_);
    return;
  }
  out.append_varint(0);
  out.append_varint(step_count_);
  uint32_t from = 0;
  auto long_key = long_keys_.begin();
  for (size_t i = 0; i < step_count_; ++i) {
    const Step& step = steps_[i];
    const uint32_t key = step.key != nullptr ? key_code(*step.key) : kNoCode;
    if (key != kNoCode) {
      out.append_varint(uint64_t{key} << 2 | static_cast<uint64_t>(model::StrMode::kCode));
    } else {
      const std::string_view text = step.key != nullptr ? std::string_view(step.key->text) : *long_key++;
      out.append_varint(uint64_t{text.size()} << 2 | static_cast<uint64_t>(model::StrMode::kInline));
      out.append(text);
    }
    out.append_fixed(static_cast<uint8_t>(step.type));
    out.append(values_.view().substr(from, step.values_end - from));
    from = step.values_end;
  }
}

// The usual encoding of a KeyValue, key before value, lengths below 128 or in two bytes. Whatever differs is left to
// model::read_key_value.
bool AttributeListWriter::parse_usual(std::string_view message, Plain& out) {
  const char* p = message.data();
  const char* const end = p + message.size();
  if (message.size() < 6 || p[0] != 0x0a) return false;
  const size_t key_size = byte_at(p + 1);
  if (key_size >= 0x80 || message.size() < 6 + key_size) return false;
  out.key = {p + 2, key_size};
  p += 2 + key_size;
  size_t size;
  if (*p++ != 0x12 || !read_short_length(p, size)) return false;
  if (p > end || size != static_cast<size_t>(end - p) || size < 2) return false;
  const char* const value = p;
  const uint8_t tag = byte_at(p++);
  switch (tag) {
    case 0x0a:
    case 0x3a:
    case 0x2a:
    case 0x32: {
      size_t length;
      if (!read_short_length(p, length) || p > end || length != static_cast<size_t>(end - p)) return false;
      out.type = tag == 0x0a ? ValueType::kString : tag == 0x3a ? ValueType::kBytes : ValueType::kComplex;
      out.bytes = out.type == ValueType::kComplex ? std::string_view(value, size) : std::string_view(p, length);
      return true;
    }
    case 0x10:
      out.type = ValueType::kBool;
      out.number = byte_at(p);
      return size == 2 && out.number <= 1;
    case 0x18: {
      out.type = ValueType::kInt;
      return read_short_varint(p, out.number) == static_cast<size_t>(end - p);
    }
    case 0x21:
      out.type = ValueType::kDouble;
      if (size != 9) return false;
      std::memcpy(&out.number, p, 8);
      return true;
    default:
      return false;
  }
}

Reject AttributeListWriter::parse_unusual(std::string_view key_value, Plain& out) {
  Attribute attribute;
  if (!model::read_key_value(key_value, attribute)) return Reject::kMalformed;
  out.key = attribute.key.empty() ? key_value.substr(0, 0) : attribute.key;  // never null pointers
  out.type = attribute.value.type;
  out.bytes = attribute.value.bytes.empty() ? key_value.substr(0, 0) : attribute.value.bytes;
  switch (out.type) {
    case ValueType::kBool:
    case ValueType::kInt:
      out.number = static_cast<uint64_t>(attribute.value.integer);
      break;
    case ValueType::kDouble:
      out.number = std::bit_cast<uint64_t>(attribute.value.real);
      break;
    case ValueType::kComplex:
      return check_complex(out.bytes);
    case ValueType::kRaw:
      if (model::check_key_value(key_value, limits_.max_depth, valid_utf8)) return Reject::kNone;
      return model::check_key_value(key_value, limits_.max_depth, any_text) ? Reject::kInvalidUtf8 : Reject::kMalformed;
    default:
      break;
  }
  return Reject::kNone;
}

Reject AttributeListWriter::check_complex(std::string_view any_value) const {
  if (model::check_any_value(any_value, limits_.max_depth, valid_utf8)) return Reject::kNone;
  return model::check_any_value(any_value, limits_.max_depth, any_text) ? Reject::kInvalidUtf8 : Reject::kMalformed;
}

// The step was not predicted: looks among the other children; else finds or learns its key and goes on in the tree
// where there is place.
Reject AttributeListWriter::find_step(const Plain& attribute, Key*& key) {
  const uint32_t child = at_ != kNoNode ? learnt_->find_child(at_, attribute.key, attribute.type) : kNoNode;
  if (child != kNoNode) {
    at_ = child;
    key = learnt_->node(child).key;
    return Reject::kNone;
  }
  key = attribute.key.size() <= Learnt::kMaxKeyBytes ? learnt_->find_key(attribute.key) : nullptr;
  if (key == nullptr) {
    if (!valid_utf8(attribute.key)) return Reject::kInvalidUtf8;
    if (attribute.key.size() <= Learnt::kMaxKeyBytes) key = &learnt_->add_key(attribute.key);
  }
  const bool was_on_path = at_ != kNoNode;
  if (was_on_path) at_ = key != nullptr ? learnt_->add_child(at_, *key, attribute.type) : kNoNode;
  if (was_on_path && at_ == kNoNode) learnt_->count_stray_list();
  return Reject::kNone;
}

bool AttributeListWriter::write_value(const Plain& attribute, Key* key) {
  char* out = values_.room(TextCoder::room(attribute.bytes.size()));
  switch (attribute.type) {
    case ValueType::kEmpty:
      return true;
    case ValueType::kString: {
      out = texts_.write(key != nullptr ? key->habit : other_texts_, attribute.bytes, out);
      if (out == nullptr) return false;
      break;
    }
    case ValueType::kBool:
      *out++ = static_cast<char>(attribute.number);
      break;
    case ValueType::kInt:
      out = put_varint_fast(out, zigzag(static_cast<int64_t>(attribute.number)));
      break;
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

uint32_t AttributeListWriter::key_code(Key& key) const {
  if (key.generation != texts_.generation()) {
    key.generation = texts_.generation();
    key.code = dictionary_->intern(EntryKind::kString, key.text).value_or(kNoCode);
  }
  return key.code;
}

uint32_t AttributeListWriter::shape() {
  if (at_ != kNoNode && learnt_->node(at_).generation == texts_.generation()) return learnt_->node(at_).shape;
  shape_fields_.clear();
  uint32_t code = 0;
  for (size_t i = 0; i < step_count_; ++i) {
    const Step& step = steps_[i];
    code = step.key != nullptr ? key_code(*step.key) : kNoCode;
    if (code == kNoCode) break;
    shape_fields_.push_back({code, step.type});
  }
  if (code != kNoCode) code = dictionary_->intern_shape(shape_fields_).value_or(kNoCode);
  if (at_ != kNoNode) {
    learnt_->node(at_).generation = texts_.generation();
    learnt_->node(at_).shape = code;
  }
  return code;
}

}  // namespace clew::otlp

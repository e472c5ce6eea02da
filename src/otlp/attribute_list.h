// AttributeListWriter: one attribute list (of a span, event or link) on its way from protobuf into a row (model/row.h).
//
// The attribute that comes next is predicted (learnt.h) with its key's encoding: where the bytes agree, nothing but the
// value is looked at. All else takes the general way and teaches the prediction. Single-threaded; one per nesting level
// of a decoder, reused from list to list. Input must have kReadableBehind readable bytes behind it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/dictionary.h"
#include "otlp/buffer.h"
#include "otlp/envelope.h"
#include "otlp/learnt.h"
#include "otlp/text_coder.h"

namespace clew::otlp {

constexpr size_t kReadableBehind = 2 * kWindow;

class AttributeListWriter {
 public:
  AttributeListWriter(TextCoder& texts, TextHabit& other_texts, const Limits& limits)
      : texts_(texts), other_texts_(other_texts), limits_(limits) {}

  void begin(model::Dictionary& dictionary, Learnt& learnt) {
    dictionary_ = &dictionary;
    learnt_ = &learnt;
    path_ = &learnt.path(0);
    at_ = 0;
    step_count_ = 0;
    long_keys_.clear();
    values_.clear();
  }

  // Any number that lists with the same keys share; before the first attribute.
  void hint(uint32_t number) { path_ = &learnt_->path(number); }

  // Reads attributes from `pos`, where a field with this one-byte tag stands, as long as such fields follow each other;
  // `count` goes up by their number, to at most limits.max_attributes. Moves `pos` behind them.
  Reject add_all(const char*& pos, const char* end, char tag, uint32_t& count);

  // Appends the list.
  void finish(Buffer& out);

 private:
  struct Plain {
    std::string_view key;
    model::ValueType type = model::ValueType::kEmpty;
    std::string_view bytes;
    uint64_t number = 0;
  };
  struct Step {
    Key* key = nullptr;  // nullptr: too long to be learnt, and the next of long_keys_
    uint32_t values_end = 0;
    model::ValueType type = model::ValueType::kEmpty;
  };

  const char* add_predicted(const char* pos, const char* end, char tag, uint32_t most);
  Reject add(std::string_view key_value);
  static bool parse_usual(std::string_view message, Plain& out);
  Reject parse_unusual(std::string_view key_value, Plain& out);
  Reject check_complex(std::string_view any_value) const;
  Reject find_step(const Plain& attribute, Key*& key);
  bool write_value(const Plain& attribute, Key* key);
  uint32_t key_code(Key& key) const;
  uint32_t shape();
  Step& new_step() {
    if (step_count_ == steps_.size()) steps_.resize(steps_.size() * 2);
    return steps_[step_count_++];
  }

  TextCoder& texts_;
  TextHabit& other_texts_;
  const Limits& limits_;
  model::Dictionary* dictionary_ = nullptr;
  Learnt* learnt_ = nullptr;
  Path* path_ = nullptr;
  uint32_t at_ = 0;  // node of the list so far; kNoNode: outside the tree
  Buffer values_;
  std::vector<Step> steps_ = std::vector<Step>(2 * Path::kLength);
  size_t step_count_ = 0;
  std::vector<std::string_view> long_keys_;
  std::vector<model::ShapeField> shape_fields_;
};

}  // namespace clew::otlp

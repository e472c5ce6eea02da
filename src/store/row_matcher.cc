#include "store/row_matcher.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/check.h"
#include "store/shaped_walk.h"

namespace clew::store {
namespace {

enum Known : uint8_t { kUnknown = 0, kFalse = 1, kTrue = 2, kAbsentHere = 3 };
Known known(bool value) { return value ? kTrue : kFalse; }

// Remembers one small answer per code. Codes are dense and bounded by the dictionary's limits; one beyond them, of a
// damaged row, is not remembered.
class Memo {
 public:
  uint8_t& operator[](uint32_t code) {
    if (code >= kMostCodes) return nothing_ = kUnknown;
    if (code >= values_.size()) values_.resize(std::max<size_t>(code + 1, values_.size() * 2), kUnknown);
    return values_[code];
  }
  void clear() { values_.clear(); }

 private:
  static constexpr uint32_t kMostCodes = 1u << 22;
  uint8_t nothing_ = kUnknown;
  std::vector<uint8_t> values_;
};

// False: no text of the template can equal `literal`. Compares the fixed text before the first placeholder.
bool template_may_equal(std::string_view template_text, std::string_view literal) {
  const size_t cut = std::min(template_text.find_first_of("\x11\x12\x13"), template_text.size());
  return literal.starts_with(template_text.substr(0, cut));
}

}  // namespace

struct RowMatcher::Impl {
  explicit Impl(std::shared_ptr<const Matcher> m) : matcher(std::move(m)), leaves(matcher->conditions().size()) {
    for (size_t i = 0; i < leaves.size(); ++i) {
      leaves[i].condition = &matcher->conditions()[i];
      if (is_attribute(leaves[i])) attribute_leaves.push_back(static_cast<uint32_t>(i));
    }
  }

  struct Leaf {
    const Condition* condition = nullptr;
    Memo strings;           // by string code: whether the text satisfies the condition
    Memo templates;         // by template code, of kEq: whether a text of it may
    Memo contexts;          // by resource or scope code
    Known here = kUnknown;  // the span attribute of the row in hand; kAbsentHere when it has none
  };
  static bool is_attribute(const Leaf& leaf) {
    return leaf.condition->field == Field::kAttribute || leaf.condition->field == Field::kAny;
  }

  // The row in hand.
  std::string_view row;
  const model::RowHead* head = nullptr;
  bool attributes_walked = false;
  bool malformed = false;
  std::optional<model::TraceData> span_data;

  std::shared_ptr<const Matcher> matcher;
  std::shared_ptr<const model::Dictionary> dictionary;
  std::vector<Leaf> leaves;
  std::vector<uint32_t> attribute_leaves;
  Memo keys;    // by string code: whether a condition names the key
  Memo shapes;  // by shape code: whether a condition names one of its keys
  std::string scratch;

  void use(std::shared_ptr<const model::Dictionary> next) {
    if (next == dictionary) return;
    dictionary = std::move(next);
    keys.clear();
    shapes.clear();
    for (Leaf& leaf : leaves) {
      leaf.strings.clear();
      leaf.templates.clear();
      leaf.contexts.clear();
    }
  }

  bool names_key(std::string_view key) const {
    return std::any_of(attribute_leaves.begin(), attribute_leaves.end(),
                       [&](uint32_t leaf) { return leaves[leaf].condition->key == key; });
  }
  bool names_key_code(uint32_t code) {
    uint8_t& memo = keys[code];
    if (memo == kUnknown) memo = known(names_key(dictionary->text(model::EntryKind::kString, code)));
    return memo == kTrue;
  }
  bool names_shape(uint32_t code) {
    uint8_t memo = shapes[code];
    if (memo == kUnknown) {
      bool any = false;
      for (const model::ShapeField& field : dictionary->shape(code)) any = any || names_key_code(field.key);
      memo = shapes[code] = known(any);
    }
    return memo == kTrue;
  }

  bool holds_string(Leaf& leaf, const model::StrRef& ref) {
    const Condition& condition = *leaf.condition;
    if (ref.mode == model::StrMode::kInline) return condition.holds_text(ref.payload);
    if (ref.mode == model::StrMode::kCode) {
      const uint8_t memo = leaf.strings[ref.code];
      if (memo != kUnknown) return memo == kTrue;
      const bool holds = condition.holds_text(dictionary->text(model::EntryKind::kString, ref.code));
      leaf.strings[ref.code] = known(holds);
      return holds;
    }
    if (condition.op == Op::kEq) {
      uint8_t& memo = leaf.templates[ref.code];
      if (memo == kUnknown) {
        memo =
            known(template_may_equal(dictionary->text(model::EntryKind::kTemplate, ref.code), condition.literal.text));
      }
      if (memo == kFalse) return false;
    }
    return condition.holds_text(model::strref_text(*dictionary, model::EntryKind::kString, ref, scratch));
  }

  // A text that always exists.
  bool holds_present(Leaf& leaf, const model::StrRef& ref) {
    const Op op = leaf.condition->op;
    if (op != Op::kExists && op != Op::kAbsent) return holds_string(leaf, ref);
    const bool empty = model::strref_text(*dictionary, model::EntryKind::kString, ref, scratch).empty();
    return empty == (op == Op::kAbsent);
  }

  Known holds_value(Leaf& leaf, const model::RowValue& value) {
    const Condition& condition = *leaf.condition;
    switch (value.type) {
      case model::ValueType::kString: {
        if (condition.op == Op::kExists) return kTrue;
        if (condition.op == Op::kAbsent) return kFalse;
        return known(holds_string(leaf, value.string));
      }
      case model::ValueType::kBool:
        return known(condition.holds_bool(value.number != 0));
      case model::ValueType::kInt:
        return known(condition.holds_int(static_cast<int64_t>(value.number)));
      case model::ValueType::kDouble:
        return known(condition.holds_double(std::bit_cast<double>(value.number)));
      case model::ValueType::kBytes:
      case model::ValueType::kComplex:
      case model::ValueType::kRaw:
        return known(condition.op == Op::kExists);
      case model::ValueType::kEmpty:
        return kAbsentHere;
    }
    return kAbsentHere;
  }

  // Gives the value to the leaves that ask for its key and have none yet; false when none is left to find.
  bool take_value(const model::RowValue& value, std::string_view key, size_t& missing) {
    for (uint32_t index : attribute_leaves) {
      Leaf& leaf = leaves[index];
      if (leaf.here != kAbsentHere || leaf.condition->key != key) continue;
      leaf.here = holds_value(leaf, value);
      if (leaf.here != kAbsentHere && --missing == 0) return false;
    }
    return true;
  }

  void walk_attributes() {
    attributes_walked = true;
    for (uint32_t index : attribute_leaves) leaves[index].here = kAbsentHere;
    model::AttributeCursor cursor(*dictionary, head->attributes, head->end);
    size_t missing = attribute_leaves.size();
    if (cursor.ok() && cursor.has_shape()) {
      if (!names_shape(cursor.shape_code())) return;
      const bool whole = walk_shaped(
          *dictionary, dictionary->shape(cursor.shape_code()), cursor.position(), head->end,
          [&](const model::ShapeField& field) { return names_key_code(field.key); },
          [&](const model::ShapeField& field, const model::RowValue& value) {
            return take_value(value, dictionary->text(model::EntryKind::kString, field.key), missing);
          });
      if (!whole) malformed = true;
      return;
    }
    model::RowValue value;
    while (cursor.next(value)) {
      if (!value.key_inline && !names_key_code(value.key)) continue;
      if (!take_value(value, value.key_text, missing)) return;
    }
    if (!cursor.ok()) malformed = true;
  }

  // The rare way: the whole span. Null when the row is malformed.
  const model::Span* span() {
    if (!span_data) {
      span_data.emplace();
      if (!model::append_span_of_row(*dictionary, row, {}, *span_data).ok() || span_data->spans.empty())
        malformed = true;
    }
    return malformed ? nullptr : &span_data->spans.front();
  }

  bool holds_whole(const Leaf& leaf) {
    const model::Span* whole = span();
    return whole && matcher->leaf_matches(*leaf.condition, *whole, model::TraceSummary());
  }

  // Of a condition on the resource, or on the resource part of kAny.
  bool holds_resource(Leaf& leaf) {
    uint8_t& memo = leaf.contexts[head->resource];
    if (memo == kUnknown) {
      const model::Span* whole = span();
      if (!whole) return false;
      Condition of_resource = *leaf.condition;
      if (of_resource.field == Field::kAny) of_resource.field = Field::kResource;
      memo = known(matcher->leaf_matches(of_resource, *whole, model::TraceSummary()));
    }
    return memo == kTrue;
  }

  bool holds_scope(Leaf& leaf) {
    uint8_t& memo = leaf.contexts[head->scope];
    if (memo == kUnknown) {
      const bool holds = holds_whole(leaf);
      if (malformed) return false;
      memo = known(holds);
    }
    return memo == kTrue;
  }

  RowMatch leaf_match(Leaf& leaf) {
    const Condition& condition = *leaf.condition;
    const auto sure = [](bool holds) { return holds ? RowMatch::kYes : RowMatch::kNo; };
    switch (condition.field) {
      case Field::kTrue:
        return RowMatch::kYes;
      case Field::kName:
        return sure(holds_present(leaf, head->name));
      case Field::kKind:
        return sure(condition.holds_int(head->kind));
      case Field::kStatus:
        return sure(condition.holds_int(head->status_code));
      case Field::kIsRoot:
        return sure(condition.holds_int(head->parent_id.valid() ? 0 : 1));
      case Field::kDuration:
        return sure(condition.holds_int(
            static_cast<int64_t>(static_cast<uint64_t>(head->end_ns) - static_cast<uint64_t>(head->start_ns))));
      case Field::kService:
      case Field::kResource:
        return sure(holds_resource(leaf));
      case Field::kScopeName:
        return sure(holds_scope(leaf));
      case Field::kAttribute:
      case Field::kAny:
        if (!attributes_walked) walk_attributes();
        if (leaf.here != kAbsentHere) return sure(leaf.here == kTrue);
        return sure(condition.field == Field::kAny ? holds_resource(leaf) : condition.holds_absent());
      case Field::kStatusMessage:
        if (head->presence & model::kHasStatusMessage) return sure(holds_whole(leaf));
        return sure(holds_present(leaf, model::StrRef{}));
      case Field::kEventName:
        if (head->presence & model::kHasEvents) return sure(holds_whole(leaf));
        return sure(condition.op == Op::kAbsent);
      case Field::kTraceDuration:
      case Field::kRootName:
      case Field::kRootService:
        return RowMatch::kMaybe;
    }
    return RowMatch::kNo;
  }

  RowMatch eval(uint32_t index) {
    const Matcher::Node& node = matcher->nodes()[index];
    switch (node.kind) {
      case Expr::Kind::kLeaf:
        return leaf_match(leaves[node.condition]);
      case Expr::Kind::kAnd: {
        RowMatch least = RowMatch::kYes;
        for (uint32_t child : node.children) {
          least = std::min(least, eval(child));
          if (least == RowMatch::kNo) break;
        }
        return least;
      }
      case Expr::Kind::kOr: {
        RowMatch most = RowMatch::kNo;
        for (uint32_t child : node.children) {
          most = std::max(most, eval(child));
          if (most == RowMatch::kYes) break;
        }
        return most;
      }
      case Expr::Kind::kNot:
        return static_cast<RowMatch>(static_cast<uint8_t>(RowMatch::kYes) -
                                     static_cast<uint8_t>(eval(node.children[0])));
    }
    return RowMatch::kNo;
  }
};

RowMatcher::RowMatcher(std::shared_ptr<const Matcher> matcher) : impl_(std::make_unique<Impl>(std::move(matcher))) {}
RowMatcher::~RowMatcher() = default;

void RowMatcher::use_dictionary(std::shared_ptr<const model::Dictionary> dictionary) {
  impl_->use(std::move(dictionary));
}

RowMatch RowMatcher::match(std::string_view row, model::RowHead& head) {
  CHECK(impl_->dictionary != nullptr);
  if (!model::parse_row_head(row, head)) return RowMatch::kNo;
  impl_->row = row;
  impl_->head = &head;
  impl_->attributes_walked = false;
  impl_->malformed = false;
  impl_->span_data.reset();
  const RowMatch result = impl_->eval(static_cast<uint32_t>(impl_->matcher->nodes().size() - 1));
  return impl_->malformed ? RowMatch::kNo : result;
}

const Matcher& RowMatcher::matcher() const { return *impl_->matcher; }

}  // namespace clew::store

#include "store/segment_plan.h"

#include <algorithm>
#include <bit>

#include "base/hash.h"
#include "model/context.h"

namespace clew::store {
namespace {

using model::EntryKind;
using model::ValueType;

// A number of free width that digits may follow: which digits are whose, the text alone does not say.
bool is_ambiguous(std::string_view pattern) {
  for (size_t p = 0; p + 2 < pattern.size(); ++p) {
    if (pattern[p] < 0x11 || pattern[p] > 0x13) continue;
    const char next = pattern[p + 2];
    if (pattern[p] == 0x12 && ((next >= 0x11 && next <= 0x13) || (next >= '0' && next <= '9'))) return true;
    ++p;
  }
  return false;
}

// Whether the template can be the text, and with which numbers.
bool fit_template(std::string_view pattern, std::string_view text, std::vector<uint64_t>& numbers) {
  numbers.clear();
  size_t at = 0;
  for (size_t p = 0; p < pattern.size();) {
    const char c = pattern[p];
    if (c < 0x11 || c > 0x13) {
      if (at >= text.size() || text[at] != c) return false;
      ++at, ++p;
      continue;
    }
    if (p + 1 >= pattern.size()) return false;
    const auto width = static_cast<size_t>(static_cast<uint8_t>(pattern[p + 1]));
    p += 2;
    uint64_t value = 0;
    if (c == 0x12) {
      size_t digits = 0;
      const bool zero = at < text.size() && text[at] == '0';
      // The run ends where the pattern's next character cannot be a digit: splitting takes whole runs.
      while (at < text.size() && text[at] >= '0' && text[at] <= '9' && digits < 18) {
        value = value * 10 + static_cast<uint64_t>(text[at++] - '0');
        ++digits;
      }
      if (digits == 0 || (zero && digits > 1)) return false;
    } else {
      if (text.size() - at < width) return false;
      for (size_t i = 0; i < width; ++i) {
        const char d = text[at++];
        const bool digit = d >= '0' && d <= '9';
        if (!digit && (c == 0x11 || d < 'a' || d > 'f')) return false;
        value = c == 0x11 ? value * 10 + static_cast<uint64_t>(d - '0')
                          : value << 4 | static_cast<uint64_t>(digit ? d - '0' : d - 'a' + 10);
      }
    }
    numbers.push_back(value);
  }
  return at == text.size();
}

}  // namespace

SegmentPlan::SegmentPlan(const Segment& segment, std::shared_ptr<const SegmentNames> names, const Matcher& matcher)
    : segment_(segment), names_(std::move(names)), matcher_(matcher) {
  const auto total = static_cast<uint32_t>(segment.blocks().size());
  const std::vector<Condition>& conditions = matcher.conditions();
  leaves_.resize(conditions.size());
  struct Node {
    BlockSet blocks;
    uint64_t estimate = 0;
    uint8_t bucket = 0;
  };
  std::vector<Node> nodes(matcher.nodes().size());
  for (size_t n = 0; n < nodes.size(); ++n) {
    const Matcher::Node& node = matcher.nodes()[n];
    Node& out = nodes[n];
    switch (node.kind) {
      case Expr::Kind::kLeaf: {
        out.blocks = BlockSet(total);
        const Condition& condition = conditions[node.condition];
        prepare_leaf(condition, leaves_[node.condition], out.blocks, out.estimate);
        if (condition.field == Field::kDuration && condition.literal.type == Literal::Type::kInt &&
            (condition.op == Op::kGt || condition.op == Op::kGe || condition.op == Op::kEq)) {
          out.bucket = duration_bucket(condition.literal.integer);
        }
        break;
      }
      case Expr::Kind::kAnd:
        out.blocks = BlockSet(total, true);
        out.estimate = segment.info().spans;
        for (const uint32_t c : node.children) {
          out.blocks.intersect(nodes[c].blocks);
          out.estimate = std::min(out.estimate, nodes[c].estimate);
          out.bucket = std::max(out.bucket, nodes[c].bucket);
        }
        break;
      case Expr::Kind::kOr:
        out.blocks = BlockSet(total);
        out.bucket = node.children.empty() ? 0 : 63;
        for (const uint32_t c : node.children) {
          out.blocks.unite(nodes[c].blocks);
          out.estimate += nodes[c].estimate;
          out.bucket = std::min(out.bucket, nodes[c].bucket);
        }
        break;
      case Expr::Kind::kNot:
        out.blocks = BlockSet(total, true);
        out.estimate = segment.info().spans;
        break;
    }
  }
  blocks_ = std::move(nodes.back().blocks);
  estimate_ = nodes.back().estimate;
  min_bucket_ = nodes.back().bucket;
  scratch_.resize(nodes.size());
}

void SegmentPlan::add_filtered(uint64_t hash, BlockSet& blocks) {
  if (!segment_.add_filtered_blocks(hash, blocks).ok()) blocks.fill();
}

void SegmentPlan::prepare_leaf(const Condition& condition, Leaf& leaf, BlockSet& blocks, uint64_t& estimate) {
  leaf.condition = &condition;
  switch (condition.field) {
    case Field::kTrue:
    case Field::kName:
    case Field::kKind:
    case Field::kStatus:
      leaf.kind = Leaf::Kind::kOperation;
      prepare_by_operation(leaf, blocks, estimate);
      return;
    case Field::kService:
    case Field::kResource:
    case Field::kScopeName:
      leaf.kind = Leaf::Kind::kContext;
      prepare_by_context(leaf, blocks, estimate);
      return;
    case Field::kAttribute:
    case Field::kAny:
      leaf.kind = Leaf::Kind::kAttribute;
      prepare_attribute(leaf, blocks, estimate);
      return;
    case Field::kStatusMessage:
    case Field::kEventName:
      leaf.kind = Leaf::Kind::kTail;
      prepare_tail(leaf, blocks, estimate);
      return;
    case Field::kDuration:
      leaf.kind = Leaf::Kind::kDuration;
      break;
    case Field::kIsRoot:
      leaf.kind = Leaf::Kind::kParent;
      prepare_parent(leaf, blocks, estimate);
      return;
    case Field::kTraceDuration:
    case Field::kRootName:
    case Field::kRootService:
      leaf.kind = Leaf::Kind::kTrace;
      asks_trace_ = true;
      break;
  }
  blocks.fill();
  estimate = segment_.info().spans;
}

void SegmentPlan::prepare_by_operation(Leaf& leaf, BlockSet& blocks, uint64_t& estimate) {
  const std::vector<Operation>& operations = names_->operations();
  leaf.by_operation.resize(operations.size());
  const model::TraceSummary none;
  for (uint32_t o = 0; o < operations.size(); ++o) {
    if (operations[o].name == 0 && leaf.condition->field == Field::kName) {
      leaf.by_operation[o] = kMaybe;
    } else {
      model::Span span;
      if (operations[o].name != 0) span.name = names_->string(operations[o].name - 1);
      span.kind = static_cast<model::SpanKind>(operations[o].kind_status & 7);
      span.status = static_cast<model::StatusCode>(operations[o].kind_status >> 3);
      leaf.by_operation[o] = matcher_.leaf_matches(*leaf.condition, span, none) ? kYes : kNo;
    }
    if (leaf.by_operation[o] == kNo) continue;
    names_->add_blocks(SegmentNames::kOperationList, o, blocks);
    estimate += names_->posting(SegmentNames::kOperationList, o).spans;
  }
}

void SegmentPlan::prepare_by_context(Leaf& leaf, BlockSet& blocks, uint64_t& estimate) {
  const auto& contexts = names_->contexts();
  leaf.by_context.resize(contexts.size());
  const model::TraceSummary none;
  // kAny asks the resource only of spans without the attribute.
  Condition condition = *leaf.condition;
  if (condition.field == Field::kAny) condition.field = Field::kResource;
  for (uint32_t c = 0; c < contexts.size(); ++c) {
    model::Resource resource;
    model::Scope scope;
    model::Span span;
    resource.service_name = names_->string(contexts[c].service);
    if (condition.field == Field::kResource) {
      (void)model::read_resource(names_->dictionary().text(EntryKind::kResource, contexts[c].resource), resource);
    } else if (condition.field == Field::kScopeName) {
      (void)model::read_scope(names_->dictionary().text(EntryKind::kScope, contexts[c].scope), scope);
    }
    span.resource = &resource;
    span.scope = &scope;
    leaf.by_context[c] = matcher_.leaf_matches(condition, span, none) ? kYes : kNo;
    if (leaf.by_context[c] == kNo) continue;
    names_->add_blocks(SegmentNames::kContextList, c, blocks);
    estimate += names_->posting(SegmentNames::kContextList, c).spans;
  }
}

void SegmentPlan::prepare_attribute(Leaf& leaf, BlockSet& blocks, uint64_t& estimate) {
  const Condition& condition = *leaf.condition;
  const std::vector<Operation>& operations = names_->operations();
  const std::span<const uint32_t> columns = names_->columns_of_key(condition.key);
  for (const uint32_t c : columns) {
    KeyColumn column;
    column.column = c;
    column.per_operation.resize(operations.size());
    leaf.columns.push_back(std::move(column));
  }
  leaf.by_operation.resize(operations.size());
  leaf.absent = condition.holds_absent() ? kYes : kNo;
  bool some_without = false;
  for (uint32_t o = 0; o < operations.size(); ++o) {
    if (operations[o].shape == 0) {
      leaf.by_operation[o] = kListOperation;
      names_->add_blocks(SegmentNames::kOperationList, o, blocks);
      estimate += names_->posting(SegmentNames::kOperationList, o).spans;
      continue;
    }
    uint8_t first = 0;
    for (const uint32_t field : names_->columns_of(o)) {
      for (size_t k = 0; k < leaf.columns.size(); ++k) {
        if (leaf.columns[k].column != field) continue;
        if (first == 0) first = static_cast<uint8_t>(k + 1);
        ++leaf.columns[k].per_operation[o];
      }
    }
    leaf.by_operation[o] = first;
    if (first != 0) continue;
    some_without = true;
    if (leaf.absent == kYes && condition.field == Field::kAttribute) {
      names_->add_blocks(SegmentNames::kOperationList, o, blocks);
      estimate += names_->posting(SegmentNames::kOperationList, o).spans;
    }
  }
  for (KeyColumn& column : leaf.columns) {
    const Column& meaning = names_->columns()[column.column];
    switch (column_class(meaning.type)) {
      case ColumnClass::kText:
        prepare_text_column(leaf, column, blocks, estimate);
        break;
      case ColumnClass::kNumber:
        prepare_number_column(leaf, column, blocks, estimate);
        break;
      case ColumnClass::kBytes:
      case ColumnClass::kNone:
        // Only its presence can be asked for: every span that has one answers alike.
        if (condition.op == Op::kExists) {
          for (uint32_t o = 0; o < operations.size(); ++o) {
            if (column.per_operation[o] == 0) continue;
            names_->add_blocks(SegmentNames::kOperationList, o, blocks);
            estimate += names_->posting(SegmentNames::kOperationList, o).spans;
          }
        }
        break;
    }
  }
  if (condition.field == Field::kAny) {
    BlockSet of_resources(blocks.size());
    uint64_t resources = 0;
    prepare_by_context(leaf, of_resources, resources);
    if (some_without) {
      blocks.unite(of_resources);
      estimate += resources;
    }
  }
}

void SegmentPlan::prepare_text_column(Leaf& leaf, KeyColumn& column, BlockSet& blocks, uint64_t& estimate) {
  const Condition& condition = *leaf.condition;
  const Column& meaning = names_->columns()[column.column];
  const uint32_t list = SegmentNames::kFirstColumnList + column.column;
  const bool exact = condition.op == Op::kEq && condition.literal.type == Literal::Type::kString;
  column.meaning.resize(meaning.values.size(), kMeansNo);
  column.exact = exact;
  const auto take = [&](uint32_t code) {
    const Posting posting = names_->posting(list, code);
    names_->add_blocks(list, code, blocks);
    estimate += posting.spans;
  };
  // Code 0: texts that stand in the block.
  if (names_->posting(list, 0).spans != 0) {
    if (condition.op == Op::kExists) {
      column.meaning[0] = kMeansYes;
      take(0);
    } else if (condition.op != Op::kAbsent && condition.literal.type == Literal::Type::kString) {
      column.meaning[0] = kMeansText;
      column.steps = true;
      if (exact) {
        add_filtered(filter_hash(column.column, stable_hash64(condition.literal.text)), blocks);
        estimate += 1;
      } else {
        take(0);
      }
    }
  }
  std::vector<uint64_t> numbers;
  for (uint32_t code = 1; code < meaning.values.size(); ++code) {
    const ColumnValue& value = meaning.values[code];
    if (value.mode == model::StrMode::kCode) {
      if (!condition.holds_text(names_->string(static_cast<uint32_t>(value.value)))) continue;
      column.meaning[code] = kMeansYes;
      take(code);
      continue;
    }
    if (condition.op == Op::kExists) {
      column.meaning[code] = kMeansYes;
      take(code);
      continue;
    }
    const std::string_view pattern =
        names_->dictionary().text(EntryKind::kTemplate, static_cast<uint32_t>(value.value));
    if (exact && !is_ambiguous(pattern)) {
      if (!fit_template(pattern, condition.literal.text, numbers)) continue;
      column.meaning[code] = kMeansNumbers;
      column.steps = true;
      uint64_t hash = filter_hash(column.column, code);
      for (const uint64_t number : numbers) hash = mix64(hash, number);
      column.numbers.emplace_back(code, numbers);
      add_filtered(hash, blocks);
      estimate += 1;
    } else if (condition.op != Op::kAbsent && condition.literal.type == Literal::Type::kString) {
      column.meaning[code] = kMeansText;
      column.steps = true;
      take(code);
    }
  }
  if (!column.steps) return;
  column.placeholders.resize(meaning.values.size(), 0);
  for (uint32_t code = 1; code < meaning.values.size(); ++code) {
    if (meaning.values[code].mode != model::StrMode::kTemplate) continue;
    const uint32_t n = names_->dictionary().placeholders(static_cast<uint32_t>(meaning.values[code].value));
    column.placeholders[code] = static_cast<uint8_t>(std::min<uint32_t>(n, UINT8_MAX));
  }
}

Answer SegmentPlan::number_answer(const Condition& condition, ValueType type, uint64_t number) const {
  switch (type) {
    case ValueType::kBool:
      return condition.holds_bool(number != 0) ? kYes : kNo;
    case ValueType::kInt:
      return condition.holds_int(static_cast<int64_t>(number)) ? kYes : kNo;
    case ValueType::kDouble:
      return condition.holds_double(std::bit_cast<double>(number)) ? kYes : kNo;
    default:
      return kNo;
  }
}

void SegmentPlan::prepare_number_column(Leaf& leaf, KeyColumn& column, BlockSet& blocks, uint64_t& estimate) {
  const Condition& condition = *leaf.condition;
  const Column& meaning = names_->columns()[column.column];
  const uint32_t list = SegmentNames::kFirstColumnList + column.column;
  column.meaning.resize(meaning.values.size(), kMeansNo);
  for (uint32_t code = 1; code < meaning.values.size(); ++code) {
    if (number_answer(condition, meaning.type, meaning.values[code].value) == kNo) continue;
    column.meaning[code] = kMeansYes;
    names_->add_blocks(list, code, blocks);
    estimate += names_->posting(list, code).spans;
  }
  if (names_->posting(list, 0).spans == 0) return;
  // Numbers without a code. One number is asked of the filter, a range of all blocks that have some.
  const Literal& literal = condition.literal;
  const bool one_integer = condition.op == Op::kEq && meaning.type == ValueType::kInt &&
                           (literal.type == Literal::Type::kInt ||
                            (literal.type == Literal::Type::kString && literal.untyped && condition.as_int));
  if (one_integer) {
    const int64_t wanted = literal.type == Literal::Type::kInt ? literal.integer : condition.int_value;
    add_filtered(filter_hash(column.column, static_cast<uint64_t>(wanted)), blocks);
    estimate += 1;
  } else if (condition.op != Op::kAbsent) {
    names_->add_blocks(list, 0, blocks);
    estimate += names_->posting(list, 0).spans;
  }
}

// Nearly every trace has one root, so neither answer rules a block out.
void SegmentPlan::prepare_parent(Leaf& leaf, BlockSet& blocks, uint64_t& estimate) {
  leaf.of_root = leaf.condition->holds_int(1) ? kYes : kNo;
  leaf.of_child = leaf.condition->holds_int(0) ? kYes : kNo;
  if (leaf.of_root == kNo && leaf.of_child == kNo) return;
  blocks.fill();
  estimate = leaf.of_child == kYes ? segment_.info().spans : segment_.info().traces;
}

void SegmentPlan::prepare_tail(Leaf& leaf, BlockSet& blocks, uint64_t& estimate) {
  const Condition& condition = *leaf.condition;
  leaf.absent = matcher_.leaf_matches(condition, model::Span{}, model::TraceSummary{}) ? kYes : kNo;
  const uint32_t column = condition.field == Field::kEventName ? kColumnEvents : kColumnMessages;
  const uint32_t list = SegmentNames::kFirstColumnList + column;
  if (leaf.absent == kYes) {
    blocks.fill();
    estimate = segment_.info().spans;
    return;
  }
  const Column& meaning = names_->columns()[column];
  for (uint32_t code = 0; code < meaning.values.size(); ++code) {
    if (code != 0 && condition.op != Op::kExists &&
        !condition.holds_text(names_->string(static_cast<uint32_t>(meaning.values[code].value)))) {
      continue;
    }
    names_->add_blocks(list, code, blocks);
    estimate += names_->posting(list, code).spans;
  }
}

}  // namespace clew::store

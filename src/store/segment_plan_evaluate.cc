// The second half of a plan: its answers, applied to the columns of one block. The first half is segment_plan.cc.
#include <algorithm>

#include "store/segment_plan.h"

namespace clew::store {

using model::EntryKind;
using model::ValueType;

bool SegmentPlan::evaluate(const BlockView& block, uint32_t number, uint32_t low, uint32_t high,
                           const model::TraceSummary* summary, std::vector<uint8_t>& out) {
  const size_t n = high - low;
  if (block_ != number) heap_.reset();
  block_ = number;
  operations_.resize(high);
  block.operations.decode(0, std::span<uint32_t>(operations_));
  for (const uint32_t o : operations_) {
    if (o >= names_->operations().size()) return false;
  }
  for (size_t k = 0; k < scratch_.size(); ++k) {
    const Matcher::Node& node = matcher_.nodes()[k];
    std::vector<uint8_t>& to = scratch_[k];
    switch (node.kind) {
      case Expr::Kind::kLeaf:
        to.resize(n);
        if (!evaluate_leaf(leaves_[node.condition], block, low, high, summary, to.data())) return false;
        break;
      case Expr::Kind::kAnd:
        to.assign(n, kYes);
        for (const uint32_t c : node.children) {
          for (size_t i = 0; i < n; ++i) to[i] = std::min(to[i], scratch_[c][i]);
        }
        break;
      case Expr::Kind::kOr:
        to.assign(n, kNo);
        for (const uint32_t c : node.children) {
          for (size_t i = 0; i < n; ++i) to[i] = std::max(to[i], scratch_[c][i]);
        }
        break;
      case Expr::Kind::kNot:
        to.resize(n);
        for (size_t i = 0; i < n; ++i) to[i] = static_cast<uint8_t>(kYes - scratch_[node.children[0]][i]);
        break;
    }
  }
  out = scratch_.back();
  return true;
}

bool SegmentPlan::evaluate_leaf(const Leaf& leaf, const BlockView& block, uint32_t low, uint32_t high,
                                const model::TraceSummary* summary, uint8_t* out) {
  switch (leaf.kind) {
    case Leaf::Kind::kOperation:
      for (uint32_t i = low; i < high; ++i) *out++ = leaf.by_operation[operations_[i]];
      return true;
    case Leaf::Kind::kContext:
      for (uint32_t i = low; i < high; ++i) {
        const uint64_t context = block.contexts.at(i);
        if (context >= leaf.by_context.size()) return false;
        *out++ = leaf.by_context[context];
      }
      return true;
    case Leaf::Kind::kDuration:
      for (uint32_t i = low; i < high; ++i) {
        *out++ = leaf.condition->holds_int(static_cast<int64_t>(block.durations.at(i))) ? kYes : kNo;
      }
      return true;
    case Leaf::Kind::kParent:
      for (uint32_t i = low; i < high; ++i) *out++ = block.parents.at(i) == 1 ? leaf.of_root : leaf.of_child;
      return true;
    case Leaf::Kind::kTrace: {
      uint8_t answer = kMaybe;
      if (summary != nullptr) answer = matcher_.leaf_matches(*leaf.condition, model::Span{}, *summary) ? kYes : kNo;
      std::fill(out, out + (high - low), answer);
      return true;
    }
    case Leaf::Kind::kTail:
      for (uint32_t i = low; i < high; ++i) *out++ = block.has_tail(i) ? static_cast<uint8_t>(kMaybe) : leaf.absent;
      return true;
    case Leaf::Kind::kAttribute:
      return evaluate_attribute(leaf, block, low, high, out);
  }
  return false;
}

bool SegmentPlan::evaluate_attribute(const Leaf& leaf, const BlockView& block, uint32_t low, uint32_t high,
                                     uint8_t* out) {
  const bool any = leaf.condition->field == Field::kAny;
  std::vector<uint64_t> rank(leaf.columns.size(), 0), first(leaf.columns.size(), 0);
  for (size_t k = 0; k < leaf.columns.size(); ++k) {
    for (uint32_t i = 0; i < low; ++i) rank[k] += leaf.columns[k].per_operation[operations_[i]];
    first[k] = rank[k];
  }
  std::vector<std::vector<uint8_t>> answers(leaf.columns.size());
  for (size_t k = 0; k < leaf.columns.size(); ++k) {
    uint64_t end = rank[k];
    for (uint32_t i = low; i < high; ++i) end += leaf.columns[k].per_operation[operations_[i]];
    if (end == rank[k]) continue;
    if (!column_answers(leaf, leaf.columns[k], block.column(leaf.columns[k].column), rank[k], end, answers[k])) {
      return false;
    }
  }
  for (uint32_t i = low; i < high; ++i, ++out) {
    const uint32_t operation = operations_[i];
    const uint8_t which = leaf.by_operation[operation];
    if (which == kListOperation) {
      *out = kMaybe;
      continue;
    }
    if (which == 0) {
      *out = leaf.absent;
      if (any) {
        const uint64_t context = block.contexts.at(i);
        if (context >= leaf.by_context.size()) return false;
        *out = leaf.by_context[context];
      }
    } else {
      *out = answers[which - 1u][rank[which - 1u] - first[which - 1u]];
    }
    for (size_t k = 0; k < leaf.columns.size(); ++k) rank[k] += leaf.columns[k].per_operation[operation];
  }
  return true;
}

bool SegmentPlan::load_heap() {
  if (heap_ != nullptr) return true;
  if (segment_.blocks()[block_].heap.size == 0) return false;
  auto loaded = segment_.heap(block_);
  if (!loaded.ok()) {
    failure_ = loaded.status();
    return false;
  }
  heap_ = *loaded;
  return true;
}

bool SegmentPlan::text_answers(const Leaf& leaf, const KeyColumn& column, std::string_view bytes, uint64_t low,
                               uint64_t high, std::vector<uint8_t>& out) {
  const std::vector<ColumnValue>& values = names_->columns()[column.column].values;
  const Condition& condition = *leaf.condition;
  TextColumn text;
  if (!text.parse(bytes) || high > text.size) return false;
  if (!column.steps) {
    for (uint64_t i = low; i < high; ++i) {
      const uint64_t code = text.codes.at(i);
      if (code >= column.meaning.size()) return false;
      out[i - low] = column.meaning[code];
    }
    return true;
  }
  // Where the numbers and the text of a value stand follows from the values before it.
  std::vector<uint32_t> streams(text.streams.size(), 0);
  std::vector<uint64_t> numbers;
  std::string joined;
  uint32_t inlined = 0;
  uint64_t heap_at = text.heap;
  for (uint64_t i = 0; i < high; ++i) {
    const uint64_t code = text.codes.at(i);
    if (code >= column.meaning.size()) return false;
    uint8_t answer = column.meaning[code];
    if (code == 0) {
      if (inlined >= text.inlined) return false;
      const uint64_t size = text.lengths.at(inlined++);
      const uint64_t at = heap_at;
      heap_at += size;
      if (i >= low && answer == kMeansText) {
        if (column.exact && size != condition.literal.text.size()) {
          answer = kNo;
        } else {
          if (size != 0 && (!load_heap() || at > heap_->size() || size > heap_->size() - at)) return false;
          const std::string_view value = size == 0 ? std::string_view() : std::string_view(*heap_).substr(at, size);
          answer = condition.holds_text(value) ? kYes : kNo;
        }
      }
    } else if (const uint32_t n = column.placeholders[code]; values[code].mode == model::StrMode::kTemplate) {
      if (n > streams.size()) return false;
      const std::vector<uint64_t>* wanted = nullptr;
      if (answer == kMeansNumbers) {
        answer = kYes;
        for (const auto& [of, fit] : column.numbers) {
          if (of == code) wanted = &fit;
        }
      }
      numbers.clear();
      for (uint32_t k = 0; k < n; ++k) {
        if (streams[k] >= text.streams[k].first) return false;
        if (wanted != nullptr && text.streams[k].second.at(streams[k]) != (*wanted)[k]) answer = kNo;
        if (answer == kMeansText) numbers.push_back(text.streams[k].second.at(streams[k]));
        ++streams[k];
      }
      if (answer == kMeansText) {
        const auto entry = static_cast<uint32_t>(values[code].value);
        if (!model::join_template(names_->dictionary().text(EntryKind::kTemplate, entry), numbers, joined))
          return false;
        answer = condition.holds_text(joined) ? kYes : kNo;
      }
    }
    if (i >= low) out[i - low] = answer;
  }
  return true;
}

bool SegmentPlan::column_answers(const Leaf& leaf, const KeyColumn& column, std::string_view bytes, uint64_t low,
                                 uint64_t high, std::vector<uint8_t>& out) {
  const Column& meaning = names_->columns()[column.column];
  out.resize(high - low);
  switch (column_class(meaning.type)) {
    case ColumnClass::kText:
      return text_answers(leaf, column, bytes, low, high, out);
    case ColumnClass::kNumber: {
      NumberColumn number;
      if (!number.parse(bytes) || high > number.size) return false;
      const uint64_t sign = meaning.type == ValueType::kInt ? uint64_t{1} << 63 : 0;
      if (number.plain) {
        for (uint64_t i = low; i < high; ++i) {
          out[i - low] = number_answer(*leaf.condition, meaning.type, number.numbers.at(i) ^ sign);
        }
        return true;
      }
      uint64_t escape = 0;
      for (uint64_t i = number.escapes != 0 ? 0 : low; i < high; ++i) {
        const uint64_t code = number.codes.at(i);
        if (code >= column.meaning.size()) return false;
        uint8_t answer = column.meaning[code];
        if (code == 0) {
          if (escape >= number.escapes) return false;
          const uint64_t value = number.numbers.at(escape++) ^ sign;
          if (i >= low) answer = number_answer(*leaf.condition, meaning.type, value);
        }
        if (i >= low) out[i - low] = answer;
      }
      return true;
    }
    case ColumnClass::kBytes:
    case ColumnClass::kNone:
      std::fill(out.begin(), out.end(), leaf.condition->op == Op::kExists ? kYes : kNo);
      return true;
  }
  return false;
}

}  // namespace clew::store

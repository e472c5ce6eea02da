#include "store/segment_rows.h"

#include <algorithm>

namespace clew::store {
namespace {

using model::ValueType;

// Reads one column of a block value by value, from some rank on. Every advance is checked against the column's size.
class ColumnCursor {
 public:
  bool open(const Column& column, std::string_view bytes, uint64_t rank, std::string_view heap) {
    column_ = &column;
    heap_ = heap;
    at_ = rank;
    switch (column_class(column.type)) {
      case ColumnClass::kText:
        if (!text_.parse(bytes) || rank > text_.size) return false;
        streams_.assign(text_.streams.size(), 0);
        heap_at_ = text_.heap;
        // Where the streams stand is not stored: the codes before tell.
        if (!text_.streams.empty() || text_.inlined != 0) {
          for (uint64_t i = 0; i < rank; ++i) {
            if (!step_text(text_.codes.at(i), nullptr)) return false;
          }
        }
        return true;
      case ColumnClass::kNumber:
        if (!number_.parse(bytes) || rank > number_.size) return false;
        if (!number_.plain && number_.escapes != 0) {
          for (uint64_t i = 0; i < rank; ++i) escapes_ += number_.codes.at(i) == 0;
        }
        return true;
      case ColumnClass::kBytes:
        if (!bytes_.parse(bytes) || rank > bytes_.size) return false;
        heap_at_ = bytes_.heap + bytes_.lengths.sum(rank);
        return true;
      case ColumnClass::kNone:
        return false;
    }
    return false;
  }

  void use_dictionary(const model::Dictionary& dictionary) { dictionary_ = &dictionary; }

  // Appends the next value as a row has it.
  bool append_next(std::string& out) {
    switch (column_class(column_->type)) {
      case ColumnClass::kText:
        return at_ < text_.size && step_text(text_.codes.at(at_++), &out);
      case ColumnClass::kNumber:
        return append_number(out);
      case ColumnClass::kBytes: {
        std::string_view bytes;
        if (!next_bytes(bytes)) return false;
        append_bytes(out, bytes);
        return true;
      }
      case ColumnClass::kNone:
        return true;
    }
    return false;
  }
  bool next_bytes(std::string_view& out) {
    if (at_ >= bytes_.size) return false;
    return take_heap(bytes_.lengths.at(at_++), out);
  }

 private:
  bool take_heap(uint64_t size, std::string_view& out) {
    if (heap_at_ > heap_.size() || size > heap_.size() - heap_at_) return false;
    out = heap_.substr(heap_at_, size);
    heap_at_ += size;
    return true;
  }

  bool step_text(uint64_t code, std::string* out) {
    if (code >= column_->values.size()) return false;
    if (code == 0) {
      if (inlined_ >= text_.inlined) return false;
      const uint64_t size = text_.lengths.at(inlined_++);
      if (out == nullptr) {
        heap_at_ += size;
        return true;
      }
      std::string_view text;
      if (!take_heap(size, text)) return false;
      append_varint(*out, size << 2 | 2);
      out->append(text);
      return true;
    }
    const ColumnValue& value = column_->values[code];
    if (value.mode == model::StrMode::kCode) {
      if (out != nullptr) append_varint(*out, value.value << 2);
      return true;
    }
    if (out != nullptr) append_varint(*out, value.value << 2 | 1);
    const uint32_t n = dictionary_->placeholders(static_cast<uint32_t>(value.value));
    if (n > streams_.size()) return false;
    for (uint32_t k = 0; k < n; ++k) {
      if (streams_[k] >= text_.streams[k].first) return false;
      if (out != nullptr) append_varint(*out, text_.streams[k].second.at(streams_[k]));
      ++streams_[k];
    }
    return true;
  }

  bool append_number(std::string& out) {
    if (at_ >= number_.size) return false;
    uint64_t value;
    if (number_.plain) {
      value = ordered_number(number_.numbers.at(at_));
    } else if (const uint64_t code = number_.codes.at(at_); code != 0) {
      if (code >= column_->values.size()) return false;
      value = column_->values[code].value;
    } else {
      if (escapes_ >= number_.escapes) return false;
      value = ordered_number(number_.numbers.at(escapes_++));
    }
    ++at_;
    switch (column_->type) {
      case ValueType::kBool:
        out.push_back(static_cast<char>(value));
        break;
      case ValueType::kInt:
        append_varint(out, zigzag(static_cast<int64_t>(value)));
        break;
      default:
        append_fixed(out, value);
    }
    return true;
  }
  uint64_t ordered_number(uint64_t stored) const {
    return column_->type == ValueType::kInt ? stored ^ (uint64_t{1} << 63) : stored;
  }

  const Column* column_ = nullptr;
  const model::Dictionary* dictionary_ = nullptr;
  std::string_view heap_;
  TextColumn text_;
  NumberColumn number_;
  BytesColumn bytes_;
  uint64_t at_ = 0, inlined_ = 0, escapes_ = 0, heap_at_ = 0;
  std::vector<uint32_t> streams_;
};

struct OpenColumn {
  uint32_t number = 0;
  ColumnCursor cursor;
};

// Stands for the id of a span that was lost with its block, so that its children are orphans of one parent, not roots.
// All ones in its upper half, which no generator of ids is likely to make and people can recognise.
uint64_t lost_id(uint64_t segment, uint64_t place) {
  return uint64_t{0xffffffff} << 32 | static_cast<uint32_t>(mix64(segment, place));
}

}  // namespace

Status TraceRows::read_head(const Segment& segment, uint32_t trace, bool with_summary,
                            std::shared_ptr<const SegmentNames> names) {
  segment_ = &segment;
  ids_.clear();
  rows_.clear();
  bytes_.clear();
  damaged_ = false;
  CLEW_ASSIGN(page_, segment.page_of(trace));
  names_ = std::move(names);
  if (names_ == nullptr) {
    CLEW_ASSIGN(names_, segment.names());
  }
  index_ = trace - segment.first_trace_of(*page_);
  const uint64_t first = page_->entry->first_span + page_->view.spans_before(index_);
  const uint64_t count = page_->view.at(kTraceSpans, index_);
  if (first > segment.info().spans || count > segment.info().spans - first) {
    return {Code::kDataLoss, segment.path() + ": the trace table points outside of the segment"};
  }
  first_span_ = static_cast<uint32_t>(first);
  span_count_ = static_cast<uint32_t>(count);
  if (with_summary) summary_ = segment.summary(*names_, *page_, index_, {});
  return {};
}

Status TraceRows::read(const Segment& segment, uint32_t trace, std::shared_ptr<const SegmentNames> names) {
  CLEW_TRY(read_head(segment, trace, false, std::move(names)));
  // Ids first: a span names its parent by its place in the trace, and the parent may stand in a later block.
  ids_.resize(span_count_);
  // Blocks without ids: their rows are not asked for again, though a second read might succeed.
  std::vector<uint32_t> lost;
  const uint32_t end = first_span_ + span_count_;
  for (uint32_t span = first_span_; span < end;) {
    const uint32_t number = segment.block_of_span(span);
    const BlockEntry& entry = segment.blocks()[number];
    const uint32_t to = std::min(end, entry.first_span + entry.spans);
    if (const auto block = segment.block(number); block.ok()) {
      for (uint32_t s = span; s < to; ++s) ids_[s - first_span_] = (*block)->view.id(s - entry.first_span);
    } else if (block.error().code != Code::kDataLoss) {
      return block.error();
    } else {
      lost.push_back(number);
    }
    span = to;
  }
  for (uint32_t span = first_span_; span < end;) {
    const uint32_t number = segment.block_of_span(span);
    const BlockEntry& entry = segment.blocks()[number];
    const uint32_t to = std::min(end, entry.first_span + entry.spans);
    const size_t rows = rows_.size();
    if (std::find(lost.begin(), lost.end(), number) != lost.end()) {
      damaged_ = true;
    } else if (Status status = append_block(number, span - entry.first_span, to - entry.first_span); !status.ok()) {
      if (status.code() != Code::kDataLoss) return status;
      rows_.resize(rows);
      damaged_ = true;
    }
    span = to;
  }
  summary_ = segment.summary(*names_, *page_, index_, ids_);
  if (damaged_) {
    // Places in the trace have moved.
    for (Row& row : rows_) {
      if (row.parent >= 0) row.parent = -2;
    }
  }
  return {};
}

Status TraceRows::append_block(uint32_t number, uint32_t low, uint32_t high) {
  CLEW_ASSIGN(const auto block, segment_->block(number));
  const BlockView& view = block->view;
  const BlockEntry& entry = segment_->blocks()[number];
  Status unread;  // why the heap is not there, when it is not
  const auto broken = [&] {
    if (!unread.ok()) return unread;
    return Status(Code::kDataLoss, segment_->path() + ": block " + std::to_string(number) + " cannot be read");
  };
  std::shared_ptr<const std::string> heap, tails;
  const auto& operations = names_->operations();
  const auto& contexts = names_->contexts();
  const auto& stamps = names_->stamps();

  // How many values of each column stand before `low`: the operations before it tell.
  std::vector<uint32_t> before(operations.size(), 0);
  std::vector<uint32_t> codes(high);
  view.operations.decode(0, std::span<uint32_t>(codes));
  uint32_t foreign = 0;
  for (uint32_t i = 0; i < high; ++i) {
    if (codes[i] >= operations.size()) return broken();
    if (i < low) ++before[codes[i]];
  }
  for (uint32_t i = 0; i < low; ++i) foreign += view.parents.at(i) == 0;
  std::vector<uint32_t> ranks(names_->columns().size(), 0);
  for (uint32_t o = 0; o < before.size(); ++o) {
    if (before[o] == 0) continue;
    for (const uint32_t c : names_->columns_of(o)) ranks[c] += before[o];
  }
  std::vector<OpenColumn> open;
  const auto cursor_of = [&](uint32_t column) -> ColumnCursor* {
    for (OpenColumn& known : open) {
      if (known.number == column) return &known.cursor;
    }
    const Column& meaning = names_->columns()[column];
    if (entry.heap.size != 0 && heap == nullptr && column_class(meaning.type) != ColumnClass::kNumber) {
      auto loaded = segment_->heap(number);
      if (!loaded.ok()) {
        unread = loaded.status();
        return nullptr;
      }
      heap = *loaded;
    }
    open.push_back({column, {}});
    ColumnCursor& cursor = open.back().cursor;
    cursor.use_dictionary(names_->dictionary());
    return cursor.open(meaning, view.column(column), ranks[column], heap ? std::string_view(*heap) : std::string_view())
               ? &cursor
               : nullptr;
  };
  open.reserve(names_->columns().size());

  uint32_t tail = view.tails_before(low);
  PackedView tail_lengths;
  uint64_t tail_at = 0;
  std::string_view tail_bytes;
  uint32_t tail_count = 0;
  bool has_tail = false;
  for (uint32_t i = low; i < high && !has_tail; ++i) has_tail = view.has_tail(i);
  if (has_tail) {
    CLEW_ASSIGN(tails, segment_->tails(number));
    ByteReader reader(*tails);
    const uint64_t n = reader.varint();
    if (n > kMaxPacked || !tail_lengths.parse(reader, n) || tail > n) return broken();
    tail_count = static_cast<uint32_t>(n);
    tail_bytes = {reader.position(), reader.remaining()};
    tail_at = tail_lengths.sum(tail);
  }

  uint32_t run = 0;
  uint64_t run_end = 0;
  const int64_t start_base = page_->view.start_ns(index_);
  for (uint32_t i = low; i < high; ++i) {
    while (run_end <= i) {
      if (run >= view.run_lengths.size()) return broken();
      run_end += view.run_lengths.at(run++);
    }
    const uint64_t stamp = view.run_stamps.at(run - 1);
    const Operation& operation = operations[codes[i]];
    const uint64_t context = view.contexts.at(i);
    if (stamp >= stamps.size() || context >= contexts.size()) return broken();
    Row row;
    row.offset = bytes_.size();
    row.stamp = stamps[stamp];
    row.id = view.id(i);

    std::string_view tail_of_row;
    if (view.has_tail(i)) {
      if (tail >= tail_count) return broken();
      const uint64_t size = tail_lengths.at(tail++);
      if (size == 0 || tail_at > tail_bytes.size() || size > tail_bytes.size() - tail_at) return broken();
      tail_of_row = tail_bytes.substr(tail_at, size);
      tail_at += size;
    }
    const uint64_t parent = view.parents.at(i);
    uint8_t presence = tail_of_row.empty() ? 0 : static_cast<uint8_t>(tail_of_row[0]);
    presence &= static_cast<uint8_t>(~(model::kHasParent | model::kHasFlags));
    if (parent != 1) presence |= model::kHasParent;
    if (operation.has_flags) presence |= model::kHasFlags;
    bytes_.push_back(static_cast<char>(presence));
    bytes_.push_back(static_cast<char>(operation.kind_status));
    append_fixed(bytes_, row.id.value);
    if (parent == 0) {
      if (foreign >= view.foreign_count()) return broken();
      append_fixed(bytes_, view.foreign(foreign++).value);
      row.parent = -2;
    } else if (parent >= 2) {
      if (parent - 2 >= ids_.size()) return broken();
      row.parent = static_cast<int32_t>(parent - 2);
      const model::SpanId id = ids_[parent - 2];
      append_fixed(bytes_, id.valid() ? id.value : lost_id(segment_->number(), first_span_ + parent - 2));
    }
    append_fixed(bytes_, static_cast<int64_t>(static_cast<uint64_t>(start_base) + view.starts.at(i)));
    append_varint(bytes_, zigzag(static_cast<int64_t>(view.durations.at(i))));
    append_varint(bytes_, contexts[context].resource);
    append_varint(bytes_, contexts[context].scope);
    if (operation.name != 0) {
      append_varint(bytes_, uint64_t{operation.name - 1} << 2);
    } else {
      ColumnCursor* cursor = cursor_of(kColumnNames);
      if (cursor == nullptr || !cursor->append_next(bytes_)) return broken();
    }
    if (operation.shape != 0) {
      append_varint(bytes_, operation.shape);
      for (const uint32_t column : names_->columns_of(codes[i])) {
        if (column == kColumnNames) continue;
        ColumnCursor* cursor = cursor_of(column);
        if (cursor == nullptr || !cursor->append_next(bytes_)) return broken();
      }
    } else {
      ColumnCursor* cursor = cursor_of(kColumnLists);
      std::string_view list;
      if (cursor == nullptr || !cursor->next_bytes(list)) return broken();
      bytes_.append(list);
    }
    if (operation.has_flags) append_varint(bytes_, operation.flags);
    if (!tail_of_row.empty()) bytes_.append(tail_of_row.substr(1));
    row.size = bytes_.size() - row.offset;
    rows_.push_back(row);
  }
  return {};
}

Status TraceRows::read_verdicts(std::vector<model::Verdict>& out) const {
  return segment_->read_verdicts_of(*page_, index_, ids_, out);
}

}  // namespace clew::store

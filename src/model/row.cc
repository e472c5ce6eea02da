#include "model/row.h"

#include <cstring>

#include "model/templates.h"

namespace clew::model {
namespace {

constexpr uint8_t kTypes = static_cast<uint8_t>(ValueType::kRaw) + 1;

void refuse(ByteReader& reader) { reader.skip(~uint64_t{0}); }

// With a dictionary, codes are checked against it. Without, templates are refused: their length is not known.
StrRef read_strref(ByteReader& reader, const Dictionary* dictionary) {
  StrRef ref;
  const uint64_t head = reader.varint();
  const uint64_t x = head >> 2;
  switch (head & 3) {
    case 0:
      ref.mode = StrMode::kCode;
      ref.code = static_cast<uint32_t>(x);
      if (x > UINT32_MAX || (dictionary != nullptr && x >= dictionary->size(EntryKind::kString))) refuse(reader);
      return ref;
    case 1: {
      ref.mode = StrMode::kTemplate;
      ref.code = static_cast<uint32_t>(x);
      if (dictionary == nullptr || x >= dictionary->size(EntryKind::kTemplate)) {
        refuse(reader);
        return ref;
      }
      const char* begin = reader.position();
      for (uint32_t i = dictionary->placeholders(ref.code); i > 0 && reader.ok(); --i) reader.varint();
      if (reader.ok()) ref.payload = {begin, static_cast<size_t>(reader.position() - begin)};
      return ref;
    }
    case 2:
      ref.mode = StrMode::kInline;
      ref.payload = reader.bytes(x);
      return ref;
    default:
      refuse(reader);
      return ref;
  }
}

void read_value(ByteReader& reader, const Dictionary& dictionary, RowValue& out) {
  switch (out.type) {
    case ValueType::kEmpty:
      break;
    case ValueType::kString:
      out.string = read_strref(reader, &dictionary);
      break;
    case ValueType::kBool:
      out.number = reader.fixed<uint8_t>() != 0;
      break;
    case ValueType::kInt:
      out.number = static_cast<uint64_t>(reader.zigzag_varint());
      break;
    case ValueType::kDouble:
      out.number = reader.fixed<uint64_t>();
      break;
    case ValueType::kBytes:
    case ValueType::kComplex:
    case ValueType::kRaw:
      out.bytes = reader.prefixed_bytes();
      break;
  }
}

// Walks over an attribute list and returns its bytes.
std::string_view skip_attributes(ByteReader& reader, const Dictionary& dictionary) {
  AttributeCursor cursor(dictionary, reader.position(), reader.position() + reader.remaining());
  RowValue value;
  while (cursor.next(value)) {
  }
  if (!cursor.ok()) {
    refuse(reader);
    return {};
  }
  return reader.bytes(static_cast<uint64_t>(cursor.position() - reader.position()));
}

}  // namespace

AttributeCursor::AttributeCursor(const Dictionary& dictionary, const char* pos, const char* end)
    : dictionary_(&dictionary), reader_(std::string_view(pos, static_cast<size_t>(end - pos))) {
  const uint64_t head = reader_.varint();
  if (head == 0) {
    const uint64_t n = reader_.varint();
    if (n > reader_.remaining()) refuse(reader_);
    if (reader_.ok()) count_ = static_cast<uint32_t>(n);
    return;
  }
  if (head > dictionary.size(EntryKind::kShape)) {
    refuse(reader_);
    return;
  }
  has_shape_ = true;
  shape_code_ = static_cast<uint32_t>(head - 1);
  shape_ = dictionary.shape(shape_code_);
  count_ = static_cast<uint32_t>(shape_.size());
}

bool AttributeCursor::next(RowValue& out) {
  if (index_ == count_ || !reader_.ok()) return false;
  if (has_shape_) {
    out.key_inline = false;
    out.key = shape_[index_].key;
    out.key_text = dictionary_->text(EntryKind::kString, out.key);
    out.type = shape_[index_].type;
  } else {
    const StrRef key = read_strref(reader_, dictionary_);
    const auto type = reader_.fixed<uint8_t>();
    if (key.mode == StrMode::kTemplate || type >= kTypes) refuse(reader_);
    if (!reader_.ok()) return false;
    out.key_inline = key.mode == StrMode::kInline;
    out.key = key.code;
    out.key_text = out.key_inline ? key.payload : dictionary_->text(EntryKind::kString, key.code);
    out.type = static_cast<ValueType>(type);
  }
  ++index_;
  read_value(reader_, *dictionary_, out);
  return reader_.ok();
}

bool parse_row_head(std::string_view row, RowHead& out) {
  ByteReader reader(row);
  out.presence = reader.fixed<uint8_t>();
  const auto kind_status = reader.fixed<uint8_t>();
  out.kind = kind_status & 7;
  out.status_code = kind_status >> 3;
  if (out.kind > 5 || out.status_code > 2) return false;
  out.span_id = SpanId{reader.fixed<uint64_t>()};
  out.parent_id = SpanId{(out.presence & kHasParent) != 0 ? reader.fixed<uint64_t>() : 0};
  out.start_ns = reader.fixed<int64_t>();
  out.end_ns =
      static_cast<int64_t>(static_cast<uint64_t>(out.start_ns) + static_cast<uint64_t>(reader.zigzag_varint()));
  const uint64_t resource = reader.varint(), scope = reader.varint();
  if (resource > UINT32_MAX || scope > UINT32_MAX) return false;
  out.resource = static_cast<uint32_t>(resource);
  out.scope = static_cast<uint32_t>(scope);
  out.name = read_strref(reader, nullptr);
  out.attributes = reader.position();
  out.end = row.data() + row.size();
  return reader.ok();
}

std::optional<int64_t> row_start_ns(std::string_view row) {
  if (row.empty()) return std::nullopt;
  const size_t at = (static_cast<uint8_t>(row[0]) & kHasParent) != 0 ? 18 : 10;
  if (row.size() < at + sizeof(int64_t)) return std::nullopt;
  int64_t start_ns = 0;
  std::memcpy(&start_ns, row.data() + at, sizeof(start_ns));
  return start_ns;
}

bool parse_row_tail(const Dictionary& dictionary, const RowHead& head, const char* after_attributes, RowTail& out) {
  out = RowTail{};
  ByteReader reader(std::string_view(after_attributes, static_cast<size_t>(head.end - after_attributes)));
  const auto number = [&reader] {
    const uint64_t v = reader.varint();
    if (v > UINT32_MAX) refuse(reader);
    return static_cast<uint32_t>(v);
  };
  if (head.presence & kHasFlags) out.flags = number();
  if (head.presence & kHasTraceState) out.trace_state = read_strref(reader, &dictionary);
  if (head.presence & kHasStatusMessage) out.status_message = read_strref(reader, &dictionary);
  if (head.presence & kHasDropped) {
    out.dropped_attributes = number();
    out.dropped_events = number();
    out.dropped_links = number();
  }
  if (!reader.ok()) return false;
  out.cold = {reader.position(), reader.remaining()};
  if (head.presence & kHasEvents) {
    out.event_count = number();
    out.events = reader.position();
  } else if (head.presence & kHasLinks) {
    out.link_count = number();
    out.links = reader.position();
  }
  return reader.ok();
}

EventCursor::EventCursor(const Dictionary& dictionary, uint8_t presence, int64_t start_ns, std::string_view cold)
    : dictionary_(&dictionary), reader_(cold), start_ns_(start_ns) {
  if (presence & kHasEvents) left_ = reader_.varint();
}

bool EventCursor::next(RowEvent& out) {
  if (left_ == 0 || !reader_.ok()) return false;
  --left_;
  out.time_ns = static_cast<int64_t>(static_cast<uint64_t>(start_ns_) + static_cast<uint64_t>(reader_.zigzag_varint()));
  out.name = read_strref(reader_, dictionary_);
  out.attributes = skip_attributes(reader_, *dictionary_);
  const uint64_t dropped = reader_.varint();
  if (dropped > UINT32_MAX) refuse(reader_);
  out.dropped_attributes = static_cast<uint32_t>(dropped);
  out.unknown = reader_.prefixed_bytes();
  return reader_.ok();
}

LinkCursor::LinkCursor(const Dictionary& dictionary, uint8_t presence, std::string_view rest)
    : dictionary_(&dictionary), reader_(rest) {
  if (presence & kHasLinks) left_ = reader_.varint();
}

bool LinkCursor::next(RowLink& out) {
  if (left_ == 0 || !reader_.ok()) return false;
  --left_;
  const std::string_view ids = reader_.bytes(24);
  if (!reader_.ok()) return false;
  out.trace = TraceId::from_bytes(ids.data());
  out.span = SpanId::from_bytes(ids.data() + 16);
  out.trace_state = read_strref(reader_, dictionary_);
  out.attributes = skip_attributes(reader_, *dictionary_);
  const uint64_t dropped = reader_.varint(), flags = reader_.varint();
  if (dropped > UINT32_MAX || flags > UINT32_MAX) refuse(reader_);
  out.dropped_attributes = static_cast<uint32_t>(dropped);
  out.flags = static_cast<uint32_t>(flags);
  out.unknown = reader_.prefixed_bytes();
  return reader_.ok();
}

bool read_unknown(uint8_t presence, std::string_view rest, std::string_view& unknown) {
  ByteReader reader(rest);
  unknown = {};
  if (presence & kHasUnknown) unknown = reader.prefixed_bytes();
  return reader.ok() && reader.at_end();
}

bool row_links(const Dictionary& dictionary, const RowHead& head, RowTail& tail) {
  EventCursor events(dictionary, head.presence, head.start_ns, tail.cold);
  RowEvent event;
  while (events.next(event)) {
  }
  if (!events.ok()) return false;
  if (!(head.presence & kHasLinks)) return true;
  ByteReader reader(events.rest());
  const uint64_t n = reader.varint();
  if (!reader.ok() || n > UINT32_MAX) return false;
  tail.link_count = static_cast<uint32_t>(n);
  tail.links = reader.position();
  return true;
}

namespace {

bool uses_lost(const Dictionary& dictionary, const StrRef& ref) {
  return (ref.mode == StrMode::kCode && dictionary.lost(EntryKind::kString, ref.code)) ||
         (ref.mode == StrMode::kTemplate && dictionary.lost(EntryKind::kTemplate, ref.code));
}

// What follows a lost shape or template cannot be walked, so the first lost code ends it.
bool uses_lost(const Dictionary& dictionary, AttributeCursor attributes) {
  if (attributes.has_shape() && dictionary.lost(EntryKind::kShape, attributes.shape_code())) return true;
  RowValue value;
  while (attributes.next(value)) {
    if (!value.key_inline && dictionary.lost(EntryKind::kString, value.key)) return true;
    if (value.type == ValueType::kString && uses_lost(dictionary, value.string)) return true;
  }
  return false;
}

bool uses_lost(const Dictionary& dictionary, std::string_view list) {
  return uses_lost(dictionary, AttributeCursor(dictionary, list.data(), list.data() + list.size()));
}

}  // namespace

bool check_row(const Dictionary& dictionary, std::string_view row) {
  const bool lost = dictionary.has_lost();
  RowHead head;
  if (!parse_row_head(row, head)) return false;
  if (head.resource >= dictionary.size(EntryKind::kResource) || head.scope >= dictionary.size(EntryKind::kScope)) {
    return false;
  }
  if (head.name.mode == StrMode::kCode && head.name.code >= dictionary.size(EntryKind::kString)) return false;
  if (lost && (dictionary.lost(EntryKind::kResource, head.resource) || dictionary.lost(EntryKind::kScope, head.scope) ||
               uses_lost(dictionary, head.name))) {
    return false;
  }
  AttributeCursor attributes(dictionary, head.attributes, head.end);
  if (lost && uses_lost(dictionary, attributes)) return false;
  RowValue value;
  while (attributes.next(value)) {
  }
  RowTail tail;
  if (!attributes.ok() || !parse_row_tail(dictionary, head, attributes.position(), tail)) return false;
  if (lost && (((head.presence & kHasTraceState) && uses_lost(dictionary, tail.trace_state)) ||
               ((head.presence & kHasStatusMessage) && uses_lost(dictionary, tail.status_message)))) {
    return false;
  }
  EventCursor events(dictionary, head.presence, head.start_ns, tail.cold);
  RowEvent event;
  while (events.next(event)) {
    if (lost && (uses_lost(dictionary, event.name) || uses_lost(dictionary, event.attributes))) return false;
  }
  if (!events.ok()) return false;
  LinkCursor links(dictionary, head.presence, events.rest());
  RowLink link;
  while (links.next(link)) {
    if (lost && (uses_lost(dictionary, link.trace_state) || uses_lost(dictionary, link.attributes))) return false;
  }
  std::string_view unknown;
  return links.ok() && read_unknown(head.presence, links.rest(), unknown);
}

std::string_view strref_text(const Dictionary& dictionary, EntryKind code_kind, const StrRef& ref,
                             std::string& scratch) {
  switch (ref.mode) {
    case StrMode::kCode:
      return dictionary.text(code_kind, ref.code);
    case StrMode::kInline:
      return ref.payload;
    case StrMode::kTemplate:
      break;
  }
  uint64_t few[16];
  std::vector<uint64_t> many;
  const uint32_t n = dictionary.placeholders(ref.code);
  uint64_t* numbers = few;
  if (n > 16) {
    many.resize(n);
    numbers = many.data();
  }
  ByteReader reader(ref.payload);
  for (uint32_t i = 0; i < n; ++i) numbers[i] = reader.varint();
  if (!reader.ok() || !join_template(dictionary.text(EntryKind::kTemplate, ref.code), {numbers, n}, scratch)) {
    return {};
  }
  return scratch;
}

void append_strref(Dictionary& dictionary, std::string_view text, bool may_intern, bool templated, std::string& out) {
  if (may_intern && templated) {
    SplitText split;
    if (split_text(text, split)) {
      if (const auto code = dictionary.intern(EntryKind::kTemplate, {split.text, split.text_size})) {
        append_varint(out, uint64_t{*code} << 2 | static_cast<uint64_t>(StrMode::kTemplate));
        for (uint32_t i = 0; i < split.number_count; ++i) append_varint(out, split.numbers[i]);
        return;
      }
    }
  }
  const auto code = may_intern && !templated ? dictionary.intern(EntryKind::kString, text)
                                             : dictionary.find(EntryKind::kString, text);
  if (code) {
    append_varint(out, uint64_t{*code} << 2 | static_cast<uint64_t>(StrMode::kCode));
    return;
  }
  append_varint(out, uint64_t{text.size()} << 2 | static_cast<uint64_t>(StrMode::kInline));
  out.append(text);
}

}  // namespace clew::model

#include "store/query.h"

#include <cstring>

#include "store/matcher.h"

namespace clew::store {
namespace {

constexpr size_t kCursorDigits = 16 + 32;

SelectedValue text(std::string_view value) {
  if (value.empty() || value.size() > kMaxSelectedBytes) return {};
  return {.type = model::ValueType::kString, .bytes = std::string(value)};
}

SelectedValue selected_of(const model::Span& span, const Selection& selection) {
  switch (selection.field) {
    case Field::kAttribute:
    case Field::kResource:
    case Field::kAny: {
      const model::Attribute* found = attribute_of(span, selection.field, selection.key);
      if (found == nullptr || found->value.bytes.size() > kMaxSelectedBytes) return {};
      const model::Value& value = found->value;
      return {value.type, std::string(value.bytes), value.integer, value.real};
    }
    case Field::kKind:
      return text(model::span_kind_name(span.kind));
    case Field::kStatus:
      return text(model::status_code_name(span.status));
    case Field::kStatusMessage:
      return text(span.status_message);
    case Field::kScopeName:
      return span.scope ? text(span.scope->name) : SelectedValue();
    default:
      return {};
  }
}

}  // namespace

// Big-endian start and trace id in hex: printable, URL-safe, and compared as text it would even sort.
std::string encode_cursor(const SearchCursor& cursor) {
  char bytes[24];
  const uint64_t start = __builtin_bswap64(static_cast<uint64_t>(cursor.start_ns));
  std::memcpy(bytes, &start, 8);
  cursor.trace.to_bytes(bytes + 8);
  return model::hex_of({bytes, sizeof(bytes)});
}

std::optional<SearchCursor> decode_cursor(std::string_view text) {
  char bytes[24];
  if (text.size() != kCursorDigits || !model::bytes_of_hex(text, bytes)) return std::nullopt;
  SearchCursor cursor;
  uint64_t start;
  std::memcpy(&start, bytes, 8);
  cursor.start_ns = static_cast<int64_t>(__builtin_bswap64(start));
  cursor.trace = model::TraceId::from_bytes(bytes + 8);
  return cursor;
}

void add_match(const model::Span& span, const TraceQuery& query, TraceHit& hit) {
  ++hit.matched;
  if (hit.spans.size() >= query.spans_per_trace) return;
  MatchedSpan& shown = hit.spans.emplace_back();
  shown.id = span.id;
  shown.start_ns = span.start_ns;
  shown.duration_ns = static_cast<int64_t>(static_cast<uint64_t>(span.end_ns) - static_cast<uint64_t>(span.start_ns));
  shown.name = span.name;
  if (span.resource != nullptr) shown.service = span.resource->service_name;
  shown.selected.reserve(query.select.size());
  for (const Selection& selection : query.select) {
    SelectedValue value = selected_of(span, selection);
    if (hit.selected_bytes + value.bytes.size() > kMaxSelectedBytes) value = {};
    hit.selected_bytes += value.bytes.size();
    shown.selected.push_back(std::move(value));
  }
}

}  // namespace clew::store

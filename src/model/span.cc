#include "model/span.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/hash.h"
#include "model/content_hash.h"
#include "model/context.h"
#include "model/row.h"

namespace clew::model {
namespace {

constexpr size_t kMinChunk = 1024;
constexpr size_t kMaxChunk = 64 * 1024;

class RowReader {
 public:
  RowReader(const Dictionary& dictionary, TraceData& out) : dictionary_(dictionary), out_(out) {}

  bool read(std::string_view row, Span& span) {
    if (!check_row(dictionary_, row)) return false;
    RowHead head;
    parse_row_head(row, head);
    span.id = head.span_id;
    span.parent = head.parent_id;
    span.start_ns = head.start_ns;
    span.end_ns = head.end_ns;
    span.kind = static_cast<SpanKind>(head.kind);
    span.status = static_cast<StatusCode>(head.status_code);
    span.name = keep(head.name);
    span.resource = resource(head.resource);
    span.scope = scope(head.scope);
    AttributeCursor attributes(dictionary_, head.attributes, head.end);
    read_list(attributes, span.attributes);
    RowTail tail;
    parse_row_tail(dictionary_, head, attributes.position(), tail);
    span.flags = tail.flags;
    span.trace_state = keep(tail.trace_state);
    span.status_message = keep(tail.status_message);
    span.dropped_attributes = tail.dropped_attributes;
    span.dropped_events = tail.dropped_events;
    span.dropped_links = tail.dropped_links;
    EventCursor events(dictionary_, head.presence, head.start_ns, tail.cold);
    RowEvent event;
    while (events.next(event)) {
      Event& to = span.events.emplace_back();
      to.time_ns = event.time_ns;
      to.name = keep(event.name);
      read_list(event.attributes, to.attributes);
      to.dropped_attributes = event.dropped_attributes;
      to.unknown = out_.arena.keep(event.unknown);
    }
    LinkCursor links(dictionary_, head.presence, events.rest());
    RowLink link;
    while (links.next(link)) {
      Link& to = span.links.emplace_back();
      to.trace = link.trace;
      to.span = link.span;
      to.trace_state = keep(link.trace_state);
      read_list(link.attributes, to.attributes);
      to.dropped_attributes = link.dropped_attributes;
      to.flags = link.flags;
      to.unknown = out_.arena.keep(link.unknown);
    }
    std::string_view unknown;
    read_unknown(head.presence, links.rest(), unknown);
    span.unknown = out_.arena.keep(unknown);
    return true;
  }

 private:
  std::string_view keep(const StrRef& ref) {
    return out_.arena.keep(strref_text(dictionary_, EntryKind::kString, ref, scratch_));
  }

  void read_list(AttributeCursor& cursor, std::vector<Attribute>& to) {
    to.reserve(cursor.count());
    RowValue value;
    while (cursor.next(value)) {
      Attribute& attribute = to.emplace_back();
      attribute.key = out_.arena.keep(value.key_text);
      attribute.value.type = value.type;
      switch (value.type) {
        case ValueType::kEmpty:
          break;
        case ValueType::kString:
          attribute.value.bytes = keep(value.string);
          break;
        case ValueType::kBool:
        case ValueType::kInt:
          attribute.value.integer = static_cast<int64_t>(value.number);
          break;
        case ValueType::kDouble:
          attribute.value.real = std::bit_cast<double>(value.number);
          break;
        case ValueType::kBytes:
        case ValueType::kComplex:
        case ValueType::kRaw:
          attribute.value.bytes = out_.arena.keep(value.bytes);
          break;
      }
    }
  }
  void read_list(std::string_view list, std::vector<Attribute>& to) {
    AttributeCursor cursor(dictionary_, list.data(), list.data() + list.size());
    read_list(cursor, to);
  }

  const Resource* resource(uint32_t code) {
    return find_or_read(dictionary_.text(EntryKind::kResource, code), out_.resources, out_.resource_index,
                        read_resource);
  }
  const Scope* scope(uint32_t code) {
    return find_or_read(dictionary_.text(EntryKind::kScope, code), out_.scopes, out_.scope_index, read_scope);
  }

  template <typename T>
  const T* find_or_read(std::string_view entry, std::deque<T>& all,
                        std::unordered_map<std::string_view, const T*>& index,
                        bool (*read_entry)(std::string_view, T&)) {
    if (!all.empty() && all.back().raw == entry) return &all.back();
    if (const auto found = index.find(entry); found != index.end()) return found->second;
    T& added = all.emplace_back();
    const std::string_view kept = out_.arena.keep(entry);
    read_entry(kept, added);
    index.emplace(kept, &added);
    return &added;
  }

  const Dictionary& dictionary_;
  TraceData& out_;
  std::string scratch_;
};

uint64_t text_or_zero(std::string_view text) { return text.empty() ? 0 : stable_hash64(text); }

uint64_t value_hash(const Value& value) {
  switch (value.type) {
    case ValueType::kEmpty:
      return 0;
    case ValueType::kBool:
    case ValueType::kInt:
      return static_cast<uint64_t>(value.integer);
    case ValueType::kDouble:
      return std::bit_cast<uint64_t>(value.real);
    case ValueType::kString:
    case ValueType::kBytes:
    case ValueType::kComplex:
    case ValueType::kRaw:
      return stable_hash64(value.bytes);
  }
  return 0;
}

uint64_t list_hash(const std::vector<Attribute>& attributes) {
  uint64_t sum = 0;
  for (const Attribute& attribute : attributes) {
    sum += attribute_hash(field_hash(stable_hash64(attribute.key), attribute.value.type), value_hash(attribute.value));
  }
  return sum;
}

}  // namespace

std::string_view Arena::keep(std::string_view bytes) {
  if (bytes.empty()) return {};
  if (bytes.size() > left_) {
    const size_t wanted = std::clamp<size_t>(bytes_, kMinChunk, kMaxChunk);
    const size_t size = std::max(wanted, bytes.size());
    chunks_.push_back(std::make_unique<char[]>(size + kReadableBehind));
    bytes_ += size + kReadableBehind;
    if (bytes.size() > kMaxChunk / 4) {  // a chunk of its own: what is left of the current one stays in use
      std::memcpy(chunks_.back().get(), bytes.data(), bytes.size());
      return {chunks_.back().get(), bytes.size()};
    }
    next_ = chunks_.back().get();
    left_ = size;
  }
  std::memcpy(next_, bytes.data(), bytes.size());
  const std::string_view kept(next_, bytes.size());
  next_ += bytes.size();
  left_ -= bytes.size();
  return kept;
}

std::string_view span_kind_name(SpanKind kind) {
  switch (kind) {
    case SpanKind::kUnspecified:
      return "unspecified";
    case SpanKind::kInternal:
      return "internal";
    case SpanKind::kServer:
      return "server";
    case SpanKind::kClient:
      return "client";
    case SpanKind::kProducer:
      return "producer";
    case SpanKind::kConsumer:
      return "consumer";
  }
  return "unspecified";
}

std::string_view status_code_name(StatusCode code) {
  switch (code) {
    case StatusCode::kUnset:
      return "unset";
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kError:
      return "error";
  }
  return "unset";
}

Status append_span_of_row(const Dictionary& dictionary, std::string_view row, Stamp stamp, TraceData& out) {
  Span span;
  span.stamp = stamp;
  if (!RowReader(dictionary, out).read(row, span)) {
    return Status(Code::kDataLoss,
                  "a stored span of trace " + out.key.trace.hex() +
                      " does not parse: its row and dictionary do not belong together, or are damaged");
  }
  out.spans.push_back(std::move(span));
  return {};
}

uint64_t span_hash(const Span& span) {
  ContentHash hash({.span_id = span.id.value,
                    .parent_id = span.parent.value,
                    .start_ns = span.start_ns,
                    .end_ns = span.end_ns,
                    .kind = static_cast<uint8_t>(span.kind),
                    .status = static_cast<uint8_t>(span.status),
                    .name = stable_hash64(span.name),
                    .resource = stable_hash64(span.resource != nullptr ? span.resource->raw : std::string_view()),
                    .scope = stable_hash64(span.scope != nullptr ? span.scope->raw : std::string_view()),
                    .attributes = list_hash(span.attributes)});
  if (span.flags != 0) hash.add_optional(kPartFlags, span.flags);
  if (!span.trace_state.empty()) hash.add_optional(kPartTraceState, stable_hash64(span.trace_state));
  if (!span.status_message.empty()) hash.add_optional(kPartStatusMessage, stable_hash64(span.status_message));
  if (span.dropped_attributes != 0 || span.dropped_events != 0 || span.dropped_links != 0) {
    hash.add_optional(kPartDropped, span.dropped_attributes);
    hash.add(uint64_t{span.dropped_events} << 32 | span.dropped_links);
  }
  for (const Event& event : span.events) {
    hash.add_optional(kPartEvent, static_cast<uint64_t>(event.time_ns));
    hash.add(stable_hash64(event.name));
    hash.add(list_hash(event.attributes));
    hash.add(event.dropped_attributes);
    hash.add(text_or_zero(event.unknown));
  }
  for (const Link& link : span.links) {
    hash.add_optional(kPartLink, link.trace.hi);
    hash.add(link.trace.lo);
    hash.add(link.span.value);
    hash.add(stable_hash64(link.trace_state));
    hash.add(list_hash(link.attributes));
    hash.add(uint64_t{link.dropped_attributes} << 32 | link.flags);
    hash.add(text_or_zero(link.unknown));
  }
  if (!span.unknown.empty()) hash.add_optional(kPartUnknown, stable_hash64(span.unknown));
  return hash.value();
}

}  // namespace clew::model

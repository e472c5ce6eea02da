#include "otlp/decode.h"

#include <cstring>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/fast_varint.h"
#include "model/wire.h"
#include "otlp/attribute_list.h"
#include "otlp/buffer.h"
#include "otlp/learnt.h"
#include "otlp/text_coder.h"
#include "otlp/wire_varint.h"

namespace clew::otlp {
namespace {

using model::EntryKind;

// The empty text, with what a TextCoder may read behind it.
constexpr char kNoText[kWindow] = {};

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
constexpr char kAttribute = 9 << 3 | kBytes, kEventAttribute = 3 << 3 | kBytes, kLinkAttribute = 4 << 3 | kBytes;

// What a span's own fields say; lists are views for a second look.
struct SpanFields {
  uint64_t id = 0, parent = 0;
  uint64_t start_ns = 0, end_ns = 0;
  uint32_t flags = 0;
  uint32_t dropped_attributes = 0, dropped_events = 0, dropped_links = 0;
  uint8_t kind = 0, status_code = 0;
  std::string_view trace_state, status_message;
};

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
  AttributeListWriter attributes, inner_attributes;

  // Of the span being decoded.
  std::vector<std::string_view> events, links;
  std::string unknown, status_unknown;
  uint32_t attribute_count = 0;
  Buffer padded;  // the span, so that its end may be read past
  Buffer row, cold, name, event_name;

  // The fields that nearly every span starts with, in their usual order and encoding. Moves `pos` to the first that is
  // something else. kNone, or why the span is rejected.
  Reject read_usual_start(const char*& pos, const char* end, SpanFields& out, uint32_t& trace_ids, uint32_t& kinds) {
    const auto starts = [&pos](int field, uint32_t wire, uint8_t size) {
      return static_cast<uint8_t>(pos[0]) == (static_cast<uint32_t>(field) << 3 | wire) &&
             static_cast<uint8_t>(pos[1]) == size;
    };
    // Two ids, name, kind and both times are looked for within the bytes that stand here for sure.
    if (end - pos < 18 + 10 + 10 + 2 || !starts(1, kBytes, 16)) return Reject::kNone;
    trace_ids = 1;
    pos += 18;
    if (!starts(2, kBytes, 8)) return Reject::kNone;
    out.id = model::SpanId::from_bytes(pos + 2).value;
    pos += 10;
    if (starts(4, kBytes, 8)) {
      out.parent = model::SpanId::from_bytes(pos + 2).value;
      pos += 10;
    }
    const size_t name_size = static_cast<uint8_t>(pos[1]);
    if (pos[0] != (5 << 3 | kBytes) || name_size >= 0x80 ||
        end - pos < static_cast<ptrdiff_t>(name_size) + 2 + 2 + 9 + 9) {
      return Reject::kNone;
    }
    if (!write_text(span_names, {pos + 2, name_size}, name)) return Reject::kInvalidUtf8;
    attributes.hint(texts.last_mark());
    pos += 2 + name_size;
    if (pos[0] != (6 << 3 | kVarint) || static_cast<uint8_t>(pos[1]) > 5) return Reject::kNone;
    kinds = 1;
    out.kind = static_cast<uint8_t>(pos[1]);
    pos += 2;
    if (pos[0] != (7 << 3 | kFixed64)) return Reject::kNone;
    std::memcpy(&out.start_ns, pos + 1, 8);
    pos += 9;
    if (pos[0] != (8 << 3 | kFixed64)) return Reject::kNone;
    std::memcpy(&out.end_ns, pos + 1, 8);
    pos += 9;
    return Reject::kNone;
  }

  Reject read_span(std::string_view span, SpanFields& out) {
    const char* pos = span.data();
    const char* const end = pos + span.size();
    uint32_t trace_ids = 0, kinds = 0, statuses = 0;
    bool odd_kind = false, odd_status = false;
    uint64_t number;
    std::string_view bytes;
    if (const Reject reject = read_usual_start(pos, end, out, trace_ids, kinds); reject != Reject::kNone) return reject;
    while (pos < end) {
      const char* const field = pos;
      if (*pos == kAttribute) {
        const Reject reject = attributes.add_all(pos, end, kAttribute, attribute_count);
        if (reject != Reject::kNone) return reject;
        continue;
      }
      if (pos[0] == (15 << 3 | kBytes) && pos[1] == 0 && end - pos >= 2) {  // an empty Status
        ++statuses;
        if (statuses > 1 && odd_status) return Reject::kMalformed;
        pos += 2;
        continue;
      }
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
        case 3 << 3 | kBytes:
          whole = read_bytes(pos, end, out.trace_state);
          break;
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
          if (!write_text(span_names, bytes, name)) return Reject::kInvalidUtf8;
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
        case 7 << 3 | kFixed64:
          whole = read_fixed(pos, end, out.start_ns);
          break;
        case 8 << 3 | kFixed64:
          whole = read_fixed(pos, end, out.end_ns);
          break;
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
      case kFixed64:
        size = 8;
        break;
      case kFixed32:
        size = 4;
        break;
      case kBytes:
        if (!read_varint(pos, end, size)) return false;
        break;
      default:
        return false;
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

  bool write_text(TextHabit& habit, std::string_view text, Buffer& to) {
    if (text.empty()) text = std::string_view(kNoText, kWindow).substr(0, 0);
    char* out = texts.write(habit, text, to.room(TextCoder::room(text.size())));
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
      if (*pos == kEventAttribute) {
        const Reject reject = inner_attributes.add_all(pos, end, kEventAttribute, attribute_count);
        if (reject != Reject::kNone) return reject;
        continue;
      }
      bool whole = true;
      switch (static_cast<uint8_t>(*pos++)) {
        case 1 << 3 | kFixed64:
          whole = read_fixed(pos, end, time_ns);
          break;
        case 2 << 3 | kBytes:
          whole = read_bytes(pos, end, bytes);
          if (!whole) break;
          event_name.clear();
          if (!write_text(event_names, bytes, event_name)) return Reject::kInvalidUtf8;
          inner_attributes.hint(~texts.last_mark());
          break;
        case 4 << 3 | kVarint:
          whole = read_varint(pos, end, dropped);
          break;
        default:
          pos = field;
          whole = skip_unknown(pos, end, 4, kept);
      }
      if (!whole) return Reject::kMalformed;
    }
    cold.append_varint(zigzag(static_cast<int64_t>(time_ns - start_ns)));
    if (event_name.size() == 0) write_text(event_names, {}, event_name);
    cold.append(event_name);
    inner_attributes.finish(cold);
    cold.append_varint(static_cast<uint32_t>(dropped));
    cold.append_varint(kept.size());
    cold.append(kept);
    return Reject::kNone;
  }

  Reject write_link(std::string_view message) {
    const char* pos = message.data();
    const char* const end = pos + message.size();
    std::string_view trace, span, trace_state;
    uint64_t dropped = 0;
    uint32_t flags = 0;
    std::string kept;
    inner_attributes.begin(*dictionary, *learnt);
    while (pos < end) {
      const char* const field = pos;
      if (*pos == kLinkAttribute) {
        const Reject reject = inner_attributes.add_all(pos, end, kLinkAttribute, attribute_count);
        if (reject != Reject::kNone) return reject;
        continue;
      }
      bool whole = true;
      switch (static_cast<uint8_t>(*pos++)) {
        case 1 << 3 | kBytes:
          whole = read_bytes(pos, end, trace);
          break;
        case 2 << 3 | kBytes:
          whole = read_bytes(pos, end, span);
          break;
        case 3 << 3 | kBytes:
          whole = read_bytes(pos, end, trace_state);
          break;
        case 5 << 3 | kVarint:
          whole = read_varint(pos, end, dropped);
          break;
        case 6 << 3 | kFixed32:
          whole = read_fixed(pos, end, flags);
          break;
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
    if (!write_text(trace_states, trace_state, cold)) return Reject::kInvalidUtf8;
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
    padded.clear();
    char* const copy = padded.room(span.size() + kReadableBehind);
    span.copy(copy, span.size());
    std::memset(copy + span.size(), 0, kReadableBehind);
    span = {copy, span.size()};
    attributes.begin(*dictionary, *learnt);
    SpanFields fields;
    if (const Reject reject = read_span(span, fields); reject != Reject::kNone) return reject;

    if (name.size() == 0) write_text(span_names, {}, name);

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
    row.append(name);
    attributes.finish(row);
    if (fields.flags != 0) row.append_varint(fields.flags);
    if (!fields.trace_state.empty() && !write_text(trace_states, fields.trace_state, row)) return Reject::kInvalidUtf8;
    if (!fields.status_message.empty() && !write_text(status_messages, fields.status_message, row)) {
      return Reject::kInvalidUtf8;
    }
    if (presence & model::kHasDropped) {
      row.append_varint(fields.dropped_attributes);
      row.append_varint(fields.dropped_events);
      row.append_varint(fields.dropped_links);
    }
    row.append(cold);
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

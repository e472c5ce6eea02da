// The row: one span, lossless, compact, dictionary-coded. The same bytes are the WAL record, the open-trace state and
// the input of the sealer. Written once by otlp/; read by a cursor without allocation.
//
// Layout (varint = LEB128, fixed = little-endian; `strref` below):
//   u8 presence          kHas* bits
//   u8 kind_status       kind in the low 3 bits (OTLP SpanKind 0–5), status code in bits 3–4 (0–2)
//   fixed64 span_id, [fixed64 parent_id], fixed64 start_ns
//   zigzag varint        end_ns - start_ns (wrapping)
//   varint resource code, varint scope code
//   strref name
//   attribute list
//   [varint flags] [strref trace_state] [strref status_message] [varint dropped attributes, events, links]
//   [varint n, n × event]   event: zigzag(time - start), strref name, attribute list, varint dropped attributes, bytes
//   unknown [varint n, n × link]    link: 16 bytes trace id, 8 bytes span id, strref trace_state, attribute list,
//   varint dropped,
//                           varint flags, bytes unknown
//   [bytes unknown]         protobuf fields of the span that this version does not know, verbatim
// attribute list: varint (shape code + 1), then one value per field; or varint 0, varint n, n × (strref key, u8 type,
// value) value by type: string → strref; bool → u8; int → zigzag varint; double → fixed64; bytes, complex, raw →
// length-prefixed strref: varint (x << 2 | mode)
//   mode 0: x = string code
//   mode 1: x = template code, then one varint per placeholder of the template. Never used for the span's name, so that
//           a head is read without the dictionary
//   mode 2: x = length, then the bytes
//
// Templates: in the template's text a placeholder is two bytes: 0x11 w = a run of decimal digits of exactly w digits
// with leading zeros; 0x12 0x01 = a decimal number without leading zeros (up to 18 digits); 0x13 w = w (4–16)
// lower-case hex digits. Texts that contain 0x11–0x13 themselves are never templated. A text whose runs don't fit is
// inlined.
//
// What the wire can say and these fields cannot stays in `unknown` as protobuf fields: kinds above 5 (`kind` is then 0)
// and of a Status its unknown fields and codes above 2, as a further Status message, which protobuf's rules merge with
// the first. An empty Status message is none.
//
// `row_hash` is canonical: equal for spans equal in content, whatever dictionary, encoding mode or wire form they came
// in. The order of attributes is not content; that of events and links is. Nested values, resources, scopes and unknown
// fields count by their bytes.
//
// Bytes may be anything: every reader here stays inside them and says malformed. Codes at or above the dictionary's
// size are malformed for cursors and check_row; parse_row_head has no dictionary, and such codes then read as "".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "model/dictionary.h"
#include "model/ids.h"

namespace clew::model {

enum RowPresence : uint8_t {
  kHasParent = 1,
  kHasFlags = 2,
  kHasTraceState = 4,
  kHasStatusMessage = 8,
  kHasDropped = 16,
  kHasEvents = 32,
  kHasLinks = 64,
  kHasUnknown = 128,
};

enum class StrMode : uint8_t { kCode = 0, kTemplate = 1, kInline = 2 };

struct StrRef {
  StrMode mode = StrMode::kInline;
  uint32_t code = 0;         // string or template code
  std::string_view payload;  // inline bytes, or the encoded placeholder numbers of a template
};

// One attribute as it stands in a row. Borrowed from the row and the dictionary.
struct RowValue {
  bool key_inline = false;
  uint32_t key = 0;           // string code, when !key_inline
  std::string_view key_text;  // always
  ValueType type = ValueType::kEmpty;
  StrRef string;           // kString
  uint64_t number = 0;     // kBool (0/1), kInt (two's complement), kDouble (bits)
  std::string_view bytes;  // kBytes, kComplex, kRaw
};

// Walks one attribute list.
class AttributeCursor {
 public:
  AttributeCursor(const Dictionary& dictionary, const char* pos, const char* end);
  bool next(RowValue& out);  // false at the end, or on malformed bytes (then !ok())
  bool ok() const { return reader_.ok(); }
  const char* position() const { return reader_.position(); }  // after the list, once next() returned false
  bool has_shape() const { return has_shape_; }
  uint32_t shape_code() const { return shape_code_; }
  uint32_t count() const { return count_; }

 private:
  const Dictionary* dictionary_;
  ByteReader reader_;
  bool has_shape_ = false;
  uint32_t shape_code_ = 0;
  uint32_t count_ = 0;
  uint32_t index_ = 0;
  std::span<const ShapeField> shape_;
};

// The head of a row, and where its lists begin. Parsing it does not walk attributes, events or links.
struct RowHead {
  uint8_t presence = 0;
  uint8_t kind = 0;
  uint8_t status_code = 0;
  SpanId span_id;
  SpanId parent_id;
  int64_t start_ns = 0;
  int64_t end_ns = 0;
  uint32_t resource = 0;
  uint32_t scope = 0;
  StrRef name;
  const char* attributes = nullptr;  // start of the attribute list
  const char* end = nullptr;         // end of the row
};
// Rows were written by this process or passed a checksum, yet a version or a bug may differ: false when malformed.
bool parse_row_head(std::string_view row, RowHead& out);
// Its start alone; nothing when the row is too short to have one. A load.
std::optional<int64_t> row_start_ns(std::string_view row);

// What follows the attributes. Needs the position after them (AttributeCursor::position()).
struct RowTail {
  uint32_t flags = 0;
  StrRef trace_state;
  StrRef status_message;
  uint32_t dropped_attributes = 0, dropped_events = 0, dropped_links = 0;
  uint32_t event_count = 0, link_count = 0;
  const char* events = nullptr;  // walk with EventCursor / LinkCursor
  const char* links = nullptr;   // null when events come before them: see row_links()
  std::string_view
      cold;  // the bytes of events, links and unknown fields as one piece: what a segment's cold group keeps
};
bool parse_row_tail(const Dictionary& dictionary, const RowHead& head, const char* after_attributes, RowTail& out);

// `cold` of a row, walked: it needs the row's presence bits and start, nothing else. Events come first, then links,
// then the unknown fields; each cursor starts where the one before ended.
struct RowEvent {
  int64_t time_ns = 0;
  StrRef name;
  std::string_view attributes;  // the bytes of the list: AttributeCursor(dictionary, data(), data() + size())
  uint32_t dropped_attributes = 0;
  std::string_view unknown;
};
class EventCursor {
 public:
  EventCursor(const Dictionary& dictionary, uint8_t presence, int64_t start_ns, std::string_view cold);
  bool next(RowEvent& out);  // false at the end, or on malformed bytes (then !ok())
  bool ok() const { return reader_.ok(); }
  std::string_view rest() const { return {reader_.position(), reader_.remaining()}; }  // once next() returned false

 private:
  const Dictionary* dictionary_;
  ByteReader reader_;
  int64_t start_ns_;
  uint64_t left_ = 0;
};

struct RowLink {
  TraceId trace;
  SpanId span;
  StrRef trace_state;
  std::string_view attributes;
  uint32_t dropped_attributes = 0;
  uint32_t flags = 0;
  std::string_view unknown;
};
class LinkCursor {
 public:
  // `rest`: EventCursor::rest() after all events.
  LinkCursor(const Dictionary& dictionary, uint8_t presence, std::string_view rest);
  bool next(RowLink& out);
  bool ok() const { return reader_.ok(); }
  std::string_view rest() const { return {reader_.position(), reader_.remaining()}; }

 private:
  const Dictionary* dictionary_;
  ByteReader reader_;
  uint64_t left_ = 0;
};

// `rest`: LinkCursor::rest() after all links. False when malformed, or when bytes are left over.
bool read_unknown(uint8_t presence, std::string_view rest, std::string_view& unknown);

// Walks over the events and sets `links` and `link_count` of the tail. False when malformed.
bool row_links(const Dictionary& dictionary, const RowHead& head, RowTail& tail);

// Walks the whole row: true when every part parses and every code has an entry that is not lost. For rows from disk,
// once.
bool check_row(const Dictionary& dictionary, std::string_view row);

// The text of a strref. `scratch` receives it when it had to be rebuilt from a template.
std::string_view strref_text(const Dictionary& dictionary, EntryKind code_kind, const StrRef& ref,
                             std::string& scratch);

// Writes `text` as a strref: by code where the dictionary takes it (and `may_intern`), by template, else inline.
// `templated`: the caller found that this key's values rarely repeat: a template is tried first, and a text that has
// none goes in by code only if the dictionary has it already.
void append_strref(Dictionary& dictionary, std::string_view text, bool may_intern, bool templated, std::string& out);

// Splits a text into template and numbers: false when it has no run worth cutting or cannot be rebuilt exactly.
bool split_template(std::string_view text, std::string& template_text, std::vector<uint64_t>& numbers);
// The inverse; false when counts do not fit.
bool join_template(std::string_view template_text, std::span<const uint64_t> numbers, std::string& out);
uint32_t template_placeholders(std::string_view template_text);

// Content hash of a whole span, resource and scope included, trace id excluded. 0 when the row is malformed.
uint64_t row_hash(const Dictionary& dictionary, std::string_view row);

}  // namespace clew::model

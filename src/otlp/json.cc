#include "otlp/json.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "base/varint.h"
#include "otlp/base64.h"
#include "otlp/json_scanner.h"
#include "otlp/json_schema.h"
#include "otlp/utf8.h"

namespace clew::otlp {
namespace {

enum Wire : uint32_t { kWireVarint = 0, kWireFixed64 = 1, kWireLength = 2, kWireFixed32 = 5 };

// Reordering buffers above this are given back after the call.
constexpr size_t kKeptBytes = 1u << 20;
constexpr size_t kMaxErrorKey = 64;

constexpr std::array<uint8_t, 256> make_hex_table() {
  std::array<uint8_t, 256> table{};
  for (uint8_t& entry : table) entry = 0xff;
  for (uint8_t i = 0; i < 10; ++i) table['0' + i] = i;
  for (uint8_t i = 0; i < 6; ++i) table['a' + i] = table['A' + i] = static_cast<uint8_t>(10 + i);
  return table;
}
constexpr std::array<uint8_t, 256> kHex = make_hex_table();

// Writes hex.size() / 2 bytes; false when `hex` is not an even number of hex digits.
bool decode_hex(std::string_view hex, char* out) {
  if (hex.size() % 2 != 0) return false;
  uint32_t bad = 0;
  for (size_t i = 0; i < hex.size(); i += 2) {
    const uint32_t high = kHex[static_cast<uint8_t>(hex[i])], low = kHex[static_cast<uint8_t>(hex[i + 1])];
    bad |= high | low;
    *out++ = static_cast<char>(high << 4 | low);
  }
  return (bad & 0xf0) == 0;
}

size_t varint_size(uint64_t v) { return (static_cast<size_t>(std::bit_width(v | 1)) + 6) / 7; }

// The double that `text` (a JSON number) writes; false when it overflows.
bool parse_double(std::string_view text, double& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (end != text.data() + text.size()) return false;
  if (error == std::errc()) return true;
  if (error != std::errc::result_out_of_range) return false;
  // from_chars reports overflow and underflow alike; only the first is an error.
  out = std::strtod(std::string(text).c_str(), nullptr);
  return std::isfinite(out);
}

// An integer written as such ("12") or as a number without a fraction ("1.2e1"), as protobuf's JSON allows.
template <typename T>
bool parse_integer(std::string_view text, T& out) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out);
  if (error == std::errc() && stop == end) return true;
  double real = 0;
  if (text.find_first_of(".eE") == std::string_view::npos || !parse_double(text, real) || real != std::trunc(real))
    return false;
  const double low = static_cast<double>(std::numeric_limits<T>::min());
  const double above = std::ldexp(1.0, std::numeric_limits<T>::digits);  // max + 1, exact
  if (!(real >= low && real < above)) return false;
  out = static_cast<T>(real);
  return true;
}

// Where `text` stops being UTF-8: only for the message, once the fast check has failed.
size_t first_invalid_utf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t step = utf8_length(text, at);
    if (step == 0) break;
    at += step;
  }
  return at;
}

}  // namespace

struct JsonReader::Impl {
  // One field of the message being written: where its bytes lie in the output.
  struct Segment {
    uint32_t number;
    size_t begin, end;
  };

  Status run(std::string_view json, const Limits& limits, std::string& out);

  bool message(MessageType type);
  bool field(const JsonField& spec);
  bool value(const JsonField& spec);
  bool submessage(const JsonField& spec);
  bool string_field(const JsonField& spec);
  bool id_field(const JsonField& spec);
  bool bytes_field(const JsonField& spec);
  bool bool_field(const JsonField& spec);
  bool integer_field(const JsonField& spec);
  bool double_field(const JsonField& spec);
  bool enum_field(const JsonField& spec);

  // The key at the cursor, colon included. `found` is null for a key that the schema does not have.
  bool key(const JsonSchema& schema, uint8_t& predicted, const JsonField*& found);
  // The characters of a number, given bare or in quotes.
  bool number_text(std::string_view& text);
  // The text of a string token; unescaped into scratch_ when it has escapes.
  bool plain_string(std::string_view& text);
  void reorder(size_t first_segment, size_t body);

  // Room for n more bytes.
  void room(size_t n) {
    if (out_->size() - size_ < n) out_->resize(std::max(out_->size() * 2, size_ + n));
  }
  char* cursor() { return out_->data() + size_; }
  void advance_to(const char* position) { size_ = static_cast<size_t>(position - out_->data()); }
  void put(uint64_t v) { advance_to(put_varint(cursor(), v)); }
  void put_tag(const JsonField& spec, Wire wire) { put(static_cast<uint32_t>(spec.number) << 3 | wire); }

  // The path of a failure grows while the calls return.
  void prepend(std::string_view step) { path_ = std::string(step).append(path_); }
  bool failed_in(std::string_view name) {
    prepend(name.substr(0, kMaxErrorKey));
    prepend(".");
    return false;
  }

  JsonScanner scanner_{std::string_view()};
  std::string* out_ = nullptr;  // sized generously; size_ is what is written
  size_t size_ = 0;
  bool keep_default_ = false;  // inside a oneof or a list, where even "" and 0 say something
  uint32_t depth_ = 0;         // of nested arrays and lists
  uint32_t max_depth_ = 0;
  std::vector<Segment> segments_;
  std::string scratch_;
  std::string path_;

  // What the last messages looked like, by type: which field follows which, and how long their lengths were.
  struct Habit {
    std::array<uint8_t, kMaxJsonFields + 1> next{};  // [0]: the first field; [i + 1]: after field i
    uint8_t length_bytes = 1;
  };
  std::array<Habit, kMessageTypes> habits_;
};

JsonReader::JsonReader() : impl_(std::make_unique<Impl>()) {
  for (size_t type = 0; type < kMessageTypes; ++type) {
    const JsonSchema& schema = json_schema(static_cast<MessageType>(type));
    impl_->habits_[type].length_bytes = schema.length_bytes_hint;
    for (size_t i = 0; i < schema.fields.size(); ++i) impl_->habits_[type].next[i] = static_cast<uint8_t>(i);
  }
}
JsonReader::~JsonReader() = default;

Status JsonReader::to_protobuf(std::string_view json, const Limits& limits, std::string& out) {
  return impl_->run(json, limits, out);
}

Status JsonReader::Impl::run(std::string_view json, const Limits& limits, std::string& out) {
  constexpr std::string_view kAdvice =
      "; send OTLP JSON (ExportTraceServiceRequest) as the OTLP specification writes it";
  if (!simdjson::validate_utf8(json.data(), json.size())) {
    out.clear();
    return {Code::kInvalidArgument, std::string("byte ")
                                        .append(std::to_string(first_invalid_utf8(json)))
                                        .append(": not UTF-8; JSON must be sent as UTF-8")};
  }
  size_t skipped = 0;
  if (json.starts_with("\xef\xbb\xbf")) json.remove_prefix(skipped = 3);  // a byte order mark

  scanner_ = JsonScanner(json);
  out_ = &out;
  size_ = 0;
  keep_default_ = false;
  depth_ = 0;
  max_depth_ = limits.max_depth;
  segments_.clear();
  path_.clear();
  out.resize(std::max(out.capacity(), json.size() / 2 + 64));

  bool ok = message(MessageType::kRequest);
  if (ok && !scanner_.at_end()) ok = scanner_.fail("something follows the document; send one JSON document a request");
  if (scratch_.capacity() > kKeptBytes) scratch_ = std::string();
  if (!ok) {
    out.clear();
    std::string text = path_.empty() ? std::string() : path_.substr(1) + ", ";
    text.append("byte ").append(std::to_string(scanner_.error_at() + skipped)).append(": ").append(scanner_.error());
    return {Code::kInvalidArgument, text.append(kAdvice)};
  }
  out.resize(size_);
  return {};
}

bool JsonReader::Impl::message(MessageType type) {
  const JsonSchema& schema = json_schema(type);
  if (!scanner_.expect('{', "expected an object")) return false;
  const size_t first_segment = segments_.size();
  const size_t body = size_;
  uint32_t seen = 0;
  uint32_t last_number = 0;
  bool ordered = true;
  uint8_t previous = 0;  // index + 1 of the field before
  Habit& habit = habits_[static_cast<size_t>(type)];

  if (!scanner_.take('}')) {
    for (;;) {
      const JsonField* spec = nullptr;
      uint8_t index = habit.next[previous];
      if (!key(schema, index, spec)) return false;
      if (spec == nullptr) {
        if (!scanner_.skip_value()) return false;
      } else if (scanner_.peek() == 'n') {
        if (!scanner_.literal("null")) return failed_in(spec->name);
      } else {
        habit.next[previous] = index;
        previous = static_cast<uint8_t>(index + 1);
        if (seen & 1u << index) {
          scanner_.fail("the key appears twice in its object");
          return failed_in(spec->name);
        }
        if (schema.oneof && seen != 0) {
          scanner_.fail("a value holds several types; give one of stringValue, boolValue, intValue, ...");
          return failed_in(spec->name);
        }
        seen |= 1u << index;
        if (spec->number < last_number) ordered = false;
        last_number = spec->number;
        const size_t begin = size_;
        keep_default_ = schema.oneof || spec->repeated;
        if (!field(*spec)) return false;
        segments_.push_back({spec->number, begin, size_});
      }
      if (scanner_.take(',')) {
        if (scanner_.peek() != '"') return scanner_.fail("expected a key after the comma");
        continue;
      }
      if (!scanner_.expect('}', "expected a comma or a closing brace")) return false;
      break;
    }
  }
  if (!ordered) reorder(first_segment, body);
  segments_.resize(first_segment);
  return true;
}

bool JsonReader::Impl::key(const JsonSchema& schema, uint8_t& predicted, const JsonField*& found) {
  if (scanner_.peek() != '"') return scanner_.fail("expected a key in quotes");
  if (predicted < schema.fields.size() && scanner_.take_key(schema.fields[predicted].name)) {
    found = &schema.fields[predicted];
    return scanner_.expect(':', "expected a colon after the key");
  }
  std::string_view text;
  bool escaped = false;
  const char* const start = scanner_.position();
  if (!scanner_.string(text, escaped)) return false;
  if (escaped) {
    scratch_.resize(text.size());
    const char* const end = unescape_json(text, scratch_.data());
    if (end == nullptr) return scanner_.fail_at(start, "a bad escape in a key");
    text = std::string_view(scratch_.data(), static_cast<size_t>(end - scratch_.data()));
  }
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    const JsonField& candidate = schema.fields[i];
    if (text == candidate.name || (!candidate.alias.empty() && text == candidate.alias)) {
      predicted = static_cast<uint8_t>(i);
      found = &candidate;
      break;
    }
  }
  return scanner_.expect(':', "expected a colon after the key");
}

bool JsonReader::Impl::field(const JsonField& spec) {
  if (!spec.repeated) return value(spec) || failed_in(spec.name);
  if (!scanner_.expect('[', "expected an array")) return failed_in(spec.name);
  if (scanner_.take(']')) return true;
  for (size_t i = 0;; ++i) {
    bool ok = true;
    if (scanner_.peek() == 'n') {
      ok = scanner_.literal("null");
      if (ok && spec.message == MessageType::kAnyValue) {  // in an array of values, null keeps its place
        room(2 * kMaxVarintBytes);
        put_tag(spec, kWireLength);
        put(0);
      }
    } else {
      keep_default_ = true;
      ok = value(spec);
    }
    if (ok && scanner_.take(',')) continue;
    if (ok && scanner_.expect(']', "expected a comma or a closing bracket")) return true;
    prepend(std::string(1, '[').append(std::to_string(i)).append(1, ']'));
    return failed_in(spec.name);
  }
}

bool JsonReader::Impl::value(const JsonField& spec) {
  switch (spec.kind) {
    case FieldKind::kString:
      return string_field(spec);
    case FieldKind::kId:
    case FieldKind::kParentId:
      return id_field(spec);
    case FieldKind::kBytes:
      return bytes_field(spec);
    case FieldKind::kBool:
      return bool_field(spec);
    case FieldKind::kInt64:
    case FieldKind::kUint32:
    case FieldKind::kFixed64:
    case FieldKind::kFixed32:
      return integer_field(spec);
    case FieldKind::kDouble:
      return double_field(spec);
    case FieldKind::kEnum:
      return enum_field(spec);
    case FieldKind::kMessage:
      return submessage(spec);
  }
  return false;
}

bool JsonReader::Impl::submessage(const JsonField& spec) {
  const bool nests = spec.message == MessageType::kArrayValue || spec.message == MessageType::kKeyValueList;
  if (nests && ++depth_ > max_depth_) return scanner_.fail("values are nested too deeply; flatten the attribute");
  uint8_t& length_bytes = habits_[static_cast<size_t>(spec.message)].length_bytes;
  room(2 * kMaxVarintBytes);
  put_tag(spec, kWireLength);
  const size_t length_at = size_;
  const size_t guess = length_bytes;
  size_ += guess;
  if (!message(spec.message)) return false;
  const size_t length = size_ - length_at - guess;
  const size_t need = varint_size(length);
  if (need != guess) {
    room(kMaxVarintBytes);
    char* const at = out_->data() + length_at;
    std::memmove(at + need, at + guess, length);
    size_ = size_ - guess + need;
    length_bytes = static_cast<uint8_t>(need);
  }
  put_varint(out_->data() + length_at, length);
  if (nests) --depth_;
  return true;
}

bool JsonReader::Impl::string_field(const JsonField& spec) {
  std::string_view raw;
  bool escaped = false;
  const char* const start = scanner_.position();
  if (!scanner_.string(raw, escaped)) return false;
  if (raw.empty() && !keep_default_) return true;
  room(raw.size() + 3 * kMaxVarintBytes);
  put_tag(spec, kWireLength);
  if (!escaped) {
    put(raw.size());
    std::memcpy(cursor(), raw.data(), raw.size());
    size_ += raw.size();
    return true;
  }
  // The unescaped text is never longer: write it behind the longest length it may need, then close the gap.
  const size_t guess = varint_size(raw.size());
  char* const text = cursor() + guess;
  const char* const end = unescape_json(raw, text);
  if (end == nullptr) return scanner_.fail_at(start, "a bad escape in a string");
  const auto length = static_cast<size_t>(end - text);
  put(length);
  std::memmove(cursor(), text, length);
  size_ += length;
  return true;
}

bool JsonReader::Impl::id_field(const JsonField& spec) {
  if (scanner_.peek() != '"') return scanner_.fail("expected an id: hex digits in quotes");
  std::string_view hex;
  bool escaped = false;
  if (!scanner_.string(hex, escaped)) return false;
  if (hex.empty()) return true;
  const size_t mark = size_;
  room(hex.size() + 3 * kMaxVarintBytes);
  put_tag(spec, kWireLength);
  put(hex.size() / 2);
  if (decode_hex(hex, cursor())) {
    size_ += hex.size() / 2;
    return true;
  }
  size_ = mark;
  if (spec.kind == FieldKind::kParentId) {
    put_tag(spec, kWireLength);
    put(1);
    put(0);
  }
  return true;
}

bool JsonReader::Impl::bytes_field(const JsonField& spec) {
  const char* const start = scanner_.position();
  std::string_view text;
  if (!plain_string(text)) return false;
  if (text.empty() && !keep_default_) return true;
  const size_t bound = base64_decoded_bound(text.size());
  room(bound + 3 * kMaxVarintBytes);
  put_tag(spec, kWireLength);
  char* const bytes = cursor() + varint_size(bound);
  const ptrdiff_t length = decode_base64(text, bytes);
  if (length < 0) return scanner_.fail_at(start, "not base64");
  put(static_cast<uint64_t>(length));
  std::memmove(cursor(), bytes, static_cast<size_t>(length));
  size_ += static_cast<size_t>(length);
  return true;
}

bool JsonReader::Impl::bool_field(const JsonField& spec) {
  const bool yes = scanner_.peek() == 't';
  if (!scanner_.literal(yes ? "true" : "false")) return false;
  if (!yes && !keep_default_) return true;
  room(2 * kMaxVarintBytes);
  put_tag(spec, kWireVarint);
  put(yes ? 1 : 0);
  return true;
}

bool JsonReader::Impl::plain_string(std::string_view& text) {
  bool escaped = false;
  const char* const start = scanner_.position();
  if (!scanner_.string(text, escaped)) return false;
  if (!escaped) return true;
  scratch_.resize(text.size());
  const char* const end = unescape_json(text, scratch_.data());
  if (end == nullptr) return scanner_.fail_at(start, "a bad escape in a string");
  text = std::string_view(scratch_.data(), static_cast<size_t>(end - scratch_.data()));
  return true;
}

bool JsonReader::Impl::number_text(std::string_view& text) {
  return scanner_.peek() == '"' ? plain_string(text) : scanner_.number(text);
}

bool JsonReader::Impl::integer_field(const JsonField& spec) {
  scanner_.peek();
  const char* const start = scanner_.position();
  std::string_view text;
  if (!number_text(text)) return false;
  room(2 * kMaxVarintBytes);
  if (spec.kind == FieldKind::kInt64) {
    int64_t v = 0;
    if (!parse_integer(text, v)) return scanner_.fail_at(start, "expected a 64-bit integer");
    if (v == 0 && !keep_default_) return true;
    put_tag(spec, kWireVarint);
    put(static_cast<uint64_t>(v));
    return true;
  }
  if (spec.kind == FieldKind::kFixed64) {
    uint64_t v = 0;
    if (!parse_integer(text, v))
      return scanner_.fail_at(start, "expected an unsigned 64-bit integer (nanoseconds since 1970)");
    if (v == 0 && !keep_default_) return true;
    put_tag(spec, kWireFixed64);
    std::memcpy(cursor(), &v, 8);
    size_ += 8;
    return true;
  }
  uint32_t v = 0;
  if (!parse_integer(text, v)) return scanner_.fail_at(start, "expected an unsigned 32-bit integer");
  if (v == 0 && !keep_default_) return true;
  if (spec.kind == FieldKind::kUint32) {
    put_tag(spec, kWireVarint);
    put(v);
  } else {
    put_tag(spec, kWireFixed32);
    std::memcpy(cursor(), &v, 4);
    size_ += 4;
  }
  return true;
}

bool JsonReader::Impl::double_field(const JsonField& spec) {
  const bool quoted = scanner_.peek() == '"';
  const char* const start = scanner_.position();
  std::string_view text;
  if (!number_text(text)) return false;
  double v = 0;
  if (quoted && text == "NaN") {
    v = std::numeric_limits<double>::quiet_NaN();
  } else if (quoted && text == "Infinity") {
    v = std::numeric_limits<double>::infinity();
  } else if (quoted && text == "-Infinity") {
    v = -std::numeric_limits<double>::infinity();
  } else if (text.find_first_not_of("+-0123456789.eE") != std::string_view::npos || !parse_double(text, v)) {
    return scanner_.fail_at(start, "expected a double: a number, \"NaN\", \"Infinity\" or \"-Infinity\"");
  }
  if (std::bit_cast<uint64_t>(v) == 0 && !keep_default_) return true;
  room(2 * kMaxVarintBytes);
  put_tag(spec, kWireFixed64);
  std::memcpy(cursor(), &v, 8);
  size_ += 8;
  return true;
}

bool JsonReader::Impl::enum_field(const JsonField& spec) {
  const bool quoted = scanner_.peek() == '"';
  const char* const start = scanner_.position();
  std::string_view text;
  if (!number_text(text)) return false;
  int32_t v = -1;
  if (quoted) {
    for (size_t i = 0; i < spec.enum_names.size(); ++i) {
      if (text == spec.enum_names[i]) v = static_cast<int32_t>(i);
    }
  }
  if (v < 0 && !parse_integer(text, v))
    return scanner_.fail_at(start, "not a value of this enum; give its number or its full name");
  if (v == 0 && !keep_default_) return true;
  room(2 * kMaxVarintBytes);
  put_tag(spec, kWireVarint);
  put(static_cast<uint64_t>(static_cast<int64_t>(v)));
  return true;
}

// Each field appears once in its object, so there are at most kMaxJsonFields segments to put in order.
void JsonReader::Impl::reorder(size_t first_segment, size_t body) {
  const auto begin = segments_.begin() + static_cast<ptrdiff_t>(first_segment);
  std::sort(begin, segments_.end(), [](const Segment& a, const Segment& b) { return a.number < b.number; });
  scratch_.assign(out_->data() + body, size_ - body);
  char* to = out_->data() + body;
  for (auto segment = begin; segment != segments_.end(); ++segment) {
    std::memcpy(to, scratch_.data() + (segment->begin - body), segment->end - segment->begin);
    to += segment->end - segment->begin;
  }
}

}  // namespace clew::otlp

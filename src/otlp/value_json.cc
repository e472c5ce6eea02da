// Attribute values as JSON and as text: the half of encode.h that looks into values.
#include <bit>
#include <charconv>
#include <cmath>
#include <optional>

#include "model/wire.h"
#include "otlp/base64.h"
#include "otlp/encode.h"
#include "otlp/hex.h"
#include "otlp/utf8.h"

namespace clew::otlp {
namespace {

using model::Value;
using model::ValueType;
using model::WireField;
using model::WireReader;
using model::WireType;

template <typename T>
void append_number(T value, std::string& out) {
  char digits[32];
  out.append(digits, static_cast<size_t>(std::to_chars(digits, digits + sizeof digits, value).ptr - digits));
}

const char* not_finite_name(double value) { return std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity"; }

void append_double(double value, std::string& out) {
  if (value == 0 && std::signbit(value)) {
    out += "-0.0";  // "-0" is an integer to some readers, which then lose the sign
  } else if (std::isfinite(value)) {
    append_number(value, out);
  } else {
    out.append(1, '"').append(not_finite_name(value)).append(1, '"');
  }
}

void append_base64_string(std::string_view bytes, std::string& out) {
  out += '"';
  append_base64(bytes, out);
  out += '"';
}

// The alternative that an AnyValue's bytes hold: the last one given, as protobuf reads a oneof. Nothing: empty or
// malformed.
std::optional<WireField> alternative_of(std::string_view any_value) {
  constexpr WireType kTypes[] = {WireType::kBytes, WireType::kVarint, WireType::kVarint, WireType::kFixed64,
                                 WireType::kBytes, WireType::kBytes,  WireType::kBytes};
  std::optional<WireField> result;
  WireReader reader(any_value);
  for (WireField field; reader.next(field);) {
    if (field.number >= 1 && field.number <= 7 && field.type == kTypes[field.number - 1]) result = field;
  }
  return reader.ok() ? result : std::nullopt;
}

struct KeyValueBytes {
  std::string_view key, value;
};
KeyValueBytes key_value_of(std::string_view bytes) {
  KeyValueBytes result;
  WireReader reader(bytes);
  for (WireField field; reader.next(field);) {
    if (field.type != WireType::kBytes) continue;
    if (field.number == 1) result.key = field.bytes;
    if (field.number == 2) result.value = field.bytes;
  }
  return reader.ok() ? result : KeyValueBytes();
}

// Calls visit(bytes, index) for each element of an ArrayValue's or KeyValueList's bytes.
template <typename Visit>
void for_each_element(std::string_view list, Visit&& visit) {
  WireReader reader(list);
  size_t index = 0;
  for (WireField field; reader.next(field);) {
    if (field.number == 1 && field.type == WireType::kBytes) visit(field.bytes, index++);
  }
}

// {"intValue":"5"}
void append_typed(std::string_view any_value, uint32_t depth, std::string& out) {
  const std::optional<WireField> field = alternative_of(any_value);
  if (!field || depth > kMaxWrittenDepth) {
    out += "{}";
    return;
  }
  switch (field->number) {
    case 1:
      out += R"({"stringValue":)";
      append_json_string(field->bytes, out);
      break;
    case 2:
      out += field->value != 0 ? R"({"boolValue":true)" : R"({"boolValue":false)";
      break;
    case 3:
      out += R"({"intValue":")";
      append_number(static_cast<int64_t>(field->value), out);
      out += '"';
      break;
    case 4:
      out += R"({"doubleValue":)";
      append_double(std::bit_cast<double>(field->value), out);
      break;
    case 5:
      out += R"({"arrayValue":{"values":[)";
      for_each_element(field->bytes, [&](std::string_view element, size_t index) {
        if (index > 0) out += ',';
        append_typed(element, depth + 1, out);
      });
      out += "]}";
      break;
    case 6:
      out += R"({"kvlistValue":{"values":[)";
      for_each_element(field->bytes, [&](std::string_view element, size_t index) {
        const KeyValueBytes pair = key_value_of(element);
        out += index > 0 ? R"(,{"key":)" : R"({"key":)";
        append_json_string(pair.key, out);
        out += R"(,"value":)";
        append_typed(pair.value, depth + 1, out);
        out += '}';
      });
      out += "]}";
      break;
    default:
      out += R"({"bytesValue":)";
      append_base64_string(field->bytes, out);
  }
  out += '}';
}

// 5, "x", [1,"x"], {"k":1}: the value itself, for people.
void append_plain(std::string_view any_value, uint32_t depth, std::string& out) {
  const std::optional<WireField> field = alternative_of(any_value);
  if (!field || depth > kMaxWrittenDepth) {
    out += "null";
    return;
  }
  switch (field->number) {
    case 1:
      append_json_string(field->bytes, out);
      break;
    case 2:
      out += field->value != 0 ? "true" : "false";
      break;
    case 3:
      append_number(static_cast<int64_t>(field->value), out);
      break;
    case 4:
      append_double(std::bit_cast<double>(field->value), out);
      break;
    case 5:
      out += '[';
      for_each_element(field->bytes, [&](std::string_view element, size_t index) {
        if (index > 0) out += ',';
        append_plain(element, depth + 1, out);
      });
      out += ']';
      break;
    case 6:
      out += '{';
      for_each_element(field->bytes, [&](std::string_view element, size_t index) {
        const KeyValueBytes pair = key_value_of(element);
        if (index > 0) out += ',';
        append_json_string(pair.key, out);
        out += ':';
        append_plain(pair.value, depth + 1, out);
      });
      out += '}';
      break;
    default:
      append_base64_string(field->bytes, out);
  }
}

// The value inside a KeyValue that is kept whole, as far as it can be understood.
Value understood(std::string_view key_value) {
  Value value;
  const std::string_view bytes = key_value_of(key_value).value;
  const std::optional<WireField> field = alternative_of(bytes);
  if (!field) return value;
  constexpr ValueType kTypes[] = {ValueType::kString,  ValueType::kBool,    ValueType::kInt,  ValueType::kDouble,
                                  ValueType::kComplex, ValueType::kComplex, ValueType::kBytes};
  value.type = kTypes[field->number - 1];
  value.bytes = value.type == ValueType::kComplex ? bytes : field->bytes;
  value.integer = value.type == ValueType::kBool ? field->value != 0 : static_cast<int64_t>(field->value);
  value.real = std::bit_cast<double>(field->value);
  return value;
}

}  // namespace

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  size_t run = 0;  // start of what needs no change
  for (size_t at = 0; at < text.size();) {
    const auto c = static_cast<uint8_t>(text[at]);
    if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
      ++at;
      continue;
    }
    const size_t step = utf8_length(text, at);
    if (step > 1) {
      at += step;
      continue;
    }
    out.append(text.substr(run, at - run));
    run = ++at;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (c < 0x20) {
          out += "\\u";
          append_hex(c, 4, out);
        } else {
          out += "\xef\xbf\xbd";  // U+FFFD for a byte that is not UTF-8
        }
    }
  }
  out.append(text.substr(run));
  out += '"';
}

void append_any_value_json(const Value& value, JsonFlavour flavour, std::string& out) {
  switch (value.type) {
    case ValueType::kEmpty:
      out += "{}";
      return;
    case ValueType::kString:
      out += R"({"stringValue":)";
      append_json_string(value.bytes, out);
      break;
    case ValueType::kBool:
      out += value.integer != 0 ? R"({"boolValue":true)" : R"({"boolValue":false)";
      break;
    case ValueType::kInt:
      out += R"({"intValue":")";
      append_number(value.integer, out);
      out += '"';
      break;
    case ValueType::kDouble:
      out += R"({"doubleValue":)";
      append_double(value.real, out);
      break;
    case ValueType::kBytes:
      out += R"({"bytesValue":)";
      append_base64_string(value.bytes, out);
      break;
    case ValueType::kComplex:
      append_typed(value.bytes, 1, out);
      return;
    case ValueType::kRaw:
      append_any_value_json(understood(value.bytes), flavour, out);
      return;
  }
  out += '}';
}

std::string value_text(const Value& value) {
  std::string out;
  switch (value.type) {
    case ValueType::kEmpty:
      break;
    case ValueType::kString:
      out = value.bytes;
      break;
    case ValueType::kBool:
      out = value.integer != 0 ? "true" : "false";
      break;
    case ValueType::kInt:
      append_number(value.integer, out);
      break;
    case ValueType::kDouble:
      if (std::isfinite(value.real)) {
        append_number(value.real, out);
      } else {
        out = not_finite_name(value.real);
      }
      break;
    case ValueType::kBytes:
      append_base64(value.bytes, out);
      break;
    case ValueType::kComplex:
      append_plain(value.bytes, 1, out);
      break;
    case ValueType::kRaw:
      return value_text(understood(value.bytes));
  }
  return out;
}

}  // namespace clew::otlp

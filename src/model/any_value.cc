#include "model/any_value.h"

#include <bit>

#include "model/wire.h"

namespace clew::model {
namespace {

enum class Reading { kPlain, kUnusual, kMalformed };

Reading read_value(std::string_view bytes, Value& out) {
  out = Value{};
  WireReader reader(bytes);
  WireField field;
  bool unusual = false, seen = false;
  while (reader.next(field)) {
    if (seen) unusual = true;
    seen = true;
    const bool text = field.type == WireType::kBytes;
    switch (field.number) {
      case 1:
        if (!text) return Reading::kMalformed;
        out.type = ValueType::kString;
        out.bytes = field.bytes;
        break;
      case 2:
        if (field.type != WireType::kVarint) return Reading::kMalformed;
        out.type = ValueType::kBool;
        out.integer = field.value != 0;
        break;
      case 3:
        if (field.type != WireType::kVarint) return Reading::kMalformed;
        out.type = ValueType::kInt;
        out.integer = static_cast<int64_t>(field.value);
        break;
      case 4:
        if (field.type != WireType::kFixed64) return Reading::kMalformed;
        out.type = ValueType::kDouble;
        out.real = std::bit_cast<double>(field.value);
        break;
      case 5:
      case 6:
        if (!text) return Reading::kMalformed;
        out.type = ValueType::kComplex;
        out.bytes = bytes;
        break;
      case 7:
        if (!text) return Reading::kMalformed;
        out.type = ValueType::kBytes;
        out.bytes = field.bytes;
        break;
      default:
        unusual = true;
    }
  }
  if (!reader.ok()) return Reading::kMalformed;
  return unusual ? Reading::kUnusual : Reading::kPlain;
}

}  // namespace

bool read_key_value(std::string_view key_value, Attribute& out) {
  out = Attribute{};
  WireReader reader(key_value);
  WireField field;
  bool unusual = false, has_key = false, has_value = false;
  while (reader.next(field)) {
    if (field.number == 1) {
      if (field.type != WireType::kBytes) return false;
      unusual |= has_key;
      has_key = true;
      out.key = field.bytes;
    } else if (field.number == 2) {
      if (field.type != WireType::kBytes) return false;
      unusual |= has_value;
      has_value = true;
      const Reading reading = read_value(field.bytes, out.value);
      if (reading == Reading::kMalformed) return false;
      unusual |= reading == Reading::kUnusual;
    } else {
      unusual = true;
    }
  }
  if (!reader.ok()) return false;
  if (unusual) {
    out.value = Value{};
    out.value.type = ValueType::kRaw;
    out.value.bytes = key_value;
  }
  return true;
}

bool read_any_value(std::string_view any_value, Value& out) {
  switch (read_value(any_value, out)) {
    case Reading::kPlain:
      return true;
    case Reading::kMalformed:
      return false;
    case Reading::kUnusual:
      out = Value{};
      out.type = ValueType::kRaw;
      out.bytes = any_value;
      return false;
  }
  return false;
}

bool check_any_value(std::string_view any_value, uint32_t max_depth, bool (*valid_text)(std::string_view)) {
  WireReader reader(any_value);
  WireField field;
  while (reader.next(field)) {
    switch (field.number) {
      case 1:
        if (field.type != WireType::kBytes || !valid_text(field.bytes)) return false;
        break;
      case 2:
      case 3:
        if (field.type != WireType::kVarint) return false;
        break;
      case 4:
        if (field.type != WireType::kFixed64) return false;
        break;
      case 5:
      case 6: {
        if (field.type != WireType::kBytes || max_depth == 0) return false;
        WireReader items(field.bytes);
        WireField item;
        while (items.next(item)) {
          if (item.number != 1) continue;
          if (item.type != WireType::kBytes) return false;
          if (field.number == 5 ? !check_any_value(item.bytes, max_depth - 1, valid_text)
                                : !check_key_value(item.bytes, max_depth - 1, valid_text)) {
            return false;
          }
        }
        if (!items.ok()) return false;
        break;
      }
      case 7:
        if (field.type != WireType::kBytes) return false;
        break;
      default:
        break;
    }
  }
  return reader.ok();
}

bool check_key_value(std::string_view key_value, uint32_t max_depth, bool (*valid_text)(std::string_view)) {
  WireReader reader(key_value);
  WireField field;
  while (reader.next(field)) {
    if (field.number == 1 && (field.type != WireType::kBytes || !valid_text(field.bytes))) return false;
    if (field.number == 2 && (field.type != WireType::kBytes || !check_any_value(field.bytes, max_depth, valid_text))) {
      return false;
    }
  }
  return reader.ok();
}

}  // namespace clew::model

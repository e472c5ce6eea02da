// The values of an attribute list that has a shape, one after the other, without looking at keys that nobody asked for:
// model::AttributeCursor's job for the inner loops of a search, inlined. Lists without a shape are the cursor's. Agrees
// with it on every well-formed row; codes of a damaged one are not checked (a Dictionary answers them with ""). Pure.
#pragma once

#include <span>

#include "base/varint.h"
#include "model/dictionary.h"
#include "model/row.h"

namespace clew::store {

// False: malformed.
inline bool read_shaped_string(const model::Dictionary& dictionary, ByteReader& reader, model::StrRef& out) {
  const uint64_t head = reader.varint();
  const uint64_t x = head >> 2;
  out.mode = static_cast<model::StrMode>(head & 3);
  switch (out.mode) {
    case model::StrMode::kCode:
      out.code = static_cast<uint32_t>(x);
      return true;
    case model::StrMode::kInline:
      out.payload = reader.bytes(x);
      return true;
    case model::StrMode::kTemplate: {
      if (x >= dictionary.size(model::EntryKind::kTemplate)) return false;
      out.code = static_cast<uint32_t>(x);
      const char* const start = reader.position();
      for (uint32_t left = dictionary.placeholders(out.code); left > 0; --left) reader.varint();
      out.payload = {start, static_cast<size_t>(reader.position() - start)};
      return true;
    }
  }
  return false;
}

// For each field, in order: if wants(field), visit(field, value) is called and returns false to stop; the value's
// `key_text` is not set. `pos` is where the first value stands: AttributeCursor::position() before the first next().
// False: malformed.
template <typename Wants, typename Visit>
bool walk_shaped(const model::Dictionary& dictionary, std::span<const model::ShapeField> shape, const char* pos,
                 const char* end, Wants&& wants, Visit&& visit) {
  ByteReader reader({pos, static_cast<size_t>(end - pos)});
  model::RowValue value;
  for (const model::ShapeField& field : shape) {
    switch (field.type) {
      case model::ValueType::kEmpty:
        break;
      case model::ValueType::kString:
        if (!read_shaped_string(dictionary, reader, value.string)) return false;
        break;
      case model::ValueType::kBool:
        value.number = reader.fixed<uint8_t>() != 0;
        break;
      case model::ValueType::kInt:
        value.number = static_cast<uint64_t>(reader.zigzag_varint());
        break;
      case model::ValueType::kDouble:
        value.number = reader.fixed<uint64_t>();
        break;
      case model::ValueType::kBytes:
      case model::ValueType::kComplex:
      case model::ValueType::kRaw:
        value.bytes = reader.prefixed_bytes();
        break;
    }
    if (!reader.ok()) return false;
    if (!wants(field)) continue;
    value.key = field.key;
    value.type = field.type;
    if (!visit(field, value)) return true;
  }
  return true;
}

}  // namespace clew::store

#include "store/transcode.h"

namespace clew::store {

using model::EntryKind;

void CodeTranslator::use(const model::Dictionary& source) {
  if (source_ == &source) return;
  source_ = &source;
  std::unique_ptr<Source>& known = sources_[&source];
  if (!known) known = std::make_unique<Source>();
  current_ = known.get();
}

uint32_t CodeTranslator::keep(std::optional<uint32_t> code) {
  if (!code) ok_ = false;
  return code.value_or(0);
}

uint32_t CodeTranslator::translate(EntryKind kind, uint32_t code) {
  if (code >= source_->size(kind)) {  // a head is parsed without its dictionary
    ok_ = false;
    return 0;
  }
  uint32_t to = 0;
  if (kind == EntryKind::kShape) {
    std::vector<model::ShapeField> fields;
    for (const model::ShapeField& field : source_->shape(code)) fields.push_back({string(field.key), field.type});
    to = keep(target_.intern_shape(fields));
  } else {
    to = keep(target_.intern(kind, source_->text(kind, code)));
  }
  if (!ok_) return 0;
  std::vector<uint32_t>& codes = current_->codes[static_cast<size_t>(kind)];
  if (codes.size() <= code) codes.resize(source_->size(kind));
  codes[code] = to + 1;
  return to;
}

void CodeTranslator::append_strref(const model::StrRef& ref, std::string& out) {
  switch (ref.mode) {
    case model::StrMode::kCode:
      append_varint(out, uint64_t{string(ref.code)} << 2);
      return;
    case model::StrMode::kTemplate:
      append_varint(out, uint64_t{template_code(ref.code)} << 2 | 1);
      out.append(ref.payload);
      return;
    case model::StrMode::kInline:
      append_varint(out, uint64_t{ref.payload.size()} << 2 | 2);
      out.append(ref.payload);
      return;
  }
}

bool CodeTranslator::append_list(model::AttributeCursor& cursor, std::string& out) {
  if (!cursor.ok()) return false;
  if (cursor.has_shape()) {
    append_varint(out, uint64_t{shape(cursor.shape_code())} + 1);
  } else {
    append_varint(out, 0);
    append_varint(out, cursor.count());
  }
  model::RowValue value;
  while (cursor.next(value)) {
    if (!cursor.has_shape()) {
      model::StrRef key;
      key.mode = value.key_inline ? model::StrMode::kInline : model::StrMode::kCode;
      key.code = value.key;
      key.payload = value.key_text;
      append_strref(key, out);
      out.push_back(static_cast<char>(value.type));
    }
    switch (value.type) {
      case model::ValueType::kEmpty:
        break;
      case model::ValueType::kString:
        append_strref(value.string, out);
        break;
      case model::ValueType::kBool:
        out.push_back(static_cast<char>(value.number));
        break;
      case model::ValueType::kInt:
        append_varint(out, zigzag(static_cast<int64_t>(value.number)));
        break;
      case model::ValueType::kDouble:
        append_fixed(out, value.number);
        break;
      case model::ValueType::kBytes:
      case model::ValueType::kComplex:
      case model::ValueType::kRaw:
        append_bytes(out, value.bytes);
        break;
    }
  }
  return cursor.ok();
}

}  // namespace clew::store

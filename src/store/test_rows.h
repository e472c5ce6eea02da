// Rows for tests of this folder, written by the layout in model/row.h, and random ones from a small world of names and
// values, so that random questions find something.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/random.h"
#include "base/varint.h"
#include "model/dictionary.h"
#include "model/row.h"
#include "store/query.h"

namespace clew::store {

using TestValue = std::variant<std::monostate, std::string, bool, int64_t, double>;
using TestAttributes = std::vector<std::pair<std::string, TestValue>>;

struct TestRow {
  uint64_t span_id = 1;
  uint64_t parent_id = 0;
  int64_t start_ns = 1'760'000'000'000'000'000;
  int64_t duration_ns = 1000;
  uint8_t kind = 1;
  uint8_t status = 0;
  std::string name = "span";
  std::string status_message;
  TestAttributes resource;
  std::string scope_name;
  TestAttributes attributes;
  std::vector<std::string> events;
  bool shaped = true;     // attributes by shape, else inline
  bool templated = true;  // texts are cut into templates, where they have digits enough; else they go in by code
  bool by_text = false;   // texts that the dictionary does not know yet stand in the row itself
};

inline void append_field(uint32_t field, std::string_view bytes, std::string& out) {
  append_varint(out, field << 3 | 2);
  append_bytes(out, bytes);
}

inline std::string key_value_message(const std::string& key, const TestValue& value) {
  std::string any, out;
  if (const auto* text = std::get_if<std::string>(&value)) append_field(1, *text, any);
  if (const auto* truth = std::get_if<bool>(&value)) append_varint(any, 2 << 3), append_varint(any, *truth);
  if (const auto* number = std::get_if<int64_t>(&value))
    append_varint(any, 3 << 3), append_varint(any, static_cast<uint64_t>(*number));
  if (const auto* real = std::get_if<double>(&value)) append_varint(any, 4 << 3 | 1), append_fixed(any, *real);
  append_field(1, key, out);
  append_field(2, any, out);
  return out;
}

inline uint32_t resource_entry(model::Dictionary& dictionary, const TestAttributes& attributes) {
  std::string resource, entry;
  for (const auto& [key, value] : attributes) append_field(1, key_value_message(key, value), resource);
  append_field(1, resource, entry);
  return *dictionary.intern(model::EntryKind::kResource, entry);
}

inline uint32_t scope_entry(model::Dictionary& dictionary, const std::string& name) {
  std::string scope, entry;
  if (!name.empty()) append_field(1, name, scope);
  append_field(1, scope, entry);
  return *dictionary.intern(model::EntryKind::kScope, entry);
}

inline model::ValueType type_of(const TestValue& value) {
  constexpr model::ValueType kTypes[] = {model::ValueType::kEmpty, model::ValueType::kString, model::ValueType::kBool,
                                         model::ValueType::kInt, model::ValueType::kDouble};
  return kTypes[value.index()];
}

inline void append_attributes(model::Dictionary& dictionary, const TestAttributes& attributes, bool shaped,
                              bool templated, std::string& out, bool by_text = false) {
  if (shaped) {
    std::vector<model::ShapeField> fields;
    for (const auto& [key, value] : attributes) {
      fields.push_back({*dictionary.intern(model::EntryKind::kString, key), type_of(value)});
    }
    append_varint(out, *dictionary.intern_shape(fields) + 1);
  } else {
    append_varint(out, 0);
    append_varint(out, attributes.size());
  }
  for (const auto& [key, value] : attributes) {
    if (!shaped) {
      model::append_strref(dictionary, key, false, false, out);
      out.push_back(static_cast<char>(type_of(value)));
    }
    if (const auto* text = std::get_if<std::string>(&value))
      model::append_strref(dictionary, *text, !by_text, templated, out);
    if (const auto* truth = std::get_if<bool>(&value)) out.push_back(*truth ? 1 : 0);
    if (const auto* number = std::get_if<int64_t>(&value)) append_varint(out, zigzag(*number));
    if (const auto* real = std::get_if<double>(&value)) append_fixed(out, *real);
  }
}

inline std::string encode_row(model::Dictionary& dictionary, const TestRow& row) {
  std::string out;
  uint8_t presence = 0;
  if (row.parent_id) presence |= model::kHasParent;
  if (!row.status_message.empty()) presence |= model::kHasStatusMessage;
  if (!row.events.empty()) presence |= model::kHasEvents;
  out.push_back(static_cast<char>(presence));
  out.push_back(static_cast<char>(row.kind | row.status << 3));
  append_fixed(out, row.span_id);
  if (row.parent_id) append_fixed(out, row.parent_id);
  append_fixed(out, row.start_ns);
  append_varint(out, zigzag(row.duration_ns));
  append_varint(out, resource_entry(dictionary, row.resource));
  append_varint(out, scope_entry(dictionary, row.scope_name));
  model::append_strref(dictionary, row.name, true, false, out);
  append_attributes(dictionary, row.attributes, row.shaped, row.templated, out, row.by_text);
  if (!row.status_message.empty()) model::append_strref(dictionary, row.status_message, true, false, out);
  if (!row.events.empty()) {
    append_varint(out, row.events.size());
    for (const std::string& name : row.events) {
      append_varint(out, zigzag(5));
      model::append_strref(dictionary, name, true, false, out);
      append_attributes(dictionary, {}, true, false, out);
      append_varint(out, 0);
      append_varint(out, 0);
    }
  }
  return out;
}

// A small world.
class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {}

  TestRow row() {
    TestRow row;
    row.span_id = random_.next() | 1;
    row.parent_id = random_.one_in(3) ? 0 : random_.next() | 1;
    row.start_ns += static_cast<int64_t>(random_.below(1'000'000));
    row.duration_ns = static_cast<int64_t>(random_.below(6)) * 100 - 100;
    row.kind = static_cast<uint8_t>(random_.below(6));
    row.status = static_cast<uint8_t>(random_.below(3));
    row.name = text();
    if (random_.one_in(3)) row.status_message = text();
    if (!random_.one_in(4)) row.resource.emplace_back("service.name", text());
    row.resource = attributes(std::move(row.resource));
    row.scope_name = random_.one_in(2) ? "" : text();
    row.attributes = attributes({});
    for (uint64_t n = random_.below(3); n > 0; --n) row.events.push_back(text());
    row.shaped = !random_.one_in(4);
    row.templated = random_.one_in(2);
    row.by_text = random_.one_in(4);
    return row;
  }
  Expr expr(int depth = 3) {
    Expr expr;
    if (depth > 0 && random_.one_in(2)) {
      expr.kind = static_cast<Expr::Kind>(1 + random_.below(3));
      const uint64_t children = expr.kind == Expr::Kind::kNot ? 1 : random_.below(4);
      for (uint64_t i = 0; i < children; ++i) expr.children.push_back(this->expr(depth - 1));
      return expr;
    }
    expr.field = static_cast<Field>(random_.below(static_cast<uint64_t>(Field::kTrue) + 1));
    if (expr.field == Field::kAttribute || expr.field == Field::kResource || expr.field == Field::kAny)
      expr.key = key();
    expr.op = static_cast<Op>(random_.below(static_cast<uint64_t>(Op::kAbsent) + 1));
    if (random_.one_in(2)) expr.op = Op::kEq;
    expr.literal = literal();
    if (expr.op == Op::kRegex || expr.op == Op::kNotRegex) {
      expr.literal = Literal{};
      expr.literal.type = Literal::Type::kString;
      expr.literal.text = random_.one_in(2) ? "order.*" : "[a-c].*|.*1";
    }
    return expr;
  }

 private:
  std::string text() {
    static const char* const kTexts[] = {
        "a", "b",   "GET /cart", "order-17",   "order-18",   "/u/00012345/x", "true",
        "5", "7.5", "",          "c0ffee1234", "order-4711", "order-4712",    "x-0007/9-123"};
    return kTexts[random_.below(std::size(kTexts))];
  }
  std::string key() {
    static const char* const kKeys[] = {"k1", "k2", "k3", "service.name", "host"};
    return kKeys[random_.below(std::size(kKeys))];
  }
  TestValue value() {
    switch (random_.below(5)) {
      case 0:
        return random_.one_in(2);
      case 1:
        return static_cast<int64_t>(random_.below(8)) - 1;
      case 2:
        return static_cast<double>(random_.below(6)) * 2.5;
      case 3:
        return random_.one_in(3) ? TestValue() : TestValue(text());
      default:
        return text();
    }
  }
  TestAttributes attributes(TestAttributes list) {
    for (uint64_t n = random_.below(4); n > 0; --n) list.emplace_back(key(), value());
    return list;
  }
  Literal literal() {
    Literal literal;
    literal.type = static_cast<Literal::Type>(random_.below(5));
    literal.integer = static_cast<int64_t>(random_.below(8)) - 1;
    literal.real = static_cast<double>(random_.below(6)) * 2.5;
    literal.text = text();
    literal.untyped = literal.type == Literal::Type::kString && random_.one_in(2);
    return literal;
  }
  Generator random_;
};

}  // namespace clew::store

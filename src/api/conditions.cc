#include "api/conditions.h"

#include <algorithm>
#include <array>
#include <string>

#include "model/span.h"

namespace clew::api {

using store::Expr;
using store::Field;
using store::Literal;
using store::Op;

namespace {

bool same_nocase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return (x | 32) == (y | 32); });
}

}  // namespace

std::optional<int64_t> kind_number(std::string_view word) {
  constexpr std::array<std::string_view, 6> kWords = {"unspecified", "internal", "server",
                                                      "client",      "producer", "consumer"};
  for (size_t i = 0; i < kWords.size(); ++i) {
    if (kWords[i] == word) return static_cast<int64_t>(i);
  }
  return std::nullopt;
}

std::optional<int64_t> status_number(std::string_view word) {
  constexpr std::array<std::string_view, 3> kWords = {"unset", "ok", "error"};
  for (size_t i = 0; i < kWords.size(); ++i) {
    if (kWords[i] == word) return static_cast<int64_t>(i);
  }
  return std::nullopt;
}

Expr all_of(std::vector<Expr> parts) {
  if (parts.empty()) return Expr{};
  if (parts.size() == 1) return std::move(parts.front());
  Expr expr;
  expr.kind = Expr::Kind::kAnd;
  expr.children = std::move(parts);
  return expr;
}

Expr any_of(std::vector<Expr> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  Expr expr;
  expr.kind = Expr::Kind::kOr;
  expr.children = std::move(parts);
  return expr;
}

Expr text_condition(Field field, std::string_view key, Op op, std::string_view text) {
  Expr expr;
  expr.field = field;
  expr.key = key;
  expr.op = op;
  expr.literal.type = Literal::Type::kString;
  expr.literal.text = text;
  return expr;
}

Expr number_condition(Field field, Op op, int64_t number) {
  Expr expr;
  expr.field = field;
  expr.op = op;
  expr.literal.type = Literal::Type::kInt;
  expr.literal.integer = number;
  return expr;
}

Expr tag_condition(std::string_view key, std::string_view value) {
  Expr attribute = text_condition(Field::kAny, key, Op::kEq, value);
  attribute.literal.untyped = true;
  const auto also = [&](Expr other) {
    std::vector<Expr> either;
    either.push_back(std::move(attribute));
    either.push_back(std::move(other));
    return any_of(std::move(either));
  };
  if (key == "error") {
    const bool no = same_nocase(value, "false");
    if (!no && !same_nocase(value, "true")) return attribute;
    return also(
        number_condition(Field::kStatus, no ? Op::kNe : Op::kEq, static_cast<int64_t>(model::StatusCode::kError)));
  }
  if (key == "span.kind" || key == "kind") {
    if (const auto number = kind_number(value)) return also(number_condition(Field::kKind, Op::kEq, *number));
  }
  if (key == "otel.status_code" || key == "status" || key == "status.code") {
    std::string word(value);
    std::transform(word.begin(), word.end(), word.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (const auto number = status_number(word)) return also(number_condition(Field::kStatus, Op::kEq, *number));
  }
  if (key == "otel.status_description" || key == "status.message") {
    return also(text_condition(Field::kStatusMessage, {}, Op::kEq, value));
  }
  if (key == "otel.library.name" || key == "otel.scope.name") {
    return also(text_condition(Field::kScopeName, {}, Op::kEq, value));
  }
  if (key == "service.name") return text_condition(Field::kService, {}, Op::kEq, value);
  return attribute;
}

}  // namespace clew::api

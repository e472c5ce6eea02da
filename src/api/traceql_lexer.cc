#include "api/traceql_lexer.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "api/conditions.h"
#include "api/duration.h"

namespace clew::api {

using store::Literal;
using store::Op;

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(uint32_t point, std::string& out) {
  if (point < 0x80) {
    out.push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    out.push_back(static_cast<char>(0xc0 | point >> 6));
    out.push_back(static_cast<char>(0x80 | (point & 63)));
  } else if (point < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | point >> 12));
    out.push_back(static_cast<char>(0x80 | (point >> 6 & 63)));
    out.push_back(static_cast<char>(0x80 | (point & 63)));
  } else {
    out.push_back(static_cast<char>(0xf0 | point >> 18));
    out.push_back(static_cast<char>(0x80 | (point >> 12 & 63)));
    out.push_back(static_cast<char>(0x80 | (point >> 6 & 63)));
    out.push_back(static_cast<char>(0x80 | (point & 63)));
  }
}

}  // namespace

bool Lexer::is_name_char(char c) {
  return !is_space(c) && std::string_view("{}()=~!<>&|^,\"`").find(c) == std::string_view::npos;
}

void Lexer::skip_space() {
  while (!at_end() && is_space(text_[position_])) ++position_;
}

bool Lexer::take(std::string_view token) {
  if (!rest().starts_with(token)) return false;
  position_ += token.size();
  return true;
}

Error Lexer::invalid_at(size_t position, std::string what) {
  return {Code::kInvalidArgument, "TraceQL, position " + std::to_string(position + 1) + ": " + std::move(what)};
}

Error Lexer::unsupported(std::string what) const {
  return {Code::kUnimplemented, "TraceQL, position " + std::to_string(position_ + 1) + ": " + std::move(what) +
                                    " is not supported; one spanset filter { ... } is"};
}

std::optional<Op> Lexer::take_comparator() {
  if (take("!=")) return Op::kNe;
  if (take("!~")) return Op::kNotRegex;
  if (take("=~")) return Op::kRegex;
  if (take("<=")) return Op::kLe;
  if (take(">=")) return Op::kGe;
  if (take("=")) return Op::kEq;
  if (take("<")) return Op::kLt;
  if (take(">")) return Op::kGt;
  return std::nullopt;
}

bool Lexer::at_arithmetic() const {
  return !at_end() && std::string_view("+-*/%^").find(peek()) != std::string_view::npos;
}

std::string_view Lexer::word_ahead() const {
  size_t end = position_;
  while (end < text_.size() && is_name_char(text_[end])) ++end;
  return text_.substr(position_, end - position_);
}

// A word of letters alone; empty when it is part of a longer name.
std::string_view Lexer::letters_ahead() const {
  size_t end = position_;
  while (end < text_.size() && (std::isalpha(static_cast<unsigned char>(text_[end])) != 0)) ++end;
  if (end < text_.size() && is_name_char(text_[end])) return {};
  return text_.substr(position_, end - position_);
}

bool Lexer::at_literal() const {
  const char c = peek();
  if (c == '"' || c == '`' || is_digit(c)) return true;
  if (c == '-') return is_digit(peek(1)) || peek(1) == '.';
  const std::string_view word = letters_ahead();
  return word == "true" || word == "false" || word == "nil" || kind_number(word) || status_number(word);
}

Result<Operand> Lexer::take_literal() {
  Operand operand;
  const char c = peek();
  if (c == '"' || c == '`') {
    operand.literal.type = Literal::Type::kString;
    CLEW_ASSIGN(operand.literal.text, take_quoted());
    return operand;
  }
  if (c == '-' || is_digit(c)) return take_number();
  const std::string_view word = letters_ahead();
  position_ += word.size();
  if (word == "true" || word == "false") {
    operand.literal.type = Literal::Type::kBool;
    operand.literal.integer = word == "true";
  } else if (word != "nil") {
    operand.word = word;
  }
  return operand;
}

Result<Operand> Lexer::take_number() {
  const size_t start = position_;
  if (peek() == '-') ++position_;
  while (!at_end() && is_name_char(peek()) && peek() != '+' && peek() != '*' && peek() != '/' && peek() != '%' &&
         (peek() != '-' || text_[position_ - 1] == 'e' || text_[position_ - 1] == 'E')) {
    ++position_;
  }
  const std::string_view token = text_.substr(start, position_ - start);
  const char* end = token.data() + token.size();
  Operand operand;
  operand.literal.type = Literal::Type::kInt;
  if (auto [at, error] = std::from_chars(token.data(), end, operand.literal.integer);
      error == std::errc() && at == end) {
    return operand;
  }
  if (const auto duration = parse_duration_ns(token)) {
    operand.literal.integer = *duration;
    return operand;
  }
  operand.literal.type = Literal::Type::kDouble;
  operand.literal.integer = 0;
  if (auto [at, error] = std::from_chars(token.data(), end, operand.literal.real); error == std::errc() && at == end) {
    return operand;
  }
  return invalid_at(start,
                    "'" + std::string(token.substr(0, 40)) + "' is neither a number nor a duration such as 100ms");
}

Result<std::string> Lexer::take_quoted() {
  const size_t start = position_;
  const char quote = text_[position_++];
  std::string out;
  while (!at_end()) {
    const char c = text_[position_++];
    if (c == quote) return out;
    if (quote == '`' || c != '\\') {
      out.push_back(c);
      continue;
    }
    if (at_end()) break;
    CLEW_TRY(take_escape(out));
  }
  return invalid_at(start, "the text that starts here has no closing quote");
}

// What follows a backslash: Go's escapes.
Status Lexer::take_escape(std::string& out) {
  static constexpr std::string_view kLetters = "ntrabfv", kMeanings = "\n\t\r\a\b\f\v";
  const char escaped = text_[position_++];
  if (const size_t letter = kLetters.find(escaped); letter != std::string_view::npos) {
    out.push_back(kMeanings[letter]);
    return {};
  }
  if (std::string_view("\\\"'`").find(escaped) != std::string_view::npos) {
    out.push_back(escaped);
    return {};
  }
  const size_t digits = escaped == 'x' ? 2 : escaped == 'u' ? 4 : escaped == 'U' ? 8 : 0;
  if (digits == 0) {
    // A regular expression's \d or \. in double quotes: Go would refuse it; people write it, and mean the pattern.
    out.push_back('\\');
    out.push_back(escaped);
    return {};
  }
  uint32_t point = 0;
  const std::string_view hex = text_.substr(position_, digits);
  const auto [at, error] = std::from_chars(hex.data(), hex.data() + hex.size(), point, 16);
  const bool whole = hex.size() == digits && error == std::errc() && at == hex.data() + hex.size();
  if (!whole || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
    return invalid_at(position_ - 2, "a broken escape in the text");
  }
  position_ += digits;
  if (escaped == 'x') {
    out.push_back(static_cast<char>(point));
  } else {
    append_utf8(point, out);
  }
  return {};
}

Result<std::string> Lexer::take_attribute_name() {
  std::string name;
  const size_t start = position_;
  while (!at_end()) {
    if (peek() == '"' || peek() == '`') {
      std::string part;
      CLEW_ASSIGN(part, take_quoted());
      name += part;
    } else if (is_name_char(peek())) {
      name.push_back(text_[position_++]);
    } else {
      break;
    }
  }
  if (name.empty()) return invalid_at(start, "expected the name of an attribute");
  return name;
}

}  // namespace clew::api

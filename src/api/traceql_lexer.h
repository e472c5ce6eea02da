// Lexer: the words of a TraceQL text. A cursor that skips space, takes tokens and reads literals and names; what they
// mean together is traceql.cc's. Errors carry the position in bytes, from 1. Pure; borrows the text; every call moves
// forward, so a parse is linear.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "store/query.h"

namespace clew::api {

// A literal as written: `word` holds what only the field decides (status and kind names).
struct Operand {
  store::Literal literal;
  std::string word;
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
  // Whether `c` may stand in an attribute's name without quotes.
  static bool is_name_char(char c);

  bool at_end() const { return position_ >= text_.size(); }
  size_t position() const { return position_; }
  void go_back(size_t position) { position_ = position; }
  // NUL beyond the end.
  char peek(size_t ahead = 0) const { return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0'; }
  std::string_view rest() const { return text_.substr(position_); }
  void skip_space();
  void skip(size_t chars) { position_ = std::min(text_.size(), position_ + chars); }
  bool take(std::string_view token);

  std::optional<store::Op> take_comparator();
  bool at_arithmetic() const;
  // The run of name characters ahead, not taken.
  std::string_view word_ahead() const;

  bool at_literal() const;
  Result<Operand> take_literal();
  // The rest of an attribute's name: runs of plain characters and quoted texts.
  Result<std::string> take_attribute_name();

  Error invalid(std::string what) const { return invalid_at(position_, std::move(what)); }
  static Error invalid_at(size_t position, std::string what);
  Error unsupported(std::string what) const;

 private:
  std::string_view letters_ahead() const;
  Result<Operand> take_number();
  Result<std::string> take_quoted();
  Status take_escape(std::string& out);

  std::string_view text_;
  size_t position_ = 0;
};

}  // namespace clew::api

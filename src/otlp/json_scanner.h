// JsonScanner: a cursor over JSON text (RFC 8259) that finds tokens and allocates nothing; the text needs no padding
// and is never copied, so reading a document costs no memory beyond the document. Strict: control characters, bad
// escapes, leading zeros and truncation are errors. The caller has checked UTF-8 (simdjson::validate_utf8) and knows
// the grammar of objects.
//
// Not a parser for arbitrary documents: json.cc drives it by OTLP's tables and skips what it does not know.
// After a failure `error()` and `error_at()` say why and where. Single-threaded; O(bytes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace clew::otlp {

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text)
      : begin_(text.data()), pos_(text.data()), end_(text.data() + text.size()) {}

  // The next character that is not whitespace, or 0 at the end. Does not consume it.
  char peek() {
    while (pos_ != end_ && static_cast<uint8_t>(*pos_) <= ' ' && is_space(*pos_)) ++pos_;
    return pos_ == end_ ? '\0' : *pos_;
  }
  bool at_end() { return peek() == '\0' && pos_ == end_; }
  // Consumes `c` when it comes next.
  bool take(char c) {
    if (peek() != c || pos_ == end_) return false;
    ++pos_;
    return true;
  }
  // Consumes `c`; otherwise fails with `expected`.
  bool expect(char c, const char* expected) { return take(c) || fail(expected); }
  // Consumes `"name"` when exactly that stands here (the cursor is on a quote).
  bool take_key(std::string_view name);

  // The text between the quotes of the string that comes next, still escaped.
  bool string(std::string_view& raw, bool& escaped);
  // A number token, checked against the grammar.
  bool number(std::string_view& text);
  // "true", "false" or "null" as given.
  bool literal(std::string_view word);
  // Any value, however deep up to kMaxSkipDepth.
  bool skip_value();
  static constexpr size_t kMaxSkipDepth = 512;

  bool fail(const char* reason) { return fail_at(pos_, reason); }
  bool fail_at(const char* where, const char* reason) {
    if (error_ == nullptr) {
      error_ = reason;
      error_at_ = static_cast<size_t>(where - begin_);
    }
    return false;
  }
  const char* error() const { return error_; }
  size_t error_at() const { return error_at_; }
  const char* position() const { return pos_; }

 private:
  static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

  const char* begin_;
  const char* pos_;
  const char* end_;
  const char* error_ = nullptr;
  size_t error_at_ = 0;
};

// Writes the text that `raw` means at `out`, which has raw.size() bytes; returns the end, or null when an escape is
// bad. A surrogate without its partner becomes U+FFFD: a client that cut an emoji in two loses that, not its spans.
char* unescape_json(std::string_view raw, char* out);

}  // namespace clew::otlp

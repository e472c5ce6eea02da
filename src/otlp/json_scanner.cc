#include "otlp/json_scanner.h"

#include <bit>
#include <bitset>
#include <cstring>

#include "base/hex.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace clew::otlp {
namespace {

constexpr const char* kTruncated = "the document ends too early";

// The first quote, backslash or control character of [p, end), or end.
const char* find_special(const char* p, const char* end) {
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), last_control = _mm_set1_epi8(0x1f);
  while (end - p >= 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, last_control), block);
    const __m128i hit =
        _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)), control);
    const auto mask = static_cast<uint32_t>(_mm_movemask_epi8(hit));
    if (mask != 0) return p + std::countr_zero(mask);
    p += 16;
  }
#endif
  while (p != end && *p != '"' && *p != '\\' && static_cast<uint8_t>(*p) >= 0x20) ++p;
  return p;
}

// The four digits after \u, or -1.
int hex4(const char* p, const char* end) {
  if (end - p < 4) return -1;
  int value = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = hex_value(p[i]);
    if (digit < 0) return -1;
    value = value << 4 | digit;
  }
  return value;
}

char* put_utf8(uint32_t c, char* out) {
  if (c < 0x80) {
    *out++ = static_cast<char>(c);
  } else if (c < 0x800) {
    *out++ = static_cast<char>(0xc0 | c >> 6);
    *out++ = static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    *out++ = static_cast<char>(0xe0 | c >> 12);
    *out++ = static_cast<char>(0x80 | (c >> 6 & 63));
    *out++ = static_cast<char>(0x80 | (c & 63));
  } else {
    *out++ = static_cast<char>(0xf0 | c >> 18);
    *out++ = static_cast<char>(0x80 | (c >> 12 & 63));
    *out++ = static_cast<char>(0x80 | (c >> 6 & 63));
    *out++ = static_cast<char>(0x80 | (c & 63));
  }
  return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool JsonScanner::take_key(std::string_view name) {
  if (static_cast<size_t>(end_ - pos_) < name.size() + 2) return false;
  if (pos_[name.size() + 1] != '"' || std::memcmp(pos_ + 1, name.data(), name.size()) != 0) return false;
  pos_ += name.size() + 2;
  return true;
}

bool JsonScanner::string(std::string_view& raw, bool& escaped) {
  if (peek() != '"') return fail(pos_ == end_ ? kTruncated : "expected a string");
  const char* const start = pos_ + 1;
  const char* p = start;
  escaped = false;
  for (;;) {
    p = find_special(p, end_);
    if (p == end_) return fail_at(end_, kTruncated);
    if (*p == '"') break;
    if (*p != '\\') return fail_at(p, "a control character inside a string must be escaped");
    escaped = true;
    if (end_ - p < 2) return fail_at(end_, kTruncated);
    p += 2;
  }
  raw = std::string_view(start, static_cast<size_t>(p - start));
  pos_ = p + 1;
  return true;
}

bool JsonScanner::number(std::string_view& text) {
  peek();
  const char* p = pos_;
  const auto digits = [&] {
    const char* const from = p;
    while (p != end_ && is_digit(*p)) ++p;
    return p != from;
  };
  if (p != end_ && *p == '-') ++p;
  if (p != end_ && *p == '0') {
    ++p;
  } else if (!digits()) {
    return fail(pos_ == end_ ? kTruncated : "expected a number");
  }
  if (p != end_ && *p == '.') {
    ++p;
    if (!digits()) return fail_at(p, "expected a digit after the decimal point");
  }
  if (p != end_ && (*p == 'e' || *p == 'E')) {
    ++p;
    if (p != end_ && (*p == '+' || *p == '-')) ++p;
    if (!digits()) return fail_at(p, "expected a digit in the exponent");
  }
  if (p != end_ && (is_digit(*p) || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '.'))
    return fail_at(p, "a malformed number");
  text = std::string_view(pos_, static_cast<size_t>(p - pos_));
  pos_ = p;
  return true;
}

bool JsonScanner::literal(std::string_view word) {
  peek();
  if (static_cast<size_t>(end_ - pos_) < word.size() || std::memcmp(pos_, word.data(), word.size()) != 0)
    return fail("expected true, false or null");
  pos_ += word.size();
  return true;
}

bool JsonScanner::skip_value() {
  std::bitset<kMaxSkipDepth> is_object;
  size_t depth = 0;
  std::string_view text;
  bool escaped = false;
  for (;;) {
    bool opened = false;
    switch (peek()) {
      case '{':
      case '[':
        if (depth == kMaxSkipDepth) return fail("an unknown field is nested too deeply");
        is_object[depth++] = *pos_++ == '{';
        opened = true;
        break;
      case '"':
        if (!string(text, escaped)) return false;
        break;
      case 't':
        if (!literal("true")) return false;
        break;
      case 'f':
        if (!literal("false")) return false;
        break;
      case 'n':
        if (!literal("null")) return false;
        break;
      default:
        if (!number(text)) return fail("expected a value");
    }
    // After a value: close what ends here, then a comma; in an object a key follows either a comma or the brace.
    while (depth > 0) {
      const bool object = is_object[depth - 1];
      if (take(object ? '}' : ']')) {
        --depth;
        opened = false;
        continue;
      }
      if (!opened && !expect(',', "expected a comma or a closing bracket")) return false;
      if (object) {
        if (!string(text, escaped) || !expect(':', "expected a colon after the key")) return false;
      }
      break;
    }
    if (depth == 0) return true;
  }
}

char* unescape_json(std::string_view raw, char* out) {
  const char* p = raw.data();
  const char* const end = p + raw.size();
  while (p != end) {
    if (*p != '\\') {
      *out++ = *p++;
      continue;
    }
    if (end - p < 2) return nullptr;
    const char kind = p[1];
    p += 2;
    switch (kind) {
      case '"':
        *out++ = '"';
        break;
      case '\\':
        *out++ = '\\';
        break;
      case '/':
        *out++ = '/';
        break;
      case 'b':
        *out++ = '\b';
        break;
      case 'f':
        *out++ = '\f';
        break;
      case 'n':
        *out++ = '\n';
        break;
      case 'r':
        *out++ = '\r';
        break;
      case 't':
        *out++ = '\t';
        break;
      case 'u': {
        const int unit = hex4(p, end);
        if (unit < 0) return nullptr;
        p += 4;
        auto code = static_cast<uint32_t>(unit);
        if (code >= 0xd800 && code < 0xe000) {
          const int low = code < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2, end) : -1;
          if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (static_cast<uint32_t>(low) - 0xdc00);
            p += 6;
          } else {
            code = 0xfffd;
          }
        }
        out = put_utf8(code, out);
        break;
      }
      default:
        return nullptr;
    }
  }
  return out;
}

}  // namespace clew::otlp

#include "model/templates.h"

#include <array>
#include <bit>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/hex.h"
#include "model/row.h"

namespace clew::model {
namespace {

constexpr char kPadded = 0x11;  // digits of a fixed width
constexpr char kPlain = 0x12;   // a number without leading zeros
constexpr char kHex = 0x13;
constexpr size_t kMaxDigits = 18;
constexpr size_t kMaxHexDigits = 16;
constexpr size_t kMinHexDigits = 4;
constexpr size_t kMinDigits = 2;
constexpr size_t kWorthwhileDigits = 3;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex_letter(char c) { return c >= 'a' && c <= 'f'; }
enum Class : uint8_t { kOther = 0, kHexLetter = 1, kWordLetter = 2, kDigit = 3 };
constexpr auto kClasses = [] {
  std::array<Class, 256> classes{};
  for (int c = 'a'; c <= 'z'; ++c) classes[c] = c <= 'f' ? kHexLetter : kWordLetter;
  for (int c = 'A'; c <= 'Z'; ++c) classes[c] = kWordLetter;
  for (int c = '0'; c <= '9'; ++c) classes[c] = kDigit;
  return classes;
}();
Class class_of(char c) { return kClasses[static_cast<uint8_t>(c)]; }
bool is_alphanumeric(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Bit i: text[i] is a digit. False when the text holds a byte that marks placeholders.
bool digit_bits(std::string_view text, uint64_t* words) {
  size_t i = 0;
  bool marker = false;
#if defined(__SSE2__)
  const __m128i below_zero = _mm_set1_epi8('0' - 1), above_nine = _mm_set1_epi8('9' + 1);
  const __m128i below_marker = _mm_set1_epi8(kPadded - 1), above_marker = _mm_set1_epi8(kHex + 1);
  __m128i markers = _mm_setzero_si128();
  for (; i + 16 <= text.size(); i += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + i));
    const __m128i digits = _mm_and_si128(_mm_cmpgt_epi8(block, below_zero), _mm_cmplt_epi8(block, above_nine));
    markers =
        _mm_or_si128(markers, _mm_and_si128(_mm_cmpgt_epi8(block, below_marker), _mm_cmplt_epi8(block, above_marker)));
    words[i / 64] |= static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(digits))) << (i % 64);
  }
  if (i < text.size() && text.size() >= 16) {  // the rest, as the end of a block that begins earlier
    const size_t begin = text.size() - 16;
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + begin));
    const __m128i digits = _mm_and_si128(_mm_cmpgt_epi8(block, below_zero), _mm_cmplt_epi8(block, above_nine));
    markers =
        _mm_or_si128(markers, _mm_and_si128(_mm_cmpgt_epi8(block, below_marker), _mm_cmplt_epi8(block, above_marker)));
    const uint64_t rest = static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(digits))) >> (i - begin);
    words[i / 64] |= rest << (i % 64);
    i = text.size();
  }
  marker = _mm_movemask_epi8(markers) != 0;
#endif
  for (; i < text.size(); ++i) {
    words[i / 64] |= static_cast<uint64_t>(is_digit(text[i])) << (i % 64);
    marker |= text[i] >= kPadded && text[i] <= kHex;
  }
  return !marker;
}

// The value of eight bytes whose low halves are digits, the first byte being the highest: pairs, then fours, then all.
uint64_t eight_digits(uint64_t word) {
  word = (word & 0x0f0f0f0f0f0f0f0full) * 2561 >> 8;
  word = (word & 0x00ff00ff00ff00ffull) * 6553601 >> 16;
  return (word & 0x0000ffff0000ffffull) * 42949672960001ull >> 32;
}

// `before` bytes may be read before the digits.
uint64_t decimal(const char* digits, size_t n, size_t before) {
  uint64_t value = 0, word;
  for (; n >= 8; n -= 8, digits += 8, before += 8) {
    std::memcpy(&word, digits, 8);
    value = value * 100000000 + eight_digits(word);
  }
  if (n == 0) return value;
  if (before + n < 8) {
    for (; n > 0; --n) value = value * 10 + static_cast<uint64_t>(*digits++ - '0');
    return value;
  }
  constexpr uint64_t kPowers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
  std::memcpy(&word, digits + n - 8, 8);
  return value * kPowers[n] + eight_digits(word >> 8 * (8 - n) << 8 * (8 - n));
}

uint64_t hexadecimal(const char* digits, size_t n) {
  uint64_t value = 0;
  for (size_t i = 0; i < n; ++i) {
    const char c = digits[i];
    value = value << 4 | static_cast<uint64_t>(is_digit(c) ? c - '0' : c - 'a' + 10);
  }
  return value;
}

class Splitter {
 public:
  Splitter(std::string_view text, SplitText& out) : text_(text), out_(out) {}

  bool run() {
    if (text_.size() > kMaxTemplatedBytes || text_.size() < kWorthwhileDigits) return false;
    if (!digit_bits(text_, bits_)) return false;
    bool worthwhile = false;
    size_t begin = next(0, 0);
    while (begin < text_.size()) {
      const size_t end = next(begin, ~0ull);
      const size_t resume = cut_hex(begin, end);
      if (resume != 0) {
        worthwhile = true;
        begin = next(resume, 0);
        continue;
      }
      if (end - begin >= kMinDigits) {
        worthwhile |= end - begin >= kWorthwhileDigits;
        cut_digits(begin, end);
      }
      begin = next(end, 0);
    }
    if (!worthwhile) return false;
    literal(text_.size());
    return true;
  }

 private:
  // The first position from `from` whose digit bit differs from those of `same`.
  size_t next(size_t from, uint64_t same) const {
    size_t word = from / 64;
    if (from >= text_.size()) return text_.size();
    uint64_t bits = (bits_[word] ^ same) >> (from % 64) << (from % 64);
    while (bits == 0) {
      if (++word * 64 >= text_.size()) return text_.size();
      bits = bits_[word] ^ same;
    }
    const size_t found = word * 64 + static_cast<size_t>(std::countr_zero(bits));
    return found < text_.size() ? found : text_.size();
  }

  void literal(size_t until) {
    // By blocks: lengths differ from text to text, and a call costs more than the whole.
    char* to = out_.text + out_.text_size;
    const char* from = text_.data() + taken_;
    size_t left = until - taken_;
    out_.text_size += static_cast<uint32_t>(left);
    for (; left >= 16; left -= 16, to += 16, from += 16) std::memcpy(to, from, 16);
    if (text_.data() + text_.size() - from >= 16) {
      std::memcpy(to, from, 16);
    } else {
      while (left-- > 0) *to++ = *from++;
    }
    taken_ = until;
  }

  void placeholder(char mark, size_t width, uint64_t number) {
    out_.text[out_.text_size++] = mark;
    out_.text[out_.text_size++] = static_cast<char>(width);
    out_.numbers[out_.number_count++] = number;
  }

  void cut_digits(size_t begin, size_t end) {
    literal(begin);
    while (begin < end) {
      const size_t width = end - begin < kMaxDigits ? end - begin : kMaxDigits;
      const bool padded = text_[begin] == '0' && width > 1;
      placeholder(padded ? kPadded : kPlain, padded ? width : 1, decimal(text_.data() + begin, width, begin));
      begin += width;
    }
    taken_ = end;
  }

  void cut_hex_piece(size_t begin, size_t end) {
    literal(begin);
    while (begin < end) {
      const size_t left = end - begin;
      size_t width = left;
      if (left > kMaxHexDigits) width = left < kMaxHexDigits + kMinHexDigits ? left - kMinHexDigits : kMaxHexDigits;
      placeholder(kHex, width, hexadecimal(text_.data() + begin, width));
      begin += width;
    }
    taken_ = end;
  }

  bool hex_group(size_t begin, size_t n) const {
    for (size_t i = begin; i < begin + n; ++i) {
      if (!is_digit(text_[i]) && !is_hex_letter(text_[i])) return false;
    }
    return true;
  }

  // The hex token or UUID around the digits [begin, end): where to go on, or 0 when there is none.
  size_t cut_hex(size_t begin, size_t end) {
    // Most runs stand alone between other characters, or belong to a word.
    const Class before = begin > 0 ? class_of(text_[begin - 1]) : kOther;
    const Class after = end < text_.size() ? class_of(text_[end]) : kOther;
    if (before == kWordLetter || after == kWordLetter) return 0;
    if (before == kOther && after == kOther && !(end - begin == 8 && end < text_.size() && text_[end] == '-')) return 0;
    size_t first = begin, last = end;
    while (first > taken_ && (is_hex_letter(text_[first - 1]) || is_digit(text_[first - 1]))) --first;
    while (last < text_.size() && (is_hex_letter(text_[last]) || is_digit(text_[last]))) ++last;
    if (first > 0 && is_alphanumeric(text_[first - 1])) return 0;
    if (last < text_.size() && is_alphanumeric(text_[last])) return 0;
    if (last - first == 8 && text_.size() - first >= 36 && is_uuid(first)) {
      constexpr size_t kGroups[][2] = {{0, 8}, {9, 4}, {14, 4}, {19, 4}, {24, 12}};
      for (const auto& [offset, width] : kGroups) cut_hex_piece(first + offset, first + offset + width);
      return first + 36;
    }
    if (first == begin && last == end) return 0;  // digits only
    if (last - first < kMinHexDigits) return 0;
    cut_hex_piece(first, last);
    return last;
  }

  bool is_uuid(size_t at) const {
    return text_[at + 8] == '-' && text_[at + 13] == '-' && text_[at + 18] == '-' && text_[at + 23] == '-' &&
           hex_group(at + 9, 4) && hex_group(at + 14, 4) && hex_group(at + 19, 4) && hex_group(at + 24, 12);
  }

  std::string_view text_;
  SplitText& out_;
  size_t taken_ = 0;  // text_[0, taken_) is in out_
  uint64_t bits_[kMaxTemplatedBytes / 64] = {};
};

void append_decimal(std::string& out, uint64_t number, size_t width) {
  char digits[20];
  size_t n = 0;
  do {
    digits[n++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  for (size_t i = n; i < width; ++i) out.push_back('0');
  while (n > 0) out.push_back(digits[--n]);
}

// Eight decimal digits of a number below 10^8 as bytes 0–9, the highest first: halves, quarters, single digits.
uint64_t to_eight_digits(uint64_t number) {
  uint64_t x = number / 10000 | number % 10000 << 32;
  const uint64_t hundreds = (x * 10486 >> 20) & 0x0000007f0000007full;
  x = hundreds | (x - 100 * hundreds) << 16;
  const uint64_t tens = (x * 103 >> 10) & 0x000f000f000f000full;
  return tens | (x - 10 * tens) << 8;
}
constexpr uint64_t kZeros = 0x3030303030303030ull;

// As append_decimal, for a width below 19 that the number fits; up to eight bytes more are written.
char* put_decimal(char* out, uint64_t number, size_t width) {
  if (number >= 100000000 || width > 8) {
    out = put_decimal(out, number / 100000000, width > 8 ? width - 8 : 1);
    number %= 100000000;
    width = 8;
  }
  uint64_t digits = to_eight_digits(number);
  const size_t zeros = digits == 0 ? 7 : static_cast<size_t>(std::countr_zero(digits)) / 8;
  const size_t taken = 8 - zeros > width ? 8 - zeros : width;
  digits = (digits | kZeros) >> 8 * (8 - taken);
  std::memcpy(out, &digits, 8);
  return out + taken;
}

constexpr auto kMaxDecimals = [] {  // by width
  std::array<uint64_t, kMaxDigits + 1> result{};
  for (size_t i = 1; i < result.size(); ++i) result[i] = result[i - 1] * 10 + 9;
  return result;
}();

}  // namespace

bool split_text(std::string_view text, SplitText& out) {
  out.text_size = 0;
  out.number_count = 0;
  return Splitter(text, out).run();
}

bool split_template(std::string_view text, std::string& template_text, std::vector<uint64_t>& numbers) {
  SplitText split;
  if (!split_text(text, split)) return false;
  template_text.assign(split.text, split.text_size);
  numbers.assign(split.numbers, split.numbers + split.number_count);
  return true;
}

std::optional<std::string_view> join_short(std::string_view template_text, std::span<const uint64_t> numbers,
                                           JoinBuffer& out) {
  if (template_text.size() > JoinBuffer::kLongestTemplate) return std::nullopt;
  const char* from = template_text.data();
  const char* const end = from + template_text.size();
  char* to = out.text;
  auto number = numbers.begin();
  while (from < end) {
    size_t literal = 0;
#if defined(__SSE2__)
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m128i marks = _mm_and_si128(_mm_cmpgt_epi8(block, _mm_set1_epi8(kPadded - 1)),
                                        _mm_cmplt_epi8(block, _mm_set1_epi8(kHex + 1)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), block);
    literal = static_cast<size_t>(std::countr_zero(static_cast<uint32_t>(_mm_movemask_epi8(marks)) | 1u << 16));
    if (literal > static_cast<size_t>(end - from)) literal = static_cast<size_t>(end - from);
    const bool placeholder = literal < 16 && from + literal < end;
#else
    while (from + literal < end && (from[literal] < kPadded || from[literal] > kHex)) ++literal;
    std::memcpy(to, from, literal);
    const bool placeholder = from + literal < end;
#endif
    from += literal;
    to += literal;
    if (!placeholder) continue;
    if (end - from < 2 || number == numbers.end()) return std::nullopt;
    const auto width = static_cast<uint8_t>(from[1]);
    if (*from == kHex) {
      if (width < kMinHexDigits || width > kMaxHexDigits) return std::nullopt;
      if (width < kMaxHexDigits && *number >> (4 * width) != 0) return std::nullopt;
      to = put_hex(to, *number, static_cast<int>(width));
    } else {
      if (width == 0 || width > kMaxDigits || (*from == kPlain && width != 1)) return std::nullopt;
      if (*number > kMaxDecimals[*from == kPlain ? kMaxDigits : width]) return std::nullopt;
      to = put_decimal(to, *number, width);
    }
    ++number;
    from += 2;
  }
  if (number != numbers.end()) return std::nullopt;
  return std::string_view(out.text, static_cast<size_t>(to - out.text));
}

bool join_template(std::string_view template_text, std::span<const uint64_t> numbers, std::string& out) {
  out.clear();
  size_t used = 0;
  for (size_t i = 0; i < template_text.size(); ++i) {
    const char c = template_text[i];
    if (c < kPadded || c > kHex) {
      out.push_back(c);
      continue;
    }
    if (++i == template_text.size() || used == numbers.size()) return false;
    const auto width = static_cast<uint8_t>(template_text[i]);
    const uint64_t number = numbers[used++];
    if (c == kHex) {
      if (width < kMinHexDigits || width > kMaxHexDigits) return false;
      if (width < kMaxHexDigits && number >> (4 * width) != 0) return false;
      append_hex(number, static_cast<int>(width), out);
    } else {
      if (width == 0 || width > kMaxDigits || (c == kPlain && width != 1)) return false;
      if (number > kMaxDecimals[c == kPlain ? kMaxDigits : width]) return false;
      append_decimal(out, number, width);
    }
  }
  return used == numbers.size();
}

std::optional<uint32_t> count_placeholders(std::string_view template_text) {
  uint32_t count = 0;
  for (size_t i = 0; i < template_text.size(); ++i) {
    const char c = template_text[i];
    if (c < kPadded || c > kHex) continue;
    if (++i == template_text.size()) return std::nullopt;
    const auto width = static_cast<uint8_t>(template_text[i]);
    const bool fits = c == kHex     ? width >= kMinHexDigits && width <= kMaxHexDigits
                      : c == kPlain ? width == 1
                                    : width >= 1 && width <= kMaxDigits;
    if (!fits) return std::nullopt;
    ++count;
  }
  return count;
}

uint32_t template_placeholders(std::string_view template_text) { return count_placeholders(template_text).value_or(0); }

}  // namespace clew::model

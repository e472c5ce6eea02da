// Hexadecimal digits, the one place: lower case out, either case in. Ids as text are model/ids.h's. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

namespace clew {

inline constexpr char kHexDigits[] = "0123456789abcdef";

// 0 to 15; -1 when `c` is no hexadecimal digit.
constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The low `digits` × 4 bits of `value`, to a buffer with room for them; returns its end.
constexpr char* put_hex(char* out, uint64_t value, int digits) {
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) *out++ = kHexDigits[value >> shift & 15];
  return out;
}
inline void append_hex(uint64_t value, int digits, std::string& out) {
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) out.push_back(kHexDigits[value >> shift & 15]);
}
// An id as people read it everywhere: sixteen digits.
inline std::string hex16(uint64_t value) {
  std::string text;
  append_hex(value, 16, text);
  return text;
}

}  // namespace clew

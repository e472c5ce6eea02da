// One step through UTF-8 (RFC 3629), for the rare paths: repairing text and saying where it is wrong. To check a whole
// text fast, use simdjson::validate_utf8. Pure; any thread; O(1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace clew::otlp {

// The length of the character that starts at text[at] (at < text.size()), or 0 when no valid one does.
inline size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : uint8_t{0}; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const uint8_t first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;  // a continuation, or an overlong two-byte form
  if (first < 0xe0) return follows(1) ? 2 : 0;
  if (first < 0xf0) {
    if (first == 0xe0 && second < 0xa0) return 0;   // overlong
    if (first == 0xed && second >= 0xa0) return 0;  // surrogates
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (first > 0xf4 || (first == 0xf0 && second < 0x90) || (first == 0xf4 && second >= 0x90)) return 0;
  return follows(1) && follows(2) && follows(3) ? 4 : 0;
}

}  // namespace clew::otlp

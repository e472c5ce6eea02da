#include "api/duration.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace clew::api {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::optional<int64_t> parse_duration_ns(std::string_view text) {
  struct Unit {
    std::string_view name;
    double ns;
  };
  static constexpr std::array kUnits = {Unit{"ns", 1},          Unit{"us", 1e3},   Unit{"\xc2\xb5s", 1e3},
                                        Unit{"\xce\xbcs", 1e3}, Unit{"ms", 1e6},   Unit{"s", 1e9},
                                        Unit{"m", 60e9},        Unit{"h", 3600e9}, Unit{"d", 86400e9}};
  bool negative = false;
  if (text.starts_with('-') || text.starts_with('+')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  // Whole parts are added as integers, so that "9007199254740993ns" stays exact.
  int64_t total = 0;
  while (!text.empty()) {
    size_t digits = 0;
    while (digits < text.size() && is_digit(text[digits])) ++digits;
    uint64_t whole = 0;
    if (digits > 0) {
      if (std::from_chars(text.data(), text.data() + digits, whole).ec != std::errc()) return std::nullopt;
    }
    size_t used = digits;
    double fraction = 0, scale = 0.1;
    if (used < text.size() && text[used] == '.') {
      ++used;
      for (; used < text.size() && is_digit(text[used]); ++used, scale /= 10) fraction += (text[used] - '0') * scale;
      if (used == digits + 1 && digits == 0) return std::nullopt;
    }
    if (used == 0) return std::nullopt;
    text.remove_prefix(used);
    size_t letters = 0;
    while (letters < text.size() && !is_digit(text[letters]) && text[letters] != '.') ++letters;
    const auto unit =
        std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) { return u.name == text.substr(0, letters); });
    if (unit == kUnits.end()) return std::nullopt;
    text.remove_prefix(letters);
    int64_t part = 0;
    if (whole > static_cast<uint64_t>(INT64_MAX) ||
        __builtin_mul_overflow(static_cast<int64_t>(whole), static_cast<int64_t>(unit->ns), &part) ||
        __builtin_add_overflow(part, std::llround(fraction * unit->ns), &part) ||
        __builtin_add_overflow(total, part, &total)) {
      return std::nullopt;
    }
  }
  return negative ? -total : total;
}

}  // namespace clew::api

#include "app/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <vector>

namespace clew::app {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};
constexpr std::array<Unit, 7> kDurations{{{"d", 86'400'000'000'000},
                                          {"h", 3'600'000'000'000},
                                          {"m", 60'000'000'000},
                                          {"s", 1'000'000'000},
                                          {"ms", 1'000'000},
                                          {"us", 1'000},
                                          {"ns", 1}}};
constexpr std::array<Unit, 9> kSizes{{{"TiB", 1ull << 40},
                                      {"GiB", 1ull << 30},
                                      {"MiB", 1ull << 20},
                                      {"KiB", 1ull << 10},
                                      {"TB", 1'000'000'000'000},
                                      {"GB", 1'000'000'000},
                                      {"MB", 1'000'000},
                                      {"KB", 1'000},
                                      {"B", 1}}};

// Takes a number and a unit's name from the front of `text`.
std::optional<long double> take_part(std::string_view& text, const Unit* units, size_t count) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !(number >= 0)) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  const size_t length = static_cast<size_t>(
      std::find_if(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; }) - text.begin());
  const std::string_view name = text.substr(0, length);
  for (size_t i = 0; i < count; ++i) {
    if (units[i].name == name) {
      text.remove_prefix(length);
      return static_cast<long double>(number) * static_cast<long double>(units[i].factor);
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> parse_duration(std::string_view text) {
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  long double total = 0;
  while (!text.empty()) {
    const auto part = take_part(text, kDurations.data(), kDurations.size());
    if (!part) return std::nullopt;
    total += *part;
  }
  if (total > 9.2e18L) return std::nullopt;
  return static_cast<int64_t>(std::llround(total));
}

std::string format_duration(int64_t ns) {
  if (ns == 0) return "0";
  std::string out;
  auto rest = static_cast<uint64_t>(ns);
  for (const Unit& unit : kDurations) {
    if (rest >= unit.factor) {
      out += std::to_string(rest / unit.factor).append(unit.name);
      rest %= unit.factor;
    }
  }
  return out;
}

std::optional<uint64_t> parse_size(std::string_view text) {
  uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (error == std::errc() && end == text.data() + text.size()) return bytes;
  const auto part = take_part(text, kSizes.data(), kSizes.size());
  if (!part || !text.empty() || *part > 1.8e19L) return std::nullopt;
  return static_cast<uint64_t>(std::llround(*part));
}

std::string format_size(uint64_t bytes) {
  for (size_t i = 0; i < 4; ++i) {
    if (bytes >= kSizes[i].factor && bytes % kSizes[i].factor == 0) {
      return std::to_string(bytes / kSizes[i].factor).append(kSizes[i].name);
    }
  }
  return std::to_string(bytes);
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace clew::app

// Durations and sizes as people write them in configuration files and flags: "5s", "1h30m", "250ms"; "64MiB", "2GB",
// "4096". Formatting picks the largest units that lose nothing, so that what is printed reads back as the same number.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clew::app {

// Nanoseconds. Units: ns us ms s m h d, several in a row; a bare number only when it is 0. Nullopt when malformed or
// out of range.
std::optional<int64_t> parse_duration(std::string_view text);
std::string format_duration(int64_t ns);

// Bytes. A bare number, or one with B, KiB MiB GiB TiB (1024) or KB MB GB TB (1000); a fraction is allowed with a unit.
std::optional<uint64_t> parse_size(std::string_view text);
std::string format_size(uint64_t bytes);

// The candidate nearest to `word` by edit distance, when it is near enough to be a slip of the pen; else empty.
template <typename Range>
std::string_view nearest(std::string_view word, const Range& candidates);
size_t edit_distance(std::string_view a, std::string_view b);

template <typename Range>
std::string_view nearest(std::string_view word, const Range& candidates) {
  std::string_view best;
  size_t best_distance = word.size() / 3 + 2;  // one slip in a short word, more in a long one
  for (const auto& candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace clew::app
